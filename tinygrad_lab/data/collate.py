"""Batches of samples: numbers, arrays, tensors, and tuples and dicts of them, put together.

Source: ``torch.utils.data.default_collate`` and ``default_convert``, whose rules these are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.array_api.creation import asarray, tensor
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tinygrad_lab.ops import stack

__all__ = ["collated", "default_collate", "default_convert"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Put samples together to a batch, with a new first axis.

    | samples | batch |
    | --- | --- |
    | tensors, NumPy arrays and numbers of NumPy of one shape | a tensor of their dtype |
    | Python integers, booleans, floats | a tensor of int64, bool, float64, as in PyTorch |
    | strings, bytes | a list of them; in tuples and lists, a tuple |
    | tuples, lists | a list of batches, one for each place |
    | named tuples, dicts | one of them, of batches by name |

    Raises:
        ArgumentError: for an empty batch, or samples with different names or numbers of parts.
        ArgumentTypeError: for samples of a kind that is not listed, or of different kinds.
        ShapeError: for tensors or arrays of different shapes; the message names the samples.

    Example:
        >>> import numpy as np
        >>> x, y, name = default_collate([(np.zeros(2), 3, "a"), (np.ones(2), 4, "b")])
        >>> x.tolist(), y.tolist(), name
        ([[0.0, 0.0], [1.0, 1.0]], [3, 4], ('a', 'b'))
        >>> default_collate([{"x": 1.5}, {"x": 2.0}])
        {'x': tensor([1.5, 2. ], dtype=float64)}
    """
    batch = list(batch)
    if not batch:
        raise ArgumentError("default_collate: expected at least one sample; got an empty batch")
    return collated(batch, lambda place: f"sample {place} of the batch")


def collated(batch: Sequence[Any], name_of: Callable[[int], str], part: str = "") -> Any:
    """Put samples together; ``name_of`` says what a message calls the sample at a place."""
    first = batch[0]
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Tensor | np.ndarray):
        return _stacked(batch, name_of, part)
    if isinstance(first, bool | int | float | np.generic):
        return _of_numbers(batch, name_of, part)
    if isinstance(first, Mapping):
        return _of_mappings(batch, name_of, part)
    if isinstance(first, Sequence):
        return _of_sequences(batch, name_of, part)
    raise ArgumentTypeError(
        f"default_collate: {_where(name_of(0), part)} is a {type(first).__name__}; batches are "
        "made of tensors, arrays, numbers, strings, and tuples, lists and dicts of them; others "
        "need collate_fn="
    )


def default_convert(data: Any) -> Any:
    """Make tensors of the arrays in one sample, and leave all else as it is.

    What a loader without batches (``batch_size=None``) does with each sample.

    Example:
        >>> import numpy as np
        >>> default_convert({"x": np.array([1.0, 2.0]), "name": "a", "n": 3})
        {'x': tensor([1., 2.], dtype=float64), 'name': 'a', 'n': 3}
    """
    if isinstance(data, Tensor | str | bytes):
        return data
    if isinstance(data, np.ndarray | np.generic):
        return asarray(data) if np.asarray(data).dtype.kind in "biufc" else data
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, Sequence):
        parts = [default_convert(one) for one in data]
        return parts if isinstance(data, tuple) else _like(data, parts)
    return data


def _where(sample: str, part: str) -> str:
    return f"{sample}, at {part}," if part else sample


def _stacked(batch: Sequence[Any], name_of: Callable[[int], str], part: str) -> Tensor:
    for place, one in enumerate(batch):
        if not isinstance(one, Tensor | np.ndarray):
            raise _different_kinds(batch, place, name_of, part)
        if one.shape != batch[0].shape:
            raise ShapeError(
                f"default_collate: samples of a batch must have one shape; "
                f"{_where(name_of(place), part)} has shape {tuple(one.shape)}, {name_of(0)} has "
                f"{tuple(batch[0].shape)}: pad or crop them, or put them together by collate_fn="
            )
    if any(isinstance(one, Tensor) for one in batch):
        return stack([asarray(one) for one in batch])
    joined = np.stack(batch)
    if joined.dtype.kind not in "biufc":
        raise DTypeError(
            f"default_collate: {_where(name_of(0), part)} is an array of dtype {joined.dtype}; "
            "tensors hold numbers and booleans"
        )
    return asarray(joined)


def _of_numbers(batch: Sequence[Any], name_of: Callable[[int], str], part: str) -> Tensor:
    for place, one in enumerate(batch):
        if not isinstance(one, bool | int | float | np.number | np.bool_):
            raise _different_kinds(batch, place, name_of, part)
    is_of_python = not isinstance(batch[0], np.generic)
    dtype = np.float64 if is_of_python and isinstance(batch[0], float) else None
    return tensor(np.asarray(batch, dtype=dtype))


def _of_mappings(batch: Sequence[Any], name_of: Callable[[int], str], part: str) -> Any:
    names = set(batch[0])
    for place, one in enumerate(batch):
        if not isinstance(one, Mapping):
            raise _different_kinds(batch, place, name_of, part)
        if set(one) != names:
            raise ArgumentError(
                f"default_collate: {_where(name_of(place), part)} has the names {list(one)}, "
                f"{name_of(0)} has {list(batch[0])}"
            )
    return _like(
        batch[0],
        {k: collated([one[k] for one in batch], name_of, f"{part}[{k!r}]") for k in batch[0]},
    )


def _of_sequences(batch: Sequence[Any], name_of: Callable[[int], str], part: str) -> Any:
    first = batch[0]
    for place, one in enumerate(batch):
        if not isinstance(one, Sequence) or isinstance(one, str | bytes):
            raise _different_kinds(batch, place, name_of, part)
        if len(one) != len(first):
            raise ArgumentError(
                f"default_collate: {_where(name_of(place), part)} has {len(one)} parts, "
                f"{name_of(0)} has {len(first)}"
            )
    parts = [
        collated(ones, name_of, f"{part}[{place}]")
        for place, ones in enumerate(zip(*batch, strict=True))
    ]
    if isinstance(first, tuple):
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    return _like(first, parts)


def _like(container: Any, parts: Any) -> Any:
    """Return the parts in a container of the same class, if it is made from them; else plainly."""
    try:
        return type(container)(parts)
    except TypeError:
        return parts


def _different_kinds(
    batch: Sequence[Any], place: int, name_of: Callable[[int], str], part: str
) -> ArgumentTypeError:
    return ArgumentTypeError(
        f"default_collate: {_where(name_of(place), part)} is a {type(batch[place]).__name__}, "
        f"{name_of(0)} is a {type(batch[0]).__name__}: samples of a batch must be of one kind"
    )
