"""The steps in hand-written NumPy, as fast as possible: the reference of compiled steps.

Every array is allocated once and written into (``out=``); all parameters lie in one vector, as do
their gradients and moments, so that an optimiser is a dozen calls whatever the model. Beyond that:

- *Features first.* A layer's values are (features, batch): a bias is then added along rows of the
  length of the batch, and a product with ones is the bias's gradient.
- *No Python numbers.* A 0-d array of the right dtype saves 250 ns a call; ReLU compares with an
  array of zeros, because against a scalar ``maximum`` is not vectorised.
- *Convolutions channels-last*, as one matrix product on a strided view of their windows, which one
  call gathers. A column of ones next to the windows adds the bias in that product.
- *Both directions of the GRU together*, sigmoids through tanh, all gates of a step in one product.

The labels are made one-hot outside the step: they belong to the data.

Each model is a function that makes a `Net`: buffers, and a function that computes in them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy import add, copyto, divide, dot, exp, greater, log, maximum, multiply, sqrt, subtract

from benchmarks.problems import (
    CHANNELS,
    CLASSES,
    DIRECTIONS,
    FEATURES,
    HIDDEN,
    KERNELS,
    PADDING,
    STRIDE,
    Array,
    Model,
    Parameters,
    Training,
)

SMALL_BYTES = 1 << 17
"""Up to this size an array of zeros of a layer's own shape stays in the cache."""


class Vector:
    """Parameters, or gradients, end to end in one array; ``views`` are in PyTorch's layouts.

    A view may have its axes in another order, or split, so that a product finds them in the order
    in which it is fast: see `put` and `get`.
    """

    def __init__(self, size: int) -> None:
        self.array = np.zeros(size, np.float32)
        self.views: dict[str, Array] = {}
        self._used = 0

    def take(self, *shape: int) -> Array:
        """Return the next part, in this shape."""
        start, self._used = self._used, self._used + prod(shape)
        return self.array[start : self._used].reshape(shape)

    def put(self, values: Parameters) -> None:
        """Copy arrays in PyTorch's layouts into the views."""
        for name, view in self.views.items():
            view[...] = values[name].reshape(view.shape)

    def get(self, like: Parameters) -> Parameters:
        """Return copies in PyTorch's layouts."""
        return {name: np.array(self.views[name]).reshape(like[name].shape) for name in like}


@dataclass
class Net:
    """A model with its buffers: ``compute()`` returns the loss and fills ``gradients``."""

    parameters: Vector
    gradients: Vector
    compute: Callable[[], Any]


def _vectors(problem: Training) -> tuple[Vector, Vector]:
    size = sum(value.size for value in problem.parameters.values())
    return Vector(size), Vector(size)


def _number(value: float) -> Array:
    """Return a 0-d array, which is faster as an operand than a Python float."""
    return np.array(value, np.float32)


def _buffer(*shape: int) -> Array:
    return np.empty(shape, np.float32)


def _zeros(*shape: int) -> Array:
    """Return zeros to compare (rows, columns) with: as many, or one row if that is large."""
    return np.zeros(shape if 4 * prod(shape) <= SMALL_BYTES else shape[-1:], np.float32)


def _linear(vector: Vector, name: str, outputs: int, inputs: int) -> tuple[Array, Array]:
    """Return a layer's weight (outputs, inputs) and bias (outputs,)."""
    weight = vector.views[f"{name}.weight"] = vector.take(outputs, inputs)
    bias = vector.views[f"{name}.bias"] = vector.take(outputs)
    return weight, bias


def cross_entropy(logits: Array, labels: Array) -> Callable[[], Any]:
    """Make a function that returns the mean loss, and overwrites the logits by its gradient.

    ``logits`` are (classes, batch).
    """
    batch = len(labels)
    targets = np.zeros_like(logits)  # one-hot, divided by the batch
    targets[labels, np.arange(batch)] = 1 / batch
    flat_logits, flat_targets = logits.reshape(-1), targets.reshape(-1)
    largest, total, scale = (_buffer(batch) for _ in range(3))
    over_classes = np.ones(len(logits), np.float32)
    share = np.full(batch, 1 / batch, np.float32)
    largest_of = maximum.reduce

    def compute() -> Any:
        largest_of(logits, 0, None, largest)
        subtract(logits, largest, logits)
        picked = dot(flat_logits, flat_targets)
        exp(logits, logits)
        dot(over_classes, logits, total)
        divide(share, total, scale)
        log(total, total)
        multiply(logits, scale, logits)
        subtract(logits, targets, logits)
        return dot(share, total) - picked

    return compute


