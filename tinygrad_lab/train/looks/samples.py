"""The data that a look is given: pairs of inputs and labels, whole or in batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from tinygrad_lab.array_api.creation import asarray, tensor
from tinygrad_lab.data import DataLoader, TensorDataset
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError
from tinygrad_lab.nn import Module

__all__ = ["batches", "device_of", "pair_of"]

Pair = tuple[Tensor, Tensor]


def device_of(model: Module) -> str:
    """Return where the parameters of a net are; the CPU if it has none."""
    first = next(model.parameters(), None)
    return "cpu" if first is None else first.device


def pair_of(
    asked_by: str, data: Any, device: str, *, test: bool = False, most: int | None = None
) -> Pair:
    """Return inputs and labels as two tensors on a device.

    Args:
        asked_by: the function that errors name.
        data: a data set with ``x`` and ``y`` (and ``x_test``, ``y_test``), as ``mnist1d`` returns;
            a pair of arrays or tensors; a ``TensorDataset``; or a loader of such pairs.
        device: where they go.
        test: take the test set of a data set that has one.
        most: take so many samples, spread evenly over all; all if not given.
    """
    x, y = _arrays(asked_by, data, test)
    if x.shape[:1] != y.shape[:1]:
        raise ArgumentError(
            f"{asked_by}: expected as many labels as inputs; got inputs of shape {tuple(x.shape)} "
            f"and labels of shape {tuple(y.shape)}."
        )
    if not x.shape[0]:
        raise ArgumentError(f"{asked_by}: expected at least one sample; got none.")
    if most is not None and x.shape[0] > most:
        chosen = np.linspace(0, x.shape[0] - 1, most).astype(np.int64)
        x, y = asarray(x)[chosen], asarray(y)[chosen]
    return _on(x, device), _on(y, device)


def batches(asked_by: str, data: Any, device: str, batch_size: int, seed: int) -> Iterator[Pair]:
    """Yield batches without end: of a loader its own, of other data in an order of the seed."""
    if isinstance(data, DataLoader):
        loader = data
    else:
        x, y = _arrays(asked_by, data, test=False)
        size = min(batch_size, x.shape[0])
        loader = DataLoader(x, y, batch_size=size, shuffle=True, drop_last=True, seed=seed)
    while True:
        count = 0
        for count, batch in enumerate(loader, 1):
            yield _pair(asked_by, batch, device)
        if not count:
            raise ArgumentError(f"{asked_by}: the loader gave no batch.")


def _arrays(asked_by: str, data: Any, test: bool) -> tuple[Any, Any]:
    if isinstance(data, DataLoader):
        pairs = [_pair(asked_by, batch, "cpu") for batch in islice(data, None)]
        x, y = (np.concatenate([pair[n].numpy() for pair in pairs]) for n in (0, 1))
        return x, y
    if isinstance(data, TensorDataset):
        data = data.tensors
    if hasattr(data, "x") and hasattr(data, "y"):
        return (data.x_test, data.y_test) if test and hasattr(data, "x_test") else (data.x, data.y)
    if isinstance(data, tuple | list) and len(data) == 2 and all(map(_has_axes, data)):
        return data[0], data[1]
    raise ArgumentTypeError(
        f"{asked_by}: expected data as a pair (x, y) of arrays or tensors, a data set such as "
        f"tg.data.mnist1d(), or a DataLoader of pairs; got {type(data).__name__}."
    )


def _pair(asked_by: str, batch: Any, device: str) -> Pair:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise ArgumentTypeError(
            f"{asked_by}: expected batches of inputs and labels, (x, y); the loader gave "
            f"{type(batch).__name__}."
        )
    return _on(batch[0], device), _on(batch[1], device)


def _has_axes(one: Any) -> bool:
    return hasattr(one, "shape") and len(one.shape) > 0


def _on(array: Any, device: str) -> Tensor:
    return array.to(device) if isinstance(array, Tensor) else tensor(array, device=device)
