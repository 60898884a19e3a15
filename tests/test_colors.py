"""Boxes coloured by gradient, value, memory and time: the numbers are the graph's."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.formatting import bytes_text, number
from tinygrad_lab.show import style
from tinygrad_lab.show.colors import COLORED_BY

from .pictures import font_sizes, texts_on_each_other

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")


def vanishing() -> Any:
    """Return the loss of a net whose gradients shrink from layer to layer."""
    tg.seed(0)
    layers = [part for _ in range(6) for part in (nn.Linear(10, 10), nn.Sigmoid())]
    x = tg.tensor(np.random.default_rng(0).normal(size=(20, 10)))
    loss = nn.CrossEntropyLoss()(nn.Sequential(*layers).double()(x), tg.tensor(np.arange(20) % 10))
    loss.backward()
    return loss


def said(picture: Any) -> dict[str, str]:
    """Return what the last row of each coloured box says."""
    return {box.name: " / ".join(box.rows[-1].content) for box in picture.boxes if box.rows}


def step(box: Any) -> int:
    return style.SCALE.index(box.tint.fill)


class TestTheColours:
    @pytest.mark.parametrize("ground", style.SCALE)
    def test_of_the_scale_have_readable_ink(self, ground: str) -> None:
        assert style.contrast(style.ink_on(ground), ground) >= 4.5

    @pytest.mark.parametrize("special", style.SPECIAL)
    def test_of_what_is_apart_have_readable_ink(self, special: Any) -> None:
        assert style.contrast(*style.SPECIAL[special]) >= 4.5

    def test_are_those_of_the_numbers_in_both_themes(self) -> None:
        on_scale = {*style.SCALE, *(color for pair in style.SPECIAL.values() for color in pair)}
        assert all(style.in_dark(color) == color for color in on_scale)
        assert {style.ink_on(color) for color in style.SCALE} <= on_scale

    def test_go_from_light_to_dark(self) -> None:
        on_white = [style.contrast(color, "#ffffff") for color in style.SCALE]
        assert on_white == sorted(on_white)

    @pytest.mark.parametrize("by", COLORED_BY)
    @pytest.mark.parametrize("level", ["modules", "layers", "ops"])
    def test_are_under_readable_titles_at_every_level(self, by: Any, level: Any) -> None:
        drawing = tg.draw(vanishing(), level=level, color=by)
        space = "{http://www.w3.org/2000/svg}"
        for group in ET.fromstring(drawing.svg).iter(f"{space}g"):
            if "node" in group.get("class", ""):
                fills = [one.get("fill", "") for one in group.iter(f"{space}path")]
                ground = fills[1] if len(fills) > 2 and fills[1] != "none" else fills[0]
                title = next(group.iter(f"{space}text")).get("fill", "")
                assert style.contrast(title, ground) >= 4.5

    @pytest.mark.parametrize("by", COLORED_BY)
    def test_fit_a_slide(self, by: Any) -> None:
        drawing = tg.draw(vanishing(), level="modules", color=by, width="16:9")
        assert min(font_sizes(drawing)) >= 12
        assert texts_on_each_other(drawing) == []


class TestByGradient:
    def test_says_the_root_mean_square_of_each(self) -> None:
        loss = vanishing()
        picture = tg.draw(loss, color="gradient").picture
        for node in tg.graph(loss):
            if node.requires_grad:
                box = next(one for one in picture.boxes if node.index in one.indices)
                size = np.sqrt(np.mean(np.square(node.gradient)))
                assert box.rows[-1].content[0].split()[-1] == number(size, 3)

    def test_shows_gradients_that_vanish(self) -> None:
        picture = tg.draw(vanishing(), level="modules", color="gradient").picture
        steps = [step(box) for box in picture.boxes if box.equation == "Linear"]
        assert len(steps) == 6  # what repeats is not folded: its gradients differ
        assert steps == sorted(steps)
        assert steps[0] + 4 < steps[-1]

    def test_writes_the_ends_of_the_scale_as_powers_of_ten_around_all(self) -> None:
        x = tg.tensor([3e-4, 0.5], requires_grad=True)
        y = (x * 20).sum()
        y.backward()
        assert tg.draw(y, color="gradient").picture.scale.ends == ("1", "100")

    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_marks_zero_dead_nan_and_infinite_apart(self) -> None:
        a = tg.tensor([-1.0, -2.0], requires_grad=True, name="a")
        z = tg.tensor([0.0, 4.0], requires_grad=True, name="z")
        r = tg.relu(a)
        s = (r * z).sum() + tg.sqrt(z).sum() + tg.log(a * 0).sum()
        s.backward()
        picture = tg.draw(s, color="gradient").picture
        specials = {box.name: box.tint.fill for box in picture.boxes}
        assert specials["r"] == style.SPECIAL["dead"][0]
        assert specials["z"] == style.SPECIAL["∞"][0]
        assert specials["a"] == style.SPECIAL["NaN"][0]
        assert said(picture)["r"] == "gradient size 2.83 / dead: relu passes nothing back"
        assert said(picture)["z"] == "gradient: 1 ∞ of 2"
        assert said(picture)["a"] == "gradient: 2 NaN of 2"
        assert set(picture.scale.specials) == {"dead", "∞", "NaN"}

    def test_counts_dead_units(self) -> None:
        x = tg.tensor([[1.0, -1.0, 2.0], [3.0, -2.0, -4.0]], requires_grad=True)
        r = tg.relu(x)
        total = r.sum()
        total.backward()
        assert said(tg.draw(total, color="gradient").picture)["r"].endswith("1 of 3 units dead")

    def test_writes_a_dash_for_what_was_not_computed(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
        picture = tg.draw((x * x).sum(), color="gradient").picture
        assert said(picture)["x"] == "gradient –"
        assert picture.scale.specials == ("unknown",)

    def test_does_not_underflow(self) -> None:
        x = tg.tensor(np.array([1e-200, 1e-200]), requires_grad=True, name="x")
        assert said(tg.draw((x * 1).sum(), color="value").picture)["x"] == (
            f"value size 1e{number(-200)}"
        )


class TestByValue:
    def test_measures_the_result_of_a_module(self) -> None:
        tg.seed(1)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        x = tg.ones((2, 3))
        y = model(x)
        picture = tg.draw(y, level="modules", color="value").picture
        size = np.sqrt(np.mean(np.square(y.data)))
        assert said(picture)["1"] == f"value size {number(size, 3)}"


class TestByWhatIsKept:
    def test_is_what_the_graph_says(self) -> None:
        x = tg.tensor(np.ones(10), requires_grad=True, name="x")
        y = tg.exp(x)
        total = (y + y).sum()
        graph, picture = tg.graph(total), tg.draw(total, color="kept").picture
        assert said(picture)["y"] == f"keeps {bytes_text(graph['y'].nbytes_kept)}"
        assert said(picture)["total"] == "keeps nothing"


class TestByTime:
    def test_is_measured_for_every_op(self) -> None:
        picture = tg.draw(vanishing(), level="modules", color="time").picture
        times = [text for name, text in said(picture).items() if text.startswith("forward")]
        assert len(times) == 13
        assert all(text.split()[-1] in ("ns", "µs", "ms") for text in times)

    def test_runs_nothing_that_would_change_something(self) -> None:
        x = tg.tensor(np.ones(1000), requires_grad=True, name="x")
        following = []
        for is_drawn in (False, True):
            tg.seed(3)
            dropped = nn.functional.dropout(x, 0.5)
            if is_drawn:
                picture = tg.draw(dropped.sum(), color="time").picture
                assert said(picture)["dropped"] == "forward –"
            following.append(tg.random.normal((3,)).tolist())
        assert following[0] == following[1]

    def test_is_a_dash_where_values_were_not_kept(self) -> None:
        x = tg.tensor(np.ones(10_000), requires_grad=True, name="x")
        y = tg.sin(x * 2)
        total = (y * 1).sum()
        assert said(tg.draw(total, color="time").picture)["total"] == "forward –"


def test_an_unknown_colour_lists_those_there_are() -> None:
    with pytest.raises(ArgumentError, match='"gradient", "value", "kept", "time"'):
        tg.draw(vanishing(), color="red")  # type: ignore[arg-type]


def test_pictures_without_colour_have_no_scale() -> None:
    picture = tg.draw(vanishing()).picture
    assert picture.scale is None
    assert all(box.tint is None for box in picture.boxes)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_dot_has_the_colours_and_says_what_they_mean(theme: Any) -> None:
    loss = vanishing()
    drawing = tg.draw(loss, level="modules", color="gradient", theme=theme)
    scale = drawing.picture.scale
    assert scale is not None
    dark = style.in_dark if theme == "dark" else str
    for box in drawing.picture.boxes:
        (look,) = re.findall(rf"^\t+{box.key} \[(.*?)\]$", drawing.dot, re.MULTILINE | re.DOTALL)
        assert box.tint is not None
        assert f'fillcolor="{dark(box.tint.fill)}" fontcolor="{dark(box.tint.ink)}"' in look
    meaning = f"{scale.title}: from {scale.ends[0]}, yellow, to {scale.ends[1]}, violet"
    assert meaning in drawing.dot
    assert meaning not in tg.draw(loss, level="modules", color="gradient", legend=False).dot


def test_dot_marks_what_is_highlighted() -> None:
    f = tg.sin(tg.scalar(1.0, name="x"))
    assert f'color="{style.HIGHLIGHT}"' in tg.draw(f, highlight=f).dot
    assert style.HIGHLIGHT not in tg.draw(f).dot
