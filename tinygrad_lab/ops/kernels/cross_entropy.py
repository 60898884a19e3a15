"""Mean cross-entropy of logits against integer labels: ``mean(logsumexp(l) - l[label])``.

The loss is PyTorch's ``cross_entropy`` with its defaults; for the gradient,
``(softmax(l) - onehot) / N``, see Goodfellow, Bengio and Courville, Deep Learning (2016), section
6.2.2.3. The kernel works classes-first in memory: NumPy needs 314 µs for the maximum of 4,000 rows
of 10 along the rows, and 10 µs (plus 37 for the copy) down the columns of the transpose.
``linear`` returns narrow logits in that order, and then nothing is copied.
"""

from typing import NamedTuple

from . import Array, Namespace

__all__ = ["Residual", "backward", "forward"]


class Residual(NamedTuple):
    """What backward needs."""

    exponentials: Array
    """exp(logits - max), transposed: (C, N)."""
    total: Array
    """Its sum over the classes: (N,)."""
    positions: Array
    """The position of each sample's label in a flat (C, N) array: (N,).

    Picking from a flat array by one vector of positions is five to ten times faster than from a
    matrix by two.
    """
    n_rows: Array | int
    """N, or as a 0-d array: then gradients have the dtype of its quotient (float16 underflows)."""


def forward(xp: Namespace, logits: Array, labels: Array) -> tuple[Array, Residual]:
    """Return the mean loss, 0-d, and the residual. ``logits`` (N, C), ``labels`` (N,) integers."""
    count = logits.shape[0]
    columns = xp.ascontiguousarray(logits.T)
    # In the dtype of the labels, such as uint8, the products may overflow.
    positions = labels.astype(xp.int64, copy=False) * count
    positions += xp.arange(count)
    shifted = columns - columns.max(axis=0)
    picked = xp.pick(shifted.reshape(-1), positions)
    exponentials = xp.exp(shifted)
    total = exponentials.sum(axis=0)
    # Not mean(): its Python wrapper costs as much as several calls.
    loss = (xp.log(total) - picked).sum() / count
    return loss, Residual(exponentials, total, positions, count)


def backward(xp: Namespace, g: Array, residual: Residual) -> Array:
    """Return the gradient of the logits, (N, C), classes-first in memory. ``g`` is 0-d."""
    exponentials, total, positions, n_rows = residual
    scale = g / n_rows
    columns = exponentials * (scale / total)
    flat = columns.reshape(-1)
    flat[positions] = xp.pick(flat, positions) - scale
    return columns.T
