"""Pictures of whole nets: modules along a straight spine, legible on a slide."""

from __future__ import annotations

import contextlib
import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.show.compose import Plan

from .nets_to_draw import NETS, Residual, loss_of, numbers

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")

Rectangle = tuple[float, float, float, float]


def overlap(one: Rectangle, other: Rectangle) -> bool:
    (a, b, c, d), (e, f, g, h) = one, other
    return a < g - 0.1 and e < c - 0.1 and b < h - 0.1 and f < d - 0.1


@pytest.mark.parametrize("level", ["modules", "layers"])
@pytest.mark.parametrize("name", NETS)
class TestANetOnASlide:
    def test_has_text_that_is_read_from_the_last_row(self, name: str, level: Any) -> None:
        drawing = tg.draw(loss_of(name), level=level, width="16:9")
        root = ET.fromstring(drawing.svg)
        assert (root.get("width"), root.get("height")) == ("1600", "900")
        sizes = [float(found) for found in re.findall(r'font-size="([\d.]+)"', drawing.svg)]
        assert min(sizes) >= 12

    def test_has_boxes_and_lines_apart(self, name: str, level: Any) -> None:
        picture = tg.draw(loss_of(name), level=level, width="16:9").picture
        plan = Plan(picture)
        boxes = {
            key: (
                x - block.width / 2,
                y - block.height / 2,
                x + block.width / 2,
                y + block.height / 2,
            )
            for key, block in plan.blocks.items()
            for x, y in [plan.layout.centers[key]]
        }
        for one, other in itertools.combinations(boxes.values(), 2):
            assert not overlap(one, other)
        for arrow, curve in zip(picture.arrows, plan.layout.curves, strict=True):
            for (x0, y0), (x1, y1) in itertools.pairwise(curve):
                for share in np.linspace(0, 1, 12):
                    x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
                    for key, (a, b, c, d) in boxes.items():
                        inside = a + 1 < x < c - 1 and b + 1 < y < d - 1
                        assert not inside, f"{arrow.source} → {arrow.target} under {key}"

    def test_has_skip_connections_apart(self, name: str, level: Any) -> None:
        picture = tg.draw(loss_of(name), level=level, width="16:9").picture
        curves = zip(picture.arrows, Plan(picture).layout.curves, strict=True)
        runs = [
            [(round(y0), *sorted((x0, x1))) for (x0, y0), (x1, y1) in pieces if y0 == y1]
            for arrow, curve in curves
            if arrow.skip
            for pieces in [list(itertools.pairwise(curve))]
        ]
        for one, other in itertools.combinations(runs, 2):
            for (y, a, b), (z, c, d) in itertools.product(one, other):
                assert y != z or b <= c or d <= a

    def test_has_a_straight_spine(self, name: str, level: Any) -> None:
        picture = tg.draw(loss_of(name), level=level, width="16:9").picture
        centers = Plan(picture).layout.centers
        rows = {round(centers[key][1]) for key in picture.spine}
        xs = [centers[key][0] for key in picture.spine]
        breaks = sum(after < before for before, after in itertools.pairwise(xs))
        assert len(rows) == breaks + 1  # within a row, all stand at one height


