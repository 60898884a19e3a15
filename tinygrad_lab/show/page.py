"""Writes scenes as an HTML page: self-contained, with a policy under which no script runs."""

from __future__ import annotations

from tinygrad_lab.show.marks import Scene
from tinygrad_lab.show.style import in_dark
from tinygrad_lab.show.svg import to_svg, xml_text

__all__ = ["to_page"]

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ margin: 0; text-align: center; background: {paper}; }}{dark}</style>
</head>
<body>
{svg}</body>
</html>
"""


def to_page(scene: Scene, *, auto: bool) -> str:
    """Write a page that shows a scene, and shrinks it to the width of the window.

    Args:
        scene: in the colours of the light theme, if ``auto``.
        auto: whether it is dark where the reader prefers that.
    """
    rule = (
        f"@media (prefers-color-scheme: dark) {{ body {{ background: {in_dark(scene.paper)}; }} }}"
    )
    return _PAGE.format(
        title=xml_text(scene.title),
        paper=scene.paper,
        dark=f" {rule}" if auto else "",
        svg=to_svg(scene, auto=auto, fluid=True),
    )
