"""The fused kernels against loops that spell the definitions out, and against PyTorch.

References are written for clarity: plain loops over samples, steps and taps. Their gradients come
from the complex step, f'(x) = Im f(x + ih) / h (Squire and Trapp, 1998), which has no cancellation,
so float64 kernels are tested to 1e-10.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_lab.backends import NUMPY
from tinygrad_lab.ops.arguments.windows import windows_of
from tinygrad_lab.ops.kernels import conv, cross_entropy, gru, linear, max_pool
from tinygrad_lab.ops.kernels.windows import Windows, view

Array = Any
TIGHT: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}
few = settings(max_examples=20, deadline=None)


class Proxy:
    """A namespace that is not NumPy itself, as in the engine."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@pytest.fixture
def torch() -> ModuleType:
    module: ModuleType = pytest.importorskip("torch")
    return module


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def in_order(x: Array, order: str) -> Array:
    """Return the values in another memory order, read-only, so that a kernel that writes fails."""
    if order == "C":
        x = np.ascontiguousarray(x)
    elif order == "F":
        x = np.asfortranarray(x)
    elif order == "last":
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1)).swapaxes(1, -1) if x.ndim == 3 else x
    else:  # every second element of something larger
        larger = np.full(tuple(2 * n for n in x.shape), np.nan, dtype=x.dtype)
        larger[tuple(slice(None, None, 2) for _ in x.shape)] = x
        x = larger[tuple(slice(None, None, 2) for _ in x.shape)]
    view: Array = x[...]
    view.flags.writeable = False
    return view


ORDERS = ("C", "F", "last", "strided")
orders = st.sampled_from(ORDERS)


def complex_step(function: Callable[..., Array], inputs: Sequence[Array], g: Array) -> list[Array]:
    """Compute the gradients of ``sum(g * function(*inputs))``, element by element."""
    gradients = []
    for position, x in enumerate(inputs):
        gradient = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            moved = [y.astype(complex) for y in inputs]
            moved[position][index] += 1e-30j
            gradient[index] = np.sum(g * function(*moved)).imag / 1e-30
        gradients.append(gradient)
    return gradients


def assert_all_close(actual: Sequence[Array], expected: Sequence[Array], **tolerance: Any) -> None:
    assert len(actual) == len(expected)
    for position, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert a.shape == e.shape, position
        np.testing.assert_allclose(a, e, err_msg=f"gradient {position}", **(tolerance or TIGHT))


def arrays_in(value: Any) -> Iterator[Array]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from arrays_in(item)


def assert_masked(backward: Callable[[tuple[bool, ...]], Sequence[Array]], count: int) -> None:
    """Check that each mask gives None for unneeded gradients and does not change the others."""
    full = backward((True,) * count)
    masks = list(product((True, False), repeat=count))
    for mask in masks if count <= 3 else masks[:: len(masks) // 40]:
        for need, got, expected in zip(mask, backward(mask), full, strict=True):
            assert (got is not None) == need
            if need:
                np.testing.assert_allclose(got, expected, **TIGHT)


# --- relu ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("g_order", ORDERS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_relu(order: str, g_order: str, dtype: type) -> None:
    x = in_order(rng().standard_normal((3, 4, 5)).astype(dtype), order)
    g = in_order(rng(1).standard_normal((3, 4, 5)).astype(dtype), g_order)
    out = NUMPY.relu(x)
    dx = NUMPY.where_positive(out, g)
    np.testing.assert_array_equal(out, np.where(x > 0, x, 0))
    np.testing.assert_array_equal(dx, np.where(x > 0, g, 0))
    assert out.dtype == dx.dtype == dtype
    assert dx.strides == out.strides


def test_relu_of_special_values() -> None:
    x = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324])
    out = NUMPY.relu(x)
    np.testing.assert_array_equal(out, [np.nan, np.nan, np.inf, 0, 0, 0, 5e-324, 0])
    g = np.full(8, np.nan)
    np.testing.assert_array_equal(NUMPY.where_positive(out, g)[3:], [0, 0, 0, np.nan, 0])
    np.testing.assert_array_equal(NUMPY.where_positive(np.array([-0.0, 0.0]), np.ones(2)), [0, 0])


