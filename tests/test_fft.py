"""Fourier transforms, and gradients through complex numbers."""

import copy
import pickle
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    AxisError,
    DTypeError,
    GradientError,
)
from tinygrad_lab.formatting import MINUS

Array = np.ndarray[Any, Any]

ALONG_ONE = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
ALONG_SEVERAL = ["fftn", "ifftn", "rfftn", "irfftn"]
OF_REAL = ["rfft", "rfftn", "ihfft"]
NORMS = ["backward", "ortho", "forward"]


def values(*shape: int, real: bool = False, seed: int = 0) -> Array:
    """Random numbers, complex unless they shall be real."""
    rng = np.random.default_rng([seed, *shape])
    parts = rng.normal(size=(2, *shape))
    return np.asarray(parts[0] if real else parts[0] + 1j * parts[1])


def like(array: Array, seed: int = 7) -> Array:
    return values(*array.shape, real=not np.iscomplexobj(array), seed=seed)


def leaf(array: Array) -> tg.Tensor:
    return tg.tensor(array, requires_grad=True)


def gradients_of(function: Callable[..., Any], arrays: list[Array]) -> tuple[Array, list[Array]]:
    """The value of a function here, and the gradients for a random cotangent of it."""
    leaves = [leaf(array) for array in arrays]
    out = function(*leaves)
    value = out.detach().numpy()
    out.backward(like(value))
    for one in leaves:
        assert one.grad is not None
        assert (one.grad.shape, one.grad.dtype) == (one.shape, one.dtype)
    return value, [one.grad.numpy() for one in leaves]  # type: ignore[union-attr]


def gradients_of_torch(
    torch: Any, function: Callable[..., Any], arrays: list[Array]
) -> tuple[Array, list[Array]]:
    leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
    out = function(*leaves)
    value = out.detach().resolve_conj().numpy()
    out.backward(torch.tensor(like(value)))
    return value, [one.grad.resolve_conj().numpy() for one in leaves]


def numeric_gradients(function: Callable[..., Any], arrays: list[Array]) -> list[Array]:
    """∂L/∂a + i ∂L/∂b of L = Re Σ conj(c) f(a + ib), by central differences."""
    cotangent = like(function(*map(tg.tensor, arrays)).numpy())

    def loss(moved: list[Array]) -> float:
        out = function(*map(tg.tensor, moved)).numpy()
        return float(np.sum(np.conj(cotangent) * out).real)

    found = []
    for position, array in enumerate(arrays):
        slopes = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            for unit in (1, 1j) if np.iscomplexobj(array) else (1,):
                step = np.zeros_like(array)
                step[place] = 1e-6 * unit
                ends = [
                    loss([*arrays[:position], array + sign * step, *arrays[position + 1 :]])
                    for sign in (1, -1)
                ]
                slopes[place] += unit * (ends[0] - ends[1]) / 2e-6
        found.append(slopes)
    return found


