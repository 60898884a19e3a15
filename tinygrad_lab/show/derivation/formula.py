"""A formula as a small tree: it has a shape, can be computed with NumPy, and can be written.

The functions in lower case build formulas and simplify as a person does: numbers are gathered in
front, equal terms are added up, a transpose of a transpose goes away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

__all__ = [
    "Apply",
    "Compare",
    "Formula",
    "Matmul",
    "Number",
    "Power",
    "Product",
    "Put",
    "Quotient",
    "Reshaped",
    "Stretched",
    "Sum",
    "SummedOver",
    "Symbol",
    "Taken",
    "Transposed",
    "apply",
    "compare",
    "constant",
    "constant_of",
    "matmul",
    "power",
    "product",
    "put",
    "quotient",
    "reshaped",
    "scaled",
    "size_of",
    "stretched",
    "summed",
    "summed_to",
    "times_what_it_divides",
    "transposed",
]

Shape = tuple[int, ...]
Value = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Formula:
    """One node of the tree."""

    shape: Shape

    def value(self) -> Value:
        """Compute the formula with NumPy."""
        raise NotImplementedError


@dataclass(frozen=True)
class Number(Formula):
    """A number without axes."""

    number: float

    def value(self) -> Value:
        return np.asarray(self.number)


@dataclass(frozen=True)
class Symbol(Formula):
    """A named value of the graph, or the gradient of J with respect to one."""

    name: str
    index: int
    """Of its node in the graph: two values may have one name."""
    gradient_of: str = ""
    """J, where the symbol is ∂J/∂name."""
    array: Callable[[], Value] = field(default=lambda: np.zeros(()), compare=False, repr=False)

    def value(self) -> Value:
        return self.array()


@dataclass(frozen=True)
class Stretched(Formula):
    """The same numbers again along new axes, and along those of size 1."""

    body: Formula

    def value(self) -> Value:
        return np.broadcast_to(self.body.value(), self.shape)


@dataclass(frozen=True)
class Reshaped(Formula):
    """The same elements in another shape."""

    body: Formula

    def value(self) -> Value:
        return self.body.value().reshape(self.shape)


@dataclass(frozen=True)
class Transposed(Formula):
    """Axes in another order; None for the last two exchanged."""

    body: Formula
    axes: tuple[int, ...] | None = None

    def value(self) -> Value:
        array = self.body.value()
        return np.swapaxes(array, -1, -2) if self.axes is None else array.transpose(self.axes)


@dataclass(frozen=True)
class Sum(Formula):
    """Terms that are added, element by element."""

    terms: tuple[Formula, ...]

    def value(self) -> Value:
        total = self.terms[0].value()
        for term in self.terms[1:]:
            total = total + term.value()
        return total


@dataclass(frozen=True)
class Product(Formula):
    """A number times factors, element by element."""

    coefficient: float
    factors: tuple[Formula, ...]

    def value(self) -> Value:
        total = self.factors[0].value()
        for factor in self.factors[1:]:
            total = total * factor.value()
        return total if self.coefficient == 1 else self.coefficient * total


@dataclass(frozen=True)
class Quotient(Formula):
    """One formula divided by another, element by element."""

    above: Formula
    below: Formula

    def value(self) -> Value:
        return np.true_divide(self.above.value(), self.below.value())


@dataclass(frozen=True)
class Power(Formula):
    """A power, element by element."""

    base: Formula
    exponent: Formula

    def value(self) -> Value:
        return np.power(np.asarray(self.base.value(), dtype=float), self.exponent.value())


@dataclass(frozen=True)
class Matmul(Formula):
    """A matrix product, of the last two axes."""

    left: Formula
    right: Formula

    def value(self) -> Value:
        return np.matmul(self.left.value(), self.right.value())


@dataclass(frozen=True)
class Compare(Formula):
    """1 where a comparison holds, 0 elsewhere."""

    sign: str
    left: Formula
    right: Formula

    def value(self) -> Value:
        return COMPARISONS[self.sign](self.left.value(), self.right.value()).astype(float)


@dataclass(frozen=True)
class Apply(Formula):
    """A function by its name, with what computes it."""

    name: str
    arguments: tuple[Formula, ...]
    settings: tuple[tuple[str, Any], ...] = ()
    """What the name says beyond: an axis, a number of classes."""
    function: Callable[..., Value] = field(default=np.asarray, compare=False, repr=False)

    def value(self) -> Value:
        return self.function(*(one.value() for one in self.arguments), **dict(self.settings))


@dataclass(frozen=True)
class SummedOver(Formula):
    """Sums along some axes of the body."""

    body: Formula
    axes: tuple[int, ...]

    def value(self) -> Value:
        return self.body.value().sum(axis=self.axes).reshape(self.shape)


@dataclass(frozen=True)
class Put(Formula):
    """Zeros, with the body added at an index."""

    body: Formula
    words: str
    """The index as it is written."""
    source: int
    """The node that took the elements: two indices may be written alike."""
    index: Callable[[], Any] = field(compare=False, repr=False)
    ones: Formula | None = None
    """What it is with a body of ones, where that has a name: the rows of a one-hot matrix."""

    def value(self) -> Value:
        total = np.zeros(self.shape)
        np.add.at(total, self.index(), self.body.value())
        return total


@dataclass(frozen=True)
class Taken(Formula):
    """The elements of the body at an index."""

    body: Formula
    words: str
    source: int
    index: Callable[[], Any] = field(compare=False, repr=False)

    def value(self) -> Value:
        return self.body.value()[self.index()]


COMPARISONS: dict[str, Callable[..., Value]] = {
    ">": np.greater,
    "≥": np.greater_equal,
    "<": np.less,
    "≤": np.less_equal,
    "=": np.equal,
    "≠": np.not_equal,
}


# --- numbers ---------------------------------------------------------------------------------


def constant(number: float, shape: Shape = ()) -> Formula:
    """Return an array of one number."""
    single = Number((), float(number))
    return Stretched(shape, single) if shape else single


def constant_of(formula: Formula) -> float | None:
    """Return the number that all elements are; None for anything else."""
    if isinstance(formula, Stretched):
        formula = formula.body
    return formula.number if isinstance(formula, Number) else None


def size_of(formula: Formula) -> int:
    """Count the parts of a formula, as a measure of how long it is written."""
    return 1 + sum(map(size_of, _parts(formula)))


def _parts(formula: Formula) -> list[Formula]:
    found: list[Formula] = []
    for part in vars(formula).values():
        found += [one for one in (part if isinstance(part, tuple) else (part,)) if _is_formula(one)]
    return found


def _is_formula(part: object) -> bool:
    return isinstance(part, Formula)


def _has_gradient(formula: Formula) -> bool:
    """Whether ∂J/∂x stands in a formula."""
    if isinstance(formula, Symbol):
        return bool(formula.gradient_of)
    return any(map(_has_gradient, _parts(formula)))


# --- sums and products ------------------------------------------------------------------------


def _shape_of(parts: Sequence[Formula]) -> Shape:
    return np.broadcast_shapes(*(one.shape for one in parts))


def stretched(body: Formula, shape: Shape) -> Formula:
    """Return a formula broadcast to a shape."""
    if body.shape == shape:
        return body
    if isinstance(body, Stretched) or (isinstance(body, Reshaped) and body.body.shape == ()):
        body = body.body
    return Stretched(shape, body)


def _split(formula: Formula) -> tuple[float, tuple[Formula, ...]]:
    """Return a formula as a number and other factors."""
    if isinstance(formula, Number):
        return formula.number, ()
    if isinstance(formula, Product):
        return formula.coefficient, formula.factors
    if isinstance(formula, Stretched):
        number, factors = _split(formula.body)
        return number, (Stretched(formula.shape, _from(1.0, factors, formula.body.shape)),)
    return 1.0, (formula,)


def _from(coefficient: float, factors: Sequence[Formula], shape: Shape) -> Formula:
    if all(constant_of(one) == 1 for one in factors):
        return constant(coefficient, shape)
    if coefficient == 1 and len(factors) == 1:
        return factors[0]
    return Product(shape, coefficient, tuple(factors))


def product(*parts: Formula) -> Formula:
    """Return the product of formulas, element by element."""
    shape = _shape_of(parts)
    coefficient = 1.0
    factors: list[Formula] = []
    for part in parts:
        number, others = _split(part)
        coefficient *= number
        factors += others
    if coefficient == 0:
        return constant(0.0, shape)
    factors = _unstretched(factors, shape)
    factors = _with_powers(factors)
    whole = _from(coefficient, _gathered(factors), _shape_of(factors) if factors else ())
    return stretched(whole, shape)


def _unstretched(factors: list[Formula], shape: Shape) -> list[Formula]:
    """Leave out what only stretches, where the other factors have the whole shape anyway."""
    for place, factor in enumerate(factors):
        if not isinstance(factor, Stretched):
            continue
        rest = factors[:place] + factors[place + 1 :]
        body = list(_split(factor.body)[1])
        if _shape_of([*rest, *body]) == shape:
            return _unstretched([*factors[:place], *body, *factors[place + 1 :]], shape)
    return factors


def _with_powers(factors: list[Formula]) -> list[Formula]:
    """Write a factor that comes several times as a power."""
    counts: dict[Formula, int] = {}
    for factor in factors:
        counts[factor] = counts.get(factor, 0) + 1
    return [power(one, constant(count)) for one, count in counts.items()]


def _gathered(factors: list[Formula]) -> list[Formula]:
    """Write numbers without axes first."""
    return sorted(factors, key=lambda one: len(one.shape) > 0)


def scaled(number: float, formula: Formula) -> Formula:
    """Return a formula times a number."""
    return product(constant(number), formula)


def summed(*parts: Formula) -> Formula:
    """Return the sum of formulas, element by element; equal terms are added up."""
    shape = _shape_of(parts)
    counts: dict[tuple[Formula, ...], float] = {}
    for part in parts:
        for term in part.terms if isinstance(part, Sum) else (part,):
            number, factors = _split(term)
            counts[factors] = counts.get(factors, 0.0) + number
    terms = [
        _from(number, factors, _shape_of(factors) if factors else ())
        for factors, number in counts.items()
        if number != 0
    ]
    if not terms:
        return constant(0.0, shape)
    # A sum is easier to read if what is subtracted comes last, and what comes from above first.
    terms.sort(key=lambda term: (_split(term)[0] < 0, not _has_gradient(term)))
    for place, term in enumerate(terms):
        terms[place] = _unstretched_term(term, terms[:place] + terms[place + 1 :], shape)
    if len(terms) == 1:
        return stretched(terms[0], shape)
    common = abs(_split(terms[0])[0])
    if common == 1 or any(abs(_split(term)[0]) != common for term in terms):
        common = 1.0
    bare = [scaled(1 / common, term) if common != 1 else term for term in terms]
    whole = Sum(_shape_of(bare), tuple(bare))
    return stretched(_from(common, [whole], whole.shape), shape)


def _unstretched_term(term: Formula, others: list[Formula], shape: Shape) -> Formula:
    """Leave out what only stretches a term, where the other terms have the whole shape anyway."""
    number, factors = _split(term)
    bare: list[Formula] = []
    for factor in factors:
        bare += _split(factor.body)[1] if isinstance(factor, Stretched) else [factor]
    bare = [one for one in bare if constant_of(one) != 1]
    found = _from(number, bare, _shape_of(bare) if bare else ())
    return found if others and _shape_of([*others, found]) == shape else term


def quotient(above: Formula, below: Formula) -> Formula:
    """Return one formula divided by another, element by element."""
    divisor = constant_of(below)
    shape = _shape_of([above, below])
    if divisor is not None and divisor != 0:
        return stretched(scaled(1 / divisor, above), shape)
    number, factors = _split(above)
    whole = _from(1.0, factors, above.shape)
    if isinstance(whole, Stretched):
        whole = whole.body if _shape_of([whole.body, below]) == shape else whole
    return scaled(number, Quotient(shape, whole, below)) if number else constant(0.0, shape)


def power(base: Formula, exponent: Formula) -> Formula:
    """Return a power, element by element."""
    shape, number = _shape_of([base, exponent]), constant_of(exponent)
    if number == 0:
        return constant(1.0, shape)
    if number == 1:
        return stretched(base, shape)
    if number is not None and (whole := constant_of(base)) is not None and whole > 0:
        return constant(math.pow(whole, number), shape)
    return Power(shape, base, constant(number) if number is not None else exponent)


def matmul(left: Formula, right: Formula) -> Formula:
    """Return a matrix product, with numbers in front of it."""
    (a, lefts), (b, rights) = _split(left), _split(right)
    first, second = _from(1.0, lefts, left.shape), _from(1.0, rights, right.shape)
    batch = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    shape = (*batch, first.shape[-2], second.shape[-1])
    return scaled(a * b, Matmul(shape, first, second))


# --- shapes -----------------------------------------------------------------------------------


def transposed(body: Formula, axes: tuple[int, ...] | None = None) -> Formula:
    """Return a formula with its axes in another order, by default the last two exchanged."""
    if axes is None:
        shape = (*body.shape[:-2], body.shape[-1], body.shape[-2])
    else:
        shape = tuple(body.shape[axis] for axis in axes)
        last_two = (*range(len(axes) - 2), len(axes) - 1, len(axes) - 2)
        if axes == tuple(range(len(axes))):
            return body
        axes = None if axes == last_two else axes
    if (number := constant_of(body)) is not None:
        return constant(number, shape)
    if isinstance(body, Transposed) and body.axes is None and axes is None:
        return body.body
    if isinstance(body, Product) and all(one.shape in ((), body.shape) for one in body.factors):
        parts = [transposed(one, axes) if one.shape else one for one in body.factors]
        return product(constant(body.coefficient), *parts)
    if isinstance(body, Sum) and all(one.shape == body.shape for one in body.terms):
        return summed(*(transposed(one, axes) for one in body.terms))
    if isinstance(body, Matmul) and axes is None:
        return matmul(transposed(body.right), transposed(body.left))
    return Transposed(shape, body, axes)


def reshaped(body: Formula, shape: Shape) -> Formula:
    """Return a formula in another shape."""
    if body.shape == shape:
        return body
    if (number := constant_of(body)) is not None:
        return constant(number, shape)
    if isinstance(body, Reshaped):
        return reshaped(body.body, shape)
    number, factors = _split(body)
    if number != 1:
        return scaled(number, reshaped(_from(1.0, factors, body.shape), shape))
    if isinstance(body, Sum) and all(one.shape == body.shape for one in body.terms):
        return summed(*(reshaped(one, shape) for one in body.terms))
    return Reshaped(shape, body)


def summed_to(body: Formula, shape: Shape, axes: tuple[int, ...]) -> Formula:
    """Return sums of a formula along some axes, in a shape of as many elements."""
    if not axes:
        return reshaped(body, shape)
    count = math.prod(body.shape[axis] for axis in axes)
    if (number := constant_of(body)) is not None:
        return constant(number * count, shape)
    number, factors = _split(body)
    whole = _from(1.0, factors, body.shape)
    if number != 1:
        return scaled(number, summed_to(whole, shape, axes))
    if isinstance(whole, Stretched) and whole.body.shape in ((), shape):
        return stretched(scaled(count, whole.body), shape)
    if (labels := _labels_counted(whole, axes)) is not None:
        return constant(labels, shape)
    if isinstance(whole, Put) and len(axes) == len(whole.shape):
        return summed_to(whole.body, shape, tuple(range(len(whole.body.shape))))
    return SummedOver(shape, whole, axes)


def _labels_counted(whole: Formula, axes: tuple[int, ...]) -> int | None:
    """Return how many rows of a one-hot matrix, of one 1 each, a sum adds up."""
    inside = whole.body if isinstance(whole, Reshaped) else whole
    if not isinstance(inside, Apply) or inside.name != "onehot":
        return None
    if len(axes) == len(whole.shape):
        return math.prod(inside.shape[:-1])
    return 1 if inside is whole and axes == (len(whole.shape) - 1,) else None


def put(body: Formula, like: Put) -> Formula:
    """Return zeros, with a formula added where ``like`` adds its body."""
    number, factors = _split(body)
    whole = _from(1.0, factors, body.shape)
    if like.ones is not None and constant_of(whole) == 1:
        return scaled(number, like.ones)
    return scaled(number, replace(like, body=whole))


def times_what_it_divides(formula: Formula, divisor: Formula) -> Formula | None:
    """Return put(1 / p[i] at i) times p, which is put(1 at i); None for anything else."""
    number, factors = _split(formula)
    if len(factors) != 1 or not isinstance(one := factors[0], Put):
        return None
    match one.body:
        case Quotient(above=above, below=Taken(body=body, source=source)):
            if body == divisor and source == one.source:
                return scaled(number, put(above, one))
    return None


# --- functions --------------------------------------------------------------------------------


def compare(sign: str, left: Formula, right: Formula) -> Formula:
    """Return 1 where a comparison holds, 0 elsewhere."""
    return Compare(_shape_of([left, right]), sign, left, right)


def apply(
    name: str,
    function: Callable[..., Value],
    *arguments: Formula,
    shape: Shape | None = None,
    **settings: Any,
) -> Formula:
    """Return a function of formulas, elementwise unless a shape is given."""
    made = _shape_of(arguments) if shape is None else shape
    return Apply(made, name, arguments, tuple(settings.items()), function)
