"""Products, and functions of matrices: inverses, determinants, decompositions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg
from tinygrad_lab import ops

from .kinds import (
    Array,
    Call,
    in_one,
    in_one_of_numpy,
    in_one_of_torch,
    numbers,
    of_torch,
    seeds,
    shaped,
    special,
)

# --- products ------------------------------------------------------------------------------------


def _matmul(choose: st.DrawFn) -> Call:
    shapes = choose(
        npst.mutually_broadcastable_shapes(
            signature=np.matmul.signature, min_side=0, max_side=3, max_dims=2
        )
    )
    arrays = tuple(numbers(choose(seeds), shape) for shape in shapes.input_shapes)
    return Call(tg.matmul, arrays, np.matmul, of_torch("matmul"))


def _vecdot(choose: st.DrawFn) -> Call:
    shapes = choose(
        npst.mutually_broadcastable_shapes(
            signature="(n),(n)->()", min_side=0, max_side=3, max_dims=2
        )
    )
    arrays = tuple(numbers(choose(seeds), shape) for shape in shapes.input_shapes)
    return Call(tg.vecdot, arrays, np.linalg.vecdot, of_torch("vecdot"))


def _outer(choose: st.DrawFn) -> Call:
    arrays = tuple(numbers(choose(seeds), (choose(st.integers(0, 3)),)) for _ in range(2))
    return Call(tg.outer, arrays, np.outer, of_torch("outer"))


def _cross(choose: st.DrawFn) -> Call:
    shapes = choose(
        npst.mutually_broadcastable_shapes(
            signature="(3),(3)->(3)", min_side=0, max_side=2, max_dims=2
        )
    )
    arrays = tuple(numbers(choose(seeds), shape) for shape in shapes.input_shapes)
    return Call(
        tg.cross,
        arrays,
        np.linalg.cross,
        lambda torch, x, y: torch.linalg.cross(*torch.broadcast_tensors(x, y)),
    )


def _kron(choose: st.DrawFn) -> Call:
    arrays = (shaped(choose), shaped(choose, least=1))
    return Call(tg.kron, arrays, np.kron, of_torch("kron"))


EQUATIONS = [
    "ij,jk->ik",
    "bij,bjk",
    "ij,ij->",
    "i,j->ji",
    "ii",
    "bii->bi",
    "ij->j",
    "...i,i...->...",
    "i,ij,jk",
    "ij,kj,kl->il",
    "ii,i->i",
]


def _einsum(choose: st.DrawFn) -> Call:
    equation = choose(st.sampled_from(EQUATIONS))
    # The dots stand for one axis of each operand; these axes broadcast.
    sizes = {letter: choose(st.integers(0, 3)) for letter in "bijkl"} | {".": choose(small)}
    shapes = [
        tuple(sizes[letter] for letter in term.replace("...", "."))
        for term in equation.partition("->")[0].split(",")
    ]
    return Call(
        partial(tg.einsum, equation),
        tuple(numbers(choose(seeds), shape) for shape in shapes),
        partial(np.einsum, equation),
        lambda torch, *xs: torch.einsum(equation, *xs),
    )


small = st.integers(1, 3)


def _tensordot(choose: st.DrawFn) -> Call:
    left, shared, right = (choose(_sizes) for _ in range(3))
    count = len(shared)
    axes: Any = choose(
        st.just(count)
        | st.permutations(range(count)).map(
            lambda order: ([len(left) + place for place in order], list(order))
        )
    )
    return Call(
        lambda x, y: tg.tensordot(x, y, axes),
        (numbers(choose(seeds), left + shared), numbers(choose(seeds), shared + right)),
        lambda x, y: np.tensordot(x, y, axes),
        lambda torch, x, y: torch.tensordot(x, y, axes),
    )


_sizes = st.lists(st.integers(0, 3), max_size=2).map(tuple)


def _trace(choose: st.DrawFn) -> Call:
    offset = choose(st.integers(-1, 1))
    return Call(
        lambda x: tg.trace(x, offset=offset),
        (shaped(choose, dims=2, least=1),),
        lambda x: np.linalg.trace(x, offset=offset),
        lambda torch, x: torch.diagonal(x, offset, -2, -1).sum(-1),
    )


# --- functions of matrices -----------------------------------------------------------------------

_stacks = st.sampled_from([(), (0,), (2,), (1, 2)])


def _matrices(choose: st.DrawFn, rows: int | None = None, columns: int | None = None) -> Array:
    """Draw matrices whose singular values differ from each other and from zero."""
    rows = choose(small) if rows is None else rows
    columns = choose(small) if columns is None else columns
    stack, rng = choose(_stacks), np.random.default_rng(choose(seeds))
    k = min(rows, columns)
    left = np.linalg.qr(rng.normal(size=(*stack, rows, rows))).Q[..., :k]
    right = np.linalg.qr(rng.normal(size=(*stack, columns, columns))).Q[..., :k, :]
    return np.asarray((left * np.linspace(0.6, 1.9, k)) @ right)


def _squares(choose: st.DrawFn) -> Array:
    size = choose(small)
    return _matrices(choose, size, size)


def _of_squares(choose: st.DrawFn, of: str) -> Call:
    return Call(getattr(tg, of), (_squares(choose),), getattr(np.linalg, of), of_torch(of))


def _slogdet(choose: st.DrawFn) -> Call:
    return Call(
        lambda x: in_one(tg.slogdet(x)),
        (_squares(choose),),
        lambda x: in_one_of_numpy(np.linalg.slogdet(x)),
        lambda torch, x: in_one_of_torch(torch, torch.linalg.slogdet(x)),
    )


def _solve(choose: st.DrawFn) -> Call:
    a = _squares(choose)
    several = st.tuples(st.integers(0, 2)).map(lambda k: (*a.shape[:-2], a.shape[-1], *k))
    b = choose(st.just((a.shape[-1],)) | several)
    return Call(
        tg.solve,
        (a, numbers(choose(seeds), b)),
        np.linalg.solve,
        of_torch("solve"),
    )


def _matrix_power(choose: st.DrawFn) -> Call:
    # Power 0 is the identity, which no gradient flows through.
    n = choose(st.integers(-3, 5).filter(bool))
    return Call(
        lambda x: tg.matrix_power(x, n),
        (_squares(choose),),
        lambda x: np.linalg.matrix_power(x, n),
        lambda torch, x: torch.linalg.matrix_power(x, n),
    )


def _of_any(choose: st.DrawFn, of: str) -> Call:
    return Call(getattr(tg, of), (_matrices(choose),), getattr(np.linalg, of), of_torch(of))


def _lower_half(choose: st.DrawFn) -> Call:
    return Call(
        ops.lower_half, (shaped(choose, dims=2),), lambda x: 0.5 * (np.tril(x) + np.tril(x, -1))
    )


def _polar_of(x: Array) -> Array:
    u, _, vh = np.linalg.svd(x, full_matrices=False)
    return np.asarray(u @ vh)


def _polar(choose: st.DrawFn) -> Call:
    return Call(ops.polar, (_matrices(choose),), _polar_of)


def _nuclear_norm(choose: st.DrawFn) -> Call:
    return Call(
        ops.nuclear_norm,
        (_matrices(choose),),
        lambda x: np.linalg.norm(x, ord="nuc", axis=(-2, -1)),
        lambda torch, x: torch.linalg.matrix_norm(x, ord="nuc"),
    )


# --- decompositions ------------------------------------------------------------------------------


def _decomposed(array: Array, parts: Callable[[Any, Any], Sequence[Any]]) -> Call:
    """Return a call for the parts of a decomposition that all three libraries name the same."""
    return Call(
        lambda x: in_one(parts(tg, x)),
        (array,),
        lambda x: in_one_of_numpy(parts(np.linalg, x)),
        lambda torch, x: in_one_of_torch(torch, parts(torch.linalg, x)),
    )


def _without_signs(vectors: Any) -> Any:
    """Return all products of two elements of each column, whose sign is arbitrary."""
    return vectors[..., :, None, :] * vectors[..., None, :, :]


def _cholesky(choose: st.DrawFn) -> Call:
    upper = choose(st.booleans())
    # Positive definite, whatever x is.
    return _decomposed(_squares(choose), lambda of, x: [of.cholesky(x @ x.mT, upper=upper)])


def _qr(choose: st.DrawFn) -> Call:
    array = _matrices(choose)
    rows, columns = array.shape[-2:]
    mode = choose(st.sampled_from(["reduced", "complete"] if rows <= columns else ["reduced"]))
    return _decomposed(array, lambda of, x: of.qr(x, mode=mode))


def _eigh(choose: st.DrawFn) -> Call:
    def parts(of: Any, x: Any) -> list[Any]:
        values, vectors = of.eigh(x + x.mT)
        return [values, _without_signs(vectors)]

    return _decomposed(_with_eigenvalues(choose), parts)


def _eigvalsh(choose: st.DrawFn) -> Call:
    return _decomposed(_with_eigenvalues(choose), lambda of, x: [of.eigvalsh(x + x.mT)])


def _with_eigenvalues(choose: st.DrawFn) -> Array:
    """Draw matrices whose symmetric parts have distinct eigenvalues."""
    vectors = np.linalg.qr(_squares(choose)).Q
    size = vectors.shape[-1]
    turning = numbers(choose(seeds), vectors.shape)
    symmetric = (vectors * np.linspace(-1.0, 1.3, size)) @ vectors.mT
    return np.asarray(symmetric + turning - turning.mT)


def _svd(choose: st.DrawFn) -> Call:
    array = _matrices(choose)
    rows, columns = array.shape[-2:]
    full = rows == columns and choose(st.booleans())

    def parts(of: Any, x: Any) -> list[Any]:
        u, s, vh = of.svd(x, full_matrices=full)
        # Flipping the signs of both vectors of a pair changes nothing.
        pairs = u[..., :, None, :] * vh.mT[..., None, :, :]
        return [s, _without_signs(u), _without_signs(vh.mT), pairs]

    return _decomposed(array, parts)


RECIPES = [
    special("matmul", _matmul),
    special("vecdot", _vecdot),
    special("outer", _outer),
    special("cross", _cross),
    special("kron", _kron),
    special("einsum", _einsum),
    special("tensordot", _tensordot),
    special("trace", _trace),
    special("det", _of_squares, of="det"),
    special("inv", _of_squares, of="inv"),
    special("slogdet", _slogdet),
    special("solve", _solve),
    special("matrix_power", _matrix_power),
    special("pinv", _of_any, of="pinv"),
    special("cholesky", _cholesky),
    special("qr", _qr),
    special("eigh", _eigh),
    special("eigvalsh", _eigvalsh),
    special("svd", _svd),
    special("svdvals", _of_any, of="svdvals"),
    special("lower_half", _lower_half, shared=False),
    special("polar", _polar, shared=False),
    special("nuclear_norm", _nuclear_norm, shared=False),
]