def logistic(problem: Training) -> Net:
    """Make linear 40 → 10."""
    parameters, gradients = _vectors(problem)
    weight, bias = _linear(parameters, "linear", CLASSES, FEATURES)
    d_weight, d_bias = _linear(gradients, "linear", CLASSES, FEATURES)
    x, columns = problem.x, problem.x.T
    logits, ones = _buffer(CLASSES, len(x)), np.ones(len(x), np.float32)
    loss_of_logits, bias = cross_entropy(logits, problem.labels), bias[:, None]

    def compute() -> Any:
        dot(weight, columns, logits)
        add(logits, bias, logits)
        loss = loss_of_logits()
        dot(logits, x, d_weight)
        dot(logits, ones, d_bias)
        return loss

    return Net(parameters, gradients, compute)


def mlp(problem: Training) -> Net:
    """Make linear 40 → H → H → 10 with ReLU between."""
    parameters, gradients = _vectors(problem)
    hidden, batch = len(problem.parameters["linear1.weight"]), len(problem.x)
    sizes = ((hidden, FEATURES), (hidden, hidden), (CLASSES, hidden))
    names = ("linear1", "linear2", "linear3")
    (w1, b1), (w2, b2), (w3, b3) = (
        _linear(parameters, name, *size) for name, size in zip(names, sizes, strict=True)
    )
    (d_w1, d_b1), (d_w2, d_b2), (d_w3, d_b3) = (
        _linear(gradients, name, *size) for name, size in zip(names, sizes, strict=True)
    )
    b1, b2, b3 = b1[:, None], b2[:, None], b3[:, None]
    x, columns, ones = problem.x, problem.x.T, np.ones(batch, np.float32)
    h1, h2, d1, d2 = (_buffer(hidden, batch) for _ in range(4))
    logits = _buffer(CLASSES, batch)
    positive = np.empty(h1.shape, bool)
    zero, zeros = _number(0), _zeros(hidden, batch)
    h1_t, h2_t, w2_t, w3_t = h1.T, h2.T, w2.T, w3.T
    loss_of_logits = cross_entropy(logits, problem.labels)

    def compute() -> Any:
        dot(w1, columns, h1)
        add(h1, b1, h1)
        maximum(h1, zeros, out=h1)
        dot(w2, h1, h2)
        add(h2, b2, h2)
        maximum(h2, zeros, out=h2)
        dot(w3, h2, logits)
        add(logits, b3, logits)
        loss = loss_of_logits()
        dot(logits, h2_t, d_w3)
        dot(logits, ones, d_b3)
        dot(w3_t, logits, d2)
        greater(h2, zero, positive)
        multiply(d2, positive, d2)
        dot(d2, h1_t, d_w2)
        dot(d2, ones, d_b2)
        dot(w2_t, d2, d1)
        greater(h1, zero, positive)
        multiply(d1, positive, d1)
        dot(d1, x, d_w1)
        dot(d1, ones, d_b1)
        return loss

    return Net(parameters, gradients, compute)


@dataclass
class Convolution:
    """The windows of a convolution, and the memory they are gathered in.

    ``matrix`` is (K C + 1, O): the weights by the order of a window's elements, then the bias.
    """

    windows: Array
    gathered: Array
    rows: Array
    matrix: Array
    d_matrix: Array

    @property
    def weights_t(self) -> Array:
        """The matrix that maps output gradients to those of a window's elements: (O, K C)."""
        return self.matrix[:-1].T


def _convolution(
    padded: Array, kernel: int, count: int, index: int, parameters: Vector, gradients: Vector
) -> Convolution:
    """Make a convolution over ``padded`` (N, length, C): its rows are windows, then a one."""
    batch, _, channels = padded.shape
    width = kernel * channels
    by_batch, by_step, by_channel = padded.strides
    windows = np.lib.stride_tricks.as_strided(
        padded, (batch, count, width), (by_batch, STRIDE * by_step, by_channel)
    )
    rows = np.ones((batch * count, width + 1), np.float32)
    gathered = rows.reshape(batch, count, -1)[:, :, :width]
    matrix, d_matrix = (
        _convolution_matrix(vector, index, kernel, channels) for vector in (parameters, gradients)
    )
    return Convolution(windows, gathered, rows, matrix, d_matrix)


