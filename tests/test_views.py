"""What pictures show: bounds, values that changed, parts of a graph, colours, failed forwards."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.formatting import MINUS

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")


def vector(name: str) -> Any:
    return tg.tensor([1.0, 2.0], requires_grad=True, name=name)


# --- ten thousand nodes ---------------------------------------------------------------------------


def chain() -> Any:
    draw, y = random.Random(0), vector("x")
    for _ in range(10_000):
        y = draw.choice([tg.sin, tg.tanh, tg.cos, tg.sigmoid])(y)
    return y.sum()


def web() -> Any:
    draw, values = random.Random(0), [vector(f"x{n}") for n in range(50)]
    for _ in range(10_000):
        values.append(tg.minimum(draw.choice(values[-200:]), tg.sin(values[-1])))
    return values[-1].sum()


def many_leaves() -> Any:
    y = tg.tensor([0.0, 1.0])
    for n in range(5000):
        y = tg.maximum(y, vector(f"w{n}")) if n % 7 else y + vector(f"w{n}")
    return y.sum()


def many_layers() -> Any:
    draw = random.Random(0)
    wide = [draw.randint(2, 9) for _ in range(2001)]
    parts: Iterator[nn.Module] = (
        part
        for a, b in pairwise(wide)
        for part in (nn.Linear(a, b), draw.choice([nn.ReLU, nn.Tanh])())
    )
    return nn.Sequential(*parts)(tg.ones((3, wide[0]))).sum()


def many_outputs() -> Any:
    return [tg.sin(vector(f"x{n}")) for n in range(5000)]


LARGE: list[Callable[[], Any]] = [chain, web, many_leaves, many_layers, many_outputs]


@pytest.fixture(scope="module", params=LARGE)
def large(request: pytest.FixtureRequest) -> tg.Graph:
    return tg.graph(request.param())


class TestTenThousandNodes:
    @pytest.mark.parametrize("level", ["modules", "layers"])
    def test_are_at_most_sixty_boxes_in_five_seconds(self, large: tg.Graph, level: Any) -> None:
        assert len(large) > 8_000
        start = time.process_time()
        drawing = tg.draw(large, level=level, width="16:9")
        assert drawing.svg
        assert time.process_time() - start < 5
        picture = drawing.picture
        assert 3 <= len(picture.boxes) <= 60
        place = {box.key: n for n, box in enumerate(picture.boxes)}
        assert len(place) == len(picture.boxes)
        assert all(place[arrow.source] < place[arrow.target] for arrow in picture.arrows)
        folded = [box for box in picture.boxes if box.kind == "folded"]
        assert folded or picture.frames  # a frame says how often its boxes repeat
        if folded:
            count = int(picture.note.split()[0].replace(",", ""))
            # A module's box has few nodes.
            alone = len(picture.boxes) - len(folded)
            assert len(large) - 4 * alone <= count <= len(large) - alone
            assert f"of {len(large):,} nodes" in picture.note

    def test_keep_what_is_in_a_module_while_ops_outside_are_folded(self) -> None:
        first, last = nn.Sequential(nn.Linear(2, 3)), nn.Sequential(nn.Linear(3, 1))
        h = first(vector("x"))
        for n in range(100):
            h = tg.tanh(h * (n + 2.0)) + tg.sin(h)
        picture = tg.draw(last(h), level="modules").picture
        names = [(box.name, box.equation) for box in picture.boxes]
        assert ("× 396 ops", "") in names  # two at either end are drawn
        assert [what for _, what in names].count("Linear") == 2

    def test_are_as_few_as_asked(self) -> None:
        y = vector("x")
        for n in range(100):
            y = tg.sin(y) if n % 3 else tg.exp(-y) if n % 7 else tg.cos(y)
        for most in (1, 5, 20, 200):
            picture = tg.draw(y, level="layers", most=most).picture
            # A leaf, what was folded, and the result are the least there is.
            assert len(picture.boxes) <= max(most, 3)

    def test_are_not_folded_where_sixty_boxes_suffice(self) -> None:
        y = vector("x")
        for n in range(50):
            y = tg.sin(y) if n % 3 else tg.cos(y) if n % 2 else tg.exp(y * np.float32(-1.0))
        picture = tg.draw(y, level="modules").picture
        assert not picture.note
        assert all(box.kind != "folded" for box in picture.boxes)


# --- values that changed, values that are not finite ----------------------------------------------


def labels(picture: Any) -> dict[str, list[str]]:
    return {box.name: [row.label for row in box.rows] for box in picture.boxes}


class TestStaleValues:
    def product(self) -> tuple[Any, Any, Any, Any]:
        w, x = vector("w"), tg.tensor([3.0, 5.0], name="x")
        y, z = w * x, tg.sin(x)
        f = (y + z).sum()
        f.backward()
        return w, y, z, f

    def test_are_what_was_computed_from_a_leaf_that_changed(self) -> None:
        w, y, z, f = self.product()
        assert labels(tg.draw(f).picture)["y"] == ["value", "gradient"]
        tg.optim.SGD([w], lr=0.1).step()
        picture = tg.draw(f).picture
        found = labels(picture)
        assert found["w"][0] == "old value"
        assert found["y"][0] == found["f"][0] == "stale value"
        assert found["x"] == found["z"] == ["value"]
        assert "w changed since" in picture.note
        assert "w changed since" in tg.draw(f, level="modules").picture.note
        table = str(tg.graph(f)).splitlines()
        assert "[1. 2.] (old)" in table[1]
        assert "(stale)" in table[-1]
        assert y is not z

    def test_are_none_where_only_the_gradient_or_its_need_changed(self) -> None:
        w, _, _, f = self.product()
        w.grad = None
        w.requires_grad_(False)
        assert not tg.graph(f).stale
        assert not tg.draw(f).picture.note

    def test_are_none_in_a_graph_of_the_new_data(self) -> None:
        w, _, _, _ = self.product()
        w.data = np.array([7.0, 7.0], dtype=np.float32)
        assert not tg.graph(w * w).stale


class TestWhatIsNotFinite:
    ARRAY = np.array([1.0, np.nan, np.inf, -np.inf, 2.0, np.nan] * 20)

    def test_is_counted_in_pictures_and_tables(self) -> None:
        graph = tg.graph(tg.tensor(self.ARRAY, requires_grad=True, name="x"))
        (box,) = tg.draw(graph).picture.boxes
        assert box.rows[0].content[1] == f"1 … 2, 40 NaN, 20 ∞, 20 {MINUS}∞"
        assert "1 … 2, 40 NaN, 20 inf, 20 -inf" in str(graph)

    def test_is_all_there_is_where_nothing_is_finite(self) -> None:
        x = tg.tensor(np.full(30, np.nan), requires_grad=True, name="x")
        assert "  30 NaN  " in str(tg.graph(x))


# --- parts of a graph -----------------------------------------------------------------------------


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

    def forward(self, x: Any) -> Any:
        return self.parts[1](tg.sin(self.parts[0](x))) + x


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(2, 3), Inner(), nn.Linear(3, 1)

    def forward(self, x: Any) -> Any:
        return self.last(tg.cos(self.inner(self.first(x))))


def scalars() -> dict[str, Any]:
    x, w = tg.scalar(2.0, name="x"), tg.scalar(3.0, name="w")
    a = w * x
    b = tg.sin(a)
    c = b * x
    d = tg.exp(c) + a
    d.backward()
    for name, value in {"a": a, "b": b, "c": c, "d": d}.items():
        value.name = name
    return {"x": x, "w": w, "a": a, "b": b, "c": c, "d": d}


def names_in(drawing: Any) -> list[str]:
    return [box.name for box in drawing.picture.boxes]


class TestParts:
    def test_between_two_tensors_are_all_ways_and_what_is_used_on_them(self) -> None:
        values = scalars()
        a, b, c, d = (values[name] for name in "abcd")
        assert names_in(tg.draw(c, part=(a, c))) == ["x", "w", "a", "b", "c"]
        part = tg.draw(d, part=(b, d)).picture
        boxes = {box.name: box for box in part.boxes}
        assert set(boxes) >= {"x", "a", "b", "c", "d"}
        assert "w" not in boxes
        assert (boxes["a"].equation, boxes["a"].kind) == ("…", "computed")
        whole = {box.name: box for box in tg.draw(d).picture.boxes}
        for name in ("x", "b", "c", "d"):  # the same numbers as in the whole picture
            assert boxes[name].rows == whole[name].rows

    @pytest.mark.parametrize("level", ["ops", "modules", "layers"])
    def test_inside_of_a_module_is_what_ran_in_it(self, level: Any) -> None:
        net = Outer()
        out = net(tg.ones((5, 2)))
        drawing = tg.draw(out, level=level, part=net.inner)
        assert drawing.svg
        classes = {box.equation for box in drawing.picture.boxes}
        indices = {n for box in drawing.picture.boxes for n in box.indices}
        graph = tg.graph(out)
        inside = {n.index for n in graph if n.module.startswith("inner")}
        assert inside <= indices
        assert not any(graph[n].module.startswith("last") for n in indices)
        assert ("Linear" in classes) == (level != "ops")
        assert sum(box.output for box in drawing.picture.boxes) == 1

    def test_are_modules_of_lists_too(self) -> None:
        net = Outer()
        graph = tg.graph(net(tg.ones((5, 2))))
        (found,) = [n for n in graph if n.module == "inner.parts.1"]
        assert tg.draw(graph, part=net.inner.parts[1]).picture.boxes[-1].indices == {found.index}

    @pytest.mark.parametrize(
        ("option", "says"),
        [
            (lambda v: {"part": (v["d"], v["x"])}, "nothing leads from d to x"),
            (lambda v: {"part": v["d"]}, r"two tensors \(a, b\)"),
            (lambda v: {"part": nn.ReLU()}, r"tg\.draw\(module, x\)"),
            (lambda v: {"highlight": tg.scalar(1.0, name="q")}, "q is not in this graph"),
            (lambda v: {"highlight": "a"}, "takes tensors and modules, got str"),
        ],
    )
    def test_that_are_not_there_are_said(self, option: Any, says: str) -> None:
        values = scalars()
        with pytest.raises(tg.errors.TinygradLabError, match=says):
            tg.draw(values["d"], **option(values))


class TestHighlights:
    def marked(self, drawing: Any) -> set[str]:
        return {box.name for box in drawing.picture.boxes if box.highlighted}

    def test_are_tensors_modules_and_lists_of_them(self) -> None:
        values = scalars()
        w, c, d = values["w"], values["c"], values["d"]
        assert self.marked(tg.draw(d, highlight=c)) == {"c"}
        drawing = tg.draw(d, highlight=[w, (c,)])
        assert self.marked(drawing) == {"w", "c"}
        assert ">highlighted</text>" in drawing.svg
        net = Outer()
        out = net(tg.ones((5, 2)))
        assert self.marked(tg.draw(out, level="layers", highlight=net.last)) == {"last"}

    def test_are_none_where_none_was_asked_for(self) -> None:
        drawing = tg.draw(scalars()["d"])
        assert not self.marked(drawing)
        assert "highlighted" not in drawing.svg


def test_an_option_that_does_not_exist_lists_those_there_are() -> None:
    options: Any = {"colour": "value"}
    with pytest.raises(tg.errors.ArgumentTypeError, match="'colour'; the options are level, depth"):
        tg.draw(scalars()["d"], **options)
