"""PyTorch's names and arguments beside those here: what ``docs/modules.md`` is written from.

``python -m tests.names_of_torch docs/modules.md`` writes the page. What it says about a name or an
argument that is not here is what the error says: the texts are in ``tinygrad_lab/other_names/`` and
``engine/keywords.py``, and nowhere else.
"""

import functools
import importlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import tinygrad_lab as tg

NAMESPACES = {
    "torch.nn": "nn",
    "torch.nn.functional": "nn.functional",
    "torch.nn.init": "nn.init",
    "torch.nn.utils": "nn.utils",
    "torch.nn.utils.prune": "nn.utils.prune",
    "torch.optim": "optim",
    "torch.optim.lr_scheduler": "optim.lr_scheduler",
    "torch.utils.data": "data",
}
"""PyTorch's namespaces, and those here."""

HOMES = ("torch.nn", "torch.optim", "torch.utils.data", "torch._C")
"""Where PyTorch defines what is public in them; the rest is imported there for its own use."""

NOT_FOR_USERS = {
    *("Tensor", "factory_kwargs"),
    *("BroadcastingList1", "BroadcastingList2", "BroadcastingList3"),
    *("handle_torch_function", "has_torch_function", "has_torch_function_unary"),
    *("has_torch_function_variadic", "assert_int_or_pair", "boolean_dispatch"),
}
"""Names without an underscore that PyTorch's own code alone uses."""

REFUSED: dict[str, Any] = {"inplace": True, "capturable": True, "differentiable": True}
"""Values of arguments that are taken by name, and refused."""

NEEDED: dict[str, Callable[[], tuple[Any, ...]]] = {
    "optim": lambda: ([tg.tensor([1.0], requires_grad=True)],),
    "nn.Threshold": lambda: (0.1, 1.0),
}
"""What to make a class with, for those that need something, and for all of a namespace."""


class Missing(NamedTuple):
    """A name, or an argument of a name, and what the error says."""

    name: str
    said: str
    argument: str = ""


def ours(namespace: str) -> Any:
    return functools.reduce(getattr, NAMESPACES[namespace].split("."), tg)


def public(namespace: str) -> list[str]:
    """The names that a module of PyTorch has for its users."""
    module = importlib.import_module(namespace)
    listed = getattr(module, "__all__", ())
    return sorted(
        name
        for name, value in vars(module).items()
        if name[0] != "_"
        and name not in NOT_FOR_USERS
        and not isinstance(value, ModuleType)
        and (name in listed or _is_of_torch(value))
    )


def _is_of_torch(value: Any) -> bool:
    home = str(getattr(value, "__module__", None))
    return callable(value) and (home in ("None", "torch") or home.startswith(HOMES))


def arguments(function: Any) -> list[str] | None:
    """The arguments of something of PyTorch's; None where they are not known."""
    try:
        own = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # written in C: its docstring says them
        found = re.match(r"\s*\w+\((.*?)\)\s*->", function.__doc__ or "", re.DOTALL)
        if found is None:
            return None
        said = [part.partition("=")[0].strip() for part in found[1].split(",")]
        return [name for name in said if name.isidentifier()]
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in own if one.kind not in variadic and one.name[0] != "_"]


def taken(found: Any) -> set[str]:
    """The arguments of something here."""
    function = found.__init__ if inspect.isclass(found) else found
    return {*inspect.signature(function).parameters, *inspect.signature(found).parameters}


def absent(namespace: str) -> Iterator[Missing]:
    """The names that are not here, with what to do instead."""
    module = ours(namespace)
    for name in public(namespace):
        if not hasattr(module, name):
            yield Missing(name, said_of(module, name))


def said_of(module: Any, name: str) -> str:
    """What the error for a name says; nothing where it says no more than that it is not there."""
    try:
        getattr(module, name)
    except AttributeError as error:
        return str(error).partition(f"has no {name!r}: ")[2].rstrip(".")
    raise AssertionError(f"{name} is there")


def differing(namespace: str) -> Iterator[Missing]:
    """The arguments that are not taken, with what to write instead."""
    theirs, module = importlib.import_module(namespace), ours(namespace)
    for name in public(namespace):
        found = getattr(module, name, None)
        if not callable(found):
            continue
        for argument in arguments(getattr(theirs, name)) or ():
            if argument not in taken(found):
                yield Missing(name, _advice(found, argument), argument)
            elif _is_by_name(getattr(theirs, name), found, argument):
                yield Missing(name, "by name alone", argument)
            elif argument in REFUSED and (said := _refusal(namespace, name, argument)):
                yield Missing(name, said, f"{argument}={REFUSED[argument]}")


def _is_by_name(their: Any, own: Any, argument: str) -> bool:
    """Whether an argument that has a place in PyTorch's call is taken by its name alone here."""
    there, here = kinds(their).get(argument), kinds(own).get(argument)
    return there is inspect.Parameter.POSITIONAL_OR_KEYWORD and (
        here is inspect.Parameter.KEYWORD_ONLY
    )


def kinds(found: Any) -> dict[str, Any]:
    """How each argument of something is given; empty where it is not known."""
    return {name: one.kind for name, one in _parameters(found).items()}


