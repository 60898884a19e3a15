"""Einstein summation: products of tensors with labelled axes, summed over some of them.

A product of two tensors becomes one product of (stacks of) matrices: it is as fast as that, and is
differentiated like it. Each axis of the two is of one of four kinds:

    batch   in both operands and in the result: one matrix product for each position
    inner   in both operands, not in the result: summed by the matrix product
    left    only in the first operand: the rows of the product
    right   only in the second operand: the columns of the product
"""

from __future__ import annotations

import string
from collections.abc import Collection, Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.backends import namespace_of
from tinygrad_lab.engine.explain import in_full, is_axis, missing_axis, shape_of, shapes_of
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    ShapeError,
    TinygradLabError,
    excerpt,
)
from tinygrad_lab.ops.arithmetic import multiply
from tinygrad_lab.ops.linalg import diagonal, matmul, vecdot
from tinygrad_lab.ops.reduce import sum
from tinygrad_lab.ops.shape import permute_dims, reshape, squeeze

Labels = tuple[str, ...]


class _Term(NamedTuple):
    """A tensor and the labels of its axes."""

    tensor: Any
    labels: Labels

    def size(self, labels: Sequence[str]) -> tuple[int, ...]:
        """Return the sizes of the axes with these labels."""
        shape = shape_of(self.tensor)
        return tuple(shape[self.labels.index(label)] for label in labels)


# --- from an equation to labels ------------------------------------------------------------------


class _Equation(NamedTuple):
    """The labels of each operand and of the result, with the ellipsis expanded."""

    inputs: tuple[Labels, ...]
    output: Labels


@lru_cache(maxsize=1000)
def _parsed(equation: str, axes: tuple[int, ...]) -> _Equation:
    """Parse an equation for operands with these numbers of axes.

    Raises:
        ArgumentError: for an invalid equation.
        ShapeError: for operands whose numbers of axes differ from those of their labels.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    subscripts = left.split(",")
    for text in (*subscripts, right):
        if strange := set(text.replace("...", "", 1)) - set(string.ascii_letters):
            raise ArgumentError(
                f"expected letters, '...', ',' and '->' in an equation such as 'ij,jk->ik', got "
                f"{min(strange)!r} in {text!r}."
            )
    if len(subscripts) != len(axes):
        raise ArgumentError(
            f"expected as many operands as the equation has, {len(subscripts)}; got {len(axes)}."
        )
    unnamed = [
        _number_unnamed(text, count, position)
        for position, (text, count) in enumerate(zip(subscripts, axes, strict=True))
    ]
    free = [letter for letter in string.ascii_letters if letter not in equation]
    broadcast = tuple(free[: max(unnamed, default=0)])
    inputs = tuple(
        _written_out(text, broadcast[len(broadcast) - count :])
        for text, count in zip(subscripts, unnamed, strict=True)
    )
    if arrow:
        output = _checked_output(right, left, broadcast)
    else:
        letters = left.replace(",", "").replace(".", "")
        once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
        output = (*broadcast, *once)
    return _Equation(inputs, output)


def _number_unnamed(text: str, count: int, position: int) -> int:
    """Return how many of an operand's axes its ellipsis stands for."""
    named = len(text.replace("...", ""))
    if named == count or ("..." in text and named < count):
        return count - named
    wanted = f"{named} or more" if "..." in text else f"{named}"
    raise ShapeError(
        f"expected {wanted} as the number of axes of {text!r}, operands[{position}] has {count}."
    )


def _written_out(text: str, broadcast: Labels) -> Labels:
    before, ellipsis, after = text.partition("...")
    return (*before, *(broadcast if ellipsis else ()), *after)


def _checked_output(text: str, left: str, broadcast: Labels) -> Labels:
    for letter in text.replace(".", ""):
        if letter not in left:
            raise ArgumentError(f"the label {letter!r} of the result is on no operand.")
        if text.count(letter) > 1:
            raise ArgumentError(f"the label {letter!r} is on the result twice.")
    return _written_out(text, broadcast)


# --- one tensor ----------------------------------------------------------------------------------


def _with_distinct_labels(term: _Term) -> _Term:
    """Make labels distinct: two axes with the same label are replaced by their diagonal."""
    tensor, labels = term
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            others = [a for a in range(len(labels)) if a not in (first, second)]
            tensor = diagonal(permute_dims(tensor, (*others, first, second)))
            labels = (*(labels[a] for a in others), label)
    return _Term(tensor, labels)


def _without_stretched(term: _Term, sizes: dict[str, int]) -> _Term:
    """Drop axes of size 1 that broadcast to a larger size in other terms."""
    axes = tuple(
        axis
        for axis, (label, size) in enumerate(zip(term.labels, shape_of(term.tensor), strict=True))
        if size == 1 != sizes[label]
    )
    if not axes:
        return term
    labels = tuple(label for axis, label in enumerate(term.labels) if axis not in axes)
    return _Term(squeeze(term.tensor, axis=axes), labels)