@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 3)])
def test_relu_of_small_shapes(shape: tuple[int, ...]) -> None:
    x = np.ones(shape, dtype=np.float32)
    out = NUMPY.relu(x)
    assert out.shape == NUMPY.where_positive(out, x).shape == shape
    np.testing.assert_array_equal(NUMPY.where_positive(out, x), x)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_relu_in_either_order_of_bytes(dtype: str) -> None:
    x = np.arange(-2.0, 3.0).astype(dtype)
    np.testing.assert_array_equal(NUMPY.where_positive(x, x), [0, 0, 0, 1, 2])


# --- linear -------------------------------------------------------------------------------------


def naive_linear(x: Array, weight: Array, bias: Array) -> Array:
    out = np.zeros((*x.shape[:-1], weight.shape[0]), dtype=x.dtype)
    for index in np.ndindex(out.shape):
        out[index] = sum(x[index[:-1]] * weight[index[-1]]) + bias[index[-1]]
    return out


@few
@given(
    batch=st.lists(st.integers(1, 3), max_size=2).map(tuple),
    features=st.integers(1, 4),
    outputs=st.integers(1, 3),
    order=orders,
    g_order=orders,
    narrow=st.sampled_from([0, 32]),
)
def test_linear(
    batch: tuple[int, ...], features: int, outputs: int, order: str, g_order: str, narrow: int
) -> None:
    x, weight, bias = (
        rng(i).standard_normal(s)
        for i, s in enumerate(((*batch, features), (outputs, features), (outputs,)))
    )
    g = rng(3).standard_normal((*batch, outputs))
    inputs = [in_order(v, order) for v in (x, weight, bias)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "NARROW", narrow)
        out = linear.forward(np, *inputs)
        np.testing.assert_allclose(out, naive_linear(x, weight, bias), **TIGHT)
        bare = linear.forward(np, inputs[0], inputs[1], None)
        np.testing.assert_allclose(bare, naive_linear(x, weight, 0 * bias), **TIGHT)
    gradients = linear.backward(np, in_order(g, g_order), inputs[0], inputs[1])
    assert_all_close(gradients, complex_step(naive_linear, (x, weight, bias), g))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("g_order", ORDERS)
@pytest.mark.parametrize("outputs", [3, 40])
def test_linear_in_memory_orders(order: str, g_order: str, outputs: int) -> None:
    shapes = ((5, 4), (outputs, 4), (5, outputs))
    x, weight, g = (rng(i).standard_normal(s) for i, s in enumerate(shapes))
    out = linear.forward(np, in_order(x, order), weight, None)
    np.testing.assert_allclose(out, naive_linear(x, weight, np.zeros(outputs)), **TIGHT)
    assert out.flags.f_contiguous == (outputs <= linear.NARROW)
    gradients: Sequence[Array] = linear.backward(
        np, in_order(g, g_order), in_order(x, order), weight
    )
    expected = complex_step(naive_linear, (x, weight, np.zeros(outputs)), g)
    assert_all_close(gradients, expected)
    assert gradients[0].flags.f_contiguous == (order == "F")


def test_linear_gives_long_matrices_features_first_but_not_long_sequences() -> None:
    x, weight = np.ones((linear.LONG, 2)), np.ones((linear.NARROW + 1, 2))
    assert linear.forward(np, x, weight, None).flags.f_contiguous
    assert linear.forward(np, x[1:], weight, None).flags.c_contiguous
    assert linear.forward(np, x.reshape(2, -1, 2), weight, None).flags.c_contiguous


def test_linear_masks() -> None:
    x, weight, g = (rng(i).standard_normal(s) for i, s in enumerate(((5, 4), (3, 4), (5, 3))))
    assert_masked(lambda needs: linear.backward(np, g, x, weight, needs), 3)


# --- cross-entropy ------------------------------------------------------------------------------


def naive_cross_entropy(logits: Array, labels: Array) -> Array:
    losses = [np.log(sum(np.exp(row))) - row[y] for row, y in zip(logits, labels, strict=True)]
    return sum(losses) / len(losses)


