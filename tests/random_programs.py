"""Random programs rich in values without axes, to compare compiled steps with eager ones.

A program is a list of operations on a growing list of values. Those that NumPy or the engine
refuses (shapes that do not fit, say) are left out while it is made, by running it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import TinygradLabError

Operation = Callable[..., Any]
DTYPES = (np.float16, np.float32, np.float64, np.int64, np.bool)
LARGEST = 64
ARGUMENTS = ("vector", "matrix", "number", "integers", "factor")


def _reduction(name: str, **settings: Any) -> Operation:
    return lambda x: getattr(tg, name)(x, **settings)


ON_ONE: dict[str, Operation] = {
    "neg": lambda x: -x,
    "abs": abs,
    "tanh": lambda x: tg.tanh(x),
    "exp": lambda x: (x * 0.1).exp(),
    "relu": lambda x: tg.relu(x),
    "square": lambda x: x * x * 0.25,
    "**2": lambda x: x**2,
    "**0.5": lambda x: abs(x) ** 0.5,
    "2**": lambda x: 2 ** tg.clip(x, -2, 2),
    "+1": lambda x: x + 1,
    "1-": lambda x: 1 - x,
    "*0.5": lambda x: x * 0.5,
    "2/": lambda x: 2 / (abs(x) + 1),
    ">0": lambda x: x > 0,
    "[None]": lambda x: x[None],
    "[..., None]": lambda x: x[..., None],
    "[...]": lambda x: x[...],
    "[()]": lambda x: x[()],
    "[0]": lambda x: x[0],
    "[-1:]": lambda x: x[-1:],
    "[1:]": lambda x: x[1:],
    "[::-1]": lambda x: x[::-1],
    "[[1, 0]]": lambda x: x[[1, 0]],
    "expand_dims": lambda x: tg.expand_dims(x, axis=0),
    "squeeze": lambda x: tg.squeeze(x, axis=0),
    "reshape -1": lambda x: x.reshape(-1),
    "reshape ()": lambda x: x.reshape(()),
    "reshape 1": lambda x: x.reshape((1, *x.shape)),
    "broadcast": lambda x: tg.broadcast_to(x, (2, *x.shape)),
    "flip": lambda x: tg.flip(x),
    "roll": lambda x: tg.roll(x, 1),
    "T": lambda x: tg.permute_dims(x, tuple(reversed(range(x.ndim)))),
    "unstack": lambda x: tg.unstack(x)[-1],
    "repeat": lambda x: tg.repeat(x, 2),
    "tile": lambda x: tg.tile(x, (2,)),
    "sort": lambda x: tg.sort(x, axis=0),
    "cumsum": lambda x: tg.cumulative_sum(x, axis=0),
    "zeros_like": lambda x: tg.zeros_like(x),
    "ones_like": lambda x: tg.ones_like(x),
    "full_like": lambda x: tg.full_like(x, 3),
    "at set": lambda x: x.at[0].set(1),
    "at add": lambda x: x.at[-1:].add(x[:1] * 2),
    "argmax": lambda x: tg.argmax(x),
    "any": lambda x: tg.any(x > 0),
    "all 0": lambda x: tg.all(x > 0, axis=0),
    "softmax": lambda x: tg.softmax(x, axis=-1),
    "logsumexp": lambda x: tg.logsumexp(x),
    "norm": lambda x: tg.linalg.vector_norm(x),
    "erf": lambda x: tg.erf(x),
    "clip": lambda x: tg.clip(x, -1, 2),
    "sign": lambda x: tg.sign(x),
    "floor": lambda x: tg.floor(x * 1.5),
    "detach": lambda x: x.detach(),
}
ON_ONE |= {
    f"{name} {axis}{' kept' * keepdims}": _reduction(name, axis=axis, keepdims=keepdims)
    for name in ("sum", "mean", "max", "min", "prod", "var", "std")
    for axis in (None, 0, -1)
    for keepdims in (False, True)
}
ON_ONE |= {
    f"as {np.dtype(dtype).name}": lambda x, dtype=dtype: x.astype(np.dtype(dtype))
    for dtype in DTYPES
}
ON_TWO: dict[str, Operation] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / (y * y + 1),
    "**": lambda x, y: (abs(x) + 0.5) ** tg.clip(y, -1, 2),
    "//": lambda x, y: x // (abs(y) + 1),
    "%": lambda x, y: x % (abs(y) + 1),
    "@": lambda x, y: x @ y,
    "maximum": lambda x, y: tg.maximum(x, y),
    "minimum": lambda x, y: tg.minimum(x, y),
    "where": lambda x, y: tg.where(x > y, x, y),
    "where 0": lambda x, y: tg.where(x > y, x, 0),
    "where ones": lambda x, y: tg.where(x > y, tg.ones_like(x), tg.zeros_like(y)),
    "==": lambda x, y: x == y,
    "concat": lambda x, y: tg.concat([x.reshape(-1), y.reshape(-1)]),
    "concat 0": lambda x, y: tg.concat([x, y], axis=0),
    "stack": lambda x, y: tg.stack([x, y]),
    "stack -1": lambda x, y: tg.stack([x, y, x], axis=-1),
    "broadcast_arrays": lambda x, y: tg.broadcast_arrays(x, y)[0],
    "outer": lambda x, y: x[:, None] * y[None],
    "set": lambda x, y: x.at[0].set(y.sum()),
}
MAKERS: dict[str, Callable[[], Any]] = {
    "half": lambda: tg.tensor(0.5),
    "double": lambda: tg.tensor(0.1, dtype=tg.float64),
    "three": lambda: tg.tensor(3),
    "ones": lambda: tg.ones((3,)),
    "zeros": lambda: tg.zeros((2, 3)),
    "arange": lambda: tg.arange(3),
}


@dataclass
class Program:
    """Operations on values: arguments and parameters first."""

    seed: int
    operations: list[tuple[str, Operation, tuple[int, ...]]] = field(default_factory=list)
    returned: tuple[int, ...] = ()
    trains: bool = False
    optimizer: int = 0

    def values(self, inputs: list[Any]) -> list[Any]:
        values = prepared(inputs)
        for _, operation, places in self.operations:
            values.append(operation(*(values[place] for place in places)))
        return values

    def __str__(self) -> str:
        lines = [f"{name} of {places}" for name, _, places in self.operations]
        how = f"optimiser {self.optimizer}" if self.trains else "no training"
        return "\n".join([f"seed {self.seed}, {how}, returns {self.returned}", *lines])


OPTIMIZERS: tuple[Callable[[Any], Any], ...] = (
    lambda parameters: tg.optim.SGD(parameters, lr=0.01),
    lambda parameters: tg.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=0.1),
    lambda parameters: tg.optim.Adam(parameters, lr=0.01),
    lambda parameters: tg.optim.AdamW(parameters, lr=0.01),
)


def parameters_of(seed: int) -> list[Any]:
    rng = np.random.default_rng((seed, 1))
    shapes = [(), (3,), (2, 3), ()]
    dtypes = rng.choice([np.float32, np.float32, np.float64], size=4)
    return [
        nn.Parameter(tg.tensor(np.asarray(rng.normal(size=shape), dtype)))
        for shape, dtype in zip(shapes, dtypes, strict=True)
    ]


def arguments_of(seed: int, call: int) -> list[Any]:
    """Return a vector, a matrix, a number without axes, an array of integers and a float."""
    rng = np.random.default_rng((seed, 2))
    dtypes = rng.choice(np.array(DTYPES[:3], dtype=object), size=3)
    rng = np.random.default_rng((seed, 3, call))
    return [
        np.asarray(rng.normal(size=3), dtypes[0]),
        np.asarray(rng.normal(size=(2, 3)), dtypes[1]),
        np.asarray(rng.normal(), dtypes[2]),
        rng.integers(0, 5, size=3),
        float(rng.normal()),
    ]


def as_tensors(arguments: list[Any]) -> list[Any]:
    return [one if isinstance(one, float) else tg.tensor(one) for one in arguments]


def prepared(inputs: list[Any]) -> list[Any]:
    """Return the inputs, with the Python number as a factor of the first."""
    vector, matrix, number, integers, factor, *parameters = inputs
    return [vector, matrix, number, integers, number * factor, *parameters]


def _fits(value: Any) -> bool:
    return isinstance(value, tg.Tensor) and value.size <= LARGEST and value.ndim <= 4


def random_program(seed: int) -> Program:
    """Make a program of up to twelve operations."""
    rng = np.random.default_rng((seed, 0))
    program = Program(seed, trains=bool(rng.integers(2)), optimizer=int(rng.integers(4)))
    inputs = as_tensors(arguments_of(seed, 0)) + parameters_of(seed)
    values = prepared(inputs)
    length = int(rng.integers(3, 13))
    for _ in range(60):
        if len(values) - len(inputs) >= length:
            break
        kind = rng.choice(3, p=[0.65, 0.3, 0.05])
        table: dict[str, Operation] = ({**ON_ONE}, {**ON_TWO}, {**MAKERS})[kind]
        name = str(rng.choice(sorted(table)))
        # Later values more often: chains rather than many short ones.
        last = len(values) - 1
        back = np.minimum(rng.geometric(0.2, size=(1, 2, 0)[kind]) - 1, last)
        places = tuple([last - int(one) for one in back])
        try:
            value = table[name](*(values[place] for place in places))
        except (TinygradLabError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
            continue
        if _fits(value):
            program.operations.append((name, table[name], places))
            values.append(value)
    made = range(len(inputs), len(values))
    count = min(len(made), int(rng.integers(1, 4)))
    program.returned = tuple(int(one) for one in rng.choice(made, size=count, replace=False))
    return program


def step_of(program: Program) -> tuple[list[Any], Callable[..., Any]]:
    """Return parameters, and a step that computes the program and may train them."""
    parameters = parameters_of(program.seed)
    optimizer = OPTIMIZERS[program.optimizer](parameters)

    def step(vector: Any, matrix: Any, number: Any, integers: Any, factor: Any) -> Any:
        values = program.values([vector, matrix, number, integers, factor, *parameters])
        if program.trains:
            optimizer.zero_grad()
            loss = sum(
                (value.astype(tg.float32).mean() for value in values[5:] if value.requires_grad),
                start=tg.tensor(0.0),
            )
            loss.backward()
            optimizer.step()
        return tuple([values[place].detach() for place in program.returned])

    return parameters, step


def bits(things: Any) -> list[tuple[Any, ...]]:
    """Return shapes, dtypes and bits of tensors and arrays; all NaNs are equal."""
    found = []
    for one in things:
        array = np.array(one.data if isinstance(one, tg.Tensor) else one)
        if array.dtype.kind == "f":
            array[np.isnan(array)] = np.nan
        found.append((array.shape, array.dtype, array.tobytes()))
    return found


def difference(program: Program, folder: Path | None = None) -> str | None:
    """Return how replays, source or a saved module differ from the eager step; None if not."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        (mine, step), (theirs, eager) = step_of(program), step_of(program)
        compiled = tg.compile(step)
        for call in range(5):
            arguments = arguments_of(program.seed, call)
            got, wanted = compiled(*as_tensors(arguments)), eager(*as_tensors(arguments))
            if bits(got) != bits(wanted):
                return f"call {call + 1} returns {got}, not {wanted}"
            held = [[p.detach() for p in some] for some in (mine, theirs)]
            if bits(held[0]) != bits(held[1]):
                return f"call {call + 1} leaves {held[0]}, not {held[1]}"
        if len(compiled._replays) != 1:
            return f"{len(compiled._replays)} recordings"
        return _source_differs(program, compiled, eager, folder)


