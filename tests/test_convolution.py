"""Convolution and pooling as users call them: against PyTorch, and at the edges."""

from collections.abc import Callable
from functools import partial
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.context import changed

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    module: ModuleType = pytest.importorskip("torch")
    return module


def numbers(*shape: int, seed: int = 0, dtype: str = "float64") -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


def assert_same(
    torch: ModuleType, name: str, arrays: list[Array], settings: dict[str, Any]
) -> None:
    """Check that a function and its gradients are those of PyTorch's function of that name."""
    ours = [tg.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    out = getattr(tg, name)(*ours, **settings)
    expected = getattr(torch.nn.functional, name)(*theirs, **settings)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if arrays[0].dtype == "float32" else {"atol": 1e-10}
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), **tolerance)
    assert out.dtype == arrays[0].dtype
    g = numbers(*out.shape, seed=3, dtype=str(arrays[0].dtype))
    out.backward(gradient=g)
    expected.backward(torch.tensor(g))
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None
        np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), **tolerance)


@st.composite
def settings(draw: st.DrawFn, axes: int, least: int, most: int) -> Any:
    """Draw one integer for all axes, or one for each."""
    one = st.integers(least, most)
    return draw(one | st.tuples(*[one] * axes))


def first_largest(x: Array, axes: int, kernel: int, stride: int | None, padding: int) -> Array:
    """Count, for each element of x, the windows of which it is the first largest, or first NaN."""
    edges = [(0, 0)] * (x.ndim - axes) + [(padding, padding)] * axes
    counts = np.pad(np.zeros(x.shape), edges)
    inside = np.pad(np.ones(x.shape, dtype=bool), edges)
    whole = np.pad(x, edges)
    steps = [range(0, n - kernel + 1, stride or kernel) for n in whole.shape[-axes:]]
    for lead in np.ndindex(x.shape[:-axes]):
        for corner in product(*steps):
            window = (*lead, *(slice(start, start + kernel) for start in corner))
            spots = [spot for spot in np.ndindex((kernel,) * axes) if inside[window][spot]]
            values = [whole[window][spot] for spot in spots]
            counts[window][spots[int(np.argmax(values))]] += 1
    kept = tuple(slice(before, before + n) for (before, _), n in zip(edges, x.shape, strict=True))
    found: Array = counts[kept]
    return found


dtypes = st.sampled_from(["float32", "float64"])
both = pytest.mark.parametrize("axes", [1, 2])


class TestAgainstPyTorch:
    @pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
    @both
    @given(data=st.data(), dtype=dtypes)
    def test_convolution(
        self, torch: ModuleType, axes: int, data: st.DataObject, dtype: str
    ) -> None:
        groups, channels, outputs = (data.draw(st.integers(1, 3)) for _ in range(3))
        kernel = [data.draw(st.integers(1, 4)) for _ in range(axes)]
        size = [data.draw(st.integers(7, 11)) for _ in range(axes)]
        named = {
            "stride": data.draw(settings(axes, 1, 3)),
            "padding": data.draw(settings(axes, 0, 3) | st.just("valid")),
            "dilation": data.draw(settings(axes, 1, 2)),
            "groups": groups,
        }
        if data.draw(st.booleans()):
            named |= {"stride": 1, "padding": "same"}
        arrays = [
            numbers(2, groups * channels, *size, dtype=dtype),
            numbers(groups * outputs, channels, *kernel, dtype=dtype),
            numbers(groups * outputs, dtype=dtype),
        ]
        assert_same(torch, f"conv{axes}d", arrays[: data.draw(st.integers(2, 3))], named)

    @both
    @given(data=st.data(), dtype=dtypes)
    def test_transposed_convolution(
        self, torch: ModuleType, axes: int, data: st.DataObject, dtype: str
    ) -> None:
        groups, channels, outputs = (data.draw(st.integers(1, 3)) for _ in range(3))
        kernel = [data.draw(st.integers(1, 4)) for _ in range(axes)]
        size = [data.draw(st.integers(4, 7)) for _ in range(axes)]
        stride = data.draw(st.integers(1, 3))
        named = {
            "stride": stride,
            "padding": data.draw(settings(axes, 0, 1)),
            "output_padding": data.draw(settings(axes, 0, stride - 1)),
            "dilation": data.draw(settings(axes, 1, 2)),
            "groups": groups,
        }
        arrays = [
            numbers(2, groups * channels, *size, dtype=dtype),
            numbers(groups * channels, outputs, *kernel, dtype=dtype),
            numbers(groups * outputs, dtype=dtype),
        ]
        assert_same(torch, f"conv_transpose{axes}d", arrays[: data.draw(st.integers(2, 3))], named)

    @both
    @pytest.mark.parametrize("kind", ["max", "avg"])
    @given(data=st.data(), dtype=dtypes)
    def test_pooling_with_ties(
        self, torch: ModuleType, axes: int, kind: str, data: st.DataObject, dtype: str
    ) -> None:
        size = [data.draw(st.integers(4, 9)) for _ in range(axes)]
        kernel = data.draw(settings(axes, 2, 3))
        named = {
            "kernel_size": kernel,
            "stride": data.draw(st.none() | settings(axes, 1, 3)),
            "padding": data.draw(settings(axes, 0, 1)),
        }
        if kind == "max" and data.draw(st.booleans()):
            named |= {"dilation": data.draw(settings(axes, 1, 2)), "padding": 0, "kernel_size": 2}
        seed = data.draw(st.integers(0, 99))
        x = np.random.default_rng(seed).integers(-2, 3, size=(2, 3, *size)).astype(dtype)
        assert_same(torch, f"{kind}_pool{axes}d", [x], named)

    @both
    @given(data=st.data(), dtype=dtypes)
    def test_adaptive_pooling(
        self, torch: ModuleType, axes: int, data: st.DataObject, dtype: str
    ) -> None:
        size = [data.draw(st.integers(1, 9)) for _ in range(axes)]
        counts = tuple(data.draw(st.integers(1, 9)) for _ in range(axes))
        output_size: Any = list(counts) if axes == 2 else counts[0]
        x = numbers(2, 3, *size, dtype=dtype)
        assert_same(torch, f"adaptive_avg_pool{axes}d", [x], {"output_size": output_size})


