"""How one tree of a formula is written, in whatever notation: signs, brackets, names."""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from tinygrad_lab.formatting import MINUS
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
    Symbol,
    Taken,
    Transposed,
    constant_of,
)

__all__ = [
    "ATOM",
    "GREEK",
    "LETTERS",
    "MATMUL",
    "POWER",
    "PRODUCT",
    "SUM",
    "Notation",
    "T",
    "shape_text",
    "spoken",
]

T = TypeVar("T")

SUM, PRODUCT, MATMUL, POWER, ATOM = range(1, 6)

LETTERS = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda"),
    *("mu", "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"),
    *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"),
)


def _greek(name: str) -> str:
    size = "CAPITAL" if name[0].isupper() else "SMALL"
    return unicodedata.lookup(f"GREEK {size} LETTER {name.upper().replace('LAMBDA', 'LAMDA')}")


GREEK = {name: _greek(name) for name in LETTERS}
GREEK |= dict.fromkeys(("lam", "lambda_", "lamda"), GREEK["lambda"]) | {"eps": GREEK["epsilon"]}
_BOLD_ONE = "\N{MATHEMATICAL BOLD DIGIT ONE}"


def shape_text(shape: Shape) -> str:
    """Write the sizes of an array: ``3×4``; nothing for a single number."""
    return "×".join(map(str, shape))


def spoken(name: str) -> tuple[str, str]:
    """Split a name into its letter and its index: ``lam_2`` is λ with 2.

    Example:
        >>> spoken("W1"), spoken("lam"), spoken("loss")
        (('W', '1'), ('λ', ''), ('loss', ''))
    """
    found = re.fullmatch(r"([^\W\d_]+)_?(\d+)", name)
    stem, index = found.groups() if found else (name, "")
    return GREEK.get(stem, stem), index