@few
@given(samples=st.integers(1, 5), classes=st.integers(1, 6), order=orders, seed=st.integers(0, 99))
def test_cross_entropy(samples: int, classes: int, order: str, seed: int) -> None:
    logits = rng(seed).standard_normal((samples, classes))
    labels = rng(seed).integers(0, classes, samples)
    loss, residual = cross_entropy.forward(NUMPY, in_order(logits, order), labels)
    assert np.shape(loss) == ()
    np.testing.assert_allclose(loss, naive_cross_entropy(logits, labels), **TIGHT)
    g = np.array(0.7)
    expected = complex_step(lambda x: naive_cross_entropy(x, labels), (logits,), g)
    assert_all_close([cross_entropy.backward(NUMPY, g, residual)], expected)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_cross_entropy_takes_any_integer_labels(dtype: str) -> None:
    logits, labels = rng().standard_normal((300, 10)), rng().integers(0, 10, 300)
    loss, _ = cross_entropy.forward(NUMPY, logits, labels.astype(dtype))
    np.testing.assert_allclose(loss, naive_cross_entropy(logits, labels), **TIGHT)


def test_cross_entropy_is_stable() -> None:
    logits = np.array([[1e4, 0, -1e4], [-1e4, -1e4 - 1, -2e4]], dtype=np.float32)
    loss, residual = cross_entropy.forward(NUMPY, logits, np.array([1, 0]))
    np.testing.assert_allclose(loss, (1e4 + np.log1p(np.exp(-1))) / 2, rtol=1e-6)
    p = 1 / (1 + np.exp(-1))
    expected = np.array([[1, -1, 0], [p - 1, 1 - p, 0]]) / 2
    gradient = cross_entropy.backward(NUMPY, np.float32(1), residual)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-12)


# --- convolution and pooling ----------------------------------------------------------------------


def naive_conv(x: Array, weight: Array, bias: Array, *, windows: Windows, groups: int) -> Array:
    outputs, channels, *kernel = weight.shape
    out = np.zeros((len(x), outputs, *windows.count), dtype=np.result_type(x, weight, bias))
    settings = list(
        zip(windows.stride, windows.dilation, windows.padding, windows.size, strict=True)
    )
    for n, o, *place in np.ndindex(out.shape):
        out[n, o, *place] = bias[o]
        first = o // (outputs // groups) * channels
        for c, *tap in np.ndindex(channels, *kernel):
            position = [
                i * s + k * d - before
                for i, k, (s, d, (before, _), _) in zip(place, tap, settings, strict=True)
            ]
            if all(0 <= i < size for i, (*_, size) in zip(position, settings, strict=True)):
                out[n, o, *place] += weight[o, c, *tap] * x[n, first + c, *position]
    return out


