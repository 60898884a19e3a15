"""Errors: one tree; each tells what was expected, what came, in which op, with what and where."""

import builtins
import inspect
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import errors
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeviceError,
    DTypeError,
    GradientError,
    IndexingError,
    ShapeError,
    TinygradLabError,
)

W = tg.tensor(np.ones((2, 3), np.float32), requires_grad=True, name="weights")
V = tg.tensor(np.ones((4, 5)), name="visible")
S = tg.scalar(2.0, name="speed")
I = tg.tensor([3, 4], name="ids")  # noqa: E741
B = tg.tensor([True, False], name="bits")


class Mistake:
    """The error that a wrong call must raise, and parts of its message."""

    def __init__(self, kind: type[Exception], *says: str) -> None:
        self.kind, self.says = kind, says


MISTAKES: list[tuple[Callable[[], Any], Mistake]] = [
    (
        lambda: W + V,
        Mistake(
            ShapeError, "add", "(2, 3)", "(4, 5)", "broadcast", "weights", "visible", "float64"
        ),
    ),
    (lambda: V * W, Mistake(ShapeError, "multiply", "(4, 5)", "(2, 3)", "broadcast")),
    (lambda: W**V, Mistake(ShapeError, "pow", "broadcast")),
    (lambda: tg.where(B, W, W), Mistake(ShapeError, "where", "(2,)", "(2, 3)", "bits")),
    (lambda: np.ones(7) - W, Mistake(ShapeError, "subtract", "(7,)", "(2, 3)", "weights")),
    (
        lambda: W @ W,
        Mistake(ShapeError, "matmul", "x.shape[-1] == y.shape[-2]", "3 != 2", "weights"),
    ),
    (lambda: W @ np.ones(2), Mistake(ShapeError, "matmul", "3 != 2", "weights", "(2,)")),
    (lambda: np.ones(3) @ W, Mistake(ShapeError, "matmul", "3 != 2", "weights")),
    (
        lambda: tg.tensor(np.ones((2, 4, 3))) @ tg.tensor(np.ones((5, 3, 2))),
        Mistake(ShapeError, "matmul", "(2,)", "(5,)", "broadcast"),
    ),
    (lambda: W @ 2.0, Mistake(ShapeError, "matmul", "x * y", "weights", "2.0")),
    (lambda: 2.0 @ W, Mistake(ShapeError, "matmul", "x * y")),
    (lambda: W.reshape(4), Mistake(ShapeError, "reshape", "6 elements", "(4,)", "weights")),
    (lambda: W.reshape(-1, 4), Mistake(ShapeError, "reshape", "6 elements", "(-1, 4)")),
    (lambda: W.reshape(-1, -1), Mistake(ShapeError, "reshape", "one -1")),
    (lambda: W.reshape("x"), Mistake(ArgumentTypeError, "reshape", "weights")),
    (
        lambda: tg.broadcast_to(W, shape=(3, 2)),
        Mistake(ShapeError, "broadcast_to", "(2, 3)", "(3, 2)", "weights"),
    ),
    (lambda: W.sum(axis=2), Mistake(ShapeError, "sum", "no axis 2", "-2 to 1", "weights")),
    (lambda: W.mean(axis=(0, 5)), Mistake(ShapeError, "no axis 5", "(2, 3)", "weights")),
    (lambda: W.max(axis=-3), Mistake(ShapeError, "max", "no axis -3", "weights")),
    (lambda: tg.prod(W, axis=7), Mistake(ShapeError, "prod", "no axis 7", "weights")),
    (lambda: W.argmax(axis=2), Mistake(ShapeError, "argmax", "no axis 2")),
    (lambda: W.any(axis=2), Mistake(ShapeError, "any", "no axis 2")),
    (lambda: W.sum(axis="rows"), Mistake(ArgumentTypeError, "sum", "rows", "weights")),
    (lambda: tg.tensor([]).max(), Mistake(ShapeError, "max", "at least one element", "(0,)")),
    (lambda: tg.expand_dims(W, axis=5), Mistake(ShapeError, "expand_dims", "no axis 5")),
    (lambda: tg.squeeze(W, axis=0), Mistake(ShapeError, "squeeze", "size 1", "axis 0", "(2, 3)")),
    (lambda: tg.flip(W, axis=2), Mistake(ShapeError, "flip", "no axis 2")),
    (lambda: tg.unstack(W, axis=2), Mistake(ShapeError, "unstack", "no axis 2")),
    (
        lambda: W.permute_dims(0, 0),
        Mistake(ShapeError, "permute_dims", "each of the 2 axes", "(0, 0)"),
    ),
    (lambda: I.mT, Mistake(ShapeError, "matrix", "(2,)", "ids")),
    (lambda: I.T, Mistake(ShapeError, ".T", "(2,)", "mT", "ids")),
    (
        lambda: tg.concat([W, V]),
        Mistake(ShapeError, "concat", "axis 0", "(2, 3)", "(4, 5)", "weights", "visible"),
    ),
    (lambda: tg.concat([W, I]), Mistake(ShapeError, "concat", "number of axes", "(2,)", "ids")),
    (lambda: tg.concat([]), Mistake(ShapeError, "concat", "at least one")),
    (lambda: tg.stack([W, V]), Mistake(ShapeError, "(2, 3)", "(4, 5)")),
    (lambda: W[2], Mistake(IndexingError, "-2 to 1", "axis 0", "got 2", "weights")),
    (lambda: W[:, [0, 9]], Mistake(IndexingError, "-3 to 2", "axis 1", "got 9", "weights")),
    (lambda: W[0, 0, 0], Mistake(IndexingError, "at most 2", "got 3", "weights")),
    (lambda: W[..., ...], Mistake(IndexingError, "one ...", "weights")),
    (lambda: W[[0, 1], [0, 1, 2]], Mistake(IndexingError, "(2,)", "(3,)", "broadcast", "weights")),
    (lambda: W[np.ones(3, bool)], Mistake(IndexingError, "mask", "(2,)", "(3,)", "weights")),
    (lambda: W[1.5], Mistake(IndexingError, "integers", "float", "1.5", "weights")),
    (lambda: W["a"], Mistake(IndexingError, "integers", "str", "weights")),
    (lambda: W[V], Mistake(IndexingError, "integers or booleans", "float64", "weights")),
    (lambda: W[[[0], [0, 1]]], Mistake(IndexingError, "[[0], [0, 1]]", "weights")),
    (lambda: S[0], Mistake(IndexingError, "single number", "speed")),
    (lambda: W + "text", Mistake(ArgumentTypeError, "add", "str", "text", "weights")),
    (lambda: W * [1, 2, 3], Mistake(ArgumentTypeError, "multiply", "list", "tg.tensor", "weights")),
    (lambda: [1, 2, 3] @ W, Mistake(ArgumentTypeError, "matmul", "list", "tg.tensor")),
    (lambda: W - None, Mistake(ArgumentTypeError, "subtract", "None", "weights")),
    (lambda: tg.exp("text"), Mistake(ArgumentTypeError, "exp", "str")),
    (lambda: tg.mean([1.0, 2.0]), Mistake(ArgumentTypeError, "list", "tg.tensor")),
    (lambda: tg == W, Mistake(ArgumentTypeError, "equal", "module", "weights")),
    (lambda: tg.exp(None), Mistake(ArgumentTypeError, "exp", "a number or an array", "None")),
    (lambda: tg.clip(W, V), Mistake(ShapeError, "clip", "(2, 3)", "(4, 5)", "weights", "visible")),
    (lambda: W & 1, Mistake(DTypeError, "bitwise_and", "float32", "(x > 0) & (y > 0)", "weights")),
    (lambda: ~S, Mistake(DTypeError, "bitwise_invert", "integers or booleans", "float", "speed")),
    (lambda: tg.relu(W * 1j), Mistake(DTypeError, "relu", "complex", "detach", "tg.real(z)")),
    (lambda: tg.gelu(W, "exact"), Mistake(ArgumentError, "gelu", "none", "tanh", "'exact'")),
    (lambda: -B, Mistake(DTypeError, "negative", "booleans", "astype", "bits")),
    (lambda: B - B, Mistake(DTypeError, "subtract", "booleans", "bits")),
    (lambda: I ** (-1), Mistake(ArgumentError, "pow", "negative", "astype", "ids")),
    (lambda: W.astype("numbers"), Mistake(DTypeError, "astype", "numbers", "weights")),
    (lambda: I.requires_grad_(), Mistake(DTypeError, "floating", "int64", "ids", "astype")),
    (lambda: W.backward(), Mistake(GradientError, "scalar", "(2, 3)", "gradient=", "weights")),
    (lambda: V.sum().backward(), Mistake(GradientError, "requires a gradient", "no_grad")),
    (lambda: (W * W).backward(np.ones(3)), Mistake(ShapeError, "gradient", "(2, 3)", "(3,)")),
    (lambda: S.backward(np.ones(3)), Mistake(TinygradLabError, "gradient", "speed", "()")),
    (lambda: W.numpy(), Mistake(GradientError, "detach()", "weights")),
    (lambda: W.item(), Mistake(ShapeError, "6 elements", "weights")),
    (lambda: setattr(W, "data", np.ones(2)), Mistake(ShapeError, "(2, 3)", "(2,)", "weights")),
    (lambda: setattr(W, "data", [1.0]), Mistake(TinygradLabError, "weights")),
    (lambda: setattr(W, "data", "text"), Mistake(TinygradLabError, "weights", "text")),
    (lambda: setattr(S, "data", np.ones(3)), Mistake(ShapeError, "speed", "(3,)")),
    (lambda: setattr(W, "grad", 1.0), Mistake(ArgumentTypeError, "Tensor or None", "float")),
    (lambda: W.to("gpu"), Mistake(DeviceError, "'cpu'", "'cuda'", "gpu")),
    (lambda: tg.tensor([1.0], device="tpu"), Mistake(DeviceError, "'cpu'", "'cuda'", "tpu")),
    (lambda: tg.scalar("text"), Mistake(ArgumentTypeError, "number", "str")),
    (lambda: tg.scalar(np.ones(3)), Mistake(TinygradLabError, "number", "(3,)")),
    (lambda: tg.tensor([[1.0], [1.0, 2.0]]), Mistake(ArgumentError, "ragged", "same length")),
    (lambda: tg.tensor("text"), Mistake(DTypeError, "numbers")),
    (lambda: tg.tensor([1.0, None]), Mistake(TinygradLabError, "numbers")),
    (lambda: S * 1j, Mistake(DTypeError, "multiply", "only if it is real", "tg.tensor", "speed")),
    (lambda: tg.tensor([1.0], dtype="numbers"), Mistake(TinygradLabError, "dtype", "numbers")),
    (lambda: tg.set_default_dtype(tg.int64), Mistake(DTypeError, "floating", "int64")),
    (lambda: tg.set_default_dtype("numbers"), Mistake(DTypeError, "numbers")),
    (lambda: tg.seed(-1), Mistake(ArgumentError, "0 or more", "-1")),
    (lambda: tg.seed("x"), Mistake(ArgumentError, "integer", "'x'")),  # type: ignore[arg-type]
    (lambda: tg.Generator(1.5), Mistake(ArgumentError, "integer", "1.5")),  # type: ignore[arg-type]
    (lambda: W.register_hook(3), Mistake(ArgumentTypeError, "hook", "int")),  # type: ignore[arg-type]
]


