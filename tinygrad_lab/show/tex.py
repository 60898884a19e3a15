r"""Writes scenes as LaTeX: a document of one TikZ picture, which papers can also ``\input``.

It needs the packages ``standalone``, ``tikz`` and ``lmodern``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from tinygrad_lab.formatting import MINUS
from tinygrad_lab.show.marks import Mark, Scene, Shape, Text

__all__ = ["tex_text", "to_tex"]

_BIG_POINTS = 0.75
"""PDF's points in a CSS pixel."""
_MOST = 16000.0 / _BIG_POINTS
"""TeX has no longer lengths."""

_COMMANDS = {
    **{one: rf"\{one}" for one in "{}$&#_%"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    # Two of a kind would be joined to another sign.
    **{one: f"{{{one}}}" for one in "-`,<>!?"},
    "'": r"\textquotesingle{}",
    '"': r"\textquotedbl{}",
    "|": r"\textbar{}",
    "…": r"\ldots{}",
    "–": r"\textendash{}",
}
_MATHS = {
    MINUS: "-",
    "×": r"\times",
    "·": r"\cdot",
    "÷": r"\div",
    "±": r"\pm",
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "↦": r"\mapsto",
    "∂": r"\partial",
    "∇": r"\nabla",
    "∞": r"\infty",
    "√": r"\surd",
    "∏": r"\prod",
    "∑": r"\sum",
    "∫": r"\int",
    "≤": r"\le",
    "≥": r"\ge",
    "≠": r"\ne",
    "≈": r"\approx",
    "∈": r"\in",
    "∧": r"\wedge",
    "∨": r"\vee",
    "¬": r"\neg",
    "⊕": r"\oplus",
    "⊙": r"\odot",
    "⌊": r"\lfloor",
    "⌋": r"\rfloor",
    "⌈": r"\lceil",
    "⌉": r"\rceil",
    "‖": r"\Vert",
    "′": r"{}^{\prime}",
    "°": r"{}^{\circ}",
    "✗": r"\times",
}
_GREEK = {
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi"),
    *("omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi"),
    "Omega",
}
"""The letters that TeX knows; the other capitals are those of Latin."""


def to_tex(scene: Scene) -> str:
    """Write a document of one picture, of the size of the scene at 96 pixels an inch."""
    return "\n".join(_lines(scene)) + "\n"


def _lines(scene: Scene) -> Iterator[str]:
    colors = dict.fromkeys([scene.paper, *_colors(scene)])
    # Beyond what TeX can measure a picture is smaller; text shrinks with it.
    scale = min(1.0, _MOST / max(scene.width, scene.height))
    unit = f"{_number(_BIG_POINTS * scale)}bp"
    yield r"\documentclass[tikz]{standalone}"
    yield r"\usepackage[T1]{fontenc}"
    yield r"\usepackage{textcomp,lmodern}"
    yield r"\begin{document}"
    for color in colors:
        yield rf"\definecolor{{{_name(color)}}}{{HTML}}{{{color.removeprefix('#').upper()}}}"
    yield rf"\begin{{tikzpicture}}[x={unit}, y=-{unit}, inner sep=0pt, outer sep=0pt]"
    corner = f"({_number(scene.width)},{_number(scene.height)})"
    yield rf"\path[use as bounding box, fill={_name(scene.paper)}] (0,0) rectangle {corner};"
    for group in scene.groups:
        for mark in group.marks:
            yield _mark(mark, scale)
    yield r"\end{tikzpicture}"
    yield r"\end{document}"


def _colors(scene: Scene) -> Iterator[str]:
    for group in scene.groups:
        for mark in group.marks:
            used = [mark.color] if isinstance(mark, Text) else [mark.fill, mark.stroke]
            yield from filter(None, used)


def _name(color: str) -> str:
    return f"c{color.removeprefix('#').lower()}"


def _mark(mark: Mark, scale: float) -> str:
    return _text_mark(mark, scale) if isinstance(mark, Text) else _shape(mark, scale)


def _text_mark(mark: Text, scale: float) -> str:
    side = {"start": "base west", "middle": "base", "end": "base east"}[mark.anchor]
    size = _number(mark.size * _BIG_POINTS * scale)
    font = rf"\sffamily\fontsize{{{size}bp}}{{{size}bp}}\selectfont"
    font += r"\bfseries" * mark.bold + r"\itshape" * mark.italic
    look = f"anchor={side}, text={_name(mark.color)}, font={{{font}}}"
    return rf"\node[{look}] at {_point((mark.x, mark.y))} {{{tex_text(mark.text)}}};"


def _shape(shape: Shape, scale: float) -> str:
    look = []
    if shape.fill:
        look.append(f"fill={_name(shape.fill)}")
    if shape.stroke:
        wide = _number(shape.width * _BIG_POINTS * scale)
        look += [f"draw={_name(shape.stroke)}", f"line width={wide}bp"]
    if shape.dashed:
        look.append("dash pattern=on 3bp off 2.25bp")
    steps = []
    for command, points in shape.steps:
        at = [_point(point) for point in points]
        if command == "C":
            steps.append(f".. controls {at[0]} and {at[1]} .. {at[2]}")
        else:
            steps.append({"M": "", "L": "-- ", "Z": "-- cycle"}[command] + "".join(at))
    return rf"\path[{', '.join(look)}] {' '.join(steps)};"


def _point(at: tuple[float, float]) -> str:
    return f"({_number(at[0])},{_number(at[1])})"


def _number(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def tex_text(text: str) -> str:
    r"""Write a text for LaTeX, in which nothing is a command.

    A sign that the usual fonts of LaTeX do not have is written as its number: ``[U+4E2D]``.

    Example:
        >>> tex_text("50% of x_1²"), tex_text("中")
        ('50\\% of x\\_1\\textsuperscript{2}', '[U+4E2D]')
    """
    return "".join(map(_sign, text))


def _sign(one: str) -> str:
    if one in _COMMANDS:
        return _COMMANDS[one]
    if maths := _MATHS.get(one) or _greek(one):
        return f"${maths}$"
    if " " <= one <= "~":
        return one
    # ², ₀, ᵀ: what they are of another sign.
    kind, _, plain = unicodedata.decomposition(one).partition(" ")
    if kind in ("<super>", "<sub>") and " " not in plain:
        return rf"\text{kind[1:-1]}script{{{_sign(chr(int(plain, 16)))}}}"
    if "À" <= one <= "ÿ":
        return one
    return f"[U+{ord(one):04X}]"


def _greek(one: str) -> str:
    """Return the command for a Greek letter; ``""`` for another sign."""
    words = unicodedata.name(one, "").replace("LAMDA", "LAMBDA").split()
    if len(words) != 4 or words[0] != "GREEK" or words[2] != "LETTER":
        return ""
    name = words[3].lower() if words[1] == "SMALL" else words[3].capitalize()
    return rf"\{name}" if name in _GREEK else ""