def _first_convolution(
    padded: Array, kernel: int, count: int, parameters: Vector, gradients: Vector
) -> Convolution:
    """Make a convolution over ``padded`` (N, length), with one channel.

    Runs along the windows are longer than windows, so rows are transposed in memory. An output
    that is always 0 makes the number of outputs even.
    """
    batch = len(padded)
    by_batch, by_step = padded.strides
    windows = np.lib.stride_tricks.as_strided(
        padded, (kernel, batch, count), (by_step, by_batch, STRIDE * by_step)
    )
    columns = np.zeros((kernel + 1, batch, count + 1), np.float32)
    columns[-1, :, :count] = 1
    matrix, d_matrix = (
        _convolution_matrix(vector, 1, kernel, 1) for vector in (parameters, gradients)
    )
    rows = columns.reshape(kernel + 1, -1).T
    return Convolution(windows, columns[:-1, :, :count], rows, matrix, d_matrix)


def _convolution_matrix(vector: Vector, index: int, kernel: int, channels: int) -> Array:
    matrix = vector.take(kernel * channels + 1, CHANNELS)
    vector.views[f"conv{index}.weight"] = (
        matrix[:-1].reshape(kernel, channels, CHANNELS).transpose(2, 1, 0)
    )
    vector.views[f"conv{index}.bias"] = matrix[-1]
    return matrix


def cnn(problem: Training) -> Net:
    """Make three convolutions with ReLU, then linear 125 → 10.

    With stride 2, padding 1 and kernel 3, window j covers the inputs 2j - 1, 2j and 2j + 1. So the
    gradients of inputs 2j and 2j + 1 are the second and the third part of the gradient of window
    j, and the first part of that of window j + 1 is added to the latter.
    """
    parameters, gradients = _vectors(problem)
    x, batch = problem.x, len(problem.x)
    padded_x = np.zeros((batch, FEATURES + 2 * PADDING), np.float32)
    inner_x = padded_x[:, PADDING:-PADDING]
    # Channels-last, between columns of zeros. The last of conv1's 20 outputs is the padding.
    padded1 = np.zeros((batch, 21, CHANNELS), np.float32)
    padded2 = np.zeros((batch, 12, CHANNELS), np.float32)
    h1, h2, h3 = padded1[:, 1:], padded2[:, 1:-1], _buffer(batch, 5, CHANNELS)
    first = _first_convolution(padded_x, KERNELS[0], 19, parameters, gradients)
    second = _convolution(padded1, KERNELS[1], 10, 2, parameters, gradients)
    third = _convolution(padded2, KERNELS[2], 5, 3, parameters, gradients)
    z1, z2, z3 = (_buffer(batch, count, CHANNELS) for count in (20, 10, 5))
    z1_rows, z2_rows, z3_rows = (z.reshape(-1, CHANNELS) for z in (z1, z2, z3))
    positive1, positive2, positive3 = (np.empty(z.shape, bool) for z in (z1, z2, z3))
    zero, zeros1, zeros2, zeros3 = _number(0), *(np.zeros_like(z[0]) for z in (z1, z2, z3))

    # PyTorch flattens channels first, this flattens positions first.
    weight, bias = _flattened_linear(parameters)
    d_weight, d_bias = _flattened_linear(gradients)
    bias, flat, ones = bias[:, None], h3.reshape(batch, -1), np.ones(batch, np.float32)
    flat_t, logits = flat.T, _buffer(CLASSES, batch)
    logits_t = logits.T
    loss_of_logits = cross_entropy(logits, problem.labels)

    d3 = _buffer(batch, 5, CHANNELS)
    d3_rows, d3_flat = d3.reshape(-1, CHANNELS), d3.reshape(batch, -1)
    d_windows3, d_windows2 = _buffer(batch, 5, 3 * CHANNELS), _buffer(batch, 10, 3 * CHANNELS)
    d2, d1 = _buffer(batch, 5, 2 * CHANNELS), _buffer(batch, 10, 2 * CHANNELS)
    d2_rows, d1_rows = d2.reshape(-1, CHANNELS), d1.reshape(-1, CHANNELS)
    pairs2, pairs1 = positive2.reshape(d2.shape), positive1.reshape(d1.shape)
    d_rows3, d_rows2 = (d.reshape(-1, 3 * CHANNELS) for d in (d_windows3, d_windows2))
    onto3, from3 = d_windows3[:, :-1, 2 * CHANNELS :], d_windows3[:, 1:, :CHANNELS]
    onto2, from2 = d_windows2[:, :-1, 2 * CHANNELS :], d_windows2[:, 1:, :CHANNELS]
    inputs3, inputs2 = d_windows3[:, :, CHANNELS:], d_windows2[:, :, CHANNELS:]
    third_rows_t, second_rows_t, first_rows_t = third.rows.T, second.rows.T, first.rows.T

    def compute() -> Any:
        copyto(inner_x, x)
        copyto(first.gathered, first.windows)
        dot(first.rows, first.matrix, z1_rows)
        maximum(z1, zeros1, out=h1)
        copyto(second.gathered, second.windows)
        dot(second.rows, second.matrix, z2_rows)
        maximum(z2, zeros2, out=h2)
        copyto(third.gathered, third.windows)
        dot(third.rows, third.matrix, z3_rows)
        maximum(z3, zeros3, out=h3)
        dot(weight, flat_t, logits)
        add(logits, bias, logits)
        loss = loss_of_logits()
        dot(logits, flat, d_weight)
        dot(logits, ones, d_bias)
        dot(logits_t, weight, d3_flat)
        greater(z3, zero, positive3)
        multiply(d3, positive3, d3)
        dot(third_rows_t, d3_rows, third.d_matrix)
        dot(d3_rows, third.weights_t, d_rows3)
        add(onto3, from3, onto3)
        greater(z2, zero, positive2)
        multiply(inputs3, pairs2, d2)
        dot(second_rows_t, d2_rows, second.d_matrix)
        dot(d2_rows, second.weights_t, d_rows2)
        add(onto2, from2, onto2)
        greater(z1, zero, positive1)
        multiply(inputs2, pairs1, d1)
        dot(first_rows_t, d1_rows, first.d_matrix)
        return loss

    return Net(parameters, gradients, compute)


