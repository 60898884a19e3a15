"""Options of pictures together: each combination is drawn right, or refused with what to do."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import ArgumentError

from .pictures import Rectangle, rectangles_of_texts, texts_on_each_other
from .test_looks import contrast, grounds

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")

SECONDS = 15.0
LEAST = 60
"""Combinations that are tried even where a machine is slow."""

OPTIONS: dict[str, list[Any]] = {
    "style": ["boxes", "circuit"],
    "level": ["ops", "scalars", "modules", "layers"],
    "theme": ["light", "dark", "auto"],
    "color": [None, "gradient", "value", "kept", "time"],
    "backward": [False, True],
    "direction": ["LR", "TB"],
    "width": [None, "16:9", "a4", 700],
    "font_size": [None, 8, 22],
    "title": ["", "A heading that is wider than the small picture that stands below it"],
    "parameters": [None, True, False],
    "depth": [1, 2],
    "most": [None, 5, 40],
    "legend": [True, False],
    "values": [True, False],
    "gradients": [True, False],
    "local_derivatives": [True, False],
}
DEFAULTS = {"parameters": None, "depth": 1, "most": None}

WHAT_TO_DO = {
    'add level="modules" or level="layers"',
    'draws single ops, level="ops"',
    'draws boxes of single ops, level="ops"',
    "font_size can be up to",
    "or set most",
    "leave out part= or highlight=",
}


class Neuron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        self.out = nn.Linear(2, 1)

    def forward(self, x: Any) -> Any:
        return tg.sigmoid(self.out(self.hidden(x) + x))


def programs() -> Iterator[tuple[Any, Any, Any]]:
    """Yield results, each with a part of its graph and something to highlight."""
    w, x, b = (tg.scalar(v, name=n) for v, n in ((2.0, "w"), (-1.0, "x"), (-3.0, "b")))
    weighted = w * x + b
    f = 1 / (1 + tg.exp(-weighted)) * w
    f.backward()
    yield f, (weighted, f), w
    matrix = tg.tensor([[1.0, -2.0], [3.0, np.nan]], requires_grad=True, name="W")
    hidden = tg.relu(matrix @ tg.tensor([[1.0], [-1.0]], name="x"))
    yield (hidden * hidden).sum(), (matrix, hidden), hidden  # not swept: no gradients
    tg.seed(0)
    model = Neuron()
    loss = (model(tg.tensor([[1.0, -0.5]], name="x")) ** 2).sum()
    loss.backward()
    yield loss, model.hidden, [model.out, loss]


def combination(rng: random.Random) -> dict[str, Any]:
    """Choose options; those of whole nets, or that leave little room, less often."""
    chosen = {name: rng.choice(values) for name, values in OPTIONS.items()}
    rare = {name: value for name, value in DEFAULTS.items() if rng.random() < 0.75}
    return chosen | rare


def says_what_to_do(refused: ArgumentError) -> bool:
    return any(words in str(refused) for words in WHAT_TO_DO)


def check_drawn_right(drawing: Any) -> None:
    scene = drawing._scene
    assert texts_on_each_other(drawing) == []
    for text, rectangle in rectangles_of_texts(drawing):
        outside = (-0.5, -0.5, scene.width + 0.5, scene.height + 0.5)
        assert is_within(rectangle, outside), f"{text!r} is cut off"
    for text, ground in grounds(scene):
        assert contrast(text.color, ground) >= 4.5, (text.text, text.color, ground)
    check_legend(drawing)


def is_within(one: Rectangle, other: Rectangle) -> bool:
    (a, b, c, d), (left, top, right, bottom) = one, other
    return left <= a <= c <= right and top <= b <= d <= bottom


def check_legend(drawing: Any) -> None:
    """Colours are explained where there is a legend: each look, and no other."""
    picture = drawing.picture
    said = " ".join(text for text, _ in rectangles_of_texts(drawing))
    if picture.scale is None:
        assert not any(box.tint for box in picture.boxes)
    elif picture.legend:
        assert f"{picture.scale.title}:" in said
        for words, special in (("exactly 0", "zero"), ("infinite", "∞"), ("not known", "unknown")):
            assert (words in said) == (special in picture.scale.specials)
    else:
        assert picture.scale.title not in said


def check_warned_of_small_text(drawing: Any, options: Any, warned: list[str]) -> None:
    """Text that cannot be read on a page is said to be so, unless its size was asked for."""
    asked = options["width"] is not None and options["font_size"] is None
    assert bool(warned) == (asked and drawing.smallest_text < 8)
    assert all("Fewer boxes leave more room" in text for text in warned)


def test_each_combination_is_drawn_right_or_refused() -> None:
    rng = random.Random(14)
    cases = list(programs())
    started = time.monotonic()
    drawn: list[dict[str, Any]] = []
    tried = 0
    while tried < LEAST or (time.monotonic() - started < SECONDS and tried < 600):
        tried += 1
        options = combination(rng)
        result, part, highlight = rng.choice(cases)
        more = {"part": part, "highlight": highlight}
        options |= {name: value for name, value in more.items() if rng.random() < 0.4}
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                drawing = tg.draw(result, **options)
        except ArgumentError as error:
            if not says_what_to_do(error):
                raise
            continue
        try:
            check_drawn_right(drawing)
            check_warned_of_small_text(drawing, options, [str(one.message) for one in warned])
        except AssertionError as wrong:
            raise AssertionError(f"tg.draw(..., {options}): {wrong}") from wrong
        drawn.append(options)
    assert len(drawn) >= 12, f"{len(drawn)} of {tried} combinations were drawn"


@pytest.mark.parametrize("level", ["ops", "scalars"])
def test_what_is_highlighted_is_in_the_part_or_refused(level: Any) -> None:
    x, w = tg.scalar(2.0, name="x"), tg.scalar(3.0, name="w")
    a = w * x
    b = tg.sin(a)
    f = tg.exp(b)
    picture = tg.draw(f, level=level, part=(b, f), highlight=[w, b]).picture
    assert [box.name for box in picture.boxes if box.highlighted] == ["b"]
    with pytest.raises(ArgumentError, match="leave out part= or highlight="):
        tg.draw(f, level=level, part=(b, f), highlight=w)


def test_a_page_that_is_too_small_is_warned_of_at_the_line_of_the_user() -> None:
    x = tg.scalar(2.0, name="x")
    with pytest.warns(UserWarning, match="as small as .* px. Fewer boxes") as warned:
        tg.draw(tg.sin(tg.exp(x) * x), width=120)
    assert warned[0].filename == __file__
