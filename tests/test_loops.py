"""Compiled loops and scalar expressions compute what eager steps compute."""

import gc
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.compiler.functions import known
from tinygrad_lab.errors import CompileError
from tinygrad_lab.train.models import make_model

from .little_programs import little_programs, step_of

pytest.importorskip("llvmlite")
machine_code: Any = importlib.import_module("tinygrad_lab.compiler.loops.machine_code")
products: Any = importlib.import_module("tinygrad_lab.compiler.loops.products")

Step = Callable[..., Any]


@pytest.fixture(autouse=True, scope="module")
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


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
    """Train compiled to loops and eager, check that both agree, return the compiled step."""
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

    def test_refuse_labels_out_of_range(self) -> None:
        compiled = both(lambda: make_model("logistic"))
        x, _ = batch(0)
        with pytest.raises(tg.errors.IndexingError):
            compiled(x, tg.tensor(np.full(5, 10)))

    def test_hand_out_memory_of_its_own(self) -> None:
        compiled = tg.compile(lambda x: (x * 2.0).square(), target="numba")
        x = tg.tensor([1.0, 2.0])
        first, second, third, fourth = (compiled(x) for _ in range(4))
        fourth.data[...] = 0.0
        assert third.tolist() == second.tolist() == first.tolist() != fourth.tolist()

    @pytest.mark.parametrize("dtype", ["float16", ">f4", "complex64"])
    def test_leave_dtypes_to_numpy_that_they_do_not_know(self, dtype: str) -> None:
        def double(x: tg.Tensor) -> tg.Tensor:
            return x * 2

        compiled = tg.compile(double, target="numba")
        x = tg.tensor(np.array([1, 2, 3], dtype))
        for _ in range(4):
            assert compiled(x).tolist() == double(x).tolist()

    def test_take_constant_numbers_of_either_dtype(self) -> None:
        for dtype in ("float32", "float64"):
            x = tg.tensor([1.0, 2.0, 6.0], dtype=dtype)
            count = tg.tensor(2.0, dtype=dtype)
            compiled = tg.compile(lambda x, c=count: x * x.mean() / (c + c).sqrt(), target="numba")
            other = tg.compile(lambda x: x / tg.full((), 4.0, dtype=x.dtype).sqrt(), target="numba")
            for _ in range(3):
                np.testing.assert_allclose(compiled(x).data, [1.5, 3.0, 9.0], rtol=1e-6)
                np.testing.assert_allclose(other(x).data, [0.5, 1.0, 3.0], rtol=1e-6)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_do_not_rearrange_what_is_written(self, dtype: str) -> None:
        def step(x: tg.Tensor) -> tuple[tg.Tensor, ...]:
            return (x + 1e20) - 1e20, x - x, 1.0 / (x + 0.0), (1.0 + x) - 1.0

        compiled = tg.compile(step, target="numba")
        x = tg.tensor([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, 1e-20], dtype=dtype)
        for _ in range(3):
            for one, expected in zip(compiled(x), step(x), strict=True):
                np.testing.assert_array_equal(one.data, expected.data)

    def test_compare_integers_that_no_dtype_has_all_of(self) -> None:
        def step(x: tg.Tensor, y: tg.Tensor) -> tuple[tg.Tensor, ...]:
            return x < y, x == y, x >= y

        compiled = tg.compile(step, target="numba")
        x = tg.tensor(np.array([-1, 5, 0], np.int64))
        y = tg.tensor(np.array([2**64 - 1, 5, 2**63], np.uint64))
        for _ in range(3):
            for one, expected in zip(compiled(x, y), step(x, y), strict=True):
                assert one.tolist() == expected.tolist()

    def test_do_what_eager_does_with_integers_and_booleans(self) -> None:
        def mixed(x: tg.Tensor, n: tg.Tensor, flag: tg.Tensor) -> tuple[tg.Tensor, ...]:
            large = tg.ones((40, 40), dtype="int64") @ tg.ones((40, 40), dtype="int64")
            return (
                (x > 0).any(),
                (x > 0).sum(axis=0),
                (x > 0).max(),
                n @ n + large.sum(),
                x @ n,
                x.astype("float64") @ x.T,
                (n * n).max(axis=1),
                tg.where(flag, x, 1.0),
                x * flag,
            )

        x, n = tg.tensor([[1.0, -2.0], [0.5, 3.0]]), tg.tensor([[1, 2], [3, 4]])
        flag = tg.tensor(np.array(True))
        compiled = tg.compile(mixed, target="numba")
        for _ in range(4):
            for one, other in zip(compiled(x, n, flag), mixed(x, n, flag), strict=True):
                assert one.dtype == other.dtype
                assert one.tolist() == other.tolist()

    @settings(max_examples=25)
    @given(little_programs, st.sampled_from([np.float32, np.float64]))
    def test_of_any_little_program_give_what_eager_gives(
        self, program: list[str], dtype: Any
    ) -> None:
        (w, step), (v, eager) = step_of(program, dtype), step_of(program, dtype)
        compiled = tg.compile(step, target="numba")
        tolerance = 1e-4 if dtype == np.float32 else 1e-11
        for number in range(4):
            x = tg.tensor(np.random.default_rng(number).normal(size=(3, 3)), dtype=dtype)
            assert compiled(x).item() == pytest.approx(
                eager(x).item(), rel=tolerance, abs=tolerance
            )
            np.testing.assert_allclose(w.data, v.data, rtol=tolerance, atol=tolerance)
            np.testing.assert_allclose(w.grad.data, v.grad.data, rtol=tolerance, atol=tolerance)


