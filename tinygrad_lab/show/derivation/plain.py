"""Formulas as text for terminals, with the shape below each factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinygrad_lab.formatting import MINUS, number as number_text, printable
from tinygrad_lab.show.derivation.formula import Formula, Reshaped, Shape, Symbol
from tinygrad_lab.show.derivation.notation import (
    ATOM,
    MATMUL,
    POWER,
    PRODUCT,
    Notation,
    shape_text,
    spoken,
)

__all__ = ["TEXT", "Piece", "Pieces", "joined", "lines_of"]


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
        left, right = self.write(above, PRODUCT), self.write(below, POWER)
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
        return self.write(factor, ATOM if isinstance(inside, Symbol) else MATMUL)


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


TEXT = _Text()
