"""One layer of gated recurrent units (GRU), in one direction or in both together.

Cho et al. (2014), arXiv:1406.1078, with the reset gate applied after the product, as in the
equations of PyTorch's ``torch.nn.GRU``:

    r  = sigmoid(W_ir x + b_ir + W_hr h + b_hr)          reset gate
    z  = sigmoid(W_iz x + b_iz + W_hz h + b_hz)          update gate
    n  = tanh(W_in x + b_in + r * (W_hn h + b_hn))       candidate
    h' = (1 - z) * n + z * h

At small sizes (batch 100, hidden 6, 40 steps), the time of a step is that of its calls, not of its
arithmetic. Hence:

- *One product per step.* Time step t has one column vector per sample, ``[h; x_t; 1]``, with both
  directions stacked; one packed matrix computes everything linear from it, biases included.
- *Features first, batch last*, so that every gate of a step is one contiguous block: a call on
  contiguous blocks costs 0.9 µs, on strided rows 3 to 4 µs.
- *Sigmoids through tanh*, ``sigmoid(a) = (1 + tanh(a/2)) / 2``, with the halves in the packed
  matrix. For ``n``, the product gives ``B = (W_hn h + b_hn) / 2`` and ``A = W_in x + b_in + B``,
  so ``n = tanh(A + tanh_r * B)`` needs no sigmoid. ``h' = n + z * (h - n)``.
- *Everything else inside the loop*, on buffers that stay in the first-level cache: preparing
  factors for all steps together took longer (27 to 70 µs a factor, against 40 calls of 0.9 µs).

The cost: the packed matrix has zero blocks, through which a NaN in one direction or an infinity in
``x`` reaches the other direction of the same sample. Samples never mix. Wide layers (more than
``STACKED``), where arithmetic dominates, run their directions one after the other.
"""

from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

from . import Array, Namespace

__all__ = ["Residual", "backward", "forward"]

STACKED = 32
"""The largest number of hidden units plus inputs for which both directions share one product."""

PARAMETERS = 4
"""weight_ih, weight_hh, bias_ih, bias_hh, for each direction."""


class Layout(NamedTuple):
    """The directions of a run, and their widths; S is the number of directions in the run."""

    reverse: tuple[bool, ...]
    features: int
    hidden: int

    @property
    def units(self) -> int:
        """S * H: rows of the state, and of each gate."""
        return len(self.reverse) * self.hidden

    @property
    def width(self) -> int:
        """Rows of ``[h; x; 1]``."""
        return self.units + len(self.reverse) * self.features + 1

    def states(self, direction: int) -> slice:
        """Return the rows of one direction's h."""
        return slice(direction * self.hidden, (direction + 1) * self.hidden)

    def inputs(self, direction: int) -> slice:
        """Return the rows of one direction's x."""
        start = self.units + direction * self.features
        return slice(start, start + self.features)


class Run(NamedTuple):
    """What backward needs of directions that ran together; steps in the order of the loop."""

    layout: Layout
    packed: Array
    """(4 * units, width), rows B, r, z, A."""
    states: Array
    """(T + 1, width, N): ``[h; x; 1]`` before each step."""
    gates: Array
    """(T, 4 * units, N): B, tanh_r, tanh_z, n."""
    update: Array
    """(T, units, N): z."""
    difference: Array
    """(T, units, N): h - n."""


Residual = tuple[Run, ...]


def forward(xp: Namespace, x: Array, h0: Array, *parameters: Array) -> tuple[Array, Residual]:
    """Return the states after every step, and the residual.

    Shapes: ``x`` (N, T, input); ``h0`` (directions, N, hidden); for each direction weight_ih
    (3 * hidden, input), weight_hh (3 * hidden, hidden), bias_ih and bias_hh (3 * hidden,), gates
    in the order r, z, n. Result (N, T, directions * hidden), in memory (T, features, N).
    """
    directions, batch, hidden = h0.shape
    out = xp.empty((x.shape[1], directions * hidden, batch), dtype=x.dtype)
    runs = []
    for held in _grouped(directions, hidden + x.shape[2]):
        layout = Layout(tuple(d == 1 for d in held), x.shape[2], hidden)
        mine = [parameters[PARAMETERS * d : PARAMETERS * (d + 1)] for d in held]
        initial = h0[held[0] : held[-1] + 1]
        run = _start(xp, layout, x, initial, _pack(xp, layout, mine, x.dtype))
        _forward_steps(xp, run)
        for place, d in enumerate(held):
            after = run.states[1:, layout.states(place)]
            out[:, d * hidden : (d + 1) * hidden] = _flip_time(after, layout.reverse[place])
        runs.append(run)
    return out.transpose(2, 0, 1), tuple(runs)