class TestTransforms:
    @pytest.mark.parametrize("name", ALONG_ONE)
    @pytest.mark.parametrize("norm", NORMS)
    @pytest.mark.parametrize("size", [1, 2, 5, 6])
    def test_are_those_of_numpy_with_the_gradients_of_torch(
        self, name: str, norm: str, size: int
    ) -> None:
        torch = pytest.importorskip("torch")
        of_one = name in ("irfft", "hfft") and size == 1
        x = values(3, size, real=name in OF_REAL)
        for n in [1, 2, 4, 5, 7, 8] + ([] if of_one else [None]):
            for array, axis in ((x, -1), (x.T, 0)):
                value, (gradient,) = gradients_of(
                    lambda x, n=n, axis=axis: getattr(tg.fft, name)(x, n=n, axis=axis, norm=norm),
                    [array],
                )
                expected = getattr(np.fft, name)(array, n=n, axis=axis, norm=norm)
                _, (other,) = gradients_of_torch(
                    torch,
                    lambda x, n=n, axis=axis: getattr(torch.fft, name)(x, n=n, dim=axis, norm=norm),
                    [array],
                )
                np.testing.assert_allclose(value, expected, atol=1e-12)
                np.testing.assert_allclose(gradient, other, atol=1e-12)

    @pytest.mark.parametrize("name", ALONG_SEVERAL)
    @pytest.mark.parametrize("norm", NORMS)
    @pytest.mark.parametrize(
        ("s", "axes"),
        [
            (None, None),
            (None, (2, 0)),
            ((3, 4), None),
            ((5, 2), (1, -3)),
            ((2, 3, 5), None),
            ((1, 1), (0, 1)),
        ],
    )
    def test_along_several_axes_are_those_of_numpy_with_the_gradients_of_torch(
        self, name: str, norm: str, s: Any, axes: Any
    ) -> None:
        torch = pytest.importorskip("torch")
        x = values(3, 4, 5, real=name in OF_REAL)
        value, (gradient,) = gradients_of(
            lambda x: getattr(tg.fft, name)(x, s=s, axes=axes, norm=norm), [x]
        )
        _, (other,) = gradients_of_torch(
            torch, lambda x: getattr(torch.fft, name)(x, s=s, dim=axes, norm=norm), [x]
        )
        last = axes or (range(-len(s), 0) if s else None)
        expected = getattr(np.fft, name)(x, s=s, axes=last, norm=norm)
        np.testing.assert_allclose(value, expected, atol=1e-12)
        np.testing.assert_allclose(gradient, other, atol=1e-12)

    @pytest.mark.parametrize("name", [*ALONG_ONE, *ALONG_SEVERAL])
    @pytest.mark.parametrize("size", [3, 4])
    def test_have_the_gradients_that_differences_show(self, name: str, size: int) -> None:
        x = values(2, size, real=name in OF_REAL)
        _, found = gradients_of(getattr(tg.fft, name), [x])
        expected = numeric_gradients(getattr(tg.fft, name), [x])
        np.testing.assert_allclose(found[0], expected[0], atol=1e-7)

    @pytest.mark.parametrize("name", ["fft", "ifft", "fftn", "ifftn"])
    def test_of_real_numbers_give_them_real_gradients(self, name: str) -> None:
        x = values(2, 3, real=True)
        _, found = gradients_of(getattr(tg.fft, name), [x])
        expected = numeric_gradients(getattr(tg.fft, name), [x])
        np.testing.assert_allclose(found[0], expected[0], atol=1e-7)

    @pytest.mark.parametrize("name", ["irfft", "hfft", "irfftn"])
    def test_to_real_numbers_take_real_ones_as_complex(self, name: str) -> None:
        x = values(2, 3, real=True)
        value, found = gradients_of(getattr(tg.fft, name), [x])
        np.testing.assert_allclose(value, getattr(np.fft, name)(x), atol=1e-12)
        expected = numeric_gradients(getattr(tg.fft, name), [x])
        np.testing.assert_allclose(found[0], expected[0], atol=1e-7)

    @pytest.mark.parametrize("axes", [None, 0, (1,), (0, 1)])
    def test_shifts_are_those_of_numpy_and_undo_each_other(self, axes: Any) -> None:
        x = values(4, 5)
        shifted = tg.fft.fftshift(leaf(x), axes)
        assert shifted.tolist() == np.fft.fftshift(x, axes).tolist()
        assert tg.fft.ifftshift(shifted, axes).tolist() == x.tolist()
        _, (gradient,) = gradients_of(lambda x: tg.fft.fftshift(x, axes), [x])
        assert gradient.tolist() == np.fft.ifftshift(like(x), axes).tolist()

    @pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
    @pytest.mark.parametrize("n", [1, 4, 5])
    def test_frequencies_are_those_of_numpy(self, name: str, n: int) -> None:
        found = getattr(tg.fft, name)(n, d=0.1, dtype=tg.float64)
        assert found.tolist() == getattr(np.fft, name)(n, 0.1).tolist()
        assert getattr(tg.fft, name)(n).dtype == tg.get_default_dtype()

    @pytest.mark.parametrize(
        ("real", "complex_"), [("float32", "complex64"), ("float64", "complex128")]
    )
    def test_keep_the_precision(self, real: str, complex_: str) -> None:
        x = tg.tensor([1.0, 2.0, 4.0], dtype=real)
        z = x.astype(complex_)
        for name in ("fft", "ifft", "fftn", "ifftn"):
            assert getattr(tg.fft, name)(x).dtype == getattr(tg.fft, name)(z).dtype == complex_
        for name in OF_REAL:
            assert getattr(tg.fft, name)(x).dtype == complex_
        for name in ("irfft", "irfftn", "hfft"):
            assert getattr(tg.fft, name)(x).dtype == getattr(tg.fft, name)(z).dtype == real

    def test_take_arrays_of_numpy(self) -> None:
        assert tg.fft.rfft(np.array([1.0, 2.0])).tolist() == [3, -1]

    def test_run_in_the_plain_engine_and_under_no_grad(self) -> None:
        x = leaf(values(5, real=True))
        with tg.no_grad():
            assert not tg.fft.rfft(x).requires_grad
        expected = tg.fft.rfft(x)
        for block in (tg.plain, tg.debug, tg.record):
            with block():
                found = tg.fft.rfft(x)
                tg.sum(tg.abs(found)).backward()
            assert found.tolist() == expected.tolist()


