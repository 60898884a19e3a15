"""Modules: PyTorch's values, gradients, names and initialisations, and the Module interface."""

import copy
import pickle
import threading
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import special, stats

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    IndexingError,
    ShapeError,
    StateDictError,
    TinygradLabError,
)
from tinygrad_lab.train.models import MODELS, make_model

Array = np.ndarray[Any, Any]
unhurried = settings(deadline=None, max_examples=30)
few = settings(deadline=None, max_examples=12)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture
def torch() -> ModuleType:
    module: ModuleType = pytest.importorskip("torch")
    module.set_num_threads(1)
    return module


@pytest.fixture(autouse=True)
def seeded() -> None:
    tg.seed(0)


@pytest.fixture
def default_dtype() -> Iterator[None]:
    yield
    tg.set_default_dtype(tg.float32)


def normal(*shape: int, seed: int = 0, dtype: Any = "float32") -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def arrays(module: nn.Module) -> dict[str, Array]:
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


class Encoder(nn.Module):
    """Nested modules, with parameters before and after them."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter([2.0, 3.0])
        self.body = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
        self.shift = nn.Parameter([0.5, 0.5])
        self.register_buffer("mean", tg.tensor([1.0, 1.0]))

    def forward(self, x: tg.Tensor) -> Any:
        return self.scale * self.body(x - self.mean) + self.shift


class Tied(nn.Module):
    """One weight under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.second = nn.Linear(2, 2)
        self.second.weight = self.first.weight

    def forward(self, x: tg.Tensor) -> Any:
        return self.second(self.first(x))


# --- layers as plain loops ----------------------------------------------------------------------


def looped_linear(x: Array, weight: Array, bias: Array | None) -> Array:
    out = np.zeros((*x.shape[:-1], len(weight)))
    for place in np.ndindex(out.shape):
        out[place] = np.sum(x[place[:-1]] * weight[place[-1]])
        out[place] += 0 if bias is None else bias[place[-1]]
    return out


def looped_conv1d(x: Array, weight: Array, bias: Array | None, stride: int, padding: int) -> Array:
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding)))
    size = weight.shape[2]
    count = (x.shape[2] - size) // stride + 1
    out = np.zeros((len(x), len(weight), count))
    for n, channel, step in np.ndindex(out.shape):
        window = x[n, :, step * stride : step * stride + size]
        out[n, channel, step] = np.sum(window * weight[channel])
        out[n, channel, step] += 0 if bias is None else bias[channel]
    return out