@st.composite
def windows(draw: st.DrawFn, axes: int | None = None) -> Windows:
    """Draw windows over one axis or two; elements may be left over behind the last."""
    axes = axes or draw(st.integers(1, 2))
    kernel, stride, dilation = (
        tuple(draw(st.integers(1, most)) for _ in range(axes)) for most in (3, 3, 2)
    )
    edges = tuple(draw(st.integers(0, 2)) for _ in range(axes))
    spans = (d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    shortest = (max(1, span - 2 * edge) for span, edge in zip(spans, edges, strict=True))
    size = tuple(n + draw(st.integers(0, 4)) for n in shortest)
    return windows_of(size, kernel, stride=stride, padding=edges, dilation=dilation)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[list[Array], dict[str, Any]]:
    """Draw x, weight and bias, and the settings."""
    over = draw(windows())
    batch, groups, channels, outputs = (draw(st.integers(1, most)) for most in (2, 2, 3, 3))
    shapes = [
        (batch, groups * channels, *over.size),
        (groups * outputs, channels, *over.kernel),
        (groups * outputs,),
    ]
    seed = draw(st.integers(0, 99))
    arrays = [rng(seed + i).standard_normal(shape) for i, shape in enumerate(shapes)]
    return arrays, {"windows": over, "groups": groups}


@settings(max_examples=60, deadline=None)
@given(case=convolutions(), order=orders, g_order=orders, xp=st.sampled_from([np, Proxy()]))
def test_conv(case: Any, order: str, g_order: str, xp: Any) -> None:
    arrays, sizes = case
    x, weight, bias = arrays
    inputs = [in_order(v, order) for v in arrays]
    expected = naive_conv(x, weight, bias, **sizes)
    out, residual = conv.forward(xp, *inputs, **sizes)
    np.testing.assert_allclose(out, expected, **TIGHT)
    bare, without = conv.forward(xp, inputs[0], inputs[1], None, **sizes)
    by_channel = bias.reshape(-1, *[1] * (x.ndim - 2))
    np.testing.assert_allclose(bare, expected - by_channel, **TIGHT)

    g = rng(3).standard_normal(out.shape)
    gradients = conv.backward(xp, in_order(g, g_order), inputs[1], residual)
    assert [d.shape for d in gradients] == [v.shape for v in arrays]
    if x.size * expected.size <= 400:
        reference = complex_step(lambda *v: naive_conv(*v, **sizes), arrays, g)
        assert_all_close(gradients, reference)
    # Larger cases are checked by linearity in each input: <g, A v> = <A' g, v>.
    for position in (0, 1):
        v = rng(4).standard_normal(arrays[position].shape)
        moved = [x, weight, 0 * bias]
        moved[position] = v
        both = np.sum(g * naive_conv(*moved, **sizes)), np.sum(gradients[position] * v)
        np.testing.assert_allclose(*both, **TIGHT)
    unbiased = conv.backward(xp, g, inputs[1], without)
    assert_all_close(unbiased[:2], gradients[:2])
    assert unbiased[2] is None


@settings(max_examples=60, deadline=None)
@given(case=convolutions(), order=orders, g_order=orders, xp=st.sampled_from([np, Proxy()]))
def test_transposed_conv(case: Any, order: str, g_order: str, xp: Any) -> None:
    """Check against the gradient of the convolution by its input, and linearity in each input."""
    (v, weight, _), sizes = case
    out, residual = conv.forward(np, v, weight, None, **sizes)
    x, bias = rng(5).standard_normal(out.shape), rng(6).standard_normal(v.shape[1])
    by_channel = bias.reshape(-1, *[1] * (v.ndim - 2))
    inputs = [in_order(one, order) for one in (x, weight, bias)]
    found = conv.transposed_forward(xp, *inputs, **sizes)
    expected = conv.backward(np, x, weight, residual)[0]
    np.testing.assert_allclose(found, expected + by_channel, **TIGHT)

    g = rng(7).standard_normal(found.shape)
    gradients = conv.transposed_backward(xp, in_order(g, g_order), *inputs[:2], **sizes)
    for gradient, one in zip(gradients, inputs, strict=True):
        assert gradient is not None
        assert gradient.shape == one.shape
    of_x, of_weight, of_bias = gradients
    total = np.sum(g * (found - by_channel))
    np.testing.assert_allclose(np.sum(of_x * x), total, **TIGHT)
    np.testing.assert_allclose(np.sum(of_weight * weight), total, **TIGHT)
    np.testing.assert_allclose(np.sum(of_bias * bias), np.sum(g * by_channel), **TIGHT)


@settings(max_examples=60, deadline=None)
@given(case=convolutions())
def test_both_ways_back_through_a_convolution_agree(case: Any) -> None:
    (v, weight, _), sizes = case
    out, _ = conv.forward(np, v, weight, None, **sizes)
    g = rng(3).standard_normal((len(v), *out.shape[2:], out.shape[1]))
    found = [
        way(np, g, weight, sizes["windows"], sizes["groups"])
        for way in (conv._by_taps, conv._by_blocks, conv.transposed)
    ]
    np.testing.assert_allclose(found[0], found[1], **TIGHT)
    np.testing.assert_allclose(found[0], found[2], **TIGHT)


def over(*size: int, kernel: int = 3, stride: int = 2, padding: int = 1) -> Windows:
    lengths = (kernel,) * len(size)
    return windows_of(size, lengths, stride=stride, padding=padding, dilation=1)


@pytest.mark.parametrize("size", [(8,), (8, 7)])
def test_conv_masks_and_memory_order(size: tuple[int, ...]) -> None:
    sizes: dict[str, Any] = {"windows": over(*size), "groups": 1}
    x, weight, bias = (
        rng(i).standard_normal(s)
        for i, s in enumerate(((2, 3, *size), (4, 3, *[3] * len(size)), (4,)))
    )
    out, residual = conv.forward(np, x, weight, bias, **sizes)
    assert np.moveaxis(out, 1, -1).flags.c_contiguous
    g = rng(3).standard_normal(out.shape)
    assert_masked(lambda needs: conv.backward(np, g, weight, residual, needs), 3)
    bias = bias[:3]
    assert_masked(lambda needs: conv.transposed_backward(np, x, g, weight, needs=needs, **sizes), 3)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_conv_leaves_a_rest(kernel: int, stride: int, padding: int) -> None:
    """Check <g, conv(v)> = <gradient(g), v> with elements left over behind the last window."""
    weight, bias = rng().standard_normal((2, 2, kernel)), np.zeros(2)
    for length in range(max(1, kernel - 2 * padding), 10):
        v = rng(length).standard_normal((2, 2, length))
        windows = over(length, kernel=kernel, stride=stride, padding=padding)
        out, residual = conv.forward(np, v, weight, bias, windows=windows, groups=1)
        expected = naive_conv(v, weight, bias, windows=windows, groups=1)
        np.testing.assert_allclose(out, expected, **TIGHT)
        g = rng(1).standard_normal(out.shape)
        dv: Array = conv.backward(np, g, weight, residual)[0]
        assert dv.shape == v.shape
        np.testing.assert_allclose(np.sum(g * expected), np.sum(dv * v), **TIGHT)


def test_a_view_of_windows() -> None:
    x = np.arange(14.0).reshape(1, 7, 2)
    expected = np.stack([x[0, i : i + 3] for i in (0, 2, 4)])[None, None]
    windows = over(7, padding=0)
    seen = view(np, x, windows)
    np.testing.assert_array_equal(seen, expected)
    assert np.shares_memory(seen, x)

    # Arrays of other libraries go through as_strided of their own.
    class Other:
        shape, strides = x.shape, x.strides

    def as_strided(_: Other, shape: Any, strides: Any) -> Array:
        return np.lib.stride_tricks.as_strided(x, shape, strides)

    library = SimpleNamespace(
        lib=SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=as_strided))
    )
    np.testing.assert_array_equal(view(library, Other(), windows), expected)