X = tg.tensor([[1.0, 2.0, 3.0]], name="signal")


class TestMistakes:
    @pytest.mark.parametrize(
        ("call", "error", "says"),
        [
            (lambda: tg.fft.fft(X, n=0), ArgumentError, r"fft: .*1 or more.*got 0"),
            (lambda: tg.fft.fft(X, n=2.0), ArgumentError, r"fft: .*integers.*got 2\.0"),
            (lambda: tg.fft.fft(X, axis=2), AxisError, r"fft: .*\(1, 3\) has no axis 2"),
            (lambda: tg.fft.rfft(tg.scalar(1.0)), AxisError, r"rfft: .*no axis -1"),
            (lambda: tg.fft.fft(X, norm="none"), ArgumentError, r"'ortho'.*'none'[^$]*signal"),
            (lambda: tg.fft.hfft(X, norm=None), ArgumentError, r"hfft: .*'ortho'.*None"),
            (lambda: tg.fft.fft(tg.zeros((2, 0))), ArgumentError, "axis 1 has no elements"),
            (lambda: tg.fft.irfft(tg.ones((2, 1))), ArgumentError, r"irfft: .*n = 1.*n=1"),
            (lambda: tg.fft.irfftn(tg.ones((2, 1))), ArgumentError, r"irfftn: .*s=\(\.\.\., 1\)"),
            (lambda: tg.fft.fftn(X, s=(1,), axes=(0, 1)), ArgumentError, "2 axes, got 1"),
            (lambda: tg.fft.fftn(X, s=3), ArgumentError, r"one size for each.*3"),
            (lambda: tg.fft.fftn(X, axes=(0, 0)), AxisError, "each axis once"),
            (lambda: tg.fft.fftn(X, axes=()), ArgumentError, "at least one axis"),
            (lambda: tg.fft.rfft(X * 1j), DTypeError, r"rfft: .*real.*complex64.*tg\.real"),
            (lambda: tg.fft.ihfft(X * 1j), DTypeError, r"ihfft: .*real.*complex64"),
            (lambda: tg.fft.fft(X.astype(tg.float16)), DTypeError, r"float16: x\.astype"),
            (lambda: tg.fft.fft(tg.tensor([1, 2])), DTypeError, r"int64: x\.astype"),
            (lambda: tg.fft.fft([1.0, 2.0]), ArgumentTypeError, r"fft: .*list.*tg\.tensor"),
            (lambda: tg.fft.fft(X, dim=0), ArgumentTypeError, "axis"),
            (lambda: tg.fft.fftfreq(0), ArgumentError, "fftfreq: .*1 or more"),
            (lambda: tg.fft.rfftfreq(4, d=0), ArgumentError, "rfftfreq: .*other than 0"),
            (lambda: tg.fft.fftfreq(4, dtype=tg.int64), DTypeError, r"fftfreq|cast|floating"),
        ],
    )
    def test_are_explained(self, call: Any, error: type[Exception], says: str) -> None:
        with pytest.raises(error, match=says):
            call()

    @pytest.mark.parametrize(
        "function",
        [
            *(tg.relu, tg.sigmoid, tg.max, tg.sign, tg.clip, tg.cumulative_prod, tg.vector_norm),
            *(tg.logsumexp, lambda z: tg.maximum(z, 0.0), lambda z: tg.minimum(z, z)),
            lambda z: tg.nn.Linear(3, 2)(z),
        ],
    )
    def test_functions_of_real_numbers_refuse_the_gradient_of_complex_ones(
        self, function: Any
    ) -> None:
        z = leaf(values(3).astype(np.complex64))
        for block in (nullcontext, tg.plain):
            with block(), pytest.raises(DTypeError, match=r"complex.*tg\.real\(z\), tg\.imag"):
                function(z)

    def test_a_loss_is_real(self) -> None:
        z = leaf(values(3))
        for loss in (z.sum(), z[:1]):
            with pytest.raises(GradientError, match=r"real number.*complex128.*tg\.abs"):
                loss.backward()
            loss.backward(gradient=np.ones(loss.shape))

    def test_what_learns_is_real(self) -> None:
        z = leaf(values(3))
        with pytest.raises(DTypeError, match=r"optimiser.*complex128.*tg\.complex\(a, b\)"):
            tg.optim.SGD([z], lr=0.1)
        for requires_grad in (True, False):
            with pytest.raises(DTypeError, match=r"Parameter.*complex128.*tg\.complex\(a, b\)"):
                tg.nn.Parameter(z.detach(), requires_grad=requires_grad)

    def test_derivatives_that_are_no_numbers_are_refused(self) -> None:
        z = tg.tensor(values(3))
        with pytest.raises(DTypeError, match=r"tg\.jacobian: .*complex128.*tg\.complex\(a, b\)"):
            tg.jacobian(lambda z: z * z)(z)
        with pytest.raises(DTypeError, match=r"tg\.hessian: .*complex128"):
            tg.hessian(lambda z: tg.sum(tg.abs(z)))(z)
        for function, x in ((lambda z: tg.abs(z), z), (lambda x: x * 1j, tg.real(z))):
            with pytest.raises(DTypeError, match=r"tg\.gradcheck.*complex128.*tg\.complex"):
                tg.gradcheck(function, x)


