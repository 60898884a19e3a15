"""Sorting, searching and set functions.

The order of elements is given by integers, which are constants: gradients go to the sorted
elements, each to where its value came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, is_integer, shape_of
from tinygrad_lab.errors import ArgumentError, excerpt
from tinygrad_lab.ops.arguments.axes import along, checked_axis
from tinygrad_lab.ops.indexing import getitem
from tinygrad_lab.ops.positions import take, take_along_axis
from tinygrad_lab.ops.shape import flatten, flip

# --- sorting -------------------------------------------------------------------------------------


def _back_in_place(xp: Any, g: Any, x: Any, axis: int) -> Any:
    """Give each element the gradient at its rank, where it went."""
    order = xp.argsort(x, axis=axis, stable=True)
    # Positions are distinct, so the sort need not be stable, and is faster.
    ranks = xp.argsort(order, axis=axis, stable=False)
    return xp.take_along_axis(g, ranks, axis=axis)


_sort = op(
    "sort",
    forward=lambda xp, x, *, axis, stable: xp.sort(x, axis=axis, stable=stable),
    vjp={"x": _back_in_place},
    words={"x": "g, back where {x} was"},
    latex=r"\mathrm{{sort}}({x})",
)

_argsort = op(
    "argsort",
    forward=lambda xp, x, *, axis, stable: xp.argsort(x, axis=axis, stable=stable),
)


def sort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Sort the elements in ascending (or descending) order along an axis.

    NaN counts as larger than all numbers. At ties, the gradient follows a stable sort.

    Args:
        x: the elements.
        axis: the axis to sort along.
        descending: begin with the largest.
        stable: keep the order of equal elements (0.0 and -0.0). False may be several times
            faster.

    Raises:
        AxisError: for an axis that x does not have.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.sort(tg.tensor([2.0, 3.0, 1.0]), descending=True)
        tensor([3., 2., 1.])
    """
    checked_axis("sort", x, axis)
    if not descending:
        return _sort(x, axis=axis, stable=stable)
    # Flipped before and after, so that equal elements keep their order.
    return flip(_sort(flip(x, axis=axis), axis=axis, stable=stable), axis=axis)


