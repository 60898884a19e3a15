"""Compiled loops and scalar expressions compute what eager steps do.

What the numba target writes is Python: most tests run it as it stands, only ``TestMachineCode``
waits for the compiler.
"""

import ctypes
import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import CompileError
from tinygrad_lab.train.models import make_model

pytest.importorskip("numba")
numba_target: Any = importlib.import_module("tinygrad_lab.compile.numba_target")

Step = Callable[..., Any]


class Interpreted:
    """The functions of a generated source, run by Python and not by machine code."""

    def __init__(self, source: str) -> None:
        names: dict[str, Any] = {
            "njit": lambda **_: lambda function: function,
            "exp_float32": np.exp,
            "tanh_float32": np.tanh,
            **{name: getattr(np, name) for name in ("float32", "float64", "int64", "uint64")},
            **{name: getattr(math, name) for name in ("inf", "nan")},
            **{name: getattr(np, name) for name in ("bool_", "exp", "log", "sqrt", "tanh")},
        }
        for kind in ("bool", "float32", "float64", "int64", "uint64"):
            names[f"memory_of_{kind}"] = lambda address, kind=kind: _memory(address, kind)
        for name in ("product", "product_left_T", "product_right_T", "product_both_T"):
            names[name] = lambda *given, name=name: _product(name, *given)
        exec(source[source.index("@njit") :], names)
        self.names = names

    def __getattr__(self, name: str) -> Any:
        function = self.names[name]

        def run(*given: Any) -> Any:
            with np.errstate(all="ignore"):
                return function(*given)

        run.compile = lambda signature: None  # type: ignore[attr-defined]
        return run


def _memory(address: Any, kind: str) -> Any:
    size = np.dtype(kind).itemsize
    return np.frombuffer((ctypes.c_byte * (size << 20)).from_address(int(address)), kind)


def _product(name: str, *given: Any) -> None:
    left, i, right, j, out, k, rows, inner, columns = given
    a, b = left[i : i + rows * inner], right[j : j + inner * columns]
    a = a.reshape((inner, rows)).T if name in ("product_left_T", "product_both_T") else a
    b = b.reshape((columns, inner)).T if name in ("product_right_T", "product_both_T") else b
    np.dot(
        a.reshape((rows, inner)),
        b.reshape((inner, columns)),
        out[k : k + rows * columns].reshape((rows, columns)),
    )


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_target, "_loaded", Interpreted)


def batch(seed: int, size: int = 5) -> tuple[tg.Tensor, tg.Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 40)).astype(np.float32)
    return tg.tensor(x), tg.tensor(rng.integers(0, 10, size))


def training(make: Callable[[], nn.Module], optimizer: Any, **options: Any) -> Any:
    tg.seed(0)
    model = make()
    updates = optimizer(model.parameters(), **options)

    def step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        loss = nn.functional.cross_entropy(model(x), y)
        updates.zero_grad()
        loss.backward()
        updates.step()
        return loss

    return model, step


def assert_close(model: nn.Module, other: nn.Module) -> None:
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert one.grad is not None
        assert two.grad is not None
        np.testing.assert_allclose(one.data, two.data, rtol=2e-4, atol=2e-6)
        np.testing.assert_allclose(one.grad.data, two.grad.data, rtol=2e-4, atol=2e-6)


