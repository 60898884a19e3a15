"""What a notebook shows: run by a real kernel, where one is installed."""

from __future__ import annotations

import re
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.errors import DrawingError

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")


def run(*cells: str) -> list[list[dict[str, Any]]]:
    """Run cells in a kernel, and return the outputs of each."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbclient.NotebookClient(notebook, timeout=120).execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.fixture(scope="module")
def outputs() -> list[list[dict[str, Any]]]:
    return run(
        "import tinygrad_lab as tg\nx = tg.scalar(2.0)",
        "y = tg.sin(x)\nz = y * x",
        "tg.graph(z)",
        "tg.draw(z)",
        "for factor in (1.0, 2.0, 3.0):\n    tg.draw(z * factor).show()",
        "try:\n    tg.ones((2,)) @ tg.ones((3,))\nexcept Exception as error:\n    print(error)",
    )


def test_a_line_is_that_of_a_cell(outputs: Any) -> None:
    table = outputs[2][0]["data"]["text/html"]
    assert "In[2]:1: y = tg.sin(x)" in table
    assert "In[2]:2: z = y * x" in table
    svg = outputs[3][0]["data"]["image/svg+xml"]
    assert "In[2]:2: z = y * x" in "".join(svg)
    assert "In[6]:2: tg.ones((2,)) @ tg.ones((3,))" in outputs[5][0]["text"]
    assert not re.search(r"ipykernel_\d+|\d{6,}\.py", str(outputs))


def test_a_loop_shows_each_picture(outputs: Any) -> None:
    pictures = [one["data"]["image/svg+xml"] for one in outputs[4]]
    assert len(pictures) == len(set(map(str, pictures))) == 3


# --- tables ---------------------------------------------------------------------------------------


def cells(html: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_a_graph_is_a_table_with_what_is_not_finite_in_bold() -> None:
    x = tg.tensor(np.array([np.nan, 1, 2, 3, -np.inf, np.inf, 9]), name="x", requires_grad=True)
    y = tg.sum(x * 2.0)
    y.backward()
    header, first, *others = cells(tg.graph(y)._repr_html_())
    assert header[:6] == ["#", "node", "op", "inputs", "shape", "value"]
    assert first[1:3] == ["x", "leaf"]
    assert first[5] == "<strong>1 … 9, 1 NaN, 1 inf, 1 -inf</strong>"
    assert first[6] == "2 … 2"
    assert len(others) == 3


def test_names_and_numbers_around_are_not_taken_for_infinities() -> None:
    banana = tg.scalar(1.0, name="banana and info")
    assert "<strong>" not in tg.graph(banana * 2.0)._repr_html_()


def test_a_table_has_the_rows_of_the_text() -> None:
    x = tg.scalar(0.5, name="<b>x</b>")
    y = tg.sin(x) * x
    text = str(tg.graph(y)).splitlines()
    rows = cells(tg.graph(y)._repr_html_())
    assert [row[0] for row in rows] == [line.split()[0] for line in text]
    assert "<b>" not in tg.graph(y)._repr_html_()


def test_a_long_table_shows_its_ends() -> None:
    y = tg.scalar(0.5)
    for _ in range(999):
        y = tg.sin(y)
    rows = cells(tg.graph(y)._repr_html_())
    assert len(rows) == 202
    assert rows[101][:2] == ["…", "800 more nodes: print(graph) shows all"]
    assert [rows[100][0], rows[102][0], rows[-1][0]] == ["99", "900", "999"]


# --- outside of a notebook ------------------------------------------------------------------------


def test_elsewhere_a_browser_shows_the_page(monkeypatch: Any, tmp_path: Path) -> None:
    opened: list[str] = []
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(webbrowser, "open", lambda url: not opened.append(url))
    drawing = tg.draw(tg.sin(tg.scalar(1.0)))
    drawing.show()
    (page,) = tmp_path.rglob("*.html")
    assert opened == [page.as_uri()]
    assert page.read_text() == drawing.html


def test_where_no_browser_opens_the_error_says_where_the_picture_is(monkeypatch: Any) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    with pytest.raises(DrawingError, match=r"the picture is in .*graph\.html"):
        tg.draw(tg.sin(tg.scalar(1.0))).show()