def _angle(torch: Any, z: Any) -> Any:
    return tg.atan2(tg.imag(z), tg.real(z)) if torch is None else torch.angle(z)


Z, W, R = values(2, 3), values(3, seed=1), values(2, 3, real=True, seed=2)
SQUARE, OTHER = values(3, 3, seed=3), values(3, 3, seed=4)

COMPLEX: dict[str, tuple[list[Array], Callable[..., Any]]] = {
    # Each is called as function(library, *tensors), with tg and with torch.
    "add": ([Z, W], lambda xp, z, w: z + w),
    "subtract from real": ([R, W], lambda xp, x, w: x - w),
    "multiply": ([Z, W], lambda xp, z, w: z * w),
    "multiply by real": ([R, W], lambda xp, x, w: x * w),
    "multiply by a number": ([Z], lambda xp, z: z * 2.0 + 1j * z),
    "divide": ([Z, W], lambda xp, z, w: z / w),
    "divide a real": ([R, W], lambda xp, x, w: x / w),
    "negative": ([Z], lambda xp, z: -z),
    "square": ([Z], lambda xp, z: z**2),
    "power": ([Z, W], lambda xp, z, w: z**w),
    "matmul": ([Z, SQUARE], lambda xp, z, w: z @ w),
    "sum": ([Z], lambda xp, z: z.sum(0)),
    "mean": ([Z], lambda xp, z: z.mean(1)),
    "prod": ([W], lambda xp, z: z.prod(0)),
    "reshape": ([Z], lambda xp, z: z.reshape(3, 2)),
    "index": ([W], lambda xp, z: z[[0, 0, 2]]),
    "slice": ([W], lambda xp, z: z[::2]),
    "abs": ([Z], lambda xp, z: abs(z)),
    "power spectrum": ([R], lambda xp, x: abs(xp.fft.rfft(x)) ** 2),
    "filter": ([R, Z[:, :2]], lambda xp, x, h: xp.fft.irfft(xp.fft.rfft(x) * h, n=3)),
    "einsum": ([Z, SQUARE], lambda xp, z, w: xp.einsum("ij,jk->k", z, w)),
    "stack": ([W, W[::-1].copy()], lambda xp, z, w: xp.stack([z, w])),
    "roll": ([W], lambda xp, z: xp.roll(z, 1)),
    "inv": ([SQUARE], lambda xp, z: xp.linalg.inv(z)),
    "det": ([SQUARE], lambda xp, z: xp.linalg.det(z)),
    "solve": ([SQUARE, OTHER], lambda xp, z, w: xp.linalg.solve(z, w)),
    "vecdot": ([Z, Z[::-1].copy()], lambda xp, z, w: xp.linalg.vecdot(z, w)),
    "cast": ([R], lambda xp, x: x.to(xp.complex128) * 1j),
    "complex": ([R, R[::-1].copy()], lambda xp, x, y: xp.complex(x, y)),
    "angle": ([Z], lambda xp, z: _angle(None if xp is tg else xp, z)),
    **{
        name: ([Z], lambda xp, z, name=name: getattr(xp, name)(z))
        for name in (
            *("real", "imag", "conj", "exp", "log", "sqrt", "rsqrt", "sin", "cos", "tan", "sinh"),
            *("cosh", "tanh", "asin", "acos", "atan", "acosh", "atanh", "log1p", "expm1", "log2"),
            "log10",
        )
    },
}