def _flattened_linear(vector: Vector) -> tuple[Array, Array]:
    weight, bias = vector.take(CLASSES, 5, CHANNELS), vector.take(CLASSES)
    vector.views["linear.weight"] = weight.transpose(0, 2, 1)
    vector.views["linear.bias"] = bias
    return weight.reshape(CLASSES, -1), bias


@dataclass
class Gates:
    """Both directions' GRU parameters as they are stored, each (gates, directions, 6, ...)."""

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array
    bias_hh: Array

    @classmethod
    def of(cls, vector: Vector) -> Gates:
        """Take the next parts of a vector."""
        shapes = {"weight_ih": (), "weight_hh": (HIDDEN,), "bias_ih": (), "bias_hh": ()}
        parts = {name: vector.take(3, 2, HIDDEN, *rest) for name, rest in shapes.items()}
        for direction, suffix in enumerate(DIRECTIONS):
            for name, part in parts.items():
                vector.views[f"gru.{name}_l0{suffix}"] = part[:, direction]
        return cls(**parts)


class Packed:
    """The GRU's parameters as the one matrix that a time step needs.

    Time step t has one column vector per sample, [h; x; 1], with both directions stacked: h is 12
    numbers, x is x_t and x_{39 - t}. The matrix, (4 · 12, 15), maps it to

        B = (U_n h + c_n) / 2,   r / 2,   z / 2,   A = W_n x + b_n + B

    with r and z before their sigmoids, each of which is (1 + tanh(a / 2)) / 2. The candidate is
    then tanh(A + tanh(r / 2) B).
    """

    def __init__(self) -> None:
        units, width = 2 * HIDDEN, 2 * HIDDEN + 3
        self.matrix = np.zeros((4 * units, width), np.float32)
        self.by_gate = self.matrix.reshape(4, 2, HIDDEN, width)
        self.b, self.b_r_z, self.a = (
            self.matrix[:units],
            self.matrix[: 3 * units],
            self.matrix[3 * units :],
        )
        # Each direction reads only its own h and x: blocks along a diagonal.
        gate, direction, row, column = self.by_gate.strides
        as_strided = np.lib.stride_tricks.as_strided
        self.states = as_strided(
            self.matrix, (4, 2, HIDDEN, HIDDEN), (gate, direction + HIDDEN * column, row, column)
        )
        self.inputs = as_strided(
            self.matrix[:, units:], (4, 2, HIDDEN), (gate, direction + column, row)
        )
        self.ones = self.by_gate[..., -1]

    def fill(self, gates: Gates, half: Array) -> None:
        """Pack the parameters, whose gates are in the order r, z, n."""
        copyto(self.inputs[1:], gates.weight_ih)
        copyto(self.states[0], gates.weight_hh[2])
        copyto(self.states[1:3], gates.weight_hh[:2])
        copyto(self.states[3], np.float32(0))
        copyto(self.ones[0], gates.bias_hh[2])
        copyto(self.ones[1:], gates.bias_ih)
        add(self.ones[1:3], gates.bias_hh[:2], self.ones[1:3])
        multiply(self.b_r_z, half, self.b_r_z)
        add(self.a, self.b, self.a)

    def empty_into(self, gates: Gates, half: Array) -> None:
        """Unpack gradients into those of the parameters."""
        add(self.b, self.a, self.b)
        multiply(self.b_r_z, half, self.b_r_z)
        copyto(gates.weight_ih, self.inputs[1:])
        copyto(gates.weight_hh[2], self.states[0])
        copyto(gates.weight_hh[:2], self.states[1:3])
        copyto(gates.bias_hh[2], self.ones[0])
        copyto(gates.bias_hh[:2], self.ones[1:3])
        copyto(gates.bias_ih, self.ones[1:])


