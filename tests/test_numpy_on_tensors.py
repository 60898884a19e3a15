"""NumPy's functions on tensors, and arrays of NumPy's subclasses and of other libraries."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.errors import ArgumentTypeError, DTypeError, GradientError

T = tg.tensor([[1.0, 2.0], [3.0, 4.0]])

COMPOSED = [tg.softmax, tg.log_softmax, tg.logsumexp, tg.mean, tg.var, tg.std, tg.norm, tg.pinv]
"""Functions that are composed of ops: their errors name them, and not an op inside."""
G = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="weights")

CALLS = {
    "where": lambda f, x: f(np.ones((2, 2)) > 0, x, 0.0),
    "sum": lambda f, x: f(x, axis=0),
    "einsum": lambda f, x: f("ij->j", x),
    "concatenate": lambda f, x: f([x, x]),
    "stack": lambda f, x: f((x, x), axis=1),
    "vstack": lambda f, x: f([x, x]),
    "mean": lambda f, x: f(x, axis=1),
    "std": lambda f, x: f(x, ddof=1),
    "var": lambda f, x: f(x),
    "max": lambda f, x: f(x),
    "prod": lambda f, x: f(x),
    "argmax": lambda f, x: f(x),
    "dot": lambda f, x: f(x, x),
    "clip": lambda f, x: f(x, 0, 1),
    "reshape": lambda f, x: f(x, -1),
    "transpose": lambda f, x: f(x),
    "allclose": lambda f, x: f(x, x),
    "array_equal": lambda f, x: f(x, x),
    "cumsum": lambda f, x: f(x),
    "median": lambda f, x: f(x),
    "interp": lambda f, x: f(1.5, x[0], x[1]),
    "linalg.norm": lambda f, x: f(x),
    "linalg.inv": lambda f, x: f(x),
}
SAYS = {
    "concatenate": "tg.concat(",
    "vstack": "tg.concat(",
    "linalg.inv": "tg.linalg.inv ",
    "cumsum": "tg.cumulative_sum(",
    "where": "tg.where ",
    "sum": "tg.sum ",
    "einsum": "tg.einsum ",
}


def _function(name: str) -> Any:
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", CALLS)
class TestFunctions:
    def test_work_on_the_values_of_tensors_without_a_gradient(self, name: str) -> None:
        function, call = _function(name), CALLS[name]
        np.testing.assert_array_equal(call(function, T), call(function, T.numpy()))

    def test_say_what_to_call_where_a_gradient_would_be_lost(self, name: str) -> None:
        with pytest.raises(GradientError) as caught:
            CALLS[name](_function(name), G)
        text = str(caught.value)
        assert "detach()" in text
        assert SAYS.get(name, "np.") in text


def test_functions_of_shapes_need_no_values() -> None:
    assert (np.shape(G), np.ndim(G), np.size(G)) == ((2, 2), 2, 4)
    assert np.zeros_like(G).shape == (2, 2)


def test_out_writes_into_the_memory_of_a_tensor() -> None:
    out = tg.zeros(2)
    np.sum(np.ones((3, 2), np.float32), axis=0, out=out)
    assert out.tolist() == [3.0, 3.0]


class Sub(np.ndarray):
    pass


class Column:
    """A stand-in for pandas.Series: a dtype, and NumPy's protocol for arrays."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)
        self.dtype, self.shape = self._values.dtype, self._values.shape

    def __len__(self) -> int:
        return len(self._values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self._values, dtype=dtype)


class TestArraysOfOtherClasses:
    @pytest.mark.parametrize("make", [tg.tensor, tg.asarray])
    def test_a_memory_map_and_batches_of_it(self, make: Any, tmp_path: Path) -> None:
        np.save(tmp_path / "f.npy", np.arange(6.0).reshape(3, 2))
        mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
        assert make(mapped).tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
        assert make(mapped[1:]).tolist() == [[2.0, 3.0], [4.0, 5.0]]
        assert make(mapped[[2, 0]]).dtype == np.float64
        assert type(make(mapped)._data) is np.ndarray
        x = tg.zeros((3, 2), dtype=tg.float64)
        x.data = mapped
        assert (x + mapped).sum().item() == 30.0

    @pytest.mark.filterwarnings("ignore:the matrix subclass")
    @pytest.mark.parametrize("kind", [Sub, np.matrix, Column, lambda a: a.view(np.memmap)])
    def test_become_a_tensor_of_a_plain_array(self, kind: Any) -> None:
        array = np.array([[1.0, 2.0]], np.float32)
        made = kind(array) if kind is not Sub else array.view(Sub)
        x = tg.tensor(made, requires_grad=True)
        assert (x.tolist(), x.dtype, type(x._data)) == ([[1.0, 2.0]], np.float32, np.ndarray)

    def test_pandas(self) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
        assert tg.tensor(frame["a"]).tolist() == [1.0, 2.0]
        assert tg.tensor(frame).dtype == tg.tensor(frame["a"]).dtype == np.float64
        assert tg.tensor(frame["a"] > 1).dtype == np.bool_

    @pytest.mark.parametrize(
        "use",
        [
            tg.tensor,
            tg.asarray,
            lambda m: tg.tensor([m, m]),
            tg.sin,
            lambda m: T + m,
            lambda m: setattr(tg.zeros(2), "data", m),
            *COMPOSED,
        ],
    )
    def test_a_masked_array_says_what_to_do(self, use: Any) -> None:
        with pytest.raises(ArgumentTypeError, match=r"filled\(0\).*compressed\(\)") as caught:
            use(np.ma.masked_array([1.0, 2.0], [True, False]))
        assert use not in COMPOSED or str(caught.value).startswith(f"{use.__name__}: ")

    @pytest.mark.filterwarnings("ignore:the matrix subclass")
    def test_a_matrix_is_not_multiplied_by_its_own_operator(self) -> None:
        with pytest.raises(ArgumentTypeError, match=r"np\.asarray"):
            T * np.matrix([[1.0, 2.0], [3.0, 4.0]])


