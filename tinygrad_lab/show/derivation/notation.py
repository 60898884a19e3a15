"""Writes one tree of a formula in three ways: text for terminals, LaTeX, and MathML Core.

MathML Core (W3C, 2025) is what browsers typeset themselves, without scripts.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Generic, TypeVar

from tinygrad_lab.formatting import MINUS, number as number_text, printable
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
from tinygrad_lab.show.tex import tex_text

__all__ = [
    "LATEX",
    "MATHML",
    "TEXT",
    "Notation",
    "Piece",
    "Pieces",
    "T",
    "joined",
    "lines_of",
    "shape_text",
]

T = TypeVar("T")

_SUM, _PRODUCT, _MATMUL, _POWER, _ATOM = range(1, 6)

_LETTERS = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda"),
    *("mu", "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"),
    *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"),
)


def _greek(name: str) -> str:
    size = "CAPITAL" if name[0].isupper() else "SMALL"
    return unicodedata.lookup(f"GREEK {size} LETTER {name.upper().replace('LAMBDA', 'LAMDA')}")


_GREEK = {name: _greek(name) for name in _LETTERS}
_GREEK |= dict.fromkeys(("lam", "lambda_", "lamda"), _GREEK["lambda"]) | {"eps": _GREEK["epsilon"]}
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
    return _GREEK.get(stem, stem), index


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
                return self.number(number), _ATOM if number >= 0 else _SUM
            case Symbol(gradient_of=""):
                return self.symbol(formula), _ATOM
            case Symbol():
                return self.gradient(formula), _POWER
            case Stretched(body=body):
                ones = self.ones(formula.shape)
                if constant_of(formula) == 1:
                    return ones, _ATOM
                return self.row([self.write(body, _PRODUCT), self.sign("⊙"), ones]), _PRODUCT
            case Sum(terms=terms):
                return self._sum(terms), _SUM
            case Product():
                return self._product(formula)
            case Quotient(above=above, below=below):
                return self.fraction(above, below), _PRODUCT
            case Power(base=base, exponent=Number(number=0.5)):
                return self.root(self.write(base)), _ATOM
            case Power(base=base, exponent=exponent):
                return self.raised(self.write(base, _ATOM), self.write(exponent)), _POWER
            case Matmul(left=left, right=right):
                factors = [self._factor(left), self.write(right, _MATMUL)]
                return self.row(factors), _MATMUL
        return self._named(formula)

    def _named(self, formula: Formula) -> tuple[T, int]:
        """Write what has a name, or a mark of its own."""
        match formula:
            case Reshaped(body=body):
                if _without_ones(body.shape) == _without_ones(formula.shape):
                    seen = _seen_as(body, formula.shape)
                    return self._written(seen)
                return self.call("reshape", [self.write(body)], shape_text(formula.shape)), _ATOM
            case Transposed(body=body, axes=None):
                return self.raised(self.write(body, _ATOM), self.word("ᵀ")), _POWER
            case Transposed(body=body, axes=axes):
                return self.call("permute", [self.write(body)], str(axes)), _ATOM
            case Compare(sign=sign, left=left, right=right):
                inside = [self.write(left, _SUM), self.sign(sign), self.write(right, _SUM)]
                return self.indicator(self.row(inside)), _ATOM
            case SummedOver(body=body, axes=axes):
                along = _axes_text(axes) if formula.shape else ""
                return self.sum_over(self.write(body, _PRODUCT), along), _PRODUCT
            case Put(body=body, words=words):
                return self.call("put", [self.write(body)], f"at {words}"), _ATOM
            case Taken(body=body, words=words):
                return self.indexed(self.write(body, _ATOM), words), _ATOM
            case Apply(name=name, arguments=arguments, settings=settings):
                said = ", ".join(f"{key}={one}" for key, one in settings if key[0] != "_")
                return self.call(name, [self.write(one) for one in arguments], said), _ATOM
        raise NotImplementedError(type(formula).__name__)

    def _sum(self, terms: Sequence[Formula]) -> T:
        parts = [self.write(terms[0], _SUM)]
        for term in terms[1:]:
            if isinstance(term, Product) and term.coefficient < 0:
                term = Product(term.shape, -term.coefficient, term.factors)
                parts += [self.sign(MINUS), self.write(term, _PRODUCT)]
            elif isinstance(term, Number) and term.number < 0:
                parts += [self.sign(MINUS), self.number(-term.number)]
            else:
                parts += [self.sign("+"), self.write(term, _SUM)]
        return self.row(parts)

    def _product(self, formula: Product) -> tuple[T, int]:
        coefficient, factors = formula.coefficient, formula.factors
        if coefficient < 0:
            positive = Product(formula.shape, -coefficient, factors)
            body = positive if coefficient != -1 or len(factors) > 1 else factors[0]
            return self.row([self.minus(), self.write(body, _PRODUCT)]), _SUM
        divisor = round(1 / coefficient)
        if coefficient < 1 and abs(divisor * coefficient - 1) < 1e-12:
            body = factors[0] if len(factors) == 1 else Product(formula.shape, 1.0, factors)
            return self.fraction(body, Number((), divisor)), _PRODUCT
        parts = [] if coefficient == 1 else [self.number(coefficient)]
        for place, factor in enumerate(factors):
            if place and factors[place - 1].shape:
                parts.append(self.sign("⊙"))
            # Beside a factor without axes stands no sign.
            alone = factor.shape or place == len(factors) - 1
            parts.append(self.write(factor, _MATMUL) if alone else self._factor(factor))
        return self.row(parts), _PRODUCT

    def _factor(self, factor: Formula) -> T:
        return self.write(factor, _MATMUL)

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


# --- text -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """A part of a line, and what stands below it."""

    text: str
    below: str = ""
    breaks: bool = False
    """A line may end before it."""


Pieces = tuple[Piece, ...]


class _Text(Notation[Pieces]):
    def row(self, parts: Sequence[Pieces]) -> Pieces:
        pieces: list[Piece] = []
        for part in parts:
            space = pieces and not pieces[-1].text.endswith(("(", MINUS + "\0"))
            pieces += [Piece(" ")] if space else []
            pieces += part
        return tuple(Piece(one.text.replace("\0", ""), one.below, one.breaks) for one in pieces)

    def bracketed(self, inside: Pieces) -> Pieces:
        return (Piece("("), *inside, Piece(")"))

    def number(self, number: float) -> Pieces:
        return (Piece(number_text(number)),)

    def symbol(self, symbol: Symbol) -> Pieces:
        return (Piece(printable("".join(spoken(symbol.name))), shape_text(symbol.shape)),)

    def gradient(self, symbol: Symbol) -> Pieces:
        of, name = ("".join(spoken(one)) for one in (symbol.gradient_of, symbol.name))
        return (Piece(printable(f"∂{of}/∂{name}"), shape_text(symbol.shape)),)

    def ones(self, shape: Shape) -> Pieces:
        return (Piece(f"ones({', '.join(map(str, shape))})"),)

    def sign(self, sign: str) -> Pieces:
        return (Piece(sign, breaks=True),)

    def minus(self) -> Pieces:
        return (Piece(f"{MINUS}\0"),)

    def word(self, word: str) -> Pieces:
        return (Piece(word),)

    def fraction(self, above: Formula, below: Formula) -> Pieces:
        left, right = self.write(above, _PRODUCT), self.write(below, _POWER)
        return (*left, Piece(" / "), *right)

    def root(self, body: Pieces) -> Pieces:
        return (Piece("√("), *body, Piece(")"))

    def raised(self, base: Pieces, exponent: Pieces) -> Pieces:
        text = "".join(piece.text for piece in exponent)
        if text == "ᵀ" or not set(text) - set(f"0123456789{MINUS}"):
            text = text.translate(str.maketrans(f"0123456789{MINUS}", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
            last = Piece(base[-1].text + text, base[-1].below)
            return (*base[:-1], last)
        return (*base, Piece("^("), *exponent, Piece(")"))

    def indicator(self, condition: Pieces) -> Pieces:
        return (Piece("1["), *condition, Piece("]"))

    def sum_over(self, body: Pieces, axes: str) -> Pieces:
        return (Piece(f"Σ({axes}) " if axes else "Σ "), *body)

    def indexed(self, body: Pieces, words: str) -> Pieces:
        return (*body[:-1], Piece(body[-1].text + words, body[-1].below))

    def call(self, name: str, arguments: Sequence[Pieces], said: str) -> Pieces:
        pieces = [Piece(f"{name}(")]
        for place, argument in enumerate(arguments):
            comma = [Piece(","), Piece(" ", breaks=True)]
            pieces += [*(comma if place else ()), *argument]
        end = [Piece(","), Piece(" ", breaks=True), Piece(f"{said})")] if said else [Piece(")")]
        return (*pieces, *end)

    def _factor(self, factor: Formula) -> Pieces:
        # As a fraction in one line, ∂J/∂o hᵀ could be read as ∂J/(∂o hᵀ).
        inside = factor.body if isinstance(factor, Reshaped) else factor
        return self.write(factor, _ATOM if isinstance(inside, Symbol) else _MATMUL)


def joined(pieces: Pieces) -> str:
    """Return a formula in one line, without shapes."""
    return "".join(piece.text for piece in pieces)


def lines_of(pieces: Pieces, width: int, indent: int) -> list[str]:
    """Lay out a formula with the shapes below, in lines of at most a width where it can break."""
    rows: list[list[Piece]] = [[]]
    used = 0
    for piece in pieces:
        wide = max(len(piece.text), len(piece.below))
        if piece.breaks and used + _until_break(pieces, piece) > width - indent:
            rows.append([])
            used = 0
        if not rows[-1] and not piece.text.strip():
            continue
        rows[-1].append(piece)
        used += wide
    lines = []
    for row in rows:
        for text in (
            "".join(p.text.ljust(len(p.below)) for p in row),
            "".join(p.below.ljust(len(p.text)) for p in row),
        ):
            if text.strip():
                lines.append((" " * indent + text).rstrip())
    return lines


def _until_break(pieces: Pieces, start: Piece) -> int:
    """Return the width of a piece and of those after it, up to where the line may break again."""
    place = next(i for i, piece in enumerate(pieces) if piece is start)
    total = 0
    for piece in pieces[place:]:
        if piece.breaks and piece is not start:
            break
        total += max(len(piece.text), len(piece.below))
    return total


# --- LaTeX ------------------------------------------------------------------------------------

_TEX_SIGNS = {
    "⊙": r"\odot", MINUS: "-", "≥": r"\ge", "≤": r"\le", "≠": r"\ne", "×": r"\times",
}  # fmt: skip
_TEX_FUNCTIONS = frozenset({"log", "exp", "sin", "cos", "tan", "tanh", "sinh", "cosh", "det"})
_TEX_GREEK = {_GREEK[name]: rf"\{name}" for name in _LETTERS}


def _tex_sizes(shape: Shape) -> str:
    return r" \times ".join(map(str, shape))


class _Latex(Notation[str]):
    def row(self, parts: Sequence[str]) -> str:
        return r" \, ".join(parts).replace(r" \, \0", " ").replace(r"\0 \, ", " ")

    def bracketed(self, inside: str) -> str:
        return rf"\left({inside}\right)"

    def number(self, number: float) -> str:
        mantissa, e, exponent = number_text(number).replace(MINUS, "-").partition("e")
        mantissa = mantissa.replace("∞", r"\infty").replace("NaN", r"\mathrm{NaN}")
        return rf"{mantissa} \cdot 10^{{{exponent}}}" if e else mantissa

    def _name(self, name: str) -> str:
        stem, index = spoken(name)
        letter = _TEX_GREEK.get(stem, stem)
        if len(stem) > 1:
            letter = rf"\text{{{tex_text(stem)}}}"
        return f"{letter}_{{{index}}}" if index else letter

    def symbol(self, symbol: Symbol) -> str:
        return self._under(self._name(symbol.name), symbol.shape)

    def gradient(self, symbol: Symbol) -> str:
        below = rf"\partial {self._name(symbol.name)}"
        fraction = rf"\frac{{\partial {self._name(symbol.gradient_of)}}}{{{below}}}"
        return self._under(fraction, symbol.shape)

    def _under(self, body: str, shape: Shape) -> str:
        if not shape:
            return body
        return rf"\underset{{{_tex_sizes(shape)}}}{{{body}}}"

    def ones(self, shape: Shape) -> str:
        return rf"\mathbf{{1}}_{{{_tex_sizes(shape)}}}"

    def sign(self, sign: str) -> str:
        return rf"\0{_TEX_SIGNS.get(sign, sign)}\0"

    def minus(self) -> str:
        return r"-\0"

    def word(self, word: str) -> str:
        return r"\top" if word == "ᵀ" else rf"\text{{{tex_text(word)}}}"

    def fraction(self, above: Formula, below: Formula) -> str:
        return rf"\frac{{{self.write(above)}}}{{{self.write(below)}}}"

    def root(self, body: str) -> str:
        return rf"\sqrt{{{body}}}"

    def raised(self, base: str, exponent: str) -> str:
        return f"{{{base}}}^{{{exponent}}}"

    def indicator(self, condition: str) -> str:
        return rf"\mathbf{{1}}\left[{condition}\right]"

    def sum_over(self, body: str, axes: str) -> str:
        return rf"\sum_{{\text{{{axes}}}}} {body}" if axes else rf"\sum {body}"

    def indexed(self, body: str, words: str) -> str:
        return rf"{{{body}}}_{{\text{{{tex_text(words)}}}}}"

    def call(self, name: str, arguments: Sequence[str], said: str) -> str:
        inside = ", ".join([*arguments, *([rf"\text{{{tex_text(said)}}}"] if said else [])])
        command = rf"\{name}" if name in _TEX_FUNCTIONS else rf"\text{{{tex_text(name)}}}"
        return rf"{command}\left({inside}\right)"


# --- MathML Core ------------------------------------------------------------------------------


class _MathML(Notation[str]):
    def row(self, parts: Sequence[str]) -> str:
        return f"<mrow>{''.join(parts)}</mrow>"

    def bracketed(self, inside: str) -> str:
        return f"<mrow><mo>(</mo>{inside}<mo>)</mo></mrow>"

    def number(self, number: float) -> str:
        return f"<mn>{number_text(number)}</mn>"

    def _name(self, name: str) -> str:
        stem, index = spoken(name)
        letter = f"<mi>{escape(printable(stem))}</mi>"
        return f"<msub>{letter}<mn>{index}</mn></msub>" if index else letter

    def symbol(self, symbol: Symbol) -> str:
        return self._under(self._name(symbol.name), symbol.shape)

    def gradient(self, symbol: Symbol) -> str:
        above = f"<mrow><mo>∂</mo>{self._name(symbol.gradient_of)}</mrow>"
        below = f"<mrow><mo>∂</mo>{self._name(symbol.name)}</mrow>"
        return self._under(f"<mfrac>{above}{below}</mfrac>", symbol.shape)

    def _under(self, body: str, shape: Shape) -> str:
        return f"<munder>{body}{self._sizes(shape)}</munder>" if shape else body

    def _sizes(self, shape: Shape) -> str:
        return f"<mrow>{'<mo>×</mo>'.join(f'<mn>{size}</mn>' for size in shape)}</mrow>"

    def ones(self, shape: Shape) -> str:
        return f"<msub><mn>{_BOLD_ONE}</mn>{self._sizes(shape)}</msub>"

    def sign(self, sign: str) -> str:
        return f"<mo>{escape(sign)}</mo>"

    def minus(self) -> str:
        return f"<mo>{MINUS}</mo>"

    def word(self, word: str) -> str:
        return "<mi>T</mi>" if word == "ᵀ" else f"<mtext>{escape(word)}</mtext>"

    def fraction(self, above: Formula, below: Formula) -> str:
        return f"<mfrac>{self.write(above)}{self.write(below)}</mfrac>"

    def root(self, body: str) -> str:
        return f"<msqrt>{body}</msqrt>"

    def raised(self, base: str, exponent: str) -> str:
        return f"<msup>{base}{exponent}</msup>"

    def indicator(self, condition: str) -> str:
        return f"<mrow><mn>{_BOLD_ONE}</mn><mo>[</mo>{condition}<mo>]</mo></mrow>"

    def sum_over(self, body: str, axes: str) -> str:
        sign = f"<munder><mo>∑</mo><mtext>{axes}</mtext></munder>" if axes else "<mo>∑</mo>"
        return f"<mrow>{sign}{body}</mrow>"

    def indexed(self, body: str, words: str) -> str:
        return f"<msub>{body}<mtext>{escape(words)}</mtext></msub>"

    def call(self, name: str, arguments: Sequence[str], said: str) -> str:
        parts = [*arguments, *([f"<mtext>{escape(said)}</mtext>"] if said else [])]
        inside = "<mo>,</mo>".join(parts)
        return f"<mrow><mi>{escape(name)}</mi><mo>(</mo>{inside}<mo>)</mo></mrow>"


TEXT = _Text()
LATEX = _Latex()
MATHML = _MathML()
