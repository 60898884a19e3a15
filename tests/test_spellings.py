"""Spellings of NumPy's and PyTorch's names mean the same as those: compared on several ranks."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.other_names import _FOR_BOTH, _FOR_NAMESPACE, _FOR_TENSORS, alternatives

from .recipes.other_libraries import CALLS, NOT_COMPARED

torch: Any
try:
    import torch  # type: ignore[import-untyped, import-not-found, no-redef, unused-ignore]
except ImportError:
    torch = None

RNG = np.random.default_rng(0)
SHAPES = {"vector": (3,), "matrix": (2, 3), "square": (3, 3), "tall": (4, 3), "three": (2, 3, 3)}
RANKS = {
    "of a scalar": (),
    "of vectors": ("vector",),
    "of matrices": ("matrix", "square", "tall"),
    "of square matrices": ("square",),
    "of rows": ("matrix", "square", "tall"),
    "of vectors and matrices": ("vector", "matrix", "square", "tall"),
    "of more axes": ("matrix", "square", "tall", "three"),
    "of three axes": ("three",),
    "of finite numbers": tuple(SHAPES),
    "of the same size": ("matrix",),
}
"""What conditions say about ranks; others, as "in NumPy", hold for all."""

SPECIAL = np.array([[np.nan, 1.0, -np.inf], [0.0, np.inf, -1.5]])
ODD_PAIRS = np.array([[1.0, np.nan, -np.inf], [2.0, 1.0, np.inf]])


def _values(kind: str, expression: str) -> dict[str, Any]:
    """Return the variables of spellings, as arrays of NumPy."""
    if kind == "special":
        x, y = SPECIAL, ODD_PAIRS
    else:
        x = np.round(RNG.uniform(-2.0, 2.0, SHAPES[kind]), 2)
        y = RNG.uniform(0.1, 2.0, SHAPES[kind])
        if "isin(x, y)" in expression or "concat([x, y], axis=None)" in expression:
            y = np.where(RNG.uniform(size=x.shape) > 0.5, x, y)
    names = re.findall(r"\b[a-z]\b", expression)
    has_x = "x" in names
    return {
        "x": x,
        "y": y,
        "z": x + 1j * y if "z" in names and not has_x else np.where(y > 1, 1.0, -1.0),
        "v": np.array([0.5, 1.5, 1.75]) if has_x else x,
        "w": np.array([2.0, 0.25, 1.0]) if has_x else y,
        "s": np.array(1.5),
        "i": np.array([0, 1, 0]),
        "condition": x > 0,
    }


def _plain(found: Any) -> Any:
    """Return a value, or several, as arrays of NumPy."""
    if isinstance(found, tg.Tensor):
        return found.numpy()
    if torch is not None and isinstance(found, torch.Tensor):
        return found.resolve_conj().numpy()
    if isinstance(found, tuple | list):
        return [_plain(x) for x in found]
    return np.asarray(found) if np.isscalar(found) else found


def _assert_same(found: Any, expected: Any) -> None:
    if isinstance(found, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            _assert_same(np.asarray(one), np.asarray(other))
        return
    assert np.shape(found) == np.shape(expected)
    if np.asarray(found).dtype.kind in "biufc":
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    else:
        assert found == expected


def _calls_for(name: str, condition: str, expression: str, method: bool) -> list[str]:
    key = f"{name} {condition}".strip()
    if key in CALLS:
        return CALLS[key]
    names = set(re.findall(r"\b[a-z]\b", expression))
    order = "xy" if "y" in names else "x"
    for one in ("z", "vw", "v", "i"):
        if set(one) <= names and not names & {"x", "y"}:
            order = one
            break
    arguments = ", ".join(order)
    owners = (np, torch, np.linalg, getattr(torch, "linalg", None))
    labels = ("np", "torch", "np.linalg", "torch.linalg")
    calls = [
        f"{label}.{name}({arguments})"
        for owner, label in zip(owners, labels, strict=True)
        if callable(getattr(owner, name, None)) and not isinstance(getattr(owner, name), type)
    ]
    return calls or ([f"x_torch.{name}({', '.join(order[1:])})"] if method else [])


def _done(function: Any, x: Any, *args: Any) -> Any:
    copy = np.array(x)
    function(copy, *args)
    return copy


def _theirs(call: str, values: dict[str, Any]) -> Any:
    """Return what a call of another library gives; None where it does not take the values."""
    in_torch = call.startswith(("torch", "F.", "x_torch", "z_torch"))
    if in_torch and torch is None:
        return None
    as_torch = {} if torch is None else {n: torch.tensor(x) for n, x in values.items()}
    given = as_torch if in_torch else values
    named = {f"{n}_torch": x for n, x in as_torch.items()}
    names = {"np": np, "torch": torch, "done": _done}
    names |= {} if torch is None else {"F": torch.nn.functional}
    try:
        with np.errstate(all="ignore"):
            return _plain(
                eval(call, {**names, **given, **named, "x_numpy": values["x"], "len": len})
            )
    except (ValueError, TypeError, IndexError, RuntimeError, np.linalg.LinAlgError):
        return None


def _ours(expression: str, values: dict[str, Any]) -> Any:
    ours = {"tg": tg, "np": np, **{n: tg.tensor(x) for n, x in values.items()}}
    with np.errstate(all="ignore"):
        if expression.startswith("x.data = "):
            exec(expression, ours)
            return _plain(ours["x"])
        return _plain(eval(expression, ours))


TABLES = {"both": _FOR_BOTH, "tensor": _FOR_TENSORS, "namespace": _FOR_NAMESPACE}
CASES = [
    pytest.param(table, name, *alternative, id=f"{name} {alternative[0]}".strip())
    for table, spellings in TABLES.items()
    for name, spelling in spellings.items()
    if name not in NOT_COMPARED
    for alternative in alternatives(spelling)
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("table", "name", "condition", "expression"), CASES)
def test_the_spelling_means_the_same(
    table: str, name: str, condition: str, expression: str
) -> None:
    """On every rank that the other library takes and the condition does not exclude."""
    compared = 0
    for kind in RANKS.get(condition, (*SHAPES, "special")) or ("vector",):
        values = _values(kind, expression)
        for call in _calls_for(name, condition, expression, table == "tensor"):
            expected = _theirs(call, values)
            of_elements = not isinstance(expected, list) and np.shape(expected) == SPECIAL.shape
            if expected is None or (kind == "special" and not of_elements):
                continue
            try:
                _assert_same(_ours(expression, values), expected)
            except AssertionError as error:
                raise AssertionError(f"{call} of a {kind}: {error}") from None
            compared += 1
    if torch is None and not compared:
        pytest.skip("PyTorch is not installed")
    assert compared, _calls_for(name, condition, expression, table == "tensor")