def ids_of(mistakes: list[tuple[Callable[[], Any], Mistake]]) -> list[str]:
    def text(function: Callable[[], Any]) -> str:
        source = inspect.getsource(function).strip()
        return source[source.index("lambda:") + 8 :].split("Mistake")[0].strip(" ,\n")

    return [text(function) for function, _ in mistakes]


every_mistake = pytest.mark.parametrize(("function", "mistake"), MISTAKES, ids=ids_of(MISTAKES))

# Phrases from the errors of the libraries underneath.
FOREIGN = [
    "could not be broadcast",
    "array at index",
    "gufunc",
    "mismatch in its core dimension",
    "inhomogeneous",
    "object is not subscriptable",
    "zero-size array",
    "out of bounds for a",
    "axes don't match",
    "cannot reshape array",
    "numpy boolean",
    "only 0-dimensional arrays",
    "not supported between",
    "unsupported operand",
    "has no attribute 'shape'",
    "recursion depth",
]


def raised_by(function: Callable[[], Any]) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    pytest.fail("nothing was raised")


@every_mistake
class TestEveryMistake:
    def test_raises_the_error_that_fits(
        self, function: Callable[[], Any], mistake: Mistake
    ) -> None:
        with pytest.raises(mistake.kind):
            function()

    def test_says_what_was_expected_and_what_came(
        self, function: Callable[[], Any], mistake: Mistake
    ) -> None:
        message = str(raised_by(function))
        for part in mistake.says:
            assert part in message

    def test_is_told_in_the_words_of_this_library(
        self, function: Callable[[], Any], mistake: Mistake
    ) -> None:
        message = str(raised_by(function))
        for words in FOREIGN:
            assert words not in message

    def test_hides_no_error_behind_another(
        self, function: Callable[[], Any], mistake: Mistake
    ) -> None:
        text = "".join(traceback.format_exception(raised_by(function)))
        assert "During handling of the above exception" not in text


