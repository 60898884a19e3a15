"""Formulas as MathML Core (W3C, 2025): what browsers typeset themselves, without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tinygrad_lab.formatting import MINUS, number as number_text, printable
from tinygrad_lab.show.derivation.formula import Formula, Shape, Symbol
from tinygrad_lab.show.derivation.notation import Notation, spoken

__all__ = ["MATHML"]

_BOLD_ONE = "\N{MATHEMATICAL BOLD DIGIT ONE}"


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


MATHML = _MathML()
