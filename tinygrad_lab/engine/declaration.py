"""One op, one declaration: a forward, and for each input the rule that pulls a gradient back.

    multiply = op(
        "multiply", "×",
        forward=lambda xp, x, y: x * y,
        vjp={"x": lambda xp, g, y: g * y, "y": lambda xp, g, x: g * x},
    )

``forward(xp, *inputs, *, attributes...)`` and the rules are written against any namespace ``xp``.
A rule asks for what it needs by naming it: an input, ``out``, an attribute, ``x_shape`` or
``x_dtype`` of an input ``x``, ``needs`` (which inputs want a gradient) or the ``residual`` of a
fused kernel. The names are read once, here, and a node keeps only what its rules ask for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword
from string import Formatter
from typing import Any

from tinygrad_lab.backends import forwards, namespaces
from tinygrad_lab.engine.user_code import is_library
from tinygrad_lab.errors import DeclarationError

__all__ = ["Op", "Plan", "Rule", "declare", "table"]

table: dict[str, Op] = {}
"""Every op that was declared, by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A vector-Jacobian product: from the gradient of the output to that of some inputs."""

    inputs: tuple[str, ...]
    function: Callable[..., Any]
    asks: tuple[str, ...]
    joint: bool
    """The function returns one gradient for each of several inputs (or None), as a sequence."""


@dataclass(slots=True, eq=False)
class Plan:
    """An op, specialised to the inputs that need a gradient."""

    op: Op
    needs: tuple[bool, ...]
    rules: tuple[tuple[Rule, tuple[int, ...]], ...]
    """The rules to run, each with the positions of the inputs it serves."""
    keeps: tuple[str, ...]
    """What those rules ask for: inputs, the output, attributes, shapes."""
    node_class: Any = None
    """What its nodes are made of; written when the first one is made."""


@dataclass(eq=False, slots=True)
class Op:
    """The declaration of an op; ``op()`` checks it and makes the function that applies it."""

    name: str
    symbol: str
    forward: Callable[..., Any]
    rules: tuple[Rule, ...]
    inputs: tuple[str, ...]
    variadic: bool
    """The last of ``inputs`` stands for any number of tensors."""
    attributes: tuple[str, ...]
    words: Mapping[str, str] = field(default_factory=dict)
    """What pictures write for the rules of some inputs, with braces as in ``str.format``."""
    latex: str | None = None
    elementwise: bool = False
    core_axes: int | None = None
    """How many of the last axes of an input take no part in broadcasting; None without any."""
    composite: Callable[..., Any] | None = None
    """The same value by small ops on Tensors: what pictures open and derivatives go through."""
    residual: bool = False
    """The forward returns its value and a residual: by-products that its own rule wants."""
    several_outputs: bool = False
    """The forward returns a tuple; a rule's ``g`` is then one, too, with None for what no
    gradient reached."""
    check: Callable[..., str | None] | None = None
    """Says what is wrong with arrays that the forward failed on."""
    doc: str = ""
    plans: dict[tuple[bool, ...], Plan] = field(default_factory=dict)
    node_classes: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def plan(self, needs: tuple[bool, ...]) -> Plan:
        """This op where the inputs marked in ``needs`` want a gradient."""
        plan = self.plans.get(needs)
        if plan is None:
            plan = self.plans[needs] = self._make_plan(needs)
        return plan

    def _make_plan(self, needs: tuple[bool, ...]) -> Plan:
        rules = []
        for rule in self.rules:
            positions = self._positions(rule, len(needs))
            if any(needs[position] for position in positions):
                rules.append((rule, positions))
        keeps = dict.fromkeys(name for rule, _ in rules for name in rule.asks)
        if self.composite is not None and rules:
            # A derivative of the derivative goes through the composite: it wants every input.
            keeps.update(dict.fromkeys(self.inputs))
        return Plan(self, needs, tuple(rules), tuple(keeps))

    def _positions(self, rule: Rule, count: int) -> tuple[int, ...]:
        """Where the inputs that a rule serves stand among ``count`` actual inputs."""
        positions: list[int] = []
        for name in rule.inputs:
            first = self.inputs.index(name)
            last = self.variadic and first == len(self.inputs) - 1
            positions.extend(range(first, count if last else first + 1))
        return tuple(positions)

    def named_arrays(self, arrays: Sequence[Any]) -> dict[str, Any]:
        """The actual inputs under their declared names, a variadic one as a tuple."""
        if not self.variadic:
            return dict(zip(self.inputs, arrays, strict=True))
        fixed = len(self.inputs) - 1
        named = dict(zip(self.inputs, arrays[:fixed], strict=False))
        named[self.inputs[-1]] = tuple(arrays[fixed:])
        return named


def declare(
    name: str,
    forward: Callable[..., Any],
    vjp: Mapping[Any, Callable[..., Any]] | Callable[..., Any] | None,
    symbol: str | None,
    **settings: Any,
) -> tuple[Op, dict[str, Any]]:
    """A checked declaration, entered in the table; and the defaults of its attributes.

    ``op()`` in ``ops/op.py`` says what the arguments mean.
    """
    _check_name(name, forward)
    inputs, variadic, attributes = _signature(name, forward)
    # Where there are several outputs, a rule that kept them could not be differentiated again.
    extras = {"needs"} if settings.get("several_outputs") else {"needs", "out"}
    residual = settings.get("residual", False)
    extras |= {"residual"} if residual else set()
    rules = _rules(name, vjp, inputs, {*attributes, *extras}, variadic=variadic)
    known = {*inputs, *_facts(inputs), *attributes, *extras} - {"needs", "residual"}
    _check_words(name, settings.get("words", {}), rules, known)
    declared = Op(
        name, symbol or name, forward, rules, inputs, variadic, tuple(attributes), **settings
    )
    table[name] = declared
    forwards[name] = _value_of(forward) if residual else forward
    for namespace in namespaces.values():
        vars(namespace).pop(name, None)  # what it remembers of an op that is declared anew
    return declared, attributes


def _check_name(name: str, forward: Callable[..., Any]) -> None:
    if not name.isidentifier() or iskeyword(name):
        raise DeclarationError(f"op {name!r}: an op's name must be one that Python can call.")
    if not callable(forward):
        raise DeclarationError(f"op {name!r}: forward must be a function, got {forward!r}.")
    known = table.get(name)
    if known is not None and is_library[known.forward.__code__.co_filename]:
        raise DeclarationError(f"op {name!r}: there is one already, which rules rely on.")


def _value_of(forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays, **attributes: forward(*arrays, **attributes)[0]


def _signature(
    name: str, forward: Callable[..., Any]
) -> tuple[tuple[str, ...], bool, dict[str, Any]]:
    """The inputs of a forward, whether the last stands for several, its attributes' defaults."""
    parameters = list(inspect.signature(forward).parameters.values())
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
    attributes = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return inputs, variadic, attributes


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
        parameters = list(inspect.signature(function).parameters) if callable(function) else []
        asks = parameters[2:]
        if parameters[:2] != ["xp", "g"] or not known.issuperset(asks):
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
        if x not in served:
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
