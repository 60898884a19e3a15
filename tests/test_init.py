"""Initialisers: moments, bounds, structure, fans; held against PyTorch's and the papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    ShapeError,
)

init = nn.init

SHAPES = [(80, 60), (6, 800), (80, 6, 10), (4, 30, 5, 7)]

DRAWING: dict[str, dict[str, Any]] = {
    "uniform_": {"a": -1.0, "b": 3.0},
    "normal_": {"mean": 1.0, "std": 3.0},
    "trunc_normal_": {"mean": 0.5, "std": 2.0, "a": -1.0, "b": 4.0},
    "xavier_uniform_": {"gain": 2.0},
    "xavier_normal_": {"gain": 2.0},
    "kaiming_uniform_": {"a": 0.3},
    "kaiming_normal_": {"mode": "fan_out", "nonlinearity": "relu"},
    "orthogonal_": {"gain": 2.0},
    "sparse_": {"sparsity": 0.4},
}
"""Those that draw numbers, each with arguments."""


def drawn(name: str, shape: tuple[int, ...], seed: int = 0, dtype: str = "float64") -> Any:
    tensor = nn.Parameter(tg.zeros(shape, dtype=dtype))
    generator = tg.Generator(seed)
    assert getattr(init, name)(tensor, **DRAWING[name], generator=generator) is tensor
    return tensor.detach().numpy()


@pytest.mark.numpy_only("is held against NumPy's numbers")
class TestEachOfThem:
    @pytest.mark.parametrize("name", DRAWING)
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_gives_the_same_numbers_for_a_seed_in_the_tensors_dtype(
        self, name: str, dtype: str
    ) -> None:
        one, again, other = (drawn(name, (20, 30), seed, dtype) for seed in (3, 3, 4))
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, again)
        assert not np.array_equal(one, other)

    @pytest.mark.parametrize("name", DRAWING)
    def test_draws_what_tg_seed_says(self, name: str) -> None:
        runs = []
        for settings in ({}, {"generator": None}):
            tg.seed(7)
            runs.append(getattr(init, name)(tg.zeros((4, 5)), **DRAWING[name], **settings).tolist())
        assert runs[0] == runs[1]

    @pytest.mark.parametrize(
        "fill",
        [
            *(lambda x, name=name: getattr(init, name)(x, **DRAWING[name]) for name in DRAWING),
            *(init.zeros_, init.ones_, init.eye_, lambda x: init.constant_(x, 0.25)),
        ],
        ids=[*DRAWING, "zeros_", "ones_", "eye_", "constant_"],
    )
    def test_changes_a_parameter_in_place_with_and_without_gradients(
        self, fill: Callable[[Any], Any]
    ) -> None:
        layer = nn.Linear(5, 4)
        optimizer = tg.optim.SGD(layer.parameters(), lr=0.1)
        for block in (tg.no_grad, tg.record):
            with block():
                tg.seed(0)
                weight = fill(layer.weight)
            assert weight is layer.weight
            assert weight.is_leaf
            assert weight.requires_grad
            assert weight.grad is None
        tg.seed(0)
        np.testing.assert_array_equal(weight.detach().numpy(), fill(tg.zeros((4, 5))).numpy())
        layer(tg.ones((1, 5))).sum().backward()
        before = weight.tolist()
        optimizer.step()
        assert weight.tolist() != before

    @pytest.mark.parametrize("name", DRAWING)
    @pytest.mark.numpy_only("compiled steps are of NumPy's arrays")
    def test_draws_anew_in_each_call_of_a_compiled_step(self, name: str) -> None:
        layer = nn.Linear(5, 4)

        def step(x: tg.Tensor) -> tg.Tensor:
            getattr(init, name)(layer.weight, **DRAWING[name])
            return layer(x).sum()

        runs = []
        for call in (step, tg.compile(step)):
            tg.seed(5)
            runs.append([call(tg.ones((2, 5))).item() for _ in range(4)])
        assert runs[0] == runs[1]
        assert len(set(runs[0])) == 4

    @pytest.mark.parametrize("name", [*DRAWING, "zeros_", "eye_"])
    def test_leaves_older_graphs_as_they_are(self, name: str) -> None:
        weight = nn.Parameter(tg.full((4, 4), 3.0))
        loss = (weight * weight).sum()
        getattr(init, name)(weight, **DRAWING.get(name, {}))
        loss.backward()
        assert weight.grad.tolist() == [[6.0] * 4] * 4

    @pytest.mark.parametrize("name", set(DRAWING) - {"sparse_"})
    @pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
    def test_does_nothing_to_a_tensor_without_elements(
        self, name: str, shape: tuple[int, int]
    ) -> None:
        assert drawn(name, shape).shape == shape

    def test_is_called_as_pytorchs_is(self) -> None:
        torch = pytest.importorskip("torch")
        from inspect import isfunction, signature

        theirs = {
            name: function
            for name, function in vars(torch.nn.init).items()
            if isfunction(function) and name[0] != "_" and name.endswith("_")
        }
        assert set(theirs) <= set(init.__all__)
        for name, function in theirs.items():
            ours = signature(getattr(init, name)).parameters
            for key, parameter in signature(function).parameters.items():
                assert ours[key].default == parameter.default, (name, key)
            assert list(ours) == list(signature(function).parameters)


@pytest.mark.numpy_only("is held against NumPy's numbers")
class TestConstants:
    def test_fill_whatever_was_there(self) -> None:
        parameter = nn.Parameter(np.array([np.nan, np.inf, 1.0], np.float32))
        assert init.zeros_(parameter).tolist() == [0, 0, 0]
        assert init.ones_(parameter).tolist() == [1, 1, 1]
        assert init.constant_(parameter, 0.5).tolist() == [0.5] * 3
        assert parameter.dtype == np.float32
        assert init.constant_(tg.scalar(np.nan), 2.0).item() == 2.0
        assert init.ones_(tg.tensor([3, 4])).tolist() == [1, 1]

    @pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (0, 3)])
    def test_eye_is_the_identity(self, shape: tuple[int, int]) -> None:
        assert init.eye_(tg.full(shape, np.nan)).tolist() == np.eye(*shape).tolist()

    @pytest.mark.parametrize("groups", [1, 2, 3])
    @pytest.mark.parametrize(
        "shape", [(6, 2, 3), (6, 4, 4), (6, 6, 1), (6, 2, 3, 5), (6, 3, 4, 2), (6, 1, 3, 2, 5)]
    )
    def test_dirac_is_pytorchs(self, shape: tuple[int, ...], groups: int) -> None:
        torch = pytest.importorskip("torch")
        expected = torch.nn.init.dirac_(torch.empty(shape), groups)
        found = init.dirac_(tg.full(shape, np.nan), groups)
        np.testing.assert_array_equal(found.numpy(), expected.numpy())

    @pytest.mark.parametrize("groups", [1, 2])
    def test_dirac_makes_a_convolution_an_identity(self, groups: int) -> None:
        generator = np.random.default_rng(0)
        for layer, lengths in (
            (nn.Conv1d(4, 4, 3, padding=1, groups=groups), (7,)),
            (nn.Conv2d(4, 4, (3, 5), padding=(1, 2), groups=groups), (7, 6)),
        ):
            init.dirac_(layer.weight, groups)
            init.zeros_(layer.bias)
            x = tg.tensor(generator.normal(size=(2, 4, *lengths)).astype(np.float32))
            np.testing.assert_array_equal(layer(x).detach().numpy(), x.numpy())


@pytest.mark.numpy_only("is held against NumPy's numbers")
class TestDistributions:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_have_the_spread_of_their_papers(self, shape: tuple[int, ...]) -> None:
        fan_in = int(np.prod(shape[1:]))
        fan_out = shape[0] * int(np.prod(shape[2:]))
        variance = {
            "xavier_uniform_": 4 * 2 / (fan_in + fan_out),
            "xavier_normal_": 4 * 2 / (fan_in + fan_out),
            "kaiming_uniform_": 2 / (1 + 0.3**2) / fan_in,
            "kaiming_normal_": 2 / fan_out,
        }
        for name, expected in variance.items():
            values = drawn(name, shape).ravel()
            spread = np.sqrt(expected)
            exact = (
                stats.uniform(-np.sqrt(3) * spread, 2 * np.sqrt(3) * spread)
                if "uniform" in name
                else stats.norm(0, spread)
            )
            assert stats.kstest(values, exact.cdf).pvalue > 1e-3, name

    def test_are_those_that_were_asked_for(self) -> None:
        exact = {
            "uniform_": stats.uniform(-1, 4),
            "normal_": stats.norm(1, 3),
            "trunc_normal_": stats.truncnorm(-0.75, 1.75, 0.5, 2.0),
        }
        for name, distribution in exact.items():
            values = drawn(name, (100, 200)).ravel()
            assert stats.kstest(values, distribution.cdf).pvalue > 1e-3, name

    @pytest.mark.parametrize("average", ["xavier", "kaiming"])
    def test_of_the_average_fan_are_glorots(self, average: str) -> None:
        """Kaiming's with the average of both fans is Xavier's, gain 1: one formula."""
        tensor = tg.zeros((40, 30, 5))
        tg.seed(1)
        if average == "kaiming":
            init.kaiming_normal_(tensor, mode="average", nonlinearity="linear")
        else:
            init.xavier_normal_(tensor)
        tg.seed(1)
        expected = init.normal_(tg.zeros((40, 30, 5)), 0.0, np.sqrt(2 / (5 * 70)))
        np.testing.assert_allclose(tensor.numpy(), expected.numpy(), rtol=1e-6)

    @pytest.mark.parametrize(
        ("a", "b"),
        [(-2, 2), (0, 1), (6, 7), (-9, -8.5), (30, 40), (-np.inf, -12), (3, np.inf), (-40, 50)],
    )
    def test_cut_off_stay_between_their_bounds_with_the_right_numbers(
        self, a: float, b: float
    ) -> None:
        values = init.trunc_normal_(tg.zeros(5000, dtype="float64"), a=a, b=b).numpy()
        assert values.min() >= a
        assert values.max() <= b
        distribution = stats.truncnorm(a, b)
        assert stats.kstest(values, distribution.cdf).pvalue > 1e-3
        assert len(np.unique(values)) > 4990
        narrow = init.trunc_normal_(tg.zeros(5000), a=a, b=b).numpy()
        assert a <= narrow.min() <= narrow.max() <= b

    @pytest.mark.parametrize(
        "layer",
        [
            ("Linear", (7, 5)),
            ("Bilinear", (3, 4, 5)),
            ("Conv1d", (6, 4, 3)),
            ("Conv2d", (6, 4, (3, 5))),
            ("ConvTranspose1d", (6, 4, 3)),
            ("ConvTranspose2d", (6, 4, (3, 5))),
            ("Embedding", (7, 5)),
        ],
        ids=lambda layer: layer[0],
    )
    def test_see_pytorchs_fans(self, layer: tuple[str, tuple[Any, ...]]) -> None:
        torch = pytest.importorskip("torch")
        name, arguments = layer
        weight = getattr(nn, name)(*arguments).weight
        theirs = getattr(torch.nn, name)(*arguments).weight
        assert weight.shape == tuple(theirs.shape)
        fans = torch.nn.init._calculate_fan_in_and_fan_out(theirs)
        generator = tg.Generator(0)
        for mode, fan in zip(("fan_in", "fan_out"), fans, strict=True):
            state = generator.get_state()
            init.kaiming_normal_(weight, mode=mode, nonlinearity="linear", generator=generator)
            generator.set_state(state)
            expected = init.normal_(
                tg.zeros(weight.shape), 0.0, 1 / np.sqrt(fan), generator=generator
            )
            np.testing.assert_array_equal(weight.detach().numpy(), expected.numpy())

    def test_agree_with_pytorchs(self) -> None:
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        for name, arguments in DRAWING.items():
            if name in ("orthogonal_", "sparse_"):  # whose numbers depend on one another
                continue
            theirs = getattr(torch.nn.init, name)(torch.empty((60, 50, 3)), **arguments)
            ours = drawn(name, (60, 50, 3))
            assert stats.ks_2samp(ours.ravel(), theirs.numpy().ravel()).pvalue > 1e-3, name


@pytest.mark.numpy_only("is held against NumPy's numbers")
class TestOrthogonal:
    @pytest.mark.parametrize(("dtype", "within"), [("float32", 1e-6), ("float64", 1e-14)])
    @pytest.mark.parametrize("shape", [(5, 5), (3, 40), (40, 3), (8, 3, 5), (30, 2, 3, 2), (1, 4)])
    def test_rows_or_columns_are_orthonormal(
        self, shape: tuple[int, ...], dtype: str, within: float
    ) -> None:
        values = init.orthogonal_(tg.zeros(shape, dtype=dtype)).numpy().astype(np.float64)
        matrix = values.reshape(shape[0], -1)
        product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        np.testing.assert_allclose(product, np.eye(len(product)), rtol=0, atol=within)

    def test_is_drawn_uniformly_from_all_rotations_and_reflections(self) -> None:
        """The first entry of a uniform 3×3 one is uniform from -1 to 1 (Archimedes)."""
        tg.seed(0)
        entries = [init.orthogonal_(tg.zeros((3, 3))).numpy() for _ in range(2000)]
        for place in ((0, 0), (1, 2), (2, 1)):
            values = [matrix[place] for matrix in entries]
            assert stats.kstest(values, stats.uniform(-1, 2).cdf).pvalue > 1e-3
        signs = np.sign([np.linalg.det(matrix) for matrix in entries])
        assert abs(signs.mean()) < 4 / np.sqrt(2000)

    def test_gain_is_a_factor(self) -> None:
        one, other = (
            init.orthogonal_(tg.zeros((4, 6)), gain, generator=tg.Generator(0)).numpy()
            for gain in (1.0, -2.5)
        )
        np.testing.assert_allclose(other, -2.5 * one, rtol=1e-6)


@pytest.mark.numpy_only("is held against NumPy's numbers")
class TestSparse:
    @pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.25, 0.9, 1.0])
    def test_columns_have_as_many_zeros_as_pytorchs(self, sparsity: float) -> None:
        torch = pytest.importorskip("torch")
        theirs = torch.nn.init.sparse_(torch.empty((30, 20)), sparsity).numpy()
        ours = init.sparse_(tg.zeros((30, 20)), sparsity).numpy()
        np.testing.assert_array_equal((ours == 0).sum(axis=0), (theirs == 0).sum(axis=0))

    def test_zeros_are_anywhere_and_the_rest_is_normal(self) -> None:
        values = init.sparse_(tg.zeros((50, 400)), 0.3, std=0.5).numpy()
        of_rows = (values == 0).mean(axis=1)
        assert np.abs(of_rows - 0.3).max() < 5 * np.sqrt(0.3 * 0.7 / 400)
        assert stats.kstest(values[values != 0], stats.norm(0, 0.5).cdf).pvalue > 1e-3


@pytest.mark.numpy_only("is held against NumPy's numbers")
class TestGains:
    def test_are_pytorchs(self) -> None:
        torch = pytest.importorskip("torch")
        from typing import get_args, get_type_hints

        names = get_args(get_type_hints(torch.nn.init.calculate_gain)["nonlinearity"])
        assert len(names) >= 12
        for name in names:
            assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
        for slope in (0, 0.3, -1, 2.5):
            expected = torch.nn.init.calculate_gain("leaky_relu", slope)
            assert init.calculate_gain("leaky_relu", slope) == expected

    @pytest.mark.parametrize(
        ("name", "f"), [("relu", lambda x: max(x, 0.0)), ("leaky_relu", lambda x: max(x, 0.01 * x))]
    )
    def test_undo_what_the_activation_does_to_the_second_moment(
        self, name: str, f: Callable[[float], float]
    ) -> None:
        moment = stats.norm.expect(lambda x: f(x) ** 2, points=[0.0], lb=-12, ub=12)
        assert init.calculate_gain(name) == pytest.approx(1 / np.sqrt(moment), rel=1e-6)


MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "an array": (
        lambda: init.zeros_(np.zeros(3)),  # type: ignore[arg-type]
        ArgumentTypeError,
        r"zeros_ changes a Tensor in place, got ndarray: .*not layer\.weight\.data",
    ),
    "a number": (lambda: init.normal_(3.0), ArgumentTypeError, "got float"),  # type: ignore[arg-type]
    "a list": (lambda: init.ones_([1.0]), ArgumentTypeError, "got list"),  # type: ignore[arg-type]
    "nothing": (lambda: init.orthogonal_(None), ArgumentTypeError, "got NoneType"),  # type: ignore[arg-type]
    "a slice": (
        lambda: init.ones_(nn.Parameter([1.0, 2.0, 3.0])[1:]),
        GradientError,
        r"computed from another.*\n.*w\[i\] = tg\.nn\.init\.ones_",
    ),
    "a detached parameter": (
        lambda: init.uniform_(nn.Parameter([1.0]).detach()),
        GradientError,
        "would stay as it is",
    ),
    "integers": (
        lambda: init.uniform_(tg.tensor([1, 2])),
        DTypeError,
        "uniform_ fills tensors of a floating dtype, got int64",
    ),
    "a text": (lambda: init.constant_(tg.zeros(2), "1"), ArgumentTypeError, "number, got str: '1'"),  # type: ignore[arg-type]
    "None for a bound": (
        lambda: init.uniform_(tg.zeros(2), None),  # type: ignore[arg-type]
        ArgumentTypeError,
        "uniform_: a is a number, got NoneType",
    ),
    "an array for std": (
        lambda: init.normal_(tg.zeros(2), 0.0, np.ones(2)),  # type: ignore[arg-type]
        ArgumentTypeError,
        "normal_: std is a number, got ndarray",
    ),
    "a Tensor for a bound": (
        lambda: init.trunc_normal_(tg.zeros(2), a=tg.scalar(-1.0)),  # type: ignore[arg-type]
        ArgumentTypeError,
        r"a is a number, got Tensor.*value\.item\(\) is its number",
    ),
    "an array for mode": (
        lambda: init.kaiming_normal_(tg.zeros((2, 2)), mode=np.ones(2)),  # type: ignore[arg-type]
        ArgumentError,
        "mode must be",
    ),
    "a > b": (
        lambda: init.uniform_(tg.zeros(2), 2.0, 1.0),
        ArgumentError,
        r"uniform_: expected finite bounds a <= b, got a=2\.0 and b=1\.0",
    ),
    "an infinite bound": (lambda: init.uniform_(tg.zeros(2), 0, np.inf), ArgumentError, "finite"),
    "a NaN bound": (lambda: init.uniform_(tg.zeros(2), np.nan, 1), ArgumentError, "finite"),
    "std < 0": (lambda: init.normal_(tg.zeros(2), 0, -1), ArgumentError, r"0 or more.*std=-1"),
    "std NaN": (lambda: init.normal_(tg.zeros(2), 0, np.nan), ArgumentError, "std=nan"),
    "mean NaN": (lambda: init.normal_(tg.zeros(2), np.nan), ArgumentError, "finite mean"),
    "sparse std < 0": (lambda: init.sparse_(tg.zeros((2, 2)), 0.5, -1), ArgumentError, "std=-1"),
    "truncated, a > b": (
        lambda: init.trunc_normal_(tg.zeros(2), a=2.0, b=-2.0),
        ArgumentError,
        r"bounds a < b.*a=2\.0 and b=-2\.0",
    ),
    "truncated, std 0": (lambda: init.trunc_normal_(tg.zeros(2), std=0), ArgumentError, "above 0"),
    "truncated, a NaN": (lambda: init.trunc_normal_(tg.zeros(2), a=np.nan), ArgumentError, "a < b"),
    "one axis": (
        lambda: init.kaiming_uniform_(nn.Parameter([1.0, 2.0, 3.0])),
        ShapeError,
        r"kaiming_uniform_ needs at least two axes.*\(3,\).*bias",
    ),
    "one axis, Xavier": (lambda: init.xavier_normal_(tg.zeros(3)), ShapeError, "at least two axes"),
    "no axes": (lambda: init.orthogonal_(tg.tensor(1.0)), ShapeError, "at least two axes"),
    "no matrix": (lambda: init.eye_(tg.zeros((2, 2, 2))), ShapeError, r"matrix.*\(2, 2, 2\)"),
    "no sparse matrix": (lambda: init.sparse_(tg.zeros(4), 0.1), ShapeError, "needs a matrix"),
    "no convolution": (lambda: init.dirac_(tg.zeros((2, 2))), ShapeError, "3 to 5 axes"),
    "groups": (lambda: init.dirac_(tg.zeros((4, 2, 3)), 3), ArgumentError, "divides.* 4; got 3"),
    "no groups": (lambda: init.dirac_(tg.zeros((4, 2, 3)), 0), ArgumentError, "got 0"),
    "gain NaN": (
        lambda: init.xavier_uniform_(tg.zeros((2, 2)), gain=np.nan),
        ArgumentError,
        "gain is a finite number, got nan",
    ),
    "gain < 0": (lambda: init.xavier_normal_(tg.zeros((2, 2)), -1), ArgumentError, "0 or more"),
    "orthogonal gain": (
        lambda: init.orthogonal_(tg.zeros((2, 2)), np.inf),
        ArgumentError,
        "finite",
    ),
    "sparsity": (lambda: init.sparse_(tg.zeros((2, 2)), 1.5), ArgumentError, "from 0 to 1.*1.5"),
    "mode": (
        lambda: init.kaiming_normal_(nn.Parameter([[1.0]]), mode="both"),
        ArgumentError,
        "'fan_in' or 'fan_out' or 'average', got 'both'",
    ),
    "an unknown activation": (lambda: init.calculate_gain("swish"), ArgumentError, "relu.*'swish'"),
    "a list for a name": (lambda: init.calculate_gain(["relu"]), ArgumentError, "got"),  # type: ignore[arg-type]
    "slope NaN": (
        lambda: init.calculate_gain("leaky_relu", np.nan),
        ArgumentError,
        "slope is a finite number, got nan",
    ),
    "another's generator": (
        lambda: init.normal_(tg.zeros(2), generator=np.random.default_rng(0)),  # type: ignore[arg-type]
        ArgumentTypeError,
        r"tg\.Generator\(seed\) or None, got Generator",
    ),
    "PyTorch's old name": (lambda: init.dirac, AttributeError, r"tg\.nn\.init\.dirac_"),
}


@pytest.mark.numpy_only("is held against NumPy's numbers")
class TestMistakes:
    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_are_explained(self, mistake: str) -> None:
        call, error, says = MISTAKES[mistake]
        with pytest.raises(error, match=f"(?s){says}"):
            call()

    def test_leave_the_tensor_as_it_was(self) -> None:
        tensor = tg.tensor([[1.0, 2.0]])
        for call in (
            lambda: init.kaiming_normal_(tensor, mode="both"),
            lambda: init.sparse_(tensor, 2.0),
            lambda: init.trunc_normal_(tensor, a=3.0),
        ):
            with pytest.raises(ArgumentError):
                call()
        assert tensor.tolist() == [[1.0, 2.0]]

    def test_the_advice_for_a_part_of_a_parameter_does_it(self) -> None:
        w = nn.Parameter(tg.zeros((3, 4)))
        with tg.no_grad():
            w[1] = init.ones_(tg.zeros(w[1].shape))
        assert w.sum(axis=1).tolist() == [0.0, 4.0, 0.0]


def test_every_backend_gets_the_same_numbers() -> None:
    sizes = {"constant_": {"val": 0.5}, "eye_": {}, "zeros_": {}, **DRAWING}
    for name, arguments in sizes.items():
        numbers = []
        for device in (tg.get_default_device(), "cpu"):
            tg.seed(3)
            with tg.default_device(device):
                weight = nn.Linear(6, 4).weight
                getattr(init, name)(weight, **arguments)
            numbers.append(weight.detach().to("cpu").tolist())
        assert numbers[0] == numbers[1], name
