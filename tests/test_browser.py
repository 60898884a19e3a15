"""Pictures in a real browser: what is legible, what touches, what runs.

Chromium is driven by Playwright (the extra ``test``); without either, these tests are skipped.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

import tinygrad_lab as tg

from .hostile_names import HOSTILE, drawings
from .nets_to_draw import NETS, loss_of

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")

BROWSERS = "chromium", "chromium-browser", "google-chrome"
ON_A_SLIDE = [*((name, "modules") for name in NETS), ("MLP", "layers"), ("CNN", "layers")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of 1600 × 900 pixels, the size of a slide."""
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    yield page
    page.close()


def show(page: Any, svg: str) -> None:
    page.set_content(f'<!doctype html><body style="margin: 0">{svg}')


MEASURE = """() => {
    const place = (element) => {
        const {left, top, right, bottom} = element.getBoundingClientRect();
        return [left, top, right, bottom];
    };
    const all = (selector) => [...document.querySelectorAll(selector)];
    const along = (path) => {
        const length = path.getTotalLength(), points = [];
        for (let at = 0; at <= length; at += 2) {
            const {x, y} = path.getPointAtLength(at).matrixTransform(path.getScreenCTM());
            points.push([x, y]);
        }
        return points;
    };
    return {
        slide: place(document.querySelector("svg")),
        texts: all("svg text").map((text) => ({
            text: text.textContent,
            size: parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().d,
            place: place(text),
        })),
        boxes: Object.fromEntries(
            all("g.node").map((box) => [box.dataset.key, place(box.querySelector("path"))])
        ),
        lines: all("g.edge").map((edge) => ({
            key: edge.dataset.key,
            points: along(edge.querySelector("path")),
        })),
    };
}"""


Rectangle = tuple[float, float, float, float]


def apart(one: Rectangle, other: Rectangle) -> bool:
    (a, b, c, d), (e, f, g, h) = one, other
    return a >= g or e >= c or b >= h or f >= d


@pytest.mark.parametrize(("name", "level"), ON_A_SLIDE)
class TestANetOnASlide:
    @pytest.fixture
    def drawing(self, name: str, level: Any) -> Any:
        return tg.draw(loss_of(name), level=level, width="16:9")

    @pytest.fixture
    def seen(self, page: Any, drawing: Any) -> Any:
        show(page, drawing.svg)
        return page.evaluate(MEASURE)

    def test_is_legible(self, seen: Any) -> None:
        assert seen["slide"] == [0, 0, 1600, 900]
        assert min(text["size"] for text in seen["texts"]) >= 12

    def test_has_texts_apart_and_on_the_slide(self, seen: Any) -> None:
        for one in seen["texts"]:
            left, top, right, bottom = one["place"]
            assert left >= 0
            assert top >= 0
            assert right <= 1600
            assert bottom <= 900
        for one, other in itertools.combinations(seen["texts"], 2):
            assert apart(one["place"], other["place"]), f"{one['text']} on {other['text']}"

    def test_has_no_line_under_a_box(self, seen: Any) -> None:
        for line, (key, (a, b, c, d)) in itertools.product(seen["lines"], seen["boxes"].items()):
            for x, y in line["points"]:
                assert not (a + 1 < x < c - 1 and b + 1 < y < d - 1), f"{line['key']} under {key}"

    def test_has_no_line_through_a_text(self, seen: Any) -> None:
        for line, text in itertools.product(seen["lines"], seen["texts"]):
            a, b, c, d = text["place"]
            assert not any(a < x < c and b < y < d for x, y in line["points"]), text["text"]

    def test_has_a_straight_spine(self, seen: Any, drawing: Any) -> None:
        boxes = [seen["boxes"][key] for key in drawing.picture.spine]
        for (a, b, c, d), (e, f, _, h) in itertools.pairwise(boxes):
            begins_a_row = e < a
            if not begins_a_row:
                assert e > c
                assert abs((b + d) - (f + h)) / 2 <= 10


def test_a_picture_fits_the_cell_of_a_notebook(page: Any) -> None:
    drawing = tg.draw(loss_of("MLP"))
    page.set_content(f'<!doctype html><div style="width: 700px">{drawing._repr_svg_()}</div>')
    seen = page.evaluate(MEASURE)
    left, top, right, bottom = seen["slide"]
    assert drawing._scene.width > 1600
    assert right - left == 700
    whole = drawing._scene.height / drawing._scene.width
    assert (bottom - top) / (right - left) == pytest.approx(whole, rel=0.01)


def test_a_page_fits_the_window_and_follows_its_reader(browser: Any) -> None:
    page = browser.new_page(viewport={"width": 500, "height": 400}, color_scheme="dark")
    page.set_content(tg.draw(loss_of("MLP"), theme="auto").html)
    assert page.evaluate("document.documentElement.scrollWidth") == 500
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    paper = page.evaluate("getComputedStyle(document.querySelector('rect')).fill")
    page.close()
    assert ground == paper == "rgb(20, 23, 27)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_follows_what_its_reader_prefers(browser: Any, scheme: Any) -> None:
    loss = loss_of("MLP")
    page = browser.new_page(color_scheme=scheme)
    colors = []
    for theme in ("auto", scheme):
        show(page, tg.draw(loss, theme=theme).svg)
        colors.append(page.evaluate(COLORS))
    page.close()
    assert len(set(map(tuple, colors[0]))) > 8
    assert colors[0] == colors[1]


COLORS = """() => [...document.querySelectorAll("svg rect, svg path, svg text")].map((mark) => {
    const {fill, stroke} = getComputedStyle(mark);
    return [fill, stroke];
})"""


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_runs_a_script(page: Any, name: str) -> None:
    for drawing in drawings(name):
        # In a page of one's own, which allows scripts, and in the page that is written.
        for html in (f"<!doctype html><title>mine</title>{drawing.svg}", drawing.html):
            page.set_content(html)
            page.mouse.move(800, 450)
            assert page.title() != "taken"
            assert page.evaluate("document.title") not in ("taken", "1")
            assert page.locator("script, img, iframe, object, image, foreignObject").count() == 0
            assert page.locator("svg > g").count() > 3
