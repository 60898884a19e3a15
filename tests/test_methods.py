"""Tensor's operators and methods as type checkers see them are those that are attached."""

import ast
import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any

import pytest

import tinygrad_lab as tg
from tinygrad_lab.engine import methods, tensor
from tinygrad_lab.errors import ShapeError


def _class(module: Any, name: str) -> ast.ClassDef:
    tree = ast.parse(inspect.getsource(module))
    return next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)


BLOCK = next(n for n in _class(methods, "Methods").body if isinstance(n, ast.If))
DECLARED = {n.name: n for n in BLOCK.body if isinstance(n, ast.FunctionDef)}
UNDECLARED = {"__reduce__", "__array_priority__", "__dir__"}
"""What only ``copy``, ``pickle``, NumPy and CuPy look for."""


def _declared(node: ast.FunctionDef) -> inspect.Signature:
    """The signature of a declaration, without annotations."""
    lambda_ = ast.Expression(ast.Lambda(node.args, ast.Constant(None)))
    for one in ast.walk(lambda_):
        if isinstance(one, ast.arg):
            one.annotation = None
    return inspect.signature(eval(compile(ast.fix_missing_locations(lambda_), "<>", "eval")))


def _parameters(signature: inspect.Signature, *, named: bool) -> list[tuple[Any, ...]]:
    """Name, default and kind of each parameter but ``self``; an operator's come by position."""
    _, *parameters = signature.parameters.values()
    return [(p.name, p.default, p.kind) if named else (p.default,) for p in parameters]


@pytest.mark.parametrize("name", DECLARED)
def test_what_is_declared_is_attached(name: str) -> None:
    attached = inspect.getattr_static(tg.Tensor, name)
    if isinstance(attached, property) or name == "__hash__":
        return
    declared, actual = _declared(DECLARED[name]), inspect.signature(attached)
    if any(p.kind is Parameter.VAR_KEYWORD for p in declared.parameters.values()):
        return  # a protocol with options that only other libraries give
    named = not name.startswith("__")
    assert _parameters(actual, named=named) == _parameters(declared, named=named)


def test_what_is_attached_is_declared() -> None:
    own = {n.name for n in _class(tensor, "Tensor").body if isinstance(n, ast.FunctionDef)}
    attached = {name for name, value in vars(tg.Tensor).items() if callable(value)}
    attached |= {name for name, value in vars(tg.Tensor).items() if isinstance(value, property)}
    assert attached - own - UNDECLARED == set(DECLARED) & set(vars(tg.Tensor))
    assert set(DECLARED) <= set(dir(tg.Tensor))


PROPERTIES = sorted(
    {n for kind in tg.Tensor.mro() for n, v in vars(kind).items() if isinstance(v, property)}
)

OF_EVERY_KIND: dict[str, Callable[[], Any]] = {
    "a float": lambda: tg.scalar(2.0),
    "a number without axes": lambda: tg.tensor(1.0),
    "a vector": lambda: tg.tensor([1, 2]),
    "a matrix": lambda: tg.tensor([[1.0, 2.0]], requires_grad=True),
    "a stack": lambda: tg.zeros((2, 2, 2)),
    "a computed stack": lambda: tg.ones((2, 2, 2, 2)) * tg.scalar(2.0),
    "complex numbers": lambda: tg.tensor([1j]),
    "a stack of booleans": lambda: tg.tensor([[[True]]]),
    "a parameter": lambda: tg.nn.Parameter(tg.zeros((2, 2, 2))),
}


@pytest.mark.filterwarnings("ignore:.grad of")
@pytest.mark.parametrize("kind", OF_EVERY_KIND)
@pytest.mark.parametrize("name", PROPERTIES)
def test_asking_for_a_property_never_raises(name: str, kind: str) -> None:
    x = OF_EVERY_KIND[kind]()
    assert name in dir(x)
    least = {"T": 2, "mT": 2}.get(name, 0)
    most = 2 if name == "T" else 9
    assert hasattr(x, name) == (least <= x.ndim <= most)


@pytest.mark.parametrize(
    ("shape", "name"), [((2, 2, 2), "T"), ((2,), "T"), ((), "T"), ((2,), "mT")]
)
def test_a_transpose_that_is_not_there_says_why(shape: tuple[int, ...], name: str) -> None:
    x = tg.zeros(shape)
    x.name = "weights"
    with pytest.raises(ShapeError, match="weights") as caught:
        getattr(x, name)
    assert isinstance(caught.value, AttributeError)
    assert str(shape) in str(caught.value)
    assert "getattr(x, name)" in str(caught.value)