def looped_gru(
    x: Array, h0: Array, state: Mapping[str, Array], layers: int, bidirectional: bool
) -> tuple[Array, Array]:
    """Run PyTorch's equations, sample by sample and step by step; x is (T, N, input)."""
    last = []
    directions = ["", "_reverse"][: 1 + bidirectional]
    for layer in range(layers):
        outputs = []
        for direction in directions:
            w_ih, w_hh, b_ih, b_hh = (
                state[f"{name}_l{layer}{direction}"]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            h = h0[len(last)].copy()
            steps = np.zeros((*x.shape[:2], h.shape[1]))
            order = range(len(x))
            for t in reversed(order) if direction else order:
                for n in range(x.shape[1]):
                    i_r, i_z, i_n = np.split(w_ih @ x[t, n] + b_ih, 3)
                    h_r, h_z, h_n = np.split(w_hh @ h[n] + b_hh, 3)
                    r, z = special.expit(i_r + h_r), special.expit(i_z + h_z)
                    h[n] = (1 - z) * np.tanh(i_n + r * h_n) + z * h[n]
                steps[t] = h
            outputs.append(steps)
            last.append(h)
        x = np.concatenate(outputs, axis=2)
    return x, np.stack(last)


class TestAgainstLoops:
    @unhurried
    @given(
        st.lists(st.integers(1, 3), max_size=2),
        st.integers(1, 5),
        st.integers(1, 40),
        st.booleans(),
        seeds,
    )
    def test_linear(self, outer: list[int], inner: int, out: int, bias: bool, seed: int) -> None:
        layer = nn.Linear(inner, out, bias=bias).to("float64")
        x = normal(*outer, inner, seed=seed, dtype="float64")
        state = arrays(layer)
        expected = looped_linear(x, state["weight"], state.get("bias"))
        np.testing.assert_allclose(layer(tg.tensor(x)).detach().numpy(), expected, rtol=1e-10)

    @unhurried
    @given(st.data(), st.booleans(), seeds)
    def test_conv1d(self, data: st.DataObject, bias: bool, seed: int) -> None:
        channels, out, kernel, stride, batch = (
            data.draw(st.integers(1, n)) for n in (3, 3, 5, 4, 3)
        )
        padding = data.draw(st.integers(0, 3))
        length = data.draw(st.integers(max(1, kernel - 2 * padding), 12))
        layer = nn.Conv1d(channels, out, kernel, stride=stride, padding=padding, bias=bias)
        layer.to("float64")
        x = normal(batch, channels, length, seed=seed, dtype="float64")
        state = arrays(layer)
        expected = looped_conv1d(x, state["weight"], state.get("bias"), stride, padding)
        np.testing.assert_allclose(
            layer(tg.tensor(x)).detach().numpy(), expected, rtol=1e-10, atol=1e-12
        )

    @few
    @given(st.data(), st.booleans(), st.booleans(), st.booleans(), seeds)
    def test_gru(
        self,
        data: st.DataObject,
        bidirectional: bool,
        batch_first: bool,
        given_state: bool,
        seed: int,
    ) -> None:
        features, hidden, layers, steps, batch = (
            data.draw(st.integers(1, n)) for n in (3, 4, 2, 4, 3)
        )
        gru = nn.GRU(
            features, hidden, layers, batch_first=batch_first, bidirectional=bidirectional
        ).to("float64")
        x = normal(steps, batch, features, seed=seed, dtype="float64")
        h0 = normal(layers * (1 + bidirectional), batch, hidden, seed=seed + 1, dtype="float64")
        h0 = h0 if given_state else np.zeros_like(h0)
        expected, expected_last = looped_gru(x, h0, arrays(gru), layers, bidirectional)
        ours = tg.tensor(x.transpose(1, 0, 2) if batch_first else x)
        output, last = gru(ours, tg.tensor(h0)) if given_state else gru(ours)
        found = output.detach().numpy()
        found = found.transpose(1, 0, 2) if batch_first else found
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        np.testing.assert_allclose(last.detach().numpy(), expected_last, rtol=1e-10)

    @few
    @given(st.integers(1, 6), st.integers(1, 5), seeds)
    def test_losses(self, rows: int, classes: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        logits, labels = rng.normal(size=(rows, classes)), rng.integers(0, classes, rows)
        expected = -np.mean(
            [special.log_softmax(r)[k] for r, k in zip(logits, labels, strict=True)]
        )
        loss = nn.CrossEntropyLoss()(tg.tensor(logits), tg.tensor(labels))
        assert loss.item() == pytest.approx(expected)
        target = rng.normal(size=logits.shape)
        loss = nn.MSELoss()(tg.tensor(logits), tg.tensor(target))
        assert loss.item() == pytest.approx(np.mean((logits - target) ** 2))

    @pytest.mark.parametrize(
        ("module", "reference"),
        [
            (nn.ReLU(), lambda x: np.maximum(x, 0)),
            (nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
            (nn.ELU(1.5), lambda x: np.where(x > 0, x, 1.5 * np.expm1(x))),
            (nn.GELU(), lambda x: x * stats.norm.cdf(x)),
            (
                nn.GELU(approximate="tanh"),
                lambda x: x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
            ),
            (nn.SiLU(), lambda x: x * special.expit(x)),
            (nn.Sigmoid(), special.expit),
            (nn.Tanh(), np.tanh),
            (nn.Softplus(), lambda x: np.log1p(np.exp(x))),
            (nn.Softmax(dim=0), lambda x: special.softmax(x, axis=0)),
        ],
        ids=repr,
    )
    def test_activations(self, module: nn.Module, reference: Callable[[Array], Array]) -> None:
        x = np.linspace(-6, 6, 49)
        np.testing.assert_allclose(
            module(tg.tensor(x)).numpy(), reference(x), rtol=1e-9, atol=1e-12
        )

    @pytest.mark.parametrize("start", [0, 1, 2])
    def test_flatten(self, start: int) -> None:
        x = normal(2, 3, 4)
        expected = x.reshape(*x.shape[:start], -1)
        np.testing.assert_array_equal(nn.Flatten(start)(tg.tensor(x)).numpy(), expected)


# --- against PyTorch ----------------------------------------------------------------------------


def assert_same_step(
    ours: nn.Module,
    theirs: Any,
    x: Array,
    *more: Array,
    torch: Any,
    pick: Callable[[Any], Any] = lambda out: out,
) -> None:
    """Check that outputs and all gradients, input's included, agree for the same parameters."""
    dtype = x.dtype
    theirs.to(getattr(torch, str(dtype)))
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    ours.to(str(dtype))
    inputs = [tg.tensor(a, requires_grad=a.dtype == dtype) for a in (x, *more)]
    their_inputs = [torch.tensor(a, requires_grad=a.dtype == dtype) for a in (x, *more)]
    out, their_out = pick(ours(*inputs)), pick(theirs(*their_inputs))
    assert out.shape == tuple(their_out.shape)
    g = normal(*out.shape, seed=9, dtype=dtype)
    out.backward(gradient=g)
    their_out.backward(torch.tensor(g))
    rtol, atol = (2e-4, 2e-5) if dtype == np.float32 else (1e-9, 1e-11)

    def check(what: str, one: Any, other: Any) -> None:
        assert one.dtype == dtype
        np.testing.assert_allclose(
            one.numpy(), other.numpy(), rtol=rtol, atol=atol, err_msg=what, strict=True
        )

    check("output", out.detach(), their_out.detach())
    for position, (tensor, other) in enumerate(zip(inputs, their_inputs, strict=True)):
        if tensor.requires_grad:
            check(f"gradient of input {position}", tensor.grad, other.grad)
    their_parameters = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        check(f"gradient of {name}", parameter.grad, their_parameters[name].grad)


dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

ACTIVATIONS: dict[str, tuple[Any, ...]] = {
    "ReLU": (),
    "LeakyReLU": (0.1,),
    "ELU": (1.5,),
    "GELU": (),
    "SiLU": (),
    "Sigmoid": (),
    "Tanh": (),
    "Softplus": (),
    "Softmax": (1,),
}


class TestAgainstPyTorch:
    @dtypes
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("outer", [(), (5,), (2, 3)])
    def test_linear(self, torch: Any, outer: tuple[int, ...], bias: bool, dtype: str) -> None:
        for out in (3, 50):
            assert_same_step(
                nn.Linear(4, out, bias=bias),
                torch.nn.Linear(4, out, bias=bias),
                normal(*outer, 4, dtype=dtype),
                torch=torch,
            )

    @dtypes
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize(
        ("kernel", "stride", "padding"), [(5, 2, 1), (3, 1, 0), (1, 3, 2), (4, 5, 3)]
    )
    def test_conv1d(
        self, torch: Any, kernel: int, stride: int, padding: int, bias: bool, dtype: str
    ) -> None:
        settings = {"stride": stride, "padding": padding, "bias": bias}
        assert_same_step(
            nn.Conv1d(3, 4, kernel, **settings),
            torch.nn.Conv1d(3, 4, kernel, **settings),
            normal(2, 3, 11, dtype=dtype),
            torch=torch,
        )

    @dtypes
    @pytest.mark.parametrize("layers", [1, 2])
    @pytest.mark.parametrize("bidirectional", [False, True])
    @pytest.mark.parametrize("batch_first", [False, True])
    def test_gru(
        self, torch: Any, layers: int, bidirectional: bool, batch_first: bool, dtype: str
    ) -> None:
        settings = {"batch_first": batch_first, "bidirectional": bidirectional}
        x = normal(4, 5, 3, dtype=dtype)
        h0 = normal(layers * (1 + bidirectional), 4 if batch_first else 5, 6, dtype=dtype)
        for pick in (0, 1):  # all states, last states
            for more in ((), (h0,)):
                assert_same_step(
                    nn.GRU(3, 6, layers, **settings),
                    torch.nn.GRU(3, 6, layers, **settings),
                    x,
                    *more,
                    torch=torch,
                    pick=lambda out, pick=pick: out[pick],
                )

    @dtypes
    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_activations(self, torch: Any, name: str, dtype: str) -> None:
        x = np.concatenate([[-1000, -20, 0, 20, 1000], np.linspace(-5, 5, 25)]).astype(dtype)
        arguments = ACTIVATIONS[name]
        assert_same_step(
            getattr(nn, name)(*arguments),
            getattr(torch.nn, name)(*arguments),
            x.reshape(6, 5),
            torch=torch,
        )

    @dtypes
    def test_losses(self, torch: Any, dtype: str) -> None:
        logits, labels = normal(7, 4, dtype=dtype) * 5, np.arange(7) % 4
        assert_same_step(
            nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss(), logits, labels, torch=torch
        )
        target = normal(7, 4, seed=1, dtype=dtype)
        assert_same_step(nn.MSELoss(), torch.nn.MSELoss(), logits, target, torch=torch)

    @pytest.mark.parametrize("model", MODELS)
    def test_the_four_nets_have_pytorchs_names_shapes_order_and_values(
        self, torch: Any, model: str
    ) -> None:
        ours, theirs = make_model(model), their_model(torch, model)
        for named in ("named_parameters", "named_modules"):
            assert [name for name, _ in getattr(ours, named)()] == [
                name for name, _ in getattr(theirs, named)()
            ]
        assert {name: value.shape for name, value in ours.state_dict().items()} == {
            name: tuple(value.shape) for name, value in theirs.state_dict().items()
        }
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert_same_step(ours, theirs, normal(6, 40), torch=torch)
        theirs.load_state_dict({k: torch.tensor(v) for k, v in arrays(ours).items()})

    @pytest.mark.parametrize("kind", [Encoder, Tied])
    def test_parameters_buffers_and_state_come_in_pytorchs_order(
        self, torch: Any, kind: type[nn.Module]
    ) -> None:
        class TheirEncoder(torch.nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.scale = torch.nn.Parameter(torch.ones(2))
                self.body = torch.nn.Sequential(
                    torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)
                )
                self.shift = torch.nn.Parameter(torch.ones(2))
                self.register_buffer("mean", torch.ones(2))

        class TheirTied(torch.nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.first, self.second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
                self.second.weight = self.first.weight

        ours, theirs = kind(), {Encoder: TheirEncoder, Tied: TheirTied}[kind]()
        for named in ("named_parameters", "named_buffers", "named_modules"):
            assert [name for name, _ in getattr(ours, named)()] == [
                name for name, _ in getattr(theirs, named)()
            ]
        assert list(ours.state_dict()) == list(theirs.state_dict())


def their_model(torch: Any, name: str) -> Any:
    """Return a net of ``train/models.py`` in PyTorch."""
    layer, relu = torch.nn, torch.relu

    class Logistic(layer.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.linear = layer.Linear(40, 10)

        def forward(self, x: Any) -> Any:
            return self.linear(x)

    class MLP(layer.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.linear1 = layer.Linear(40, 100)
            self.linear2 = layer.Linear(100, 100)
            self.linear3 = layer.Linear(100, 10)

        def forward(self, x: Any) -> Any:
            h = relu(self.linear1(x))
            return self.linear3(h + relu(self.linear2(h)))

    class CNN(layer.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = layer.Conv1d(1, 25, 5, stride=2, padding=1)
            self.conv2 = layer.Conv1d(25, 25, 3, stride=2, padding=1)
            self.conv3 = layer.Conv1d(25, 25, 3, stride=2, padding=1)
            self.linear = layer.Linear(125, 10)

        def forward(self, x: Any) -> Any:
            h = relu(self.conv2(relu(self.conv1(x[:, None]))))
            return self.linear(relu(self.conv3(h)).flatten(1))

    class GRU(layer.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.gru = layer.GRU(1, 6, batch_first=True, bidirectional=True)
            self.linear = layer.Linear(480, 10)

        def forward(self, x: Any) -> Any:
            return self.linear(self.gru(x[:, :, None])[0].flatten(1))

    return {"logistic": Logistic, "mlp": MLP, "cnn": CNN, "gru": GRU}[name]()


# --- initialisation -----------------------------------------------------------------------------

LAYERS: dict[str, tuple[tuple[Any, ...], float]] = {
    "Linear": ((30, 40), 1 / np.sqrt(30)),
    "Conv1d": ((6, 30, 5), 1 / np.sqrt(30)),
    "GRU": ((7, 25), 1 / np.sqrt(25)),
}


def assert_uniform(draws: Array, bound: float) -> None:
    """Check by Kolmogorov-Smirnov; 999 of 1,000 uniform samples pass, given seeds always do."""
    assert np.abs(draws).max() <= bound
    distance = stats.kstest(draws, stats.uniform(-bound, 2 * bound).cdf).statistic
    assert distance < 1.95 / np.sqrt(draws.size)


def pooled(make: Callable[[], Any], of: Callable[[Any], Array]) -> dict[str, Array]:
    """Return all parameters of many modules, by name."""
    modules = [make() for _ in range(5)]
    return {
        name: np.concatenate([of(dict(module.named_parameters())[name]) for module in modules])
        for name, _ in modules[0].named_parameters()
    }


class TestInitialisation:
    @pytest.mark.parametrize("layer", LAYERS)
    @pytest.mark.parametrize("seed", range(3))
    def test_of_every_parameter_is_uniform_within_one_over_root_fan_in(
        self, layer: str, seed: int
    ) -> None:
        tg.seed(seed)
        arguments, bound = LAYERS[layer]
        draws = pooled(lambda: getattr(nn, layer)(*arguments), lambda p: p.detach().numpy().ravel())
        for values in draws.values():
            assert_uniform(values, bound)

    @pytest.mark.parametrize("layer", LAYERS)
    def test_is_pytorchs(self, torch: Any, layer: str) -> None:
        torch.manual_seed(0)
        arguments, bound = LAYERS[layer]
        theirs = pooled(
            lambda: getattr(torch.nn, layer)(*arguments), lambda p: p.detach().numpy().ravel()
        )
        ours = pooled(lambda: getattr(nn, layer)(*arguments), lambda p: p.detach().numpy().ravel())
        assert list(ours) == list(theirs)
        for name, values in theirs.items():
            assert_uniform(values, bound * (1 + 1e-6))
            assert stats.ks_2samp(ours[name], values).pvalue > 1e-3

    @pytest.mark.parametrize("layer", LAYERS)
    def test_repeats_with_the_seed_and_only_with_it(self, layer: str) -> None:
        arguments, _ = LAYERS[layer]
        made = []
        for seed in (3, 3, 4):
            tg.seed(seed)
            made.append(arrays(getattr(nn, layer)(*arguments)))
        for name in made[0]:
            np.testing.assert_array_equal(made[0][name], made[1][name])
            assert not np.array_equal(made[0][name], made[2][name])

    def test_goes_on_from_layer_to_layer(self) -> None:
        assert nn.Linear(3, 3).weight.tolist() != nn.Linear(3, 3).weight.tolist()

    def test_leaves_numpys_global_generator_alone(self) -> None:
        before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
        tg.seed(1)
        nn.GRU(2, 3)
        nn.Dropout()(tg.tensor([1.0, 2.0]))
        np.testing.assert_array_equal(before, np.random.get_state()[1])  # type: ignore[index]

    @pytest.mark.usefixtures("default_dtype")
    def test_has_the_default_dtype(self) -> None:
        assert nn.Linear(2, 2).weight.dtype == np.float32
        tg.set_default_dtype(tg.float64)
        for layer, (arguments, _) in LAYERS.items():
            for parameter in getattr(nn, layer)(*arguments).parameters():
                assert parameter.dtype == np.float64


# --- Module -------------------------------------------------------------------------------------


class TestParameter:
    def test_requires_a_gradient_unless_told_otherwise(self) -> None:
        assert nn.Parameter([1.0]).requires_grad
        assert not nn.Parameter([1.0], requires_grad=False).requires_grad

    def test_takes_over_the_kind_of_its_data(self) -> None:
        assert nn.Parameter([1.0]).dtype == np.float32
        assert nn.Parameter(np.ones(2)).dtype == np.float64
        assert isinstance(nn.Parameter(tg.scalar(2.0)).data, float)
        computed = tg.tensor([1.0], requires_grad=True) * 2
        assert nn.Parameter(computed).is_leaf

    def test_copies_arrays(self) -> None:
        array = np.ones(2)
        nn.Parameter(array).data[0] = 5
        assert array[0] == 1

    def test_of_integers_is_refused_because_they_have_no_gradients(self) -> None:
        with pytest.raises(TinygradLabError, match="floating"):
            nn.Parameter(np.array([1, 2]))


class TestModule:
    def test_finds_parameters_its_own_first_then_its_childrens_in_order(self) -> None:
        encoder = Encoder()
        names = [name for name, _ in encoder.named_parameters()]
        body = ["body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias"]
        assert names == ["scale", "shift", *body]
        assert [id(p) for p in encoder.parameters()] == [
            id(p) for _, p in encoder.named_parameters()
        ]

    def test_finds_modules_from_the_outside_in(self) -> None:
        encoder = Encoder()
        names = [name for name, _ in encoder.named_modules()]
        assert names == ["", "body", "body.0", "body.1", "body.2"]
        assert [type(m).__name__ for m in encoder.modules()] == [
            "Encoder",
            "Sequential",
            "Linear",
            "Tanh",
            "Linear",
        ]
        assert [name for name, _ in encoder.named_children()] == ["body"]
        assert list(encoder.children()) == [encoder.body]

    def test_knows_its_buffers_apart_from_its_parameters(self) -> None:
        encoder = Encoder()
        assert [name for name, _ in encoder.named_buffers()] == ["mean"]
        assert next(encoder.buffers()) is encoder.mean
        encoder.register_buffer("mask", None)
        assert [name for name, _ in encoder.named_buffers()] == ["mean"]
        assert "mask" not in encoder.state_dict()

    def test_a_shared_parameter_or_module_counts_once(self) -> None:
        tied = Tied()
        names = [name for name, _ in tied.named_parameters()]
        assert names == ["first.weight", "first.bias", "second.bias"]
        layer = nn.Linear(2, 2)
        twice = nn.Sequential(layer, nn.ReLU(), layer)
        assert [name for name, _ in twice.named_modules()] == ["", "0", "1"]
        assert len(list(twice.parameters())) == 2
        assert len(twice) == 3

    def test_a_shared_parameter_gets_the_gradient_of_all_its_uses(self) -> None:
        tied, x = Tied(), normal(3, 2)
        tied(tg.tensor(x)).sum().backward()
        assert tied.first.weight.grad is not None
        together = tied.first.weight.grad.numpy()
        apart = Tied()
        apart.load_state_dict(tied.state_dict())
        apart.second.weight = nn.Parameter(tied.first.weight)
        apart(tg.tensor(x)).sum().backward()
        weights = (apart.first.weight, apart.second.weight)
        parts = [p.grad.numpy() for p in weights if p.grad is not None]
        np.testing.assert_allclose(together, parts[0] + parts[1], rtol=1e-6)

    def test_switches_all_its_modules_between_training_and_evaluation(self) -> None:
        encoder = Encoder()
        assert encoder.training
        assert encoder.eval() is encoder
        assert not any(module.training for module in encoder.modules())
        assert encoder.train() is encoder
        assert all(module.training for module in encoder.modules())

    def test_forgets_gradients(self) -> None:
        encoder = Encoder()
        encoder(tg.tensor([[1.0, 2.0]])).sum().backward()
        assert all(parameter.grad is not None for parameter in encoder.parameters())
        encoder.zero_grad()
        assert all(parameter.grad is None for parameter in encoder.parameters())

    def test_freezes_and_thaws(self) -> None:
        encoder = Encoder()
        assert encoder.requires_grad_(False) is encoder
        assert not encoder(tg.tensor([[1.0, 2.0]])).requires_grad
        assert len(list(encoder.parameters())) == 6
        encoder.body.requires_grad_()
        encoder(tg.tensor([[1.0, 2.0]])).sum().backward()
        assert encoder.scale.grad is None
        assert encoder.body[0].weight.grad is not None

    def test_without_forward_says_what_to_write(self) -> None:
        class Empty(nn.Module):
            pass

        with pytest.raises(NotImplementedError, match=r"Empty needs a method forward"):
            Empty()(1)

    def test_passes_arguments_on_and_returns_what_forward_returns(self) -> None:
        class Pair(nn.Module):
            def forward(self, x: Any, *, times: int) -> Any:
                return x, x * times

        assert Pair()(3, times=2) == (3, 6)

    def test_a_parameter_is_not_replaced_by_a_tensor_by_mistake(self) -> None:
        layer = nn.Linear(2, 2)
        before = layer.weight
        with pytest.raises(ArgumentTypeError, match=r"Linear.weight is a Parameter.*\.data = "):
            layer.weight = layer.weight - 0.1
        assert layer.weight is before
        layer.weight = nn.Parameter(np.ones((2, 2), np.float32))
        layer.bias = None
        assert [name for name, _ in layer.named_parameters()] == ["weight"]

    def test_shows_what_it_is_made_of(self) -> None:
        net = nn.Sequential(
            nn.Conv1d(1, 2, 3, stride=2, padding=1),
            nn.Sequential(
                nn.Linear(3, 4, bias=False), nn.LeakyReLU(0.2), nn.ELU(), nn.Dropout(0.1)
            ),
            nn.Flatten(),
            nn.Softmax(dim=1),
            nn.GRU(1, 6, batch_first=True),
        )
        assert repr(net) == (
            "Sequential(\n"
            "  (0): Conv1d(1, 2, kernel_size=3, stride=2, padding=1, bias=True)\n"
            "  (1): Sequential(\n"
            "    (0): Linear(in_features=3, out_features=4, bias=False)\n"
            "    (1): LeakyReLU(negative_slope=0.2)\n"
            "    (2): ELU(alpha=1.0)\n"
            "    (3): Dropout(p=0.1)\n"
            "  )\n"
            "  (2): Flatten(start_dim=1, end_dim=-1)\n"
            "  (3): Softmax(dim=1)\n"
            "  (4): GRU(1, 6, num_layers=1, batch_first=True, bidirectional=False)\n"
            ")"
        )

    @pytest.mark.parametrize(
        "make",
        [
            lambda: nn.Linear(0, 3),
            lambda: nn.Linear(3, 2.5),  # type: ignore[arg-type]
            lambda: nn.Conv1d(1, 2, 0),
            lambda: nn.Conv1d(1, 2, 3, stride=0),
            lambda: nn.Conv1d(1, 2, 3, padding=-1),
            lambda: nn.GRU(1, 0),
            lambda: nn.GRU(1, 2, 0),
        ],
    )
    def test_sizes_that_make_no_sense_are_refused_by_name(self, make: Callable[[], Any]) -> None:
        with pytest.raises(
            ArgumentError, match=r"(features|size|stride|padding|layers) (must be|of)"
        ):
            make()


class TestCopies:
    @pytest.mark.parametrize("copier", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.numpy_only("is about memory")
    def test_are_equal_and_independent(self, copier: Any, model: str) -> None:
        net, x = make_model(model), tg.tensor(normal(2, 40))
        net(x).sum().backward()
        net.eval()
        other = copier(net)
        assert not other.training
        np.testing.assert_array_equal(net(x).detach().numpy(), other(x).detach().numpy())
        for (name, one), (other_name, two) in zip(
            net.named_parameters(), other.named_parameters(), strict=True
        ):
            assert name == other_name
            assert isinstance(two, nn.Parameter)
            assert two.requires_grad
            assert one.name == two.name
            np.testing.assert_array_equal(np.array(one.grad), np.array(two.grad))
            assert not np.shares_memory(one.data, two.data)
            two.data += 1
        assert not np.array_equal(net(x).detach().numpy(), other(x).detach().numpy())

    def test_of_shared_parameters_are_shared(self) -> None:
        for other in (copy.deepcopy(Tied()), pickle.loads(pickle.dumps(Tied()))):
            assert other.first.weight is other.second.weight

    def test_keep_frozen_parameters_frozen_and_buffers_buffers(self) -> None:
        encoder = Encoder()
        encoder.body.requires_grad_(False)
        other = copy.deepcopy(encoder)
        assert [p.requires_grad for p in other.parameters()] == [True, True] + 4 * [False]
        assert [name for name, _ in other.named_buffers()] == ["mean"]

    @pytest.mark.numpy_only("fused ops run as their composites there")
    def test_name_their_own_modules(self) -> None:
        net = nn.Sequential(nn.Linear(2, 2))
        net(tg.tensor([[1.0, 2.0]]))
        other = copy.deepcopy(net)
        other.append(nn.Linear(2, 2))
        out = other(tg.tensor([[1.0, 2.0]]))
        assert [n.module for n in tg.graph(out) if n.op_name == "linear"] == ["0", "1"]


class TestStateDict:
    def test_goes_there_and_back(self) -> None:
        for make in (Encoder, Tied, *MODELS.values()):
            net, other = make(), make()
            other.load_state_dict(net.state_dict())
            for name, value in net.state_dict().items():
                np.testing.assert_array_equal(other.state_dict()[name].numpy(), value.numpy())

    @pytest.mark.numpy_only("is about memory")
    def test_holds_parameters_and_buffers_module_by_module_detached(self) -> None:
        encoder = Encoder()
        state = encoder.state_dict()
        body = ["body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias"]
        assert list(state) == ["scale", "shift", "mean", *body]
        assert not any(value.requires_grad for value in state.values())
        assert np.shares_memory(state["scale"].data, encoder.scale.data)

    def test_holds_what_is_shared_under_each_of_its_names(self) -> None:
        state = Tied().state_dict()
        assert list(state) == ["first.weight", "first.bias", "second.weight", "second.bias"]
        assert state["first.weight"].tolist() == state["second.weight"].tolist()
        layer = nn.Linear(1, 1)
        twice = nn.Sequential(layer, nn.ReLU(), layer).state_dict()
        assert list(twice) == ["0.weight", "0.bias", "2.weight", "2.bias"]

    def test_is_copied_when_loaded_and_cast_to_what_is_there(self) -> None:
        layer = nn.Linear(2, 1)
        state = {"weight": np.array([[1.5, 2.5]]), "bias": tg.tensor([3.0])}
        layer.load_state_dict(state)
        assert layer.weight.tolist() == [[1.5, 2.5]]
        assert layer.weight.dtype == np.float32
        state["weight"][0, 0] = 9  # type: ignore[index]
        state["bias"].data[0] = 9  # type: ignore[union-attr]
        assert layer.weight.tolist() == [[1.5, 2.5]]
        assert layer.bias.tolist() == [3.0]  # type: ignore[union-attr]

    def test_keeps_parameters_the_same_objects_and_older_graphs_right(self) -> None:
        layer, x = nn.Linear(2, 1), tg.tensor([[1.0, 2.0]], requires_grad=True)
        before, weight = layer.weight, layer.weight.detach().numpy().copy()
        out = layer(x)
        layer.load_state_dict({"weight": np.zeros((1, 2)), "bias": np.zeros(1)})
        out.backward()
        assert layer.weight is before
        assert layer.weight.requires_grad
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy(), weight)

    def test_a_number_held_as_a_python_float_stays_one(self) -> None:
        net = nn.Module()
        net.gain = nn.Parameter(tg.scalar(2.0))
        net.load_state_dict({"gain": np.array(3.0)})
        assert net.gain.data == 3.0
        assert type(net.gain.data) is float

    def test_that_does_not_fit_is_refused_whole_with_everything_that_is_wrong(self) -> None:
        encoder = Encoder()
        before = arrays(encoder)
        state = {name: np.zeros_like(value) for name, value in before.items()}
        del state["shift"]
        state["scale"] = np.zeros(3)
        state["body.3.weight"] = np.zeros(1)
        with pytest.raises(StateDictError) as caught:
            encoder.load_state_dict(state)
        for piece in (
            "Encoder",
            "missing: shift",
            "not in this module: body.3.weight",
            "scale: expected shape (2,), got (3,)",
        ):
            assert piece in str(caught.value)
        for name, value in arrays(encoder).items():
            np.testing.assert_array_equal(value, before[name])


class TestTo:
    def test_changes_the_dtype_of_parameters_buffers_and_gradients(self) -> None:
        encoder = Encoder()
        encoder.register_buffer("steps", tg.tensor([7]))
        encoder(tg.tensor([[1.0, 2.0]])).sum().backward()
        before = arrays(encoder)
        parameters = list(encoder.parameters())
        assert encoder.to("float64") is encoder
        assert [id(p) for p in encoder.parameters()] == [id(p) for p in parameters]
        for parameter in parameters:
            assert parameter.requires_grad
            assert parameter.dtype == np.float64
            assert parameter.grad is not None
            assert parameter.grad.dtype == np.float64
        assert encoder.mean.dtype == np.float64
        assert encoder.steps.dtype == np.int64
        for name, value in arrays(encoder).items():
            np.testing.assert_array_equal(value, before[name])
        out = encoder(tg.tensor([[1.0, 2.0]], dtype=tg.float64))
        assert out.dtype == np.float64

    def test_leaves_older_graphs_right(self) -> None:
        layer, x = nn.Linear(2, 1), tg.tensor([[1.0, 2.0]], requires_grad=True)
        out = layer(x)
        layer.to("float64")
        out.backward()
        assert x.grad is not None
        assert x.grad.dtype == np.float32

    @pytest.mark.numpy_only("is about the device they are made on")
    def test_to_where_it_is_already_changes_nothing(self) -> None:
        layer = nn.Linear(2, 1)
        before = layer.weight.data
        assert layer.to("cpu").to("float32").weight.data is before


class TestAModuleThatWouldContainItself:
    def test_is_an_error_that_says_where_and_changes_nothing(self) -> None:
        outer, inner, leaf = nn.Module(), nn.Sequential(), nn.Linear(1, 1)
        outer.inner = inner
        inner.append(leaf)
        attempts: list[tuple[Callable[[], Any], str]] = [
            (lambda: setattr(outer, "me", outer), r"Module\.me.*assigned to itself"),
            (
                lambda: setattr(leaf, "parent", outer),
                r"Linear\.parent.*Module has it as 'inner\.0'",
            ),
            (lambda: inner.append(outer), r"Sequential\.1.*Module has it as 'inner'"),
            (lambda: inner.append(inner), r"Sequential\.1.*assigned to itself"),
            (lambda: nn.ModuleList([leaf]).append(leaf) and leaf.__setattr__("x", leaf), "itself"),
            (lambda: setattr(leaf, "all", nn.ModuleList([leaf])), "ModuleList has it as '0'"),
        ]
        for attempt, said in attempts:
            with pytest.raises(ArgumentError, match=said):
                attempt()
        assert [path for path, _ in outer.named_modules()] == ["", "inner", "inner.0"]
        assert repr(outer).count("Linear") == 1

    @pytest.mark.parametrize(
        "use",
        [
            lambda net: list(net.parameters()),
            lambda net: list(net.named_modules()),
            lambda net: list(net.buffers()),
            lambda net: net.state_dict(),
            lambda net: net.load_state_dict({}),
            lambda net: net.eval(),
            lambda net: net.to("float64"),
            lambda net: net.zero_grad(),
            lambda net: net(tg.ones((1, 1))),
            lambda net: setattr(nn.Module(), "net", net),
            lambda net: tg.optim.SGD(net.parameters(), lr=0.1),
            lambda net: tg.compile(net)(tg.ones((1, 1))),
        ],
    )
    def test_is_found_if_it_came_to_be_unseen(self, use: Callable[[Any], Any]) -> None:
        alone, outer = nn.Linear(1, 1), nn.Sequential(nn.Sequential(nn.Linear(1, 1)))
        object.__setattr__(alone, "me", alone)
        vars(outer[0][0])["parent"] = outer
        for net, said in (
            (alone, r"Linear\.me: .* assigned to itself.*module\.me = \[other\]"),
            (outer, r"Linear\.parent: .* Sequential has it as '0\.0'"),
        ):
            with pytest.raises(ArgumentError, match=said):
                use(net)
            assert net.training, "it changed the module"
        around = nn.Module()
        vars(around)["net"] = outer  # the circle need not be of the outermost module
        with pytest.raises(ArgumentError, match=r"Sequential has it as '0\.0'"):
            use(around)

    def test_is_shown_to_where_it_repeats(self) -> None:
        net = nn.Linear(1, 1)
        object.__setattr__(net, "me", net)
        assert repr(net).splitlines()[2:] == ["  (me): ...", ")"]

    def test_is_not_one_that_is_deep(self) -> None:
        net: nn.Module = nn.Linear(1, 1)
        for _ in range(3_000):
            outer = nn.Module()
            vars(outer)["inner"] = net
            net = outer
        (weight, _), paths = net.parameters(), list(net.state_dict())
        assert weight.shape == (1, 1)
        assert paths[0] == "inner." * 3_000 + "weight"

    def test_may_refer_to_it_in_a_list(self) -> None:
        outer, leaf = nn.Module(), nn.Linear(1, 1)
        outer.leaf, leaf.parent = leaf, [outer]
        assert [path for path, _ in outer.named_parameters()] == ["leaf.weight", "leaf.bias"]

    def test_is_not_one_that_is_shared(self) -> None:
        shared, first, second = nn.Linear(1, 1), nn.Sequential(), nn.Sequential()
        first.append(shared).append(shared)
        second.append(shared).append(first)
        assert len(list(second.modules())) == 3


class TestContainers:
    def test_sequential_applies_its_modules_in_order(self) -> None:
        net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        x = tg.tensor(normal(4, 2))
        expected = net[2](net[1](net[0](x)))
        np.testing.assert_array_equal(net(x).detach().numpy(), expected.detach().numpy())
        assert nn.Sequential()(x) is x

    @pytest.mark.parametrize(
        "make", [lambda *modules: nn.Sequential(*modules), lambda *modules: nn.ModuleList(modules)]
    )
    def test_are_lists_of_modules(self, make: Callable[..., Any]) -> None:
        parts = [nn.Linear(1, 1), nn.ReLU(), nn.Tanh()]
        box = make(*parts[:2])
        assert box.append(parts[2]) is box
        assert len(box) == 3
        assert list(box) == parts
        assert (box[0], box[-1]) == (parts[0], parts[2])
        assert list(box[1:]) == parts[1:]
        assert type(box[:2]) is type(box)
        assert [name for name, _ in box.named_children()] == ["0", "1", "2"]
        for index in (3, -4):
            with pytest.raises(IndexingError, match=f"holds 3 modules; there is no index {index}"):
                box[index]
        with pytest.raises(ArgumentTypeError, match=r"holds modules, got function"):
            make(lambda x: x)

    def test_a_list_of_layers_wants_unpacking(self) -> None:
        with pytest.raises(ArgumentTypeError, match=r"got list: .*: Sequential\(\*layers\)"):
            nn.Sequential([nn.ReLU()])  # type: ignore[arg-type]

    def test_a_module_list_makes_its_modules_parts_of_their_holder(self) -> None:
        net = nn.Module()
        net.layers = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
        names = ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
        assert [name for name, _ in net.named_parameters()] == names


# --- where in a net a node was made ---------------------------------------------------------------


def places(out: tg.Tensor) -> list[tuple[str, str, str]]:
    """Return op, module path and module class of every computed node."""
    return [(n.op_name, n.module, n.module_class) for n in tg.graph(out) if not n.is_leaf]


@pytest.mark.numpy_only("fused ops run as their composites there")
class TestScope:
    def test_nodes_carry_the_path_and_class_of_their_module(self) -> None:
        encoder, x = Encoder(), tg.tensor([[1.0, 2.0]], requires_grad=True)
        assert places(encoder(x)) == [
            ("subtract", "", "Encoder"),
            ("linear", "body.0", "Linear"),
            ("tanh", "body.1", "Tanh"),
            ("linear", "body.2", "Linear"),
            ("multiply", "", "Encoder"),
            ("add", "", "Encoder"),
        ]

    def test_modules_of_a_list_are_found_by_their_places(self) -> None:
        class Stack(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(2, 2)])

            def forward(self, x: Any) -> Any:
                for layer in self.layers:
                    x = layer(x)
                return x

        stack, x = Stack(), tg.tensor([[1.0, 2.0]])
        assert [module for _, module, _ in places(stack(x))] == ["layers.0"]
        stack.layers.append(nn.Linear(2, 2))  # also after a call
        assert [module for _, module, _ in places(stack(x))] == ["layers.0", "layers.1"]
        stack.layers = nn.ModuleList([nn.Linear(2, 2)])
        assert [module for _, module, _ in places(stack(x))] == ["layers.0"]

    def test_outside_of_modules_there_is_none(self) -> None:
        layer = nn.Linear(2, 2)
        out = layer(tg.tensor([[1.0, 2.0]])) * 2
        assert places(out) == [("linear", "", "Linear"), ("multiply", "", "")]

    def test_the_path_is_seen_from_the_module_that_was_called(self) -> None:
        encoder, x = Encoder(), tg.tensor([[1.0, 2.0]])
        assert [m for _, m, _ in places(encoder.body(x))] == ["0", "1", "2"]
        assert places(encoder(x))[0][1] == "body.0"

    def test_an_exception_in_forward_leaves_no_scope_behind(self) -> None:
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 3))
        with pytest.raises(ShapeError):
            net(tg.tensor([[1.0, 2.0]]))
        assert places(tg.scalar(1.0) * 2) == [("multiply", "", "")]

    def test_threads_do_not_disturb_each_other(self) -> None:
        net, x = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), tg.tensor([[1.0, 2.0]])
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.append(places(net(x)))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [[("linear", "0", "Linear"), ("relu", "1", "ReLU")]] * 4

    def test_recording_without_gradients_and_composites_have_it_too(self) -> None:
        net = nn.Sequential(nn.Linear(2, 2))
        with tg.record(), tg.no_grad():
            assert places(net(tg.tensor([[1.0, 2.0]]))) == [("linear", "0", "Linear")]

    def test_parameters_are_called_by_their_paths(self) -> None:
        encoder = Encoder()
        encoder.shift.name = "offset"
        out = encoder(tg.tensor([[1.0, 2.0]]))
        names = {node.name for node in tg.graph(out).leaves if node.requires_grad}
        body = {"body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias"}
        assert names == {"scale", "offset", *body}

    def test_a_part_that_was_called_alone_before_is_called_by_its_whole_path_later(self) -> None:
        encoder, x = Encoder(), tg.tensor([[1.0, 2.0]])
        encoder.body[0](x)
        assert encoder.body[0].weight.name == "weight"
        encoder(x)
        assert encoder.body[0].weight.name == "body.0.weight"
        encoder.body[0](x)
        assert encoder.body[0].weight.name == "body.0.weight"


# --- single layers --------------------------------------------------------------------------------


class TestDropout:
    @few
    @given(st.floats(0, 0.99), seeds)
    def test_passes_everything_on_in_evaluation(self, p: float, seed: int) -> None:
        x = tg.tensor(normal(3, 4, seed=seed))
        assert nn.Dropout(p).eval()(x).tolist() == x.tolist()

    @pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
    def test_drops_with_its_chance_and_scales_the_rest_up(self, p: float) -> None:
        size = 50_000
        out = nn.Dropout(p)(tg.tensor(np.ones(size))).numpy()
        share = np.mean(out == 0)
        assert share == pytest.approx(p, abs=6 * np.sqrt(p * (1 - p) / size))
        np.testing.assert_allclose(out[out != 0], 1 / (1 - p))

    def test_repeats_with_the_seed_and_draws_new_numbers_at_each_call(self) -> None:
        dropout, x = nn.Dropout(0.5), tg.tensor(np.ones(64))
        tg.seed(5)
        first, second = dropout(x).tolist(), dropout(x).tolist()
        tg.seed(5)
        assert first != second
        assert [dropout(x).tolist(), dropout(x).tolist()] == [first, second]

    def test_with_no_chance_draws_nothing(self) -> None:
        x = tg.tensor(np.ones(8))
        assert nn.Dropout(0.0)(x).tolist() == x.tolist()


class TestGRU:
    def test_is_explained_where_sizes_are_wrong(self) -> None:
        gru = nn.GRU(3, 4, batch_first=True, bidirectional=True)
        with pytest.raises(ShapeError, match=r"\(T, 3\), or .*\(N, T, 3\), got \(3,\)"):
            gru(tg.tensor(normal(3)))
        with pytest.raises(ShapeError, match=r"\(N, T, 3\), got \(5, 2, 1\)"):
            gru(tg.tensor(normal(5, 2, 1)))
        with pytest.raises(ShapeError, match=r"\(T, N, 3\), got \(5, 4\)"):
            nn.GRU(3, 4)(tg.tensor(normal(5, 4)))
        with pytest.raises(ShapeError, match=r"= \(2, 5, 4\), got \(1, 5, 4\)"):
            gru(tg.tensor(normal(5, 2, 3)), tg.tensor(normal(1, 5, 4)))

    def test_names_its_parameters_as_pytorch_does(self) -> None:
        gru = nn.GRU(3, 4, 2, bidirectional=True)
        shapes = {name: p.shape for name, p in gru.named_parameters()}
        for layer, features in (("l0", 3), ("l1", 8)):
            for suffix in (layer, f"{layer}_reverse"):
                assert shapes[f"weight_ih_{suffix}"] == (12, features)
                assert shapes[f"weight_hh_{suffix}"] == (12, 4)
                assert shapes[f"bias_ih_{suffix}"] == shapes[f"bias_hh_{suffix}"] == (12,)
        assert list(shapes)[:4] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
        assert list(shapes)[4] == "weight_ih_l0_reverse"

    def test_reads_signals_of_integers_as_numbers(self) -> None:
        gru, x = nn.GRU(1, 4, batch_first=True), np.array([[[1], [2], [3]]])
        found = gru(tg.tensor(x))[0].detach().numpy()
        expected = gru(tg.tensor(x.astype(np.float32)))[0].detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5)


class TestLosses:
    def test_squared_differences_want_one_shape(self) -> None:
        for loss in (nn.MSELoss(), nn.functional.mse_loss):
            with pytest.raises(ShapeError, match=r"same shape, got \(3, 1\) and \(3,\)"):
                loss(tg.tensor(normal(3, 1)), tg.tensor(normal(3)))

    def test_give_gradients_to_predictions_and_targets(self) -> None:
        x, y = (tg.tensor(normal(3, seed=s), requires_grad=True) for s in (0, 1))
        nn.MSELoss()(x, y).backward()
        assert x.grad is not None
        assert y.grad is not None
        slope = 2 * (x - y).detach().numpy() / 3
        np.testing.assert_allclose(x.grad.numpy(), slope, rtol=1e-6)
        np.testing.assert_allclose(y.grad.numpy(), -slope, rtol=1e-6)