OF_OPS = [
    (function, mistake)
    for function, mistake in MISTAKES
    if len(mistake.says) > 1
    and (mistake.says[0] in {*dir(tg)} or mistake.kind is IndexingError)
    and mistake.says[0] not in ("stack", "scalar", "data", "seed", "tensor", "matrix")
]


@pytest.mark.parametrize(("function", "mistake"), OF_OPS, ids=ids_of(OF_OPS))
def test_mistakes_in_ops_show_the_users_own_line(
    function: Callable[[], Any], mistake: Mistake
) -> None:
    with pytest.raises(TinygradLabError) as caught:
        function()
    line = str(caught.value).splitlines()[-1]
    assert line.startswith("  at test_errors.py:"), line
    (number,) = [int(part.split(":")[1]) for part in [line.split("at ")[1]]]
    source, first = inspect.getsourcelines(function)
    assert first <= number < first + len(source)


def test_the_line_is_the_users_also_deep_inside_the_library() -> None:
    net = tg.nn.Sequential(tg.nn.Linear(3, 2))
    with pytest.raises(ShapeError) as caught:
        net(tg.tensor([[1.0, 2.0]]))  # in a module
    assert "net(tg.tensor([[1.0, 2.0]]))  # in a module" in str(caught.value)
    with pytest.raises(ShapeError) as caught:
        tg.grad(lambda x: (x + tg.tensor([1.0, 2.0])).sum())(tg.tensor([1.0, 2.0, 3.0]))
    assert "tg.grad(lambda x:" in str(caught.value)


