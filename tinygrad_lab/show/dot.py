"""Pictures as DOT source, for further use with Graphviz."""

from __future__ import annotations

from typing import Any

from tinygrad_lab.show import style
from tinygrad_lab.show.marks import Colors
from tinygrad_lab.show.measure import Matrix
from tinygrad_lab.show.picture import Arrow, Box, Content, Picture
from tinygrad_lab.show.style import in_dark

__all__ = ["to_dot"]


def to_dot(picture: Picture) -> str:
    """Write a digraph: a node for each box, an edge for each arrow, a cluster for each module.

    DOT has one theme: with ``"auto"`` it is light.
    """
    from graphviz import Digraph

    color = in_dark if picture.theme == "dark" else str
    ink = {"fontname": "Helvetica,Arial,sans-serif", "fontcolor": color(style.INK)}
    label = _plain("\n".join(filter(None, (picture.heading, _scale_text(picture), picture.note))))
    graph = Digraph(graph_attr={"rankdir": picture.direction, "label": label, **ink})
    graph.attr(tooltip=_plain(picture.title), bgcolor=color(style.PAPER))
    graph.attr("node", shape="box", style="rounded,filled", **ink)
    graph.attr("edge", fontname=ink["fontname"], fontsize="12")
    clusters: dict[str, Any] = {"": graph}
    for place, frame in enumerate(picture.frames):
        clusters[frame.path] = Digraph(name=f"cluster {place}")
        look = {
            "style": "rounded,filled",
            "color": color(style.FRAME_BORDER),
            "fillcolor": color(style.FRAMES[0]),
        }
        clusters[frame.path].attr(label=_plain(frame.title), labeljust="l", **look)
    for one in picture.boxes:
        for box in filter(None, (one, one.backward)):
            label = _plain("\n".join(_box_lines(box)))
            look = _look(box, color)
            clusters[box.frame].node(box.key, label, tooltip=_tip(box.tooltip), **look)
    for frame in reversed(picture.frames):
        clusters[frame.parent].subgraph(clusters[frame.path])
    for arrow in picture.arrows:
        graph.edge(
            arrow.source,
            arrow.target,
            label=_plain(_arrow_text(arrow)),
            fontcolor=color(style.DERIVATIVE),
            color=color(style.LINE if arrow.flows else style.FAINT_LINE),
            style="solid" if arrow.flows else "dashed",
            tooltip=_tip(arrow.tooltip),
        )
    for box in filter(None, (one.backward for one in picture.boxes)):
        for _, place in box.backward_to:
            back = f"{picture.arrows[place].source} back"
            graph.edge(box.key, back, color=color(style.GRADIENT), constraint="false")
    return str(graph.source)


def _plain(text: str) -> str:
    """Escape a text so that Graphviz reads no escapes, entities or markup in it."""
    from graphviz import escape

    # A type of its own says that also "<b>" is text.
    return escape(text.replace("&", "&amp;"))


def _tip(tooltip: str) -> str:
    # Without a tooltip, Graphviz would show the label; a space prevents that.
    return _plain(tooltip or " ")


def _scale_text(picture: Picture) -> str:
    """Say what the colours of boxes mean; what is no number on the scale is said in the boxes."""
    if picture.scale is None or not picture.legend:
        return ""
    low, high = picture.scale.ends
    return f"{picture.scale.title}: from {low}, yellow, to {high}, violet"


def _look(box: Box, color: Colors) -> dict[str, str]:
    look = style.LOOKS["output" if box.output else box.kind]
    border, thickness = look.border, look.border_width
    if box.highlighted:  # DOT has no halo
        border, thickness = style.HIGHLIGHT, 2 * style.LOOKS["output"].border_width
    dashes = ",dashed" if style.LOOKS[box.kind].dashed else ""
    tinted = {} if box.tint is None else {"fontcolor": color(box.tint.ink)}
    return {
        "fillcolor": color(look.header if box.tint is None else box.tint.fill),
        "color": color(border),
        "penwidth": str(thickness),
        "peripheries": "2" if look.double else "1",
        "style": f"rounded,filled{dashes}",
        **tinted,
    }


def _box_lines(box: Box) -> list[str]:
    lines = [f"{box.name} = {box.equation}" if box.equation else box.name]
    for row in box.rows:
        first, *others = _content_lines(row.content)
        lines += [f"{row.label} {first}".strip(), *others]
    return lines


def _arrow_text(arrow: Arrow) -> str:
    content = "\n".join(_content_lines(arrow.content))
    return f"{arrow.label} = {content}" if content else arrow.label


def _content_lines(content: Content) -> list[str]:
    if isinstance(content, Matrix):
        return [f"[{', '.join(row)}]" for row in content.rows]
    return list(content)