def both(make: Callable[[], nn.Module], optimizer: Any = tg.optim.SGD, **options: Any) -> Any:
    """A training compiled to loops and the same eager, after some steps that did the same."""
    model, step = training(make, optimizer, **{"lr": 0.05, **options})
    other, eager = training(make, optimizer, **{"lr": 0.05, **options})
    compiled = tg.compile(step, target="numba")
    losses = []
    for one in (compiled, eager):
        tg.seed(1)
        losses.append([one(*batch(number)).item() for number in range(4)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert_close(model, other)
    return compiled


@pytest.mark.usefixtures("interpreted")
class TestLoops:
    @pytest.mark.parametrize("name", ["logistic", "mlp"])
    @pytest.mark.parametrize("optimizer", [tg.optim.SGD, tg.optim.Adam])
    def test_do_what_eager_steps_do(self, name: str, optimizer: Any) -> None:
        both(lambda: make_model(name), optimizer)

    def test_leave_no_arithmetic_to_numpy_in_a_step_of_a_net(self) -> None:
        lines = both(lambda: make_model("mlp")).optimized_source.splitlines()
        replay = lines[lines.index("def replay(given_0, given_1):") :]
        assert not any(line.strip().startswith(("add(", "multiply(", "matmul(")) for line in replay)

    def test_draw_the_same_numbers_for_dropout(self) -> None:
        both(lambda: nn.Sequential(nn.Linear(40, 8), nn.Dropout(0.5), nn.Linear(8, 10)))

    def test_roll_up_what_is_repeated(self) -> None:
        class Recurrent(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.gru = nn.GRU(4, 3, batch_first=True)
                self.linear = nn.Linear(3, 10)

            def forward(self, x: tg.Tensor) -> tg.Tensor:
                return self.linear(self.gru(x.reshape((len(x), 10, 4)))[1][0])

        compiled = both(Recurrent)
        assert "for t in range(10):" in compiled.optimized_source

    def test_refuse_labels_that_there_are_not(self) -> None:
        compiled = both(lambda: make_model("logistic"))
        x, _ = batch(0)
        with pytest.raises(tg.errors.IndexingError):
            compiled(x, tg.tensor(np.full(5, 10)))

    def test_hand_out_memory_of_its_own(self) -> None:
        compiled = tg.compile(lambda x: (x * 2.0).exp(), target="numba")
        x = tg.tensor([1.0, 2.0])
        first, second, third, fourth = (compiled(x) for _ in range(4))
        fourth.data[...] = 0.0
        assert third.tolist() == second.tolist() == first.tolist() != fourth.tolist()

    @settings(max_examples=25)
    @given(
        st.lists(
            st.sampled_from(
                [
                    "tanh",
                    "exp",
                    "square",
                    "T",
                    "+x",
                    "*w",
                    "@w",
                    "sum",
                    "max",
                    "-",
                    "row",
                    "flip",
                    "pick",
                    "relu",
                    "half",
                    "join",
                ]
            ),
            min_size=1,
            max_size=7,
        ),
        st.sampled_from([np.float32, np.float64]),
    )
    def test_of_any_little_program_give_what_eager_gives(
        self, program: list[str], dtype: Any
    ) -> None:
        def make() -> tuple[tg.Tensor, Step]:
            w = tg.tensor(
                np.random.default_rng(0).normal(size=(3, 3)), dtype=dtype, requires_grad=True
            )

            def step(x: tg.Tensor) -> tg.Tensor:
                h = x * w
                for part in program:
                    h = {
                        "tanh": lambda h: h.tanh(),
                        "exp": lambda h: (h * 0.1).exp(),
                        "square": lambda h: h * h * 0.1,
                        "T": lambda h: h.T,
                        "+x": lambda h: h + x,
                        "*w": lambda h: h * w,
                        "@w": lambda h: h @ w * 0.3,
                        "sum": lambda h: h - h.sum(axis=0),
                        "max": lambda h: h - h.max(axis=1, keepdims=True),
                        "-": lambda h: 1.0 - h,
                        "row": lambda h: h + h[0],
                        "flip": lambda h: h[::-1] * 2.0,
                        "pick": lambda h: h[[0, 2, 2]],
                        "relu": lambda h: h.relu(),
                        "half": lambda h: tg.where(h > 0.5, h, 0.5),
                        "join": lambda h: tg.concat((h[:1], h[1:] * 0.5)),
                    }[part](h)
                loss = h.sum()
                w.grad = None
                loss.backward()
                with tg.no_grad():
                    w.data = w - 0.01 * w.grad
                return loss

            return w, step

        (w, step), (v, eager) = make(), make()
        numba_target._loaded, loaded = Interpreted, numba_target._loaded
        try:
            compiled = tg.compile(step, target="numba")
            tolerance = 1e-4 if dtype == np.float32 else 1e-11
            for number in range(4):
                x = tg.tensor(np.random.default_rng(number).normal(size=(3, 3)), dtype=dtype)
                assert compiled(x).item() == pytest.approx(
                    eager(x).item(), rel=tolerance, abs=tolerance
                )
                np.testing.assert_allclose(w.data, v.data, rtol=tolerance, atol=tolerance)
                np.testing.assert_allclose(w.grad.data, v.grad.data, rtol=tolerance, atol=tolerance)
        finally:
            numba_target._loaded = loaded


class TestMachineCode:
    def test_of_a_training_step_is_that_of_its_loops(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        both(lambda: nn.Sequential(nn.Linear(40, 6), nn.Tanh(), nn.Linear(6, 10)), tg.optim.Adam)
        assert list((tmp_path / "tinygrad_lab" / "loops").glob("loops_*.py"))

    @pytest.mark.parametrize("name", ["exp", "tanh"])
    def test_has_functions_within_three_ulp(self, name: str) -> None:
        from numba import njit

        from tinygrad_lab.compile import numba_support

        function = getattr(numba_support, f"{name}_float32")

        @njit  # type: ignore[untyped-decorator]
        def everywhere(x: Any, out: Any) -> None:
            for i in range(x.size):
                out[i] = function(x[i])

        limit = 87.0 if name == "exp" else 15.0
        x = np.linspace(-limit, limit, 100_001).astype(np.float32)
        out = np.empty_like(x)
        everywhere(x, out)
        exact = getattr(np, name)(x.astype(np.float64))
        ulp = np.spacing(np.abs(exact).astype(np.float32))
        assert np.max(np.abs(out - exact) / ulp) < 3
        special = np.array([np.nan, np.inf, -np.inf, 0.0], dtype=np.float32)
        everywhere(special, out[:4])
        np.testing.assert_array_equal(out[:4], getattr(np, name)(special))


class TestScalarGraphs:
    def test_are_python_expressions(self) -> None:
        def step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            return (x + y) * x.tanh() - y / 2.0

        compiled = tg.compile(step, target="python")
        for a, b in ((1.0, 2.0), (3.0, -1.0), (0.5, 0.25)):
            x, y = tg.scalar(a, requires_grad=False), tg.scalar(b, requires_grad=False)
            assert compiled(x, y).item() == step(x, y).item()
        assert "(x_0 + y_1) * tanh(x_0) - y_1 / 2.0" in compiled.optimized_source

    def test_of_many_numbers_use_names_again(self) -> None:
        weights = [tg.scalar(0.1 * k) for k in range(20)]

        def step() -> tg.Tensor:
            h = weights
            for _ in range(20):
                h = [(a * b).tanh() for a, b in zip(h, h[1:] + h[:1], strict=True)]
            loss = sum(h[1:], h[0])
            for w in weights:
                w.grad = None
            loss.backward()
            return loss

        expected = step().item()
        gradients = [w.grad.item() for w in weights if w.grad is not None]
        compiled = tg.compile(step, target="python")
        for _ in range(3):
            assert compiled().item() == expected
            assert [w.grad.item() for w in weights if w.grad is not None] == gradients
        names = {w for w in compiled.optimized_source.split() if w[0] == "n" and w[1:].isdigit()}
        assert 20 < len(names) < 800

    def test_are_all_that_the_target_is_for(self) -> None:
        compiled = tg.compile(lambda x: x * 2.0, target="python")
        x = tg.tensor([1.0])
        compiled(x)
        with pytest.raises(CompileError, match="for scalar graphs"):
            compiled(x)