def naive_max_pool(x: Array, windows: Windows) -> tuple[Array, Array, Array]:
    """Return the maxima, the place in x of the first element that has each, and whether one has."""
    lead = x.shape[: x.ndim - len(windows.size)]
    out = np.full((*lead, *windows.count), -np.inf)
    places = np.zeros((*out.shape, x.ndim), dtype=int)
    found = np.zeros(out.shape, dtype=bool)  # windows of padding alone have no maximum
    settings = list(zip(windows.stride, windows.dilation, windows.padding, strict=True))
    for place in np.ndindex(out.shape):
        for tap in np.ndindex(windows.kernel):
            spot = [
                i * s + k * d - before
                for i, k, (s, d, (before, _)) in zip(place[len(lead) :], tap, settings, strict=True)
            ]
            inside = all(0 <= i < n for i, n in zip(spot, windows.size, strict=True))
            index = (*place[: len(lead)], *spot)
            if inside and (x[index] > out[place] or not found[place]):
                out[place], places[place], found[place] = x[index], index, True
    return out, places, found


@settings(max_examples=60, deadline=None)
@given(
    over=windows().filter(
        lambda w: all(p[0] <= k // 2 for p, k in zip(w.padding, w.kernel, strict=True))
    ),
    lead=st.lists(st.integers(1, 2), max_size=2),
    seed=st.integers(0, 99),
    xp=st.sampled_from([np, Proxy()]),
    lowest=st.sampled_from([-3, -1, 1, 3]),
)
def test_max_pool(over: Windows, lead: list[int], seed: int, xp: Any, lowest: int) -> None:
    # Few distinct numbers, so that many windows have ties.
    x = rng(seed).integers(-2, 3, size=(*lead, *over.size)).astype(float)
    x[x <= lowest] = -np.inf
    expected, places, in_x = naive_max_pool(x, over)
    out, residual = max_pool.forward(xp, x, over)
    np.testing.assert_array_equal(out, expected)
    g = rng(3).standard_normal(out.shape)
    wanted = np.zeros_like(x)
    for place in np.ndindex(out.shape):
        if in_x[place]:
            wanted[tuple(places[place])] += g[place]
    np.testing.assert_allclose(max_pool.backward(xp, g, residual), wanted, **TIGHT)


def test_max_pool_lies_in_the_order_of_x_and_lets_nan_win() -> None:
    x = rng().standard_normal((2, 5, 6, 3)).transpose(0, 3, 1, 2)
    out, residual = max_pool.forward(np, x, over(5, 6))
    assert out.transpose(0, 2, 3, 1).flags.c_contiguous
    assert max_pool.backward(np, out, residual).transpose(0, 2, 3, 1).strides[-1] == x.itemsize
    x = np.array([[1.0, np.nan, 3.0, 4.0]])
    found, _ = max_pool.forward(np, x, over(4, kernel=2, padding=0))
    np.testing.assert_array_equal(found, [[np.nan, 4.0]])


# --- gru ----------------------------------------------------------------------------------------


def naive_gru(x: Array, h0: Array, *parameters: Array) -> Array:
    """Run PyTorch's equations, one direction, one step and one gate at a time."""
    hidden = h0.shape[2]
    outs = []
    for d, h in enumerate(h0):
        weight_ih, weight_hh, bias_ih, bias_hh = parameters[4 * d : 4 * d + 4]
        steps = [x[:, t] for t in range(x.shape[1])]
        states = []
        for x_t in steps[::-1] if d else steps:
            from_x, from_h = x_t @ weight_ih.T + bias_ih, h @ weight_hh.T + bias_hh
            (x_r, x_z, x_n), (h_r, h_z, h_n) = (
                [a[:, i * hidden : (i + 1) * hidden] for i in range(3)] for a in (from_x, from_h)
            )
            r, z = 1 / (1 + np.exp(-x_r - h_r)), 1 / (1 + np.exp(-x_z - h_z))
            n = np.tanh(x_n + r * h_n)
            h = (1 - z) * n + z * h
            states.append(h)
        outs.append(np.stack(states[::-1] if d else states, axis=1))
    return np.concatenate(outs, axis=2)


def gru_inputs(
    batch: int, length: int, features: int, hidden: int, directions: int, seed: int = 0
) -> list[Array]:
    of_one = ((3 * hidden, features), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,))
    shapes = ((batch, length, features), (directions, batch, hidden), *of_one * directions)
    return [rng(seed + i).standard_normal(shape) for i, shape in enumerate(shapes)]