def test_a_plot_of_a_tensor_that_requires_a_gradient_says_detach() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    for plot in (axes.plot, axes.hist, axes.imshow):
        with pytest.raises(GradientError, match=r"detach\(\)"):
            plot(G)
    axes.plot(G.detach())


UFUNCS = sorted(n for n in dir(np) if isinstance(getattr(np, n), np.ufunc))
HALVES = np.array([[0.25, 0.5], [0.75, 0.5]])


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
class TestUfuncs:
    """Those with an op make Tensors; the others, and all their methods, work on values."""

    @pytest.mark.parametrize("name", UFUNCS)
    def test_every_ufunc_gives_the_values_of_numpy(self, name: str) -> None:
        ufunc = getattr(np, name)
        integers = np.array([[1, 2], [3, 4]])
        for values in (HALVES, HALVES if name == "reciprocal" else integers):  # 1 / 2 is not 0 here
            tensor = tg.tensor(values)
            try:
                expected = ufunc(*[values] * ufunc.nin)
            except TypeError:  # not of this dtype
                continue
            found = ufunc(*[tensor] * ufunc.nin)
            found, expected = (x if isinstance(x, tuple) else (x,) for x in (found, expected))
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(np.asarray(one), other, rtol=1e-6)

    @pytest.mark.parametrize("name", UFUNCS)
    def test_no_gradient_is_lost_in_silence(self, name: str) -> None:
        ufunc, x = getattr(np, name), tg.tensor(HALVES, requires_grad=True)
        try:
            found = ufunc(*[x] * ufunc.nin)
        except DTypeError:  # not of floats
            return
        except GradientError as error:
            found = error
        assert isinstance(found, tg.Tensor) or "detach()" in str(found)

    METHODS: ClassVar[dict[str, Callable[[Any], Any]]] = {
        "tg.sum(x, axis=0)": np.add.reduce,
        "tg.prod(x, axis=0)": np.multiply.reduce,
        "tg.max(x, axis=0)": np.maximum.reduce,
        "tg.min(x, axis=0)": np.minimum.reduce,
        "tg.logsumexp(x, axis=0)": np.logaddexp.reduce,
        "tg.cumulative_sum(x, axis=0)": np.add.accumulate,
        "tg.cumulative_prod(x, axis=0)": np.multiply.accumulate,
        "tg.multiply(v[:, None], w)": lambda x: np.multiply.outer(x[0], x[1]),
        "detach()": lambda x: np.add.reduceat(x, [0]),
    }

    @pytest.mark.parametrize("says", METHODS)
    def test_methods_of_ufuncs(self, says: str) -> None:
        call, x = self.METHODS[says], tg.tensor(HALVES)
        np.testing.assert_allclose(call(x), call(HALVES))
        with pytest.raises(GradientError, match=re.escape(says)):
            call(tg.tensor(HALVES, requires_grad=True))
        if says.startswith("tg."):
            spelled = eval(says, {"tg": tg, "x": x, "v": x[0], "w": x[1]})
            np.testing.assert_allclose(spelled.numpy(), call(HALVES))

    def test_options(self) -> None:
        assert np.add(T, T, dtype=np.float64).dtype == np.float64
        with pytest.raises(GradientError, match=r"Without dtype= a gradient flows"):
            np.add(G, G, dtype=np.float64)
        out = np.zeros((2, 2), np.float32)
        assert np.cbrt(T, out=out) is out
        np.testing.assert_allclose(out, np.cbrt(T.numpy()))

    def test_tensors_are_not_written_into(self) -> None:
        before = T.tolist()
        with pytest.raises(ArgumentTypeError, match=r"without out= it makes a new one"):
            np.add(T, T, out=T)
        with pytest.raises(ArgumentTypeError, match=r"x = x\.at\[index\]\.add\(values\)"):
            np.add.at(T, [0], 1.0)
        assert T.tolist() == before

    def test_those_of_scipy(self) -> None:
        special = pytest.importorskip("scipy.special")
        found = special.expit(G)
        assert found.requires_grad
        np.testing.assert_allclose(found.detach().numpy(), special.expit(G.detach().numpy()))
        np.testing.assert_allclose(special.gamma(T), special.gamma(T.numpy()))
        with pytest.raises(GradientError, match=r"^gamma: tensor 'weights' requires a gradient"):
            special.gamma(G)
