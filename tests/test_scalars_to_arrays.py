"""Tensors of Python numbers that become arrays, and micrograd's own nets on them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.errors import ArgumentTypeError, ShapeError


@pytest.mark.parametrize(
    "join",
    [
        lambda a, b: tg.stack([a, b]),
        lambda a, b: tg.stack((a, b), axis=-1),
        lambda a, b: tg.concat([a, b]),
        lambda a, b: tg.concat([a, b], axis=None),
        lambda a, b: tg.tensor([a, b]),
        lambda a, b: tg.asarray([a, b]),
    ],
)
def test_scalars_become_a_vector_and_get_their_gradients(join: Any) -> None:
    w = tg.scalar(2.0)
    x = join(w, 3 * w)
    assert (x.tolist(), x.dtype, x.shape) == ([2.0, 6.0], tg.get_default_dtype(), (2,))
    (x * np.array([10.0, 1.0], np.float32)).sum().backward()
    assert w.grad.item() == 13.0
    assert type(w.grad._data) is float


def test_four_scalars_make_a_matrix() -> None:
    a, b, c, d = (tg.scalar(float(n)) for n in (1, 2, 3, 4))
    matrix = tg.tensor([[a, b], [c, d]], name="M", dtype=tg.float64)
    assert (matrix.name, matrix.dtype) == ("M", np.float64)
    tg.linalg.det(matrix).backward()
    assert [x.grad.item() for x in (a, b, c, d)] == pytest.approx([4.0, -3.0, -2.0, 1.0])


def test_scalars_mix_with_numbers_and_arrays() -> None:
    w, x = tg.scalar(2.0), tg.tensor([1.0, 2.0], requires_grad=True, dtype=tg.float64)
    assert tg.stack([w, 1]).tolist() == [2.0, 1.0]
    assert tg.stack([1, 2]).dtype == np.int64
    assert tg.stack([tg.tensor(1), 1.5]).tolist() == [1.0, 1.5]
    joined = tg.concat([x, w])
    assert (joined.dtype, joined.tolist()) == (np.float64, [1.0, 2.0, 2.0])
    tg.tensor([x[1], w, 5.0]).sum().backward()
    assert (x.grad.tolist(), w.grad.item()) == ([0.0, 1.0], 1.0)
    assert tg.tensor([x, [w, 1.0]]).shape == (2, 2)


def test_ragged_lists_of_tensors_are_still_an_error() -> None:
    w = tg.scalar(2.0)
    with pytest.raises(ShapeError):
        tg.tensor([[w, w], [w]])
    with pytest.raises(ShapeError):
        tg.stack([w, tg.tensor([1.0, 2.0])])


def test_second_derivatives_go_through() -> None:
    hessian = tg.hessian(lambda w: (tg.stack([w, w * w]) ** 2).sum())(tg.scalar(2.0))
    assert float(hessian) == pytest.approx(2 + 12 * 4)


class TestGrad:
    @pytest.mark.parametrize("number", [0, 0.0, 1.5])
    def test_takes_a_number_where_it_fits(self, number: float) -> None:
        w, x = tg.scalar(2.0), tg.tensor(3.0, requires_grad=True)
        for leaf in (w, x):
            leaf.grad = number
            assert (leaf.grad.shape, leaf.grad.dtype) == (leaf.shape, leaf.dtype)
            assert type(leaf.grad._data) is type(leaf._data)
        (w * x).backward()
        assert (w.grad.item(), x.grad.item()) == (3.0 + number, 2.0 + number)

    @pytest.mark.parametrize("value", ["0", [0.0], np.zeros(1)])
    def test_of_anything_else_is_an_error(self, value: Any) -> None:
        with pytest.raises(ArgumentTypeError, match=r"\.grad"):
            tg.scalar(2.0).grad = value

    def test_of_a_number_for_a_vector_says_what_to_do(self) -> None:
        with pytest.raises(ArgumentTypeError, match="full_like"):
            tg.tensor([1.0, 2.0], requires_grad=True).grad = 0


def test_nets_in_the_manner_of_micrograd_learn() -> None:
    """Its nn.py: neurons as sums of products, ``p.grad = 0``, ``p.data -= rate * p.grad``."""
    rng = random.Random(0)
    weights = [[tg.scalar(rng.uniform(-1, 1)) for _ in range(3)] for _ in range(4)]
    last = [tg.scalar(rng.uniform(-1, 1)) for _ in range(4)]
    parameters = [w for row in (*weights, last) for w in row]
    points = [((0.5, 1.0), 1.0), ((-1.0, 0.2), -1.0), ((1.0, -1.0), 1.0), ((-0.3, -0.8), -1.0)]

    def output(x: tuple[float, ...]) -> Any:
        hidden = [sum((w * xi for w, xi in zip(row, x, strict=False)), row[-1]) for row in weights]
        return sum((w * h.tanh() for w, h in zip(last, hidden, strict=True)), 0.0)

    losses = []
    for _ in range(150):
        loss = sum((output(x) - y) ** 2 for x, y in points)
        for p in parameters:
            p.grad = 0
        loss.backward()
        for p in parameters:
            p.data -= 0.05 * p.grad
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
