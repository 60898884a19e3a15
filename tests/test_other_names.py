"""Names of PyTorch and NumPy that are spelled differently here: the error says the spelling."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
import sys
import traceback
import types
from collections.abc import Callable
from contextlib import nullcontext
from inspect import signature
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.context import changed
from tinygrad_lab.errors import ArgumentTypeError, MissingNameError, TinygradLabError
from tinygrad_lab.other_names import (
    _IN_NAMESPACE,
    _ON_TENSORS,
    ABSENT_NAMES,
    alternatives,
    spelling_of,
)
from tinygrad_lab.other_names.modules import MODULES
from tinygrad_lab.other_names.sentences import SENTENCES

from .recipes import absent_names

X = tg.tensor([[1.0, 2.0], [3.0, 5.0]])


def _error_of(owner: Any, name: str) -> Exception:
    with pytest.raises(AttributeError) as caught:
        getattr(owner, name)
    return caught.value


@pytest.mark.parametrize(
    "statement",
    [
        "from tinygrad_lab import cat",
        "from tinygrad_lab import tensor, cat as join",
        "def f():\n    from tinygrad_lab import cat\nf()",
        "from tinygrad_lab.nn.functional import cat",
        "from tinygrad_lab.linalg import cat",
    ],
)
def test_a_name_that_is_imported_is_explained_as_well(statement: str) -> None:
    with pytest.raises(MissingNameError, match=r"has no 'cat': tg\.concat\(") as caught:
        exec(statement)
    assert isinstance(caught.value, ImportError)
    with pytest.raises(ImportError, match="cannot import name '_private'"):
        exec("from tinygrad_lab import _private")
    assert not hasattr(tg, "cat")
    assert not hasattr(tg.nn, "cat")


@pytest.mark.parametrize(
    ("owner", "name", "says"),
    [
        (X, "view", "Tensor has no 'view': x.reshape(2, 3)"),
        (X, "softmax", "Tensor has no 'softmax': tg.softmax(x"),
        (X, "relu_", "Tensor has no 'relu_': x = x.relu()"),
        (
            X,
            "add_",
            "Tensor has no 'add_': x = tg.add(x, y); to change x itself: with tg.no_grad(): x += y",
        ),
        (tg.Tensor, "view", "Tensor has no 'view'"),
        (tg.nn.Parameter(X), "view", "Tensor has no 'view'"),
        (tg, "cat", "tinygrad_lab has no 'cat': tg.concat("),
        (tg, "savez", "np.savez("),
        (tg, "relu_", "x = x.relu()"),
        (tg, "rehsape", "did you mean tg.reshape?"),
    ],
)
def test_an_unknown_name_says_the_right_spelling(owner: Any, name: str, says: str) -> None:
    error = _error_of(owner, name)
    assert isinstance(error, TinygradLabError)
    assert says in str(error)
    assert not hasattr(owner, name)


@pytest.mark.parametrize(("owner", "name"), [(X, "view"), (tg, "savetxt"), (tg, "hstack")])
def test_python_does_not_add_a_suggestion_of_its_own(owner: Any, name: str) -> None:
    program = f"import tinygrad_lab as tg\n{'tg' if owner is tg else 'tg.tensor([1.0])'}.{name}"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"has no {name!r}" in ran.stderr
    assert "Did you mean" not in ran.stderr
    text = "".join(traceback.format_exception(_error_of(owner, name)))
    assert "Did you mean" not in text


IN_PLACE = ["add_", "sub_", "mul_", "div_", "clamp_", "lerp_", "addcmul_", "masked_fill_", "relu_"]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_methods_say_what_changes_a_parameter(name: str) -> None:
    """Under ``no_grad``, where ``x = f(x)`` would leave it as it is."""
    says = str(_error_of(X, name)).partition("to change x itself: with tg.no_grad(): ")[2]
    x = tg.tensor([[1.0, -2.0], [3.0, 5.0]], requires_grad=True)
    kept, before = x, x.tolist()
    environment = {**_environment(X), "x": x}
    with tg.no_grad():
        exec(says, environment)
    assert environment["x"] is kept
    assert kept.requires_grad
    assert kept.is_leaf
    assert kept.tolist() != before


@pytest.mark.parametrize(
    ("module", "name", "says"),
    [
        ("", "is_grad_enabled", "leave the block"),
        ("", "enable_grad", "leave the block"),
        ("", "LongTensor", "dtype=tg.int64"),
        ("", "functional", "tg.nn.functional"),
        ("", "jacrev", "tg.jacobian"),
        ("", "Adam", "tg.optim.Adam"),
        ("", "Parameter", "tg.nn.Parameter"),
        ("", "Linear", "tg.nn.Linear"),
        ("", "glu", "tg.nn.functional.glu(x)"),
        ("autograd", "functional", "tg.jacobian, tg.hessian"),
        ("random", "power", "** (1 / 2.0)"),
        ("random", "multinomial", "tg.sum(tg.one_hot("),
    ],
)
def test_names_elsewhere(module: str, name: str, says: str) -> None:
    assert says in str(_error_of(_of(module) if module else tg, name))


@pytest.mark.parametrize(
    ("module", "name"), [("", "rearrange"), ("", "linearize"), ("", "cli"), ("nn", "TYPE_CHECKING")]
)
def test_what_is_not_here_suggests_nothing(module: str, name: str) -> None:
    if not hasattr(tg, name) or module:
        assert str(_error_of(_of(module) if module else tg, name)).endswith(f"no {name!r}.")


def test_names_that_say_a_spelling_are_not_attributes() -> None:
    assert "view" not in dir(X)
    assert {"reshape", "sum", "grad"} <= set(dir(X))
    assert "_data" in dir(tg.nn.Parameter(X))


def _environment(x: Any) -> dict[str, Any]:
    return {
        "tg": tg,
        "np": np,
        "x": x,
        "y": tg.tensor([[0.5, 0.25], [2.0, 1.5]]),
        "z": tg.tensor([[1 + 1j, 2.0], [3.0, 4.0]]),
        "v": x[0],
        "w": x[1],
        "s": tg.tensor(1.0),
        "i": tg.tensor([0, 1]),
        "condition": x > 2,
        "mask": x > 2,
        "value": 0.5,
        "p": tg.tensor([[0.25, 0.5], [0.75, 0.125]]),
        "q": tg.tensor([[0.5, 0.5], [0.75, 0.25]]),
        "o": tg.optim.SGD([tg.scalar(1.0)], lr=0.1),
    }


ELSEWHERE = ("np.load", "np.savez", "np.savetxt", "tofile", '"cuda"', "set_default")
"""What spellings touch that a test must not."""


TABLES = [_ON_TENSORS, _IN_NAMESPACE, *MODULES.values()]


@pytest.mark.parametrize(
    "spelling",
    sorted(
        {
            expression
            for table in (_ON_TENSORS, _IN_NAMESPACE, *MODULES.values())
            for spelling in table.values()
            for _, expression in alternatives(spelling)
        }
    ),
    ids=str,
)
def test_every_spelling_runs(spelling: str) -> None:
    tree = ast.parse(spelling)
    if any(name in spelling for name in ELSEWHERE):
        return
    attempts = [X, tg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), X[0], tg.ones((2, 2, 2))]
    failures = []
    for x in attempts:
        try:
            with np.errstate(all="ignore"):
                y = x if x.ndim != 2 else tg.tensor([[0.5, 0.25], [2.0, 1.5]])
                environment = {**_environment(x if x.ndim > 1 else X), "x": x, "y": y}
                exec(compile(tree, spelling, "exec"), environment)
            return
        except (ValueError, TypeError, IndexError) as error:
            failures.append(error)
    raise failures[0]


@pytest.mark.parametrize("sentence", sorted(set(SENTENCES.values())))
def test_every_name_in_a_sentence_is_there(sentence: str) -> None:
    said = set(re.findall(r"\btg((?:\.\w+)+)", sentence)) - {".nn.Name", ".data.Name"}
    for path in said - {".nn.utils.name"}:
        functools.reduce(getattr, path[1:].split("."), tg)


IN_FUNCTIONAL: dict[str, str | None] = {
    **dict.fromkeys(("gumbel_softmax", "upsample", "upsample_nearest", "upsample_bilinear")),
}
"""How PyTorch's functions are called, where not by x or by x and y."""

