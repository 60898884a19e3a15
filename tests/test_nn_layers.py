"""Convolutions, pooling and resizing: against PyTorch, by hand, and at the edges."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

import tinygrad_lab as tg
from tests.layer_checks import (
    Array,
    agree,
    compiles_to_the_same_bits,
    derives_twice,
    is_drawn,
    numbers,
    twins,
)
from tinygrad_lab import nn
from tinygrad_lab.nn import functional

both = pytest.mark.parametrize("axes", [1, 2])
by_pytorch = pytest.mark.numpy_only("PyTorch is compared with NumPy's arrays")
FEW_EXAMPLES = settings(max_examples=40)


# --- what is drawn --------------------------------------------------------------------------------


class Drawn:
    """Draws arguments of layers: an integer for all axes, or one for each."""

    def __init__(self, data: st.DataObject, axes: int) -> None:
        self.draw, self.axes = data.draw, axes

    def integer(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))

    def sizes(self, least: int, most: int) -> Any:
        one = st.integers(least, most)
        return self.draw(one | st.tuples(*[one] * self.axes))

    def lengths(self, least: int, most: int) -> tuple[int, ...]:
        return tuple(self.integer(least, most) for _ in range(self.axes))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def one_of(self, *values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def shape(self, channels: int, lengths: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a batch of two, or of one sample."""
        return (*self.one_of((2,), ()), channels, *lengths)


def with_ties(*shape: int, seed: int) -> Array:
    """Return small integers as floats, among them many that are equal."""
    return np.random.default_rng(seed).integers(-2, 3, size=shape).astype("float64")


def outputs_of(name: str, x: Array, *args: Any, **named: Any) -> tuple[list[Any], list[Any]]:
    """Return what our function and PyTorch's function of a name make of an array."""
    torch = pytest.importorskip("torch")
    found = getattr(functional, name)(tg.tensor(x), *args, **named)
    expected = getattr(torch.nn.functional, name)(torch.tensor(x), *args, **named)
    if not isinstance(found, tuple):
        found, expected = (found,), (expected,)
    return [one.numpy() for one in found], [one.numpy() for one in expected]


def agree_as_functions(name: str, x: Array, *args: Any, **named: Any) -> None:
    """Check a function of one tensor and its gradient against PyTorch's, at 1e-12."""
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(functional, name), getattr(torch.nn.functional, name)
    agree(lambda x: ours(x, *args, **named), lambda x: theirs(x, *args, **named), x)


@by_pytorch
class TestConvolutionsAgainstPyTorch:
    @pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
    @both
    @FEW_EXAMPLES
    @given(data=st.data())
    def test_convolution(self, axes: int, data: st.DataObject) -> None:
        drawn = Drawn(data, axes)
        groups = drawn.integer(1, 3)
        channels, outputs = groups * drawn.integer(1, 2), groups * drawn.integer(1, 2)
        named: dict[str, Any] = {
            "padding": drawn.one_of("valid", "same", drawn.sizes(0, 3)),
            "stride": drawn.sizes(1, 3),
            "dilation": drawn.sizes(1, 2),
            "groups": groups,
            "bias": drawn.flag(),
            "padding_mode": drawn.one_of("zeros", "reflect", "replicate", "circular"),
        }
        if named["padding"] == "same":
            named["stride"] = 1
        ours, theirs = twins(f"Conv{axes}d", channels, outputs, drawn.sizes(1, 3), **named)
        agree(ours, theirs, numbers(*drawn.shape(channels, drawn.lengths(5, 8))))

    @both
    @FEW_EXAMPLES
    @given(data=st.data())
    def test_transposed_convolution(self, axes: int, data: st.DataObject) -> None:
        drawn = Drawn(data, axes)
        groups, stride = drawn.integer(1, 3), drawn.integer(1, 3)
        channels, outputs = groups * drawn.integer(1, 2), groups * drawn.integer(1, 2)
        named: dict[str, Any] = {
            "stride": stride,
            "padding": drawn.sizes(0, 1),
            "output_padding": drawn.sizes(0, stride - 1),
            "groups": groups,
            "bias": drawn.flag(),
            "dilation": drawn.sizes(1, 2),
        }
        name = f"ConvTranspose{axes}d"
        ours, theirs = twins(name, channels, outputs, drawn.sizes(1, 3), **named)
        agree(ours, theirs, numbers(*drawn.shape(channels, drawn.lengths(3, 5))))

    @both
    @given(data=st.data())
    def test_a_transposed_convolution_to_a_size(self, axes: int, data: st.DataObject) -> None:
        drawn = Drawn(data, axes)
        kernel, stride, padding = drawn.integer(2, 4), drawn.integer(1, 3), drawn.integer(0, 1)
        ours, theirs = twins(f"ConvTranspose{axes}d", 2, 3, kernel, stride, padding)
        lengths = drawn.lengths(2, 5)
        size = [(n - 1) * stride - 2 * padding + kernel for n in lengths]
        assume(min(size) > 0)
        size = [n + drawn.integer(0, stride - 1) for n in size]
        x = numbers(*drawn.shape(2, lengths))
        if drawn.flag():
            size = [*x.shape[: x.ndim - axes - 1], 3, *size]
        agree(ours, theirs, x, output_size=size)
        assert ours(tg.tensor(x), size).shape[-axes:] == tuple(size[-axes:])

    @both
    def test_float32_is_as_close_as_rounding_is(self, axes: int) -> None:
        torch = pytest.importorskip("torch")
        lengths = (9, 8)[:axes]
        arrays = [numbers(2, 4, *lengths), numbers(6, 4, *(3, 3)[:axes]), numbers(6)]
        inexact = [array.astype("float32") for array in arrays]
        name = f"conv{axes}d"
        exact = getattr(torch.nn.functional, name)(*map(torch.tensor, map(np.float64, inexact)))
        found = getattr(functional, name)(*map(tg.tensor, inexact))
        assert found.dtype == np.float32
        largest = np.abs(exact.numpy()).max()
        np.testing.assert_allclose(found.numpy(), exact.numpy(), rtol=0, atol=largest * 2**-21)


