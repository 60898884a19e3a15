"""A formula as a small tree: it has a shape, can be computed with NumPy, and can be written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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
    "Shape",
    "Stretched",
    "Sum",
    "SummedOver",
    "Symbol",
    "Taken",
    "Transposed",
    "Value",
    "constant",
    "constant_of",
    "has_gradient",
    "parts_of",
    "size_of",
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
    return 1 + sum(map(size_of, parts_of(formula)))


def parts_of(formula: Formula) -> list[Formula]:
    found: list[Formula] = []
    for part in vars(formula).values():
        found += [one for one in (part if isinstance(part, tuple) else (part,)) if _is_formula(one)]
    return found


def _is_formula(part: object) -> bool:
    return isinstance(part, Formula)


def has_gradient(formula: Formula) -> bool:
    """Whether ∂J/∂x stands in a formula."""
    if isinstance(formula, Symbol):
        return bool(formula.gradient_of)
    return any(map(has_gradient, parts_of(formula)))