def test_a_file_beside_the_library_with_a_name_like_it_is_the_users() -> None:
    from tinygrad_lab.engine.user_code import is_library

    package = tg.__file__.removesuffix("/__init__.py")
    assert is_library[f"{package}/tensor.py"]
    assert is_library[f"{package}/ops/arithmetic.py"]
    assert not is_library[f"{package}_lessons/first.py"]
    assert not is_library[f"{package}.py"]
    assert not is_library["/somewhere/else.py"]


CLASSES = [one for one in vars(errors).values() if isinstance(one, type)]


class TestTheTree:
    @pytest.mark.parametrize("kind", CLASSES)
    def test_has_one_root(self, kind: type) -> None:
        assert issubclass(kind, TinygradLabError)

    @pytest.mark.parametrize("kind", [c for c in CLASSES if c is not TinygradLabError])
    def test_has_a_fitting_builtin_for_every_class(self, kind: type) -> None:
        fitting = [one for one in kind.__mro__ if one.__module__ == builtins.__name__]
        assert fitting[0] not in (Exception, BaseException, object)

    def test_is_listed(self) -> None:
        assert {one.__name__ for one in CLASSES} == set(errors.__all__)
        assert all(one.__doc__ for one in CLASSES)

    @pytest.mark.parametrize(
        ("kind", "builtin"),
        [
            (errors.ShapeError, ValueError),
            (errors.DTypeError, TypeError),
            (errors.ArgumentError, ValueError),
            (errors.ArgumentTypeError, TypeError),
            (errors.IndexingError, IndexError),
            (errors.UnknownNameError, KeyError),
            (errors.DeviceError, RuntimeError),
            (errors.GradientError, RuntimeError),
            (errors.NonFiniteError, ArithmeticError),
            (errors.DeclarationError, TypeError),
            (errors.MissingDependencyError, ImportError),
        ],
    )
    def test_can_be_caught_as_the_builtin(
        self, kind: type[Exception], builtin: type[Exception]
    ) -> None:
        with pytest.raises(builtin, match=r"^as written$") as caught:
            raise kind("as written")
        assert str(caught.value) == "as written"


class TestATensorWhereAPlainValueIsMeant:
    """Calls of PyTorch's and NumPy's kind, such as torch.max(x, y)."""

    X = tg.tensor([[1.0, 2.0], [3.0, 4.0]])

    @pytest.mark.parametrize(
        ("call", "says"),
        [
            ("tg.max(x, x)", r"tg\.maximum\(x, y\)"),
            ("x.min(x)", r"tg\.minimum\(x, y\)"),
            ("tg.sum(x, x)", "expected an axis as an integer"),
            ("tg.mean(x, x)", "expected an axis as an integer"),
            ("tg.concat(x, x)", r"in one list, \[x, y\]"),
            ("tg.stack(x, x)", r"in one list, \[x, y\]"),
            ("tg.reshape(x, 2, 2)", "the shape is one argument"),
            ("x.to(dtype=tg.float64)", r"x\.astype\(dtype\)"),
            ("x.to(device='cpu')", r"x\.to\(device\)"),
            ("x.to('cpu', tg.float64)", "too many positional arguments"),
            ("x.astype(tg.float64, copy=False)", "no argument 'copy'"),
        ],
    )
    def test_says_what_to_write(self, call: str, says: str) -> None:
        with pytest.raises(tg.errors.TinygradLabError, match=says):
            eval(call, {"tg": tg, "x": self.X})