THEIRS = {
    "nn": ["torch.nn"],
    "nn.functional": ["torch.nn.functional"],
    "nn.init": ["torch.nn.init"],
    "nn.utils": ["torch.nn.utils"],
    "nn.utils.prune": ["torch.nn.utils.prune"],
    "optim": ["torch.optim"],
    "optim.lr_scheduler": ["torch.optim.lr_scheduler"],
    "linalg": ["torch.linalg", "numpy.linalg"],
    "random": ["numpy.random"],
    "autograd": ["torch.autograd"],
    "data": ["torch.utils.data"],
}
"""The modules of PyTorch and NumPy whose names users look for in one of ours."""


def _of(label: str) -> Any:
    return functools.reduce(getattr, label.split("."), tg)


class TestModules:
    @pytest.mark.parametrize(
        ("module", "name", "says"),
        [
            ("nn.functional", "log_sigmoid", "tg.log_sigmoid(x)"),
            ("nn.functional", "gumbel_softmax", "tg.random.uniform(x.shape)"),
            ("nn.functional", "relu_", "x = x.relu()"),
            ("nn.functional", "Linear", "tg.nn.Linear"),
            ("nn", "relu", "tg.relu(x)"),
            ("nn", "mse_loss", "tg.nn.functional.mse_loss(x, target)"),
            ("nn", "Adam", "tg.optim.Adam"),
            ("nn", "EmbeddingBag", "tg.nn.Embedding(3, 4)(i)"),
            ("nn", "Conv3d", "one and two spatial axes"),
            ("nn", "LazyLinear", "the name without Lazy"),
            ("nn", "MaxUnpool3d", "one and two spatial axes"),
            ("nn.functional", "fractional_max_pool2d", "tg.nn.AdaptiveMaxPool2d"),
            ("nn.functional", "max_pool2d_with_indices", "return_indices=True"),
            ("nn.init", "normal", "tg.nn.init.normal_(x)"),
            ("optim", "StepLR", "tg.optim.lr_scheduler.StepLR"),
            ("linalg", "lstsq", "tg.pinv(x) @ v"),
            ("linalg", "eye", "tg.eye(n_rows)"),
            ("random", "randn", "tg.random.normal((2, 3))"),
            ("autograd", "no_grad", "tg.no_grad()"),
            ("nn", "SyncBatchNorm", "in one process on one device: tg.nn.BatchNorm1d"),
            ("optim", "Adamax", "tg.optim.NAdam"),
            ("nn.utils", "parametrizations", "tg.nn.utils.weight_norm(layer) is here"),
            ("nn.utils.prune", "PruningContainer", "composes the masks"),
            ("data", "get_worker_info", "there are no workers"),
            ("nn", "Linaer", "did you mean tg.nn.Linear?"),
        ],
    )
    def test_say_how_a_name_is_written(self, module: str, name: str, says: str) -> None:
        error = _error_of(_of(module), name)
        assert isinstance(error, TinygradLabError)
        assert f"tinygrad_lab.{module} has no {name!r}: " in str(error)
        assert says in str(error)
        assert not hasattr(_of(module), name)

    @pytest.mark.parametrize(("module", "name"), [("linalg", "eig"), ("nn", "ScriptModule")])
    def test_say_no_more_where_there_is_nothing(self, module: str, name: str) -> None:
        error = _error_of(_of(module), name)
        assert str(error) == f"tinygrad_lab.{module} has no {name!r}."
        assert "Did you mean" not in "".join(traceback.format_exception(error))

    @pytest.mark.parametrize("module", THEIRS)
    def test_no_name_of_another_library_suggests_something_else(self, module: str) -> None:
        """Also where PyTorch is not loaded, by names alone."""
        pytest.importorskip("torch")
        names = {
            n
            for label in THEIRS[module]
            for n, value in vars(importlib.import_module(label)).items()
            if not isinstance(value, types.ModuleType)
        }
        loaded = {n: m for n, m in sys.modules.items() if n.partition(".")[0] == "torch"}
        ours = _of(module)
        for name in loaded:
            del sys.modules[name]
        try:
            wrong = {
                n
                for n in names
                if n[0] != "_"
                and not hasattr(ours, n)
                and "did you mean" in str(_error_of(ours, n))
            }
        finally:
            sys.modules.update(loaded)
        assert sorted(wrong) == []

    @pytest.mark.parametrize("name", sorted({*MODULES["nn.functional"], *IN_FUNCTIONAL}))
    def test_functions_mean_the_same(self, name: str) -> None:
        torch = pytest.importorskip("torch")
        spelling = str(_error_of(tg.nn.functional, name)).partition(": ")[2]
        values = {n: x for n, x in _environment(X).items() if isinstance(x, tg.Tensor)}
        theirs = {n: torch.tensor(x.numpy()) for n, x in values.items()}
        call = IN_FUNCTIONAL.get(name, "(x, y)" if "y" in spelling else "(x)")
        if call is None:  # random, or of images
            return
        expected = eval(f"F.{name}{call}", {"F": torch.nn.functional, **theirs})
        found = eval(spelling, _environment(X))
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)


