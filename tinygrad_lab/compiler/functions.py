"""What is known of the functions that a trace can hold: one table, one row a function.

A function that has no row is called as it was recorded: it returns new arrays or views, which the
arrays tell (``memory.is_view``), and is written as ``np.name(arguments)``. A row says what more can
be done. To make a function faster or nicer to read, add or change its row; the tests read the
table, and compare replays and the written source of every row with NumPy, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = [
    "ATOM",
    "CHOICE",
    "COMPARISON",
    "FUNCTIONS",
    "PRODUCT",
    "SIGN",
    "SUM",
    "Expression",
    "Function",
    "known",
]

CHOICE, COMPARISON, SUM, PRODUCT, SIGN, ATOM = range(6)
"""Precedence of the parts of an expression of Python numbers, the weakest first."""

Expression = tuple[str, int, tuple[int, ...]]
"""An expression, its precedence, and the least of its operands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """What is known of a function of arrays or numbers."""

    names: tuple[str, ...]
    """The name of its calls, and of those of an equal function."""
    shape: str = ""
    """How the shape of the result follows from those of the arguments: ``"elementwise"``,
    ``"reduced"`` (along axes), ``"joined"`` (along an axis), ``"product"`` (of matrices),
    ``"same elements"`` (in another shape or order), ``"picked"`` (from an array), ``"given"`` (as
    an argument) or ``"like"`` (that of an argument, of which nothing else is read)."""

    # --- recording
    is_method: bool = False
    """Arrays have it as a method."""
    makes: bool = False
    """It makes an array from nothing: the namespace of traced arrays enters it in the trace."""
    writes: tuple[str, ...] = ()
    """The kinds of its calls that write into their first argument, and return nothing."""
    tells: str = ""
    """``"metadata"``: its answer is the same at each call; ``"numbers"``: its result has a shape,
    or a truth value, that depends on numbers, and it is refused."""

    # --- replaying
    into: str = ""
    """How a replay writes the result into memory that it has: ``"copy"``, ``"reorder"`` (a copy in
    another shape), ``"fill"``, ``"reduce"`` (methods only), ``"join"``, ``"dot"``, ``"choose"``,
    ``"mask"``, ``"take"`` or ``"call"`` (a call, and a copy). Ufuncs take such memory as an
    argument."""
    fills_with: Any = None
    """The number that it fills the result with; ``"fill_value"`` if that is an argument."""

    # --- writing loops
    formula: str = ""
    """The formula of each element of the result; of a reduction, that of the next total."""

    # --- writing source
    infix: tuple[str, float] | None = None
    """The operator of two operands, and its precedence."""
    prefix: str = ""
    """The operator of one operand."""
    omits_defaults: bool = False
    """It is written as a method, without arguments that are None or False."""
    takes_length: bool = False
    """It accepts the length of a vector as its shape."""
    spreads: bool = False
    """As a method it takes a shape, or an order of axes, as separate arguments."""
    is_shared: bool = False
    """The array depends on plain arguments only, and is written once."""
    noun: str = ""
    """A name for its result, if not its own."""

    # --- Python numbers
    expression: Expression | None = None
    """Of Python numbers, where it never raises."""
    in_words: str = ""
    """The same, as it is written for readers."""
    is_twice: bool = False
    """The expression has its operand twice."""

    @property
    def is_comparison(self) -> bool:
        """Whether the result is of booleans, by an operator."""
        return self.infix is not None and self.infix[1] == 1


def _row(*names: str, **facts: Any) -> Function:
    return Function(names=names, **facts)


