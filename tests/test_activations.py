"""Activations: modules and functions against their formulas and PyTorch, kinks included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError

F = nn.functional
Array = np.ndarray[Any, Any]
X = np.linspace(-7.0, 25.0, 96).reshape(2, 4, 12)
"""Past every bound, and past the threshold of Softplus."""


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _ramp(x: Array) -> Array:
    return np.clip(x + 3, 0, 6) / 6


def _halves(x: Array, axis: int) -> Array:
    values, gates = np.split(x, 2, axis=axis)
    return values * special.expit(gates)


Module = tuple[str, dict[str, Any], Callable[[Array], Array], list[float]]
MODULES: list[Module] = [
    ("ReLU", {}, lambda x: np.maximum(x, 0), [0.0]),
    ("ReLU6", {}, lambda x: np.clip(x, 0, 6), [0.0, 6.0]),
    ("LeakyReLU", {"negative_slope": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x), [0.0]),
    ("ELU", {"alpha": 1.5}, lambda x: _elu(x, 1.5), [0.0]),
    ("CELU", {"alpha": 0.5}, lambda x: _elu(x / 0.5, 1.0) * 0.5, [0.0]),
    ("SELU", {}, lambda x: 1.0507009873554805 * _elu(x, 1.6732632423543772), [0.0]),
    ("GELU", {}, lambda x: x * special.ndtr(x), []),
    (
        *("GELU", {"approximate": "tanh"}),
        lambda x: x * special.expit(np.sqrt(8 / np.pi) * (x + 0.044715 * x**3)),
        [],
    ),
    ("GLU", {"dim": 1}, lambda x: _halves(x, 1), []),
    ("SiLU", {}, lambda x: x * special.expit(x), []),
    ("Mish", {}, lambda x: x * np.tanh(np.logaddexp(0, x)), []),
    ("Softplus", {}, lambda x: np.where(x > 20, x, np.logaddexp(0, x)), []),
    (
        *("Softplus", {"beta": 2.0, "threshold": 3.0}),
        lambda x: np.where(2 * x > 3, x, np.logaddexp(0, 2 * x) / 2),
        [],
    ),
    ("Softsign", {}, lambda x: x / (1 + abs(x)), [0.0]),
    ("Softshrink", {"lambd": 0.7}, lambda x: np.sign(x) * np.maximum(abs(x) - 0.7, 0), [0.7, -0.7]),
    ("Hardshrink", {"lambd": 0.7}, lambda x: np.where(abs(x) > 0.7, x, 0), [0.7, -0.7]),
    ("Hardtanh", {"min_val": -2.0, "max_val": 3.0}, lambda x: np.clip(x, -2, 3), [-2.0, 3.0]),
    ("Hardsigmoid", {}, _ramp, [-3.0, 3.0]),
    ("Hardswish", {}, lambda x: x * _ramp(x), [-3.0, 3.0]),
    ("Threshold", {"threshold": 0.1, "value": 20.0}, lambda x: np.where(x > 0.1, x, 20), [0.1]),
    ("Sigmoid", {}, special.expit, []),
    ("LogSigmoid", {}, lambda x: -np.logaddexp(0, -x), []),
    ("Tanh", {}, np.tanh, []),
    ("Tanhshrink", {}, lambda x: x - np.tanh(x), []),
    ("PReLU", {"init": 0.3}, lambda x: np.where(x > 0, x, 0.3 * x), [0.0]),
    ("PReLU", {"num_parameters": 4}, lambda x: np.where(x > 0, x, 0.25 * x), []),
    ("Softmax", {"dim": 1}, lambda x: special.softmax(x, 1), []),
    ("LogSoftmax", {"dim": 2}, lambda x: special.log_softmax(x, 2), []),
    ("Softmin", {"dim": 0}, lambda x: special.softmax(-x, 0), []),
    ("Softmax2d", {}, lambda x: special.softmax(x, 0), []),
]
"""A module, its settings, its formula, and where it has kinks."""

every_module = pytest.mark.parametrize(
    ("name", "settings", "by_hand", "kinks"),
    MODULES,
    ids=[f"{name} {' '.join(settings)}".strip() for name, settings, _, _ in MODULES],
)


@pytest.fixture
def in_float64() -> Any:
    before = tg.get_default_dtype()
    tg.set_default_dtype(tg.float64)
    yield
    tg.set_default_dtype(before)


@pytest.mark.usefixtures("in_float64")
@every_module
class TestEveryModule:
    def test_is_its_formula(
        self, name: str, settings: Any, by_hand: Callable[[Array], Array], kinks: Any
    ) -> None:
        found = getattr(nn, name)(**settings)(tg.tensor(X))
        np.testing.assert_allclose(found.detach().numpy(), by_hand(X), rtol=1e-12, atol=1e-13)

    @pytest.mark.numpy_only("PyTorch is compared with NumPy's arrays")
    def test_has_pytorchs_values_and_gradients_also_at_kinks(
        self, name: str, settings: Any, by_hand: Any, kinks: list[float]
    ) -> None:
        torch = pytest.importorskip("torch")
        x = X.copy()
        x.reshape(-1)[: len(kinks)] = kinks
        ours = tg.tensor(x, requires_grad=True)
        theirs = torch.tensor(x, requires_grad=True)
        mine = getattr(nn, name)(**settings)
        peer = getattr(torch.nn, name)(**settings).double()
        for one in peer.parameters():
            one.data.fill_(settings.get("init", 0.25))
        out, expected = mine(ours), peer(theirs)
        np.testing.assert_allclose(
            out.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-13
        )
        g = np.random.default_rng(0).normal(size=out.shape)
        out.backward(gradient=g)
        expected.backward(torch.tensor(g))
        # PyTorch's slope of hardsigmoid is 1/6 as a float32, in float64, too.
        rtol = 1e-7 if name == "Hardsigmoid" else 1e-12
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=rtol, atol=1e-13)
        for one, other in zip(mine.parameters(), peer.parameters(), strict=True):
            np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), rtol=1e-12)

    def test_is_differentiable_twice(
        self, name: str, settings: Any, by_hand: Any, kinks: Any
    ) -> None:
        x = np.linspace(-1.9, 1.73, 16).reshape(2, 4, 2)
        module = getattr(nn, name)(**settings)
        tg.gradcheck(module, tg.tensor(x), order=2, samples=3)

    @pytest.mark.numpy_only("compiled steps are NumPy code; the standard has no float16")
    def test_is_compiled_bit_for_bit_drawn_and_keeps_the_dtype(
        self, name: str, settings: Any, by_hand: Any, kinks: Any
    ) -> None:
        module = getattr(nn, name)(**settings)
        step = tg.value_and_grad(lambda x: (module(x) ** 2).sum())
        compiled = tg.compile(step)
        for call in range(3):
            x = tg.tensor(X - 4.0 * call)
            for found, expected in zip(compiled(x), step(x), strict=True):
                assert np.array_equal(found.detach().numpy(), expected.detach().numpy())
        for dtype in (np.float16, np.float32):
            x = tg.tensor(X.astype(dtype), requires_grad=True)
            one = module.to(dtype) if list(module.parameters()) else module
            out = one(x)
            assert out.dtype == dtype
            (gradient,) = tg.autograd.grad([out], [x], [tg.ones(out.shape, dtype=dtype)])
            assert gradient.dtype == dtype
        assert "->" in tg.draw(out).dot


class TestRReLU:
    def test_draws_slopes_in_training_and_takes_their_mean_otherwise(self) -> None:
        module, x = nn.RReLU(0.1, 0.3), tg.tensor(-np.ones(1000), requires_grad=True)
        tg.seed(0)
        slopes = -module(x).detach().numpy()
        assert slopes.min() >= 0.1
        assert slopes.max() <= 0.3
        assert 0.19 < slopes.mean() < 0.21
        tg.seed(0)
        module(x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), slopes)
        np.testing.assert_allclose(module.eval()(x).detach().numpy(), -0.2)
        np.testing.assert_allclose(F.rrelu(x, 0.1, 0.3).detach().numpy(), -0.2)
        assert module(tg.tensor([2.0])).tolist() == [2.0]

    @pytest.mark.numpy_only("compiled steps are NumPy code")
    def test_draws_other_slopes_at_each_call_of_a_compiled_step(self) -> None:
        module, x = nn.RReLU(), tg.tensor(-np.ones(5))
        compiled = tg.compile(lambda x: module(x))
        tg.seed(3)
        found = [compiled(x).tolist() for _ in range(3)]
        tg.seed(3)
        assert found == [module(x).tolist() for _ in range(3)]
        assert found[0] != found[1]


class TestSoftmax:
    @pytest.mark.parametrize("name", ["softmax", "log_softmax"])
    @pytest.mark.parametrize(("shape", "axis"), [((2, 0), 1), ((0, 3), 1), ((0,), 0), ((0, 3), 0)])
    def test_of_nothing_is_nothing(self, name: str, shape: tuple[int, ...], axis: int) -> None:
        x = tg.zeros(shape, requires_grad=True)
        for out in (getattr(tg, name)(x, axis=axis), getattr(F, name)(x, dim=axis)):
            assert out.shape == shape
            out.sum().backward()
            assert x.grad.shape == shape

    def test_of_nothing_has_a_logsumexp_of_minus_infinity(self) -> None:
        assert tg.logsumexp(tg.zeros((2, 0)), axis=1).tolist() == [-np.inf] * 2
        assert tg.logsumexp(tg.zeros((0, 2)), axis=1, keepdims=True).shape == (0, 1)

    def test_takes_an_axis_where_several_could_be_meant(self) -> None:
        assert F.softmax(tg.tensor([[1.0, 1.0]])).tolist() == [[0.5, 0.5]]
        assert F.softmax(tg.tensor([1, 1]), dtype=np.float32).tolist() == [0.5, 0.5]
        with pytest.raises(ArgumentError, match="dim=-1 is the last"):
            nn.Softmax()(tg.tensor(X))
        with pytest.raises(ArgumentTypeError, match="there is no argument 'axis': write dim=1"):
            F.softmax(tg.tensor(X), axis=1)


class TestDropouts:
    @pytest.mark.parametrize("name", ["dropout1d", "dropout2d", "feature_alpha_dropout"])
    def test_of_channels_drop_whole_ones(self, name: str) -> None:
        x = tg.ones((50, 4, 3), requires_grad=True)
        out = getattr(F, name)(x, 0.5, training=True, generator=tg.Generator(0)).detach().numpy()
        assert (out == out[:, :, :1]).all()
        assert len(np.unique(out)) == 2
        assert getattr(F, name)(x, 0.5, training=False) is x

    @pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
    def test_of_selu_keep_mean_and_variance(self, name: str) -> None:
        x = tg.random.normal((1000, 50), generator=tg.Generator(1))
        out = getattr(F, name)(x, 0.3, training=True, generator=tg.Generator(0)).numpy()
        assert abs(out.mean()) < 0.03
        assert abs(out.std() - 1) < 0.03

    @pytest.mark.parametrize("name", ["dropout1d", "dropout2d", "alpha_dropout"])
    def test_of_all_leave_nothing(self, name: str) -> None:
        x = tg.ones((2, 3, 2))
        assert not getattr(F, name)(x, 1.0, training=True).numpy().any()
        with pytest.raises(ArgumentError, match=r"from 0 to 1, got 1\.5"):
            getattr(F, name)(x, 1.5, training=True)


MISTAKES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: nn.ReLU(inplace=True), ArgumentTypeError, "ReLU: inplace=True .* use the result"),
    (lambda: nn.LeakyReLU(0.1, True), ArgumentTypeError, "LeakyReLU: inplace=True"),
    (lambda: F.relu(tg.tensor(X), inplace=True), ArgumentTypeError, r"x = f\(x\)"),
    (lambda: nn.GLU(1)(tg.ones((2, 3))), ShapeError, "glu: expected an even number .* axis 1"),
    (lambda: nn.GLU(7)(tg.ones((2, 3))), ShapeError, "no axis 7"),
    (lambda: nn.PReLU(3)(tg.ones((2, 4))), ShapeError, r"prelu: .*\(1,\) or \(4,\), got \(3,\)"),
    (lambda: nn.PReLU(0), ArgumentError, "num_parameters must be"),
    (lambda: nn.RReLU(0.5, 0.1), ArgumentError, "lower <= upper, got 0.5 and 0.1"),
    (lambda: nn.Hardtanh(1.0, -1.0), ArgumentError, "min_val <= max_val"),
    (lambda: nn.Hardtanh(min_value=0.0), ArgumentTypeError, "its name is min_val="),
    (lambda: tg.hardtanh(tg.ones(2), 1.0, 0.0), ArgumentError, "hardtanh: .*min_val <= max_val"),
    (lambda: nn.Softshrink(-1.0), ArgumentError, "lambd of 0 or more"),
    (lambda: tg.softshrink(tg.ones(2), -1.0), ArgumentError, "softshrink: .*lambd of 0 or more"),
    (lambda: nn.CELU(0.0)(tg.ones(2)), ArgumentError, "celu: expected an alpha other than 0"),
    (lambda: F.softplus(tg.ones(2), 0.0), ArgumentError, "softplus: expected a beta other than 0"),
    (lambda: nn.Softmax2d()(tg.ones((2, 2))), ShapeError, "Softmax2d: expected x of shape"),
    (lambda: F.dropout2d(tg.ones((2, 2))), ShapeError, "dropout2d: expected x of shape"),
    (lambda: F.dropout1d(tg.ones(2)), ShapeError, "dropout1d: expected x of shape"),
]


@pytest.mark.parametrize(("call", "kind", "says"), MISTAKES)
def test_mistakes_are_explained(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        call()


def test_settings_are_shown_as_pytorch_shows_them() -> None:
    shown = [nn.ReLU(), nn.ELU(0.5), nn.Softplus(), nn.Hardtanh(), nn.PReLU(2), nn.GELU("tanh")]
    assert [repr(one) for one in shown] == [
        "ReLU()",
        "ELU(alpha=0.5)",
        "Softplus(beta=1.0, threshold=20.0)",
        "Hardtanh(min_val=-1.0, max_val=1.0)",
        "PReLU(num_parameters=2)",
        "GELU(approximate='tanh')",
    ]
