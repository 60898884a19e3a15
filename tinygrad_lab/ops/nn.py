"""Fused ops of neural nets: each is a composite of small ops, and a kernel that is faster.

The composite is what the op means. Pictures open it and derivatives of derivatives go through
it; the kernel, forward and backward, is tested against it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.errors import ArgumentError, DTypeError, IndexingError
from tinygrad_lab.ops.declaration import op
from tinygrad_lab.ops.elementwise import exp, isfinite, log, sigmoid, tanh, where, zeros_like
from tinygrad_lab.ops.index import getitem
from tinygrad_lab.ops.kernels import conv1d as conv1d_kernel
from tinygrad_lab.ops.kernels import cross_entropy as cross_entropy_kernel
from tinygrad_lab.ops.kernels import gru as gru_kernel
from tinygrad_lab.ops.kernels import linear as linear_kernel
from tinygrad_lab.ops.linalg import matmul
from tinygrad_lab.ops.reduce import max, mean, sum
from tinygrad_lab.ops.shape import concat, matrix_transpose, permute_dims, stack
from tinygrad_lab.random import Generator, default_generator

# --- softmax and its kin -----------------------------------------------------------------------


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) along some axes, shifted by the maximum so that nothing overflows."""
    largest = max(x.detach(), axis=axis, keepdims=True)
    # Where all is -inf there is nothing to shift by, and -inf - -inf would be NaN.
    shift = where(isfinite(largest), largest, zeros_like(largest))
    total = log(sum(exp(x - shift), axis=axis, keepdims=True)) + shift
    return total if keepdims else sum(total, axis=axis)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """log(softmax(x)), without the detour over numbers that underflow."""
    return x - logsumexp(x, axis=axis, keepdims=True)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) as shares of its sum along an axis, shifted so that nothing overflows."""
    e = exp(x - max(x.detach(), axis=axis, keepdims=True))
    return e / sum(e, axis=axis, keepdims=True)


# --- linear ------------------------------------------------------------------------------------


def _linear_composite(x: Any, weight: Any, bias: Any = None) -> Any:
    product = matmul(x, matrix_transpose(weight))
    return product if bias is None else product + bias


def _linear_sizes(x: Any, weight: Any, bias: Any = None) -> str | None:
    if len(weight.shape) != 2:
        return f"expected a weight of shape (out, in), got {weight.shape}."
    if len(x.shape) == 0 or x.shape[-1] != weight.shape[1]:
        size = x.shape[-1] if len(x.shape) else "a single number"
        return f"expected x.shape[-1] == weight.shape[1] (in_features), got {size} != " + str(
            weight.shape[1]
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        return f"expected bias.shape == ({weight.shape[0]},), got {bias.shape}."
    return None


linear = op(
    "linear",
    "x Wᵀ + b",
    forward=lambda xp, x, weight, bias=None: linear_kernel.forward(xp, x, weight, bias),
    vjp=lambda xp, g, x, weight, needs: linear_kernel.backward(xp, g, x, weight, needs),
    latex=r"{x} \, {weight}^T + {bias}",
    composite=_linear_composite,
    check=_linear_sizes,
    doc="""x @ weight.T + bias: x (..., in), weight (out, in), bias (out,) or None.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.linear(tg.tensor([[1.0, 2.0]]), tg.tensor([[3.0, 4.0]]), tg.tensor([5.0]))
        tensor([[16.]])
    """,
)

# --- cross-entropy -----------------------------------------------------------------------------


def _cross_entropy_composite(logits: Any, labels: Any) -> Any:
    log_probabilities = log_softmax(logits, axis=1)
    picked = getitem(log_probabilities, (np.arange(logits.shape[0]), labels))
    return -mean(picked)


def _cross_entropy(xp: Any, logits: Any, labels: Any) -> Any:
    if len(logits.shape) != 2 or labels.shape != logits.shape[:1]:
        raise ArgumentError(
            "expected logits of shape (N, classes) and one label for each row, shape (N,); got "
            f"{tuple(logits.shape)} and {tuple(labels.shape)}."
        )
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"expected integer labels, got {labels.dtype}: labels.astype(tg.int64).")
    if labels.min() < 0:
        raise IndexingError(f"labels must not be negative, got {labels.min()}.")
    return cross_entropy_kernel.forward(xp, logits, labels)


def _label_range(logits: Any, labels: Any) -> str | None:
    if labels.max() >= logits.shape[1]:
        return (
            f"labels go up to {labels.max()}, but logits have {logits.shape[1]} classes "
            f"(labels 0 to {logits.shape[1] - 1})."
        )
    return None


cross_entropy = op(
    "cross_entropy",
    forward=_cross_entropy,
    vjp={"logits": lambda xp, g, residual: cross_entropy_kernel.backward(xp, g, residual)},
    latex=r"-\overline{{\log \mathrm{{softmax}}({logits})_{{{labels}}}}}",
    composite=_cross_entropy_composite,
    residual=True,
    check=_label_range,
    doc="""The mean of -log softmax(logits)[label]: logits (N, classes), integer labels (N,).

    Source: Goodfellow, Bengio & Courville, "Deep Learning", 2016, section 6.2.2.3.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.cross_entropy(tg.tensor([[0.0, 0.0]]), tg.tensor([1]))
        tensor(0.6931472)
    """,
)

# --- convolution -------------------------------------------------------------------------------


def _conv1d_composite(
    x: Any, weight: Any, bias: Any = None, *, stride: int = 1, padding: int = 0
) -> Any:
    batch, channels, _ = x.shape
    outputs, _, size = weight.shape
    if padding:
        edge = zeros_like(getitem(x.detach(), (slice(None), slice(None), [0] * padding)))
        x = concat((edge, x, edge), axis=2)
    starts = np.arange(0, x.shape[2] - size + 1, stride)
    windows = getitem(x, (slice(None), slice(None), starts[:, None] + np.arange(size)))
    rows = permute_dims(windows, (0, 2, 1, 3)).reshape((batch, len(starts), channels * size))
    out = matmul(rows, matrix_transpose(weight.reshape((outputs, channels * size))))
    return matrix_transpose(out if bias is None else out + bias)


def _conv1d_sizes(
    x: Any, weight: Any, bias: Any = None, *, stride: int = 1, padding: int = 0
) -> str | None:
    if len(x.shape) != 3 or len(weight.shape) != 3:
        return (
            "expected x of shape (N, channels, length) and a weight of shape (out, channels, "
            f"kernel), got {x.shape} and {weight.shape}."
        )
    if x.shape[1] != weight.shape[1]:
        return (
            "expected x.shape[1] == weight.shape[1] (in_channels), got "
            f"{x.shape[1]} != {weight.shape[1]}."
        )
    if x.shape[2] + 2 * padding < weight.shape[2]:
        return (
            f"a kernel of {weight.shape[2]} does not fit into a length of {x.shape[2]} with "
            f"padding {padding}."
        )
    return None


def _conv1d(
    xp: Any, x: Any, weight: Any, bias: Any = None, *, stride: int = 1, padding: int = 0
) -> Any:
    reason = _conv1d_sizes(x, weight, bias, stride=stride, padding=padding)
    if reason or stride < 1 or padding < 0:
        raise ArgumentError(reason or "expected a stride of 1 or more and a padding of 0 or more.")
    return conv1d_kernel.forward(xp, x, weight, bias, stride=stride, padding=padding)


def _conv1d_vjp(
    xp: Any, g: Any, residual: Any, stride: int, padding: int, needs: tuple[bool, bool, bool]
) -> Any:
    return conv1d_kernel.backward(xp, g, residual, stride=stride, padding=padding, needs=needs)


conv1d = op(
    "conv1d",
    forward=_conv1d,
    vjp=_conv1d_vjp,
    latex=r"{x} \star {weight} + {bias}",
    composite=_conv1d_composite,
    residual=True,
    check=_conv1d_sizes,
    doc="""The cross-correlation of x (N, C_in, L) with weight (C_out, C_in, K), plus bias (C_out,).

    The result has shape (N, C_out, (L + 2 padding - K) // stride + 1).

    Example:
        >>> import tinygrad_lab as tg
        >>> x, w = tg.tensor([[[1.0, 2.0, 3.0]]]), tg.tensor([[[1.0, 1.0]]])
        >>> tg.conv1d(x, w)
        tensor([[[3., 5.]]])
    """,
)

# --- gated recurrent units -----------------------------------------------------------------------


def _gru_composite(x: Any, h0: Any, *parameters: Any) -> Any:
    directions = [
        _gru_direction(x, h0[d], *parameters[4 * d : 4 * d + 4], reverse=d == 1)
        for d in range(h0.shape[0])
    ]
    return directions[0] if len(directions) == 1 else concat(directions, axis=2)


def _gru_direction(
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any,
    bias_hh: Any,
    *,
    reverse: bool,
) -> Any:
    """All states of one direction, (N, T, hidden): the equations of ``nn.GRU``, step by step."""
    hidden = h.shape[1]
    r, z, n = (slice(i * hidden, (i + 1) * hidden) for i in range(3))
    steps = range(x.shape[1])
    states = []
    for t in reversed(steps) if reverse else steps:
        from_x = _linear_composite(x[:, t], weight_ih, bias_ih)
        from_h = _linear_composite(h, weight_hh, bias_hh)
        reset = sigmoid(from_x[:, r] + from_h[:, r])
        update = sigmoid(from_x[:, z] + from_h[:, z])
        candidate = tanh(from_x[:, n] + reset * from_h[:, n])
        h = candidate + update * (h - candidate)
        states.append(h)
    return stack(states[::-1] if reverse else states, axis=1)


def _gru_sizes(x: Any, h0: Any, *parameters: Any) -> str | None:
    if len(x.shape) != 3 or len(h0.shape) != 3:
        return (
            "expected x of shape (N, T, input) and h0 of shape (directions, N, hidden), got "
            f"{x.shape} and {h0.shape}."
        )
    weight_ih = parameters[0]
    if x.shape[2] != weight_ih.shape[1]:
        return (
            "expected x.shape[2] == weight_ih.shape[1] (input_size), got "
            f"{x.shape[2]} != {weight_ih.shape[1]}."
        )
    if h0.shape[1] != x.shape[0] or 3 * h0.shape[2] != weight_ih.shape[0]:
        return (
            f"expected h0 of shape ({h0.shape[0]}, {x.shape[0]}, {weight_ih.shape[0] // 3}), got "
            f"{h0.shape}."
        )
    return None


def _gru(xp: Any, x: Any, h0: Any, *parameters: Any) -> Any:
    if reason := _gru_sizes(x, h0, *parameters):
        raise ArgumentError(reason)
    return gru_kernel.forward(xp, x, h0, *parameters)


gru = op(
    "gru",
    "GRU",
    forward=_gru,
    vjp=lambda xp, g, residual, needs: gru_kernel.backward(xp, g, residual, needs),
    composite=_gru_composite,
    residual=True,
    doc="""One layer of gated recurrent units, in one or both directions: all its states.

    x (N, T, input), h0 (directions, N, hidden), then for each direction weight_ih (3 hidden,
    input), weight_hh (3 hidden, hidden), bias_ih and bias_hh (3 hidden,), gates in the order r,
    z, n; the result is (N, T, directions * hidden).

    Source: Cho et al., 2014, with the reset gate after the product, as PyTorch has it.
    """,
)

# --- dropout -------------------------------------------------------------------------------------


def _dropout(xp: Any, x: Any, *, p: float, generator: Generator) -> Any:
    mask = generator.keep_mask(tuple(x.shape), p)
    mask = xp.asarray(mask)
    return _dropped(xp, x, mask, p), mask


def _dropped(xp: Any, x: Any, mask: Any, p: float) -> Any:
    return xp.where(mask, x, xp.zeros_like(x)) * (1 / (1 - p))


dropout = op(
    "dropout",
    forward=lambda xp, x, *, p=0.5, generator=default_generator: _dropout(
        xp, x, p=p, generator=generator
    ),
    vjp={"x": lambda xp, g, residual, p: _dropped(xp, g, residual, p)},
    residual=True,
    doc="""x with elements set to 0 with a chance of p, the others scaled up to make up for it.

    Source: Srivastava et al., "Dropout", 2014.
    """,
)