COMPOSING = [pytest.param(False, marks=pytest.mark.numpy_only("is about kernels")), True]


class TestAtTheEdges:
    @pytest.mark.parametrize(
        "call",
        [
            lambda x: tg.conv2d(x, tg.tensor(numbers(4, 3, 3, 3)), stride=2),
            lambda x: tg.conv2d(x, tg.tensor(numbers(1, 3, 3, 3))),
            lambda x: tg.conv2d(x, tg.tensor(numbers(6, 1, 3, 3)), groups=3),
            lambda x: tg.conv_transpose2d(x, tg.tensor(numbers(3, 4, 3, 3)), stride=2),
            lambda x: tg.max_pool2d(x, 2),
            lambda x: tg.avg_pool2d(x, 2, padding=1),
            lambda x: tg.adaptive_avg_pool2d(x, 1),
        ],
    )
    @pytest.mark.parametrize("composing", COMPOSING)
    def test_a_batch_of_nothing_gives_nothing(
        self, call: Callable[[tg.Tensor], tg.Tensor], composing: bool
    ) -> None:
        x = tg.tensor(np.zeros((0, 3, 5, 6)), requires_grad=True)
        with changed(composing=composing):
            out = call(x)
        out.sum().backward()
        assert out.shape[0] == 0
        assert x.grad is not None
        assert x.grad.shape == x.shape

    def test_weights_of_no_sample_get_gradient_zero(self) -> None:
        weight = tg.tensor(numbers(4, 3, 3, 3), requires_grad=True)
        bias = tg.tensor(numbers(4), requires_grad=True)
        tg.conv2d(tg.zeros((0, 3, 5, 6), dtype=tg.float64), weight, bias).sum().backward()
        for one in (weight, bias):
            assert one.grad is not None
            np.testing.assert_array_equal(one.grad.numpy(), np.zeros(one.shape))

    def test_a_transposed_convolution_is_the_gradient_of_a_convolution(self) -> None:
        x = tg.tensor(numbers(2, 3, 8, 7), requires_grad=True)
        weight = tg.tensor(numbers(4, 3, 3, 2))
        out = tg.conv2d(x, weight, stride=(2, 1), padding=1)
        g = tg.tensor(numbers(*out.shape, seed=1))
        (expected,) = tg.autograd.grad(out, x, g)
        found = tg.conv_transpose2d(g, weight, stride=(2, 1), padding=1, output_padding=(1, 0))
        assert expected is not None
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("composing", COMPOSING)
    def test_the_gradient_of_a_tie_goes_to_the_first(self, composing: bool) -> None:
        x = tg.tensor([[[1.0, 1.0, 0.0, 0.0, 2.0, 2.0]]], requires_grad=True)
        with changed(composing=composing):
            out = tg.max_pool1d(x, 3)
        out.sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]]

    @pytest.mark.numpy_only("kernels, compiled steps and float16")
    @pytest.mark.parametrize("how", ["kernel", "composite", "compiled", "again"])
    @pytest.mark.parametrize("axes", [1, 2])
    @pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
    def test_the_gradient_of_a_window_with_nan_goes_to_its_first_nan(
        self, dtype: str, axes: int, how: str
    ) -> None:
        rng = np.random.default_rng(5)
        for kernel, stride, padding in [(2, None, 0), (3, 1, 1), (3, 2, 0), (17, None, 0)]:
            x = rng.choice([np.nan, np.inf, -np.inf, 1.0, 2.0], (2, *(17,) * axes)).astype(dtype)
            settings = {"kernel_size": kernel, "stride": stride, "padding": padding}
            pool = partial(getattr(tg, f"max_pool{axes}d"), **settings)

            def slope(x: Any, pool: Any = pool) -> Any:
                leaf = x.detach().requires_grad_()
                out = pool(leaf)
                ones = tg.ones_like(out)  # in place of a sum, which warns of inf - inf
                return tg.autograd.grad(out, leaf, ones, create_graph=how == "again")[0].detach()

            with changed(composing=how == "composite"):
                run = tg.compile(slope) if how == "compiled" else slope
                found = run(tg.tensor(x)).numpy()
            np.testing.assert_array_equal(found, first_largest(x, axes, kernel, stride, padding))

    @pytest.mark.parametrize("compiled", [False, True])
    @pytest.mark.parametrize("graph", [False, True])
    def test_padding_gets_no_gradient_of_what_is_masked_by_inf(
        self, graph: bool, compiled: bool
    ) -> None:
        def slope(x: Any, pool: Callable[[Any], Any]) -> Any:
            x = x.detach().requires_grad_()
            return tg.autograd.grad(pool(x).sum(), x, create_graph=graph)[0].detach()

        pools: list[tuple[tuple[int, ...], Callable[[Any], Any], Any]] = [
            ((1, 4), lambda x: tg.max_pool1d(x, 3, stride=1, padding=1), [[2, 1, 1, 0]]),
            ((1, 3), lambda x: tg.max_pool1d(x, 2, stride=1, padding=1), [[2, 1, 1]]),
            ((2, 2), lambda x: tg.max_pool2d(x, 2, padding=1), [[1, 1], [1, 1]]),
            ((2, 3), lambda x: tg.max_pool2d(x, 3, 2, 1, (1, 1)), [[1, 1, 0], [0, 0, 0]]),
        ]
        for shape, pool, expected in pools:
            x = tg.tensor(np.full(shape, -np.inf))
            run = partial(slope, pool=pool)
            found = (tg.compile(run) if compiled else run)(x)
            assert found.tolist() == expected

    @pytest.mark.parametrize("composing", COMPOSING)
    def test_padding_is_never_the_largest_and_counts_in_the_mean(self, composing: bool) -> None:
        x = tg.tensor([[-4.0, -2.0]])
        with changed(composing=composing):
            assert tg.max_pool1d(x, 2, stride=1, padding=1).tolist() == [[-4.0, -2.0, -2.0]]
            assert tg.avg_pool1d(x, 2, stride=1, padding=1).tolist() == [[-2.0, -3.0, -1.0]]

    def test_lists_are_as_good_as_tuples(self) -> None:
        x, weight = tg.tensor(numbers(1, 1, 5, 6)), tg.tensor(numbers(1, 1, 2, 2))
        for function, arrays in ((tg.conv2d, (x, weight)), (tg.conv_transpose2d, (x, weight))):
            found = function(*arrays, stride=[2, 1], padding=[1, 0])
            expected = function(*arrays, stride=(2, 1), padding=(1, 0))
            assert found.tolist() == expected.tolist()

    def test_kernels_larger_than_256_remember_where_the_largest_was(self) -> None:
        x = tg.tensor(np.arange(300.0), requires_grad=True)
        tg.max_pool1d(x, 300).sum().backward()
        assert x.grad is not None
        assert np.flatnonzero(x.grad.numpy()).tolist() == [299]

    def test_a_net_of_them_learns(self) -> None:
        tg.seed(0)
        rng = np.random.default_rng(0)
        # Bars, vertical or horizontal, at random places.
        labels = rng.integers(0, 2, 60)
        images = rng.normal(0, 0.1, (60, 1, 8, 8)).astype(np.float32)
        for image, label, place in zip(images, labels, rng.integers(1, 7, 60), strict=True):
            image[0][(slice(None), place) if label else (place, slice(None))] += 1
        net = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding="same"),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 2),
        )
        adam = tg.optim.Adam(net.parameters(), lr=0.02)
        x, y = tg.tensor(images), tg.tensor(labels)
        for _ in range(60):
            loss = nn.functional.cross_entropy(net(x), y)
            adam.zero_grad()
            loss.backward(free=True)
            adam.step()
        net.eval()
        assert (tg.argmax(net(x), axis=1).numpy() == labels).mean() > 0.95


