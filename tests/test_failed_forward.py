"""A forward that raises is drawn up to the op that failed: ``err.graph``, ``err.draw()``."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import ArgumentError, ShapeError, TinygradLabError

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")


def forward(w: Any, x: Any) -> Any:
    hidden = tg.relu(x @ w.mT)
    return hidden @ w.mT


@pytest.fixture
def error() -> TinygradLabError:
    w = tg.tensor(np.ones((3, 4)), requires_grad=True, name="w")
    with pytest.raises(ShapeError) as caught:
        forward(w, tg.tensor(np.ones((2, 4))))
    return caught.value


def test_the_graph_ends_with_the_inputs_of_the_op_that_failed(error: TinygradLabError) -> None:
    assert [node.shape for node in error.graph.outputs] == [(2, 3), (4, 3)]
    assert error.graph["hidden"].op_name == "relu"  # the name in the function that failed
    assert {"w", "x"} <= {node.name for node in error.graph.leaves}


def test_the_picture_has_the_op_both_shapes_and_the_line(error: TinygradLabError) -> None:
    drawing = error.draw()
    *before, failed = drawing.picture.boxes
    assert [box.name for box in before if box.kind != "computed"] == ["w", "x"]
    assert failed.kind == "failed"
    assert (failed.name, failed.equation) == ("✗ matmul", "ShapeError")
    why, *shapes = failed.rows[0].content
    assert why == "expected x.shape[-1] == y.shape[-2], got 3 != 4."
    assert shapes == ["x: 2 × 3", "y: 4 × 3"]
    (where,) = failed.rows[1].content
    assert "test_failed_forward.py" in where
    assert where.endswith("return hidden @ w.mT")
    into = [arrow for arrow in drawing.picture.arrows if arrow.target == "failed"]
    equations = {box.key: box.equation for box in before}
    assert [(equations[arrow.source], arrow.label) for arrow in into] == [
        (f"relu({before[3].name})", "x: 2 × 3"),
        ("wᵀ", "y: 4 × 3"),
    ]
    assert not any(box.output for box in before)
    assert "return hidden @ w.mT" in drawing.svg
    assert tg.draw(error).svg == drawing.svg


def test_a_net_is_drawn_up_to_the_layer_that_does_not_fit() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(7, 2))
    with pytest.raises(ShapeError) as caught:
        net(tg.ones((5, 4)))
    picture = caught.value.draw(direction="tb", legend=False).picture
    assert picture.boxes[-1].name == "✗ linear"
    assert [frame.title for frame in picture.frames] == ["0 · Linear", "1 · ReLU"]


def test_a_long_graph_is_folded_before_the_op_that_failed() -> None:
    y = tg.tensor([1.0, 2.0], requires_grad=True)
    for _ in range(2000):
        y = tg.sin(y)
    with pytest.raises(ShapeError) as caught:
        y + tg.ones((3,))
    for most in (1, 20):
        picture = caught.value.draw(most=most).picture
        assert len(picture.boxes) < 30
        keys = {box.key for box in picture.boxes}
        assert {key for arrow in picture.arrows for key in (arrow.source, arrow.target)} <= keys


def test_numbers_among_the_inputs_are_drawn_and_lists_are_not() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TinygradLabError) as caught:
        tg.sum(x, axis=3)
    assert [arrow.label for arrow in caught.value.draw().picture.arrows] == ["x: 2"]


def test_errors_that_are_not_of_an_op_say_so() -> None:
    with pytest.raises(ArgumentError) as caught:
        nn.Dropout(2.0)
    assert caught.value.graph is None
    with pytest.raises(ArgumentError, match="not that of an op"):
        caught.value.draw()


def test_errors_are_pickled_and_copied_without_their_graph(error: TinygradLabError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert other.graph is None


def test_the_fast_and_the_plain_engine_draw_the_same() -> None:
    def drawn() -> str:
        x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
        with pytest.raises(ShapeError) as caught:
            tg.sin(x) * tg.ones((3,))
        return str(caught.value.draw().svg)

    fast = drawn()
    with tg.plain():
        assert drawn() == fast