class TestAgainstTorch:
    """Held against the names of PyTorch and NumPy that are installed."""

    def test_every_function_that_exists_here_is_found_from_a_method(self) -> None:
        torch = pytest.importorskip("torch")
        for owner in (torch.Tensor, np.ndarray):
            for name in dir(owner):
                if hasattr(tg, name) and not name.startswith("_") and not hasattr(X, name):
                    assert "tg." in str(_error_of(X, name)), name

    def test_every_other_name_has_a_spelling_or_is_listed_as_absent(self) -> None:
        torch = pytest.importorskip("torch")
        names = {n for n in dir(torch.Tensor) if not hasattr(X, n)} | {
            n for n in dir(np.ndarray) if not hasattr(X, n)
        }
        without = {n for n in names if n[0] != "_" and spelling_of(n, tg, method=True) is None}
        assert sorted(without - absent_names.ON_TENSORS) == []

    def test_no_name_of_another_library_suggests_something_else(self) -> None:
        """Also where PyTorch is not loaded, by names alone."""
        torch = pytest.importorskip("torch")
        names = [n for n in (*dir(torch), *dir(np)) if n[0].islower() and not hasattr(tg, n)]
        functions = [
            n
            for n in names
            if not isinstance(getattr(torch, n, getattr(np, n, None)), types.ModuleType)
        ]
        loaded = sys.modules.pop("torch")
        try:
            wrong = {n for n in functions if "did you mean" in str(_error_of(tg, n))}
        finally:
            sys.modules["torch"] = loaded
        assert sorted(wrong - ABSENT_NAMES) == []

    def test_the_namespaces_are_covered(self) -> None:
        torch = pytest.importorskip("torch")
        names = [
            n
            for n in (*dir(torch), *dir(np))
            if n[0].islower() and not hasattr(tg, n) and not n.endswith("_")
        ]
        without = {
            n
            for n in names
            if not isinstance(getattr(torch, n, getattr(np, n, None)), types.ModuleType)
            and spelling_of(n, tg, method=False) is None
        }
        assert sorted(without - absent_names.IN_NAMESPACES) == []


