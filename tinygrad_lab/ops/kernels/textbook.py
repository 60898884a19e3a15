"""Fused ops as a textbook has them: forwards, and the chain rule, in as few lines as mathematics.

``step.textbook`` shows what these functions do; nothing runs them otherwise. Results equal those
of the kernels up to rounding. Names of variables are names in that text.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy

from . import Array, Namespace
from .windows import Windows

__all__ = [
    "conv",
    "conv_backward",
    "conv_transpose",
    "conv_transpose_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "gru",
    "gru_backward",
    "linear",
    "linear_backward",
    "max_pool",
    "max_pool_backward",
]

Gradients = list[Array | None]
"""One for each input; None where none is needed."""


# --- linear ---------------------------------------------------------------------------------------


def linear(xp: Namespace, x: Array, weight: Array, bias: Array | None) -> Array:
    """Return z = x Wᵀ + b."""
    return x @ weight.T if bias is None else x @ weight.T + bias


def linear_backward(
    xp: Namespace, g: Array, x: Array, weight: Array, needs: Sequence[bool]
) -> Gradients:
    """Return g W, gᵀ x and the sum of g over the batch."""
    rows = tuple(range(x.ndim - 1))
    d_x = d_weight = d_bias = None
    if needs[0]:
        d_x = g @ weight
    if needs[1]:
        d_weight = _as_rows(g).T @ _as_rows(x) if rows else g[:, None] * x
    if needs[2]:
        d_bias = g.sum(axis=rows if len(rows) > 1 else 0) if rows else g
    return [d_x, d_weight, d_bias]


def _as_rows(x: Array) -> Array:
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


# --- cross-entropy --------------------------------------------------------------------------------


def cross_entropy(xp: Namespace, logits: Array, labels: Array) -> tuple[Array, Any]:
    """Return the mean of -log softmax(logits)[label]."""
    rows, classes = logits.shape
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = xp.exp(shifted)
    total = exponentials.sum(axis=1, keepdims=True)
    log_p = shifted - xp.log(total)
    loss = -log_p[xp.arange(rows), labels].sum() / rows
    return loss, (exponentials, total, classes)


def cross_entropy_backward(xp: Namespace, g: Array, labels: Array, residual: Any) -> Array:
    """Return (softmax(logits) - onehot(labels)) / N."""
    exponentials, total, classes = residual
    softmax = exponentials / total
    onehot = xp.eye(classes, dtype=exponentials.dtype)[labels]
    d_logits = g * (softmax - onehot) / exponentials.shape[0]
    return d_logits if d_logits.dtype == g.dtype else d_logits.astype(g.dtype)


# --- convolution ----------------------------------------------------------------------------------


def conv(
    xp: Namespace, x: Array, weight: Array, bias: Array | None, *, windows: Any, groups: int
) -> tuple[Array, Any]:
    """Return the sum of products of each window with the weights, plus the bias."""
    over: Windows = windows
    windows = _windows(xp, x, over)
    windows = _grouped(windows, groups, 1)
    weights = _grouped(weight, groups, 0)
    out = _joined(xp.einsum(_sum("x", "w", "y", over, groups), windows, weights), groups, 1)
    return _with_bias(out, bias), (windows, over)


def conv_backward(
    xp: Namespace, g: Array, weight: Array, residual: Any, groups: int, needs: Sequence[bool]
) -> Gradients:
    """Return what the windows of x get, added up where they are; and the product with them."""
    windows, over = residual
    d_out = _grouped(g, groups, 1)
    d_x = d_weight = d_bias = None
    if needs[1]:
        d_weight = xp.einsum(_sum("y", "x", "w", over, groups), d_out, windows)
        d_weight = _joined(d_weight, groups, 0)
    if needs[2]:
        d_bias = g.sum(axis=(0, *range(2, g.ndim)))
    if needs[0]:
        weights = _grouped(weight, groups, 0)
        d_windows = xp.einsum(_sum("y", "w", "x", over, groups), d_out, weights)
        d_x = _added_up(xp, _joined(d_windows, groups, 1), over)
    return [d_x, d_weight, d_bias]


def conv_transpose(
    xp: Namespace, x: Array, weight: Array, bias: Array | None, *, windows: Any, groups: int
) -> Array:
    """Return the weights times each element of x, added up in windows, plus the bias."""
    over: Windows = windows
    weights = _grouped(weight, groups, 0)
    windows = xp.einsum(_sum("y", "w", "x", over, groups), _grouped(x, groups, 1), weights)
    return _with_bias(_added_up(xp, _joined(windows, groups, 1), over), bias)


def conv_transpose_backward(
    xp: Namespace,
    g: Array,
    x: Array,
    weight: Array,
    residual: Windows,
    groups: int,
    needs: Sequence[bool],
) -> Gradients:
    """Return the product of each window of g with the weights, and with x."""
    over = residual
    d_x = d_weight = d_bias = None
    if needs[0] or needs[1]:
        d_windows = _windows(xp, g, over)
        d_windows = _grouped(d_windows, groups, 1)
    if needs[0]:
        weights = _grouped(weight, groups, 0)
        d_x = _joined(xp.einsum(_sum("x", "w", "y", over, groups), d_windows, weights), groups, 1)
    if needs[1]:
        inputs = _grouped(x, groups, 1)
        d_weight = xp.einsum(_sum("y", "x", "w", over, groups), inputs, d_windows)
        d_weight = _joined(d_weight, groups, 0)
    if needs[2]:
        d_bias = g.sum(axis=(0, *range(2, g.ndim)))
    return [d_x, d_weight, d_bias]


def _sum(first: str, second: str, result: str, over: Windows, groups: int) -> str:
    """Return which products of windows, weights and outputs ``einsum`` sums up, in its letters.

    Windows are (N, G, C, *count, *kernel), weights (G, O, C, *kernel), outputs (N, G, O, *count).
    """
    group = "g" if groups > 1 else ""
    count, kernel = ("l", "k") if len(over.count) == 1 else ("hw", "ij")
    letters = {"x": f"n{group}c{count}{kernel}", "w": f"{group}oc{kernel}"}
    letters["y"] = f"n{group}o{count}"
    return f"{letters[first]},{letters[second]}->{letters[result]}"


def _grouped(x: Array, groups: int, axis: int) -> Array:
    shape = x.shape
    split = (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
    return x if groups == 1 else x.reshape(split)


def _joined(x: Array, groups: int, axis: int) -> Array:
    shape = x.shape
    return x if groups == 1 else x.reshape(*shape[:axis], -1, *shape[axis + 2 :])


def _with_bias(out: Array, bias: Array | None) -> Array:
    return out if bias is None else out + bias[(slice(None), *(None,) * (out.ndim - 2))]


def _windows(xp: Namespace, x: Array, over: Windows, filled_with: float = 0.0) -> Array:
    """Return all windows of x (..., *size): (..., *count, *kernel)."""
    axes = tuple(range(x.ndim - len(over.size), x.ndim))
    padded = x
    if over.margins:
        widths = (*((0, 0),) * axes[0], *over.padding)
        settings: Any = {"constant_values": filled_with} if filled_with else {}
        padded = numpy.pad(x, widths, **settings)
    spans = tuple(d * (k - 1) + 1 for k, d in zip(over.kernel, over.dilation, strict=True))
    window, axis = (spans[0], axes[0]) if len(axes) == 1 else (spans, axes)
    if max(*over.stride, *over.dilation) == 1 and _fits_exactly(over, spans):
        return numpy.lib.stride_tricks.sliding_window_view(padded, window, axis=axis)
    key = [slice(None)] * axes[0]
    for count, step, size, span in zip(over.count, over.stride, over.padded, spans, strict=True):
        # A transposed convolution with output_padding leaves windows out.
        more = len(range(0, size - span + 1, step)) > count
        key.append(slice(None, count * step if more else None, step if step > 1 else None))
    if max(over.dilation) > 1:
        key += [slice(None, None, gap if gap > 1 else None) for gap in over.dilation]
    return numpy.lib.stride_tricks.sliding_window_view(padded, window, axis=axis)[tuple(key)]


def _fits_exactly(over: Windows, spans: tuple[int, ...]) -> bool:
    """Return whether there is a window at each place."""
    sizes = zip(over.padded, spans, strict=True)
    return over.count == tuple(size - span + 1 for size, span in sizes)


def _added_up(xp: Namespace, d_windows: Array, over: Windows) -> Array:
    """Add windows (..., *count, *kernel) up where they are in (..., *size)."""
    outer = d_windows.shape[: d_windows.ndim - 2 * len(over.size)]
    d_padded = xp.zeros((*outer, *over.padded), dtype=d_windows.dtype)
    whole = (slice(None),) * (len(outer) + len(over.size))
    for place, tap in zip(product(*map(range, over.kernel)), over.taps, strict=True):
        d_padded[(*whole[: len(outer)], *tap)] += d_windows[(*whole, *place)]
    return d_padded[(*whole[: len(outer)], *over.inside)] if over.margins else d_padded


# --- max pooling ----------------------------------------------------------------------------------


def max_pool(xp: Namespace, x: Array, over: Windows) -> tuple[Array, Any]:
    """Return the largest element of each window."""
    windows = _windows(xp, x, over, -numpy.inf)
    windows = windows.reshape(*windows.shape[: x.ndim], -1)
    return windows.max(axis=-1), (windows, over)


def max_pool_backward(xp: Namespace, g: Array, residual: Any) -> Array:
    """Return g where the first largest element is, 0 elsewhere."""
    windows, over = residual
    is_largest = xp.eye(over.elements, dtype=windows.dtype)[windows.argmax(axis=-1)]
    d_windows = g[..., None] * is_largest
    return _added_up(xp, d_windows.reshape(*g.shape, *over.kernel), over)


# --- gated recurrent units ------------------------------------------------------------------------


def gru(xp: Namespace, x: Array, h0: Array, *parameters: Array) -> tuple[Array, Any]:
    """Return the hidden states of all steps, by the equations of ``nn.GRU``."""
    states, kept = [], []
    for d in range(h0.shape[0]):
        ran = _gru_direction(xp, x, h0[d], parameters[4 * d : 4 * d + 4], reverse=d == 1)
        states.append(ran[0])
        kept.append(ran)
    both = states[0] if len(states) == 1 else xp.concatenate(states, axis=2)
    return both, kept


def _steps(x: Array, *, reverse: bool) -> Any:
    return reversed(range(x.shape[1])) if reverse else range(x.shape[1])


def _gru_direction(
    xp: Namespace, x: Array, start: Array, parameters: Sequence[Array], *, reverse: bool
) -> Any:
    weight_ih, weight_hh, bias_ih, bias_hh = parameters
    count, size = x.shape[1], start.shape[1]
    # With the state before the first step, which is the last where it reads backwards.
    h = xp.zeros((x.shape[0], count + 1, size), dtype=x.dtype)
    h[:, count if reverse else 0] = start
    shape = (x.shape[0], count, size)
    r = xp.zeros(shape, dtype=x.dtype)
    z = xp.zeros(shape, dtype=x.dtype)
    n = xp.zeros(shape, dtype=x.dtype)
    from_x = x @ weight_ih.T + bias_ih
    from_h = xp.zeros(from_x.shape, dtype=x.dtype)
    for t in _steps(x, reverse=reverse):
        last, new = (t + 1, t) if reverse else (t, t + 1)
        from_h[:, t] = h[:, last] @ weight_hh.T + bias_hh
        r[:, t] = 1 / (1 + xp.exp(-(from_x[:, t, :size] + from_h[:, t, :size])))
        gate = slice(size, 2 * size)
        z[:, t] = 1 / (1 + xp.exp(-(from_x[:, t, gate] + from_h[:, t, gate])))
        n[:, t] = xp.tanh(from_x[:, t, 2 * size :] + r[:, t] * from_h[:, t, 2 * size :])
        h[:, new] = (1 - z[:, t]) * n[:, t] + z[:, t] * h[:, last]
    return (h[:, :-1] if reverse else h[:, 1:]), r, z, n, from_h, h


def gru_backward(
    xp: Namespace,
    g: Array,
    x: Array,
    h0: Array,
    parameters: Sequence[Array],
    residual: Any,
    needs: Sequence[bool],
) -> Gradients:
    """Go back through the steps; gradients of parameters are sums over all of them."""
    size = h0.shape[2]
    d_x, d_starts, d_parameters = None, [], []
    for d, kept in enumerate(residual):
        d_states = g if len(residual) == 1 else g[:, :, d * size : (d + 1) * size]
        weights = parameters[4 * d : 4 * d + 2]
        ran = (x, weights, kept, needs[0])
        d_inputs, d_start, *rest = _gru_direction_backward(xp, d_states, *ran, reverse=d == 1)
        d_x = d_inputs if d_x is None else d_x + d_inputs
        d_starts.append(d_start)
        d_parameters += rest
    d_h0 = xp.stack(d_starts) if needs[1] else None
    wanted = zip(d_parameters, needs[2:], strict=True)
    return [d_x, d_h0, *[one if needed else None for one, needed in wanted]]


def _gru_direction_backward(
    xp: Namespace,
    d_states: Array,
    x: Array,
    weights: Sequence[Array],
    kept: Any,
    needs_x: bool,
    *,
    reverse: bool,
) -> Any:
    _, r, z, n, from_h, h = kept
    size = n.shape[2]
    d_weight_ih = xp.zeros(weights[0].shape, dtype=x.dtype)
    d_weight_hh = xp.zeros(weights[1].shape, dtype=x.dtype)
    d_bias_ih = xp.zeros(len(weights[0]), dtype=x.dtype)
    d_bias_hh = xp.zeros(len(weights[1]), dtype=x.dtype)
    d_x = xp.zeros(x.shape, dtype=x.dtype) if needs_x else None
    d_next = xp.zeros((n.shape[0], size), dtype=x.dtype)
    for t in _steps(x, reverse=not reverse):
        last = t + 1 if reverse else t
        d_h = d_states[:, t] + d_next
        d_n = d_h * (1 - z[:, t]) * (1 - n[:, t] ** 2)
        d_z = d_h * (h[:, last] - n[:, t]) * z[:, t] * (1 - z[:, t])
        d_r = d_n * from_h[:, t, 2 * size :] * r[:, t] * (1 - r[:, t])
        d_from_x = xp.concatenate([d_r, d_z, d_n], axis=1)
        d_from_h = xp.concatenate([d_r, d_z, d_n * r[:, t]], axis=1)
        d_weight_ih += d_from_x.T @ x[:, t]
        d_weight_hh += d_from_h.T @ h[:, last]
        d_bias_ih += d_from_x.sum(axis=0)
        d_bias_hh += d_from_h.sum(axis=0)
        if d_x is not None:
            d_x[:, t] = d_from_x @ weights[0]
        d_next = d_h * z[:, t] + d_from_h @ weights[1]
    return d_x, d_next, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh
