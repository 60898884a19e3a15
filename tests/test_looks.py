"""How pictures look: themes, contrast, the size of text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.errors import ArgumentError, TinygradLabError
from tinygrad_lab.show.marks import Scene, Shape, Text
from tinygrad_lab.show.style import in_dark

from .nets_to_draw import NETS, loss_of

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")


def small() -> Any:
    x = tg.tensor([[1.0, -20.5], [3e-7, np.nan]], name="x", requires_grad=True)
    f = (x * 3.0).sum()
    f.backward()
    return f


def failed() -> TinygradLabError:
    with pytest.raises(TinygradLabError) as caught:
        tg.relu(tg.ones((2, 3), requires_grad=True)) @ tg.ones((4, 3))
    return caught.value


def pictures(theme: Any) -> Iterator[Any]:
    """Yield pictures with all kinds of boxes and marks."""
    f = small()
    yield tg.draw(f, highlight=f, theme=theme)
    yield tg.draw(failed(), theme=theme)
    for name in NETS:
        yield tg.draw(loss_of(name), theme=theme)
        yield tg.draw(loss_of(name), level="layers", title="A net", theme=theme)
    x = tg.scalar(0.5)
    for _ in range(100):
        x = tg.sin(x)
    yield tg.draw(x, most=10, theme=theme)


# --- contrast -------------------------------------------------------------------------------------


def luminance(color: str) -> float:
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


def grounds(scene: Scene) -> Iterator[tuple[Text, str]]:
    """Yield each text with the colour under its middle."""
    shapes: list[tuple[float, float, float, float, str]] = []
    for group in scene.groups:
        for mark in group.marks:
            if isinstance(mark, Text):
                shift = {"start": 0.5, "middle": 0.0, "end": -0.5}[mark.anchor]
                x = mark.x + shift * mark.size
                y = mark.y - 0.3 * mark.size
                under = [color for a, b, c, d, color in shapes if a < x < c and b < y < d]
                yield mark, under[-1] if under else scene.paper
            elif mark.fill:
                xs, ys = zip(*(at for _, points in mark.steps for at in points), strict=True)
                shapes.append((min(xs), min(ys), max(xs), max(ys), mark.fill))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(theme: str) -> None:
    seen = set()
    for drawing in pictures(theme):
        for text, ground in grounds(drawing._scene):
            seen.add(ground)
            assert contrast(text.color, ground) >= 4.5, (text.text, text.color, ground)
    assert len(seen) >= 8  # paper, headers, frames, pills


def test_each_dark_colour_is_of_one_light_one() -> None:
    """A picture that follows its reader says the dark colour of each light one."""
    light, dark = (tg.draw(small(), theme=theme)._scene for theme in ("light", "dark"))
    for group, other in zip(light.groups, dark.groups, strict=True):
        for mark, dark_mark in zip(group.marks, other.marks, strict=True):
            assert mark.recolored(in_dark) == dark_mark


# --- themes ---------------------------------------------------------------------------------------


def test_light_is_what_is_drawn_unless_asked() -> None:
    f = small()
    assert tg.draw(f).svg == tg.draw(f, theme="light").svg
    assert "<style" not in tg.draw(f, theme="dark").svg


def test_auto_is_the_light_picture_with_a_rule_for_each_colour() -> None:
    f = small()
    light, auto = tg.draw(f).svg, tg.draw(f, theme="auto").svg
    without = re.sub(r"<style>.*</style>\n", "", auto)
    assert re.sub(r' class="tinygrad-lab-[^"]*"', "", without) == light
    rules = dict(re.findall(r"\.(tinygrad-lab-\w+-\w+)\{\w+:(#\w{6})\}", auto))
    used = {
        one
        for classes in re.findall(r'class="(tinygrad-lab[^"]*)"', auto)
        for one in classes.split()
    }
    assert rules.keys() == used
    for name, color in rules.items():
        assert color == in_dark("#" + name.rpartition("-")[2])


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_files_of_all_themes_are_the_same_bytes_every_time(theme: Any, tmp_path: Any) -> None:
    for ending in (".svg", ".dot", ".png", ".pdf"):
        first, again = (
            tg.draw(small(), theme=theme).save(tmp_path / f"{name}{ending}").read_bytes()
            for name in "ab"
        )
        assert first == again


def test_dark_files_are_dark(tmp_path: Any) -> None:
    from matplotlib.image import imread

    drawing = tg.draw(small(), theme="dark")
    corner = imread(drawing.save(tmp_path / "a.png"))[0, 0, :3]
    paper = in_dark("#ffffff")
    assert [round(float(part) * 255) for part in corner] == [
        int(paper[place : place + 2], 16) for place in (1, 3, 5)
    ]
    assert f'bgcolor="{paper}"' in drawing.dot
    assert "#ffffff" not in drawing.dot


def test_a_theme_that_does_not_exist() -> None:
    with pytest.raises(ArgumentError, match='"light", "dark", "auto"'):
        tg.draw(small(), theme="solarized")


# --- the size of text -----------------------------------------------------------------------------


def sizes(svg: str) -> list[float]:
    return [float(one.get("font-size", 0)) for one in ET.fromstring(svg).iter() if one.text]


def test_font_size_is_that_of_names() -> None:
    usual, large = tg.draw(small()), tg.draw(small(), font_size=30)
    assert [2 * size for size in sizes(usual.svg)] == sizes(large.svg)
    root = ET.fromstring(large.svg)
    assert float(root.get("width", 0)) == pytest.approx(2 * usual._scene.width, abs=0.01)


def test_on_a_page_font_size_breaks_the_path_into_more_rows() -> None:
    rows = []
    for size in (10, 15, 22):
        drawing = tg.draw(loss_of("MLP"), level="modules", width="16:9", font_size=size)
        assert max(sizes(drawing.svg)) == pytest.approx(size)
        rows.append(len({round(height) for key, height in spine_heights(drawing)}))
    assert rows == sorted(rows)


def spine_heights(drawing: Any) -> Iterator[tuple[str, float]]:
    for group in drawing._scene.groups:
        if group.key in drawing.picture.spine:
            ys = [
                y
                for mark in group.marks
                if isinstance(mark, Shape)
                for _, at in mark.steps
                for _, y in at
            ]
            yield group.key, (min(ys) + max(ys)) / 2


def test_text_that_does_not_fit_on_a_page_is_said_with_what_fits() -> None:
    with pytest.raises(ArgumentError, match=r"font_size can be up to (\d+\.\d)") as caught:
        tg.draw(loss_of("CNN"), level="modules", width="16:9", font_size=60)
    fits = float(re.findall(r"up to (\d+\.?\d*)", str(caught.value))[0])
    assert fits > 20
    tg.draw(loss_of("CNN"), level="modules", width="16:9", font_size=fits)


@pytest.mark.parametrize("size", [0, -3, float("nan")])
def test_a_font_size_that_makes_no_sense(size: float) -> None:
    with pytest.raises(ArgumentError, match="from 1 to 1000"):
        tg.draw(small(), font_size=size)