# --- layers ---------------------------------------------------------------------------------------

LAYERS: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    "Conv1d": ((4, 6, 3), {"padding": "same", "dilation": 2, "groups": 2}, (2, 4, 9)),
    "Conv2d": ((4, 6, (3, 2)), {"stride": 2, "padding": (1, 0), "bias": False}, (2, 4, 9, 8)),
    "ConvTranspose1d": ((4, 6, 3), {"stride": 2, "output_padding": 1, "groups": 2}, (2, 4, 5)),
    "ConvTranspose2d": ((4, 6, (3, 2)), {"stride": (2, 1), "padding": 1}, (2, 4, 5, 4)),
    "MaxPool1d": ((3,), {"stride": 2, "padding": 1}, (2, 3, 9)),
    "MaxPool2d": ((2,), {"dilation": 2}, (2, 3, 9, 8)),
    "AvgPool1d": ((3,), {"padding": 1}, (2, 3, 9)),
    "AvgPool2d": (((2, 3),), {}, (2, 3, 9, 8)),
    "AdaptiveAvgPool1d": ((3,), {}, (2, 3, 8)),
    "AdaptiveAvgPool2d": (((3, 2),), {}, (2, 3, 8, 5)),
    "BatchNorm1d": ((3,), {"momentum": None}, (4, 3)),
    "BatchNorm2d": ((3,), {"momentum": 0.3, "eps": 0.1}, (4, 3, 5, 2)),
    "LayerNorm": (((3, 5),), {}, (4, 3, 5)),
}