@by_pytorch
class TestPoolingAgainstPyTorch:
    @both
    @FEW_EXAMPLES
    @given(data=st.data())
    def test_maxima_and_where_they_are(self, axes: int, data: st.DataObject) -> None:
        drawn = Drawn(data, axes)
        gaps = drawn.integer(1, 2)
        kernel = drawn.integer(1, 3)
        named: dict[str, Any] = {
            "stride": drawn.one_of(None, drawn.sizes(1, 3)),
            "padding": drawn.integer(0, kernel // 2),
            "dilation": gaps,
            "ceil_mode": drawn.flag(),
            "return_indices": drawn.flag(),
        }
        x = with_ties(*drawn.shape(2, drawn.lengths(5, 9)), seed=drawn.integer(0, 99))
        ours, theirs = twins(f"MaxPool{axes}d", kernel, **named)
        if not named["return_indices"]:
            agree(ours, theirs, x)
            return
        torch = pytest.importorskip("torch")
        (values, places), (expected, other_places) = ours(tg.tensor(x)), theirs(torch.tensor(x))
        np.testing.assert_array_equal(values.numpy(), expected.numpy())
        np.testing.assert_array_equal(places.numpy(), other_places.numpy())
        assert places.dtype == np.int64
        agree(lambda x: ours(x)[0], lambda x: theirs(x)[0], x)

    @both
    @given(data=st.data())
    def test_maxima_are_put_back(self, axes: int, data: st.DataObject) -> None:
        drawn = Drawn(data, axes)
        kernel = drawn.integer(1, 3)
        settings = (kernel, kernel + drawn.integer(0, 1), drawn.integer(0, kernel // 2))
        pool, their_pool = twins(f"MaxPool{axes}d", *settings, return_indices=True)
        back, their_back = twins(f"MaxUnpool{axes}d", *settings)
        x = numbers(*drawn.shape(2, drawn.lengths(4, 9)))
        size = x.shape[-axes:]

        def ours(x: Any) -> Any:
            return back(*pool(x), output_size=size)

        agree(ours, lambda x: their_back(*their_pool(x), output_size=size), x)
        values, places = pool(tg.tensor(x))
        found = back(values, places, output_size=x.shape)
        assert found.shape == x.shape
        if kernel == settings[1] and not settings[2] and not any(n % kernel for n in size):
            np.testing.assert_array_equal(back(values, places).numpy(), found.numpy())

    @both
    @FEW_EXAMPLES
    @given(data=st.data())
    def test_means(self, axes: int, data: st.DataObject) -> None:
        drawn = Drawn(data, axes)
        kernel = drawn.integer(1, 4)
        named: dict[str, Any] = {
            "stride": drawn.one_of(None, drawn.sizes(1, 4)),
            "padding": drawn.integer(0, kernel // 2),
            "ceil_mode": drawn.flag(),
            "count_include_pad": drawn.flag(),
        }
        if axes == 2:
            named["divisor_override"] = drawn.one_of(None, 3, -2)
        ours, theirs = twins(f"AvgPool{axes}d", kernel, **named)
        agree(ours, theirs, numbers(*drawn.shape(2, drawn.lengths(4, 9))))

    @both
    @pytest.mark.parametrize("kind", ["Avg", "Max"])
    @FEW_EXAMPLES
    @given(data=st.data())
    def test_a_given_number_of_windows(self, kind: str, axes: int, data: st.DataObject) -> None:
        drawn = Drawn(data, axes)
        counts: Any = drawn.sizes(1, 9)
        if axes == 2 and drawn.flag():
            counts = drawn.one_of((None, drawn.integer(1, 6)), (drawn.integer(1, 6), None))
        elif axes == 1 and isinstance(counts, tuple):
            (counts,) = counts
        x = numbers(*drawn.shape(2, drawn.lengths(1, 9)))
        agree(*twins(f"Adaptive{kind}Pool{axes}d", counts), x)
        if kind == "Max":
            torch = pytest.importorskip("torch")
            ours, theirs = twins(f"AdaptiveMaxPool{axes}d", counts, return_indices=True)
            for found, expected in zip(ours(tg.tensor(x)), theirs(torch.tensor(x)), strict=True):
                np.testing.assert_array_equal(found.numpy(), expected.numpy())

    @both
    @FEW_EXAMPLES
    @given(data=st.data())
    def test_sums_of_powers(self, axes: int, data: st.DataObject) -> None:
        drawn = Drawn(data, axes)
        power, is_odd = drawn.one_of((1, True), (2, False), (2.5, True), (3, True), (4.0, False))
        x = numbers(*drawn.shape(2, drawn.lengths(5, 9)))
        kernel, stride = drawn.integer(1, 3), drawn.one_of(None, drawn.integer(1, 3))
        named = {"stride": stride, "ceil_mode": drawn.flag()}
        ours, theirs = twins(f"LPPool{axes}d", power, kernel, **named)
        agree(ours, theirs, np.abs(x) if is_odd else x)

    @both
    def test_the_gradient_of_an_even_power_of_zeros_is_zero(self, axes: int) -> None:
        x = np.zeros((2, *(4,) * axes))
        agree(*twins(f"LPPool{axes}d", 2, 2), x)

    @both
    @given(data=st.data())
    def test_maxima_of_infinities_and_nan(self, axes: int, data: st.DataObject) -> None:
        """Positions of several NaN in a window differ: here the first, there the last."""
        drawn = Drawn(data, axes)
        rng = np.random.default_rng(drawn.integer(0, 99))
        choices = drawn.one_of([np.nan, -np.inf, 1.0], [-np.inf, np.inf], [-np.inf])
        x = rng.choice(choices, (2, *(6,) * axes))
        for named in ({"padding": 1}, {"padding": 1, "stride": 1}, {"ceil_mode": True}):
            (found,), (expected,) = outputs_of(f"max_pool{axes}d", x, 3, **named)
            np.testing.assert_array_equal(found, expected)
            values, places = (
                functional.max_pool1d(tg.tensor(x), 3, return_indices=True, **named)
                if (axes == 1)
                else functional.max_pool2d(tg.tensor(x), 3, return_indices=True, **named)
            )
            np.testing.assert_array_equal(values.numpy(), expected)
            flat = x.reshape(len(x), -1)
            taken = np.take_along_axis(flat, places.numpy().reshape(len(x), -1), axis=1)
            np.testing.assert_array_equal(taken.reshape(values.shape), expected)


@by_pytorch
class TestResizingAgainstPyTorch:
    @FEW_EXAMPLES
    @given(data=st.data())
    def test_windows_as_columns_and_back(self, data: st.DataObject) -> None:
        drawn = Drawn(data, 2)
        named: dict[str, Any] = {
            "dilation": drawn.sizes(1, 2),
            "padding": drawn.sizes(0, 2),
            "stride": drawn.sizes(1, 3),
        }
        kernel, size = drawn.sizes(1, 3), drawn.lengths(5, 8)
        x = numbers(*drawn.shape(2, size))
        unfold, their_unfold = twins("Unfold", kernel, **named)
        agree(unfold, their_unfold, x)
        columns = numbers(*unfold(tg.tensor(x)).shape)
        agree(*twins("Fold", size, kernel, **named), columns)

    @given(data=st.data())
    def test_channels_as_pixels_and_back(self, data: st.DataObject) -> None:
        drawn = Drawn(data, 2)
        r, lead = drawn.integer(1, 3), drawn.one_of((), (2,), (2, 3))
        height, width = drawn.lengths(1, 3)
        agree(*twins("PixelShuffle", r), numbers(*lead, 2 * r * r, height, width))
        agree(*twins("PixelUnshuffle", r), numbers(*lead, 2, height * r, width * r))

    @both
    def test_channels_in_turn(self, axes: int) -> None:
        torch = pytest.importorskip("torch")
        x = numbers(2, 6, *(2, 3)[:axes])
        for groups in (1, 2, 3, 6):
            ours, theirs = nn.ChannelShuffle(groups), torch.nn.ChannelShuffle(groups)
            found, expected = ours(tg.tensor(x)).numpy(), theirs(torch.tensor(x)).numpy()
            np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize(
        ("mode", "axes"),
        [
            *product(("nearest", "nearest-exact", "area"), (1, 2)),
            *(("linear", 1), ("bilinear", 2), ("bicubic", 2)),
        ],
    )
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @settings(max_examples=60)
    @given(data=st.data())
    def test_interpolation(self, dtype: str, axes: int, mode: str, data: st.DataObject) -> None:
        drawn = Drawn(data, axes)
        lengths = drawn.lengths(1, 7)
        named: dict[str, Any] = {"mode": mode}
        if mode in ("linear", "bilinear", "bicubic"):
            named["align_corners"] = drawn.one_of(None, False, True)
        if drawn.flag():
            named["size"] = drawn.sizes(1, 11)
        else:
            named["scale_factor"] = drawn.one_of(1, 2, 3.0, 1.3, 1.7, 2.5, (2.2, 1.6)[:axes])
            named["recompute_scale_factor"] = drawn.one_of(None, False, True)
        x = numbers(2, 2, *lengths)
        # PyTorch's gradient of nearest elements by a factor goes to other ones than it took.
        if dtype == "float64" and not (mode == "nearest" and "scale_factor" in named):
            agree_as_functions("interpolate", x, **named)
            return
        (found,), (expected,) = outputs_of("interpolate", x.astype(dtype), **named)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=np.abs(x).max() * 2**-20)

    @pytest.mark.parametrize("name", ["UpsamplingNearest2d", "UpsamplingBilinear2d", "Upsample"])
    def test_layers_of_interpolation(self, name: str) -> None:
        agree(*twins(name, scale_factor=2), numbers(2, 3, 4, 5))
        agree(*twins(name, (7, 3)), numbers(2, 3, 4, 5))

    @both
    @given(data=st.data())
    def test_local_response_norm(self, axes: int, data: st.DataObject) -> None:
        drawn = Drawn(data, axes)
        named = {"alpha": 0.7, "beta": drawn.one_of(0.75, 0.5, 1.0), "k": drawn.one_of(1.0, 2.0)}
        x = numbers(2, drawn.integer(1, 5), *drawn.lengths(1, 3))
        agree(*twins("LocalResponseNorm", drawn.integer(1, 6), **named), x)


# --- by hand --------------------------------------------------------------------------------------


def windows_by_hand(x: Array, kernel: int, stride: int, padding: int, ceil: bool) -> list[Any]:
    """Return the parts of a vector that are in each window, without padding, and how long it is.

    The length counts padding, but nothing beyond it.
    """
    n, found, start, at_the_end = len(x), [], -padding, False
    while start + kernel <= n + padding or (ceil and start < n and not at_the_end):
        stop = start + kernel
        found.append((x[max(start, 0) : min(stop, n)], min(stop, n + padding) - start))
        start, at_the_end = start + stride, stop >= n + padding
    return found


class TestByHand:
    @pytest.mark.parametrize("ceil", [False, True])
    @pytest.mark.parametrize("padding", [0, 1])
    @pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (3, 1), (2, 3), (4, 3)])
    def test_pooling(self, kernel: int, stride: int, padding: int, ceil: bool) -> None:
        for n in range(4, 9):
            x = numbers(n)
            parts = windows_by_hand(x, kernel, stride, padding, ceil)
            named = {"stride": stride, "padding": padding, "ceil_mode": ceil}
            t = tg.tensor(x)
            maxima = functional.max_pool1d(t, kernel, **named).numpy()
            np.testing.assert_array_equal(maxima, [part.max() for part, _ in parts])
            means = functional.avg_pool1d(t, kernel, **named).numpy()
            np.testing.assert_allclose(means, [part.sum() / m for part, m in parts], rtol=1e-13)
            means = functional.avg_pool1d(t, kernel, **named, count_include_pad=False).numpy()
            np.testing.assert_allclose(means, [part.mean() for part, _ in parts], rtol=1e-13)

    @pytest.mark.parametrize(
        ("mode", "numpys"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")]
    )
    @both
    def test_padding_modes_are_those_of_numpy(self, axes: int, mode: str, numpys: Any) -> None:
        x = numbers(2, 3, *(6, 5)[:axes])
        layer = getattr(nn, f"Conv{axes}d")(3, 2, 3, padding=2, padding_mode=mode).to("float64")
        widths = [(0, 0), (0, 0), *((2, 2),) * axes]
        padded = tg.tensor(np.pad(x, widths, mode=numpys))
        expected = getattr(functional, f"conv{axes}d")(padded, layer.weight, layer.bias)
        np.testing.assert_allclose(
            layer(tg.tensor(x)).detach().numpy(), expected.detach().numpy(), rtol=1e-12
        )

    def test_a_convolution_is_its_weights_times_the_columns(self) -> None:
        layer = nn.Conv2d(3, 4, (2, 3), stride=2, padding=1, dilation=(1, 2)).to("float64")
        x = tg.tensor(numbers(2, 3, 7, 8))
        columns = functional.unfold(x, (2, 3), dilation=(1, 2), padding=1, stride=2)
        found = layer.weight.reshape(4, -1) @ columns + layer.bias[:, None]
        expected = layer(x)
        np.testing.assert_allclose(
            found.detach().numpy(), expected.detach().numpy().reshape(found.shape), rtol=1e-12
        )

    def test_columns_added_up_count_the_windows_of_each_element(self) -> None:
        x = numbers(2, 3, 6, 5)
        settings: Any = ((3, 2), 1, (1, 0), (2, 1))
        ones = tg.ones_like(tg.tensor(x))
        once = functional.fold(functional.unfold(ones, *settings), (6, 5), *settings).numpy()
        found = functional.fold(
            functional.unfold(tg.tensor(x), *settings), (6, 5), *settings
        ).numpy()
        np.testing.assert_allclose(found, once * x, rtol=1e-13)
        assert set(once.flat) <= {1.0, 2.0, 3.0, 4.0}

    def test_pixels_of_channels(self) -> None:
        x = numbers(2, 8, 3, 2)
        found = functional.pixel_shuffle(tg.tensor(x), 2).numpy()
        for c, h, w in np.ndindex(2, 6, 4):
            channel = 4 * c + 2 * (h % 2) + w % 2
            np.testing.assert_array_equal(found[:, c, h, w], x[:, channel, h // 2, w // 2])
        again = functional.pixel_unshuffle(tg.tensor(found), 2).numpy()
        np.testing.assert_array_equal(again, x)

    def test_lines_between_elements(self) -> None:
        x = tg.tensor([[[0.0, 4.0]]])
        assert functional.interpolate(x, 4, mode="linear").tolist() == [[[0.0, 1.0, 3.0, 4.0]]]
        found = functional.interpolate(x, 5, mode="linear", align_corners=True)
        assert found.tolist() == [[[0.0, 1.0, 2.0, 3.0, 4.0]]]
        assert functional.interpolate(x, 3, mode="nearest").tolist() == [[[0.0, 0.0, 4.0]]]
        assert functional.interpolate(x, 5, mode="nearest-exact").tolist() == [
            [[0.0, 0.0, 4.0, 4.0, 4.0]]
        ]

    def test_cubic_curves_keep_straight_lines_inside(self) -> None:
        row = np.arange(8.0)
        x = tg.tensor(np.broadcast_to(row, (1, 1, 8, 8)).copy())
        found = functional.interpolate(x, (8, 16), mode="bicubic").numpy()[0, 0]
        inside = (np.arange(16) + 0.5) / 2 - 0.5
        # Weights that sum up to 1 keep constants; Keys' a = -1/2 alone keeps lines everywhere.
        middle = found[:, 4:12].reshape(8, 4, 2).mean(axis=2)
        np.testing.assert_allclose(middle, np.tile(inside[4:12].reshape(4, 2).mean(axis=1), (8, 1)))

    @pytest.mark.parametrize("power", [1, 2, 3.5])
    def test_powers(self, power: float) -> None:
        x = np.abs(numbers(3, 6))
        found = functional.lp_pool1d(tg.tensor(x), power, 3).numpy()
        expected = np.linalg.norm(x.reshape(3, 2, 3), ord=power, axis=2)
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_infinite_elements_do_not_spoil_the_means_of_other_windows(self) -> None:
        x = tg.tensor([[tg.inf, 1.0, 2.0, 3.0, tg.nan]])
        assert functional.adaptive_avg_pool1d(x, 3).tolist()[0][:2] == [tg.inf, 2.0]
        assert functional.adaptive_avg_pool1d(x[:, :4], 2).tolist() == [[tg.inf, 2.5]]

    def test_a_maximum_is_where_its_position_says(self) -> None:
        x = numbers(2, 3, 7, 6)
        named: dict[str, Any] = {"stride": 2, "padding": 1, "ceil_mode": True}
        values, places = functional.max_pool2d(tg.tensor(x), 3, return_indices=True, **named)
        flat = x.reshape(2, 3, -1)
        taken = np.take_along_axis(flat, places.numpy().reshape(2, 3, -1), axis=2)
        np.testing.assert_array_equal(taken.reshape(values.shape), values.numpy())
        np.testing.assert_array_equal(
            functional.max_pool2d(tg.tensor(x), 3, **named).numpy(), values.numpy()
        )

    def test_neighbours_among_channels(self) -> None:
        x = numbers(1, 4, 1)
        squares = x[0, :, 0] ** 2
        sums = [squares[max(c - 1, 0) : c + 2].sum() for c in range(4)]
        found = functional.local_response_norm(tg.tensor(x), 3, alpha=0.6, beta=0.5, k=2.0).numpy()
        np.testing.assert_allclose(
            found[0, :, 0], x[0, :, 0] / np.sqrt(2 + 0.2 * np.array(sums)), rtol=1e-13
        )


# --- every layer ----------------------------------------------------------------------------------


class Unpooling(nn.Module):
    """Pooling, and its maxima put back."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        self.pool = getattr(nn, f"MaxPool{axes}d")(2, return_indices=True)
        self.back = getattr(nn, f"MaxUnpool{axes}d")(2)

    def forward(self, x: Any) -> Any:
        return self.back(*self.pool(x), output_size=x.shape)


IMAGES, SIGNALS = (1, 2, 4, 3), (1, 2, 5)
LAYERS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "Conv1d same": (lambda: nn.Conv1d(2, 3, 2, padding="same", dilation=2), SIGNALS),
    "Conv1d reflect": (lambda: nn.Conv1d(2, 2, 3, 2, 1, padding_mode="reflect"), SIGNALS),
    "Conv1d circular": (lambda: nn.Conv1d(2, 2, 3, padding=2, padding_mode="circular"), SIGNALS),
    "Conv1d of one": (lambda: nn.Conv1d(2, 3, 2), SIGNALS[1:]),
    "Conv2d replicate": (
        lambda: nn.Conv2d(2, 2, 2, padding="same", groups=2, padding_mode="replicate"),
        IMAGES,
    ),
    "Conv2d of one": (lambda: nn.Conv2d(2, 2, (2, 1), stride=(1, 2)), IMAGES[1:]),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(2, 2, 3, 2, 1, 1), (1, 2, 3)),
    "ConvTranspose1d of one": (lambda: nn.ConvTranspose1d(2, 2, 2), (2, 3)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 2, 2, dilation=2, groups=2), (1, 2, 2, 2)),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1, ceil_mode=True), SIGNALS),
    "MaxPool1d places": (lambda: nn.MaxPool1d(2, padding=1, return_indices=True), SIGNALS),
    "MaxPool2d": (lambda: nn.MaxPool2d(2, ceil_mode=True), IMAGES),
    "MaxPool2d places": (lambda: nn.MaxPool2d(2, return_indices=True, dilation=2), IMAGES),
    "AvgPool1d": (lambda: nn.AvgPool1d(2, ceil_mode=True, count_include_pad=False), SIGNALS),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), IMAGES),
    "AvgPool2d divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), IMAGES),
    "LPPool1d": (lambda: nn.LPPool1d(2, 2, ceil_mode=True), SIGNALS),
    "LPPool2d": (lambda: nn.LPPool2d(4, 2, stride=1), IMAGES),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(3), SIGNALS),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((3, None)), IMAGES),
    "AdaptiveAvgPool2d all": (lambda: nn.AdaptiveAvgPool2d(1), IMAGES),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(3), SIGNALS),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d((2, 3)), IMAGES),
    "AdaptiveMaxPool2d places": (lambda: nn.AdaptiveMaxPool2d(2, True), IMAGES),
    "Unfold": (lambda: nn.Unfold(2, dilation=(1, 2), padding=(1, 0)), IMAGES),
    "Fold": (lambda: nn.Fold((3, 4), 2, stride=(1, 2)), (1, 8, 4)),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), (1, 4, 2, 1)),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), (1, 1, 4, 2)),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(2), (1, 4, 2)),
    "Upsample": (lambda: nn.Upsample(scale_factor=1.5), IMAGES),
    "Upsample linear": (lambda: nn.Upsample(7, mode="linear", align_corners=True), SIGNALS),
    "Upsample bilinear": (lambda: nn.Upsample((3, 5), mode="bilinear"), IMAGES),
    "Upsample bicubic": (lambda: nn.Upsample((3, 5), mode="bicubic"), IMAGES),
    "Upsample area": (lambda: nn.Upsample((3, 2), mode="area"), IMAGES),
    "UpsamplingNearest2d": (lambda: nn.UpsamplingNearest2d((3, 5)), IMAGES),
    "UpsamplingBilinear2d": (lambda: nn.UpsamplingBilinear2d(scale_factor=2), IMAGES),
    "MaxUnpool1d": (lambda: Unpooling(1), SIGNALS),
    "MaxUnpool2d": (lambda: Unpooling(2), IMAGES),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3, alpha=0.5), IMAGES),
}
every_layer = pytest.mark.parametrize("name", LAYERS)
BATCHES = [name for name in LAYERS if not name.endswith(" of one")]
BATCHES_ALONE = ("Upsampl", "LocalResponse", "ChannelShuffle")
"""The beginnings of names of layers that take no single sample, as PyTorch's."""


class TestEveryLayer:
    @every_layer
    def test_derives_twice(self, name: str) -> None:
        make, shape = LAYERS[name]
        derives_twice(make(), numbers(*shape))

    @pytest.mark.numpy_only("compiled steps are NumPy code")
    @every_layer
    def test_compiles_to_the_same_bits(self, name: str) -> None:
        make, shape = LAYERS[name]
        compiles_to_the_same_bits(make(), numbers(*shape).astype("float32"))

    @pytest.mark.numpy_only("pictures do not depend on the backend")
    @every_layer
    def test_is_drawn(self, name: str) -> None:
        make, shape = LAYERS[name]
        is_drawn(make(), numbers(*shape).astype("float32"))

    @pytest.mark.parametrize("name", BATCHES)
    def test_makes_nothing_of_a_batch_of_nothing(self, name: str) -> None:
        make, shape = LAYERS[name]
        layer = make()
        x = tg.tensor(np.zeros((0, *shape[1:]), dtype="float32"), requires_grad=True)
        one, some = layer(tg.tensor(np.zeros(shape, dtype="float32"))), layer(x)
        out, like = (some[0], one[0]) if isinstance(some, tuple) else (some, one)
        assert out.shape == (0, *like.shape[1:])
        out.sum().backward()
        assert x.grad is not None
        assert x.grad.shape == x.shape

    @pytest.mark.numpy_only("array_api_strict has no float16")
    @every_layer
    def test_keeps_float16(self, name: str) -> None:
        make, shape = LAYERS[name]
        x = numbers(*shape).astype("float16")
        layer = make().to("float16")
        out = layer(tg.tensor(x))
        out = out[0] if isinstance(out, tuple) else out
        exact = layer.to("float32")(tg.tensor(x.astype("float32")))
        exact = exact[0] if isinstance(exact, tuple) else exact
        assert out.dtype == np.float16
        np.testing.assert_allclose(
            out.detach().numpy(), exact.detach().numpy(), rtol=3e-3, atol=3e-3
        )

    @pytest.mark.parametrize("name", [n for n in BATCHES if not n.startswith(BATCHES_ALONE)])
    def test_a_sample_alone_is_as_in_a_batch(self, name: str) -> None:
        make, shape = LAYERS[name]
        layer, x = make().to("float64"), tg.tensor(numbers(*shape[1:]))
        alone, batch = layer(x), layer(x[None])
        alone, batch = (alone, batch) if isinstance(alone, tuple) else ((alone,), (batch,))
        for one, several in zip(alone, batch, strict=True):
            np.testing.assert_array_equal(one.detach().numpy(), several[0].detach().numpy())


# --- mistakes -------------------------------------------------------------------------------------

X1, X2 = tg.tensor(numbers(2, 3, 6)), tg.tensor(numbers(2, 3, 6, 5))
MISTAKES: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: nn.Conv1d(0, 2, 3), "ArgumentError", "Conv1d: in_channels must be"),
    (lambda: nn.Conv1d(3, 2, 0), "ArgumentError", "Conv1d: expected a kernel_size of 1 or more"),
    (lambda: nn.Conv1d(3, 2, 3, stride=0), "ArgumentError", "Conv1d: expected a stride of 1 or"),
    (lambda: nn.Conv2d(3, 2, 3, padding=-1), "ArgumentError", "Conv2d: .*padding of 0 or more"),
    (lambda: nn.Conv2d(3, 2, 3, dilation=0), "ArgumentError", "Conv2d: .*dilation of 1 or more"),
    (lambda: nn.Conv2d(3, 2, (3, 3, 3)), "ArgumentError", "Conv2d: .*each of 2 spatial axes"),
    (lambda: nn.Conv1d(3, 2, 2.5), "ArgumentTypeError", "Conv1d: expected an integer"),  # type: ignore[arg-type]
    (lambda: nn.Conv1d(3, 2, 3, groups=2), "ArgumentError", "Conv1d: groups must divide"),
    (lambda: nn.Conv1d(3, 2, 3, padding="full"), "ArgumentError", "Conv1d: .*'same', 'valid'"),
    (
        lambda: nn.Conv2d(3, 2, 3, stride=2, padding="same"),
        "ArgumentError",
        "Conv2d: padding='same' .* stride of 2",
    ),
    (
        lambda: nn.Conv1d(3, 2, 3, padding_mode="mirror"),
        "ArgumentError",
        "Conv1d: .*padding_mode to be one of .*'reflect'",
    ),
    (
        lambda: nn.Conv1d(3, 2, 3, padding=7, padding_mode="reflect")(X1.astype("float32")),
        "ShapeError",
        "Conv1d: pad: a reflect padding .*at most 5",
    ),
    (lambda: nn.Conv1d(4, 2, 3)(X1), "ShapeError", r"x.shape\[1\] == .*in_channels.*got 3 != 4"),
    (lambda: nn.Conv1d(3, 2, 9)(X1), "ShapeError", "kernel of 9 does not fit into a length of 6"),
    (lambda: nn.Conv1d(3, 2, 3)(X2), "ShapeError", r"expected x of shape .* got \(2, 3, 6, 5\)"),
    (lambda: nn.Conv2d(3, 2, 3)(X1[0]), "ShapeError", r"got \(3, 6\)"),
    (
        lambda: nn.ConvTranspose1d(3, 2, 3, padding_mode="reflect"),
        "ArgumentError",
        "ConvTranspose1d takes padding_mode='zeros' alone, got 'reflect'",
    ),
    (
        lambda: nn.ConvTranspose1d(3, 2, 3, padding="same"),  # type: ignore[arg-type]
        "ArgumentTypeError",
        "ConvTranspose1d: expected an integer for padding",
    ),
    (
        lambda: nn.ConvTranspose1d(3, 2, 3, stride=2)(X1, output_size=15),
        "ArgumentError",
        "ConvTranspose1d: expected an output_size of 13 to 14 .* got 15",
    ),
    (
        lambda: nn.ConvTranspose2d(3, 2, 3)(X2, output_size=(1, 2, 3)),
        "ArgumentError",
        "ConvTranspose2d: .*each of 2 spatial axes",
    ),
    (
        lambda: nn.ConvTranspose1d(3, 2, 3, output_padding=1)(X1.astype("float32")),
        "ArgumentError",
        "output_padding below stride 1",
    ),
    (lambda: nn.MaxPool1d(3, 0), "ArgumentError", "MaxPool1d: expected a stride of 1 or more"),
    (lambda: nn.MaxPool1d(3, padding=2), "ArgumentError", "MaxPool1d: .*half the kernel, got 2"),
    (lambda: nn.AvgPool2d((3, 4), padding=2), "ArgumentError", "AvgPool2d: .*half .*got 2 for a"),
    (lambda: nn.MaxPool2d(7)(X2), "ShapeError", "a kernel of 7 does not fit into a length"),
    (
        lambda: nn.MaxPool2d(7, return_indices=True)(X2),
        "ShapeError",
        r"max_pool2d: a kernel of 7 does not fit(.|\n)*x: \(2, 3, 6, 5\)",
    ),
    (
        lambda: nn.AvgPool2d(2, divisor_override=0),
        "ArgumentError",
        "AvgPool2d: .*other than 0 as divisor_override",
    ),
    (
        lambda: functional.avg_pool2d(X2, 2, divisor_override=0),
        "ArgumentError",
        "avg_pool2d: .*other than",
    ),
    (lambda: nn.AvgPool1d(2)(tg.tensor([1, 2])), "DTypeError", r"avg_pool1d: .*astype\(tg.float32"),
    (
        lambda: functional.adaptive_max_pool1d(tg.tensor([1, 2]), 1),
        "DTypeError",
        r"adaptive_max_pool1d: .*astype\(tg.float32",
    ),
    (lambda: nn.AdaptiveMaxPool2d(0), "ArgumentError", "AdaptiveMaxPool2d: .*1 or more"),
    (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), "ArgumentError", "AdaptiveAvgPool2d: .*each of 2"),  # type: ignore[arg-type]
    (lambda: nn.LPPool1d(0, 2), "ArgumentError", "LPPool1d: .*other than 0 as norm_type"),
    (lambda: nn.LPPool2d(tg.inf, 2), "ArgumentError", "LPPool2d: .*use MaxPool2d"),
    (lambda: functional.lp_pool1d(X1, tg.inf, 2), "ArgumentError", "lp_pool1d: .*use max_pool1d"),
    (lambda: functional.lp_pool1d(X1, 2, 7), "ShapeError", "kernel of 7 does not fit"),
    (
        lambda: nn.MaxUnpool1d(2)(X1, tg.ones((2, 3, 5))),
        "ShapeError",
        r"max_unpool1d: expected x and indices of one shape, .*\(2, 3, 6\) and \(2, 3, 5\)",
    ),
    (
        lambda: nn.MaxUnpool1d(2)(X1, tg.zeros((2, 3, 6), dtype=tg.int64), 15),
        "ArgumentError",
        "max_unpool1d: expected an output_size of 11 to 13 .*got 15",
    ),
    (
        lambda: nn.MaxUnpool1d(2)(X1, tg.full((2, 3, 6), 12)),
        "IndexingError",
        "12",
    ),
    (lambda: nn.Unfold(2, stride=0), "ArgumentError", "Unfold: expected a stride of 1 or more"),
    (lambda: nn.Unfold(2)(X1[0]), "ShapeError", r"unfold: expected images .*got \(3, 6\)"),
    (lambda: nn.Unfold(9)(X2), "ShapeError", "kernel of 9 does not fit"),
    (lambda: nn.Fold((4, 4), 2)(X1), "ShapeError", r"fold: expected C \* 4 rows, .*got 3"),
    (
        lambda: nn.Fold((4, 4), 2)(tg.ones((1, 8, 6))),
        "ShapeError",
        r"fold: expected 9 columns, .*\(3, 3\) windows over \(4, 4\), got 6",
    ),
    (lambda: nn.Fold(4, 2)(tg.ones(8)), "ShapeError", r"fold: expected columns .*got \(8,\)"),
    (lambda: nn.PixelShuffle(0), "ArgumentError", "PixelShuffle: upscale_factor must be"),
    (lambda: nn.PixelShuffle(2)(X2), "ShapeError", r"pixel_shuffle: .*C \* 4, H, W\), got \(2, 3"),
    (lambda: nn.PixelUnshuffle(4)(X2), "ShapeError", r"pixel_unshuffle: .*H \* 4, W \* 4\), got"),
    (lambda: nn.ChannelShuffle(2)(X2), "ShapeError", "channel_shuffle: .*multiple of 2 groups"),
    (lambda: nn.Upsample(), "ArgumentError", "Upsample: .*size or scale_factor, got neither"),
    (lambda: nn.Upsample(3, 2), "ArgumentError", "Upsample: .*size or scale_factor, got both"),
    (lambda: nn.Upsample(3, mode="cubic"), "ArgumentError", "Upsample: .*one of .*'bicubic'"),
    (lambda: nn.Upsample(3, mode="trilinear"), "ArgumentError", "Upsample: .*got 'trilinear'"),
    (
        lambda: nn.Upsample(3, align_corners=True),
        "ArgumentError",
        "Upsample: align_corners belongs to linear, .*mode='nearest'",
    ),
    (
        lambda: functional.interpolate(X1, 3, mode="bilinear"),
        "ShapeError",
        r"\(N, C, H, W\) for mode='bil",
    ),
    (
        lambda: functional.interpolate(X1[0], 3),
        "ShapeError",
        r"interpolate: .*\(N, C, L\) or \(N, C, H, W",
    ),
    (
        lambda: functional.interpolate(X1, scale_factor=0.1),
        "ShapeError",
        "interpolate: .*leaves nothing",
    ),
    (
        lambda: functional.interpolate(X1, scale_factor=-1),
        "ArgumentError",
        "positive number as scale_fac",
    ),
    (
        lambda: functional.interpolate(X2, scale_factor=(1, 2, 3)),
        "ArgumentError",
        "each of 2 spatial axes",
    ),
    (
        lambda: functional.interpolate(X1, 3, antialias=True),
        "ArgumentTypeError",
        "antialias=True is not",
    ),
    (lambda: functional.interpolate(tg.tensor([[[1]]]), 2), "DTypeError", r"interpolate: .*astype"),
    (lambda: nn.LocalResponseNorm(0), "ArgumentError", "LocalResponseNorm: size must be"),
    (
        lambda: functional.local_response_norm(X1[0], 2),
        "ShapeError",
        r"three axes or more, got \(3, 6\)",
    ),
    (lambda: nn.Conv1d(3, 2, 3, dtype="float64"), "ArgumentTypeError", "set_default_dtype"),  # type: ignore[call-arg]
    (lambda: nn.Upsample(3, antialias=True), "ArgumentTypeError", "no argument 'antialias'"),  # type: ignore[call-arg]
]


@pytest.mark.parametrize(("call", "kind", "says"), MISTAKES)
def test_mistakes_are_explained(call: Callable[[], Any], kind: str, says: str) -> None:
    with pytest.raises(getattr(tg.errors, kind), match=says):
        call()


def test_settings_are_shown_where_they_are_unusual() -> None:
    assert repr(nn.Conv1d(2, 4, 3, padding_mode="reflect")) == (
        "Conv1d(2, 4, kernel_size=3, stride=1, padding=0, padding_mode='reflect', bias=True)"
    )
    assert repr(nn.MaxPool1d(2, ceil_mode=True)) == (
        "MaxPool1d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=True)"
    )
    assert repr(nn.AvgPool2d(2, count_include_pad=False, divisor_override=3)) == (
        "AvgPool2d(kernel_size=2, stride=2, padding=0, count_include_pad=False, divisor_override=3)"
    )
    assert repr(nn.LPPool1d(2, 3)) == (
        "LPPool1d(norm_type=2, kernel_size=3, stride=3, ceil_mode=False)"
    )
    assert repr(nn.Fold((4, 5), 2)) == (
        "Fold(output_size=(4, 5), kernel_size=2, dilation=1, padding=0, stride=1)"
    )
    assert repr(nn.Upsample(scale_factor=2)) == "Upsample(scale_factor=2, mode='nearest')"
    assert repr(nn.PixelShuffle(3)) == "PixelShuffle(upscale_factor=3)"
    assert repr(nn.LocalResponseNorm(2)) == "LocalResponseNorm(2, alpha=0.0001, beta=0.75, k=1.0)"