def _summed(term: _Term, kept: Collection[str]) -> _Term:
    """Sum a term over all axes except those with the labels in ``kept``."""
    axes = tuple(axis for axis, label in enumerate(term.labels) if label not in kept)
    if not axes:
        return term
    return _Term(
        sum(term.tensor, axis=axes), tuple(label for label in term.labels if label in kept)
    )


def _ordered(term: _Term, labels: Labels) -> Any:
    """Return the tensor of a term, with its axes in the order of the labels."""
    if labels == term.labels:
        return term.tensor
    return permute_dims(term.tensor, tuple(term.labels.index(label) for label in labels))


def _shaped(x: Any, shape: tuple[int, ...]) -> Any:
    return x if shape_of(x) == shape else reshape(x, shape)


# --- two tensors ---------------------------------------------------------------------------------


def _product(x: _Term, y: _Term, kept: Collection[str]) -> _Term:
    """Multiply two terms, summed over all labels except those in ``kept``."""
    x = _summed(x, {*kept, *y.labels})
    y = _summed(y, {*kept, *x.labels})
    shared = [label for label in x.labels if label in y.labels]
    batch = tuple(label for label in shared if label in kept)
    inner = tuple(label for label in shared if label not in kept)
    left = tuple(label for label in x.labels if label not in shared)
    right = tuple(label for label in y.labels if label not in shared)
    if not inner:
        return _Term(_broadcast_product(x, y, batch, left, right), (*batch, *left, *right))
    sizes, summands = x.size(batch), prod(x.size(inner))
    rows, columns = prod(x.size(left)), prod(y.size(right))
    if left or right or _is_complex(x.tensor):
        product = matmul(
            _shaped(_ordered(x, batch + left + inner), (*sizes, rows, summands)),
            _shaped(_ordered(y, batch + inner + right), (*sizes, summands, columns)),
        )
    else:
        # In the backward pass, an inner product is up to ten times faster than a product of
        # matrices with one row and one column. (Not for complex numbers: it conjugates x.)
        product = vecdot(
            _shaped(_ordered(x, batch + inner), (*sizes, summands)),
            _shaped(_ordered(y, batch + inner), (*sizes, summands)),
        )
    shape = (*sizes, *x.size(left), *y.size(right))
    return _Term(_shaped(product, shape), batch + left + right)


def _is_complex(x: Any) -> bool:
    return getattr(getattr(x, "dtype", None), "kind", "") == "c"


def _broadcast_product(x: _Term, y: _Term, batch: Labels, left: Labels, right: Labels) -> Any:
    """Multiply all elements of x with all of y that share their position on the batch axes."""
    rows = _ordered(x, batch + left)
    columns = _ordered(y, batch + right)
    if right and x.labels:
        rows = reshape(rows, shape_of(rows) + (1,) * len(right))
    if left and batch:
        columns = reshape(columns, y.size(batch) + (1,) * len(left) + y.size(right))
    return multiply(rows, columns)


# --- what users call -----------------------------------------------------------------------------


def einsum(equation: str, *operands: Any) -> Any:
    """Return the sum of products that an equation in Einstein notation describes.

    Every letter names an axis. Axes with the same letter share one index (on a single operand: its
    diagonal), and letters that are missing from the result are summed over: "ij,jk->ik" is a
    matrix product, "ii->" a trace, "bi,bi->b" an inner product for every row. Without "->" the
    result has the letters that occur once, in alphabetical order. "..." stands for any further
    axes, which broadcast; they are summed over where the result has no "...". Of more than two
    operands, the cheapest two are multiplied first.

    Raises:
        ArgumentError: for an invalid equation, or one for another number of operands.
        ShapeError: if an operand has other axes than the equation says, or axes with the same
            letter differ in size.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> tg.einsum("ij,kj->ik", x, x)
        tensor([[ 5., 11.],
                [11., 25.]])
        >>> tg.einsum("ii", x)
        tensor(5.)
    """
    try:
        terms, output = _labelled(equation, operands)
    except TinygradLabError as error:
        named = {f"operands[{position}]": one for position, one in enumerate(operands)}
        message = in_full("einsum", str(error), named, {"equation": equation})
        raise type(error)(message) from None
    for chosen in _order_of_products(tuple((t.labels, shape_of(t.tensor)) for t in terms), output):
        first, *rest = [terms[position] for position in chosen]
        terms = [term for position, term in enumerate(terms) if position not in chosen]
        for position, term in enumerate(rest):
            waiting = [*rest[position + 1 :], *terms]
            kept = {*output, *(label for one in waiting for label in one.labels)}
            first = _product(first, term, kept)
        terms.append(first)
    (last,) = terms
    return _ordered(_summed(last, output), output)