FLOATING = ("float32", "float64")
INTEGERS = ("int8", "int32", "int64", "uint8", "uint64")
SPECIAL = [-np.inf, -7.5, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, 100.0, np.inf, np.nan]


def numbers_of(dtype: str) -> Any:
    """Return numbers of all kinds, in pairs."""
    special = SPECIAL if dtype in FLOATING else [0, 1] if dtype == "bool" else [0, 1, 7, 100]
    special += [-100, -1] if dtype.startswith("int") else []
    one, other = np.meshgrid(np.array(special, dtype), np.array(special, dtype))
    return one.ravel(), other.ravel()


def mapped(dtype: str, expression: str, result: str, *arrays: Any) -> Any:
    """Evaluate an expression of ``{0}``, ``{1}`` on the elements of arrays."""
    elements = [f"m{n}[i]" for n in range(len(arrays))]
    given = ", ".join(f"x{n}: array" for n in range(len(arrays)))
    memories = "\n".join(
        f"    m{n} = memory_of_{dtype}(x{n}.ctypes.data, {n})" for n in range(len(arrays))
    )
    out = np.empty(arrays[0].shape, result)
    source = f"""
def loops({given}, y: array) -> int64:
{memories}
    out = memory_of_{result}(y.ctypes.data, 9)
    for i in range({arrays[0].size}):
        out[i] = {expression.format(*elements, zero=f"{dtype}(0)")}
    return 0
"""
    function = machine_code.machine_code(source).function("loops")
    assert function(*arrays, out) == 0
    return out