def _arithmetic() -> Iterator[Function]:
    """Yield the operators of arithmetic, of each element alone."""
    both, factors = (SUM, PRODUCT), (PRODUCT, SIGN)
    sums = {"add": ("+", "add"), "sub": ("-", "subtract")}
    for short, (sign, name) in sums.items():
        yield _row(
            *dict.fromkeys((name, short)),
            shape="elementwise",
            infix=(sign, 5),
            formula=f"{{0}} {sign} {{1}}",
            expression=(f"{{}} {sign} {{}}", SUM, both),
        )
    for short, (sign, name) in {"mul": ("*", "multiply"), "truediv": ("/", "divide")}.items():
        yield _row(
            *(name, short),
            shape="elementwise",
            infix=(sign, 6),
            formula=f"{{0}} {sign} {{1}}",
            expression=(f"{{}} {sign} {{}}", PRODUCT, factors),
        )
    yield _row("floor_divide", "floordiv", shape="elementwise", infix=("//", 6))
    yield _row("remainder", "mod", shape="elementwise", infix=("%", 6))
    yield _row("power", "pow", shape="elementwise", infix=("**", 8))
    yield _row(
        *("negative", "neg"),
        shape="elementwise",
        prefix="-",
        formula="-{0}",
        expression=("-{}", SIGN, (ATOM,)),
    )
    yield _row("positive", "pos", shape="elementwise", prefix="+", formula="{0}")


def _truths() -> Iterator[Function]:
    """Yield comparisons, and operators of bits and booleans."""
    yield _row("invert", shape="elementwise", prefix="~")
    yield _row("logical_not", shape="elementwise", in_words="not {0}")
    comparisons = {
        "greater gt": ">",
        "greater_equal ge": ">=",
        "less lt": "<",
        "less_equal le": "<=",
        "equal eq": "==",
        "not_equal ne": "!=",
    }
    for comparison, sign in comparisons.items():
        ordered = (f"{{}} {sign} {{}}", COMPARISON, (SUM, SUM)) if sign[0] in "<>" else None
        yield _row(
            *comparison.split(),
            shape="elementwise",
            infix=(sign, 1),
            formula=f"{{0}} {sign} {{1}}",
            expression=ordered,
        )
    bits = {"or": ("|", 2), "xor": ("^", 3), "and": ("&", 4)}
    for name, infix in bits.items():
        yield _row(f"bitwise_{name}", shape="elementwise", infix=infix)
    yield _row("left_shift", shape="elementwise", infix=("<<", 4.5))
    yield _row("right_shift", shape="elementwise", infix=(">>", 4.5))


def _elementwise() -> Iterator[Function]:
    """Yield other functions of each element alone."""
    for name in ("sqrt", "exp", "log", "tanh", "sin", "cos"):
        yield _row(name, shape="elementwise", formula=f"{name}({{0}})")
    yield _row("absolute", "abs", shape="elementwise", formula="abs({0})")
    for name, sign in (("maximum", ">="), ("minimum", "<=")):
        formula = f"({{0}} if ({{0}} {sign} {{1}} or {{0}} != {{0}}) else {{1}})"
        yield _row(name, shape="elementwise", formula=formula)
    yield _row(
        "square",
        shape="elementwise",
        formula="{0} * {0}",
        expression=("{0} * {0}", PRODUCT, (ATOM,)),
        in_words="{0} * {0}",
        is_twice=True,
    )
    yield _row(
        "relu",
        shape="elementwise",
        expression=("0.0 if {0} <= 0.0 else {0}", CHOICE, (ATOM,)),
        in_words="0.0 if {0} <= 0.0 else {0}",
        is_twice=True,
    )
    yield _row(
        "where",
        shape="elementwise",
        into="choose",
        formula="({1} if {0} else {2})",
        expression=("{1} if {0} else {2}", CHOICE, (COMPARISON,) * 3),
        in_words="{1} if {0} else {2}",
    )
    yield _row(
        "where_positive",
        shape="elementwise",
        into="call",
        formula="({1} if {0} > 0 else {zero})",
        expression=("{1} if {0} > 0.0 else 0.0", CHOICE, (SUM, COMPARISON)),
        in_words="{1} if {0} > 0.0 else 0.0",
    )
    yield _row("where_mask", shape="elementwise", into="mask")
    for name in ("clip", "conj", "round", "choose"):
        yield _row(name, is_method=True)