def _advice(found: Any, argument: str) -> str:
    try:
        found(**{argument: "..."})
    except TypeError as error:
        pattern = rf"there is no argument '{argument}': (.*?)\. It takes"
        said = re.search(pattern, str(error), re.DOTALL)
        return said[1] if said else ""
    return ""


def _refusal(namespace: str, name: str, argument: str) -> str:
    short = NAMESPACES[namespace]
    needed = NEEDED.get(f"{short}.{name}") or NEEDED.get(short) or tuple
    try:
        getattr(ours(namespace), name)(*needed(), **{argument: REFUSED[argument]})
    except (ValueError, TypeError) as error:
        said = str(error).partition("\n")[0].removeprefix(f"{name}: ").rstrip(".")
        return said if argument in said else ""  # it was not about something else that is needed
    return ""


def present(namespace: str) -> list[str]:
    """The names that are here."""
    return [name for name in public(namespace) if hasattr(ours(namespace), name)]


def defaults(found: Any) -> dict[str, Any]:
    """The defaults of the arguments of something; empty where they are not known."""
    return {name: one.default for name, one in _parameters(found).items()}


def _parameters(found: Any) -> dict[str, inspect.Parameter]:
    function = found.__init__ if inspect.isclass(found) else found
    try:
        own = inspect.signature(function).parameters
    except (ValueError, TypeError):
        return {}
    return {name: one for name, one in own.items() if name != "self"}


def other_defaults(namespace: str) -> Iterator[tuple[str, str, Any, Any]]:
    """Arguments with another default than PyTorch's: the name, the argument, theirs and ours."""
    theirs, module = importlib.import_module(namespace), ours(namespace)
    for name in present(namespace):
        own = defaults(getattr(module, name))
        for argument, default in defaults(getattr(theirs, name)).items():
            if argument in own and own[argument] != default:
                yield name, argument, default, own[argument]


# --- the page ------------------------------------------------------------------------------------

HEAD = """# PyTorch's names

Every public name of these modules of PyTorch {version}: those that are here, with every argument
but for those in the first table; and those that are not, with what to do instead. The tables say
what the errors say: `tg.nn.Conv3d`, or an argument that is not taken, raises an error with the same
text. `.venv/bin/python -m tests.names_of_torch docs/modules.md` writes this page, and
`tests/test_names_of_torch.py` holds it against the PyTorch that is installed: a name or an argument
that is neither here nor explained fails there.

Functions of tensors and their arguments, which have the names of NumPy and of the Array API, are in
[Functions](functions.md); [Optimisers](optim.md) and [Data](data.md) say more about theirs.

What means something else than there:

- An initialiser changes a parameter or a buffer, not its `.data` or a row of it, which are arrays
  and new tensors here: `with tg.no_grad(): w[i] = tg.nn.init.normal_(tg.zeros(w[i].shape))`.
- `trunc_normal_` has the right numbers also where a and b are far from the mean.
- A pruned or normalised weight is computed each time it is read, not once before `forward`: it is
  right after `load_state_dict`, after an optimiser's step and in compiled steps.
- Of elements or channels of equal size, `prune` takes the first; what it draws, `tg.seed` seeds.
- `weight_norm` of a channel of zeros, a negative `max_norm` or `clip_value`, a negative or NaN
  `std` or `gain` are errors; in PyTorch they give NaN, or gradients of the wrong sign.
"""


def page() -> str:
    """The text of ``docs/modules.md``."""
    import torch

    version = ".".join(torch.__version__.split(".")[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that PyTorch gives up
        return HEAD.format(version=version) + "".join(map(_section, NAMESPACES))


def _section(namespace: str) -> str:
    missing, differ = list(absent(namespace)), list(differing(namespace))
    here = f"tg.{NAMESPACES[namespace]}"
    lines = [f"\n## `{namespace}`: `{here}`\n", f"Here: {_listed(present(namespace))}.\n"]
    if differ:
        lines += ["| argument | of | here |", "| --- | --- | --- |"]
        lines += [f"| {what} | {of} | {said} |" for what, of, said in _grouped(namespace, differ)]
        lines.append("")
    if missing:
        lines += ["| not here | instead |", "| --- | --- |"]
        lines += [f"| {_listed(names)} | {_said(said)} |" for said, names in _by_text(missing)]
        lines.append("")
    return "\n".join(lines)


def _grouped(namespace: str, differ: list[Missing]) -> Iterator[tuple[str, str, str]]:
    """Rows of arguments: each with the names that have it, or that there are all of them."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in differ:
        found.setdefault((one.argument, one.said), []).append(one.name)
    theirs = importlib.import_module(namespace)
    has = {name: arguments(getattr(theirs, name)) or () for name in present(namespace)}
    for (argument, said), names in sorted(found.items()):
        having = [name for name, own in has.items() if argument.partition("=")[0] in own]
        of = f"all {len(names)} that have it" if names == having and len(names) > 3 else ""
        yield f"`{argument}`", of or _listed(names), _said(said)


def _by_text(missing: list[Missing]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for one in missing:
        found.setdefault(one.said, []).append(one.name)
    return list(found.items())


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _said(text: str) -> str:
    """A text in a cell of a table: an expression as code."""
    plain = " ".join(text.split()).replace("( ", "(").replace("|", r"\|")
    try:
        compile(plain, "cell", "exec")
    except SyntaxError:
        return plain
    return f"`{plain}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