def gru(problem: Training) -> Net:
    """Make a bidirectional GRU over the 40 values, all outputs flattened into linear 480 → 10."""
    parameters, gradients = _vectors(problem)
    x, batch, steps, units = problem.x, len(problem.x), FEATURES, 2 * HIDDEN
    stored, d_stored = Gates.of(parameters), Gates.of(gradients)
    packed, d_packed = Packed(), Packed()
    packed_matrix, d_packed_matrix = packed.matrix, d_packed.matrix
    states = np.zeros((steps + 1, units + 3, batch), np.float32)  # [h; x; 1] before each step
    states[:, -1] = 1
    forward_x, backward_x = states[:-1, units], states[-2::-1, units + 1]
    columns = x.T
    gates, kept = _buffer(steps, 4 * units, batch), _buffer(steps, 2 * units, batch)
    back, d_gates = _buffer(units, 4 * units), _buffer(4 * units, batch)
    slope, product = _buffer(3 * units, batch), np.empty_like(d_packed_matrix)
    dh, carried, scratch = (_buffer(units, batch) for _ in range(3))
    half, one = _number(0.5), _number(1)

    # The outputs, features first; the reverse direction is reversed here.
    weight, bias = _linear(parameters, "linear", CLASSES, steps * units)
    d_weight, d_bias = _linear(gradients, "linear", CLASSES, steps * units)
    outputs = _buffer(steps, units, batch)
    flat, bias, logits = outputs.reshape(-1, batch), bias[:, None], _buffer(CLASSES, batch)
    flat_t, ones = flat.T, np.ones(batch, np.float32)
    halves = (
        (outputs[:, :HIDDEN], states[1:, :HIDDEN]),
        (outputs[:, HIDDEN:], states[:0:-1, HIDDEN:units]),
    )
    # The weights in the order of the loop, so that the gradients of h come in this order.
    turned, d_outputs = _buffer(CLASSES, steps, units), _buffer(steps, units, batch)
    turned_t, d_flat = turned.reshape(CLASSES, -1).T, d_outputs.reshape(-1, batch)
    by_step = weight.reshape(turned.shape)
    turned_halves = (
        (turned[:, :, :HIDDEN], by_step[:, :, :HIDDEN]),
        (turned[:, :, HIDDEN:], by_step[:, ::-1, HIDDEN:]),
    )
    loss_of_logits = cross_entropy(logits, problem.labels)
    forward_views = [
        (state, state[:units], after[:units], g, *_quarters(g), g[units : 3 * units], *_halves(k))
        for state, after, g, k in zip(states[:-1], states[1:], gates, kept, strict=True)
    ]
    backward_views = [
        (d_output, state.T, *_quarters(g)[:2], g[units:], *_halves(k))
        for d_output, state, g, k in zip(d_outputs, states[:-1], gates, kept, strict=True)
    ][::-1]
    d_b, d_r, d_z, d_a = _quarters(d_gates)
    slope_r, slope_z, slope_n = (slope[n * units : (n + 1) * units] for n in range(3))
    packed_states = packed_matrix[:, :units].T
    back_z = back[:, 2 * units : 3 * units]
    d_packed_z = d_packed_matrix[2 * units : 3 * units]
    tanh = np.tanh

    def run_forward() -> None:
        copyto(forward_x, columns)
        copyto(backward_x, columns)
        packed.fill(stored, half)
        for state, h, after, all_gates, b, r, z_half, n, r_z, z, difference in forward_views:
            dot(packed_matrix, state, all_gates)
            tanh(r_z, r_z)
            multiply(r, b, scratch)
            add(n, scratch, n)
            tanh(n, n)
            multiply(z_half, half, z)
            add(z, half, z)
            subtract(h, n, difference)
            multiply(difference, z, scratch)
            add(n, scratch, after)

    def run_backward() -> None:
        copyto(back, packed_states)
        # z = (1 + tanh(z / 2)) / 2: this half is applied here and at the end, not at every step.
        multiply(back_z, half, back_z)
        carried.fill(0)
        d_packed_matrix.fill(0)
        for d_output, state_t, b, r, r_z_n, z, difference in backward_views:
            add(carried, d_output, dh)
            multiply(r_z_n, r_z_n, slope)
            subtract(one, slope, slope)
            multiply(dh, z, carried)
            subtract(dh, carried, scratch)
            multiply(scratch, slope_n, d_a)
            multiply(d_a, r, d_b)
            multiply(d_a, b, scratch)
            multiply(scratch, slope_r, d_r)
            multiply(dh, difference, scratch)
            multiply(scratch, slope_z, d_z)
            dot(back, d_gates, scratch)
            add(carried, scratch, carried)
            dot(d_gates, state_t, product)
            add(d_packed_matrix, product, d_packed_matrix)
        multiply(d_packed_z, half, d_packed_z)
        d_packed.empty_into(d_stored, half)

    def compute() -> Any:
        run_forward()
        for target, source in halves:
            copyto(target, source)
        dot(weight, flat, logits)
        add(logits, bias, logits)
        loss = loss_of_logits()
        dot(logits, flat_t, d_weight)
        dot(logits, ones, d_bias)
        for target, source in turned_halves:
            copyto(target, source)
        dot(turned_t, logits, d_flat)
        run_backward()
        return loss

    return Net(parameters, gradients, compute)