def argsort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Return the positions of the elements in ascending (or descending) order; as in ``sort``.

    ``take_along_axis(x, argsort(x, axis), axis)`` is ``sort(x, axis)``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.argsort(tg.tensor([2.0, 3.0, 1.0])).tolist()
        [2, 0, 1]
    """
    last = shape_of(x)[checked_axis("argsort", x, axis)] - 1
    if not descending:
        return _argsort(x, axis=axis, stable=stable)
    # Flipped before and after, so that equal elements keep their order.
    return last - flip(_argsort(flip(x, axis=axis), axis=axis, stable=stable), axis=axis)


class TopK(NamedTuple):
    """The result of ``topk``."""

    values: Any
    indices: Any


def topk(x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> TopK:
    """Return the k largest (or smallest) elements along an axis, and where they are.

    NaN counts as larger than all numbers.

    Args:
        x: the elements.
        k: how many, from 0 to the size of the axis.
        axis: the axis to choose along.
        largest: False for the smallest.
        sorted: PyTorch's; the values are always in order, the first one first.

    Returns:
        The named tuple ``(values, indices)``. Gradients of values go to where they came from.

    Raises:
        AxisError: for an axis that x does not have.
        ArgumentError: for a k that is negative or larger than the axis.

    Example:
        >>> import tinygrad_lab as tg
        >>> values, indices = tg.topk(tg.tensor([2.0, 9.0, 5.0]), 2)
        >>> values.tolist(), indices.tolist()
        ([9.0, 5.0], [1, 2])
    """
    place = checked_axis("topk", x, axis)
    size = shape_of(x)[place]
    if not (is_integer(k) and 0 <= k <= size):
        reason = f"expected a k from 0 to {size}, the size of axis {axis}, got {excerpt(k)}."
        raise ArgumentError(in_full("topk", reason, {"x": x}, {"k": k, "axis": axis}))
    order = argsort(x, axis=place, descending=largest)
    indices = getitem(order, along(place, slice(k)))
    return TopK(take_along_axis(x, indices, axis=place), indices)


# --- searching -----------------------------------------------------------------------------------


def _not_sorted_vector(x1: Any, x2: Any, *, side: str) -> str | None:
    """Explain why x2 cannot be searched for in x1."""
    if side not in ("left", "right"):
        return f"expected side 'left' or 'right', got {excerpt(side)}."
    if len(shape_of(x1)) != 1:
        return f"expected a sorted vector to search in, got shape {shape_of(x1)}."
    return None


_searchsorted = op(
    "searchsorted",
    forward=lambda xp, x1, x2, *, side: xp.searchsorted(x1, x2, side=side),
    check=_not_sorted_vector,
)


def searchsorted(x1: Any, x2: Any, side: str = "left", sorter: Any = None) -> Any:
    """Return the positions at which inserting elements of x2 keeps x1 sorted.

    Args:
        x1: a vector in ascending order.
        x2: the values to search for, in any shape.
        side: before (``"left"``) or after (``"right"``) elements of the same value.
        sorter: ``argsort(x1)``, if x1 is not sorted.

    Returns:
        Positions from 0 to ``len(x1)``, in the shape of x2.

    Raises:
        ShapeError: if x1 is not a vector, or for another ``side``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.searchsorted(tg.tensor([1.0, 2.0, 4.0]), tg.tensor([2.0, 3.0, 9.0])).tolist()
        [1, 2, 3]
    """
    if sorter is not None:
        x1 = take(x1, sorter)
    return _searchsorted(x1, x2, side=side)


def bucketize(x: Any, boundaries: Any, right: bool = False) -> Any:
    """Return, for each element of x, the number of the interval that it is in.

    Args:
        x: the values, in any shape.
        boundaries: a vector in ascending order; n boundaries make the intervals 0 to n.
        right: an interval includes its lower boundary, not its upper one.

    Raises:
        ShapeError: if the boundaries are no vector.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, boundaries = tg.tensor([0.5, 1.0, 5.0]), tg.tensor([1.0, 2.0])
        >>> tg.bucketize(x, boundaries).tolist(), tg.bucketize(x, boundaries, right=True).tolist()
        ([0, 0, 2], [0, 1, 2])
    """
    return searchsorted(boundaries, x, side="right" if right else "left")


nonzero: Callable[..., Any] = op(
    "nonzero",
    forward=lambda xp, x: tuple(xp.nonzero(x)),
    several_outputs=True,
    check=lambda x: "a tensor without axes has no positions: tg.reshape(x, (1,)).",
    doc="""Return the positions of the elements that are not 0: one array of integers for each axis.

    Example:
        >>> import tinygrad_lab as tg
        >>> [positions.tolist() for positions in tg.nonzero(tg.tensor([[0, 3], [4, 0]]))]
        [[0, 1], [1, 0]]
    """,
)

isin = op(
    "isin",
    forward=lambda xp, x1, x2, *, invert=False: xp.isin(x1, x2, invert=invert),
    doc="""Tell, for each element of x1, whether it is (with ``invert``, is not) an element of x2.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.isin(tg.tensor([1, 2, 3]), tg.tensor([3, 1])).tolist()
        [True, False, True]
    """,
)

# --- sets ----------------------------------------------------------------------------------------


class UniqueAll(NamedTuple):
    """The result of ``unique_all``."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """The result of ``unique_counts``."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """The result of ``unique_inverse``."""

    values: Any
    inverse_indices: Any


_unique_all = op(
    "unique_all",
    forward=lambda xp, x: tuple(xp.unique_all(x)),
    several_outputs=True,
)


def unique_all(x: Any) -> UniqueAll:
    """Return the distinct elements of x, in ascending order, and where they occur.

    Every NaN is distinct. The gradient of a value goes to the first element that has it.

    Returns:
        The named tuple ``(values, indices, inverse_indices, counts)``: the values; the position of
        the first element of each value in the flattened x; for each element of x, the position of
        its value; the number of elements that have each value.

    Example:
        >>> import tinygrad_lab as tg
        >>> found = tg.unique_all(tg.tensor([3.0, 1.0, 3.0]))
        >>> found.values.tolist(), found.indices.tolist()
        ([1.0, 3.0], [1, 0])
        >>> found.inverse_indices.tolist(), found.counts.tolist()
        ([1, 0, 1], [1, 2])
    """
    # Not the values that the op returns: those taken at the positions have a gradient.
    _, indices, inverse_indices, counts = _unique_all(x)
    return UniqueAll(take(flatten(x), indices), indices, inverse_indices, counts)


def unique_counts(x: Any) -> UniqueCounts:
    """Return the distinct elements of x and the number of each: ``(values, counts)``.

    See ``unique_all``.
    """
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Any) -> UniqueInverse:
    """Return the distinct elements of x, and for each element the position of its value.

    The named tuple ``(values, inverse_indices)``; see ``unique_all``.
    """
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Any) -> Any:
    """Return the distinct elements of x, in ascending order; see ``unique_all``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.unique_values(tg.tensor([3.0, 1.0, 3.0]))
        tensor([1., 3.])
    """
    return unique_all(x).values


unique = unique_values