def _source_differs(program: Program, compiled: Any, eager: Any, folder: Path | None) -> str | None:
    with compiled._writer() as writer:
        needs_state = writer.has_state()
        state = {name: np.array(array) for name, array in writer.state().items()}
        steps = {name: int(one) for name, one in state.items() if name.startswith("steps")}
        source = writer.source()
    runs = [(source, {**state, **steps})]
    names: dict[str, Any] = {}
    exec(source, names)
    functions = [(names["step"], runs[0][1])]
    if folder is not None:
        path = folder / f"saved_{program.seed}.py"
        compiled.save(path)
        names = {"__file__": str(path)}
        exec(path.read_text(encoding="utf-8"), names)
        functions.append((names["step"], names["load_state"]() if needs_state else {}))
    for call in range(5, 8):
        arguments = arguments_of(program.seed, call)
        wanted = eager(*as_tensors(arguments))
        for number, (function, held) in enumerate(functions):
            given = [np.array(one) if isinstance(one, np.ndarray) else one for one in arguments]
            code_names = function.__code__.co_varnames[: function.__code__.co_argcount]
            parts = dict(zip(ARGUMENTS, given, strict=True))
            ordered = [parts[name] for name in code_names if name != "state"]
            out = function(*ordered, *([held] if "state" in code_names else []))
            got = out if isinstance(out, tuple) else (out,)
            if bits(got) != bits(wanted):
                which = ("source", "saved module")[number]
                return f"{which}, call {call}: {got} not {wanted}\n{source}"
    return None