def _reductions() -> Iterator[Function]:
    """Yield functions along axes."""
    steps = {
        "sum": "{0} + {1}",
        "prod": "{0} * {1}",
        "max": "{1} if ({1} > {0} or {1} != {1}) else {0}",
        "min": "{1} if ({1} < {0} or {1} != {1}) else {0}",
    }
    for name, formula in steps.items():
        yield _row(
            name,
            shape="reduced",
            is_method=True,
            into="reduce",
            formula=formula,
            omits_defaults=True,
        )
    for name in ("mean", "any", "all"):
        yield _row(name, shape="reduced", is_method=True, omits_defaults=True)
    for name in ("argmax", "argmin", "std", "var"):
        yield _row(name, shape="reduced", is_method=True)
    for name in ("cumprod", "cumsum", "argsort", "argpartition", "trace", "searchsorted"):
        yield _row(name, is_method=True)
    for name in ("sort", "partition"):
        yield _row(name, is_method=True, writes=("method",))


def _movers() -> Iterator[Function]:
    """Yield functions that move elements around, copy them or write them."""
    yield _row("reshape", shape="same elements", is_method=True, into="reorder", spreads=True)
    for name in ("ravel", "flatten"):
        yield _row(name, shape="same elements", is_method=True, into="reorder")
    yield _row("transpose", shape="same elements", is_method=True, spreads=True)
    for name in ("squeeze", "swapaxes", "view", "diagonal"):
        yield _row(name, shape="same elements", is_method=True)
    yield _row("as_strided", noun="windows")
    yield _row("astype", shape="same elements", is_method=True, into="copy")
    yield _row("copy", shape="same elements", is_method=True, into="copy", formula="{0}")
    for name in ("array", "ascontiguousarray"):
        yield _row(name, shape="same elements", makes=True, into="copy")
    yield _row("concatenate", "concat", shape="joined", into="join")
    yield _row("pick", shape="picked", into="take")
    yield _row("getitem", shape="picked", noun="part")
    for name in ("take", "repeat"):
        yield _row(name, is_method=True)
    yield _row("dot", shape="product", is_method=True, into="dot")
    yield _row("matmul", shape="product", infix=("@", 6))
    yield _row("fill", is_method=True, writes=("method",))
    yield _row("put", is_method=True, writes=("method", "function"))
    yield _row("at", writes=("ufunc",))
    for name in ("copyto", "place", "putmask", "put_along_axis", "fill_diagonal"):
        yield _row(name, writes=("function",))


def _makers() -> Iterator[Function]:
    """Yield functions that make arrays of a shape, or of that of another array."""
    for name, number in {"empty": None, "zeros": 0, "ones": 1, "full": "fill_value"}.items():
        yield _row(
            name,
            shape="given",
            makes=True,
            into="fill",
            fills_with=number,
            takes_length=True,
            is_shared=number is not None,
        )
        yield _row(f"{name}_like", shape="like", into="fill", fills_with=number)
    for name in ("arange", "eye"):
        yield _row(name, makes=True, is_shared=True)
    for name in ("identity", "linspace", "tri"):
        yield _row(name, makes=True)


def _questions() -> Iterator[Function]:
    """Yield functions that are answered while recording, or refused."""
    for name in (
        *("shape", "ndim", "size", "result_type", "can_cast", "may_share_memory", "shares_memory"),
        *("iscomplexobj", "isrealobj"),
    ):
        yield _row(name, tells="metadata")
    for name in (
        *("nonzero", "unique", "flatnonzero", "argwhere", "extract", "compress", "array_equal"),
        *("allclose", "trim_zeros", "unique_all", "unique_counts", "unique_inverse"),
        *("unique_values", "histogram", "array_equiv", "histogram_bin_edges", "bincount"),
        *("union1d", "intersect1d", "setdiff1d", "setxor1d", "array2string", "array_repr"),
        *("array_str", "iscomplex", "isreal"),
    ):
        yield _row(name, tells="numbers")


def _by_name(rows: Iterable[Function]) -> dict[str, Function]:
    return {name: row for row in rows for name in row.names}


_FAMILIES = (_arithmetic, _truths, _elementwise, _reductions, _movers, _makers, _questions)

FUNCTIONS: dict[str, Function] = _by_name(row for family in _FAMILIES for row in family())
"""The rows by name."""

_UNKNOWN = Function(names=())


def known(name: str) -> Function:
    """Return the row of a function; an empty one if it has none."""
    return FUNCTIONS.get(name, _UNKNOWN)
