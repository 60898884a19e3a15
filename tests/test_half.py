"""float16: sums are accumulated in float32 and rounded once, in values and in gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg

F = tg.nn.functional

pytestmark = pytest.mark.numpy_only("the standard has no float16")


def half(numbers: Any) -> Any:
    return tg.tensor(np.asarray(numbers, dtype=np.float16), device="cpu")


def filled(value: float, *shape: int) -> Any:
    return half(np.full(shape, value))


RAMP = np.arange(512) * 1.0
MANY = 70_000
"""More than the largest number of float16, 65,504."""
LABELS = np.zeros(MANY, dtype=np.int64)

VALUES: dict[str, tuple[Callable[[], Any], Any]] = {
    "sum of a column": (lambda: tg.sum(filled(1, 4096, 2), axis=0), [4096, 4096]),
    "sum in float16": (
        lambda: tg.sum(tg.ones((4096, 1), device="cpu"), axis=0, dtype="float16"),
        [4096],
    ),
    "mean": (lambda: tg.mean(filled(300, 512)), 300),
    "mean of columns": (lambda: tg.mean(filled(300, 512, 2), axis=0), [300, 300]),
    "var": (lambda: tg.var(half(RAMP / 4)), np.var(RAMP / 4)),
    "std": (lambda: tg.std(half(RAMP)), np.std(RAMP)),
    "prod": (lambda: tg.prod(half([300, 300, 0.001])), 90.06),
    "trace": (lambda: tg.trace(half(np.eye(4096, dtype=np.float16))), 4096),
    "cumulative_sum": (lambda: tg.cumulative_sum(filled(0.125, 4096))[-1], 512),
    "cumulative_sum from 0": (
        lambda: tg.cumulative_sum(filled(0.125, 4096), include_initial=True)[-1],
        512,
    ),
    "cumulative_prod": (
        lambda: tg.cumulative_prod(half(np.append(np.full(1000, 1.001), 1.0)))[-1],
        float(np.float16(1.001)) ** 1000,
    ),
    "softmax": (lambda: tg.softmax(filled(0, 4096))[:2], [1 / 4096] * 2),
    "log_softmax": (lambda: tg.log_softmax(filled(0, MANY))[0], -math.log(MANY)),
    "softmax of many": (lambda: tg.sum(tg.softmax(filled(0, MANY)) * 0.5), 0.5),
    "logsumexp": (lambda: tg.logsumexp(filled(0, MANY)), math.log(MANY)),
    "vector_norm": (lambda: tg.vector_norm(filled(300, 4)), 600),
    "vector_norm of order 3": (lambda: tg.vector_norm(filled(300, 8), ord=3), 600),
    "vector_norm of order 0": (lambda: tg.vector_norm(filled(1, 4096, 1), axis=0, ord=0), [4096]),
    "matrix_norm": (lambda: tg.matrix_norm(filled(300, 2, 2)), 600),
    "matmul": (lambda: filled(1, 1, 4096) @ filled(1, 4096, 1), [[4096]]),
    "vecdot": (lambda: tg.vecdot(filled(1, 4096), filled(1, 4096)), 4096),
    "einsum": (lambda: tg.einsum("ij->j", filled(1, 4096, 2)), [4096, 4096]),
    "linear": (lambda: tg.linear(filled(1, 1, 4096), filled(1, 1, 4096)), [[4096]]),
    "conv1d": (lambda: tg.conv1d(filled(1, 1, 1, 4096), filled(1, 1, 1, 4096)), [[[4096]]]),
    "conv_transpose1d": (
        lambda: tg.conv_transpose1d(filled(1, 1, 1, 4096), filled(0.1, 1, 1, 4096))[0, 0, 4095],
        409.6,
    ),
    "conv_transpose2d": (
        lambda: tg.conv_transpose2d(filled(1, 1, 1, 64, 64), filled(0.1, 1, 1, 64, 64))[
            0, 0, 63, 63
        ],
        409.6,
    ),
    "avg_pool1d": (lambda: tg.avg_pool1d(filled(300, 1, 1, 512), 512), [[[300]]]),
    "avg_pool2d": (lambda: tg.avg_pool2d(filled(300, 1, 1, 32, 32), 32), [[[[300]]]]),
    "adaptive_avg_pool2d": (
        lambda: tg.nn.functional.adaptive_avg_pool2d(filled(300, 1, 1, 32, 32), 1),
        [[[[300]]]],
    ),
    "mse_loss": (lambda: F.mse_loss(filled(200, MANY), filled(0, MANY)), 40_000),
    "cross_entropy": (
        lambda: tg.cross_entropy(filled(0, MANY, 2), tg.tensor(LABELS, device="cpu")),
        math.log(2),
    ),
    "batch_norm": (
        lambda: F.batch_norm(half([[-1000.0], [1000.0]]), None, None, training=True),
        [[-1], [1]],
    ),
    "layer_norm": (lambda: F.layer_norm(half([[-1000.0, 1000.0]]), 2), [[-1, 1]]),
    "at add": (
        lambda: filled(0, 2).at[tg.tensor(LABELS[:4096], device="cpu")].add(filled(1, 4096)),
        [4096, 0],
    ),
}


class TestSumsOfFloat16:
    @pytest.mark.parametrize("name", VALUES)
    def test_are_rounded_once(self, name: str) -> None:
        compute, expected = VALUES[name]
        out = compute()
        assert out.dtype == np.float16
        np.testing.assert_allclose(out.numpy().astype(float), expected, rtol=1e-3)

    def test_keep_running_statistics_in_their_dtype(self) -> None:
        mean, variance = filled(0, 1), filled(0, 1)
        F.batch_norm(half([[-300.0], [300.0]]), mean, variance, training=True)
        assert (mean.dtype, variance.dtype) == (np.float16, np.float16)
        assert variance.numpy() == [np.float16(0.1 * 180_000)]

    def test_of_other_byte_orders_too(self) -> None:
        x = tg.tensor(np.full(512, 300, dtype=">f2"), device="cpu")
        assert tg.mean(x).item() == 300


GRADIENTS: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "mean": (lambda x: 512 * tg.mean(x), RAMP / 8, 1),
    "max of ties": (lambda x: 70 * tg.max(x), np.zeros(MANY), 1 / 1000),
    "broadcasting": (lambda x: tg.sum(x * filled(1, 4096, 2)), [1.0, 1.0], 4096),
    "broadcast_to": (lambda x: tg.sum(tg.broadcast_to(x, (4096, 1)) / 2), [1.0], 2048),
    "repeated index": (
        lambda x: tg.sum(x[tg.tensor(LABELS[:4096], device="cpu")]),
        [1.0, 1.0],
        [4096, 0],
    ),
    "elements one by one": (lambda x: sum_of_parts([x[0] for _ in range(4096)]), [1.0], [4096]),
    "cumulative_sum": (lambda x: tg.sum(tg.cumulative_sum(x)[-1:]), np.ones(4096), 1),
    "cumulative_sum of all": (
        lambda x: tg.sum(tg.cumulative_sum(x / 4096)),
        np.ones(4096),
        np.arange(4096, 0, -1) / 4096,
    ),
    "prod": (lambda x: tg.prod(x), [300.0, 300, 0.001, 0], [0, 0, 0, 90.06]),
    "linear's bias": (
        lambda b: tg.sum(tg.linear(filled(1, 4096, 3), filled(1, 2, 3), b)),
        [0.0, 0.0],
        4096,
    ),
    "linear's weight": (
        lambda w: tg.sum(tg.linear(filled(1, 4096, 3), w)),
        [[0.0, 0, 0]],
        4096,
    ),
    "conv1d's weight": (
        lambda w: tg.sum(tg.conv1d(filled(1, 1, 1, 4096), w)),
        [[[1.0]]],
        4096,
    ),
    "conv1d's input": (
        lambda x: tg.sum(tg.conv1d(x, filled(0.1, 1, 1, 4096), padding=4095)),
        [[[1.0, 1.0]]],
        409.6,
    ),
    "conv2d's input": (
        lambda x: tg.sum(tg.conv2d(x, filled(0.1, 1, 1, 64, 64), padding=63)),
        [[[[1.0]]]],
        409.6,
    ),
    "conv2d's input, in groups": (
        lambda x: tg.sum(tg.conv2d(x, filled(0.1, 2, 1, 64, 64), padding=63, groups=2)),
        [[[[1.0]], [[1.0]]]],
        409.6,
    ),
    "conv_transpose2d": (
        lambda x: tg.conv_transpose2d(x, filled(0.1, 1, 1, 64, 64))[0, 0, 63, 63],
        np.ones((1, 1, 64, 64)),
        0.1,
    ),
    "overlapping max_pool1d": (
        lambda x: tg.sum(tg.max_pool1d(x, 4096, stride=1) * 0.1),
        np.maximum(np.arange(-4095.0, 4096) == 0, -1.0)[None, None],
        (np.arange(-4095, 4096) == 0) * 409.6,
    ),
    "vector_norm": (lambda x: tg.vector_norm(x), [300.0] * 4, 0.5),
    "mse_loss": (lambda x: F.mse_loss(x, filled(0, 1000)), [200.0] * 1000, 0.4),
    "cross_entropy": (
        lambda x: 1000 * tg.cross_entropy(x, tg.tensor(LABELS, device="cpu")),
        np.zeros((MANY, 2)),
        [-1 / 140, 1 / 140],
    ),
    "softmax": (
        lambda x: 70 * tg.sum(tg.softmax(x)[:1000]),
        np.zeros(MANY),
        (np.arange(MANY) < 1000) / 1000 - 1 / 70_000,
    ),
    "layer_norm": (lambda x: F.layer_norm(x, 2)[0, 0], [[-1000.0, 1000.0]], 0),
}


def sum_of_parts(parts: list[Any]) -> Any:
    return tg.sum(tg.stack(parts) / 1)


class TestGradientsOfFloat16:
    @pytest.mark.parametrize("name", GRADIENTS)
    def test_are_rounded_once(self, name: str) -> None:
        f, at, expected = GRADIENTS[name]
        x = half(at).requires_grad_()
        f(x).backward()
        assert x.grad.dtype == np.float16
        found = x.grad.numpy().astype(float)
        np.testing.assert_allclose(
            found, np.broadcast_to(expected, found.shape), rtol=1e-2, atol=1e-6
        )

    # With a history, the gradients of several uses are Tensors of float16 and add up as such.
    @pytest.mark.parametrize("name", sorted(GRADIENTS.keys() - {"elements one by one"}))
    def test_are_those_of_tg_grad_with_history(self, name: str) -> None:
        f, at, _ = GRADIENTS[name]
        x = half(at).requires_grad_()
        (found,) = tg.autograd.grad(f(x), x, create_graph=True)
        f(x).backward()
        assert found.dtype == np.float16
        np.testing.assert_allclose(found.detach().numpy(), x.grad.numpy(), rtol=1e-2, atol=1e-6)
