"""One call of every op that has a gradient, for properties that hold for all of them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import find, settings

import tinygrad_lab as tg
from tinygrad_lab import ops
from tinygrad_lab.engine.op import table

from .recipes import RECIPES

Array = np.ndarray[Any, Any]
Function = Callable[..., tg.Tensor]


@dataclass(frozen=True)
class Case:
    """A function, arrays around which it is smooth, and a name for test ids."""

    name: str
    function: Function
    arrays: tuple[Array, ...]

    def __str__(self) -> str:
        return self.name

    def tensors(self, dtype: Any = np.float64) -> list[tg.Tensor]:
        return [tg.tensor(array.astype(dtype), requires_grad=True) for array in self.arrays]


def numbers(*shape: int, seed: int = 0) -> Array:
    """Return random numbers, all different and at least a quarter away from 0."""
    rng = np.random.default_rng([seed, *shape])
    drawn = rng.uniform(0.25, 2.0, size=shape) * rng.choice([-1.0, 1.0], size=shape)
    return np.asarray(drawn)


def positive(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.abs(numbers(*shape, seed=seed)))


def _from_recipe(name: str, *arrays: Array, function: Function | None = None) -> Case:
    return Case(name, getattr(tg, name.partition(" ")[0]) if function is None else function, arrays)


A, B, ROW, COLUMN = numbers(2, 3), numbers(2, 3, seed=1), numbers(3, seed=2), numbers(2, 1, seed=3)
CUBE = numbers(2, 3, 4)
ONE = np.asarray(0.75)
MASK = tg.tensor([[True, False, True], [False, True, True]])
WITH_ZEROS = np.array([[0.5, 0.0, 2.0, -1.5, 3.0], [0.0, 1.5, 0.0, 0.5, 2.0]])
LABELS = tg.tensor([2, 0])


def _dropout(x: tg.Tensor) -> tg.Tensor:
    return tg.dropout(x, p=0.4, generator=tg.Generator(0))


def _checkpoint(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
    # One tensor is an argument, the other is captured by the closure.
    return tg.checkpoint(lambda x: (x * y).sin() + y, x)


def _hooked(x: tg.Tensor) -> tg.Tensor:
    layer = tg.nn.Identity()
    layer.register_full_backward_hook(lambda module, into, out: (into[0] * 1.0,))
    return layer(x)


ELEMENTWISE = [
    _from_recipe("add", A, ROW),
    _from_recipe("subtract", A, COLUMN),
    _from_recipe("multiply", A, B),
    _from_recipe("multiply broadcast", COLUMN, ROW),
    _from_recipe("divide", A, ROW),
    _from_recipe("negative", A),
    _from_recipe("remainder", A, np.array([0.8, 0.6, -0.7])),
    _from_recipe("pow", positive(2, 3), ROW),
    _from_recipe("abs", A),
    _from_recipe("square", A),
    _from_recipe("sqrt", positive(2, 3)),
    _from_recipe("exp", A),
    _from_recipe("expm1", A),
    _from_recipe("log", positive(2, 3)),
    _from_recipe("log1p", positive(2, 3)),
    _from_recipe("log2", positive(2, 3)),
    _from_recipe("log10", positive(2, 3)),
    _from_recipe("logaddexp", A, ROW),
    _from_recipe("hypot", A, COLUMN),
    _from_recipe("sin", A),
    _from_recipe("cos", A),
    _from_recipe("tan", A / 3),
    _from_recipe("asin", A / 3),
    _from_recipe("acos", A / 3),
    _from_recipe("atan", A),
    _from_recipe("atan2", A, ROW),
    _from_recipe("sinh", A),
    _from_recipe("cosh", A),
    _from_recipe("tanh", A),
    _from_recipe("asinh", A),
    _from_recipe("acosh", 1 + positive(2, 3)),
    _from_recipe("atanh", A / 3),
    _from_recipe("erf", A),
    _from_recipe("erfc", A),
    _from_recipe("sigmoid", A),
    _from_recipe("softplus", A),
    _from_recipe("relu", A),
    _from_recipe("maximum", A, B),
    _from_recipe("minimum", A, ROW),
    _from_recipe("clip", A, -positive(3) / 2, positive(2, 1) / 2),
    _from_recipe("copysign", A, B),
    _from_recipe("nextafter", A, ROW),
    _from_recipe("positive", A),
    _from_recipe("real", A),
    _from_recipe("conj", A),
    _from_recipe("where", A, ROW, function=lambda x, y: tg.where(MASK, x, y)),
    _from_recipe("astype", A, function=lambda x: tg.astype(x, dtype=np.float64)),
    _from_recipe("transfer", A, function=lambda x: ops.transfer(x, device=x.device)),
    _from_recipe("alias", A, function=ops.alias),
]
"""Elementwise ops, which broadcast."""

MOVING = [
    _from_recipe("index", CUBE, function=lambda x: x[1, ..., ::2]),
    _from_recipe("reshape", A, function=lambda x: x.reshape(3, 2)),
    _from_recipe("broadcast_to", COLUMN, function=lambda x: tg.broadcast_to(x, shape=(4, 2, 3))),
    _from_recipe("permute_dims", CUBE, function=lambda x: tg.permute_dims(x, axes=(2, 0, -2))),
    _from_recipe("matrix_transpose", CUBE),
    _from_recipe("expand_dims", A, function=lambda x: tg.expand_dims(x, axis=1)),
    _from_recipe("squeeze", COLUMN, function=lambda x: tg.squeeze(x, axis=1)),
    _from_recipe("flip", A, function=lambda x: tg.flip(x, axis=1)),
    _from_recipe("roll", A, function=lambda x: tg.roll(x, (1, -2), axis=(0, 1))),
    _from_recipe("tril", CUBE, function=lambda x: tg.tril(x, k=1)),
    _from_recipe("triu", A),
    _from_recipe(
        "index_set", CUBE, ROW, function=lambda x, y: ops.index_set(x, y, key=(0, ..., 1))
    ),
    _from_recipe(
        "index_add", CUBE, ROW, function=lambda x, y: ops.index_add(x, y, key=(0, ..., 1))
    ),
    _from_recipe("sort", CUBE, function=lambda x: tg.sort(x, axis=1)),
    _from_recipe("concat", A, COLUMN, function=lambda x, y: tg.concat([x, y], axis=1)),
    _from_recipe("output", A, function=lambda x: tg.unstack(x, axis=1)[1]),
]

REDUCING = [
    _from_recipe("sum", CUBE, function=lambda x: tg.sum(x, axis=(0, 2))),
    _from_recipe("prod", A, function=lambda x: tg.prod(x, axis=1)),
    _from_recipe("cumulative_sum", A, function=lambda x: tg.cumulative_sum(x, axis=0)),
    _from_recipe("cumulative_prod", CUBE, function=lambda x: tg.cumulative_prod(x, axis=-1)),
    _from_recipe("max", A, function=lambda x: tg.max(x, axis=1)),
    _from_recipe("min", A, function=lambda x: tg.min(x, axis=0, keepdims=True)),
    _from_recipe("max_pool1d", CUBE, function=lambda x: tg.max_pool1d(x, 2)),
    _from_recipe("max_pool2d", CUBE, function=lambda x: tg.max_pool2d(x, (2, 3), stride=1)),
]

PRODUCTS = [
    _from_recipe("matmul", A, numbers(3, 4)),
    _from_recipe("vecdot", A, numbers(2, 3, seed=5), function=lambda x, y: tg.vecdot(x, y, 0)),
    _from_recipe("linear", A, numbers(4, 3), numbers(4)),
    _from_recipe("conv1d", numbers(2, 2, 7), numbers(3, 2, 3), numbers(3)),
    _from_recipe("conv2d", numbers(2, 1, 4, 3), numbers(2, 1, 2, 3), numbers(2)),
    _from_recipe("conv_transpose1d", numbers(2, 2, 3), numbers(2, 3, 2), numbers(3)),
    _from_recipe("conv_transpose2d", numbers(2, 1, 2, 2), numbers(1, 2, 2, 2), numbers(2)),
    _from_recipe("cross_entropy", A, function=lambda logits: tg.cross_entropy(logits, LABELS)),
    _from_recipe(
        "gru",
        numbers(2, 3, 2),
        numbers(1, 2, 2),
        numbers(6, 2),
        numbers(6, 2, seed=1),
        numbers(6),
        numbers(6, seed=1),
    ),
    _from_recipe("dropout", A, function=_dropout),
    _from_recipe("checkpoint", A, ROW, function=_checkpoint),
    _from_recipe("module_hooks", A, function=_hooked),
]

SQUARES = numbers(2, 3, 3)
MATRICES = [
    _from_recipe("det", SQUARES),
    _from_recipe("inv", SQUARES),
    _from_recipe("solve", SQUARES, CUBE[:, :, :2]),
    _from_recipe("pinv", CUBE, function=tg.pinv),
    _from_recipe("pinv of a tall matrix", numbers(4, 2)),
    _from_recipe("lower_half", SQUARES, function=ops.lower_half),
    _from_recipe("vector_norm", CUBE, function=lambda x: tg.vector_norm(x, axis=(0, 2))),
]


def _indexed(name: str, index: Any, array: Array = CUBE) -> Case:
    return Case(f"x[{name}]", lambda x: x[index], (array,))


def _positive_definite(x: tg.Tensor) -> tg.Tensor:
    return x @ x.mT + tg.eye(x.shape[-2], dtype=tg.float32, device=x.device)


def _symmetric(x: tg.Tensor) -> tg.Tensor:
    return x + x.mT


def _vectors_without_signs(vectors: tg.Tensor) -> tg.Tensor:
    """Return all products of two elements of each column, which do not depend on its sign."""
    return tg.einsum("...ik,...jk->...ijk", vectors, vectors)


def _all_of_eigh(x: tg.Tensor) -> tg.Tensor:
    values, vectors = tg.eigh(_symmetric(x))
    return _vectors_without_signs(vectors) * values[..., None, None, :]


def _all_of_svd(x: tg.Tensor) -> tg.Tensor:
    u, s, vh = tg.svd(x, full_matrices=False)
    return tg.einsum("...ik,...k,...kj->...ijk", u, tg.exp(s), vh)


def _all_of_qr(x: tg.Tensor, mode: str = "reduced") -> tg.Tensor:
    q, r = tg.qr(x, mode=mode)
    return tg.concat([q, r], axis=-1 if q.shape[-2] == r.shape[-2] else -2)


COMPOSED = [
    Case(
        "the gradient of elements",
        lambda x: tg.grad(lambda x: (x[0] * x[1] * x[0] * x[[1, 1]]).sum())(x),
        (A,),
    ),
    Case("reflected operators", lambda x: (2 - x) * 3 / (1.5**x) + 1 % x, (positive(2, 3),)),
    Case("x ** 3", lambda x: x**3, (A,)),
    Case("x ** -0.5", lambda x: x**-0.5, (positive(2, 3),)),
    Case("x used four times", lambda x: x * x + x / x.exp(), (A,)),
    Case("mean", lambda x: tg.mean(x, axis=1), (A,)),
    Case("mean of all", tg.mean, (CUBE,)),
    Case("var", lambda x: tg.var(x, axis=0, correction=1), (numbers(4, 2),)),
    Case("std", lambda x: tg.std(x, axis=(0, 1), keepdims=True), (CUBE,)),
    Case("prod", lambda x: tg.prod(x, axis=-1), (numbers(2, 5),)),
    Case("prod of all", tg.prod, (CUBE[0],)),
    Case("prod of two axes", lambda x: tg.prod(x, axis=(0, 2), keepdims=True), (CUBE,)),
    Case("max of all", tg.max, (CUBE,)),
    Case("max of two axes", lambda x: tg.max(x, axis=(0, -1)), (CUBE,)),
    Case("prod with zeros", lambda x: tg.prod(x, axis=1), (WITH_ZEROS,)),
    Case("prod of all with zeros", tg.prod, (WITH_ZEROS[1:],)),
    Case("cumulative_sum from 0", lambda x: tg.cumulative_sum(x, include_initial=True), (ROW,)),
    Case("cumulative_prod with zeros", lambda x: tg.cumulative_prod(x, axis=1), (WITH_ZEROS,)),
    Case(
        "cumulative_prod from 1",
        lambda x: tg.cumulative_prod(x, axis=0, include_initial=True),
        (numbers(6, 2),),
    ),
    Case("diff", lambda x: tg.diff(x, axis=0), (A,)),
    Case("diff thrice", lambda x, y: tg.diff(x, n=3, prepend=y, append=y), (CUBE, CUBE[..., :1])),
    Case("moveaxis", lambda x: tg.moveaxis(x, (0, 2), (-1, 0)), (CUBE,)),
    Case("swapaxes", lambda x: tg.swapaxes(x, 0, -1), (CUBE,)),
    Case("split", lambda x: (lambda p: p[0] * p[2] + p[1].sum())(tg.split(x, [1, 3], 2)), (CUBE,)),
    Case("roll flattened", lambda x: tg.roll(x, 4), (A,)),
    Case("repeat", lambda x: tg.repeat(x, 3, axis=0), (A,)),
    Case("repeat flattened", lambda x: tg.repeat(x, 2), (A,)),
    Case("repeat each", lambda x: tg.repeat(x, tg.tensor([2, 0, 1]), axis=1), (A,)),
    Case("tile", lambda x: tg.tile(x, (2, 1, 3)), (A,)),
    Case("tile longer axes", lambda x: tg.tile(x, 2), (CUBE,)),
    Case("pad", lambda x: tg.pad(x, ((1, 0), (0, 2))), (A,)),
    Case("pad with a tensor", lambda x, y: tg.pad(x, 1, constant_values=y), (A, ONE)),
    Case("pad edge", lambda x: tg.pad(x, ((0, 2), (1, 0)), mode="edge"), (A,)),
    Case("pad reflect", lambda x: tg.pad(x, (1, 4), mode="reflect"), (A,)),
    Case("pad wrap", lambda x: tg.pad(x, 3, mode="wrap"), (A,)),
    Case(
        "broadcast_arrays",
        lambda x, y: (lambda p: p[0] * p[1])(tg.broadcast_arrays(x, y)),
        (ROW, COLUMN),
    ),
    Case("meshgrid", lambda x, y: (lambda p: p[0] * p[1])(tg.meshgrid(x, y)), (ROW, A[0, :2])),
    Case("take", lambda x: tg.take(x, tg.tensor([[2, 0], [2, 1]]), axis=1), (A,)),
    Case(
        "take_along_axis",
        lambda x: tg.take_along_axis(x, tg.tensor([[0, 2, -1, 0]]), axis=1),
        (A,),
    ),
    Case("sort descending", lambda x: tg.sort(x, axis=0, descending=True), (CUBE,)),
    Case("sort by argsort", lambda x: tg.take_along_axis(x, tg.argsort(x)), (CUBE,)),
    Case("unique_values", tg.unique_values, (A,)),
    Case("at set", lambda x, y: x.at[:, 1:].set(y), (A, COLUMN)),
    Case("at set one twice", lambda x, y: x.at[[0, 1, 0]].set(y), (A, numbers(3, 3))),
    Case("at set mask", lambda x, y: x.at[MASK].set(y), (A, numbers(4))),
    Case("at add one twice", lambda x, y: x.at[:, [0, 2, 0]].add(y), (A, ROW)),
    Case("at add mask", lambda x, y: x.at[MASK].add(y), (A, ONE)),
    Case("clip", lambda x: tg.clip(x, min=-1.0, max=1.0), (A,)),
    Case("leaky_relu", tg.leaky_relu, (A,)),
    Case("elu", lambda x: tg.elu(x, alpha=0.5), (A,)),
    Case("silu", tg.silu, (A,)),
    Case("gelu", tg.gelu, (A,)),
    Case("gelu by tanh", lambda x: tg.gelu(x, approximate="tanh"), (A,)),
    Case("log_sigmoid", tg.log_sigmoid, (A,)),
    Case("reciprocal", tg.reciprocal, (A,)),
    Case("clip to one bound", lambda x, low: tg.clip(x, min=low), (A, ROW)),
    Case("logsumexp", lambda x: tg.logsumexp(x, axis=(0, 1)), (CUBE,)),
    Case("log_softmax", tg.log_softmax, (A,)),
    Case("softmax", lambda x: tg.softmax(x, axis=0), (A,)),
    Case("stack", lambda x, y: tg.stack([x, y, x], axis=-1), (A, B)),
    Case("concat flattened", lambda x, y: tg.concat([x, y], axis=None), (A, COLUMN)),
    Case("avg_pool1d", lambda x: tg.avg_pool1d(x, 2, padding=1), (CUBE,)),
    Case("avg_pool2d", lambda x: tg.avg_pool2d(x, 2, stride=1), (CUBE,)),
    Case("adaptive_avg_pool1d", lambda x: tg.adaptive_avg_pool1d(x, 3), (CUBE,)),
    Case("adaptive_avg_pool2d", lambda x: tg.adaptive_avg_pool2d(x, (2, 3)), (CUBE,)),
    Case("flatten", lambda x: tg.flatten(x, 1), (CUBE,)),
    Case("unstack, two of three", lambda x: (lambda p: p[0] * p[2])(tg.unstack(x, axis=1)), (A,)),
    Case("matrix @ vector", lambda x, y: x @ y, (A, ROW)),
    Case("vector @ matrix", lambda x, y: x @ y, (ROW, numbers(3, 2))),
    Case("vector @ vector", lambda x, y: x @ y, (ROW, numbers(3, seed=4))),
    Case("stack @ matrix", lambda x, y: x @ y, (CUBE, numbers(4, 2))),
    Case("matrix @ stack", lambda x, y: x @ y, (A, numbers(5, 3, 2))),
    Case("stack @ broadcast stack", lambda x, y: x @ y, (CUBE, numbers(1, 4, 2))),
    Case("stack @ vector", lambda x, y: x @ y, (CUBE, numbers(4))),
    Case("T", lambda x: x.T, (A,)),
    Case("mT", lambda x: x.mT @ x, (CUBE,)),
    Case("vecdot, broadcast", tg.vecdot, (CUBE, numbers(3, 4))),
    Case("outer", tg.outer, (ROW, numbers(2))),
    Case("cross", tg.cross, (A, ROW)),
    Case("cross along an axis", lambda x, y: tg.cross(x, y, axis=0), (numbers(3, 2), A.T)),
    Case("kron", tg.kron, (CUBE, numbers(3, 2))),
    Case("matrix_power 5", lambda x: tg.matrix_power(x, 5), (SQUARES,)),
    Case("matrix_power -2", lambda x: tg.matrix_power(x, -2), (SQUARES,)),
    Case("diagonal", lambda x: tg.diagonal(x, offset=1), (CUBE,)),
    Case("diagonal below", lambda x: tg.diagonal(x, offset=-1), (CUBE,)),
    Case("diag of a vector", lambda x: tg.diag(x, offset=-1), (ROW,)),
    Case("diag of a matrix", tg.diag, (A,)),
    Case("trace", tg.trace, (CUBE,)),
    Case("einsum of a product", lambda x, y: tg.einsum("bij,kj->bik", x, y), (CUBE, numbers(2, 4))),
    Case("einsum of three", lambda *xs: tg.einsum("i,bij,...j", *xs), (ROW, CUBE, numbers(4))),
    Case("einsum of a diagonal", lambda x: tg.einsum("bii->bi", x), (SQUARES,)),
    Case("tensordot", lambda x, y: tg.tensordot(x, y, ([0, 2], [1, 0])), (CUBE, numbers(4, 2))),
    Case("solve for a vector", tg.solve, (SQUARES, ROW)),
    Case("slogdet", lambda x: tg.slogdet(x).logabsdet, (SQUARES,)),
    Case("cholesky", lambda x: tg.cholesky(_positive_definite(x)), (SQUARES,)),
    Case("cholesky upper", lambda x: tg.cholesky(_positive_definite(x), upper=True), (A,)),
    Case("qr", _all_of_qr, (SQUARES,)),
    Case("qr of a tall matrix", _all_of_qr, (numbers(4, 2),)),
    Case("qr of wide matrices", _all_of_qr, (CUBE,)),
    Case("qr complete", lambda x: _all_of_qr(x, mode="complete"), (A,)),
    Case("qr, Q alone", lambda x: tg.qr(x).Q, (numbers(4, 2),)),
    Case("qr, R alone", lambda x: tg.qr(x).R, (numbers(4, 2),)),
    Case("eigvalsh", lambda x: tg.eigvalsh(_symmetric(x)), (SQUARES,)),
    Case("eigh", _all_of_eigh, (SQUARES,)),
    Case("eigenvectors", lambda x: _vectors_without_signs(tg.eigh(_symmetric(x))[1]), (SQUARES,)),
    Case("svdvals", tg.svdvals, (CUBE,)),
    Case("svd", _all_of_svd, (SQUARES,)),
    Case("svd of a tall matrix", _all_of_svd, (numbers(4, 2),)),
    Case("svd of wide matrices", _all_of_svd, (CUBE,)),
    Case("left singular vectors", lambda x: _vectors_without_signs(tg.svd(x)[0]), (SQUARES,)),
    Case("right singular vectors", lambda x: _vectors_without_signs(tg.svd(x, False)[2].mT), (A,)),
    Case("matrix_norm fro", tg.matrix_norm, (CUBE,)),
    Case("matrix_norm nuc", lambda x: tg.matrix_norm(x, ord="nuc", keepdims=True), (CUBE,)),
    Case("matrix_norm 2", lambda x: tg.matrix_norm(x, ord=2), (CUBE,)),
    Case("matrix_norm -1", lambda x: tg.matrix_norm(x, ord=-1), (CUBE,)),
    Case("vector_norm 3", lambda x: tg.vector_norm(x, axis=1, ord=3), (CUBE,)),
    Case("vector_norm -0.5", lambda x: tg.vector_norm(x, axis=1, ord=-0.5), (A,)),
    Case("vector_norm inf", lambda x: tg.vector_norm(x, axis=-1, ord=np.inf), (CUBE,)),
    Case("norm of columns", lambda x: tg.norm(x, ord=1, axis=(2, 0)), (CUBE,)),
    _indexed("0", 0),
    _indexed("-1", -1),
    _indexed("1, 2, 3", (1, 2, 3)),
    _indexed("1:, ::-1", (slice(1, None), slice(None, None, -1))),
    _indexed("..., 0", (..., 0)),
    _indexed("None, ..., None", (None, ..., None)),
    _indexed("()", ()),
    _indexed("repeated list", [0, 1, 1, 0, 1]),
    _indexed("integer array", tg.tensor([[0, 1], [1, 1]])),
    _indexed("integer tensor", tg.tensor([1, 0, 0])),
    _indexed("two integer arrays", (tg.tensor([0, 1, 1]), tg.tensor([2, 2, 2]))),
    _indexed("arrays apart", (tg.tensor([0, 1, 1]), slice(None), tg.tensor([3, 0, 0]))),
    _indexed("array and integer", (slice(None), tg.tensor([2, 0, 2]), 1)),
    _indexed("mask", MASK),
    _indexed("mask of all", tg.tensor(CUBE > 0)),
    _indexed("mask on last axis", (..., tg.tensor([True, False, True, True]))),
    _indexed("empty", slice(5, 5)),
    _indexed("empty list", []),
    Case("all reductions of nothing", lambda x: x.sum() + x.prod(), (np.zeros((0, 2)),)),
    Case("0-d", lambda x: (x * x).sum() + x.mean() * x.max() + x.prod(), (ONE,)),
]
"""Functions composed of several ops, and further ways to call an op."""


_LISTED = [*ELEMENTWISE, *MOVING, *REDUCING, *PRODUCTS, *MATRICES]


def _drawn() -> Iterator[Case]:
    """Yield a call, drawn by its recipe, of every op that is not listed above."""
    listed = {re.split(r"\W", case.name)[0] for case in [*_LISTED, *COMPOSED]}
    for recipe in RECIPES:
        if recipe.name in table and table[recipe.name].rules and recipe.name not in listed:
            call = find(
                recipe.calls, lambda call: all(a.size > 1 for a in call.arrays), settings=DRAWING
            )
            yield Case(recipe.name, call.function, call.arrays)


# As many as any profile: few examples may find none that is large enough.
DRAWING = settings(derandomize=True, database=None, max_examples=200)
CASES = [*_LISTED, *_drawn()]
"""One or more cases for every op of the table that has a vjp rule; see ``test_ops.py``."""


def weights_of(shape: Sequence[int]) -> Array:
    """Return a random cotangent of that shape, the same one each time."""
    return np.asarray(np.random.default_rng(99).normal(size=shape))


def weighted(case: Case, arrays: Sequence[Array]) -> float:
    """Return the sum of a case's output elements, each times a weight of its own."""
    with tg.no_grad():
        out = case.function(*map(tg.tensor, arrays)).numpy()
    return float((out * weights_of(out.shape)).sum())


def finite_differences(
    function: Callable[[Sequence[Array]], float], arrays: Sequence[Array], step: float = 1e-6
) -> list[Array]:
    """Return the central differences of a function by every element of its arguments."""
    gradients = []
    for position, array in enumerate(arrays):
        gradient = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            both = []
            for sign in (1, -1):
                moved = array.copy()
                moved[place] += sign * step
                both.append(function([*arrays[:position], moved, *arrays[position + 1 :]]))
            gradient[place] = (both[0] - both[1]) / (2 * step)
        gradients.append(gradient)
    return gradients
