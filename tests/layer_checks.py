"""What layers must fulfil: PyTorch's numbers, derivatives, compiled steps, pictures, repeats."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn

Array = np.ndarray[Any, Any]

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def numbers(*shape: int, seed: int = 0) -> Array:
    """Return normal numbers in float64, others for another shape or seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def flat(outputs: Any) -> Iterator[Any]:
    """Yield the tensors of nested tuples; nothing for None."""
    if isinstance(outputs, list | tuple):
        for one in outputs:
            yield from flat(one)
    elif outputs is not None:
        yield outputs


def twins(name: str, *args: Any, **named: Any) -> tuple[Any, Any]:
    """Return our layer and PyTorch's, of the same numbers in float64."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)(*args, **named).to(torch.float64)
    generator = np.random.default_rng(7)
    for parameter in theirs.parameters():
        drawn = generator.normal(0.0, 0.6, tuple(parameter.shape))
        parameter.data = torch.tensor(drawn, dtype=torch.float64)
    ours = getattr(nn, name)(*args, **named).to("float64")
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in state.items()
    }
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    return ours, theirs


def _as(make: Callable[[Array], Any], given: Any) -> Any:
    """Turn the arrays of nested arguments into tensors of one library."""
    if isinstance(given, tuple):
        return tuple(_as(make, one) for one in given)
    return make(given) if isinstance(given, np.ndarray) else given


def agree(ours: Any, theirs: Any, *inputs: Any, **named: Any) -> None:
    """Check results, gradients of inputs and parameters, and buffers against PyTorch's at 1e-12."""
    torch = pytest.importorskip("torch")

    def mine(array: Array) -> tg.Tensor:
        return tg.tensor(array, requires_grad=array.dtype.kind == "f")

    def other(array: Array) -> Any:
        return torch.tensor(array, requires_grad=array.dtype.kind == "f")

    sides = []
    for layer, make in ((ours, mine), (theirs, other)):
        given = _as(make, inputs)
        settings = {key: _as(make, value) for key, value in named.items()}
        outputs = list(flat(layer(*given, **settings)))
        weights = [make(numbers(*out.shape, seed=3)) for out in outputs]
        total = sum((out * weight).sum() for out, weight in zip(outputs, weights, strict=True))
        total.backward()
        tensors = [one for one in flat((given, tuple(settings.values()))) if hasattr(one, "grad")]
        parameters = list(layer.parameters()) if hasattr(layer, "parameters") else []
        sides.append((outputs, [one.grad for one in (*tensors, *parameters)]))
        layer.zero_grad() if parameters else None
    (found, slopes), (expected, their_slopes) = sides
    assert len(found) == len(expected)
    for one, reference in zip((*found, *slopes), (*expected, *their_slopes), strict=True):
        if reference is None:
            assert one is None
            continue
        reference = reference.detach().numpy()
        assert one.shape == reference.shape
        np.testing.assert_allclose(one.detach().numpy(), reference, **CLOSE)
    buffers = dict(theirs.named_buffers()) if hasattr(theirs, "named_buffers") else {}
    for key, value in buffers.items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), **CLOSE)


def derives_twice(layer: Any, *inputs: Any) -> None:
    """Check first and second derivatives by inputs and parameters against differences."""

    def call(module: Any, *given: Any) -> Any:
        return list(flat(module(*given)))

    tg.gradcheck(call, layer.to("float64"), *inputs, order=2, samples=1)


def compiles_to_the_same_bits(layer: Any, *inputs: Any) -> None:
    """Check that steps of training, with new numbers in each, are the same eager and compiled."""
    start = {key: value.numpy().copy() for key, value in layer.state_dict().items()}
    runs = []
    for wrap in (lambda step: step, tg.compile):
        layer.load_state_dict(start)
        scale = nn.Parameter([1.0])  # something to learn for layers without parameters
        optimizer = tg.optim.SGD([scale, *layer.parameters()], lr=0.1)

        def step(x: Any, *more: Any, scale: Any = scale, optimizer: Any = optimizer) -> list[Any]:
            outputs = list(flat(layer(x * scale, *more)))
            optimizer.zero_grad()
            sum((out * out).sum() for out in outputs).backward()
            optimizer.step()
            return outputs

        tg.seed(3)
        run = wrap(step)
        results = []
        for number in range(3):
            x, *more = (tg.tensor(one) for one in inputs)
            results += [out.detach().numpy().copy() for out in run(x + number, *more)]
        state = (value.numpy().copy() for value in layer.state_dict().values())
        runs.append([scale.detach().numpy(), *results, *state])
    for eager, compiled in zip(*runs, strict=True):
        np.testing.assert_array_equal(eager, compiled)


def is_drawn(layer: Any, *inputs: Array) -> None:
    """Check that pictures of the layer and of its ops name it and each parameter."""
    tensors = [tg.tensor(one, requires_grad=one.dtype.kind == "f") for one in inputs]
    if len(tensors) == 1 and not isinstance(layer(*tensors), tuple):
        assert type(layer).__name__ in tg.draw(nn.Sequential(layer), *tensors).svg
    ops = tg.draw(next(flat(layer(*tensors))).sum(), most=1000).svg
    for name, _ in layer.named_parameters():
        assert name in ops


def repeats(make: Callable[[], Any], inputs: Sequence[Array]) -> None:
    """Check that one seed gives the same layer and the same results, bit for bit."""
    runs = []
    for _ in range(2):
        tg.seed(11)
        layer = make()
        outputs = flat(layer(*(tg.tensor(one) for one in inputs)))
        runs.append([one.detach().tolist() for one in (*outputs, *layer.parameters())])
    assert runs[0] == runs[1]