class TestModules:
    def test_are_boxes_with_what_they_do_and_keep(self) -> None:
        boxes = {box.name: box for box in tg.draw(loss_of("CNN"), level="modules").picture.boxes}
        assert boxes["0"].equation == "Conv1d"
        assert boxes["0"].rows[0].content[:3] == (
            "1 → 16, kernel 5, stride 2, padding 2",
            "20 × 16 × 20",
            "96 parameters",
        )
        assert {"x", "cross_entropy"} <= set(boxes)
        plain = tg.draw(loss_of("MLP"), level="layers").picture
        assert not any(arrow.skip for arrow in plain.arrows)

    def test_are_drawn_for_a_call(self) -> None:
        picture = tg.draw(Residual(), numbers(2, 1, 40)).picture
        assert [box.name for box in picture.boxes if box.key in picture.spine] == [
            *("image", "stem", "relu", "blocks.0", "blocks.1", "reshape", "head"),
        ]

    def test_less_deep_than_asked_are_boxes_too(self) -> None:
        picture = tg.draw(Residual(), numbers(2, 1, 40), depth=2).picture
        names = [box.name for box in picture.boxes]
        assert names[:4] == ["image", "stem", "relu", "conv1"]
        assert names[-1] == "head"
        assert "weight" not in names

    def test_turn_with_the_direction(self) -> None:
        picture = tg.draw(loss_of("MLP"), level="modules", direction="tb").picture
        centers = Plan(picture).layout.centers
        assert len({round(centers[key][0]) for key in picture.spine}) == 1

    def test_have_a_title_and_the_same_bytes_every_time(self) -> None:
        drawings = [
            tg.draw(loss_of("MLP"), level="modules", width="a4", title="An <MLP>") for _ in range(2)
        ]
        assert drawings[0].svg == drawings[1].svg
        texts = [text.text for text in ET.fromstring(drawings[0].svg).iter() if text.text]
        assert "An <MLP>" in texts

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"level": "module"}, '"ops", "layers", "modules", "scalars"'),
            ({"level": "layers", "width": "4:3"}, '"16:9", "a4"'),
            ({"depth": 2}, 'level="modules"'),
            ({"parameters": True}, 'level="modules"'),
            ({"level": "modules", "width": 3}, "100 pixels"),
            ({"level": "modules", "depth": 0}, "1 or more"),
            ({"direction": "up"}, '"LR", "TB"'),
        ],
    )
    def test_options_say_what_there_is(self, options: Any, says: str) -> None:
        with pytest.raises(ArgumentError, match=says):
            tg.draw(loss_of("MLP"), **options)

    def test_alone_say_what_they_need(self) -> None:
        with pytest.raises(ArgumentError, match=r"tg\.draw\(model, x\)"):
            tg.draw(nn.Linear(1, 1))

    def test_in_the_docs_are_what_is_drawn(self) -> None:
        """The picture in docs/pictures.md is that of the example above it."""
        model = nn.Sequential(
            nn.Conv1d(1, 16, 5, stride=2, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(320, 10)
        )
        drawing = tg.draw(model, tg.zeros((100, 1, 40)), width="16:9", title="A small CNN")
        page = Path(__file__).parents[1] / "docs" / "images" / "cnn.svg"
        seen = [re.sub(r"<title>[^<]*</title>", "", svg) for svg in (page.read_text(), drawing.svg)]
        assert seen[0] == seen[1]  # without the lines that tooltips name


@pytest.mark.parametrize("level", ["modules", "layers"])
def test_the_path_of_a_recorded_net_begins_with_its_input(level: Any) -> None:
    """Recording has ops on constants, too: here those that prepare the first hidden state."""
    with tg.record():
        loss = loss_of("GRU")
    picture = tg.draw(loss, level=level).picture
    first = next(box for box in picture.boxes if box.key == picture.spine[0])
    assert (first.name, first.rows[0].content) == ("x", ("20 × 3 × 8",))


class Cells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(8, 16)

    def forward(self, x: Any) -> Any:
        h = None
        for step in range(3):
            h = self.cell(x[:, step], h)
        return h


@pytest.mark.parametrize("recorded", [False, True])
def test_each_call_of_a_cell_has_the_shape_of_its_result(recorded: bool) -> None:
    """The first call needs no ops on its state, a constant: the others still begin with theirs."""
    tg.seed(0)
    with tg.record() if recorded else contextlib.nullcontext():
        picture = tg.draw(Cells(), numbers(5, 3, 8)).picture
    shapes = [box.rows[0].content[0] for box in picture.boxes if box.equation == "GRUCell"]
    assert shapes == ["5 × 16"] * 3
    inputs = [box.name for box in picture.boxes if box.kind == "constant"]
    assert inputs == (["x", "h0"] if recorded else ["x", "h0", "x2", "x3"])
