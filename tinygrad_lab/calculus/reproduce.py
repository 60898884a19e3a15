"""Scripts that reproduce a call: the source of a function, its dependencies, its arguments."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from tinygrad_lab import trees
from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.tensor import Tensor

__all__ = ["snippet"]

_MOST_NUMBERS = 1000
"""Larger arguments are not printed."""


def snippet(caller: str, f: Callable[..., Any], inputs: Sequence[Any], options: str) -> str:
    """Return the source of a script that calls ``caller(f, *inputs, options)``.

    Values that cannot be written out (a module, a hundred thousand numbers) are left open, with a
    comment that describes them.

    Example:
        >>> def double(x):
        ...     return factor * x
        >>> factor = 2
        >>> print(snippet("tg.gradcheck", np.tanh, [0.5], "seed=0"))
        import numpy as np
        import tinygrad_lab as tg
        <BLANKLINE>
        f = np.tanh
        x0 = 0.5
        tg.gradcheck(f, x0, seed=0)
    """
    definitions = _Definitions()
    definitions.define("f", f)
    names = []
    for position, given in enumerate(inputs):
        names.append(f"x{position}")
        definitions.define(names[-1], given)
    call = f"{caller}({', '.join(['f', *names, options])})"
    return "\n".join([*definitions.imports, "", *definitions.lines, call])


public_modules: dict[str, ModuleType | None] = {"tinygrad_lab": None, "numpy": np}
"""The modules whose names a script uses; the package enters itself when it is complete."""


class _Definitions:
    """The lines that define the names that a script uses."""

    def __init__(self) -> None:
        # A dict keeps the order and each line only once.
        self.imports = {"import numpy as np": None, "import tinygrad_lab as tg": None}
        self.lines: list[str] = []
        self._known: dict[str, Any] = {"np": np, "tg": public_modules["tinygrad_lab"]}

    def define(self, name: str, value: Any) -> None:
        """Add the lines that define a name as a value."""
        if name in self._known and self._known[name] is value:
            return
        self._known[name] = value
        if isinstance(value, ModuleType):
            self.imports[f"import {value.__name__} as {name}"] = None
        elif place := _place_of(value):
            module, path = place
            self._define_at(name, module, path)
        elif (found := _declaration(value)) is not None:
            node, scope = found
            for needed in _names_used(node):
                if needed in scope and needed != name:
                    self.define(needed, scope[needed])
            if isinstance(node, ast.FunctionDef):
                self.lines += ["", ast.unparse(node), ""]
                if node.name != name:
                    self.lines.append(f"{name} = {node.name}")
            else:
                self.lines.append(f"{name} = {ast.unparse(node)}")
        else:
            self.lines.append(f"{name} = {self._literal(value)}")

    def _define_at(self, name: str, module: str, path: str) -> None:
        """Define a name as the object at a path of attributes of a module."""
        short = {"tinygrad_lab": "tg", "numpy": "np"}.get(module)
        if short is None:
            self.imports[f"import {module}"] = None
        self.lines.append(f"{name} = {short or module}.{path}")

    def _literal(self, value: Any) -> str:
        """Write a value as source code."""
        if isinstance(value, Tensor):
            return _tensor(value)
        if isinstance(value, np.ndarray | np.generic):
            return _array(np.asarray(value))
        if isinstance(value, np.dtype):
            return f"np.dtype({value.name!r})"
        if isinstance(value, dict):
            return f"{{{', '.join(f'{k!r}: {self._literal(v)}' for k, v in value.items())}}}"
        if isinstance(value, list):
            return f"[{', '.join(map(self._literal, value))}]"
        if type(value) is tuple:
            return f"({', '.join(map(self._literal, value))},)"
        if isinstance(value, float) and not np.isfinite(value):
            return f"float({str(value)!r})"
        if value is None or isinstance(value, bool | int | float | str | bytes):
            return repr(value)
        kind = "the module" if trees.is_module(value) else type(value).__name__
        return f"...  # {kind} {' '.join(repr(value).split()):.60}, as it was"


def _tensor(one: Tensor) -> str:
    if isinstance(one.data, float):
        return f"tg.scalar({one.data!r})".replace("(nan", "(np.nan").replace("inf", "np.inf")
    options = f", name={one.name!r}" if one.name else ""
    options += f", device={one.device!r}" if one.device != "cpu" else ""
    numbers = _array(namespaces[type(one.data)].to_numpy(one.data))
    return numbers if numbers.startswith("...") else f"tg.tensor({numbers}{options})"


def _array(array: np.ndarray[Any, Any]) -> str:
    if array.size > _MOST_NUMBERS:
        return f"...  # {array.size} numbers of {array.dtype} in shape {array.shape}, as they were"
    numbers = repr(array.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    made = f"np.array({numbers}, dtype={array.dtype.name!r})"
    # Empty lists do not show the whole shape.
    return made if array.size else f"{made}.reshape({array.shape})"


def _place_of(value: Any) -> tuple[str, str] | None:
    """Return the module and the path within it from which a function or class can be imported."""
    for module, public in public_modules.items():
        name = getattr(value, "__name__", "")
        if name and getattr(public, name, None) is value:
            return module, name
    if not isinstance(value, FunctionType | type):
        return None
    module = value.__module__
    if hasattr(value, "op"):
        module = value.op.forward.__module__
    if module == "__main__":
        return None
    paths = {value.__qualname__, value.__name__}
    for path in sorted(path for path in paths if path.replace(".", "").isidentifier()):
        found: Any = sys.modules.get(module)
        for part in path.split("."):
            found = getattr(found, part, None)
        if found is value:
            return module, path
    return None


def _declaration(value: Any) -> tuple[ast.FunctionDef | ast.expr, Mapping[str, Any]] | None:
    """Return the source of a function or of the declaration of an op, and its namespace."""
    function = value.op.forward if hasattr(value, "op") else value
    if not isinstance(function, FunctionType):
        return None
    try:
        tree = ast.parse("".join(linecache.getlines(function.__code__.co_filename)))
    except SyntaxError:
        return None
    scope = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    for node in ast.walk(tree):
        if hasattr(value, "op"):
            if _declares(node, value.op.name):
                return node, scope  # type: ignore[return-value]
        elif isinstance(node, ast.FunctionDef | ast.Lambda) and _is_of(function, node):
            return node, scope
    return None


def _declares(node: ast.AST, name: str) -> bool:
    """Return whether a call declares the op of that name: ``tg.op("name", ...)``."""
    return (
        isinstance(node, ast.Call)
        and (getattr(node.func, "attr", None) or getattr(node.func, "id", None)) == "op"
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value == name
    )


def _is_of(function: FunctionType, node: ast.FunctionDef | ast.Lambda) -> bool:
    """Return whether a node is the source of a function: its body starts where the code starts."""
    first = node.body if isinstance(node, ast.Lambda) else node.body[0]
    inside = {(line, column) for line, _, column, _ in function.__code__.co_positions()}
    starts = {
        (part.lineno, part.col_offset)
        for part in ast.walk(first)
        if isinstance(part, ast.expr | ast.stmt)
    }
    arguments = [argument.arg for argument in node.args.args]
    count = function.__code__.co_argcount
    named = list(function.__code__.co_varnames[:count]) == arguments
    is_first_line = function.__code__.co_firstlineno in (
        node.lineno,
        *(d.lineno for d in getattr(node, "decorator_list", [])),
    )
    return named and is_first_line and bool(starts & inside)


def _names_used(node: ast.AST) -> Iterator[str]:
    """Return the names that source code reads, each once, without builtins."""
    names = {
        part.id: None
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
    }
    own = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    return (name for name in names if name not in own and not hasattr(builtins, name))
