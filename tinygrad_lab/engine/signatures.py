"""Reading a declaration: names, signatures, and what the rules ask for, all of it checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature, signature
from keyword import iskeyword
from string import Formatter
from typing import Any

from tinygrad_lab.backends import Namespace, forwards, namespaces
from tinygrad_lab.engine.keywords import refused
from tinygrad_lab.engine.op import Op, Rule, table
from tinygrad_lab.engine.user_code import is_of_library
from tinygrad_lab.errors import DeclarationError

__all__ = ["arguments_of", "read_declaration", "read_rules"]


def read_declaration(
    name: str,
    symbol: str | None = None,
    *,
    forward: Callable[..., Any],
    vjp: Mapping[Any, Callable[..., Any]] | Callable[..., Any] | None = None,
    words: Mapping[str, str] | None = None,
    **settings: Any,
) -> Op:
    """Check a declaration and enter it in the table; ``op()`` says what the arguments mean."""
    _check_name(name, forward)
    inputs, variadic, attributes = _parameters(name, forward)
    # Where there are several outputs, a rule that kept them could not be differentiated again.
    extras = {"needs"} if settings.get("several_outputs") else {"needs", "out"}
    residual = settings.get("residual", False)
    extras |= {"residual"} if residual else set()
    rules = _rules(name, vjp, inputs, {*attributes, *extras}, variadic=variadic)
    known = {*inputs, *_facts(inputs), *attributes, *extras} - {"needs", "residual"}
    _check_words(name, words or {}, rules, known)
    declared = Op(
        name=name,
        symbol=symbol or name,
        forward=forward,
        rules=rules,
        inputs=inputs,
        variadic=variadic,
        attributes=attributes,
        signature=_signature(forward),
        words=dict(words or {}),
        **settings,
    )
    table[name] = declared
    forwards[name] = _value_of(forward) if residual else forward
    for namespace in namespaces.values():
        if isinstance(namespace, Namespace):
            vars(namespace).pop(name, None)  # what it remembers of an op that is declared again
    return declared


def read_rules(
    declared: Op, vjp: Mapping[Any, Callable[..., Any]] | Callable[..., Any]
) -> tuple[Rule, ...]:
    """Check other rules for a declared op, which may ask for a residual."""
    extras = {*declared.attributes, "needs", "out", "residual"}
    return _rules(declared.name, vjp, declared.inputs, extras, variadic=declared.variadic)


def _check_name(name: str, forward: Callable[..., Any]) -> None:
    if not name.isidentifier() or iskeyword(name):
        raise DeclarationError(f"op {name!r}: an op's name must be one that Python can call.")
    if not callable(forward):
        raise DeclarationError(f"op {name!r}: forward must be a function, got {forward!r}.")
    known = table.get(name)
    if known is not None and is_of_library(known.forward):
        raise DeclarationError(f"op {name!r}: there is one already, which rules rely on.")


def _value_of(forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays, **attributes: forward(*arrays, **attributes)[0]


def _parameters(
    name: str, forward: Callable[..., Any]
) -> tuple[tuple[str, ...], bool, tuple[str, ...]]:
    """Return a forward's inputs, whether the last stands for several, and its attributes."""
    try:
        parameters = list(signature(forward).parameters.values())
    except ValueError as error:
        raise DeclarationError(f"op {name!r}: forward has no signature to read: {error}.") from None
    if not parameters or parameters[0].name != "xp":
        raise DeclarationError(
            f"op {name!r}: expected forward(xp, ...), got "
            f"forward({', '.join(p.name for p in parameters)})."
        )
    for p in parameters:
        if p.kind is p.VAR_KEYWORD or p.name in ("out", "g", "needs", "residual"):
            raise DeclarationError(
                f"op {name!r}: forward cannot have a parameter {p}, for rules give that name a "
                "meaning, or could not ask for it."
            )
    inputs = tuple(p.name for p in parameters[1:] if p.kind is not p.KEYWORD_ONLY)
    if not inputs:
        raise DeclarationError(f"op {name!r}: forward needs at least one input beside xp.")
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return inputs, variadic, tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def _signature(forward: Callable[..., Any]) -> Signature:
    """Return how the op is called: its inputs, then its attributes, by position where they can."""
    _, *parameters = signature(forward).parameters.values()
    optional = False
    calls: list[Parameter] = []
    for parameter in parameters:
        p = parameter.replace(annotation=Signature.empty)
        by_position = p.kind is p.KEYWORD_ONLY and not (optional and p.default is p.empty)
        if by_position and calls and calls[-1].kind is p.POSITIONAL_OR_KEYWORD:
            p = p.replace(kind=p.POSITIONAL_OR_KEYWORD)
        optional = optional or p.default is not p.empty
        calls.append(p)
    return Signature(calls)


