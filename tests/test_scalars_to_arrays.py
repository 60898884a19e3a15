"""Tensors of Python numbers that become arrays, and micrograd's own nets on them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    ShapeError,
)


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


ONE, OTHER = tg.scalar(0.25), tg.scalar(-0.5)
X64 = tg.tensor([0.1, 0.2], dtype=tg.float64, requires_grad=True)


@pytest.mark.parametrize(
    ("rows", "dtype"),
    [
        ([[ONE, OTHER, 0], [OTHER, ONE, 0], [0, 0, 1]], tg.float32),
        ([[0, 0, 1], [ONE, OTHER, 0]], tg.float32),
        ([[ONE], [1]], tg.float32),
        ([[ONE, OTHER], [True, False]], tg.float32),
        ([[[1], [2]], [[3], [ONE]]], tg.float32),
        ([ONE, np.cos(0.5)], tg.float32),
        ([ONE, 2**70], tg.float32),
        ([[X64[0], ONE], [1, 2]], tg.float64),
        ([[1, 2], [ONE, X64[0]]], tg.float64),
    ],
)
def test_a_dtype_does_not_depend_on_the_rows(rows: list[Any], dtype: Any) -> None:
    for make in (tg.tensor, tg.asarray):
        x = make(rows)
        assert x.dtype == dtype
        (gradient,) = tg.autograd.grad(x.sum(), ONE)
        assert gradient.item() == repr(rows).count(repr(ONE))
        # The numbers were not rounded to another dtype on the way.
        exact = make(rows, dtype=tg.float64)
        assert exact.dtype == tg.float64
        assert make([tg.scalar(0.1)], dtype=tg.float64).item() == 0.1


class TestComplexNumbers:
    @pytest.mark.parametrize(
        "join",
        [tg.stack, tg.concat, tg.tensor, tg.asarray, lambda xs: tg.tensor([xs, [1, 2]])],
    )
    def test_beside_what_requires_a_gradient_let_it_flow(self, join: Any) -> None:
        for position in (0, 1):
            numbers: list[Any] = [1j, 1j]
            numbers[position] = x = tg.scalar(2.0)
            joined = join(numbers)
            assert joined.dtype == tg.complex64
            (3 * tg.real(joined)).sum().backward()
            assert x.grad is not None
            assert (x.grad.item(), type(x.grad.data)) == (3.0, float)

    def test_of_python_carry_no_gradient(self) -> None:
        with pytest.raises(DTypeError, match=r"multiply.*only if it is real.*tg\.tensor\(x\)"):
            tg.scalar(2.0) * 1j

    @pytest.mark.parametrize("join", [tg.stack, tg.tensor, tg.asarray])
    def test_keep_their_imaginary_part_beside_constants(self, join: Any) -> None:
        x = join([tg.scalar(2.0, requires_grad=False), 1j])
        assert (x.tolist(), x.dtype) == ([2.0, 1j], tg.complex64)

    def test_and_numbers_of_any_kind_are_not_narrowed(self) -> None:
        cases = [
            (tg.tensor(1.5), 1j, tg.complex64),
            (tg.tensor(1.5, dtype=tg.float64), 1j, tg.complex128),
            (tg.tensor(True), 2, tg.int64),
            (tg.tensor(True), 1.5, tg.float32),
            (tg.tensor(1, dtype=tg.uint8), 2, tg.uint8),
            (tg.tensor(1j), 1.5, tg.complex64),
        ]
        for array, number, dtype in cases:
            for join in (tg.stack([array, number]), tg.concat([array.reshape(1), number])):
                assert (join.tolist(), join.dtype) == ([array.item(), number], dtype)
        with pytest.raises(ArgumentError, match="300"):
            tg.stack([tg.tensor(1, dtype=tg.uint8), 300])


class TestACopyOfATensor:
    @pytest.mark.parametrize(
        "copy",
        [
            tg.tensor,
            tg.scalar,
            lambda x: tg.tensor(x, dtype=tg.float64),
            lambda x: tg.tensor(x, requires_grad=True),
            lambda x: tg.tensor([x, x], dtype=tg.int64),
            lambda x: tg.asarray([1, x], dtype=bool),
        ],
    )
    def test_warns_that_its_gradient_is_lost(self, copy: Any) -> None:
        for x in (tg.scalar(2.0), tg.scalar(1.0) * 2, tg.tensor(2.0, requires_grad=True)):
            with pytest.warns(UserWarning, match=r"without its gradient.*x\.detach\(\)") as caught:
                copied = copy(x)
            assert caught[0].filename == __file__
            assert not copied.requires_grad or copied.is_leaf
            copy(x.detach())  # no warning, which would be an error
            with tg.no_grad():
                copy(x)

    def test_names_what_keeps_it(self) -> None:
        with pytest.warns(UserWarning, match=r"tg\.tensor\(\[x\]\) or tg\.stack\(\[x\]\)"):
            tg.tensor(tg.scalar(2.0))
        with pytest.warns(UserWarning, match=r"tg\.asarray\(x, dtype=\.\.\.\)"):
            tg.tensor(tg.tensor([2.0], requires_grad=True))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: tg.broadcast_to(x, (2,)),
        lambda x: tg.reshape(x, (1, 1)),
        lambda x: x.reshape(-1),
        lambda x: x.flatten(),
        lambda x: tg.expand_dims(x, 0),
        lambda x: tg.tile(x, (2,)),
        lambda x: tg.repeat(x, 2),
        lambda x: tg.roll(x, 1),
        lambda x: tg.cumulative_sum(x),
        lambda x: x @ x,
        lambda x: tg.meshgrid(x, x)[0],
    ],
)
def test_what_takes_no_number_names_an_array_that_passes_the_gradient_on(function: Any) -> None:
    w = tg.scalar(2.0)
    with pytest.raises(ShapeError, match=r"tg\.tensor\(\[x\]\)"):
        function(w)
    function(tg.tensor([w])).sum().backward()
    assert w.grad.item() > 0


def test_numbers_of_creation_functions_name_what_passes_the_gradient_on() -> None:
    w = tg.scalar(2.0)
    like = tg.ones((2,))
    ways = {
        "x * tg.ones(shape)": (lambda: tg.full((2,), w), lambda: w * tg.ones((2,))),
        "x * tg.ones_like(like)": (lambda: tg.full_like(like, w), lambda: w * tg.ones_like(like)),
        "start + step * tg.arange(count)": (
            lambda: tg.arange(0, 3, w),
            lambda: 0 + w * tg.arange(2),
        ),
        "start + (stop - start) * tg.linspace(0, 1, num)": (
            lambda: tg.linspace(0, w, 3),
            lambda: 0 + (w - 0) * tg.linspace(0, 1, 3),
        ),
    }
    for words, (refused, instead) in ways.items():
        with pytest.raises(GradientError) as caught:
            refused()
        assert words in str(caught.value)
        assert instead().requires_grad


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        ([ONE, [ONE]], ShapeError, "ragged.*rows of shapes"),
        ([[ONE, ONE], [ONE]], ShapeError, "ragged"),
        ([ONE, X64], ShapeError, "ragged"),
        ([ONE, None], DTypeError, "got None"),
        ([ONE, "2"], DTypeError, "got text"),
        ([ONE, {}], DTypeError, "got dict"),
        ([ONE, 2**2000], ArgumentError, "too large"),
    ],
)
def test_lists_that_are_no_array_are_told_in_their_own_terms(
    data: Any, kind: Any, words: str
) -> None:
    for make in (tg.tensor, tg.asarray):
        with pytest.raises(kind, match=rf"^tg\.{make.__name__}: .*{words}"):
            make(data)


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

    def test_of_an_array_or_a_list_says_what_makes_a_tensor_of_it(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        for value in (np.ones(2), [1.0, 1.0]):
            with pytest.raises(ArgumentTypeError, match=r"tg\.tensor\(value, dtype='float32'\)"):
                x.grad = value  # type: ignore[assignment]
            x.grad = tg.tensor(value, dtype="float32")
            assert x.grad.tolist() == [1.0, 1.0]

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