def twins(name: str, torch: ModuleType) -> tuple[Any, Any, Array]:
    """Return our layer and PyTorch's with the same float64 parameters, and an input."""
    arguments, named, shape = LAYERS[name]
    ours = getattr(nn, name)(*arguments, **named).to("float64")
    theirs = getattr(torch.nn, name)(*arguments, **named).to(torch.float64)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    return ours, theirs, numbers(*shape)


class TestLayers:
    @pytest.mark.parametrize("name", LAYERS)
    def test_compute_what_those_of_pytorch_do(self, torch: ModuleType, name: str) -> None:
        ours, theirs, x = twins(name, torch)
        for training in (True, True, False):
            ours.train(training)
            theirs.train(training)
            one, other = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
            out, expected = ours(one), theirs(other)
            np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), atol=1e-10)
            g = numbers(*out.shape, seed=1)
            out.backward(gradient=g)
            expected.backward(torch.tensor(g))
            assert one.grad is not None
            np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), atol=1e-10)
        for found, parameter in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(found.grad.numpy(), parameter.grad.numpy(), atol=1e-9)
        for key, value in theirs.state_dict().items():
            found = ours.state_dict()[key].numpy()
            np.testing.assert_allclose(found, value.numpy(), atol=1e-12)
            assert found.dtype == value.numpy().dtype

    @pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
    def test_start_from_numbers_as_large_as_those_of_pytorch(
        self, torch: ModuleType, name: str
    ) -> None:
        tg.seed(0)
        torch.manual_seed(0)
        ours = getattr(nn, name)(6, 30, 5)
        theirs = getattr(torch.nn, name)(6, 30, 5)
        # The largest of 4,500 uniform numbers is almost their bound, which also bounds the biases.
        largest = np.abs(ours.weight.detach().numpy()).max()
        assert largest == pytest.approx(theirs.weight.abs().max().item(), rel=0.01)
        biases = np.abs(ours.bias.detach().numpy()).max()
        assert 0.7 * largest < biases < 1.01 * largest

    def test_batch_norm_without_running_statistics_goes_by_the_batch(self) -> None:
        layer = nn.BatchNorm1d(3, affine=False, track_running_stats=False)
        assert list(layer.state_dict()) == []
        x = tg.tensor(numbers(50, 3))
        for training in (True, False):
            out = layer.train(training)(x).numpy()
            np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-12)
            np.testing.assert_allclose(out.std(axis=0), 1, atol=1e-4)

    def test_running_statistics_leave_older_graphs_right(self) -> None:
        layer = nn.BatchNorm1d(2).eval()
        x = tg.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
        out = layer(x)
        layer.train()(x)
        out.sum().backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), 1.0, rtol=1e-4)

    def test_batch_norm_of_one_value_says_what_to_do(self) -> None:
        with pytest.raises(tg.errors.ShapeError, match=r"more than one value(.|\n)*eval\(\)"):
            nn.BatchNorm1d(3)(tg.tensor([[1.0, 2.0, 3.0]]))

    @pytest.mark.parametrize(
        ("call", "kind", "piece"),
        [
            (lambda: nn.BatchNorm2d(3)(tg.tensor([[1.0]])), "ShapeError", "C = 3"),
            (lambda: nn.LayerNorm(3)(tg.tensor([[1.0]])), "ShapeError", r"\(3,\), got .*\(1, 1\)"),
            (lambda: nn.Embedding(3, 2)(tg.tensor([0.5])), "DTypeError", "integers"),
            (lambda: nn.Embedding(3, 2)(tg.tensor([3])), "IndexingError", "0 to 2, got 3"),
            (lambda: nn.Embedding(3, 2)(tg.tensor([-1])), "IndexingError", "0 to 2, got -1"),
            (lambda: nn.Embedding(3, 2, padding_idx=3), "ArgumentError", "one of 3 rows"),
            (lambda: nn.Conv2d(3, 4, 3, groups=2), "ArgumentError", "groups must divide"),
            (lambda: nn.Conv2d(3, 4, (3, 3, 3)), "ArgumentError", "2 spatial axes"),
            (lambda: nn.Conv2d(3, 4, 3, padding="full"), "ArgumentError", "'same', 'valid'"),
            (lambda: nn.ConvTranspose2d(3, 4, 3, padding="same"), "ArgumentTypeError", "integer"),
            (lambda: nn.MaxPool2d(0), "ArgumentError", "1 or more"),
            (lambda: nn.AdaptiveAvgPool2d(0), "ArgumentError", "1 or more"),
        ],
    )
    def test_mistakes_are_explained(self, call: Callable[[], Any], kind: str, piece: str) -> None:
        with pytest.raises(getattr(tg.errors, kind), match=piece):
            call()

    def test_an_embedding_looks_rows_up_and_their_gradients_add_up(self, torch: ModuleType) -> None:
        theirs = torch.nn.Embedding(5, 3, padding_idx=1)
        ours = nn.Embedding(5, 3, padding_idx=1)
        assert ours.weight.detach().numpy()[1].tolist() == [0.0] * 3
        ours.load_state_dict({"weight": theirs.weight.detach().numpy()})
        x = np.array([[0, 1, 1], [4, 0, 0]])
        out, expected = ours(tg.tensor(x)), theirs(torch.tensor(x))
        np.testing.assert_array_equal(out.detach().numpy(), expected.detach().numpy())
        g = numbers(2, 3, 3, dtype="float32")
        out.backward(gradient=g)
        expected.backward(torch.tensor(g))
        assert ours.weight.grad is not None
        np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-6)

    def test_say_what_is_not_usual_about_them(self) -> None:
        assert repr(nn.Conv2d(2, 4, (3, 1), padding="same", groups=2)) == (
            "Conv2d(2, 4, kernel_size=(3, 1), stride=1, padding='same', groups=2, bias=True)"
        )
        assert repr(nn.ConvTranspose1d(2, 4, 3, output_padding=1, stride=2)) == (
            "ConvTranspose1d(2, 4, kernel_size=3, stride=2, padding=0, output_padding=1, bias=True)"
        )
        assert repr(nn.MaxPool2d(2)) == "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1)"
