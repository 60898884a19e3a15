"""The written source of many small functions gives the bits of the function, dtypes included."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tests.test_compile_without_axes import assert_compiles, assert_same_bits
from tinygrad_lab import nn

VECTORS = [[1.0, 2.0, 4.0], [2.0, 3.0, 5.0], [1.0, 2.0, 4.0], [0.5, 7.0, -1.0], [3.0, 4.0, 5.0]]
MATRICES = [[[1.0, 2.0], [3.0, 4.0]], [[1.0, 3.0], [3.0, 4.0]], [[2.0, 2.0], [5.0, -4.0]]]


def softmax(x: tg.Tensor) -> tg.Tensor:
    exponentials = (x - x.max(axis=0)).exp()
    return exponentials / exponentials.sum(axis=0)


def shadowing_an_import(x: tg.Tensor) -> tg.Tensor:
    erf = tg.erf(x)
    return erf * 2 + tg.erf(erf)


def shadowing_builtins(x: tg.Tensor) -> tg.Tensor:
    range = x * 2
    float = range.astype(tg.float64)
    bool = float > range
    int = bool.astype(tg.int64)
    return int + float * (bool | (x > 1))


ON_VECTORS: dict[str, Callable[[tg.Tensor], Any]] = {
    "zeros_like of what is not read": lambda x: tg.concat([tg.zeros_like(x[:1]), x[:-1]]),
    "ones_like of a product": lambda x: tg.ones_like(x * 2),
    "full_like of a sum": lambda x: tg.full_like(x + 1, 3.0),
    "softmax": softmax,
    "gradient of softmax": tg.grad(lambda x: (softmax(x) * tg.tensor([1.0, 2.0, 3.0])).sum()),
    "shadowed import": shadowing_an_import,
    "shadowed builtins": shadowing_builtins,
    "gradient of max": tg.grad(lambda x: x.max()),
    "gradient of min": tg.grad(lambda x: x.min()),
    "gradient of prod": tg.grad(lambda x: x.prod()),
    "gradient of x ** y": tg.grad(lambda x: (abs(x) ** x).sum()),
    "gradient of a norm": tg.grad(lambda x: tg.linalg.vector_norm(x)),
    "gradient of the 1-norm": tg.grad(lambda x: tg.linalg.vector_norm(x, ord=1)),
    "gradient of the inf-norm": tg.grad(lambda x: tg.linalg.vector_norm(x, ord=np.inf)),
    "gradient of where": tg.grad(lambda x: tg.where(x > 1, x * 2, 0.0).sum()),
    "gradient of clip": tg.grad(lambda x: tg.clip(x, 0.0, 3.0).sum()),
    "where of two numbers": lambda x: tg.where(x > 1, tg.tensor(1.0), tg.tensor(0.0)),
    "where of two rows": lambda x: tg.where(x > 1, tg.ones((3,)), tg.zeros((3,))),
    "mask that where broadcasts": lambda x: tg.where(x > 1, tg.ones((2, 3)), tg.zeros((2, 3))),
    "comparisons compared": lambda x: (x > 1) == (x < 4),
    "comparisons of comparisons": lambda x: ((x > 1) != (x < 4)) == (x > 2),
    "negative base": lambda x: tg.tensor(-2.0) ** x,
    "float64 number": lambda x: x * tg.tensor(0.1, dtype=tg.float64),
    "float32 number": lambda x: x.astype(tg.float64) * tg.tensor(0.1),
    "integer number": lambda x: x * tg.tensor(3),
    "boolean number": lambda x: x * tg.tensor(True),
    "special numbers": lambda x: x * tg.tensor([np.nan, np.inf, -np.inf]),
    "negative zeros": lambda x: tg.concat([tg.tensor([-0.0, -0.0]), x]),
    "empty constant": lambda x: tg.concat([tg.zeros((0,)), x]),
    "constants in memory order": lambda x: tg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]]).T @ x[:2],
    "unstack": lambda x: tg.unstack(x)[1] * 2,
    "constant returned": lambda x: (x, tg.ones((2,)), tg.tensor(0.5)),
}
ON_MATRICES: dict[str, Callable[[tg.Tensor], Any]] = {
    f"{name} over {axis}{' kept' if keepdims else ''}": (
        lambda x, name=name, axis=axis, keepdims=keepdims: getattr(tg, name)(
            x, axis=axis, keepdims=keepdims
        )
    )
    for name in ("sum", "mean", "max", "min", "prod", "std", "var", "argmax", "any", "all")
    for axis in (0, 1, -1, None)
    for keepdims in (False, True)
}
ON_MATRICES |= {
    f"gradient of {name} over {axis}": tg.grad(
        lambda x, name=name, axis=axis: (getattr(tg, name)(x, axis=axis) * 2).sum()
    )
    for name in ("sum", "mean", "max", "min", "prod", "std", "logsumexp", "cumulative_sum")
    for axis in (0, 1)
}
ON_MATRICES |= {
    "softmax": softmax,
    "gradient of softmax": tg.grad(lambda x: (softmax(x) * x).sum()),
    "where broadcasts a mask": lambda x: tg.where(x[0] > 1, x, 0.0),
    "where broadcasts a column": lambda x: tg.where(x[:, :1] > 1, tg.ones((2, 2)), x),
    "unstack": lambda x: tg.unstack(x, axis=1)[1] * 2,
    "roll": lambda x: tg.roll(x, 1, axis=0),
    "norm of rows": lambda x: tg.linalg.vector_norm(x, axis=0),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("name", ON_VECTORS)
def test_functions_of_vectors(name: str, dtype: Any) -> None:
    with np.errstate(all="ignore"):
        assert_compiles(ON_VECTORS[name], VECTORS, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", ON_MATRICES)
def test_functions_of_matrices(name: str, dtype: Any) -> None:
    assert_compiles(ON_MATRICES[name], MATRICES, dtype)


VIEWS_OF_PARAMETERS: dict[str, Callable[[tg.Tensor], tg.Tensor]] = {
    "slice": lambda w: w[1:],
    "split": lambda w: tg.unstack(w)[0],
    "flip": lambda w: tg.flip(w),
    "permute": lambda w: w.T,
    "diagonal": lambda w: tg.linalg.diagonal(w),
    "reshape": lambda w: w.reshape(4),
    "itself": lambda w: w.detach(),
    "now": lambda w: w,
    "row of a row": lambda w: w[0][None],
}


def by_optimizer(w: tg.Tensor) -> Callable[[], None]:
    return tg.optim.SGD([w], lr=0.1).step


def by_hand(w: tg.Tensor) -> Callable[[], None]:
    def update() -> None:
        w.data = w.detach() - 0.1 * w.grad

    return update


@pytest.mark.parametrize("updating", [by_optimizer, by_hand])
@pytest.mark.parametrize("view", VIEWS_OF_PARAMETERS)
def test_views_of_parameters_that_are_updated_later(view: str, updating: Any) -> None:
    def made() -> tuple[tg.Tensor, Any]:
        w = nn.Parameter(tg.tensor(np.arange(4, dtype=np.float32).reshape(2, 2)))
        update = updating(w)

        def step(x: tg.Tensor) -> tuple[tg.Tensor, tg.Tensor]:
            seen = VIEWS_OF_PARAMETERS[view](w)
            loss = (w * x).sum() + (seen * seen).sum()
            w.grad = None
            loss.backward()
            update()
            return seen.detach(), VIEWS_OF_PARAMETERS[view](w).detach()

        return w, step

    (mine, step), (theirs, eager) = made(), made()
    compiled = tg.compile(step)
    for numbers in MATRICES * 2:
        x = tg.tensor(numbers)
        assert_same_bits(compiled(x), eager(x))
        assert_same_bits(mine.detach(), theirs.detach())
    names: dict[str, Any] = {}
    exec(compiled.source, names)
    with compiled._writer() as writer:
        state = {name: np.array(array) for name, array in writer.state().items()}
    x = tg.tensor(MATRICES[0])
    assert_same_bits(names["step"](x.data, state), eager(x))