@few
@given(
    sizes=st.tuples(*(st.integers(1, 3) for _ in range(4))),
    directions=st.integers(1, 2),
    order=orders,
    g_order=orders,
    stacked=st.sampled_from([0, 32]),
    xp=st.sampled_from([np, Proxy()]),
)
def test_gru(
    sizes: tuple[int, int, int, int],
    directions: int,
    order: str,
    g_order: str,
    stacked: int,
    xp: Any,
) -> None:
    inputs = gru_inputs(*sizes, directions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gru, "STACKED", stacked)
        out, residual = gru.forward(xp, *(in_order(v, order) for v in inputs))
    assert len(residual) == (1 if stacked else directions)
    np.testing.assert_allclose(out, naive_gru(*inputs), **TIGHT)
    g = rng(99).standard_normal(out.shape)
    gradients = gru.backward(xp, in_order(g, g_order), residual)
    assert_all_close(gradients, complex_step(naive_gru, inputs, g))


@pytest.mark.parametrize("stacked", [0, 32])
def test_gru_masks(stacked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gru, "STACKED", stacked)
    out, residual = gru.forward(np, *gru_inputs(2, 3, 2, 2, 2))
    g = rng(99).standard_normal(out.shape)
    assert_masked(lambda needs: gru.backward(np, g, residual, needs), 10)


