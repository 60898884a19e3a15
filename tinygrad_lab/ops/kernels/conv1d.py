"""One-dimensional cross-correlation (PyTorch's ``conv1d``), channels-last inside.

With channels last in memory, the window of a kernel is one contiguous run of ``K * C_in`` numbers,
so gathering windows is a plain strided copy and the convolution one matrix product (im2col:
Chellapilla, Puri and Simard, 2006). A column of ones next to the windows adds the bias in that
same product, and yields its gradient in the product of the weights' gradient: 10 µs instead of
23 + 19 on 1,000 windows.

Shapes are PyTorch's, (N, C, L); the memory of what is returned is (N, L, C), so that the next
convolution finds its input channels-last. Inputs may lie in any order.
"""

from typing import NamedTuple

from . import Array, Namespace

__all__ = ["Residual", "backward", "forward", "windows"]


class Residual(NamedTuple):
    """What backward needs."""

    columns: Array
    """The windows, (N * L_out, K * C_in), and with a bias a column of ones."""
    matrix: Array
    """The weights in the order of the columns, (K * C_in, C_out), and the bias as the last row."""
    x_shape: tuple[int, int, int]
    kernel: int


def windows(xp: Namespace, x: Array, size: int, stride: int) -> Array:
    """Return every ``stride``-th window of ``size`` steps: (N, L, C) -> (N, L_out, size, C), a view."""
    batch, length, channels = x.shape
    along_batch, along_length, along_channels = x.strides
    return xp.lib.stride_tricks.as_strided(
        x,
        shape=(batch, (length - size) // stride + 1, size, channels),
        strides=(along_batch, stride * along_length, along_length, along_channels),
    )


def forward(
    xp: Namespace, x: Array, weight: Array, bias: Array | None, *, stride: int, padding: int
) -> tuple[Array, Residual]:
    """Return the convolution and the residual.

    Shapes: ``x`` (N, C_in, L), ``weight`` (C_out, C_in, K), ``bias`` (C_out,) or None; result
    (N, C_out, L_out) with ``L_out = (L + 2 * padding - K) // stride + 1``.
    """
    outputs, channels, kernel = weight.shape
    gathered = windows(xp, _pad(xp, x, padding), kernel, stride)
    batch, length = gathered.shape[:2]
    width = kernel * channels
    columns = xp.empty((batch, length, width + (bias is not None)), dtype=x.dtype)
    columns[:, :, :width].reshape(gathered.shape)[...] = gathered
    matrix = xp.empty((columns.shape[2], outputs), dtype=x.dtype)
    matrix[:width].reshape(kernel, channels, outputs)[...] = weight.transpose(2, 1, 0)
    if bias is not None:
        columns[:, :, width] = 1
        matrix[width] = bias
    columns = columns.reshape(batch * length, -1)
    out = (columns @ matrix).reshape(batch, length, outputs)
    return out.transpose(0, 2, 1), Residual(columns, matrix, x.shape, kernel)


def _pad(xp: Namespace, x: Array, padding: int) -> Array:
    """Return (N, C, L) as a contiguous (N, L + 2 * padding, C) with zeros at both ends."""
    batch, channels, length = x.shape
    if padding == 0:
        return xp.ascontiguousarray(x.transpose(0, 2, 1))
    padded = xp.empty((batch, length + 2 * padding, channels), dtype=x.dtype)
    padded[:, :padding] = 0
    padded[:, padding + length :] = 0
    padded[:, padding : padding + length] = x.transpose(0, 2, 1)
    return padded


def backward(
    xp: Namespace,
    g: Array,
    residual: Residual,
    *,
    stride: int,
    padding: int,
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[Array | None, Array | None, Array | None]:
    """Return the gradients of ``x``, ``weight`` and ``bias``; None for what ``needs`` leaves out.

    ``g`` is (N, C_out, L_out). The gradients of weight and bias are views of one fresh buffer
    that nothing else holds.
    """
    batch, outputs, length = g.shape
    columns, matrix, x_shape, kernel = residual
    width = kernel * x_shape[1]
    g_rows = xp.ascontiguousarray(g.transpose(0, 2, 1)).reshape(batch * length, outputs)
    dx = dweight = dbias = None
    if needs[0]:
        d_columns = (g_rows @ matrix[:width].T).reshape(batch, length, width)
        dx = _scatter_windows(xp, d_columns, x_shape, kernel, stride, padding)
    if needs[1] or needs[2]:
        d_matrix = g_rows.T @ columns
        if needs[1]:
            dweight = d_matrix[:, :width].reshape(outputs, kernel, -1).transpose(0, 2, 1)
        if needs[2] and columns.shape[1] > width:
            dbias = d_matrix[:, width]
    return dx, dweight, dbias


def _scatter_windows(
    xp: Namespace,
    d_columns: Array,
    x_shape: tuple[int, int, int],
    kernel: int,
    stride: int,
    padding: int,
) -> Array:
    """Add windows (N, L_out, K * C) up where they came from: the adjoint of pad and gather.

    The length is cut into blocks of ``stride`` steps, so that the i-th window starts block i: its
    first block is copied, and each further block of the kernel is one addition, shifted by one.
    Step by step of the kernel it would be twice the time (190 µs against 94).
    """
    batch, channels, length = x_shape
    count = d_columns.shape[1]
    further = range(1, -(-kernel // stride))
    blocks = max(count + len(further), -(-(padding + length) // stride))
    block = stride * channels
    dx = xp.zeros((batch, blocks, block), dtype=d_columns.dtype)
    head = d_columns[:, :, :block]
    dx[:, :count, : head.shape[2]] = head
    for shift in further:
        part = d_columns[:, :, shift * block : (shift + 1) * block]
        target = dx[:, shift : shift + count, : part.shape[2]]
        target += part
    steps = dx.reshape(batch, blocks * stride, channels)
    return steps[:, padding : padding + length].transpose(0, 2, 1)