FUNCTIONS: dict[str, Any] = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (tg, tg.linalg, tg.nn.functional)
    for name in module.__all__
    if isinstance(getattr(module, name), types.FunctionType)
    and name not in ("mean", "softmax", "log_softmax")
    and (hasattr(getattr(module, name), "op") or module is not tg)
}
"""Functions of ops, and those composed of them that users of PyTorch know."""

CONTEXTS: dict[str, Callable[[], Any]] = {
    "usual": nullcontext,
    "no_grad": tg.no_grad,
    "record": tg.record,
    "debug": tg.debug,
    "plain": tg.plain,
    "composing": lambda: changed(composing=True),
}

UNEXPLAINED = {
    *("cross axisa", "cross axisb", "cross axisc", "isin assume_unique"),
    *("diagonal axis1", "diagonal axis2", "trace axis1", "trace axis2", "vecdot keepdims"),
    *("matmul axes", "matmul axis", "matmul keepdims"),
}
"""Arguments of NumPy's and PyTorch's functions without an equivalent."""


class TestArguments:
    """Arguments under PyTorch's and NumPy's names, or in their order."""

    @pytest.mark.parametrize(
        ("call", "says"),
        [
            (lambda: X.sum(dim=1), "write axis=1"),
            (lambda: X.sum(dim=1, keepdim=True), "write keepdims=True"),
            (lambda: tg.sum(X, dim=1), "sum(x, axis=None, keepdims=False, dtype=None)"),
            (lambda: X.mean(dim=(0, 1)), "write axis=(0, 1)"),
            (lambda: X.var(ddof=1), "write correction=1"),
            (lambda: X.std(unbiased=False), "correction=0 for False"),
            (lambda: X.prod(dim=0), "axis=0"),
            (lambda: X.argmax(dim=0), "axis=0"),
            (lambda: tg.softmax(X, dim=0), "axis=0"),
            (lambda: tg.concat([X, X], dim=1), "axis=1"),
            (lambda: tg.stack([X, X], dim=1), "axis=1"),
            (lambda: tg.diag(X, k=1), "offset=1"),
            (lambda: tg.tile(X, reps=2), "repetitions=2"),
            (lambda: tg.tril(X, diagonal=1), "k=1"),
            (lambda: tg.var(input=X), "write x=..."),
            (lambda: X.sum(out=X), "out="),
            (lambda: tg.repeat(X, 2, dim=0), "axis=0"),
            (lambda: X.sum(axes=1), "axis=1"),
            (lambda: X.sum(nonsense=1), "no argument 'nonsense'"),
            (lambda: X.mean(nonsense=1), "no argument 'nonsense'"),
            (lambda: tg.zeros(3, 4), "zeros((3, 4))"),
            (lambda: tg.ones(3, 4, 5), "ones((3, 4, 5))"),
            (lambda: tg.empty(3, 4), "empty((3, 4))"),
            (lambda: tg.zeros(size=(3, 4)), "shape=(3, 4)"),
            (lambda: tg.full((2,)), "fill_value"),
            (lambda: tg.tensor(1.0, 2.0), "tensor(data, *, dtype=None"),
            (lambda: tg.random.normal(0, 1, (3,)), "tg.random.normal((3,), 0, 1)"),
            (lambda: tg.random.normal(loc=0, scale=1, size=3), "mean=0"),
            (lambda: tg.random.uniform(0, 1, (3,)), "tg.random.uniform((3,), 0, 1)"),
            (lambda: tg.random.integers(0, 10, (3,)), "tg.random.integers((3,), 0, 10)"),
            (lambda: tg.random.bernoulli(0.5, (3,)), "tg.random.bernoulli((3,), 0.5)"),
        ],
    )
    def test_a_wrong_argument_says_which_is_meant(self, call: Any, says: str) -> None:
        with pytest.raises(TypeError) as caught:
            call()
        assert isinstance(caught.value, TinygradLabError)
        assert says in str(caught.value)

    @pytest.mark.parametrize(
        ("call", "says"),
        [
            (lambda: tg.exp(), "missing a required argument: 'x'"),
            (lambda: tg.add(X), "missing a required argument: 'y'"),
            (lambda: tg.add(y=X), "missing a required argument: 'x'"),
            (lambda: tg.where(X > 1, X), "missing a required argument: 'y'"),
            (lambda: tg.linear(X), "missing a required argument: 'weight'"),
            (lambda: tg.reshape(X), "missing a required argument: 'shape'"),
            (lambda: tg.max_pool1d(X), "missing a required argument: 'kernel_size'"),
            (lambda: tg.exp(X, X), "too many positional arguments"),
            (lambda: tg.permute_dims(X, 1, 0), "permute_dims(x, (1, 0))"),
            (lambda: tg.broadcast_to(X, 3, 2, 2), "broadcast_to(x, (3, 2, 2))"),
            (lambda: tg.flip(X, 0, 1), "flip(x, (0, 1))"),
            (lambda: tg.tile(X, 2, 2), "tile(x, (2, 2))"),
            (lambda: tg.cross_entropy(X, [0, 1], reduction="sum"), "nn.functional.cross_entropy"),
            (lambda: tg.cross_entropy(input=X, target=[0, 1]), "write labels=..."),
            (lambda: tg.nn.functional.mse_loss(X, X, reduce=False), 'reduction="none"'),
            (lambda: tg.exp(X, out=X), "y = f(x)"),
            (lambda: tg.exp(X, dtype=tg.float64), "astype(dtype)"),
            (lambda: tg.relu(X, inplace=True), "x = f(x)"),
            (lambda: tg.add(X, X, alpha=2), "x + alpha * y"),
            (lambda: tg.add(x1=X, x2=X), "write y=..."),
            (lambda: tg.clip(X, a_min=0.0), "write min=0.0"),
            (lambda: X.clip(a_max=1.0), "write max=1.0"),
            (lambda: tg.linear(input=X, weight=X), "write x=..."),
            (lambda: tg.round(X, decimals=2), "10**decimals"),
            (lambda: tg.unique(X, return_counts=True), "tg.unique_counts(x).counts"),
            (lambda: tg.nn.init.normal_(X, sigma=2.0), "no argument 'sigma'"),
            (lambda: tg.finfo(tg.float32, tg.float64), "finfo(type, /)"),
        ],
    )
    def test_arguments_of_ops_without_attributes_are_explained(self, call: Any, says: str) -> None:
        with pytest.raises(TypeError) as caught:
            call()
        assert isinstance(caught.value, TinygradLabError)
        assert says in str(caught.value)
        assert "test_other_names.py" in str(caught.value)

    @pytest.mark.parametrize("context", CONTEXTS)
    def test_every_function_of_ops_explains_what_it_does_not_take(self, context: str) -> None:
        for label, function in FUNCTIONS.items():
            name = function.__name__
            takes = f"It takes {name}("
            required = [
                p
                for p in signature(function).parameters.values()
                if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
            ]
            calls = [((X,) * len(required), {"nonsense": 1}, "'nonsense'")]
            calls += [((X,) * n, {}, required[n].name) for n in range(len(required))]
            if all(p.kind is not p.VAR_POSITIONAL for p in signature(function).parameters.values()):
                calls += [((X,) * 30, {}, "too many")]
            for args, kwargs, says in calls:
                with CONTEXTS[context](), pytest.raises(ArgumentTypeError) as caught:
                    function(*args, **kwargs)
                assert says in str(caught.value), label
                assert takes in str(caught.value), label

    def test_arguments_of_other_libraries_are_explained(self) -> None:
        """Every argument of NumPy's and PyTorch's functions of these names, but for a few."""
        torch = pytest.importorskip("torch")
        unexplained = set()
        for label, function in FUNCTIONS.items():
            own = signature(function).parameters
            for library in (np, np.linalg, torch.nn.functional):
                other = getattr(library, function.__name__, None)
                try:
                    theirs = signature(other).parameters if callable(other) else {}
                except ValueError:  # written in C
                    continue
                named = [n for n, p in theirs.items() if p.kind not in (2, 4) and n not in own]
                for name in named:
                    with pytest.raises(TypeError) as caught:
                        function(**{name: 1})
                    if f"there is no argument {name!r}: " not in str(caught.value):
                        unexplained.add(f"{label.rpartition('.')[2]} {name}")
        assert sorted(unexplained - UNEXPLAINED) == []

    @pytest.mark.parametrize(
        ("call", "says"),
        [
            (lambda: tg.nn.ReLU(inplace=True), "x = f(x)"),
            (lambda: tg.nn.CrossEntropyLoss(size_average=False), 'reduction="sum"'),
            (lambda: tg.nn.Linear(2, 3, dtype=tg.float64), "tg.set_default_dtype(dtype)"),
            (lambda: tg.nn.Linear(2), "It takes Linear("),
            (lambda: tg.nn.Conv2d(1, 2, 3, nonsense=1), "no argument 'nonsense'"),
            (lambda: tg.optim.SGD([tg.scalar(1.0)], lr=0.1).zero_grad(nonsense=1), "zero_grad("),
            (lambda: tg.autograd.grad(X, X, retain_graph=True), "leave it out"),
            (lambda: tg.autograd.grad(X, X, allow_unused=True), "leave it out"),
            (lambda: tg.scalar(1.0).backward(retain_graph=True), "leave it out"),
            (lambda: tg.scalar(1.0).backward(create_graph=True), "tg.autograd.grad(loss, inputs"),
            (lambda: tg.scalar(1.0).backward(inputs=[X]), "tg.autograd.grad(loss, inputs)"),
            (lambda: tg.scalar(1.0).backward(nonsense=1), "It takes backward(gradient=None"),
        ],
    )
    def test_modules_and_optimisers_explain(self, call: Any, says: str) -> None:
        with pytest.raises(ArgumentTypeError) as caught:
            call()
        assert says in str(caught.value)
        assert "object at 0x" not in str(caught.value)

    def test_advice_means_what_pytorch_means(self) -> None:
        v, x = tg.arange(5), tg.tensor([[1.0, 2.0], [3.0, 5.0]])
        for call, says in [
            (lambda: tg.subtract(x, x, alpha=2), "x - alpha * y"),
            (lambda: tg.add(x, x, alpha=2), "x + alpha * y"),
            (lambda: tg.pad(x, pad=(1, 2)), "of a matrix pad_width=((0, 0), (1, 2))"),
            (lambda: tg.split(v, split_size_or_sections=2), "list(range(n, len(x), n))"),
        ]:
            with pytest.raises(ArgumentTypeError) as caught:
                call()
            assert says in str(caught.value)
        assert tg.pad(x, pad_width=((0, 0), (1, 2))).shape == (2, 5)
        pieces = tg.split(v, indices_or_sections=list(range(2, len(v), 2)))
        assert [len(p) for p in pieces] == [2, 2, 1]

    def test_signatures_show_no_addresses_and_no_self(self) -> None:
        with pytest.raises(ArgumentTypeError, match=r"generator=\.\.\.") as caught:
            tg.random.normal((2,), nonsense=1)
        assert " at 0x" not in str(caught.value)

    def test_a_users_op_explains_too(self) -> None:
        double = tg.op(
            "twice_of_names", forward=lambda xp, x: x + x, vjp={"x": lambda xp, g: g + g}
        )
        assert double(X).tolist() == (2 * X).tolist()
        for args, kwargs in [((), {}), ((X, X), {}), ((X,), {"out": X})]:
            with pytest.raises(ArgumentTypeError, match="It takes twice_of_names"):
                double(*args, **kwargs)

    def test_type_errors_inside_a_function_are_left_alone(self) -> None:
        with pytest.raises(TypeError, match="expected"):
            tg.mean("text")