class Notation(ABC, Generic[T]):
    """A way to write formulas. What is written is of type T."""

    def write(self, formula: Formula, around: int = 0) -> T:
        """Write a formula, in brackets if what is around it binds more tightly."""
        written, own = self._written(formula)
        return self.bracketed(written) if own < around else written

    def _written(self, formula: Formula) -> tuple[T, int]:
        """Write a formula; return it with how tightly its outermost sign binds."""
        match formula:
            case Number(number=number):
                return self.number(number), ATOM if number >= 0 else SUM
            case Symbol(gradient_of=""):
                return self.symbol(formula), ATOM
            case Symbol():
                return self.gradient(formula), POWER
            case Stretched(body=body):
                ones = self.ones(formula.shape)
                if constant_of(formula) == 1:
                    return ones, ATOM
                return self.row([self.write(body, PRODUCT), self.sign("⊙"), ones]), PRODUCT
            case Sum(terms=terms):
                return self._sum(terms), SUM
            case Product():
                return self._product(formula)
            case Quotient(above=above, below=below):
                return self.fraction(above, below), PRODUCT
            case Power(base=base, exponent=Number(number=0.5)):
                return self.root(self.write(base)), ATOM
            case Power(base=base, exponent=exponent):
                return self.raised(self.write(base, ATOM), self.write(exponent)), POWER
            case Matmul(left=left, right=right):
                factors = [self._factor(left), self.write(right, MATMUL)]
                return self.row(factors), MATMUL
        return self._named(formula)

    def _named(self, formula: Formula) -> tuple[T, int]:
        """Write what has a name, or a mark of its own."""
        match formula:
            case Reshaped(body=body):
                if _without_ones(body.shape) == _without_ones(formula.shape):
                    seen = _seen_as(body, formula.shape)
                    return self._written(seen)
                return self.call("reshape", [self.write(body)], shape_text(formula.shape)), ATOM
            case Transposed(body=body, axes=None):
                return self.raised(self.write(body, ATOM), self.word("ᵀ")), POWER
            case Transposed(body=body, axes=axes):
                return self.call("permute", [self.write(body)], str(axes)), ATOM
            case Compare(sign=sign, left=left, right=right):
                inside = [self.write(left, SUM), self.sign(sign), self.write(right, SUM)]
                return self.indicator(self.row(inside)), ATOM
            case SummedOver(body=body, axes=axes):
                along = _axes_text(axes) if formula.shape else ""
                return self.sum_over(self.write(body, PRODUCT), along), PRODUCT
            case Put(body=body, words=words):
                return self.call("put", [self.write(body)], f"at {words}"), ATOM
            case Taken(body=body, words=words):
                return self.indexed(self.write(body, ATOM), words), ATOM
            case Apply(name=name, arguments=arguments, settings=settings):
                said = ", ".join(f"{key}={one}" for key, one in settings if key[0] != "_")
                return self.call(name, [self.write(one) for one in arguments], said), ATOM
        raise NotImplementedError(type(formula).__name__)

    def _sum(self, terms: Sequence[Formula]) -> T:
        parts = [self.write(terms[0], SUM)]
        for term in terms[1:]:
            if isinstance(term, Product) and term.coefficient < 0:
                term = Product(term.shape, -term.coefficient, term.factors)
                parts += [self.sign(MINUS), self.write(term, PRODUCT)]
            elif isinstance(term, Number) and term.number < 0:
                parts += [self.sign(MINUS), self.number(-term.number)]
            else:
                parts += [self.sign("+"), self.write(term, SUM)]
        return self.row(parts)

    def _product(self, formula: Product) -> tuple[T, int]:
        coefficient, factors = formula.coefficient, formula.factors
        if coefficient < 0:
            positive = Product(formula.shape, -coefficient, factors)
            body = positive if coefficient != -1 or len(factors) > 1 else factors[0]
            return self.row([self.minus(), self.write(body, PRODUCT)]), SUM
        divisor = round(1 / coefficient)
        if coefficient < 1 and abs(divisor * coefficient - 1) < 1e-12:
            body = factors[0] if len(factors) == 1 else Product(formula.shape, 1.0, factors)
            return self.fraction(body, Number((), divisor)), PRODUCT
        parts = [] if coefficient == 1 else [self.number(coefficient)]
        for place, factor in enumerate(factors):
            if place and factors[place - 1].shape:
                parts.append(self.sign("⊙"))
            # Beside a factor without axes stands no sign.
            alone = factor.shape or place == len(factors) - 1
            parts.append(self.write(factor, MATMUL) if alone else self._factor(factor))
        return self.row(parts), PRODUCT

    def _factor(self, factor: Formula) -> T:
        return self.write(factor, MATMUL)

    @abstractmethod
    def row(self, parts: Sequence[T]) -> T:
        """Write parts beside each other."""

    @abstractmethod
    def bracketed(self, inside: T) -> T:
        """Write round brackets."""

    @abstractmethod
    def number(self, number: float) -> T:
        """Write a number."""

    @abstractmethod
    def symbol(self, symbol: Symbol) -> T:
        """Write a name, with its shape below."""

    @abstractmethod
    def gradient(self, symbol: Symbol) -> T:
        """Write ∂J/∂name, with its shape below."""

    @abstractmethod
    def ones(self, shape: Shape) -> T:
        """Write an array of ones."""

    @abstractmethod
    def sign(self, sign: str) -> T:
        """Write a sign between two formulas."""

    @abstractmethod
    def minus(self) -> T:
        """Write the minus before a formula."""

    @abstractmethod
    def word(self, word: str) -> T:
        """Write a short word, such as the T of a transpose."""

    @abstractmethod
    def fraction(self, above: Formula, below: Formula) -> T:
        """Write a fraction."""

    @abstractmethod
    def root(self, body: T) -> T:
        """Write a square root."""

    @abstractmethod
    def raised(self, base: T, exponent: T) -> T:
        """Write an exponent."""

    @abstractmethod
    def indicator(self, condition: T) -> T:
        """Write 1 where a condition holds, else 0."""

    @abstractmethod
    def sum_over(self, body: T, axes: str) -> T:
        """Write a sum along axes, or of all elements."""

    @abstractmethod
    def indexed(self, body: T, words: str) -> T:
        """Write elements at an index."""

    @abstractmethod
    def call(self, name: str, arguments: Sequence[T], said: str) -> T:
        """Write a function of formulas, and what is said beside them."""


def _without_ones(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def _seen_as(body: Formula, shape: Shape) -> Formula:
    """Show the shape that a value has here: a vector is a column in a matrix product."""
    if isinstance(body, Symbol):
        return Symbol(shape, body.name, body.index, body.gradient_of)
    return body


def _axes_text(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