def _labelled(equation: str, operands: Sequence[Any]) -> tuple[list[_Term], Labels]:
    """Return the operands as terms with distinct labels, and the labels of the result."""
    if not isinstance(equation, str):
        raise ArgumentTypeError(
            f"expected an equation such as 'ij,jk->ik' first, got {type(equation).__name__}."
        )
    for one in operands:
        namespace_of([one])  # raises for what is not a tensor
    parsed = _parsed(equation, tuple(len(shape_of(one)) for one in operands))
    sizes: dict[str, int] = {}
    for operand, labels in zip(operands, parsed.inputs, strict=True):
        for label, size in zip(labels, shape_of(operand), strict=True):
            known = sizes.setdefault(label, size)
            if size != known and 1 not in (size, known):
                where = repr(label) if label in equation else "an axis of '...'"
                raise ShapeError(f"expected one size for {where}, got {known} and {size}.")
            sizes[label] = size if known == 1 else known
    terms = [_Term(*pair) for pair in zip(operands, parsed.inputs, strict=True)]
    return [_with_distinct_labels(_without_stretched(t, sizes)) for t in terms], parsed.output


@lru_cache(maxsize=1000)
def _order_of_products(
    terms: tuple[tuple[Labels, tuple[int, ...]], ...], output: Labels
) -> tuple[tuple[int, ...], ...]:
    """Return which terms to multiply in each step; the product is appended to the others."""
    if len(terms) <= 2:
        return (tuple(range(len(terms))),)
    equation = f"{','.join(''.join(labels) for labels, _ in terms)}->{''.join(output)}"
    shapes = [np.broadcast_to(0.0, shape) for _, shape in terms]
    path, _ = np.einsum_path(equation, *shapes, optimize="greedy")
    return tuple(path[1:])


def tensordot(x: Any, y: Any, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Any:
    """Return the sum of products along some axes of x and as many of y.

    Args:
        x: a tensor.
        y: a tensor.
        axes: the number of last axes of x and first axes of y; or the axes of x, and those of y.
            An axis of size 1 is broadcast to the size of the other one.

    Returns:
        A tensor with the other axes of x, then those of y.

    Raises:
        ShapeError: if the axes do not exist, or their sizes differ.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.tensordot(tg.tensor([[1.0, 2.0]]), tg.tensor([[3.0], [4.0]]), axes=1)
        tensor([[11.]])
    """
    left, right = shapes_of("tensordot", x=x, y=y)
    try:
        of_x, of_y = _paired_axes(left, right, axes)
    except TinygradLabError as error:
        message = in_full("tensordot", str(error), {"x": x, "y": y}, {"axes": axes})
        raise type(error)(message) from None
    first, second = [f"x{a}" for a in range(len(left))], [f"y{a}" for a in range(len(right))]
    kept = [label for label in first if int(label[1:]) not in of_x]
    kept += [label for label in second if int(label[1:]) not in of_y]
    for a, b in zip(of_x, of_y, strict=True):
        second[b] = first[a]
    sizes = dict(zip(second, right, strict=True))
    sizes |= {a: n for a, n in zip(first, left, strict=True) if sizes.get(a, 1) == 1}
    terms = (_Term(x, tuple(first)), _Term(y, tuple(second)))
    one, other = (_without_stretched(term, sizes) for term in terms)
    return _product(one, other, kept).tensor


def _paired_axes(
    left: tuple[int, ...],
    right: tuple[int, ...],
    axes: Any,
) -> tuple[list[int], list[int]]:
    """Return the axes of two tensors to sum over together, counted from the front."""
    if is_axis(axes):
        if not 0 <= axes <= min(len(left), len(right)):
            raise ShapeError(f"expected 0 to {min(len(left), len(right))} common axes, got {axes}.")
        axes = range(len(left) - axes, len(left)), range(axes)
    try:
        of_x, of_y = map(tuple, axes)
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            "expected a number of axes, or the axes of x and those of y as two tuples, got "
            f"{excerpt(axes)}."
        ) from None
    for shape, given in ((left, of_x), (right, of_y)):
        if reason := missing_axis(shape, given):
            raise ShapeError(reason)
    pairs = [(a % len(left), b % len(right)) for a, b in zip(of_x, of_y, strict=False)]
    sizes = [left[a] for a, _ in pairs], [right[b] for _, b in pairs]
    if len(of_x) != len(of_y) or any(
        n != m and 1 not in (n, m) for n, m in zip(*sizes, strict=True)
    ):
        raise ShapeError(
            f"expected axes of the same sizes, or of size 1, got {[left[a] for a in of_x]} of x "
            f"and {[right[b] for b in of_y]} of y."
        )
    return [a for a, _ in pairs], [b for _, b in pairs]
