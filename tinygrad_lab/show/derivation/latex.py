"""Formulas as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_lab.formatting import MINUS, number as number_text
from tinygrad_lab.show.derivation.formula import Formula, Shape, Symbol
from tinygrad_lab.show.derivation.notation import GREEK, LETTERS, Notation, spoken
from tinygrad_lab.show.tex import tex_text

__all__ = ["LATEX"]

_TEX_SIGNS = {
    "⊙": r"\odot", MINUS: "-", "≥": r"\ge", "≤": r"\le", "≠": r"\ne", "×": r"\times",
}  # fmt: skip
_TEX_FUNCTIONS = frozenset({"log", "exp", "sin", "cos", "tan", "tanh", "sinh", "cosh", "det"})
_TEX_GREEK = {GREEK[name]: rf"\{name}" for name in LETTERS}


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


LATEX = _Latex()
