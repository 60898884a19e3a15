"""Writes scenes as self-contained SVG, without ids, scripts or styles that could leak out.

Each piece of text has an element and a place of its own, and all colours are attributes: programs
that know little of SVG, or only its version 1.1, read it as browsers do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from tinygrad_lab.show import style
from tinygrad_lab.show.marks import Group, Mark, Scene, Shape, Text
from tinygrad_lab.show.style import in_dark

__all__ = ["to_svg", "xml_text"]

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_svg(scene: Scene, *, auto: bool = False, fluid: bool = False) -> str:
    """Write a scene as a standalone SVG document, in user units of one CSS pixel.

    Args:
        scene: in the colours of the light theme, if ``auto``.
        auto: whether it is dark where the reader prefers that: a style sheet, which programs that
            do not know of such preferences skip, gives each colour its dark one.
        fluid: whether it shrinks to the width of what is around it. Only for browsers: CairoSVG
            does not know that a height can be ``auto``.
    """
    return "\n".join(_Writer(auto=auto).document(scene, fluid=fluid)) + "\n"


class _Writer:
    """Writes elements, and collects their colours for the style sheet."""

    def __init__(self, *, auto: bool) -> None:
        self._auto = auto
        self._colors: dict[tuple[str, str], None] = {}

    def document(self, scene: Scene, *, fluid: bool) -> Iterator[str]:
        wide, high = _number(scene.width), _number(scene.height)
        ground = f'<rect width="{wide}" height="{high}" {self._paint(fill=scene.paper)}/>'
        groups = [line for group in scene.groups for line in self._group(group)]
        shrinking = ' style="max-width:100%;height:auto"' if fluid else ""
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
            f'viewBox="0 0 {wide} {high}" role="img" font-family="{style.FONTS}"{shrinking}>'
        )
        yield f"<title>{xml_text(scene.title)}</title>"
        if self._auto:
            yield f"<style>@media (prefers-color-scheme: dark) {{{self._dark_rules()}}}</style>"
        yield ground
        yield from groups
        yield "</svg>"

    def _paint(self, **colors: str) -> str:
        """Return the attributes of colours, for ``auto`` with the classes that exchange them."""
        attributes = [f'{name}="{color}"' for name, color in colors.items()]
        if self._auto:
            self._colors |= dict.fromkeys(colors.items())
            classes = " ".join(_class(name, color) for name, color in colors.items())
            attributes.append(f'class="{classes}"')
        return " ".join(attributes)

    def _dark_rules(self) -> str:
        # Names of our own, and the same rules in every picture: a page may hold several.
        return "".join(
            f".{_class(name, color)}{{{name}:{in_dark(color)}}}" for name, color in self._colors
        )

    def _group(self, group: Group) -> Iterator[str]:
        yield f'<g class="{group.role}" data-key="{xml_text(group.key)}">'
        if group.tooltip:
            yield f"<title>{xml_text(group.tooltip)}</title>"
        yield from map(self._mark, group.marks)
        yield "</g>"

    def _mark(self, mark: Mark) -> str:
        return self._text_mark(mark) if isinstance(mark, Text) else self._shape(mark)

    def _text_mark(self, mark: Text) -> str:
        place = f'x="{_number(mark.x)}" y="{_number(mark.y)}" font-size="{_number(mark.size)}"'
        attributes = [place]
        if mark.anchor != "start":
            attributes.append(f'text-anchor="{mark.anchor}"')
        if mark.bold:
            attributes.append('font-weight="bold"')
        if mark.italic:
            attributes.append('font-style="italic"')
        attributes.append(f'{self._paint(fill=mark.color)} xml:space="preserve"')
        return f"<text {' '.join(attributes)}>{xml_text(mark.text)}</text>"

    def _shape(self, shape: Shape) -> str:
        path = " ".join(
            command + " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
            for command, points in shape.steps
        )
        colors = {"fill": shape.fill, "stroke": shape.stroke}
        painted = self._paint(**{name: color for name, color in colors.items() if color})
        attributes = [f'd="{path}"', *(['fill="none"'] * (not shape.fill)), painted]
        if shape.stroke:
            attributes.append(f'stroke-width="{_number(shape.width)}"')
        if shape.dashed:
            attributes.append('stroke-dasharray="4 3"')
        return f"<path {' '.join(attributes)}/>"


def _class(attribute: str, color: str) -> str:
    return f"tinygrad-lab-{attribute}-{color.removeprefix('#')}"


def _number(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def xml_text(text: str) -> str:
    """Write a text for an element or an attribute of XML or HTML.

    Example:
        >>> xml_text("<b title='1'>")
        '&lt;b title=&#x27;1&#x27;&gt;'
    """
    return escape(_valid(text))


def _valid(text: str) -> str:
    """Replace the characters that XML does not allow."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
