"""Functions that move elements around: shapes, joining, indexing, repeating, changing in place."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg

from .kinds import (
    Array,
    Call,
    along,
    in_one,
    in_one_of_numpy,
    in_one_of_torch,
    numbers,
    seeds,
    shaped,
    special,
)

# --- shapes --------------------------------------------------------------------------------------


def _reshape(choose: st.DrawFn) -> Call:
    array = shaped(choose)
    shapes = [
        (array.size,),
        (1, array.size, 1),
        array.shape[::-1],
        *([(-1,)] if array.size else []),
    ]
    shape = choose(st.sampled_from(shapes))
    return Call(
        lambda x: tg.reshape(x, shape=shape),
        (array,),
        lambda x: np.reshape(x, shape),
        lambda torch, x: torch.reshape(x, shape),
    )


def _flatten(choose: st.DrawFn) -> Call:
    array = shaped(choose, dims=1)
    start = choose(st.integers(0, array.ndim - 1))
    shape = (*array.shape[:start], int(np.prod(array.shape[start:])))
    return Call(
        lambda x: tg.flatten(x, start),
        (array,),
        lambda x: np.reshape(x, shape),
        lambda torch, x: torch.flatten(x, start),
    )


def _broadcast_to(choose: st.DrawFn) -> Call:
    array = shaped(choose)
    shape = choose(npst.broadcastable_shapes(array.shape, max_dims=4, min_side=0, max_side=3))
    shape = np.broadcast_shapes(shape, array.shape)
    return Call(
        lambda x: tg.broadcast_to(x, shape=shape),
        (array,),
        lambda x: np.broadcast_to(x, shape),
        lambda torch, x: torch.broadcast_to(x, shape),
    )


def _rot90(choose: st.DrawFn) -> Call:
    array = shaped(choose, dims=2)
    axes = tuple(choose(st.permutations(range(-array.ndim, 0)))[:2])
    k = choose(st.integers(-5, 5))
    return Call(
        lambda x: tg.rot90(x, k, axes),
        (array,),
        lambda x: np.rot90(x, k, axes),
        lambda torch, x: torch.rot90(x, k, axes),
    )


def _permute_dims(choose: st.DrawFn) -> Call:
    array = shaped(choose)
    axes = tuple(choose(st.permutations(range(array.ndim))))
    return Call(
        lambda x: tg.permute_dims(x, axes=axes),
        (array,),
        lambda x: np.permute_dims(x, axes),
        lambda torch, x: torch.permute(x, axes),
    )


def _expand_dims(choose: st.DrawFn) -> Call:
    array = shaped(choose)
    axis = choose(st.integers(-array.ndim - 1, array.ndim))
    return Call(
        lambda x: tg.expand_dims(x, axis=axis),
        (array,),
        lambda x: np.expand_dims(x, axis),
        lambda torch, x: torch.unsqueeze(x, axis),
    )


def _squeeze(choose: st.DrawFn) -> Call:
    array = shaped(choose)
    axis = choose(st.integers(0, array.ndim))
    return Call(
        lambda x: tg.squeeze(x, axis=axis),
        (np.expand_dims(array, axis),),
        lambda x: np.squeeze(x, axis),
        lambda torch, x: torch.squeeze(x, axis),
    )


def _matrix_transpose(choose: st.DrawFn) -> Call:
    array = shaped(choose, dims=2)
    return Call(
        tg.matrix_transpose,
        (array,),
        np.matrix_transpose,
        lambda torch, x: torch.transpose(x, -1, -2),
    )


def _moveaxis(choose: st.DrawFn) -> Call:
    array = shaped(choose, dims=1)
    source, destination = (
        choose(st.permutations(range(array.ndim)).map(lambda axes: tuple(axes[:2])))
        for _ in range(2)
    )
    return Call(
        lambda x: tg.moveaxis(x, source, destination),
        (array,),
        lambda x: np.moveaxis(x, source, destination),
        lambda torch, x: torch.movedim(x, source, destination),
    )


def _swapaxes(choose: st.DrawFn) -> Call:
    array = shaped(choose, dims=1)
    one, other = (choose(st.integers(-array.ndim, array.ndim - 1)) for _ in range(2))
    return Call(
        lambda x: tg.swapaxes(x, one, other),
        (array,),
        lambda x: np.swapaxes(x, one, other),
        lambda torch, x: torch.swapaxes(x, one, other),
    )


def _broadcast_arrays(choose: st.DrawFn) -> Call:
    three = npst.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3, max_dims=3)
    return Call(
        lambda *xs: in_one(tg.broadcast_arrays(*xs)),
        tuple(numbers(choose(seeds), shape) for shape in choose(three).input_shapes),
        lambda *xs: in_one_of_numpy(np.broadcast_arrays(*xs)),
        lambda torch, *xs: in_one_of_torch(torch, torch.broadcast_tensors(*xs)),
    )


def _meshgrid(choose: st.DrawFn) -> Call:
    indexing = choose(st.sampled_from(["xy", "ij"]))
    sizes = choose(st.lists(st.integers(0, 3), min_size=2, max_size=3))
    return Call(
        lambda *xs: in_one(tg.meshgrid(*xs, indexing=indexing)),
        tuple(numbers(choose(seeds), (size,)) for size in sizes),
        lambda *xs: in_one_of_numpy(np.meshgrid(*xs, indexing=indexing)),
        lambda torch, *xs: in_one_of_torch(torch, torch.meshgrid(*xs, indexing=indexing)),
    )


# --- joining and splitting -----------------------------------------------------------------------


def _joined(choose: st.DrawFn, *, stacked: bool) -> tuple[tuple[Array, ...], int]:
    """Draw arrays that can be joined, and the axis."""
    shape = choose(npst.array_shapes(min_dims=1 - stacked, max_dims=3, min_side=0, max_side=3))
    axis = choose(st.integers(-len(shape) - stacked, len(shape) - 1 + stacked))
    arrays = []
    for _ in range(choose(st.integers(1, 3))):
        sizes = list(shape)
        if not stacked:
            sizes[axis] = choose(st.integers(0, 3))
        arrays.append(numbers(choose(seeds), sizes))
    return tuple(arrays), axis


def _concat(choose: st.DrawFn) -> Call:
    arrays, axis = _joined(choose, stacked=False)
    return Call(
        lambda *xs: tg.concat(xs, axis=axis),
        arrays,
        lambda *xs: np.concat(xs, axis=axis),
        lambda torch, *xs: torch.concat(xs, axis),
    )


def _stack(choose: st.DrawFn) -> Call:
    arrays, axis = _joined(choose, stacked=True)
    return Call(
        lambda *xs: tg.stack(xs, axis=axis),
        arrays,
        lambda *xs: np.stack(xs, axis=axis),
        lambda torch, *xs: torch.stack(xs, axis),
    )


def _unstack(choose: st.DrawFn) -> Call:
    array = shaped(choose, least=1, dims=1)
    axis = choose(st.integers(-array.ndim, array.ndim - 1))
    part = choose(st.integers(0, array.shape[axis] - 1))
    return Call(
        lambda x: tg.unstack(x, axis=axis)[part] * tg.unstack(x, axis=axis)[0],
        (array,),
        lambda x: np.take(x, part, axis) * np.take(x, 0, axis),
        lambda torch, x: torch.unbind(x, axis)[part] * torch.unbind(x, axis)[0],
    )


def _split(choose: st.DrawFn) -> Call:
    array = shaped(choose, dims=1)
    axis = choose(st.integers(-array.ndim, array.ndim - 1))
    size = array.shape[axis]
    pieces = choose(
        st.sampled_from([n for n in (1, 2, 3) if size % n == 0])
        | st.lists(st.integers(0, size), max_size=2).map(sorted)
    )
    return Call(
        lambda x: in_one(tg.split(x, pieces, axis)),
        (array,),
        lambda x: in_one_of_numpy(np.split(x, pieces, axis)),
        lambda torch, x: in_one_of_torch(torch, torch.tensor_split(x, pieces, axis)),
    )


# --- repeating, padding, shifting ----------------------------------------------------------------


def _roll(choose: st.DrawFn) -> Call:
    array = shaped(choose)
    axes = st.none() | npst.valid_tuple_axes(array.ndim, min_size=1) if array.ndim else st.none()
    axis = choose(axes)
    shifts = st.integers(-4, 4)
    shift = choose(shifts if axis is None else st.tuples(*[shifts] * len(axis)))
    return Call(
        lambda x: tg.roll(x, shift, axis=axis),
        (array,),
        lambda x: np.roll(x, shift, axis=axis),
        lambda torch, x: torch.roll(x, shift, axis),
    )


def _repeat(choose: st.DrawFn) -> Call:
    array = shaped(choose)
    axis = choose(st.none() | st.integers(0, array.ndim - 1)) if array.ndim else None
    count = array.size if axis is None else array.shape[axis]
    each = st.lists(st.integers(0, 3), min_size=count, max_size=count).map(np.array)
    repeats = choose(st.integers(0, 3) | each if count > 1 else st.integers(0, 3))
    of_tensors = repeats if isinstance(repeats, int) else tg.tensor(repeats)
    return Call(
        lambda x: tg.repeat(x, of_tensors, axis=axis),
        (array,),
        lambda x: np.repeat(x, repeats, axis=axis),
        lambda torch, x: torch.repeat_interleave(x, torch.tensor(repeats), axis),
    )


def _tile(choose: st.DrawFn) -> Call:
    array = shaped(choose)
    repetitions = tuple(choose(st.lists(st.integers(0, 2), max_size=4)))
    return Call(
        lambda x: tg.tile(x, repetitions),
        (array,),
        lambda x: np.tile(x, repetitions),
        lambda torch, x: torch.tile(x, repetitions),
    )


def _pad(choose: st.DrawFn) -> Call:
    mode = choose(st.sampled_from(["constant", "edge", "reflect", "symmetric", "wrap"]))
    array = shaped(choose, least=0 if mode == "constant" else 1)
    pair = st.tuples(st.integers(0, 4), st.integers(0, 4))
    widths = choose(st.tuples(*[pair] * array.ndim)) if array.ndim else 0
    if mode != "constant":
        return Call(
            lambda x: tg.pad(x, widths, mode=mode), (array,), lambda x: np.pad(x, widths, mode=mode)
        )
    flat = [n for both in reversed(widths or ()) for n in both]
    return Call(
        lambda x, y: tg.pad(x, widths, constant_values=y),
        (array, numbers(choose(seeds), ())),
        lambda x, y: np.pad(x, widths, constant_values=y) if x.ndim else x,
        lambda torch, x, y: torch.nn.functional.pad(x - y, flat) + y,
    )


def _triangle(choose: st.DrawFn, of: str) -> Call:
    k = choose(st.integers(-3, 3))
    return Call(
        lambda x: getattr(tg, of)(x, k=k),
        (shaped(choose, dims=2),),
        lambda x: getattr(np, of)(x, k=k),
        lambda torch, x: getattr(torch, of)(x, k),
    )


def _diagonal(choose: st.DrawFn) -> Call:
    array = shaped(choose, dims=2)
    offset = choose(st.integers(-array.shape[-2], array.shape[-1]))
    return Call(
        lambda x: tg.diagonal(x, offset=offset),
        (array,),
        lambda x: np.diagonal(x, offset, -2, -1),
        lambda torch, x: torch.diagonal(x, offset, -2, -1),
    )


def _diag(choose: st.DrawFn) -> Call:
    shape = choose(npst.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=3))
    offset = choose(st.integers(-min(shape), min(shape)))
    return Call(
        lambda x: tg.diag(x, offset=offset),
        (numbers(choose(seeds), shape),),
        lambda x: np.diag(x, offset),
        lambda torch, x: torch.diag(x, offset),
    )


# --- elements by their positions -----------------------------------------------------------------


def _index_of(choose: st.DrawFn, array: Array) -> tuple[Any, Any]:
    """Draw an index of an array, and the same index with Tensors instead of NumPy arrays."""
    kinds = [
        npst.basic_indices(array.shape, allow_newaxis=True),
        npst.integer_array_indices(array.shape, result_shape=npst.array_shapes(max_side=3)),
        npst.arrays(bool, array.shape),
    ]
    index = choose(st.one_of(kinds))
    parts = index if isinstance(index, tuple) else (index,)
    return parts, tuple(tg.tensor(p) if isinstance(p, np.ndarray) else p for p in parts)


def _getitem(choose: st.DrawFn) -> Call:
    array = shaped(choose, least=1, dims=1)
    parts, ours = _index_of(choose, array)
    return Call(lambda x: x[ours], (array,), lambda x: x[parts])


def _changed(choose: st.DrawFn, change: str) -> Call:
    """Draw a call of ``x.at[index].set(values)`` or ``.add(values)``."""
    array = shaped(choose, least=1, dims=1)
    parts, ours = _index_of(choose, array)
    place = array[parts].shape
    kept = choose(st.integers(0, len(place)))
    values = numbers(choose(seeds), place[len(place) - kept :])

    def expected(x: Array, values: Array) -> Array:
        copy = x.copy()
        if change == "add":
            np.add.at(copy, parts, np.broadcast_to(values, place))
        else:
            copy[parts] = values
        return copy

    return Call(lambda x, v: getattr(x.at[ours], change)(v), (array, values), expected)


def _take(choose: st.DrawFn) -> Call:
    array = shaped(choose, least=1, dims=1)
    axis = choose(st.integers(-array.ndim, array.ndim - 1))
    shape = npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)
    last = array.shape[axis] - 1
    indices = choose(npst.arrays(np.int64, shape, elements=st.integers(-last - 1, last)))
    ours = tg.tensor(indices)
    return Call(
        lambda x: tg.take(x, ours, axis=axis), (array,), lambda x: np.take(x, indices, axis=axis)
    )


def _take_along_axis(choose: st.DrawFn) -> Call:
    array = shaped(choose, least=1, dims=1)
    axis = choose(st.integers(-array.ndim, array.ndim - 1))
    shape, last = list(array.shape), array.shape[axis] - 1
    shape[axis] = choose(st.integers(0, 4))
    indices = choose(npst.arrays(np.int64, tuple(shape), elements=st.integers(0, last)))
    ours = tg.tensor(indices)
    return Call(
        lambda x: tg.take_along_axis(x, ours, axis=axis),
        (array,),
        lambda x: np.take_along_axis(x, indices, axis=axis),
        lambda torch, x: torch.take_along_dim(x, torch.tensor(indices), axis),
    )


def _places(choose: st.DrawFn) -> tuple[Array, int, Array]:
    """Draw an array, an axis, and positions along it; distinct ones, in arrays of any size."""
    array = shaped(choose, least=1, dims=1)
    axis = choose(st.integers(0, array.ndim - 1))
    shape = [choose(st.integers(0, n)) for n in array.shape]
    order = np.argsort(numbers(choose(seeds), array.shape), axis=axis)
    return array, axis, order[tuple(map(slice, shape))]


def _gather(choose: st.DrawFn) -> Call:
    array, axis, indices = _places(choose)
    part = tuple(slice(None) if a == axis else slice(n) for a, n in enumerate(indices.shape))
    ours = tg.tensor(indices)
    return Call(
        lambda x: tg.gather(x, axis, ours),
        (array,),
        lambda x: np.take_along_axis(x[part], indices, axis),
        lambda torch, x: torch.gather(x, axis, torch.tensor(indices)),
    )


def _scattered(choose: st.DrawFn, of: str) -> Call:
    array, axis, indices = _places(choose)
    part = tuple(slice(None) if a == axis else slice(n) for a, n in enumerate(indices.shape))
    values, ours = numbers(choose(seeds), array.shape), tg.tensor(indices)

    def expected(x: Array, values: Array) -> Array:
        copy, own = x.copy(), values[tuple(map(slice, indices.shape))]
        before = np.take_along_axis(x[part], indices, axis) if of == "scatter_add" else 0
        np.put_along_axis(copy[part], indices, own + before, axis)
        return copy

    return Call(
        lambda x, v: getattr(tg, of)(x, axis, ours, v),
        (array, values),
        expected,
        # PyTorch's values may be larger than the indices as well, but have no gradient then.
        lambda torch, x, v: getattr(torch, of)(
            x, axis, torch.tensor(indices), v[tuple(map(slice, indices.shape))]
        ),
    )


RECIPES = [
    special("reshape", _reshape),
    special("flatten", _flatten),
    special("broadcast_to", _broadcast_to),
    special("broadcast_arrays", _broadcast_arrays),
    special("meshgrid", _meshgrid),
    special("permute_dims", _permute_dims),
    special("matrix_transpose", _matrix_transpose),
    special("moveaxis", _moveaxis),
    special("swapaxes", _swapaxes),
    special("expand_dims", _expand_dims),
    special("squeeze", _squeeze),
    special("concat", _concat),
    special("stack", _stack),
    special("unstack", _unstack),
    special("split", _split),
    along("flip", torch=lambda torch, x, axis: torch.flip(x, (axis,))),
    special("roll", _roll),
    special("rot90", _rot90),
    special("repeat", _repeat),
    special("tile", _tile),
    special("pad", _pad),
    special("tril", _triangle, of="tril"),
    special("triu", _triangle, of="triu"),
    special("diagonal", _diagonal),
    special("diag", _diag),
    special("index", _getitem, shared=False),
    special("index_set", _changed, change="set", shared=False),
    special("index_add", _changed, change="add", shared=False),
    special("take", _take, shared=False),
    special("take_along_axis", _take_along_axis),
    special("gather", _gather),
    special("scatter", _scattered, of="scatter"),
    special("scatter_add", _scattered, of="scatter_add"),
]