def _rules(
    name: str,
    vjp: Mapping[Any, Callable[..., Any]] | Callable[..., Any] | None,
    inputs: tuple[str, ...],
    extras: set[str],
    *,
    variadic: bool,
) -> tuple[Rule, ...]:
    """The rules of a declaration, each with what it asks for."""
    if vjp is None:
        return ()
    if not isinstance(vjp, Mapping):
        vjp = {inputs: vjp}
    known = {*inputs, *_facts(inputs), *extras}
    rules = []
    without_rule = list(inputs)
    for served, function in vjp.items():
        joint = isinstance(served, tuple)
        names = served if joint else (served,)
        parameters = list(signature(function).parameters) if callable(function) else []
        asks = parameters[2:]
        given_by_position = not callable(function) or all(
            p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            for p in signature(function).parameters.values()
        )
        if parameters[:2] != ["xp", "g"] or not known.issuperset(asks) or not given_by_position:
            raise DeclarationError(
                f"op {name!r}: the rule for {', '.join(names)} must be rule(xp, g, ...) and may "
                f"ask for {', '.join(sorted(known))}; got ({', '.join(parameters)})."
            )
        for one in names:
            if one not in without_rule:
                raise DeclarationError(
                    f"op {name!r}: expected one rule for each of {', '.join(inputs)}; {one} is "
                    "none of them, or has two."
                )
            without_rule.remove(one)
        several = joint or (variadic and names[0] == inputs[-1])
        rules.append(Rule(tuple(names), function, tuple(asks), several))
    return tuple(rules)


def _facts(inputs: tuple[str, ...]) -> set[str]:
    """Return the names by which a rule asks for facts about the inputs."""
    return {f"{x}_{what}" for x in inputs for what in ("shape", "dtype", "device")}


def _check_words(
    name: str, words: Mapping[str, str], rules: tuple[Rule, ...], known: set[str]
) -> None:
    """Raise if words describe a rule that does not exist, or name something unknown."""
    served = [x for rule in rules for x in rule.inputs]
    for x, text in words.items():
        # "xs[2]" is the third of the tensors that a variadic input stands for.
        if x.partition("[")[0] not in (*served, "out"):
            raise DeclarationError(
                f"op {name!r}: expected words for inputs that have a rule "
                f"({', '.join(served) or 'none has'}), got words for {x!r}."
            )
        try:
            asked = {one for _, one, _, _ in Formatter().parse(text) if one is not None}
        except ValueError as error:
            raise DeclarationError(f"op {name!r}: the words for {x}, {text!r}: {error}.") from None
        if not known.issuperset(asked):
            raise DeclarationError(
                f"op {name!r}: the words for {x} may name {', '.join(sorted(known))} in braces; "
                f"got {text!r}."
            )


def arguments_of(
    op: Op, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Split the arguments of a call into inputs and attributes, with defaults filled in."""
    own = op.signature
    try:
        bound = own.bind(*args, **kwargs)
    except TypeError as error:
        failure = refused(op.name, own, args, kwargs) or error
        raise failure from None
    bound.apply_defaults()
    attributes = {name: bound.arguments.pop(name) for name in op.attributes}
    inputs = list(bound.arguments.values())
    if op.variadic:
        inputs[-1:] = inputs[-1]
    return tuple(inputs), attributes
