"""Writes scenes as self-contained SVG, without ids, scripts or style sheets that could leak out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from tinygrad_lab.show import style
from tinygrad_lab.show.marks import Group, Mark, Scene, Shape, Text

__all__ = ["to_svg"]

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_svg(scene: Scene) -> str:
    """Write a scene as a standalone SVG document, in user units of one CSS pixel."""
    return "\n".join(_lines(scene)) + "\n"


def _lines(scene: Scene) -> Iterator[str]:
    wide, high = _number(scene.width), _number(scene.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}" role="img" font-family="{style.FONTS}">'
    )
    yield f"<title>{_text(scene.title)}</title>"
    yield f'<rect width="{wide}" height="{high}" fill="{style.PAPER}"/>'
    for group in scene.groups:
        yield from _group(group)
    yield "</svg>"


def _group(group: Group) -> Iterator[str]:
    yield f'<g class="{group.role}" data-key="{_text(group.key)}">'
    if group.tooltip:
        yield f"<title>{_text(group.tooltip)}</title>"
    yield from map(_mark, group.marks)
    yield "</g>"


def _mark(mark: Mark) -> str:
    return _text_mark(mark) if isinstance(mark, Text) else _shape(mark)


def _text_mark(mark: Text) -> str:
    attributes = [f'x="{_number(mark.x)}" y="{_number(mark.y)}" font-size="{_number(mark.size)}"']
    if mark.anchor != "start":
        attributes.append(f'text-anchor="{mark.anchor}"')
    if mark.bold:
        attributes.append('font-weight="bold"')
    if mark.italic:
        attributes.append('font-style="italic"')
    attributes.append(f'fill="{mark.color}" xml:space="preserve"')
    return f"<text {' '.join(attributes)}>{_text(mark.text)}</text>"


def _shape(shape: Shape) -> str:
    path = " ".join(
        command + " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        for command, points in shape.steps
    )
    attributes = [f'd="{path}" fill="{shape.fill or "none"}"']
    if shape.stroke:
        attributes.append(f'stroke="{shape.stroke}" stroke-width="{_number(shape.width)}"')
    if shape.dashed:
        attributes.append('stroke-dasharray="4 3"')
    return f"<path {' '.join(attributes)}/>"


def _number(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _text(text: str) -> str:
    return escape(_valid(text))


def _valid(text: str) -> str:
    """Replace the characters that XML does not allow."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
