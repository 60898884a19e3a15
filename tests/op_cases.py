"""A call of every op that has a gradient, for tests that must hold for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_lab as tg
from tinygrad_lab import ops

Array = np.ndarray[Any, Any]
Function = Callable[..., tg.Tensor]


@dataclass(frozen=True)
class Case:
    """A function of some arrays, smooth around them; with its name in the list of tests."""

    name: str
    function: Function
    arrays: tuple[Array, ...]

    def __str__(self) -> str:
        return self.name

    def tensors(self, dtype: Any = np.float64) -> list[tg.Tensor]:
        return [tg.tensor(array.astype(dtype), requires_grad=True) for array in self.arrays]


def numbers(*shape: int, seed: int = 0) -> Array:
    """Numbers without a pattern, none closer to 0 than a quarter, none twice."""
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
LABELS = tg.tensor([2, 0])


def _dropout(x: tg.Tensor) -> tg.Tensor:
    return tg.dropout(x, p=0.4, generator=tg.Generator(0))


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
    _from_recipe("sin", A),
    _from_recipe("cos", A),
    _from_recipe("tanh", A),
    _from_recipe("erf", A),
    _from_recipe("sigmoid", A),
    _from_recipe("softplus", A),
    _from_recipe("relu", A),
    _from_recipe("maximum", A, B),
    _from_recipe("minimum", A, ROW),
    _from_recipe("where", A, ROW, function=lambda x, y: tg.where(MASK, x, y)),
    _from_recipe("astype", A, function=lambda x: tg.astype(x, dtype=np.float64)),
    _from_recipe("transfer", A, function=lambda x: ops.transfer(x, device=x.device)),
    _from_recipe("alias", A, function=ops.alias),
]
"""Ops that work element by element, and broadcast."""

MOVING = [
    _from_recipe("index", CUBE, function=lambda x: x[1, ..., ::2]),
    _from_recipe("reshape", A, function=lambda x: x.reshape(3, 2)),
    _from_recipe("broadcast_to", COLUMN, function=lambda x: tg.broadcast_to(x, shape=(4, 2, 3))),
    _from_recipe("permute_dims", CUBE, function=lambda x: tg.permute_dims(x, axes=(2, 0, -2))),
    _from_recipe("matrix_transpose", CUBE),
    _from_recipe("expand_dims", A, function=lambda x: tg.expand_dims(x, axis=1)),
    _from_recipe("squeeze", COLUMN, function=lambda x: tg.squeeze(x, axis=1)),
    _from_recipe("flip", A, function=lambda x: tg.flip(x, axis=1)),
    _from_recipe("concat", A, COLUMN, function=lambda x, y: tg.concat([x, y], axis=1)),
    _from_recipe("output", A, function=lambda x: tg.unstack(x, axis=1)[1]),
]

REDUCING = [
    _from_recipe("sum", CUBE, function=lambda x: tg.sum(x, axis=(0, 2))),
    _from_recipe("max", A, function=lambda x: tg.max(x, axis=1)),
    _from_recipe("min", A, function=lambda x: tg.min(x, axis=0, keepdims=True)),
]

PRODUCTS = [
    _from_recipe("matmul", A, numbers(3, 4)),
    _from_recipe("linear", A, numbers(4, 3), numbers(4)),
    _from_recipe("conv1d", numbers(2, 2, 7), numbers(3, 2, 3), numbers(3)),
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
]

CASES = [*ELEMENTWISE, *MOVING, *REDUCING, *PRODUCTS]
"""One or more of every op of the table that has a rule; see ``test_ops.py``."""


def _indexed(name: str, index: Any, array: Array = CUBE) -> Case:
    return Case(f"x[{name}]", lambda x: x[index], (array,))


COMPOSED = [
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
    Case("clip", lambda x: tg.clip(x, min=-1.0, max=1.0), (A,)),
    Case("leaky_relu", tg.leaky_relu, (A,)),
    Case("elu", lambda x: tg.elu(x, alpha=0.5), (A,)),
    Case("silu", tg.silu, (A,)),
    Case("gelu", tg.gelu, (A,)),
    Case("logsumexp", lambda x: tg.logsumexp(x, axis=(0, 1)), (CUBE,)),
    Case("log_softmax", tg.log_softmax, (A,)),
    Case("softmax", lambda x: tg.softmax(x, axis=0), (A,)),
    Case("stack", lambda x, y: tg.stack([x, y, x], axis=-1), (A, B)),
    Case("concat flattened", lambda x, y: tg.concat([x, y], axis=None), (A, COLUMN)),
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
"""Functions made of several ops, and ops called in other ways."""


def weights_of(shape: Sequence[int]) -> Array:
    """A gradient of an output of that shape, of numbers without a pattern."""
    return np.asarray(np.random.default_rng(99).normal(size=shape))


def weighted(case: Case, arrays: Sequence[Array]) -> float:
    """A scalar that depends on every element of what a case computes, each in its own way."""
    with tg.no_grad():
        out = case.function(*map(tg.tensor, arrays)).numpy()
    return float((out * weights_of(out.shape)).sum())


def finite_differences(
    function: Callable[[Sequence[Array]], float], arrays: Sequence[Array], step: float = 1e-6
) -> list[Array]:
    """Central differences of a function by every element of its arguments."""
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
