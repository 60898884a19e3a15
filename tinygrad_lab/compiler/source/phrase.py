"""Expressions of NumPy code: how a recorded call is written, and the precedence of its parts."""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.plan.memory import inverse, is_dense, is_elementwise, order_in_memory
from tinygrad_lab.compiler.record.trace import Event, Value, mapped
from tinygrad_lab.compiler.source.draft import fresh_result, same_layout
from tinygrad_lab.compiler.source.roll import Index
from tinygrad_lab.random.generator import Generator

__all__ = [
    "LOOSE",
    "TIGHT",
    "UNARY",
    "Phrase",
    "Phrases",
    "is_imported",
    "literal",
    "number",
]

TIGHT, UNARY, LOOSE = 10, 7, 0
_QUOTIENT = 6
Phrase = tuple[str, float]
"""An expression, and the precedence of its weakest operator."""


class Phrases:
    """Writes arguments and calls.

    Args:
        name: returns the name of a value.
        generator: returns the name of a random number generator.
        unchanged: returns whether a value is never written into.
    """

    def __init__(
        self,
        name: Callable[[Value], str],
        generator: Callable[[Any], str],
        unchanged: Callable[[Value], bool],
    ) -> None:
        self.name = name
        self.generator = generator
        self.unchanged = unchanged
        self.inline: dict[Value, Phrase] = {}
        """Values that are written where they are used, without a name."""
        self.numbers: set[Value] = set()
        """0-d arrays that are the same at every call."""
        self.fractions: dict[Value, str] = {}
        """What those that are quotients of integers are written as: ``1 / 100``."""
        self.bare: dict[Value, Any] = {}
        """Arrays for which a Python number is written: they are full of it."""
        self.index_names: dict[Any, str] = {}
        """The loop variables of loops."""
        self.helpers: dict[str, str] = {}
        """Sources of functions, and imports, that the code needs besides NumPy."""

    # --- arguments --------------------------------------------------------------------------------

    def text(self, one: Any) -> str:
        """Write an argument."""
        return self.phrase(one)[0]

    def phrase(self, one: Any) -> Phrase:
        """Write an argument, and return its precedence, too."""
        if isinstance(one, Value):
            return self._value(one)
        if isinstance(one, Index):
            return self._index(one)
        if isinstance(one, tuple):
            inside = ", ".join(map(self.text, one))
            return f"({inside}{',' * (len(one) == 1)})", TIGHT
        if isinstance(one, list):
            return f"[{', '.join(map(self.text, one))}]", TIGHT
        if isinstance(one, np.dtype):
            return f"np.{one.name}", TIGHT
        if isinstance(one, type) and issubclass(one, np.generic):
            return f"np.{one.__name__}", TIGHT
        if isinstance(one, type):
            return one.__name__, TIGHT
        if one is Ellipsis:
            return "...", TIGHT
        if isinstance(one, slice):
            return f"slice({', '.join(map(self.text, (one.start, one.stop, one.step)))})", TIGHT
        return _plain(one)

    def _value(self, value: Value) -> Phrase:
        if value in self.inline:
            return self.inline[value]
        if value.is_constant and not value.is_array:
            return self.phrase(value.array)
        if self.is_number(value):
            return number(value.array), TIGHT
        return self.name(value), TIGHT

    def _index(self, index: Index) -> Phrase:
        """Write an index: ``t + 1``, or ``39 - t`` (a backwards loop ends with t = 0)."""
        start, step, name = index.start, index.step, self.index_names[index.loop]
        if index.loop.backwards:
            start, step = start + step * (index.loop.count - 1), -step
        if step < 0:
            many = name if step == -1 else f"{-step} * {name}"
            return f"{start} - {many}", 5
        many = name if step == 1 else f"{step} * {name}"
        if start == 0:
            return many, TIGHT if step == 1 else 6
        return f"{many} {'+' if start > 0 else '-'} {abs(start)}", 5

    def at_least(self, one: Any, strength: float) -> str:
        """Write an argument, in brackets if its precedence is lower than ``strength``."""
        text, own = self.phrase(one)
        return text if own >= strength else f"({text})"

    # --- calls ------------------------------------------------------------------------------------

    def call(self, event: Event) -> Phrase:
        """Write what an event computes."""
        kind, name, args = event.call.kind, event.call.name, event.args
        row = known(name)
        if self.infix(event) is not None:
            return self._mean(event) or self._factor_one(event) or self._infix(event)
        if row.prefix and kind in ("ufunc", "number", "python"):
            return f"{row.prefix}{self.at_least(args[0], UNARY)}", UNARY
        if kind == "getitem":
            return f"{self.at_least(args[0], TIGHT)}[{self.key(args[1])}]", TIGHT
        if kind == "python":
            return self._of_numbers(event)
        if name == "as_strided" and (windows := self._windows(event)):
            return windows
        if name == "where_positive":
            return self._where_positive(event), TIGHT
        if name == "transpose" and kind == "method" and len(args) == 1:
            return f"{self.at_least(args[0], TIGHT)}.T", TIGHT
        if name == "matrix_transpose":
            flat = args[0].array.ndim == 2
            return f"{self.at_least(args[0], TIGHT)}.{'T' if flat else 'mT'}", TIGHT
        if name == "reshape" and kind == "function" and event.kwargs in ({}, {"copy": None}):
            return self._method(event, {}), TIGHT
        if row.omits_defaults and kind == "function" and isinstance(args[0], Value):
            # An axis of 0 equals False.
            said = {
                key: one
                for key, one in event.kwargs.items()
                if one is not None and one is not False
            }
            return self._method(event, said), TIGHT
        return self.called(event), TIGHT

    def infix(self, event: Event) -> tuple[str, float] | None:
        """Return the operator that an event is written with, and its precedence."""
        found = known(event.call.name).infix
        if found is None or len(event.args) != 2 or event.kwargs:
            return None
        if event.call.kind not in ("ufunc", "number", "function", "python"):
            return None
        if event.call.kind == "ufunc" and found[0] == "**":
            # With a Python number as exponent the operator is another function.
            exponent = event.args[1]
            is_array = isinstance(exponent, Value) and np.ndim(exponent.array) > 0
            return found if is_array and exponent not in self.bare else None
        return found

    def _factor_one(self, event: Event) -> Phrase | None:
        """Write ``1 * x``, with which the chain rule begins, or ``x**1`` as x."""
        first, second = event.args
        if event.call.name in ("pow", "power") and self._is_one(second):
            return self.phrase(first) if self.may_be_aliased(event, first) else None
        if event.call.name not in ("multiply", "mul"):
            return None
        for one, other in (event.args, event.args[::-1]):
            if self._is_one(one) and isinstance(other, Value) and self.may_be_aliased(event, other):
                return self.phrase(other)
        return None

    def _mean(self, event: Event) -> Phrase | None:
        """Write ``x.mean(axis=0)`` for ``x.sum(axis=0) / len(x)``: the same bits."""
        total, count = event.args
        made = total.event if isinstance(total, Value) else None
        if made is None or total not in self.inline or type(count) is not int or not count:
            return None
        if event.call.name != "divide" or made.call.name != "sum" or count > _EXACT:
            return None
        whole, dtype = made.args[0], total.array.dtype
        own = {key for key, one in made.kwargs.items() if one is not None}
        if len(made.args) != 1 or not own <= {"axis", "keepdims"}:
            return None
        is_mean = count * total.array.size == whole.array.size and dtype == whole.array.dtype
        if not is_mean or dtype.char not in "fd":
            return None
        text, strength = self.inline[total]
        before, dot, arguments = text.rpartition(".sum(")
        if not dot or strength != TIGHT or event.result.array.dtype != dtype:
            return None
        return f"{before}.mean({arguments}", TIGHT

    def _is_one(self, one: Any) -> bool:
        if isinstance(one, Value):
            return (one.is_constant and not one.is_array and one.array == 1) or (
                self.inline.get(one) == ("1.0", TIGHT)
            )
        return isinstance(one, int | float) and one == 1

    def may_be_aliased(self, event: Event, source: Value) -> bool:
        """Return whether the result of an event may be the same object as its source."""
        result, array = event.result, source.array
        if not source.is_array:
            return type(array) is type(result.array)
        return same_layout(np.asarray(array), np.asarray(result.array)) and self.unchanged(result)

    def _infix(self, event: Event) -> Phrase:
        sign, strength = known(event.call.name).infix or ("", 0)
        left, right = event.args
        # Neither powers nor comparisons group from the left.
        left_text = self.operand(event, left, strength + (sign == "**" or strength == 1))
        right_text = self.operand(event, right, strength + 0.5)
        if sign == "**" and _is_simple(left_text) and _is_simple(right_text):
            return f"{left_text}**{right_text}", strength
        return f"{left_text} {sign} {right_text}", strength

    def operand(self, event: Event, one: Any, strength: float) -> str:
        """Write an operand; beside an array of its dtype, a number needs no dtype of its own."""
        if not self.is_number(one):
            return self.at_least(one, strength)
        bare = self.takes_python_numbers(event, one)
        if bare and one in self.fractions:
            # A quotient groups from the left.
            return self.fractions[one] if strength <= _QUOTIENT else f"({self.fractions[one]})"
        text = number(one.array, bare=bare)
        return f"({text})" if text.startswith("-") and strength > UNARY else text

    def assigned(self, source: Any, dtype: Any) -> str:
        """Write what is assigned to a part of an array, which casts it to its dtype."""
        if dtype is None or not self.is_number(source):
            return self.text(source)
        own = source.array.dtype
        same = own == dtype or (own.kind, own.itemsize, dtype.kind) == ("f", 8, "f")
        return number(source.array, bare=same)

    def is_number(self, one: Any) -> bool:
        """Return whether an argument is a 0-d array that is the same at every call."""
        if not isinstance(one, Value) or not one.is_array or np.ndim(one.array):
            return False
        return one in self.numbers or one.is_constant

    def takes_python_numbers(self, event: Event, value: Value) -> bool:
        """Return whether an event gives the same for a Python number as for an array full of it.

        The operands that are written before it, and as Python numbers, are so here.
        """
        elementwise = is_elementwise(event)
        if not elementwise and (event.call.name != "where" or event.writes is not None):
            return False
        if known(event.call.name).infix == ("**", 8) and event.args[1] is value:
            return False
        bare = {value, *self.bare}
        other = replace(
            event, args=mapped(event.args, lambda one: _bare(one) if one in bare else one)
        )
        if all(self.is_number(one) or not one.is_array for one in other.inputs):
            return False
        dtype = value.array.dtype
        if elementwise:
            loop, same = other.computed_in(), event.computed_in()
            places = [n for n, one in enumerate(event.args) if one is value]
            if event.kwargs or loop is None or loop != same:
                return False
            if any(loop[n] != dtype for n in places):
                return False
        elif event.result.array.dtype != dtype:
            return False
        if event.writes is not None:
            return True
        fresh = fresh_result(other)
        return fresh is not None and same_layout(fresh, event.result.array)

    def called(self, event: Event, *extra: str) -> str:
        """Write ``function(arguments)``."""
        kind, name = event.call.kind, event.call.name
        if kind == "method":
            return self._method(event, event.kwargs, *extra)
        given = [self.text(one) for one in event.args]
        shape = event.args[0] if known(name).takes_length else None
        if isinstance(shape, tuple) and len(shape) == 1:
            given[0] = self.text(shape[0])
        given += [f"{key}={self.text(one)}" for key, one in event.kwargs.items()]
        if kind == "draw":
            self.helpers[name] = _drawing_source(event.call.function)
            given.insert(0, self.generator(event.generator))
        return f"{self._function(event)}({', '.join([*given, *extra])})"

    def _method(self, event: Event, kwargs: dict[str, Any], *extra: str) -> str:
        receiver, *args = event.args
        if known(event.call.name).spreads and len(args) == 1 and isinstance(args[0], tuple):
            args = list(args[0] or args)
        given = [*map(self.text, args), *(f"{key}={self.text(v)}" for key, v in kwargs.items())]
        text = ", ".join([*given, *extra])
        return f"{self.at_least(receiver, TIGHT)}.{event.call.name}({text})"

    def _function(self, event: Event) -> str:
        kind, name = event.call.kind, event.call.name
        if kind == "draw":
            return name
        if name in ("as_strided", "sliding_window_view"):
            return self._imported(name)
        module = getattr(event.call.function, "__module__", "numpy") or "numpy"
        if is_imported(event):
            name = name.lstrip("_")  # the ufunc behind scipy.special.zeta is called _zeta
            self.helpers[f"import {name}"] = f"from scipy.special import {name}"
            return name
        inner = module.removeprefix("numpy") if module.startswith("numpy.") else ""
        return f"np{inner}.{name}"

    def _imported(self, name: str) -> str:
        self.helpers[f"import {name}"] = f"from numpy.lib.stride_tricks import {name}"
        return name

    def _windows(self, event: Event) -> Phrase | None:
        """Write all windows of an array as NumPy's documentation does; None if not possible."""
        base, result = event.args[0].array, event.result.array
        axes = base.ndim - 2
        if result.ndim != 2 * axes + 3 or result.shape[0] != 1:
            return None
        steps = [result.strides[2 + n] // base.strides[1 + n] for n in range(axes)]
        gaps = [result.strides[2 + axes + n] // base.strides[1 + n] for n in range(axes)]
        counts = result.shape[2 + axes : 2 + 2 * axes]
        spans = tuple([(n - 1) * gap + 1 for n, gap in zip(counts, gaps, strict=True)])
        key = ["None", ":", *[f"::{n}" if n > 1 else ":" for n in steps]]
        key += [":", *[f"::{gap}" for gap in gaps]] if max(gaps) > 1 else []
        while key[-1] == ":":
            key.pop()
        window, axis = (spans[0], 1) if axes == 1 else (spans, tuple(range(1, axes + 1)))
        text = f"sliding_window_view({{x}}, {window}, axis={axis})[{', '.join(key)}]"
        last = f"{text}.swapaxes(-1, -2)" if axes == 1 else f"np.moveaxis({text}, {2 + axes}, -1)"
        names = {"x": base, "np": np, "sliding_window_view": sliding_window_view}
        if not same_layout(eval(last.format(x="x"), names), result):
            return None
        self._imported("sliding_window_view")
        return last.format(x=self.text(event.args[0])), TIGHT

    def _of_numbers(self, event: Event) -> Phrase:
        """Write a function of Python numbers."""
        name = event.call.name
        operands = [self.at_least(one, UNARY) for one in event.args]
        words = known(name).in_words
        if words:
            return words.format(*operands), 6 if name == "square" else LOOSE
        if name == "astype":
            dtype = inspect.getclosurevars(event.call.function).nonlocals["dtype"]
            return f"np.{np.dtype(dtype).name}({self.text(event.args[0])}).item()", TIGHT
        arguments = ", ".join(map(self.text, event.args))
        if hasattr(math, name):
            self.helpers["import math"] = "import math"
            return f"math.{name}({arguments})", TIGHT
        return f"np.{name}({arguments}).item()", TIGHT

    def _where_positive(self, event: Event) -> str:
        """Write ``np.where(condition > 0, x, 0)``, if it has the memory order of the condition."""
        condition, x = event.args
        given = ", ".join(map(self.text, event.args))
        plain = np.where(condition.array > 0, x.array, 0)
        if same_layout(plain, event.result.array):
            return f"np.where({self.at_least(condition, 2)} > 0, {self.text(x)}, 0)"
        self.helpers["where_positive"] = _WHERE_POSITIVE
        return f"where_positive({given})"

    # --- keys -------------------------------------------------------------------------------------

    def key(self, key: Any) -> str:
        """Write what is between square brackets."""
        parts = key if isinstance(key, tuple) else (key,)
        return ", ".join(map(self._key_part, parts)) or "()"

    def _key_part(self, part: Any) -> str:
        if not isinstance(part, slice):
            return "None" if part is None else self.text(part)
        step = None if part.step == 1 else part.step
        start = None if part.start == 0 and step is None else part.start
        ends = ["" if end is None else self.text(end) for end in (start, part.stop)]
        ends += [] if step is None else [self.text(step)]
        if all(" " not in end for end in ends):
            return ":".join(ends)
        return " : ".join(ends).strip().replace(":  :", "::")

    # --- places -----------------------------------------------------------------------------------

    def place(self, value: Value) -> str:
        """Write the target of an assignment to a value's memory."""
        text = self.text(value)
        made = value.event
        is_part = value in self.inline and made is not None and made.call.kind == "getitem"
        return text if is_part else f"{text}[...]"

    def can_be_assigned(self, event: Event) -> bool:
        """Return whether assigning the result of an event gives the same bits as writing it."""
        product = known(event.call.name).shape == "product"
        if not product and not isinstance(event.call.function, np.ufunc):
            return False
        fresh = fresh_result(event)
        if fresh is None or event.writes is None:
            return False
        if product:
            return same_layout(fresh, event.writes.array)
        return bool(fresh.dtype == event.writes.array.dtype)


_EXACT = 1 << 24
"""Up to here float32 holds every integer."""
_WHERE_POSITIVE = '''
def where_positive(condition, x):
    """Return x where condition is positive, 0 elsewhere, in the memory order of condition."""
    out = np.empty_like(condition)
    out[...] = np.where(condition > 0, x, 0)
    return out
'''


def is_imported(event: Event) -> bool:
    """Return whether the code calls a function by its own name, which it imports or defines."""
    kind, name = event.call.kind, event.call.name
    if kind != "ufunc":
        return kind == "draw"
    # NumPy has an i0, too, but no ufunc: it gives other bits than SciPy's.
    return not isinstance(getattr(np, name.partition(".")[0], None), np.ufunc)


def _bare(value: Value) -> Any:
    """Return the Python number that an array is full of."""
    return value.array.flat[0].item()


def _plain(one: Any) -> Phrase:
    if isinstance(one, str):
        return '"' + repr(one)[1:-1].replace('"', '\\"') + '"', TIGHT
    if isinstance(one, np.generic):
        return number(one), TIGHT
    if isinstance(one, float) and not np.isfinite(one):
        return f'float("{one}")', TIGHT
    if isinstance(one, complex):
        parts = ", ".join(_plain(part)[0] for part in (one.real, one.imag))
        return f"complex({parts})", TIGHT
    negative = isinstance(one, float | int) and (one < 0 or np.signbit(one))
    return repr(one), UNARY if negative else TIGHT


def _is_simple(text: str) -> bool:
    return text.isidentifier() or text.replace(".", "").isdigit()


def number(array: Any, *, bare: bool = False) -> str:
    """Write a number with its dtype; a bare one, which takes on the dtype of what is beside it."""
    array = np.asarray(array)
    one = array.item()
    finite = not isinstance(one, float | complex) or np.isfinite(one)
    text = str(array) if finite else _plain(one)[0]
    exact = finite and array.dtype.type(ast.literal_eval(text)) == array
    if bare and (exact or array.dtype == np.float64):
        return text
    return f"np.{array.dtype.name}({text})"


def literal(array: Any) -> str:
    """Write a constant array."""
    if array.ndim > 1 and array.size and not array.flags.c_contiguous and is_dense(array):
        order = order_in_memory(array)
        return f"{literal(array.transpose(order))}.transpose({inverse(order)})"
    dtype = f"dtype=np.{array.dtype.name}"
    shape = array.shape[0] if array.ndim == 1 else array.shape
    if not array.size:
        return f"np.empty({shape}, {dtype})"
    if (array == array.flat[0]).all() and not np.signbit(array.flat[0]):
        if array.flat[0] in (0, 1):
            return f"np.{('zeros', 'ones')[int(array.flat[0])]}({shape}, {dtype})"
        return f"np.full({shape}, {number(array.flat[0], bare=True)}, {dtype})"
    return f"np.array({_nested(array.tolist())}, {dtype})"


def _nested(numbers: Any) -> str:
    if isinstance(numbers, list):
        return f"[{', '.join(map(_nested, numbers))}]"
    return _plain(numbers)[0]


def _drawing_source(draw: Any) -> str:
    """Return the source of a method of ``Generator`` as a function of a NumPy generator."""
    source = textwrap.dedent(inspect.getsource(getattr(Generator, draw.__name__)))
    source = source.replace("self.numpy", "generator").replace("self, ", "generator, ")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(tree)
