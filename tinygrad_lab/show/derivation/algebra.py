"""Builds formulas and simplifies them as a person does.

Numbers are gathered in front, equal terms are added up, a transpose of a transpose goes away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lab.show.derivation.formula import (
    Apply,
    Compare,
    Formula,
    Matmul,
    Number,
    Power,
    Product,
    Put,
    Quotient,
    Reshaped,
    Shape,
    Stretched,
    Sum,
    SummedOver,
    Taken,
    Transposed,
    Value,
    constant,
    constant_of,
    has_gradient,
)

__all__ = [
    "apply",
    "compare",
    "matmul",
    "power",
    "product",
    "put",
    "quotient",
    "reshaped",
    "scaled",
    "stretched",
    "summed",
    "summed_to",
    "times_what_it_divides",
    "transposed",
]


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
    terms.sort(key=lambda term: (_split(term)[0] < 0, not has_gradient(term)))
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
