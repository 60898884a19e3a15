"""The steps in plain NumPy, with derivatives written by hand: the reference of every row.

Plain means straightforward code by a competent person: clear expressions and new arrays, matrix
products where possible, no preallocated buffers, no fusing of parameters into one array.
Functions work in the precision of their arguments, so float64 finite differences can check them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.problems import (
    CHANNELS,
    DIRECTIONS,
    HIDDEN,
    KERNELS,
    PADDING,
    STRIDE,
    Array,
    Chain,
    Model,
    Parameters,
    ScalarChains,
    ScalarMLP,
)

LossAndGradients = tuple[float, Parameters]
# Where PyTorch's GRU keeps the reset gate, the update gate and the candidate in its stacked arrays.
R, Z, N = (slice(part * HIDDEN, (part + 1) * HIDDEN) for part in range(3))


# Layers: each forward has its backward next to it. `g` is the gradient of the loss with respect to
# the layer's output.


def cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """Return the mean cross-entropy of softmax(logits), and its gradient."""
    rows = np.arange(len(labels))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    loss = -np.log(probabilities[rows, labels]).mean()
    g = probabilities
    g[rows, labels] -= 1.0
    return loss, g / len(labels)


def linear(x: Array, p: Parameters, name: str) -> Array:
    """Return x Wᵀ + b."""
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def linear_backward(g: Array, x: Array, name: str, gradients: Parameters) -> None:
    """Store the gradients of the layer's weight and bias; that of x is ``g @ W``."""
    gradients[f"{name}.weight"] = g.T @ x
    gradients[f"{name}.bias"] = g.sum(axis=0)


def conv1d(x: Array, p: Parameters, name: str) -> tuple[Array, Array]:
    """Convolve (N, C, L) with stride 2 and padding 1; also return the windows (N, C, L', K)."""
    weight = p[f"{name}.weight"]
    padded = np.pad(x, ((0, 0), (0, 0), (PADDING, PADDING)))
    windows = sliding_window_view(padded, weight.shape[2], axis=2)[:, :, ::STRIDE]
    out = np.tensordot(windows, weight, axes=([1, 3], [1, 2]))  # (N, L', O)
    return out.transpose(0, 2, 1) + p[f"{name}.bias"][:, None], windows


def conv1d_backward(g: Array, windows: Array, name: str, gradients: Parameters) -> None:
    """Store the gradients of weight and bias, from g (N, O, L')."""
    gradients[f"{name}.weight"] = np.tensordot(g, windows, axes=([0, 2], [0, 2]))
    gradients[f"{name}.bias"] = g.sum(axis=(0, 2))


def conv1d_backward_input(g: Array, weight: Array, length: int) -> Array:
    """Return the gradient of the convolution's input (N, C, length)."""
    kernel, positions = weight.shape[2], g.shape[2]
    g_windows = np.tensordot(g, weight, axes=([1], [0]))  # (N, L', C, K)
    g_padded = np.zeros((len(g), weight.shape[1], length + 2 * PADDING), g.dtype)
    for k in range(kernel):
        reached = slice(k, k + STRIDE * (positions - 1) + 1, STRIDE)
        g_padded[:, :, reached] += g_windows[..., k].transpose(0, 2, 1)
    return g_padded[:, :, PADDING:-PADDING]


def sigmoid(x: Array) -> Array:
    """Return the logistic function of x."""
    return 1.0 / (1.0 + np.exp(-x))


def gru(x: Array, p: Parameters, suffix: str) -> tuple[Array, list[tuple[Array, ...]]]:
    """Run one direction of PyTorch's GRU over x (N, T, 1): outputs (N, T, H), and what to keep.

        r = sigmoid(W_r x + b_r + U_r h + c_r)
        z = sigmoid(W_z x + b_z + U_z h + c_z)
        n = tanh(W_n x + b_n + r (U_n h + c_n))
        h' = (1 - z) n + z h

    ``weight_ih``, ``weight_hh``, ``bias_ih``, ``bias_hh`` are W, U, b, c, stacked as r, z, n.
    """
    from_input = x @ p[f"gru.weight_ih_l0{suffix}"].T + p[f"gru.bias_ih_l0{suffix}"]
    weight, bias = p[f"gru.weight_hh_l0{suffix}"], p[f"gru.bias_hh_l0{suffix}"]
    batch, steps = x.shape[:2]
    h = np.zeros((batch, HIDDEN), x.dtype)
    outputs = np.empty((batch, steps, HIDDEN), x.dtype)
    kept: list[tuple[Array, ...]] = []
    for t in _order(steps, suffix):
        from_state = h @ weight.T + bias
        r = sigmoid(from_input[:, t, R] + from_state[:, R])
        z = sigmoid(from_input[:, t, Z] + from_state[:, Z])
        s_n = from_state[:, N]
        n = np.tanh(from_input[:, t, N] + r * s_n)
        kept.append((h, r, z, n, s_n))
        h = (1.0 - z) * n + z * h
        outputs[:, t] = h
    return outputs, kept