class TestMachineCode:
    @pytest.mark.parametrize("dtype", [*FLOATING, *INTEGERS, "bool"])
    @pytest.mark.parametrize(
        "name",
        ["add", "multiply", "maximum", "minimum", "greater", "less_equal", "equal", "not_equal"],
    )
    def test_of_two_numbers_gives_what_numpy_gives(self, name: str, dtype: str) -> None:
        one, other = numbers_of(dtype)
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(one, other)
        out = mapped(dtype, known(name).formula, expected.dtype.name, one, other)
        np.testing.assert_array_equal(out, expected)

    @pytest.mark.parametrize("dtype", [*FLOATING, *INTEGERS])
    @pytest.mark.parametrize("name", ["negative", "square", "absolute", "subtract"])
    def test_of_signed_numbers_gives_what_numpy_gives(self, name: str, dtype: str) -> None:
        pair = numbers_of(dtype)
        given = pair if name == "subtract" else pair[:1]
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(*given)
        np.testing.assert_array_equal(mapped(dtype, known(name).formula, dtype, *given), expected)

    @pytest.mark.parametrize("dtype", FLOATING)
    @pytest.mark.parametrize("name", ["divide", "sqrt", "exp", "log", "tanh", "sin", "cos"])
    def test_of_real_functions_gives_what_numpy_gives(self, name: str, dtype: str) -> None:
        pair = numbers_of(dtype)
        given = pair if name == "divide" else pair[:1]
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(*given)
        out = mapped(dtype, known(name).formula, dtype, *given)
        np.testing.assert_array_max_ulp(out, expected, 2, dtype=dtype)

    @pytest.mark.parametrize("dtype", [*FLOATING, "int32", "bool"])
    def test_chooses_as_numpy_does(self, dtype: str) -> None:
        one, other = numbers_of(dtype)
        out = mapped(dtype, known("where").formula, dtype, one, one, other)
        np.testing.assert_array_equal(out, np.where(one, one, other))
        if dtype in FLOATING:
            out = mapped(dtype, known("where_positive").formula, dtype, one, other)
            np.testing.assert_array_equal(out, np.where(one > 0, other, 0))

    @pytest.mark.parametrize("dtype", ["float32", "int8", "int64", "uint8", "bool"])
    @pytest.mark.parametrize("to", ["float32", "float64", "int16", "int64", "uint32", "bool"])
    def test_casts_as_numpy_does(self, dtype: str, to: str) -> None:
        numbers, _ = numbers_of(dtype)
        floating = dtype in FLOATING and to not in (*FLOATING, "bool")
        numbers = numbers[np.abs(numbers) < 200] if floating else numbers
        numbers = numbers[numbers >= 0] if floating and to.startswith("u") else numbers
        np.testing.assert_array_equal(
            mapped(dtype, f"{to}({{0}})", to, numbers), numbers.astype(to)
        )

    def test_is_refused_where_types_are_mixed(self) -> None:
        x = np.zeros(1, np.float32)
        with pytest.raises(TypeError, match="of different types"):
            mapped("float32", "{0} + float64(1)", "float32", x)
        with pytest.raises(TypeError, match="another type"):
            mapped("float32", "float64({0})", "float32", x)

    @pytest.mark.parametrize("name", ["exp", "tanh"])
    def test_has_functions_within_three_ulp(self, name: str) -> None:
        limit = 87.0 if name == "exp" else 15.0
        x = np.linspace(-limit, limit, 100_001).astype(np.float32)
        exact = getattr(np, name)(x.astype(np.float64))
        ulp = np.spacing(np.abs(exact).astype(np.float32))
        out = mapped("float32", f"{name}_float32({{0}})", "float32", x)
        assert np.max(np.abs(out - exact) / ulp) < 3
        special = np.array([np.nan, np.inf, -np.inf, 0.0], dtype=np.float32)
        out = mapped("float32", f"{name}_float32({{0}})", "float32", special)
        np.testing.assert_array_equal(out, getattr(np, name)(special))

    def test_takes_numbers_of_python(self) -> None:
        source = """
def loops(x: float64, n: int64, twice: bool) -> int64:
    if twice:
        return n + n
    return int64(x) + n
"""
        function = machine_code.machine_code(source).function("loops")
        assert function(2.7, -5, False) == -3
        assert function(2.7, 2**40, True) == 2**41

    def test_lives_as_long_as_its_functions(self) -> None:
        functions = [
            machine_code.machine_code(
                f"def loops(x: int64) -> int64:\n    return x + {number}\n"
            ).function("loops")
            for number in range(3)
        ]
        gc.collect()
        assert [function(10) for function in functions] == [10, 11, 12]

    def test_keeps_the_order_of_what_is_done_in_a_region(self) -> None:
        source = """
def loops(x: array) -> int64:
    a = memory_of_float32(x.ctypes.data, 1)
    b = memory_of_float32(x.ctypes.data, 1)
    for i in range(20):
        b[1 + i] = a[i] * 2.0
    return 0
"""
        x = np.ones(21, dtype=np.float32)
        machine_code.machine_code(source).function("loops")(x)
        np.testing.assert_array_equal(x, 2.0 ** np.arange(21))

    @pytest.mark.parametrize("library", ["numpy", "scipy"])
    @pytest.mark.parametrize("dtype", FLOATING)
    @pytest.mark.parametrize(
        "name", ["product", "product_left_T", "product_right_T", "product_both_T"]
    )
    def test_leaves_products_to_the_blas(
        self, name: str, dtype: str, library: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if library == "scipy":
            monkeypatch.setattr(products, "_in_numpy", lambda: iter(()))
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=(4, 5)).astype(dtype)
        left = a.T if name in ("product_left_T", "product_both_T") else a
        right = b.T if name in ("product_right_T", "product_both_T") else b
        out = np.empty((3, 5), dtype)
        source = f"""
def loops(x: array, y: array, z: array) -> int64:
    a = memory_of_{dtype}(x.ctypes.data, 1)
    b = memory_of_{dtype}(y.ctypes.data, 2)
    c = memory_of_{dtype}(z.ctypes.data, 3)
    {name}(a, 0, b, 0, c, 0, 3, 4, 5)
    return 0
"""
        loops = machine_code.machine_code(source).function("loops")
        loops(np.ascontiguousarray(left), np.ascontiguousarray(right), out)
        np.testing.assert_allclose(out, a @ b, rtol=1e-5)

    def test_does_without_a_folder_that_gives_and_takes_nothing(self, tmp_path: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(tmp_path))
            double = tg.compile(lambda x: x * 2.0 + x.exp(), target="numba")
            x = tg.tensor([0.0, 0.0])
            in_the_way = machine_code._folder() / "taken.o"
            in_the_way.mkdir(parents=True)
            patch.setattr(machine_code, "_key", lambda source: "taken")
            assert [double(x).tolist() for _ in range(3)] == [[1.0, 1.0]] * 3
            assert list(in_the_way.parent.iterdir()) == [in_the_way]

    def test_is_kept_for_the_next_process(self, tmp_path: Path) -> None:
        program = """
import tinygrad_lab as tg
from tinygrad_lab.compiler.loops import machine_code
compiled = []
make = machine_code._compiled
machine_code._compiled = lambda source: compiled.append(source) or make(source)
double = tg.compile(lambda x: x * 2.0 + x.tanh(), target="numba")
for _ in range(3):
    result = double(tg.tensor([1.0, 2.0]))
print(len(compiled), result.tolist())
"""
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}

        def run() -> str:
            command = [sys.executable, "-c", program]
            return subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            ).stdout

        first, second = run(), run()
        assert (first[0], second[0]) == ("1", "0")
        assert first[1:] == second[1:]
        (file,) = (tmp_path / "tinygrad_lab" / "loops").iterdir()
        file.write_bytes(file.read_bytes()[:100])
        assert run() == first