HARD_TO_SAY_IN_TORCH: dict[str, tuple[list[Array], Callable[..., Any]]] = {
    "matmul of real": ([R, SQUARE], lambda x, w: x @ w),
    "where": ([Z, R], lambda z, x: tg.where(tg.tensor([True, False, True]), z, x)),
    "concat": ([W, R[0]], lambda z, x: tg.concat([z, x])),
    "unstack": ([Z], lambda z: tg.multiply(*tg.unstack(z))),
    "at": ([W, W[:1]], lambda z, w: z.at[1:2].set(w) * z.at[:1].add(w)),
    "pad": ([W], lambda z: tg.pad(z, (1, 2))),
    "cumulative_sum": ([W], lambda z: tg.cumulative_sum(z)),
    "triangles": ([SQUARE], lambda z: tg.tril(z) @ tg.triu(z)),
    "flip": ([Z], lambda z: tg.flip(tg.permute_dims(z, (1, 0)))),
}


class TestGradientsThroughComplexNumbers:
    @pytest.mark.parametrize("name", COMPLEX)
    def test_are_those_of_torch(self, name: str) -> None:
        torch = pytest.importorskip("torch")
        arrays, function = COMPLEX[name]
        value, found = gradients_of(lambda *zs: function(tg, *zs), arrays)
        expected, others = gradients_of_torch(torch, lambda *zs: function(torch, *zs), arrays)
        np.testing.assert_allclose(value, expected, atol=1e-12)
        for gradient, other in zip(found, others, strict=True):
            np.testing.assert_allclose(gradient, other, rtol=1e-9, atol=1e-11)

    @pytest.mark.parametrize("name", HARD_TO_SAY_IN_TORCH)
    def test_are_what_differences_show(self, name: str) -> None:
        arrays, function = HARD_TO_SAY_IN_TORCH[name]
        _, found = gradients_of(function, arrays)
        for gradient, expected in zip(found, numeric_gradients(function, arrays), strict=True):
            np.testing.assert_allclose(gradient, expected, atol=1e-6)

    @pytest.mark.parametrize("name", COMPLEX)
    def test_of_gradients_are_those_of_torch(self, name: str) -> None:
        torch = pytest.importorskip("torch")
        arrays, function = COMPLEX[name]
        found = []
        for xp, grad in ((tg, tg.autograd.grad), (torch, torch.autograd.grad)):
            leaves = [xp.tensor(array, requires_grad=True) for array in arrays]
            loss = (abs(function(xp, *leaves)) ** 2).sum()
            slopes = grad(loss, leaves, create_graph=True)
            lengths = sum((abs(one) ** 2).sum() for one in slopes)
            found.append(grad(lengths, leaves))
        for ours, theirs in zip(*found, strict=True):
            expected = theirs.resolve_conj().numpy()
            np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-8, atol=1e-9)

    @pytest.mark.parametrize("name", COMPLEX)
    def test_are_the_same_in_the_plain_engine_and_checked_by_the_debugger(self, name: str) -> None:
        arrays, function = COMPLEX[name]
        expected = gradients_of(lambda *zs: function(tg, *zs), arrays)
        for block in (tg.plain, tg.debug):
            with block():
                found = gradients_of(lambda *zs: function(tg, *zs), arrays)
            np.testing.assert_array_equal(found[0], expected[0])
            for ours, theirs in zip(found[1], expected[1], strict=True):
                np.testing.assert_array_equal(ours, theirs)

    def test_of_abs_at_0_are_0(self) -> None:
        z = leaf(np.array([0j, 3 + 4j]))
        tg.sum(tg.abs(z)).backward()
        assert z.grad is not None
        np.testing.assert_allclose(z.grad.numpy(), [0, 0.6 + 0.8j])

    def test_lead_downhill(self) -> None:
        """A step against the gradient is one of steepest descent: |z - 2i|² falls to its least."""
        z = tg.tensor(values(4))
        for _ in range(50):
            z = z - 0.25 * tg.grad(lambda z: tg.sum(tg.abs(z - 2j) ** 2))(z)
        np.testing.assert_allclose(z.numpy(), 2j, atol=1e-12)

    def test_of_both_parts_are_checked_by_gradcheck(self) -> None:
        def function(a: tg.Tensor, b: tg.Tensor) -> tuple[tg.Tensor, tg.Tensor]:
            z = tg.fft.fft(tg.complex(a, b)) * 0.5j
            return tg.real(z * z), tg.imag(tg.conj(z) / (2 + z))

        tg.gradcheck(function, *values(2, 4, real=True), order=2)

    def test_a_jvp_is_the_slope_of_a_line(self) -> None:
        z, direction = values(3), values(3, seed=1)
        _, slope = tg.jvp(lambda z: tg.abs(tg.fft.fft(z)), (tg.tensor(z),), (tg.tensor(direction),))
        ends = [np.abs(np.fft.fft(z + step * direction)) for step in (1e-6, -1e-6)]
        np.testing.assert_allclose(slope.numpy(), (ends[0] - ends[1]) / 2e-6, atol=1e-8)

    def test_keep_infinite_parts(self) -> None:
        z = tg.complex(tg.tensor([1.0, tg.inf]), tg.tensor([tg.inf, -0.0]))
        assert repr(z.tolist()) == "[(1+infj), (inf-0j)]"

    def test_are_not_those_of_python_numbers(self) -> None:
        with pytest.raises(DTypeError, match=r"only if it is real.*tg\.tensor\(x\)"):
            tg.scalar(2.0) * 1j