def gru_backward(
    g: Array,
    x: Array,
    p: Parameters,
    suffix: str,
    kept: list[tuple[Array, ...]],
    gradients: Parameters,
) -> None:
    """Store the gradients of one direction's four parameters, from g (N, T, H)."""
    batch, steps = x.shape[:2]
    weight = p[f"gru.weight_hh_l0{suffix}"]
    g_weight, g_bias = np.zeros_like(weight), np.zeros(3 * HIDDEN, x.dtype)
    g_input = np.empty((batch, steps, 3 * HIDDEN), x.dtype)
    g_h = np.zeros((batch, HIDDEN), x.dtype)
    for t, (h, r, z, n, s_n) in zip(reversed(_order(steps, suffix)), reversed(kept), strict=True):
        g_h = g_h + g[:, t]
        g_n = g_h * (1.0 - z) * (1.0 - n * n)
        g_z = g_h * (h - n) * z * (1.0 - z)
        g_r = g_n * s_n * r * (1.0 - r)
        g_state = np.concatenate([g_r, g_z, g_n * r], axis=1)
        g_input[:, t] = np.concatenate([g_r, g_z, g_n], axis=1)
        g_weight += g_state.T @ h
        g_bias += g_state.sum(axis=0)
        g_h = g_h * z + g_state @ weight
    gradients[f"gru.weight_ih_l0{suffix}"] = np.tensordot(g_input, x, axes=([0, 1], [0, 1]))
    gradients[f"gru.weight_hh_l0{suffix}"] = g_weight
    gradients[f"gru.bias_ih_l0{suffix}"] = g_input.sum(axis=(0, 1))
    gradients[f"gru.bias_hh_l0{suffix}"] = g_bias


def _order(steps: int, suffix: str) -> range:
    """Return the order of the steps: the reverse direction reads from the end."""
    return range(steps - 1, -1, -1) if suffix else range(steps)


# Models: loss and gradients of one batch.


def logistic_step(p: Parameters, x: Array, labels: Array) -> LossAndGradients:
    """Run linear 40 → 10."""
    gradients: Parameters = {}
    loss, g = cross_entropy(linear(x, p, "linear"), labels)
    linear_backward(g, x, "linear", gradients)
    return loss, gradients


def mlp_step(p: Parameters, x: Array, labels: Array) -> LossAndGradients:
    """Run linear 40 → 100 → 100 → 10 with ReLU between."""
    gradients: Parameters = {}
    h1 = np.maximum(linear(x, p, "linear1"), 0.0)
    h2 = np.maximum(linear(h1, p, "linear2"), 0.0)
    loss, g = cross_entropy(linear(h2, p, "linear3"), labels)
    linear_backward(g, h2, "linear3", gradients)
    g = (g @ p["linear3.weight"]) * (h2 > 0.0)
    linear_backward(g, h1, "linear2", gradients)
    g = (g @ p["linear2.weight"]) * (h1 > 0.0)
    linear_backward(g, x, "linear1", gradients)
    return loss, gradients


def cnn_step(p: Parameters, x: Array, labels: Array) -> LossAndGradients:
    """Run three convolutions with ReLU, then linear 125 → 10."""
    gradients: Parameters = {}
    names = [f"conv{index}" for index in range(1, len(KERNELS) + 1)]
    h = x[:, None, :]
    kept = []
    for name in names:
        length = h.shape[2]
        h, windows = conv1d(h, p, name)
        h = np.maximum(h, 0.0)
        kept.append((length, windows, h))
    flat = h.reshape(len(x), -1)
    loss, g = cross_entropy(linear(flat, p, "linear"), labels)
    linear_backward(g, flat, "linear", gradients)
    g = (g @ p["linear.weight"]).reshape(len(x), CHANNELS, -1)
    for name, (length, windows, h) in zip(reversed(names), reversed(kept), strict=True):
        g = g * (h > 0.0)
        conv1d_backward(g, windows, name, gradients)
        if name != "conv1":  # the gradient of the data is not needed
            g = conv1d_backward_input(g, p[f"{name}.weight"], length)
    return loss, gradients


def gru_step(p: Parameters, x: Array, labels: Array) -> LossAndGradients:
    """Run a bidirectional GRU over the 40 values, all outputs flattened into linear 480 → 10."""
    gradients: Parameters = {}
    sequence = x[:, :, None]
    runs = [gru(sequence, p, suffix) for suffix in DIRECTIONS]
    both = np.concatenate([outputs for outputs, _ in runs], axis=2)
    flat = both.reshape(len(x), -1)
    loss, g = cross_entropy(linear(flat, p, "linear"), labels)
    linear_backward(g, flat, "linear", gradients)
    g = (g @ p["linear.weight"]).reshape(both.shape)
    parts = np.split(g, 2, axis=2)
    for suffix, part, (_, kept) in zip(DIRECTIONS, parts, runs, strict=True):
        gru_backward(part, sequence, p, suffix, kept, gradients)
    return loss, gradients