class TestScalarGraphs:
    def test_are_python_expressions(self) -> None:
        def step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            return (x + y) * x.tanh() - y / 2.0

        compiled = tg.compile(step, target="python")
        for a, b in ((1.0, 2.0), (3.0, -1.0), (0.5, 0.25)):
            x, y = tg.scalar(a, requires_grad=False), tg.scalar(b, requires_grad=False)
            assert compiled(x, y).item() == step(x, y).item()
        assert "(x__0 + y__1) * tanh(x__0) - y__1 / 2.0" in compiled.optimized_source

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


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_loops_cannot_do_is_left_to_numpy(dtype: Any) -> None:
    def pick(x: tg.Tensor) -> tg.Tensor:
        return (x * 2)[[1, 0]] + x[[0, 1]]

    step = tg.compile(pick, target="numba")
    for number in range(4):
        x = tg.tensor(np.arange(2) + number, dtype=np.dtype(dtype))
        np.testing.assert_array_equal(step(x).data, pick(x).data)


@pytest.mark.parametrize("function", [lambda x: x.relu().sum(), lambda x: x.sum().relu()])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_gradients_of_relu_that_are_left_to_numpy(function: Any, dtype: Any) -> None:
    slope = tg.grad(lambda x: function(x) * x.astype(tg.float64).sum())
    step = tg.compile(slope, target="numba")
    for number in range(4):
        x = tg.tensor(np.arange(3) - number, dtype=np.dtype(dtype))
        np.testing.assert_allclose(step(x).data, slope(x).data, rtol=1e-3)