def test_gru_saturates_without_overflow() -> None:
    inputs = gru_inputs(3, 4, 2, 3, 2)
    inputs[0] = 1e4 * inputs[0]
    with np.errstate(all="raise"):
        out, residual = gru.forward(np, *inputs)
        gradients: Sequence[Array] = gru.backward(np, np.ones_like(out), residual)
    assert np.isfinite(out).all()
    assert all(np.isfinite(d).all() for d in gradients)


def test_gru_output_flattens_without_a_copy() -> None:
    out, _ = gru.forward(np, *gru_inputs(5, 4, 1, 3, 2))
    assert np.shares_memory(out.reshape(5, -1), out)


# --- all of them --------------------------------------------------------------------------------


def run_linear(dtype: Any) -> tuple[list[Array], Any, Any]:
    inputs = [rng(i).standard_normal(s).astype(dtype) for i, s in enumerate(((6, 4), (3, 4), (3,)))]
    out = linear.forward(np, inputs[0], inputs[1], inputs[2])
    return inputs, out, (out, lambda: linear.backward(np, out, inputs[0], inputs[1]))


def run_cross_entropy(dtype: Any) -> tuple[list[Array], Any, Any]:
    logits = rng().standard_normal((6, 4)).astype(dtype)
    loss, residual = cross_entropy.forward(NUMPY, logits, np.array([0, 1, 2, 3, 0, 1]))
    return [logits], loss, (residual, lambda: cross_entropy.backward(NUMPY, loss, residual))


def run_conv(dtype: Any) -> tuple[list[Array], Any, Any]:
    shapes = ((2, 4, 9, 8), (6, 2, 3, 3), (6,))
    inputs = [rng(i).standard_normal(s).astype(dtype) for i, s in enumerate(shapes)]
    out, residual = conv.forward(np, *inputs, windows=over(9, 8), groups=2)
    return inputs, out, (residual, lambda: conv.backward(np, out, inputs[1], residual))


def run_transposed_conv(dtype: Any) -> tuple[list[Array], Any, Any]:
    sizes: dict[str, Any] = {"windows": over(9, 8), "groups": 2}
    shapes = ((2, 6, *sizes["windows"].count), (6, 2, 3, 3), (4,))
    x, weight, bias = (rng(i).standard_normal(s).astype(dtype) for i, s in enumerate(shapes))
    out = conv.transposed_forward(np, x, weight, bias, **sizes)
    return (
        [x, weight, bias],
        out,
        (None, lambda: conv.transposed_backward(np, out, x, weight, **sizes)),
    )


def run_max_pool(dtype: Any) -> tuple[list[Array], Any, Any]:
    x = rng().standard_normal((2, 3, 9, 8)).astype(dtype)
    out, residual = max_pool.forward(np, x, over(9, 8))
    return [x], out, (residual, lambda: max_pool.backward(np, out, residual))


def run_gru(dtype: Any) -> tuple[list[Array], Any, Any]:
    inputs = [v.astype(dtype) for v in gru_inputs(3, 4, 2, 5, 2)]
    out, residual = gru.forward(np, *inputs)
    return inputs, out, (residual, lambda: gru.backward(np, out, residual))


runs = pytest.mark.parametrize(
    "run", [run_linear, run_cross_entropy, run_conv, run_transposed_conv, run_max_pool, run_gru]
)