NUMPY_TYPED = [
    "vstack",
    "hstack",
    "column_stack",
    "atleast_1d",
    "atleast_2d",
    "array_split",
    "append",
    "rot90",
    "fliplr",
    "flipud",
    "inner",
    "gradient",
    "select",
    "partition",
    "deg2rad",
    "rad2deg",
    "nan_to_num",
]


WORTH_HAVING = {"rot90", "nan_to_num"}
"""Those that are here: the others are one short expression of what is here."""


class TestWhatNumPyUsersType:
    @pytest.mark.parametrize("name", NUMPY_TYPED)
    def test_is_there_or_says_how_it_is_written(self, name: str) -> None:
        assert hasattr(tg, name) == (name in WORTH_HAVING)
        if not hasattr(tg, name):
            assert re.search(r"(tg\.|x|v)", str(_error_of(tg, name)).partition(": ")[2])

    def test_squeeze_without_an_axis_drops_all_of_size_1(self) -> None:
        x = tg.tensor([[[1.0], [2.0]]], requires_grad=True)
        assert tg.squeeze(x).shape == (2,)
        tg.squeeze(x).sum().backward()
        assert x.grad is not None
        assert x.grad.shape == (1, 2, 1)
        assert x.squeeze().shape == (2,)
        assert x.squeeze(axis=0).shape == (2, 1)

    def test_the_sum_of_a_list_of_scalars(self) -> None:
        a, b = tg.scalar(1.0), tg.scalar(2.0)
        assert sum([a, b]).item() == 3.0
        with pytest.raises(TypeError, match=r"tg\.sum\(tg\.stack"):
            tg.sum([a, b])
        assert tg.sum(tg.stack([a, b])).item() == 3.0