def _grouped(directions: int, width: int) -> list[list[int]]:
    """Return the directions that run together: all, or each alone where the layer is wide."""
    everyone = list(range(directions))
    return [everyone] if width <= STACKED else [[d] for d in everyone]


def _flip_time(steps: Array, reverse: bool) -> Array:
    """Return (T, …) reversed if ``reverse``: from the order of time to that of the loop or back."""
    return steps[::-1] if reverse else steps


def _pack(
    xp: Namespace, layout: Layout, parameters: Sequence[Sequence[Array]], dtype: object
) -> Array:
    """Return the matrix that turns ``[h; x; 1]`` into B, r/2, z/2 and A: (4 * units, width)."""
    hidden, units = layout.hidden, layout.units
    packed = xp.zeros((4 * units, layout.width), dtype=dtype)
    gates = packed.reshape(4, len(layout.reverse), hidden, layout.width)
    for d, (weight_ih, weight_hh, bias_ih, bias_hh) in enumerate(parameters):
        rows, states = gates[:, d], layout.states(d)
        rows[1:, :, layout.inputs(d)] = weight_ih.reshape(3, hidden, -1)
        rows[1:, :, -1] = bias_ih.reshape(3, hidden)
        rows[0, :, states] = weight_hh[2 * hidden :]
        rows[0, :, -1] = bias_hh[2 * hidden :]
        rows[1:3, :, states] = weight_hh[: 2 * hidden].reshape(2, hidden, hidden)
        rows[1:3, :, -1] += bias_hh[: 2 * hidden].reshape(2, hidden)
    packed[: 3 * units] *= 0.5
    packed[3 * units :] += packed[:units]
    return packed


def _unpack(xp: Namespace, layout: Layout, d_packed: Array) -> list[Array]:
    """Return the gradients of the parameters from that of the packed matrix; adjoint of _pack."""
    hidden, units = layout.hidden, layout.units
    d_packed[:units] += d_packed[3 * units :]
    d_packed[: 3 * units] *= 0.5
    gates = d_packed.reshape(4, len(layout.reverse), hidden, layout.width)
    gradients = []
    for d in range(len(layout.reverse)):
        from_x = gates[1:, d]
        from_h = xp.concatenate((gates[1:3, d], gates[:1, d]))
        gradients += [
            from_x[:, :, layout.inputs(d)].reshape(3 * hidden, -1),
            from_h[:, :, layout.states(d)].reshape(3 * hidden, -1),
            from_x[:, :, -1].reshape(-1),
            from_h[:, :, -1].reshape(-1),
        ]
    return gradients


def _start(xp: Namespace, layout: Layout, x: Array, h0: Array, packed: Array) -> Run:
    """Return the buffers of a run, with ``x``, the ones and the initial state in place."""
    batch, length, _ = x.shape
    units, dtype = layout.units, x.dtype
    states = xp.empty((length + 1, layout.width, batch), dtype=dtype)
    states[0, :units] = h0.transpose(0, 2, 1).reshape(units, batch)
    states[:, -1] = 1
    steps = x.transpose(1, 2, 0)
    for d, reverse in enumerate(layout.reverse):
        states[:length, layout.inputs(d)] = _flip_time(steps, reverse)
    gates = xp.empty((length, 4 * units, batch), dtype=dtype)
    update = xp.empty((length, units, batch), dtype=dtype)
    difference = xp.empty_like(update)
    return Run(layout, packed, states, gates, update, difference)


def _forward_steps(xp: Namespace, run: Run) -> None:
    """Fill the buffers of a run, step by step."""
    units, states = run.layout.units, run.states
    half = xp.asarray(0.5, dtype=states.dtype)
    scratch = xp.empty_like(run.update[0])
    dot, tanh, add, multiply, subtract = xp.dot, xp.tanh, xp.add, xp.multiply, xp.subtract
    steps = zip(states, states[1:, :units], run.gates, run.update, run.difference, strict=False)
    for state, after, gates, z, difference in steps:
        dot(run.packed, state, gates)
        tanh_rz, candidate = gates[units : 3 * units], gates[3 * units :]
        tanh(tanh_rz, tanh_rz)
        multiply(tanh_rz[:units], gates[:units], scratch)
        add(candidate, scratch, candidate)
        tanh(candidate, candidate)
        multiply(tanh_rz[units:], half, z)
        add(z, half, z)
        subtract(state[:units], candidate, difference)
        multiply(difference, z, scratch)
        add(candidate, scratch, after)