@runs
def test_float32_stays_float32_and_is_close_to_float64(run: Callable[..., Any]) -> None:
    (_, out, (residual, backward)), (_, exact, (_, exactly)) = run(np.float32), run(np.float64)
    assert out.dtype == np.float32
    for array in arrays_in(residual):
        assert array.dtype == np.float32 or array.dtype.kind in "iu"
    np.testing.assert_allclose(out, exact, rtol=1e-5, atol=1e-5)
    for got, expected in zip(arrays_in(backward()), arrays_in(exactly()), strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@runs
def test_backward_can_be_repeated(run: Callable[..., Any]) -> None:
    """Check that residual and inputs are not written to, and that no gradient aliases them."""
    inputs, _, (residual, backward) = run(np.float64)
    before = [v.tobytes() for v in arrays_in([inputs, residual])]
    first = list(arrays_in(backward()))
    copies = [v.copy() for v in first]
    assert not any(np.shares_memory(d, v) for d in first for v in arrays_in([inputs, residual]))
    for d in first:
        d[...] = np.nan
    for again, copy in zip(arrays_in(backward()), copies, strict=True):
        assert again.tobytes() == copy.tobytes()
    assert [v.tobytes() for v in arrays_in([inputs, residual])] == before


def test_nan_stays_in_its_sample() -> None:
    inputs = gru_inputs(3, 4, 2, 3, 2)
    x, h0, *parameters = inputs
    clean, _ = gru.forward(np, *inputs)
    x[1, 2] = np.nan
    out, _ = gru.forward(np, x, h0, *parameters)
    assert np.isnan(out[1]).any()
    np.testing.assert_allclose(out[[0, 2]], clean[[0, 2]], **TIGHT)


# --- against PyTorch ----------------------------------------------------------------------------


def torch_gradients(torch: ModuleType, out: Any, leaves: Sequence[Any], g: Array) -> list[Array]:
    return [d.numpy() for d in torch.autograd.grad(out, leaves, torch.tensor(g))]


def leaves_of(torch: ModuleType, arrays: Sequence[Array]) -> list[Any]:
    return [torch.tensor(v, requires_grad=True) for v in arrays]


def test_linear_and_cross_entropy_match_torch(torch: ModuleType) -> None:
    arrays = [rng(i).standard_normal(s) for i, s in enumerate(((20, 7), (5, 7), (5,)))]
    labels = rng().integers(0, 5, 20)
    leaves = leaves_of(torch, arrays)
    expected = torch.nn.functional.linear(*leaves)
    loss = torch.nn.functional.cross_entropy(expected, torch.tensor(labels))
    logits = linear.forward(np, *arrays)
    ours, residual = cross_entropy.forward(NUMPY, logits, labels)
    np.testing.assert_allclose(logits, expected.detach().numpy(), **TIGHT)
    np.testing.assert_allclose(ours, loss.item(), **TIGHT)
    d_logits = cross_entropy.backward(NUMPY, np.array(1.0), residual)
    gradients = linear.backward(np, d_logits, arrays[0], arrays[1])
    assert_all_close(gradients, torch_gradients(torch, loss, leaves, np.array(1.0)))


@pytest.mark.parametrize("channels", [1, 25])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 4])
def test_conv_matches_torch(
    torch: ModuleType, channels: int, kernel: int, stride: int, padding: int
) -> None:
    shapes = ((7, channels, 20), (6, channels, kernel), (6,))
    arrays = [rng(i).standard_normal(s) for i, s in enumerate(shapes)]
    leaves = leaves_of(torch, arrays)
    expected = torch.nn.functional.conv1d(*leaves, stride=stride, padding=padding)
    windows = over(20, kernel=kernel, stride=stride, padding=padding)
    out, residual = conv.forward(np, *arrays, windows=windows, groups=1)
    np.testing.assert_allclose(out, expected.detach().numpy(), **TIGHT)
    g = rng(3).standard_normal(out.shape)
    gradients = conv.backward(np, g, arrays[1], residual)
    assert_all_close(gradients, torch_gradients(torch, expected, leaves, g))


@pytest.mark.parametrize("hidden", [6, 40])
@pytest.mark.parametrize("directions", [1, 2])
def test_gru_matches_torch(torch: ModuleType, hidden: int, directions: int) -> None:
    inputs = gru_inputs(5, 12, 3, hidden, directions)
    module = torch.nn.GRU(
        3, hidden, batch_first=True, bidirectional=directions == 2, dtype=torch.float64
    )
    leaves = leaves_of(torch, inputs)
    names = [name for name, _ in module.named_parameters()]
    named = dict(zip(names, leaves[2:], strict=True))
    expected, _ = torch.func.functional_call(module, named, tuple(leaves[:2]))
    out, residual = gru.forward(np, *inputs)
    np.testing.assert_allclose(out, expected.detach().numpy(), **TIGHT)
    g = rng(99).standard_normal(out.shape)
    gradients = gru.backward(np, g, residual)
    reference = torch_gradients(torch, expected, leaves, g)
    assert_all_close(gradients, reference, rtol=1e-8, atol=1e-10)