class TestComplexTensors:
    def test_are_shown_saved_and_copied(self) -> None:
        z = tg.tensor([1 + 2j, 3.0], requires_grad=True, name="z")
        tg.sum(tg.abs(z)).backward()
        assert repr(z) == "tensor([1.+2.j, 3.+0.j], dtype=complex64, name='z', requires_grad=True)"
        assert "op=multiply" in repr(z * z)
        for other in (copy.deepcopy(z), pickle.loads(pickle.dumps(z))):
            assert (other.tolist(), other.requires_grad) == (z.tolist(), True)
            assert other.grad is not None
            assert other.grad.tolist() == z.grad.tolist()  # type: ignore[union-attr]
            assert not tg.real(other).detach().requires_grad
            with pytest.raises(DTypeError, match="relu"):
                tg.relu(other)

    def test_may_stop_requiring_a_gradient(self) -> None:
        z = leaf(values(3))
        assert not (z.detach() * 1).requires_grad
        z.requires_grad_(False)
        assert not (z * z).requires_grad
        assert tg.maximum(z, z).tolist() == z.tolist()
        z.requires_grad_()
        assert (z * z).requires_grad

    def test_take_new_data_and_change_in_place(self) -> None:
        z = leaf(values(3))
        z.data = np.array([1j, 2j, 3j])
        with tg.no_grad():
            z *= 2
        tg.sum(tg.abs(z) ** 2).backward()
        assert z.grad is not None
        assert z.grad.tolist() == [4j, 8j, 12j]

    def test_have_hooks_that_see_the_gradient(self) -> None:
        z, seen = leaf(values(3)), []
        z.register_hook(lambda g: seen.append(g.tolist()))
        w = z * 1j
        w.retain_grad()
        tg.sum(tg.real(w)).backward()
        assert w.grad is not None
        assert (w.grad.tolist(), seen) == ([1, 1, 1], [[-1j, -1j, -1j]])

    def test_are_drawn_with_both_parts_and_the_rule(self) -> None:
        z = tg.tensor([1 - 2j, 3.0], requires_grad=True, name="z")
        w = z * tg.tensor([2j, 1.0])
        loss = tg.sum(tg.abs(w))
        loss.backward()
        text = tg.draw(loss).svg
        assert f"1{MINUS}2j" in text
        assert "g × conj(dmultiply/dz)" in text
        assert "1.-2.j" in str(tg.graph(loss))
        large = tg.graph(tg.abs(tg.tensor(values(50), requires_grad=True)))
        assert "|z| " in str(large)

    def test_a_compiled_step_gives_the_bits_of_the_step(self) -> None:
        weight = tg.nn.Parameter(tg.tensor([1.0, 2.0, 3.0]))

        def step(x: tg.Tensor) -> tg.Tensor:
            filtered = tg.fft.rfft(x) * tg.complex(weight, 2 * weight)
            loss = tg.mean(tg.fft.irfft(filtered) ** 2) + tg.mean(tg.abs(filtered))
            loss.backward()
            return loss

        compiled = tg.compile(step)
        for seed in range(4):
            x = tg.tensor(values(4, real=True, seed=seed).astype(np.float32))
            results = []
            for one in (step, compiled):
                weight.grad = None
                loss = one(x).item()
                assert weight.grad is not None
                results.append((loss, weight.grad.tolist()))
            assert results[0] == results[1]

    def test_an_op_of_your_own_may_take_them(self) -> None:
        cube = tg.op(
            "cube_of_complex_numbers",
            forward=lambda xp, x: x * x * x,
            vjp={"x": lambda xp, g, x: g * 3 * x * x},
            complex_vjp="conjugated",
        )
        _, found = gradients_of(cube, [values(3)])
        np.testing.assert_allclose(found[0], numeric_gradients(cube, [values(3)])[0], atol=1e-6)
        with pytest.raises(tg.errors.DeclarationError, match=r"complex_vjp.*\"same\".*'wrong'"):
            tg.op("wrong", forward=lambda xp, x: x, complex_vjp="wrong")