STEPS: dict[Model, Callable[[Parameters, Array, Array], LossAndGradients]] = {
    "logistic": logistic_step,
    "mlp": mlp_step,
    "cnn": cnn_step,
    "gru": gru_step,
}


# Optimisers, one parameter at a time. They rebind the entries of ``parameters``.


class SGD:
    """p ← p - lr g."""

    def __init__(self, parameters: Parameters, learning_rate: float) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate

    def step(self, gradients: Parameters) -> None:
        """Update every parameter."""
        for name, g in gradients.items():
            self.parameters[name] = self.parameters[name] - self.learning_rate * g


class Adam:
    """Kingma & Ba (2015), Algorithm 1, with PyTorch's defaults."""

    def __init__(self, parameters: Parameters, learning_rate: float) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self.beta1, self.beta2, self.epsilon = 0.9, 0.999, 1e-8
        self.m = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.v = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.t = 0

    def step(self, gradients: Parameters) -> None:
        """Update every parameter."""
        self.t += 1
        correction1, correction2 = 1 - self.beta1**self.t, 1 - self.beta2**self.t
        for name, g in gradients.items():
            m = self.m[name] = self.beta1 * self.m[name] + (1 - self.beta1) * g
            v = self.v[name] = self.beta2 * self.v[name] + (1 - self.beta2) * g * g
            change = (m / correction1) / (np.sqrt(v / correction2) + self.epsilon)
            self.parameters[name] = self.parameters[name] - self.learning_rate * change


OPTIMISERS: dict[str, type[SGD] | type[Adam]] = {"sgd": SGD, "adam": Adam}


# Chains and scalars.


def chain_step(problem: Chain) -> tuple[Array, Parameters]:
    """Run a chain forward and backward; the loss is the sum of its end."""
    return _constant_chain(problem) if problem.constants else _kept_chain(problem)


def _kept_chain(problem: Chain) -> tuple[Array, Parameters]:
    h, w, b = problem.x, problem.w, problem.b
    kept = []
    for _ in range(problem.length // 2):
        kept.append(h)
        h = h * w
        h = h + b
    g = np.ones_like(h)
    g_w, g_b = np.zeros_like(w), np.zeros_like(b)
    while kept:
        g_b = g_b + g
        g_w = g_w + g * kept.pop()
        g = g * w
    return h.sum(), {"x": g, "w": g_w, "b": g_b}


def _constant_chain(problem: Chain) -> tuple[Array, Parameters]:
    h, w, b = problem.x, problem.w, problem.b
    for _ in range(problem.length // 2):
        h = h * w
        h = h + b
    g = np.ones_like(h)
    for _ in range(problem.length // 2):
        g = g * w
    return h.sum(), {"x": g}


def scalar_chains_step(problem: ScalarChains) -> tuple[float, Parameters]:
    """Run the scalar chains with plain Python floats."""
    loss = 0.0
    gradients: dict[str, list[float]] = {"x": [], "w": [], "b": []}
    for h, w, b in zip(problem.x, problem.w, problem.b, strict=True):
        kept = []
        for _ in range(problem.links):
            before = h
            h = h * w + b
            h = h if h > 0.0 else 0.0
            kept.append((before, h))
        loss += h
        g, g_w, g_b = 1.0, 0.0, 0.0
        for before, after in reversed(kept):
            if after <= 0.0:
                g = 0.0
            g_b += g
            g_w += g * before
            g *= w
        for name, value in zip("xwb", (g, g_w, g_b), strict=True):
            gradients[name].append(value)
    return loss, {name: np.array(values) for name, values in gradients.items()}


def scalar_mlp_step(
    problem: ScalarMLP, layers: list[tuple[Array, Array]]
) -> tuple[float, list[tuple[Array, Array]]]:
    """Run micrograd's demo for all points together; return the loss and all gradients."""
    activations = [problem.points]
    for weight, bias in layers[:-1]:
        activations.append(np.maximum(activations[-1] @ weight.T + bias, 0.0))
    weight, bias = layers[-1]
    scores = (activations[-1] @ weight.T + bias)[:, 0]
    margins = 1.0 - problem.labels * scores
    squares = sum((weight**2).sum() + (bias**2).sum() for weight, bias in layers)
    loss = np.maximum(margins, 0.0).mean() + problem.regularisation * squares

    gradients = []
    g = np.where(margins > 0.0, -problem.labels, 0.0)[:, None] / len(problem.labels)
    for index in reversed(range(len(layers))):
        weight, bias = layers[index]
        gradients.append(
            (
                g.T @ activations[index] + 2.0 * problem.regularisation * weight,
                g.sum(axis=0) + 2.0 * problem.regularisation * bias,
            )
        )
        if index > 0:
            g = (g @ weight) * (activations[index] > 0.0)
    return loss, gradients[::-1]
