"""Fused ops of neural networks: each has a composite of small ops, and a faster kernel.

The composite defines the op. Pictures open it, and derivatives of derivatives go through it; the
kernel, forward and backward, is tested against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_lab.backends import namespaces
from tinygrad_lab.backends.dtypes import float32
from tinygrad_lab.engine.declare import direct, op
from tinygrad_lab.engine.explain import raw, shape_of
from tinygrad_lab.engine.keywords import advise
from tinygrad_lab.engine.taught import Textbook
from tinygrad_lab.errors import (
    ArgumentError,
    DTypeError,
    IndexingError,
    ShapeError,
)
from tinygrad_lab.ops.activation import sigmoid
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.arithmetic import add, negative, subtract
from tinygrad_lab.ops.conversion import zeros_like
from tinygrad_lab.ops.exponential import exp, log
from tinygrad_lab.ops.indexing import getitem
from tinygrad_lab.ops.kernels import (
    cross_entropy as cross_entropy_kernel,
    gru as gru_kernel,
    linear as linear_kernel,
    of_one_dtype,
    textbook,
)
from tinygrad_lab.ops.linalg import matmul
from tinygrad_lab.ops.logic import isfinite
from tinygrad_lab.ops.piecewise import where
from tinygrad_lab.ops.reduce import max, mean, sum
from tinygrad_lab.ops.shape import (
    concat,
    matrix_transpose,
    stack,
)
from tinygrad_lab.ops.trigonometric import tanh
from tinygrad_lab.random.generator import Generator, default_generator


def _raise_if(reason: str | None) -> None:
    """Raise a ShapeError if there is a reason."""
    if reason is not None:
        raise ShapeError(reason)


# --- softmax and log-sum-exp -------------------------------------------------------------------


stop_gradient = op(
    "stop_gradient",
    internal=True,
    forward=lambda xp, x: x,
    latex="{x}",
    doc="Return x itself as a constant: no gradient flows back through it.",
)


def _largest(x: Any, axis: Any) -> Any:
    """Return the maximum along an axis, as a constant: the shift does not change the result.

    Of no elements it is 0.
    """
    constant = stop_gradient(x)
    if 0 in getattr(x, "shape", ()):
        return sum(constant, axis=axis, keepdims=True)
    return max(constant, axis=axis, keepdims=True)


@composed(rounds_once=True)
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return log(sum(exp(x))) along some axes, shifted by the maximum to avoid overflow.

    Of no elements it is -inf.
    """
    if 0 in getattr(x, "shape", ()):
        total = sum(x, axis=axis, keepdims=keepdims)
        return total if 0 in total.shape else total - float("inf")
    largest = _largest(x, axis)
    # Where all elements are -inf, there is no finite shift, and -inf - -inf would be NaN.
    shift = where(isfinite(largest), largest, zeros_like(largest))
    total = log(sum(exp(subtract(x, shift)), axis=axis, keepdims=True)) + shift
    return total if keepdims else sum(total, axis=axis)


_logsumexp = direct(logsumexp)


@composed(rounds_once=True)
def log_softmax(x: Any, axis: int = -1) -> Any:
    """Return log(softmax(x)), without underflow in the softmax."""
    return subtract(x, _logsumexp(x, axis=axis, keepdims=True))


@composed(rounds_once=True)
def softmax(x: Any, axis: int = -1) -> Any:
    """Return exp(x) divided by its sum along an axis, shifted by the maximum to avoid overflow."""
    e = exp(subtract(x, _largest(x, axis)))
    return e / sum(e, axis=axis, keepdims=True)


# --- linear ------------------------------------------------------------------------------------


def _linear_composite(x: Any, weight: Any, bias: Any = None) -> Any:
    _raise_if(_linear_mistake(x, weight, bias))
    return _affine(x, weight, bias)


def _affine(x: Any, weight: Any, bias: Any = None) -> Any:
    product = matmul(x, matrix_transpose(weight))
    return product if bias is None else add(product, bias)


