"""What an op is: a forward, and for each input the rule that pulls a gradient back to it.

    multiply = op(
        "multiply", "×",
        forward=lambda xp, x, y: x * y,
        vjp={"x": lambda xp, g, y: g * y, "y": lambda xp, g, x: g * x},
    )

``op()`` in ``declare.py`` turns that into an ``Op`` and returns the function that users call, which
calls ``apply``. A new op is such a declaration in a file of ``ops/``, which makes it public, too. A
function that an array library lacks is added to its namespace, in ``backends/``.

The forward and the rules are written against any namespace ``xp``: NumPy, CuPy, Python floats, or
Tensors, whose ``xp`` is the ops themselves: with it, rules build a graph of their own work. A rule
``rule(xp, g, what it asks for...)`` is a vector-Jacobian product (vjp): from ``g``, the gradient of
the output, it computes that of an input. It asks for what it needs by naming it: an input, ``out``,
an attribute, ``x_shape`` or ``x_dtype`` of an input ``x``, ``needs`` (which inputs need a gradient)
or the ``residual`` of a fused kernel. A node keeps what its rules ask for, under these names: here
y if x needs a gradient, x if y does. (An op with a ``composite`` keeps every input. Small outputs
are also held for pictures, in ``node.value``.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Signature
from typing import Any

__all__ = ["Op", "Plan", "Rule", "table"]

table: dict[str, Op] = {}
"""Every op that was declared, by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A vector-Jacobian product: from the gradient of the output to those of some inputs."""

    inputs: tuple[str, ...]
    function: Callable[..., Any]
    asks: tuple[str, ...]
    joint: bool
    """The function returns one gradient for each of several inputs (or None), as a sequence."""


@dataclass(slots=True, eq=False, repr=False)
class Plan:
    """What running an op backward involves, for the inputs that need a gradient."""

    op: Op
    needs: tuple[bool, ...]
    """For each input, whether it needs a gradient."""
    rules: tuple[tuple[Rule, tuple[int, ...]], ...]
    """The rules to run, each with the positions of the inputs it serves."""
    keeps: tuple[str, ...]
    """What those rules ask for: inputs, the output, attributes, shapes."""

    def __repr__(self) -> str:
        return f"<plan of {self.op.name}: keeps {', '.join(self.keeps) or 'nothing'}>"


@dataclass(eq=False, slots=True)
class Op:
    """The declaration of an op."""

    name: str
    symbol: str
    """Its label in pictures."""
    forward: Callable[..., Any]
    rules: tuple[Rule, ...]
    inputs: tuple[str, ...]
    variadic: bool
    """The last of ``inputs`` stands for any number of tensors."""
    attributes: tuple[str, ...]
    signature: Signature
    """How the op is called: the inputs, then the attributes."""
    latex: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    """Shown in pictures for rules whose source is not a short formula; ``out``: for the value."""
    elementwise: bool = False
    core_axes: int | None = None
    """How many of the last axes of an input take no part in broadcasting."""
    composite: Callable[..., Any] | None = None
    """The same computation in small ops: pictures open it, higher derivatives go through it."""
    residual: bool = False
    """The forward returns its value and a residual: by-products that its own rule asks for."""
    several_outputs: bool = False
    """The forward returns a tuple; ``g`` is one too, with None for outputs no gradient reached."""
    check: Callable[..., str | None] | None = None
    """Explains why the forward failed on some arrays."""
    internal: bool = False
    """Only for other ops and for rules, not public."""
    doc: str = ""
    complex_op: Op | None = None
    """The same op with its rules for complex numbers; None if it takes only real numbers."""
    _plans: dict[tuple[bool, ...], Plan] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def plan(self, needs: tuple[bool, ...]) -> Plan:
        """Return the plan for the inputs marked in ``needs``."""
        plan = self._plans.get(needs)
        return self._plans.setdefault(needs, self._make_plan(needs)) if plan is None else plan

    def _make_plan(self, needs: tuple[bool, ...]) -> Plan:
        rules = []
        for rule in self.rules:
            positions = self._positions(rule, len(needs))
            if any(needs[position] for position in positions):
                rules.append((rule, positions))
        keeps = dict.fromkeys(name for rule, _ in rules for name in rule.asks)
        if self.composite is not None and rules:
            # A derivative of the derivative goes through the composite, which takes every input.
            keeps.update(dict.fromkeys(self.inputs))
        return Plan(self, needs, tuple(rules), tuple(keeps))

    def _positions(self, rule: Rule, count: int) -> tuple[int, ...]:
        """Return the positions of a rule's inputs among ``count`` actual inputs."""
        positions: list[int] = []
        for name in rule.inputs:
            first = self.inputs.index(name)
            last = self.variadic and first == len(self.inputs) - 1
            positions.extend(range(first, count if last else first + 1))
        return tuple(positions)

    def named_arrays(self, arrays: Sequence[Any]) -> dict[str, Any]:
        """Return the actual inputs under their declared names, a variadic one as a tuple."""
        if not self.variadic:
            return dict(zip(self.inputs, arrays, strict=True))
        fixed = len(self.inputs) - 1
        named = dict(zip(self.inputs, arrays[:fixed], strict=False))
        named[self.inputs[-1]] = tuple(arrays[fixed:])
        return named