def backward(
    xp: Namespace, g: Array, residual: Residual, needs: Sequence[bool] | None = None
) -> tuple[Array | None, ...]:
    """Return the gradients of ``x``, ``h0`` and every parameter, in the order of ``forward``.

    ``g`` has the shape of the result, (N, T, directions * hidden). ``needs`` tells which gradients
    to compute (all, if None); the others are None.
    """
    hidden = residual[0].layout.hidden
    steps = g.transpose(1, 2, 0)
    d_x: list[Array] = []
    d_h0: list[Array] = []
    d_parameters: list[Array] = []
    count = sum(len(run.layout.reverse) for run in residual)
    needs = needs or (True,) * (2 + PARAMETERS * count)
    for run in residual:
        first = len(d_h0) * hidden
        mine = _contiguous_in_loop_order(xp, run.layout, steps[:, first : first + run.layout.units])
        d_linear, d_initial, d_packed = _sweep(xp, run, mine, needs[0], any(needs[2:]))
        for d, reverse in enumerate(run.layout.reverse):
            d_h0.append(d_initial[run.layout.states(d)].T)
            if needs[0]:
                d_x.append(_flip_time(d_linear[:, run.layout.inputs(d)], reverse))
        d_parameters += _unpack(xp, run.layout, d_packed)
    dx = (d_x[0] if len(d_x) == 1 else d_x[0] + d_x[1]).transpose(2, 0, 1) if needs[0] else None
    dh0 = xp.stack(d_h0) if needs[1] else None
    gradients = (dx, dh0, *d_parameters)
    return tuple(d if need else None for d, need in zip(gradients, needs, strict=True))


def _contiguous_in_loop_order(xp: Namespace, layout: Layout, steps: Array) -> Array:
    """Return (T, units, N), contiguous, with the steps of reverse directions reversed."""
    ordered = xp.empty(steps.shape, dtype=steps.dtype)
    for d, reverse in enumerate(layout.reverse):
        rows = layout.states(d)
        ordered[:, rows] = _flip_time(steps[:, rows], reverse)
    return ordered


def _sweep(
    xp: Namespace, run: Run, g: Array, needs_x: bool, needs_parameters: bool
) -> tuple[Array, Array, Array]:
    """Sweep a run backwards: ``g`` (T, units, N) in the order of the loop.

    Return the gradients of ``[h; x]`` through each step's product, (T, units + inputs, N), only
    the last step's h if ``x`` needs none; of the initial state, (units, N); of the packed matrix.
    """
    units = run.layout.units
    wanted = slice(0, run.layout.width - 1 if needs_x else units)
    back = xp.ascontiguousarray(run.packed[:, wanted].T)
    d_linear = xp.empty((len(g) if needs_x else 1, *back.shape[:1], g.shape[2]), dtype=g.dtype)
    d_packed = xp.zeros_like(run.packed)
    # z = (1 + tanh_z) / 2: this half is applied here and to d_packed, not at every step.
    back[:, 2 * units : 3 * units] *= 0.5
    d_initial = _backward_steps(xp, run, g, back, d_linear, d_packed, needs_parameters)
    d_packed[2 * units : 3 * units] *= 0.5
    return d_linear, d_initial, d_packed


def _backward_steps(
    xp: Namespace,
    run: Run,
    g: Array,
    back: Array,
    d_linear: Array,
    d_packed: Array,
    needs_parameters: bool,
) -> Array:
    """Fill ``d_linear`` and add up ``d_packed``, last step first; return d_initial."""
    units, tail = run.layout.units, g.shape[1:]
    one = xp.asarray(1, dtype=g.dtype)
    d_gates = xp.empty((4 * units, tail[1]), dtype=g.dtype)
    slope = xp.empty((3 * units, tail[1]), dtype=g.dtype)
    d_b, d_r, d_z, d_a = d_gates.reshape(4, *tail)
    slope_r, slope_z, slope_n = slope.reshape(3, *tail)
    carried = xp.zeros(tail, dtype=g.dtype)
    dh = xp.empty_like(carried)
    scratch = xp.empty_like(carried)
    product = xp.empty_like(d_packed)
    dot, add, multiply, subtract = xp.dot, xp.add, xp.multiply, xp.subtract
    into = d_linear[::-1] if len(d_linear) == len(g) else repeat(d_linear[0])
    saved = (run.states[-2::-1], run.gates[::-1], run.update[::-1], run.difference[::-1])
    for g_t, d_hx, state, gates, z, difference in zip(g[::-1], into, *saved, strict=False):
        add(carried, g_t, dh)
        tanh_rzn = gates[units:]
        multiply(tanh_rzn, tanh_rzn, slope)
        subtract(one, slope, slope)
        multiply(dh, z, carried)
        subtract(dh, carried, scratch)
        multiply(scratch, slope_n, d_a)
        multiply(d_a, tanh_rzn[:units], d_b)
        multiply(d_a, gates[:units], scratch)
        multiply(scratch, slope_r, d_r)
        multiply(dh, difference, scratch)
        multiply(scratch, slope_z, d_z)
        dot(back, d_gates, d_hx)
        add(carried, d_hx[:units], carried)
        if needs_parameters:
            dot(d_gates, state.T, product)
            add(d_packed, product, d_packed)
    return carried