def _linear_mistake(x: Any, weight: Any, bias: Any) -> str | None:
    """Explain what is wrong with the shapes; return None if they fit."""
    # Not shape_of: three calls would add 1 µs to the 18 µs of a small layer.
    shape: tuple[int, ...] = getattr(x, "shape", ())
    outer: tuple[int, ...] = getattr(weight, "shape", ())
    if len(outer) != 2:
        return f"expected a weight of shape (out_features, in_features), got {outer}."
    if not shape:
        return f"expected x of shape (..., {outer[1]}), got a single number."
    if shape[-1] != outer[1]:
        return (
            f"expected x.shape[-1] == weight.shape[1] (in_features), got {shape[-1]} != {outer[1]}."
        )
    if bias is not None and getattr(bias, "shape", ()) != outer[:1]:
        return f"expected bias.shape == {outer[:1]}, got {shape_of(bias)}."
    return None


def _linear(xp: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    if mistake := _linear_mistake(x, weight, bias):
        raise ShapeError(mistake)
    return linear_kernel.forward(xp, *of_one_dtype(xp, x, weight, bias))


def _linear_taught(xp: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    if mistake := _linear_mistake(x, weight, bias):
        raise ShapeError(mistake)
    return textbook.linear(xp, *of_one_dtype(xp, x, weight, bias)), None


linear = op(
    "linear",
    "x Wᵀ + b",
    forward=_linear,
    vjp=linear_kernel.backward,
    words={"x": "g @ {weight}", "weight": "gᵀ @ {x}", "bias": "g"},
    core_axes=2,
    latex=r"{x} \, {weight}^T + {bias}",
    composite=_linear_composite,
    textbook=Textbook(_linear_taught, textbook.linear_backward),
    doc="""Return x @ weight.T + bias: x (..., in), weight (out, in), bias (out,) or None.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.linear(tg.tensor([[1.0, 2.0]]), tg.tensor([[3.0, 4.0]]), tg.tensor([5.0]))
        tensor([[16.]])
    """,
)

# --- cross-entropy -----------------------------------------------------------------------------


def _cross_entropy_composite(logits: Any, labels: Any) -> Any:
    _check_labels(logits, raw(labels))
    xp = namespaces[type(raw(labels))]
    rows = xp.arange(logits.shape[0], device=raw(labels).device)
    return _mean_surprise(logits, rows, labels)


@composed(rounds_once=True)
def _mean_surprise(logits: Any, rows: Any, labels: Any) -> Any:
    return negative(mean(getitem(log_softmax(logits, axis=1), (rows, labels))))


def _cross_entropy(xp: Any, logits: Any, labels: Any) -> Any:
    _check_labels(logits, labels)
    if logits.dtype.char != "e":  # not is_half: the dtype is an array's
        return cross_entropy_kernel.forward(xp, logits, labels)
    loss, residual = cross_entropy_kernel.forward(xp, logits.astype(float32), labels)
    # Divided by many rows, a gradient in float16 would underflow.
    n_rows = xp.asarray(residual.n_rows, dtype=float32, device=logits.device)
    return loss.astype(logits.dtype), residual._replace(n_rows=n_rows)


def _cross_entropy_taught(xp: Any, logits: Any, labels: Any) -> Any:
    _check_labels(logits, labels)
    if logits.dtype.char != "e":
        return textbook.cross_entropy(xp, logits, labels)
    loss, residual = textbook.cross_entropy(xp, logits.astype(float32), labels)
    return loss.astype(logits.dtype), residual


def _check_labels(logits: Any, labels: Any) -> None:
    """Raise if logits and labels (an array) do not fit together."""
    # Not shape_of: see _linear_mistake.
    shape: tuple[int, ...] = getattr(logits, "shape", ())
    count: tuple[int, ...] = getattr(labels, "shape", ())
    if len(shape) != 2 or count != shape[:1]:
        raise ShapeError(
            "expected logits of shape (N, classes) and one label for each row, shape (N,); got "
            f"{shape} and {count}."
        )
    if 0 in shape:
        raise ShapeError(f"expected logits with at least one row and one class, got shape {shape}.")
    if logits.dtype.kind != "f":
        raise DTypeError(
            f"expected floating-point logits, got {logits.dtype}: logits.astype(tg.float32)."
        )
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"expected integer labels, got {labels.dtype}: labels.astype(tg.int64).")
    if found := namespaces[type(labels)].outside(labels, shape[1]):
        raise IndexingError(f"labels of {shape[1]} classes are 0 to {shape[1] - 1}, got {found}.")


cross_entropy = op(
    "cross_entropy",
    forward=_cross_entropy,
    vjp={"logits": cross_entropy_kernel.backward},
    words={"logits": "g × (softmax({logits}) - onehot({labels})) / N"},
    latex=r"-\overline{{\log \mathrm{{softmax}}({logits})_{{{labels}}}}}",
    composite=_cross_entropy_composite,
    textbook=Textbook(_cross_entropy_taught, {"logits": textbook.cross_entropy_backward}),
    residual=True,
    doc="""Return the mean of -log softmax(logits)[label]: logits (N, classes), labels (N,).

    Labels are integers from 0 to classes - 1.

    Source: Goodfellow, Bengio & Courville, "Deep Learning", 2016, section 6.2.2.3.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.cross_entropy(tg.tensor([[0.0, 0.0]]), tg.tensor([1]))
        tensor(0.6931472)
    """,
)
advise(
    "cross_entropy",
    **dict.fromkeys(
        ("weight", "ignore_index", "reduction", "label_smoothing"),
        "tg.nn.functional.cross_entropy takes it",
    ),
)

# --- binary cross-entropy ------------------------------------------------------------------------


def _log_of(xp: Any, p: Any) -> Any:
    """Return log(p), but -100 where it is lower, as at p = 0."""
    zero = p == 0
    return xp.where(zero, -100.0, xp.maximum(xp.log(xp.where(zero, xp.ones_like(p), p)), -100.0))


def _by_probability(xp: Any, g: Any, p: Any, target: Any) -> Any:
    return xp.divide(g * (p - target), xp.maximum(p * (1 - p), 1e-12))


binary_surprise = op(
    "binary_surprise",
    forward=lambda xp, p, target: (target - 1) * _log_of(xp, 1 - p) - target * _log_of(xp, p),
    vjp={
        "p": _by_probability,
        "target": lambda xp, g, p: g * (_log_of(xp, 1 - p) - _log_of(xp, p)),
    },
    words={
        "p": "g × ({p} - {target}) / ({p} (1 - {p}))",
        "target": "g × (log(1 - {p}) - log {p})",
    },
    latex=r"-({target} \log {p} + (1 - {target}) \log(1 - {p}))",
    elementwise=True,
    internal=True,
    doc="""Return -(target log p + (1 - target) log(1 - p)), with logarithms of at least -100.

    The divisor p (1 - p) of its derivative is at least 1e-12. Both bounds are PyTorch's.
    """,
)

# --- gated recurrent units -----------------------------------------------------------------------


def _gru_composite(x: Any, h0: Any, *parameters: Any) -> Any:
    _raise_if(_gru_mistake(x, h0, parameters))
    directions = [
        _gru_direction(x, getitem(h0, d), *parameters[4 * d : 4 * d + 4], reverse=d == 1)
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
    """Return all states of one direction, (N, T, hidden), by the equations of ``nn.GRU``."""
    hidden = h.shape[1]
    r, z, n = (slice(i * hidden, (i + 1) * hidden) for i in range(3))
    steps = range(x.shape[1])
    states = []
    for t in reversed(steps) if reverse else steps:
        from_x = _affine(getitem(x, (slice(None), t)), weight_ih, bias_ih)
        from_h = _affine(h, weight_hh, bias_hh)
        reset = sigmoid(from_x[:, r] + from_h[:, r])
        update = sigmoid(from_x[:, z] + from_h[:, z])
        candidate = tanh(from_x[:, n] + reset * from_h[:, n])
        h = candidate + update * (h - candidate)
        states.append(h)
    return stack(states[::-1] if reverse else states, axis=1)


def _gru_mistake(x: Any, h0: Any, parameters: Sequence[Any]) -> str | None:
    """Explain what is wrong with the shapes; return None if they fit."""
    shape, state = shape_of(x), shape_of(h0)
    if len(shape) != 3 or len(state) != 3 or state[0] not in (1, 2):
        return (
            "expected x of shape (N, T, input) and h0 of shape (1 or 2 directions, N, hidden), "
            f"got {shape} and {state}."
        )
    batch, steps, features = shape
    directions, _, hidden = state
    if steps == 0:
        return f"expected at least one step, got x of shape {shape}."
    if state[1] != batch:
        return f"expected x.shape[0] == h0.shape[1] (N), got {batch} != {state[1]}."
    expected = [(3 * hidden, features), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,)]
    shapes = [shape_of(parameter) for parameter in parameters]
    if shapes != expected * directions:
        return (
            f"with {features} features in x, {hidden} in h0 and {directions} direction(s), "
            "expected weight_ih, weight_hh, bias_ih, bias_hh of each direction in the shapes "
            f"{expected * directions}, got {shapes}."
        )
    return None


def _gru(xp: Any, x: Any, h0: Any, *parameters: Any) -> Any:
    _raise_if(_gru_mistake(x, h0, parameters))
    return gru_kernel.forward(xp, *of_one_dtype(xp, x, h0, *parameters))


def _gru_taught(xp: Any, x: Any, h0: Any, *parameters: Any) -> Any:
    _raise_if(_gru_mistake(x, h0, parameters))
    return textbook.gru(xp, *of_one_dtype(xp, x, h0, *parameters))


gru = op(
    "gru",
    "GRU",
    forward=_gru,
    vjp=gru_kernel.backward,
    words={
        # The gates' gradients before σ, σ and tanh; tests/test_time_steps.py computes them.
        "x": "dₜ @ W_ih for each t",
        "h0": "zₜ × d_hₜ + d′ₜ @ W_hh, back to t = 1",
        **{f"parameters[{4 * d}]": "Σₜ dₜᵀ @ xₜ, dₜ = [d_r d_z d_n]ₜ" for d in range(2)},
        **{
            f"parameters[{4 * d + 1}]": "Σₜ d′ₜᵀ @ hₜ₋₁, d′ₜ = [d_r d_z r × d_n]ₜ" for d in range(2)
        },
        **{f"parameters[{4 * d + 2}]": "Σₜ dₜ, dₜ = [d_r d_z d_n]ₜ" for d in range(2)},
        **{f"parameters[{4 * d + 3}]": "Σₜ d′ₜ, d′ₜ = [d_r d_z r × d_n]ₜ" for d in range(2)},
    },
    latex=r"\mathrm{{GRU}}({x}, {h0}; {parameters})",
    composite=_gru_composite,
    textbook=Textbook(_gru_taught, textbook.gru_backward),
    residual=True,
    doc="""Return all states of one layer of gated recurrent units, in one or both directions.

    Shapes: x (N, T, input), h0 (directions, N, hidden), then for each direction weight_ih
    (3 hidden, input), weight_hh (3 hidden, hidden), bias_ih and bias_hh (3 hidden,), with gates in
    the order r, z, n. The result is (N, T, directions * hidden).

    Source: Cho et al., 2014, with the reset gate after the product, as in PyTorch.
    """,
)

# --- dropout -------------------------------------------------------------------------------------


def _dropout(
    xp: Any, x: Any, *, p: float = 0.5, generator: Generator = default_generator
) -> tuple[Any, Any]:
    if not 0 <= p <= 1:
        raise ArgumentError(f"expected a probability p from 0 to 1, got {p}.")
    mask = xp.drawn(generator.keep_mask, shape_of(x), p, device=xp.device_of(x))
    return _dropped(xp, x, mask, p), mask


def _dropped(xp: Any, x: Any, mask: Any, p: float) -> Any:
    # With p = 1 nothing is left to scale.
    return xp.where(mask, x, xp.zeros_like(x)) * (1 / (1 - p) if p < 1 else 0.0)


dropout = op(
    "dropout",
    forward=_dropout,
    vjp={"x": lambda xp, g, residual, p: _dropped(xp, g, residual, p)},
    words={"x": "g where kept, × 1 / (1 - p)"},
    latex=r"\frac{{1}}{{1 - {p}}} \, m \odot {x}",
    residual=True,
    doc="""Set elements of x to 0 with probability p, and scale the others by 1 / (1 - p).

    Source: Srivastava et al., "Dropout", 2014.
    """,
)