def _quarters(gates: Array) -> list[Array]:
    """Return B, r, z and A of a step's gates."""
    return list(gates.reshape(4, -1, gates.shape[-1]))


def _halves(kept: Array) -> list[Array]:
    """Return z and h - n, which a step keeps."""
    return list(kept.reshape(2, -1, kept.shape[-1]))


NETS: dict[Model, Callable[[Training], Net]] = {
    "logistic": logistic,
    "mlp": mlp,
    "cnn": cnn,
    "gru": gru,
}


# Optimisers: each makes a function that updates one vector.


def sgd(net: Net, learning_rate: float) -> Callable[[], None]:
    """Make the update p ← p - lr g."""
    p, g = net.parameters.array, net.gradients.array
    rate, scratch = _number(learning_rate), np.empty_like(p)

    def update() -> None:
        multiply(g, rate, scratch)
        subtract(p, scratch, p)

    return update


def adam(net: Net, learning_rate: float) -> Callable[[], None]:
    """Make Adam: Kingma & Ba (2015), Algorithm 1, with PyTorch's defaults.

    The corrections are two numbers: √v̂ + ε = (√v + ε √(1 - β₂ᵗ)) / √(1 - β₂ᵗ).
    """
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8
    p, g = net.parameters.array, net.gradients.array
    m, v, scratch = np.zeros_like(p), np.zeros_like(p), np.empty_like(p)
    rest1, rest2 = _number(1 - beta1), _number(1 - beta2)
    rate, small = _number(0), _number(0)
    t = 0

    def update() -> None:
        nonlocal t
        t += 1
        correction = (1 - beta2**t) ** 0.5
        rate[()] = learning_rate * correction / (1 - beta1**t)
        small[()] = epsilon * correction
        subtract(g, m, scratch)
        multiply(scratch, rest1, scratch)
        add(m, scratch, m)
        multiply(g, g, scratch)
        subtract(scratch, v, scratch)
        multiply(scratch, rest2, scratch)
        add(v, scratch, v)
        sqrt(v, scratch)
        add(scratch, small, scratch)
        divide(m, scratch, scratch)
        multiply(scratch, rate, scratch)
        subtract(p, scratch, p)

    return update


OPTIMISERS: dict[str, Callable[[Net, float], Callable[[], None]]] = {"sgd": sgd, "adam": adam}
