"""Losses: the numbers of their formulas and of PyTorch, in every reduction, at any order."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from scipy import special

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    IndexingError,
    ShapeError,
)

F = nn.functional
Array = np.ndarray[Any, Any]
REDUCTIONS = ("none", "mean", "sum")


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def uniform(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).uniform(0.05, 0.95, size=shape)


def signs(*shape: int) -> Array:
    return np.where(normal(*shape, seed=9) > 0, 1.0, -1.0)


@dataclass(frozen=True)
class Case:
    """A loss, what it is called with, and how it is computed by hand."""

    name: str
    inputs: tuple[Any, ...]
    by_hand: Callable[..., Array]
    """The losses of all samples in NumPy."""
    options: dict[str, Any] = field(default_factory=dict)
    learned: int = 1
    """How many inputs get a gradient, counted from the first."""
    divisor: float | None = None
    """What the sum is divided by for the mean, if not by the number of losses."""
    module: str = ""
    label: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.label}".strip()

    def tensors(self, dtype: Any = np.float64) -> list[tg.Tensor]:
        made = [_tensor(one, dtype) for one in self.inputs]
        for one in made[: self.learned]:
            one.requires_grad_()
        return made

    def ours(self, *tensors: Any, dtype: Any = np.float64, **more: Any) -> Any:
        options = {key: _tensor(one, dtype) for key, one in self.options.items()}
        return getattr(F, self.name)(*tensors, **options, **more)


def _tensor(one: Any, dtype: Any) -> Any:
    if not isinstance(one, np.ndarray | np.integer):
        return one
    return tg.tensor(one.astype(dtype) if one.dtype.kind == "f" else one)


# --- by hand -------------------------------------------------------------------------------------


def _scores(x: Array) -> Array:
    """The logarithms of softmax along the axis of the classes, moved to the end."""
    return special.log_softmax(np.moveaxis(x, 1, -1) if x.ndim > 1 else x, axis=-1)


def _surprise(scores: Array, target: Array, weight: Any, ignored: int) -> Array:
    """The losses of samples, one by one."""
    losses = np.zeros(target.shape)
    for place in np.ndindex(*target.shape):
        label = target[place]
        if label != ignored:
            losses[place] = -scores[place][label] * (1 if weight is None else weight[label])
    return losses


def cross_entropy(
    x: Array,
    target: Array,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Array:
    scores = _scores(x)
    if target.dtype.kind == "f":
        p = np.moveaxis(target, 1, -1) if target.ndim > 1 else target
        p = p * (1 - label_smoothing) + label_smoothing / p.shape[-1]
        return -(p * scores * (1 if weight is None else weight)).sum(axis=-1)
    losses = _surprise(scores, target, weight, ignore_index)
    spread = -(scores * (1 if weight is None else weight)).sum(axis=-1) / scores.shape[-1]
    spread = np.where(target == ignore_index, 0, spread)
    return (1 - label_smoothing) * losses + label_smoothing * spread


def nll_loss(x: Array, target: Array, weight: Any = None, ignore_index: int = -100) -> Array:
    scores = np.moveaxis(x, 1, -1) if x.ndim > 1 else x
    return _surprise(scores, target, weight, ignore_index)


def huber(d: Array, delta: float) -> Array:
    return np.where(abs(d) < delta, d**2 / 2, delta * (abs(d) - delta / 2))


def smooth_l1_loss(x: Array, y: Array, beta: float = 1.0) -> Array:
    return huber(x - y, beta) / beta if beta else abs(x - y)


def binary_cross_entropy(x: Array, y: Array, weight: Any = 1.0) -> Array:
    return -weight * (y * np.log(x) + (1 - y) * np.log(1 - x))


def with_logits(x: Array, y: Array, weight: Any = 1.0, pos_weight: Any = 1.0) -> Array:
    p = special.expit(x)
    return -weight * (pos_weight * y * np.log(p) + (1 - y) * np.log(1 - p))


def kl_div(x: Array, y: Array, log_target: bool = False) -> Array:
    return np.exp(y) * (y - x) if log_target else special.xlogy(y, y) - y * x


def multi_margin_loss(
    x: Array, target: Array, p: int = 1, margin: float = 1.0, weight: Any = None
) -> Array:
    rows, labels = np.atleast_2d(x), np.atleast_1d(target)
    losses = []
    for row, label in zip(rows, labels, strict=True):
        others = np.delete(row, label)
        loss = (np.maximum(0, margin - row[label] + others) ** p).sum() / len(row)
        losses.append(loss if weight is None else loss * weight[label])
    return np.reshape(losses, np.shape(target))


def multilabel_margin_loss(x: Array, target: Array) -> Array:
    losses = []
    for row, listed in zip(np.atleast_2d(x), np.atleast_2d(target), strict=True):
        has = [*listed, -1]
        has = has[: has.index(-1)]
        others = [i for i in range(len(row)) if i not in has]
        losses.append(sum(max(0, 1 - row[j] + row[i]) for j in has for i in others) / len(row))
    return np.reshape(losses, x.shape[:-1])


def multilabel_soft_margin_loss(x: Array, y: Array, weight: Any = 1.0) -> Array:
    return with_logits(x, y, weight).mean(axis=-1)


def cosine_embedding_loss(a: Array, b: Array, y: Array, margin: float = 0.0) -> Array:
    cosine = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.where(y == 1, 1 - cosine, np.maximum(0, cosine - margin))


def distance(a: Array, b: Array, p: float = 2.0, eps: float = 1e-6) -> Array:
    return np.linalg.norm(a - b + eps, ord=p, axis=-1)


def triplet_margin_loss(
    a: Array,
    b: Array,
    c: Array,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
) -> Array:
    far = distance(a, c, p, eps)
    far = np.minimum(far, distance(b, c, p, eps)) if swap else far
    return np.maximum(0, margin + distance(a, b, p, eps) - far)


def poisson_nll_loss(
    x: Array, y: Array, log_input: bool = True, full: bool = False, eps: float = 1e-8
) -> Array:
    losses = np.exp(x) - y * x if log_input else x - y * np.log(x + eps)
    if full:
        n = np.maximum(y, 1)
        stirling = n * np.log(n) - n + np.log(2 * np.pi * n) / 2
        losses = losses + np.where(y > 1, stirling, 0)
    return losses


def gaussian_nll_loss(x: Array, y: Array, var: Any, full: bool = False, eps: float = 1e-6) -> Array:
    if np.shape(var) == x.shape[:-1] and x.ndim > 1:
        var = var[..., None]
    var = np.maximum(var, eps)
    return (np.log(var) + (x - y) ** 2 / var) / 2 + (np.log(2 * np.pi) / 2 if full else 0)


# --- the table -----------------------------------------------------------------------------------

X, Y, Z = normal(4, 3), normal(4, 3, seed=1), normal(4, 3, seed=2)
LABELS, SOME = np.array([0, 2, 1, 2]), np.array([0, 2, -100, 2])
OF_CLASS = np.array([0.5, 2.0, 1.5])
W = uniform(4, 3, seed=3)
SEQUENCE, AT_EACH = normal(2, 3, 4), np.array([[0, 1, 2, 1], [1, -100, 0, 2]])
IMAGE, PIXELS = normal(2, 3, 2, 2), np.array([[[0, 1], [2, 2]], [[1, 1], [0, 2]]])
P, Q = uniform(4, 3), uniform(4, 3, seed=1)
SHARES = special.softmax(Y, axis=1)
LISTS = np.array([[0, -1, 2], [2, 1, -1], [-1, 0, 0], [1, 0, 2]])
COUNTS = np.array([[0.0, 1.0, 2.0], [5.0, 3.0, 1.0], [0.0, 0.0, 9.0], [2.0, 2.0, 1.0]])
VARIANCES = uniform(4, 3, seed=5)


def _weights(labels: Array, weight: Any = None, ignored: int = -100) -> float:
    kept = labels[labels != ignored]
    return float(kept.size if weight is None else weight[kept].sum())


def of_classes(
    name: str, x: Array, target: Array, label: str, learned: int = 1, **options: Any
) -> Case:
    divisor = None
    if target.dtype.kind == "i":
        ignored = options.get("ignore_index", -100)
        divisor = _weights(target, options.get("weight"), ignored)
    module = "CrossEntropyLoss" if name == "cross_entropy" else "NLLLoss"
    return Case(name, (x, target), globals()[name], options, learned, divisor, module, label)


def simple(
    name: str,
    inputs: tuple[Any, ...],
    by_hand: Callable[..., Array],
    module: str,
    label: str = "",
    learned: int = 2,
    **options: Any,
) -> Case:
    return Case(name, inputs, by_hand, options, learned, None, module, label)


CASES = [
    of_classes("cross_entropy", X, LABELS, "of classes"),
    of_classes("cross_entropy", X, SOME, "but some"),
    of_classes("cross_entropy", X, LABELS, "but 2", ignore_index=2),
    of_classes("cross_entropy", X, SOME, "weighted", weight=OF_CLASS),
    of_classes("cross_entropy", X, SOME, "smooth", label_smoothing=0.2),
    of_classes("cross_entropy", X, SOME, "smooth, weighted", weight=OF_CLASS, label_smoothing=0.2),
    of_classes("cross_entropy", SEQUENCE, AT_EACH, "of sequences"),
    of_classes("cross_entropy", IMAGE, PIXELS, "of images", weight=OF_CLASS, label_smoothing=0.1),
    of_classes("cross_entropy", X[0], LABELS[0], "of one sample"),
    of_classes("cross_entropy", X[0], LABELS[1], "of one, weighted", weight=OF_CLASS),
    of_classes("cross_entropy", X, SHARES, "of shares", 2),
    of_classes(
        "cross_entropy", X, SHARES, "of shares, all", 2, weight=OF_CLASS, label_smoothing=0.3
    ),
    of_classes("cross_entropy", SEQUENCE, special.softmax(SEQUENCE, 1), "of shares at each", 2),
    of_classes("cross_entropy", X[0], SHARES[0], "of shares of one", 2),
    of_classes("nll_loss", X, SOME, "of classes"),
    of_classes("nll_loss", X, LABELS, "weighted but 0", weight=OF_CLASS, ignore_index=0),
    of_classes("nll_loss", IMAGE, PIXELS, "of images", weight=OF_CLASS),
    of_classes("nll_loss", X[0], LABELS[0], "of one sample"),
    simple("mse_loss", (X, Y), lambda x, y: (x - y) ** 2, "MSELoss"),
    simple("l1_loss", (X, Y), lambda x, y: abs(x - y), "L1Loss"),
    Case(
        *("mse_loss", (X, Y), lambda x, y, weight: weight * (x - y) ** 2, {"weight": W}, 2),
        *(W.sum(), "", "weighted"),
    ),
    Case(
        *("l1_loss", (X, Y), lambda x, y, weight: weight * abs(x - y), {"weight": W}, 2),
        *(W.sum(), "", "weighted"),
    ),
    simple("smooth_l1_loss", (X, Y), smooth_l1_loss, "SmoothL1Loss"),
    simple("smooth_l1_loss", (X, Y), smooth_l1_loss, "SmoothL1Loss", "of beta", beta=0.3),
    simple("smooth_l1_loss", (X, Y), smooth_l1_loss, "SmoothL1Loss", "of beta 0", beta=0.0),
    simple("huber_loss", (X, Y), lambda x, y: huber(x - y, 1.0), "HuberLoss"),
    simple(
        *("huber_loss", (X, Y), lambda x, y, delta: huber(x - y, delta), "HuberLoss", "of delta"),
        delta=0.5,
    ),
    simple(
        *("huber_loss", (X, Y), lambda x, y, weight: weight * huber(x - y, 1), "", "weighted"),
        weight=W,
    ),
    simple("binary_cross_entropy", (P, Q), binary_cross_entropy, "BCELoss"),
    simple(
        *("binary_cross_entropy", (P, Q), binary_cross_entropy, "BCELoss", "weighted"),
        weight=W[0],
    ),
    simple("binary_cross_entropy_with_logits", (X, Q), with_logits, "BCEWithLogitsLoss"),
    simple(
        *("binary_cross_entropy_with_logits", (X, Q), with_logits, "BCEWithLogitsLoss"),
        *("weighted",),
        weight=W[:, :1],
        pos_weight=OF_CLASS,
    ),
    simple("kl_div", (np.log(P), SHARES), kl_div, "KLDivLoss"),
    simple("kl_div", (np.log(P), Y), kl_div, "KLDivLoss", "of logarithms", log_target=True),
    simple(
        "hinge_embedding_loss",
        (X, signs(4, 3)),
        lambda x, y: np.where(y == 1, x, np.maximum(0, 1 - x)),
        "HingeEmbeddingLoss",
        learned=1,
    ),
    simple(
        *("hinge_embedding_loss", (X, signs(4, 3))),
        *(lambda x, y, margin: np.where(y == 1, x, np.maximum(0, margin - x)),),
        *("HingeEmbeddingLoss", "of margin", 1),
        margin=0.4,
    ),
    simple("multi_margin_loss", (X, LABELS), multi_margin_loss, "MultiMarginLoss", learned=1),
    simple(
        *("multi_margin_loss", (X, LABELS), multi_margin_loss, "MultiMarginLoss", "of all", 1),
        p=2,
        margin=0.7,
        weight=OF_CLASS,
    ),
    simple(
        *("multi_margin_loss", (X[0], LABELS[1]), multi_margin_loss, "MultiMarginLoss"),
        *("of one sample", 1),
    ),
    simple(
        *("multilabel_margin_loss", (X, LISTS), multilabel_margin_loss, "MultiLabelMarginLoss"),
        learned=1,
    ),
    simple(
        *("multilabel_margin_loss", (X[0], LISTS[1]), multilabel_margin_loss),
        *("MultiLabelMarginLoss", "of one sample", 1),
    ),
    simple(
        *("soft_margin_loss", (X, signs(4, 3)), lambda x, y: np.log1p(np.exp(-y * x))),
        *("SoftMarginLoss", "", 1),
    ),
    simple(
        *("multilabel_soft_margin_loss", (X, (Y > 0) * 1.0), multilabel_soft_margin_loss),
        *("MultiLabelSoftMarginLoss", "", 1),
    ),
    simple(
        *("multilabel_soft_margin_loss", (X, (Y > 0) * 1.0), multilabel_soft_margin_loss),
        *("MultiLabelSoftMarginLoss", "weighted", 1),
        weight=OF_CLASS,
    ),
    simple(
        *("cosine_embedding_loss", (X, Y, signs(4)), cosine_embedding_loss),
        *("CosineEmbeddingLoss",),
    ),
    simple(
        *("cosine_embedding_loss", (X, Y, signs(4)), cosine_embedding_loss),
        *("CosineEmbeddingLoss", "of margin"),
        margin=0.1,
    ),
    simple(
        *("cosine_embedding_loss", (X[0], Y[0], np.array(signs(4)[0])), cosine_embedding_loss),
        *("CosineEmbeddingLoss", "of one pair"),
    ),
    simple("triplet_margin_loss", (X, Y, Z), triplet_margin_loss, "TripletMarginLoss", "", 3),
    simple(
        *("triplet_margin_loss", (X, Y, Z), triplet_margin_loss, "TripletMarginLoss"),
        *("of all", 3),
        margin=1.5,
        p=3.0,
        eps=1e-3,
        swap=True,
    ),
    simple(
        *("triplet_margin_loss", (X[0], Y[0], Z[0]), triplet_margin_loss, "TripletMarginLoss"),
        *("of one triplet", 3),
    ),
    simple(
        *("triplet_margin_with_distance_loss", (X, Y, Z), triplet_margin_loss),
        *("TripletMarginWithDistanceLoss", "", 3),
        swap=True,
    ),
    simple(
        *("margin_ranking_loss", (X, Y, signs(4, 3))),
        *(lambda a, b, y, margin=0.0: np.maximum(0, margin - y * (a - b)), "MarginRankingLoss"),
    ),
    simple(
        *("margin_ranking_loss", (X, Y, signs(4, 3))),
        *(lambda a, b, y, margin: np.maximum(0, margin - y * (a - b)), "MarginRankingLoss"),
        *("of margin",),
        margin=0.5,
    ),
    simple("poisson_nll_loss", (X, COUNTS), poisson_nll_loss, "PoissonNLLLoss", learned=1),
    simple(
        *("poisson_nll_loss", (P, COUNTS), poisson_nll_loss, "PoissonNLLLoss", "in full", 1),
        log_input=False,
        full=True,
        eps=1e-3,
    ),
    simple(
        *("gaussian_nll_loss", (X, Y, VARIANCES), gaussian_nll_loss, "GaussianNLLLoss", "", 3),
    ),
    simple(
        *("gaussian_nll_loss", (X, Y, VARIANCES[:, 0]), gaussian_nll_loss, "GaussianNLLLoss"),
        *("in full", 3),
        full=True,
        eps=1e-3,
    ),
    simple(
        *("gaussian_nll_loss", (X, Y, VARIANCES[:, :1]), gaussian_nll_loss),
        *("GaussianNLLLoss", "of rows", 3),
    ),
    simple("gaussian_nll_loss", (X, Y, 0.3), gaussian_nll_loss, "GaussianNLLLoss", "of one", 2),
]

every_case = pytest.mark.parametrize("case", CASES, ids=str)


def close(found: Any, expected: Any, rtol: float = 1e-12) -> None:
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-13)


def random_like(array: Any) -> Array:
    return np.random.default_rng(7).normal(size=np.shape(array))


@every_case
class TestEveryLoss:
    def test_is_what_its_formula_says(self, case: Case) -> None:
        expected = case.by_hand(*case.inputs, **case.options)
        count = expected.size if case.divisor is None else case.divisor
        for reduction, number in zip(
            REDUCTIONS, (expected, expected.sum() / count, expected.sum()), strict=True
        ):
            found = case.ours(*case.tensors(), reduction=reduction)
            assert found.shape == np.shape(number)
            close(found.detach().numpy(), number, 1e-9 if "cosine" in case.name else 1e-12)
        close(case.ours(*case.tensors()).item(), expected.sum() / count, 1e-9)

    @pytest.mark.numpy_only("PyTorch is compared with NumPy's arrays")
    def test_has_pytorchs_values_and_gradients(self, case: Case) -> None:
        torch = pytest.importorskip("torch")
        for reduction in REDUCTIONS:
            ours, theirs = case.tensors(), [_peer(torch, one) for one in case.inputs]
            for one in theirs[: case.learned]:
                one.requires_grad_()
            out = case.ours(*ours, reduction=reduction)
            options = {key: _peer(torch, one) for key, one in case.options.items()}
            with warnings.catch_warnings():  # "mean" of kl_div is not the divergence
                warnings.simplefilter("ignore")
                function = getattr(torch.nn.functional, case.name)
                expected = function(*theirs, **options, reduction=reduction)
            close(out.detach().numpy(), expected.detach().numpy())
            g = random_like(out)
            out.backward(gradient=tg.tensor(g))
            expected.backward(torch.tensor(g))
            for mine, other in zip(ours, theirs[: case.learned], strict=False):
                close(mine.grad.numpy(), other.grad.numpy())

    def test_has_the_derivatives_of_both_orders_that_its_values_have(self, case: Case) -> None:
        tensors = [one.detach() if isinstance(one, tg.Tensor) else one for one in case.tensors()]
        rest = tensors[case.learned :]
        tg.gradcheck(
            lambda *xs: case.ours(*xs, *rest, reduction="none"),
            *tensors[: case.learned],
            order=2,
            samples=3,
        )

    def test_is_the_same_as_a_module(self, case: Case) -> None:
        if not case.module:
            return
        tensors = case.tensors()
        options = {key: _tensor(one, np.float64) for key, one in case.options.items()}
        for reduction in REDUCTIONS:
            module = getattr(nn, case.module)(**options, reduction=reduction)
            expected = case.ours(*tensors, reduction=reduction)
            assert np.array_equal(module(*tensors).detach().numpy(), expected.detach().numpy())
            weights = {key for key, one in options.items() if isinstance(one, tg.Tensor)}
            assert set(module.state_dict()) == weights

    @pytest.mark.numpy_only("the standard has no float16")
    @pytest.mark.parametrize("dtype", [np.float16, np.float32])
    def test_keeps_the_dtype_and_is_drawn(self, case: Case, dtype: Any) -> None:
        for reduction in ("none", "mean"):
            tensors = case.tensors(dtype)
            out = case.ours(*tensors, dtype=dtype, reduction=reduction)
            assert out.dtype == dtype
            out.backward(gradient=tg.ones(out.shape, dtype=dtype))
            for one in tensors[: case.learned]:
                assert one.grad is not None
                assert one.grad.dtype == dtype
            expected = case.ours(*case.tensors(), reduction=reduction).detach().numpy()
            np.testing.assert_allclose(
                out.detach().numpy(),
                expected,
                *((1e-2, 5e-3) if dtype == np.float16 else (1e-5, 1e-6)),
            )
        if dtype == np.float32:
            assert "->" in tg.draw(out).dot

    @pytest.mark.numpy_only("compiled steps are NumPy code")
    def test_is_compiled_bit_for_bit(self, case: Case) -> None:
        wrt = tuple(range(case.learned))
        step = tg.value_and_grad(case.ours, argnums=wrt)
        compiled = tg.compile(step)
        for call in range(3):
            tensors = [
                _tensor(np.roll(one, call, axis=0) if np.ndim(one) else one, np.float64)
                for one in case.inputs
            ]
            for found, expected in zip(
                _flat(compiled(*tensors)), _flat(step(*tensors)), strict=True
            ):
                assert np.array_equal(found.detach().numpy(), expected.detach().numpy())
        assert compiled.source


def _flat(result: Any) -> list[tg.Tensor]:
    return [result[0], *result[1]]


def _peer(torch: Any, one: Any) -> Any:
    return torch.tensor(one) if isinstance(one, np.ndarray | np.generic) else one


# --- far from 0 ----------------------------------------------------------------------------------

FAR = np.array([[1000.0, -1000.0, 0.0]])
EXTREME: dict[str, tuple[Callable[[Any], Any], Array, list[float], list[float]]] = {
    "cross_entropy of its sure class": (
        lambda x: F.cross_entropy(x, tg.tensor([0]), reduction="none"),
        *(FAR, [0.0], [0.0, 0.0, 0.0]),
    ),
    "cross_entropy of another": (
        lambda x: F.cross_entropy(x, tg.tensor([1]), reduction="sum"),
        *(FAR, [2000.0], [1.0, -1.0, 0.0]),
    ),
    "cross_entropy of shares": (
        lambda x: F.cross_entropy(x, tg.tensor([[0.5, 0.5, 0.0]])),
        *(FAR, [1000.0], [0.5, -0.5, 0.0]),
    ),
    "binary_cross_entropy_with_logits": (
        lambda x: F.binary_cross_entropy_with_logits(
            x, tg.tensor([[0.0, 1.0, 1.0]]), reduction="none"
        ),
        *(FAR, [1000.0, 1000.0, float(np.log(2))], [1.0, -1.0, -0.5]),
    ),
    "binary_cross_entropy_with_logits, right": (
        lambda x: F.binary_cross_entropy_with_logits(
            x, tg.tensor([[1.0, 0.0, 0.5]]), reduction="none"
        ),
        *(FAR, [0.0, 0.0, float(np.log(2))], [0.0, 0.0, 0.0]),
    ),
    "binary_cross_entropy of 0 and 1": (
        lambda x: F.binary_cross_entropy(x, tg.tensor([1.0, 0.0, 0.0, 1.0]), reduction="none"),
        np.array([0.0, 1.0, 0.0, 1.0]),
        *([100.0, 100.0, 0.0, 0.0], [-1e12, 1e12, 0.0, 0.0]),
    ),
    "soft_margin_loss": (
        lambda x: F.soft_margin_loss(x, tg.tensor([[-1.0, 1.0, 1.0]]), reduction="none"),
        *(FAR, [1000.0, 1000.0, float(np.log(2))], [1.0, -1.0, -0.5]),
    ),
    "multilabel_soft_margin_loss": (
        lambda x: F.multilabel_soft_margin_loss(x, tg.tensor([[0.0, 1.0, 1.0]]), reduction="sum"),
        *(FAR, [(2000 + float(np.log(2))) / 3], [1 / 3, -1 / 3, -1 / 6]),
    ),
    "kl_div of a probability of 0": (
        lambda x: F.kl_div(x, tg.tensor([1.0, 0.0]), reduction="none"),
        *(np.array([-1000.0, -1000.0]), [1000.0, 0.0], [-1.0, 0.0]),
    ),
    "smooth_l1_loss": (
        lambda x: F.smooth_l1_loss(x, tg.zeros((3,)), reduction="none"),
        *(np.array([1e30, -1e30, np.inf]), [1e30, 1e30, np.inf], [1.0, -1.0, 1.0]),
    ),
    "huber_loss": (
        lambda x: F.huber_loss(x, tg.zeros((3,)), delta=0.5, reduction="none"),
        *(np.array([1e30, 0.0, -np.inf]), [5e29, 0.0, np.inf], [0.5, 0.0, -0.5]),
    ),
    "cosine_similarity of zeros": (
        lambda x: F.cosine_similarity(x, tg.ones((2, 2))),
        *(np.zeros((2, 2)), [0.0, 0.0], [1e8 / 2**0.5] * 4),
    ),
    "normalize of zeros": (lambda x: F.normalize(x), np.zeros((1, 2)), [0.0, 0.0], [1e12] * 2),
    "pairwise_distance of equals": (
        lambda x: F.pairwise_distance(x, tg.ones((1, 4))),
        *(np.ones((1, 4)), [2e-6], [0.5] * 4),
    ),
    "gaussian_nll_loss of no variance, which gets a gradient": (
        lambda x: F.gaussian_nll_loss(tg.zeros((1,)), tg.ones((1,)), x),
        *(np.zeros(1), [(float(np.log(1e-6)) + 1e6) / 2], [(1e6 - 1e12) / 2]),
    ),
}


@pytest.mark.parametrize("name", EXTREME)
def test_far_from_0_losses_and_gradients_are_right(name: str) -> None:
    compute, at, expected, gradient = EXTREME[name]
    x = tg.tensor(at, dtype=np.float32, requires_grad=True)
    out = compute(x)
    np.testing.assert_allclose(out.detach().numpy().reshape(-1), expected, rtol=1e-6)
    out.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy().reshape(-1), gradient, rtol=1e-5, atol=1e-7)


class TestCrossEntropy:
    @pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.5}, {"weight": [1.0, 2.0]}])
    def test_the_mean_over_no_samples_is_nan_and_their_sum_0(self, settings: Any) -> None:
        settings = {
            name: tg.tensor(one) if name == "weight" else one for name, one in settings.items()
        }
        x, target = tg.zeros((0, 2)), tg.zeros(0, dtype=tg.int64)
        with np.errstate(invalid="ignore"):
            assert np.isnan(F.cross_entropy(x, target, **settings).item())
        assert F.cross_entropy(x, target, reduction="sum", **settings).item() == 0.0
        assert F.cross_entropy(x, target, reduction="none", **settings).shape == (0,)

    @pytest.mark.numpy_only("other backends may have no kernels")
    def test_of_classes_is_one_fused_op(self) -> None:
        x, labels = tg.tensor(X, requires_grad=True), tg.tensor(LABELS)
        for loss in (F.cross_entropy(x, labels), nn.CrossEntropyLoss()(x, labels)):
            assert tg.graph(loss).nodes[-1].op is tg.cross_entropy.op
            assert loss.item() == tg.cross_entropy(x, labels).item()

    def test_of_samples_that_do_not_count_has_no_gradient_for_them(self) -> None:
        x = tg.tensor([[1.0, -np.inf], [1.0, 2.0]], requires_grad=True)
        F.cross_entropy(x, tg.tensor([-100, 1])).backward()
        assert x.grad is not None
        assert x.grad[0].tolist() == [0.0, 0.0]
        assert np.isfinite(x.grad.numpy()).all()

    def test_of_no_sample_that_counts_is_nan_as_in_pytorch(self) -> None:
        with np.errstate(invalid="ignore"):
            assert np.isnan(F.cross_entropy(tg.tensor(X), tg.tensor([-100] * 4)).item())
        assert F.cross_entropy(tg.tensor(X), tg.tensor([-100] * 4), reduction="sum").item() == 0

    @pytest.mark.numpy_only("compiled steps are NumPy code")
    def test_compiled_takes_samples_to_ignore_that_come_later(self) -> None:
        step = tg.compile(F.cross_entropy)
        for labels in (LABELS, LABELS, SOME, LABELS, SOME):
            given = tg.tensor(X), tg.tensor(labels)
            assert step(*given).item() == F.cross_entropy(*given).item()
        with pytest.raises(IndexingError, match=r"got 7 at \[1\]"):
            step(tg.tensor(X), tg.tensor([0, 7, 0, 0]))

    def test_weights_are_state_that_is_not_learned(self) -> None:
        loss = nn.BCEWithLogitsLoss(tg.ones((3,)), pos_weight=tg.full((3,), 2.0))
        assert sorted(loss.state_dict()) == ["pos_weight", "weight"]
        assert not list(loss.parameters())
        assert dict(nn.CrossEntropyLoss().state_dict()) == {}


def test_batchmean_divides_by_the_number_of_samples() -> None:
    x, target = tg.tensor(np.log(P)), tg.tensor(SHARES)
    expected = kl_div(np.log(P), SHARES).sum() / 4
    close(F.kl_div(x, target, reduction="batchmean").item(), expected)
    close(nn.KLDivLoss(reduction="batchmean")(x, target).item(), expected)


def test_a_distance_of_ones_own_takes_part_in_triplets() -> None:
    loss = nn.TripletMarginWithDistanceLoss(
        distance_function=lambda a, b: 1 - F.cosine_similarity(a, b), margin=0.5
    )
    found = loss(tg.tensor(X), tg.tensor(Y), tg.tensor(Z))

    def cosine(b: Array) -> Array:
        return (X * b).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(b, axis=1)

    close(found.item(), np.maximum(0, 0.5 - cosine(Y) + cosine(Z)).mean())


# --- mistakes ------------------------------------------------------------------------------------

x, y, labels = tg.tensor(X), tg.tensor(Y), tg.tensor(LABELS)
MISTAKES: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (
        lambda: F.cross_entropy(x, tg.tensor([0, 1, 3, 2])),
        IndexingError,
        ["cross_entropy: labels of 3 classes are 0 to 2, or -100 to leave", "got 3 at [2]"],
    ),
    (
        lambda: F.cross_entropy(tg.tensor(SEQUENCE), tg.tensor(AT_EACH + 1), ignore_index=-99),
        IndexingError,
        ["0 to 2, or -99", "got 3 at [0, 2]"],
    ),
    (
        lambda: F.cross_entropy(x, labels.astype(np.float32)),
        DTypeError,
        ["target.astype(tg.int64) (or probabilities, floating numbers of shape (4, 3)"],
    ),
    (
        lambda: F.cross_entropy(x, tg.tensor(np.eye(3, dtype=np.int64)[LABELS])),
        ShapeError,
        ["of 3 classes on axis 1", "floating numbers", "got (4, 3)"],
    ),
    (lambda: F.cross_entropy(x.astype(np.int64), labels), DTypeError, ["floating-point", "int64"]),
    (
        lambda: F.cross_entropy(x, labels, tg.ones((4,))),
        ShapeError,
        ["3 classes", "shape (4,)"],
    ),
    (
        lambda: F.cross_entropy(x, labels, label_smoothing=2.0),
        ArgumentError,
        ["from 0 to 1"],
    ),
    (lambda: F.cross_entropy(x, y, ignore_index=1), ArgumentError, ["of class indices"]),
    (lambda: F.cross_entropy(x, labels, reduction="avg"), ArgumentError, ["'none', 'mean', 'sum'"]),
    (lambda: F.cross_entropy([1.0], labels), ArgumentTypeError, ["cross_entropy: ", "list"]),
    (lambda: F.cross_entropy(x, labels, size_average=False), ArgumentTypeError, ['"sum"']),
    (
        lambda: F.cross_entropy(x, labels, None, False),
        ArgumentTypeError,
        ["cross_entropy(x,"],
    ),
    (lambda: nn.MSELoss(reduce=False), ArgumentTypeError, ['reduction="none"']),
    (lambda: nn.MSELoss("sum"), ArgumentTypeError, ["MSELoss(*, reduction='mean')"]),
    (lambda: nn.MSELoss(reduction="avg"), ArgumentError, ["MSELoss: expected reduction", "'avg'"]),
    (lambda: nn.NLLLoss(weight=[1.0, 2.0]), ArgumentTypeError, ["NLLLoss: ", "tg.tensor(weight)"]),
    (lambda: F.nll_loss(x, y), ShapeError, ["nll_loss: with x of shape (4, 3)", "got (4, 3)"]),
    (lambda: F.nll_loss(x, y[:, 0]), DTypeError, ["integers as class indices", "int64"]),
    (
        lambda: F.binary_cross_entropy(x * 9, tg.tensor(Q)),
        ArgumentError,
        ["probabilities x from 0 to 1", "binary_cross_entropy_with_logits", "sigmoid()"],
    ),
    (
        lambda: F.binary_cross_entropy_with_logits(x[:, 0], labels),
        DTypeError,
        ["floating-point target", "int64", "cross_entropy"],
    ),
    (lambda: F.binary_cross_entropy(x, y[:, :1]), ShapeError, ["x and target of the same shape"]),
    (
        lambda: F.binary_cross_entropy_with_logits(x, y, tg.ones((4,))),
        ShapeError,
        ["weight in a shape that broadcasts to (4, 3)", "got (4,)"],
    ),
    (lambda: F.mse_loss(x, y[:, :1]), ShapeError, ["same shape", "(4, 3) and (4, 1)"]),
    (lambda: F.l1_loss(x, y, weight=y[0]), ShapeError, ["weight of the same shape"]),
    (lambda: F.smooth_l1_loss(x, y, beta=-1.0), ArgumentError, ["beta", "-1.0"]),
    (lambda: nn.HuberLoss(delta=0.0), ArgumentError, ["HuberLoss", "delta above 0"]),
    (
        lambda: F.kl_div(x[0, 0], y[0, 0], reduction="batchmean"),
        ShapeError,
        ["axis 0"],
    ),
    (lambda: F.multi_margin_loss(x, labels, p=3), ArgumentError, ["p to be 1 or 2"]),
    (lambda: F.multi_margin_loss(x, labels + 1), IndexingError, ["0 to 2, got 3 at [1]"]),
    (
        lambda: F.multilabel_margin_loss(x, tg.tensor(LISTS + 1)),
        IndexingError,
        ["or -1 at the end", "got 3 at [0, 2]"],
    ),
    (lambda: F.multilabel_margin_loss(x, y), DTypeError, ["multilabel_soft_margin_loss"]),
    (lambda: F.cosine_embedding_loss(x, y, y), ShapeError, ["a target of (4,)"]),
    (lambda: F.triplet_margin_loss(x, y, y[:2]), ShapeError, ["anchor, positive and negative"]),
    (lambda: nn.TripletMarginLoss(0.0), ArgumentError, ["margin above 0"]),
    (lambda: F.gaussian_nll_loss(x, y, x), ArgumentError, ["not negative", "exp()"]),
    (lambda: F.gaussian_nll_loss(x, y, tg.ones((3,))), ShapeError, ["(4, 3), (4,), or"]),
    (lambda: F.cosine_similarity(x[0], y[0]), ShapeError, ["write dim=0"]),
    (lambda: F.cosine_similarity(x, y[:2]), ShapeError, ["x1 and x2 do not broadcast"]),
    (lambda: F.normalize(x, dim=2), ShapeError, ["no axis 2"]),
]


@pytest.mark.numpy_only("the dtypes of NumPy")
@pytest.mark.parametrize(("call", "kind", "says"), MISTAKES)
def test_mistakes_are_explained(
    call: Callable[[], Any], kind: type[Exception], says: list[str]
) -> None:
    with pytest.raises(kind) as caught:
        call()
    for words in says:
        assert words in str(caught.value)


# --- distances and rows --------------------------------------------------------------------------

DISTANCES: list[tuple[str, tuple[Array, ...], dict[str, Any]]] = [
    ("cosine_similarity", (X, Y), {}),
    ("cosine_similarity", (X, Y[:1]), {"dim": 0, "eps": 1.5}),
    ("cosine_similarity", (X[0], Y[0]), {"dim": -1}),
    ("pairwise_distance", (X, Y), {}),
    ("pairwise_distance", (X, Y[0]), {"p": 1.0, "eps": 1e-3, "keepdim": True}),
    ("pairwise_distance", (X, Y), {"p": 3.5}),
    ("normalize", (X,), {}),
    ("normalize", (SEQUENCE,), {"p": 1.0, "dim": -1}),
    ("normalize", (X,), {"p": 3.0, "dim": 0, "eps": 3.0}),
    ("normalize", (SEQUENCE,), {"dim": (0, 2)}),
]


class TestDistances:
    @pytest.mark.numpy_only("PyTorch is compared with NumPy's arrays")
    @pytest.mark.parametrize(("name", "inputs", "options"), DISTANCES)
    def test_are_those_of_pytorch_to_second_order(
        self, name: str, inputs: tuple[Array, ...], options: dict[str, Any]
    ) -> None:
        torch = pytest.importorskip("torch")
        ours = [tg.tensor(one, requires_grad=True) for one in inputs]
        theirs = [torch.tensor(one, requires_grad=True) for one in inputs]
        out = getattr(F, name)(*ours, **options)
        expected = getattr(torch.nn.functional, name)(*theirs, **options)
        close(out.detach().numpy(), expected.detach().numpy())
        out.backward(gradient=random_like(out))
        expected.backward(torch.tensor(random_like(out)))
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.grad is not None
            close(mine.grad.numpy(), other.grad.numpy())
        if options.get("eps", 0) < 1:
            tg.gradcheck(lambda *xs: getattr(F, name)(*xs, **options), *inputs, order=2, samples=3)

    def test_by_hand(self) -> None:
        close(F.cosine_similarity(x, y).numpy(), 1 - cosine_embedding_loss(X, Y, np.ones(4)))
        close(F.pairwise_distance(x, y, 3.0).numpy(), distance(X, Y, 3.0))
        close(F.normalize(x).numpy(), X / np.linalg.norm(X, axis=1, keepdims=True))
        assert np.array_equal(
            nn.CosineSimilarity()(x, y).numpy(), F.cosine_similarity(x, y).numpy()
        )
        module = nn.PairwiseDistance(p=1, keepdim=True)
        assert np.array_equal(
            module(x, y).numpy(), F.pairwise_distance(x, y, 1, keepdim=True).numpy()
        )


class TestRows:
    def test_one_hot_counts_the_classes(self) -> None:
        rows = F.one_hot(tg.tensor([[2, 0]]))
        assert (rows.dtype, rows.tolist()) == (np.int64, [[[0, 0, 1], [1, 0, 0]]])
        assert F.one_hot(tg.tensor([0]), 4).tolist() == [[1, 0, 0, 0]]
        with pytest.raises(IndexingError, match=r"got 5 at \[1\]"):
            F.one_hot(tg.tensor([0, 5]), 4)
        with pytest.raises(ArgumentError, match="num_classes="):
            F.one_hot(tg.tensor([], dtype=np.int64))

    def test_the_row_of_padding_gets_no_gradient(self) -> None:
        for padding in (1, -2):
            weight = tg.tensor(X[:3], requires_grad=True)
            F.embedding(tg.tensor([[0, 1], [1, 2]]), weight, padding).sum().backward()
            assert weight.grad is not None
            assert weight.grad.tolist() == [[1.0] * 3, [0.0] * 3, [1.0] * 3]
        with pytest.raises(ArgumentError, match="one of 3 rows, got 3"):
            F.embedding(tg.tensor([0]), tg.tensor(X[:3]), 3)
        with pytest.raises(ArgumentTypeError, match="shorten them after each step"):
            F.embedding(tg.tensor([0]), tg.tensor(X[:3]), max_norm=1.0)
