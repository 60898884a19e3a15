"""Random programs on raw NumPy arrays, with views and operations in place, as users write them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_lab as tg
from tests.random_programs import bits

Operation = Callable[..., Any]
LARGEST = 60


def _set(x: Any, key: Any, new: Any) -> Any:
    x[key] = new
    return x


def _add(x: Any, y: Any) -> Any:
    x += y
    return x


def _subtract(x: Any, y: Any) -> Any:
    x -= y
    return x


def _multiply(x: Any, y: Any) -> Any:
    x *= y
    return x


def _square(x: Any) -> Any:
    x **= 2
    return x


def _after(_: Any, x: Any) -> Any:
    """Return an array after something was done to it."""
    return x


ON_ONE: dict[str, Operation] = {
    "neg": lambda x: -x,
    "square": lambda x: x * x,
    "+1": lambda x: x + 1,
    "tanh": lambda x: np.tanh(x),
    "sum": lambda x: x.sum(),
    "sum 0": lambda x: x.sum(axis=0),
    "sum kept": lambda x: x.sum(axis=-1, keepdims=True),
    "mean": lambda x: x.mean(),
    "max": lambda x: x.max(),
    "[None]": lambda x: x[None],
    "[...]": lambda x: x[...],
    "[0]": lambda x: x[0],
    "[1:]": lambda x: x[1:],
    "[::-1]": lambda x: x[::-1],
    "[()]": lambda x: x[()],
    "[[0, 0]]": lambda x: x[[0, 0]],
    "T": lambda x: x.T,
    "reshape -1": lambda x: x.reshape(-1),
    "reshape 1": lambda x: x.reshape((*x.shape, 1)),
    "reshape ()": lambda x: x.reshape(()),
    "ravel": lambda x: x.ravel(),
    "copy": lambda x: x.copy(),
    "expand": lambda x: np.expand_dims(x, 0),
    "squeeze": lambda x: np.squeeze(x),
    "broadcast": lambda x: np.broadcast_to(x, (2, *x.shape)),
    "flip": lambda x: np.flip(x),
    "unstack": lambda x: np.unstack(x)[0],
    "diagonal": lambda x: np.diagonal(x),
    "float32": lambda x: x.astype(np.float32),
    "float64": lambda x: x.astype(np.float64, copy=False),
    "int64": lambda x: x.astype(np.int64),
    ">0": lambda x: x > 0,
    "roll": lambda x: np.roll(x, 1),
    "zeros_like": lambda x: np.zeros_like(x),
    "ones_like": lambda x: np.ones_like(x),
    "filled": lambda x: _set(np.empty_like(x), ..., 1.5),
    "atleast_1d": lambda x: np.atleast_1d(x),
    "cumsum": lambda x: np.cumsum(x),
    "sort": lambda x: np.sort(x, axis=-1),
    "**0.5": lambda x: abs(x) ** 0.5,
    "1.5**": lambda x: 1.5 ** np.clip(x, -2, 2),
    "[0] =": lambda x: _set(x, 0, 2),
    "reverse": lambda x: _set(x, ..., x[..., ::-1]),
    "shift": lambda x: _set(x, slice(1, None), x[:-1]),
    "[[0]] =": lambda x: _set(x, [0], 3),
    "fill": lambda x: _after(x.fill(1.5), x),
    "**= 2": _square,
    "+= 1": lambda x: _add(x, 1),
    "*= 2": lambda x: _multiply(x, 2),
    "sort in place": lambda x: _after(x.sort(axis=-1), x),
}
ON_TWO: dict[str, Operation] = {
    "+": lambda x, y: x + y,
    "*": lambda x, y: x * y,
    "-": lambda x, y: x - y,
    "maximum": lambda x, y: np.maximum(x, y),
    "where": lambda x, y: np.where(x > y, x, y),
    "concatenate": lambda x, y: np.concatenate([x.reshape(-1), y.reshape(-1)]),
    "stack": lambda x, y: np.stack([x, y]),
    "@": lambda x, y: x @ y,
    "==": lambda x, y: x == y,
    "**": lambda x, y: (abs(x) + 0.5) ** np.clip(y, -1, 2),
    "+=": _add,
    "-=": _subtract,
    "*=": _multiply,
    "maximum out": lambda x, y: np.maximum(x, y, out=x),
    "add out": lambda x, y: np.add(x, y, out=np.empty_like(x)),
    "[0] = y": lambda x, y: _set(x, 0, y),
    "[:] = y": lambda x, y: _set(x, slice(None), y),
    "[-1] = sum": lambda x, y: _set(x, -1, y.sum()),
    "copyto": lambda x, y: _after(np.copyto(x, y), x),
    "add.at": lambda x, y: _after(np.add.at(x, [0, 0], y), x),
    "broadcast_arrays": lambda x, y: np.broadcast_arrays(x, y)[1],
}
_REFUSED = (ValueError, TypeError, IndexError, AttributeError, OverflowError)

Program = list[tuple[str, Operation, list[int]]]


def arguments_of(seed: int, call: int) -> list[Any]:
    """Return a vector, a matrix and an array without axes."""
    rng = np.random.default_rng((seed, 1))
    dtypes = rng.choice(np.array([np.float32, np.float64, np.float16], dtype=object), size=3)
    rng = np.random.default_rng((seed, 2, call))
    shapes = ((3,), (2, 3), ())
    return [
        np.asarray(rng.normal(size=shape)).astype(dtype)
        for shape, dtype in zip(shapes, dtypes, strict=True)
    ]


def run(program: Program, arguments: list[Any]) -> list[Any]:
    # The step's own arrays: writing into arguments is another matter.
    values = [one * 1 for one in arguments]
    for _, operation, places in program:
        values.append(operation(*(values[place] for place in places)))
    return values


def random_array_program(seed: int) -> tuple[Program, list[int]]:
    """Make a program, and choose what it returns."""
    rng = np.random.default_rng((seed, 0))
    program: Program = []
    length = int(rng.integers(3, 12))
    values = run(program, arguments_of(seed, 0))
    for _ in range(60):
        if len(program) == length:
            break
        both = bool(rng.random() < 0.4)
        table = ON_TWO if both else ON_ONE
        name = str(rng.choice(sorted(table)))
        last = len(values) - 1
        back = np.minimum(rng.geometric(0.3, size=1 + both) - 1, last)
        places = [last - int(one) for one in back]
        try:
            value = table[name](*(values[place] for place in places))
        except _REFUSED:
            # It may have written before it failed.
            values = run(program, arguments_of(seed, 0))
            continue
        if not isinstance(value, np.ndarray | np.generic) or value.size > LARGEST or value.ndim > 4:
            values = run(program, arguments_of(seed, 0))
            continue
        program.append((name, table[name], places))
        values.append(value)
    count = min(len(program), int(rng.integers(1, 4)))
    chosen = rng.choice(np.arange(3, len(values)), size=count, replace=False)
    return program, [int(one) for one in chosen]


def array_difference(seed: int) -> str | None:
    """Return how replays or the source of a program differ from running it; None if not."""
    program, returned = random_array_program(seed)

    def step(vector: Any, matrix: Any, number: Any) -> Any:
        values = run(program, [vector, matrix, number])
        return tuple([values[place] for place in returned])

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            wanted = [bits(step(*arguments_of(seed, call))) for call in range(5)]
        except _REFUSED:
            return None  # it depends on the numbers
        compiled = tg.compile(step)
        described = f"seed {seed}, returns {returned}:\n" + "\n".join(
            f"{name} of {places}" for name, _, places in program
        )
        for call in range(5):
            if bits(compiled(*arguments_of(seed, call))) != wanted[call]:
                return f"call {call + 1} of {described}"
        if len(compiled._replays) != 1:
            return f"{len(compiled._replays)} recordings of {described}"
        with compiled._writer() as writer:
            state = [dict(writer.state())] if writer.has_state() else []
            source = writer.source()
        names: dict[str, Any] = {}
        exec(source, names)
        for call in range(5):
            out = names["step"](*arguments_of(seed, call), *state)
            if bits(out if isinstance(out, tuple) else (out,)) != wanted[call]:
                return f"source of {described}\n{source}"
    return None
