"""Einstein summation and related functions: NumPy's values for any formula, and gradients."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import errors

from .op_cases import Array, Case, finite_differences, numbers, weighted, weights_of

SIZES = {"b": 2, "h": 3, "i": 2, "j": 3, "k": 4, "l": 1, "m": 2}

FORMULAS = [
    "i->i",
    "i->",
    "i",
    "ij->ji",
    "ij->j",
    "ij",
    "ji",
    "ii->i",
    "ii->",
    "ii",
    "iij->ji",
    "iii->i",
    "iijj->ij",
    "bii->b",
    "i,i->",
    "i,i",
    "i,j->ij",
    "i,j->ji",
    "i,j->",
    "ij,j->i",
    "ij,ij->ij",
    "ij,ij->",
    "ij,ji->ij",
    "ij,jk->ik",
    "ij,jk",
    "ij,kj->ki",
    "ij,jk->",
    "ij,jk->j",
    "ij,jk->ijk",
    "bij,bjk->bik",
    "bij,bjk->ikb",
    "bij,jk->bik",
    "bhij,bhkj->bhik",
    "bihj,bkhj->bhik",
    "bij,bij->b",
    "bi,bj->bij",
    "b,bij->bij",
    "ij,i->ij",
    "ii,ij->j",
    "ij,jk,kl->il",
    "i,ij,j->",
    "i,j,k->ijk",
    "ij,ik,il->jkl",
    "ij,jk,kh,hm->im",
    ",ij->ij",
    ",",
    " i j , j k -> i k ",
    "il,lj->ij",
]

WITH_ELLIPSIS: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("...->...", ((2, 3),)),
    ("...", ((2, 3),)),
    ("...i->...", ((2, 3),)),
    ("i...->...i", ((2, 3, 4),)),
    ("...ii->...i", ((4, 3, 3),)),
    ("b...,b...->b", ((2,), (2,))),
    ("...i,...i->...", ((2, 3), (3,))),
    ("...ij,...jk->...ik", ((2, 3, 4), (4, 2))),
    ("...ij,...jk", ((5, 1, 2, 3), (4, 3, 2))),
    ("i...j,jk->...ik", ((2, 4, 3), (3, 2))),
    ("...,...->...", ((3, 1), (1, 4))),
    ("...i,...->...i", ((2, 3), ())),
    ("ij...,jk...,k...->i...", ((2, 3, 2), (3, 4, 1), (4, 2))),
]

BROADCAST: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("i,i->i", ((1,), (3,))),
    ("i,i->", ((1,), (3,))),
    ("ij,jk->ik", ((2, 1), (3, 4))),
    ("bij,bjk->bik", ((1, 2, 3), (2, 3, 1))),
    ("ij,ij->j", ((2, 1), (1, 3))),
]


def arrays_for(formula: str) -> list[Array]:
    """An array for every operand, with the size that each letter has here."""
    operands = formula.replace(" ", "").partition("->")[0].split(",")
    shapes = [tuple(SIZES[letter] for letter in operand) for operand in operands]
    return [numbers(*shape, seed=position) for position, shape in enumerate(shapes)]


def check(formula: str, arrays: list[Array]) -> None:
    """Values as NumPy has them, gradients as differences have them."""
    tensors = [tg.tensor(array, requires_grad=True) for array in arrays]
    out = tg.einsum(formula, *tensors)
    expected = np.einsum(formula, *arrays)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-12, atol=1e-12)
    case = Case(formula, lambda *xs: tg.einsum(formula, *xs), tuple(arrays))
    out.backward(gradient=weights_of(out.shape))
    # The function is linear in each operand: a large step makes no error, and less rounding.
    differences = finite_differences(lambda moved: weighted(case, moved), arrays, step=0.5)
    for tensor, gradient in zip(tensors, differences, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(tensor.grad.numpy(), gradient, rtol=1e-9, atol=1e-9)


@st.composite
def formulas(draw: st.DrawFn) -> tuple[str, list[Array]]:
    """A formula of one to four operands, and arrays of sizes 0 to 3 that fit it."""
    letters = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5, unique=True))
    sizes = {letter: draw(st.integers(0, 3)) for letter in letters}
    operands = draw(
        st.lists(st.lists(st.sampled_from(letters), max_size=3), min_size=1, max_size=4)
    )
    used = sorted({letter for operand in operands for letter in operand})
    text = ",".join("".join(operand) for operand in operands)
    if draw(st.booleans()):
        kept = draw(st.permutations(used))
        text += "->" + "".join(kept[: draw(st.integers(0, len(kept)))])
    arrays = [
        numbers(*(sizes[letter] for letter in operand), seed=position)
        for position, operand in enumerate(operands)
    ]
    return text, arrays


class TestEinsum:
    @pytest.mark.parametrize("formula", FORMULAS)
    def test_is_that_of_numpy(self, formula: str) -> None:
        check(formula, arrays_for(formula))

    @pytest.mark.parametrize(("formula", "shapes"), [*WITH_ELLIPSIS, *BROADCAST])
    def test_broadcasts_as_numpy_does(
        self, formula: str, shapes: tuple[tuple[int, ...], ...]
    ) -> None:
        check(formula, [numbers(*shape, seed=i) for i, shape in enumerate(shapes)])

    @given(drawn=formulas())
    def test_is_that_of_numpy_for_any_formula(self, drawn: tuple[str, list[Array]]) -> None:
        formula, arrays = drawn
        out = tg.einsum(formula, *map(tg.tensor, arrays))
        expected = np.einsum(formula, *arrays)
        assert out.shape == expected.shape
        np.testing.assert_allclose(out.numpy(), expected, rtol=1e-10, atol=1e-10)

    @given(drawn=formulas())
    def test_has_the_gradient_of_the_sum_it_stands_for(
        self, drawn: tuple[str, list[Array]]
    ) -> None:
        check(*drawn)

    @pytest.mark.parametrize("formula", [f for f in FORMULAS if "->" in f and f != ","])
    def test_is_that_of_pytorch(self, formula: str) -> None:
        torch = pytest.importorskip("torch")
        arrays = arrays_for(formula)
        ours = [tg.tensor(array, requires_grad=True) for array in arrays]
        theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
        out, expected = tg.einsum(formula, *ours), torch.einsum(formula, *theirs)
        np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-12)
        weights = weights_of(out.shape)
        out.backward(gradient=weights)
        expected.backward(gradient=torch.tensor(weights))
        for one, other in zip(ours, theirs, strict=True):
            assert one.grad is not None
            np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), rtol=1e-10, atol=1e-12)

    @pytest.mark.numpy_only("NumPy's arrays beside tensors")
    def test_takes_numbers_and_arrays_beside_tensors(self) -> None:
        x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
        assert tg.einsum(",ij->ji", 2.0, x).tolist() == [[2.0, 6.0], [4.0, 8.0]]
        assert tg.einsum("ij,j", x, np.ones(2, np.float32)).tolist() == [3.0, 7.0]
        assert tg.einsum(",", tg.scalar(2.0), 3.0).item() == 6.0

    def test_multiplies_many_operands_in_an_order_that_is_cheap(self) -> None:
        row, matrix, column = (tg.tensor(np.ones(s)) for s in [(1, 50), (50, 50), (50, 1)])
        with tg.record():
            out = tg.einsum("ij,jk,kl->il", row, matrix, column)
        assert max(int(np.prod(node.shape)) for node in tg.graph(out)) == matrix.size

    def test_is_one_product_of_matrices_where_there_are_two_operands(self) -> None:
        x, y = tg.tensor(np.ones((2, 3, 4))), tg.tensor(np.ones((2, 4, 5)))
        with tg.record():
            out = tg.einsum("bij,bjk->bik", x, y)
        assert [node.op_name for node in tg.graph(out) if node.inputs] == ["matmul"]

    def test_of_complex_numbers_conjugates_nothing(self) -> None:
        x = np.array([1.0 + 2.0j, 3.0 - 1.0j])
        for formula in ("i,i->", "i,j->ij"):
            out = tg.einsum(formula, x, x)
            np.testing.assert_allclose(out.numpy(), np.einsum(formula, x, x))

    def test_sums_over_the_axes_of_an_ellipsis_that_the_result_leaves_out(self) -> None:
        x, y = numbers(2, 3, 4), numbers(3, 4, seed=1)
        np.testing.assert_allclose(tg.einsum("...j->j", x).numpy(), x.sum(axis=(0, 1)))
        found = tg.einsum("...j,...j->j", x, y).numpy()
        np.testing.assert_allclose(found, (x * y).sum(axis=(0, 1)))
        np.testing.assert_allclose(tg.einsum("...,...->", x, y[0]).numpy(), (x * y[0]).sum())


class TestTensordot:
    @pytest.mark.parametrize(
        ("left", "right", "axes"),
        [
            ((2, 3, 4), (3, 4, 5), 2),
            ((2, 3), (3, 4), 1),
            ((2, 3), (4, 5), 0),
            ((2, 3), (2, 3), 2),
            ((2, 3, 4), (4, 3), ([1, 2], [1, 0])),
            ((2, 3, 4), (4, 3), ([-1], [0])),
            ((2, 3), (3,), ((1,), (0,))),
            ((2, 0), (0, 3), 1),
            ((), (), 0),
        ],
    )
    def test_is_that_of_numpy(
        self, left: tuple[int, ...], right: tuple[int, ...], axes: int | tuple[list[int], list[int]]
    ) -> None:
        x, y = numbers(*left), numbers(*right, seed=1)
        found = tg.tensordot(tg.tensor(x), tg.tensor(y), axes)
        expected = np.tensordot(x, y, axes)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)

    def test_broadcasts_axes_of_size_1(self) -> None:
        x, y = numbers(2, 3), numbers(1, 4, seed=1)
        found = tg.tensordot(tg.tensor(x), tg.tensor(y), 1)
        np.testing.assert_allclose(found.numpy(), x @ np.repeat(y, 3, axis=0), rtol=1e-12)
        one, other = (tg.tensor(a, requires_grad=True) for a in (x, y))
        tg.tensordot(one, other, 1).sum().backward()
        assert other.grad is not None
        np.testing.assert_allclose(other.grad.numpy(), np.full((1, 4), x.sum()), rtol=1e-12)


X = tg.tensor(np.ones((2, 3)), name="weights")


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: tg.einsum("ij,jk", X, X), errors.ShapeError, ["'j'", "3 and 2", "weights"]),
        (lambda: tg.einsum("...,...", X, np.ones(2)), errors.ShapeError, ["'...'", "3 and 2"]),
        (lambda: tg.einsum("ij,jk->ik", X), errors.ArgumentError, ["2; got 1", "weights"]),
        (lambda: tg.einsum("ijk", X), errors.ShapeError, ["expected 3", "'ijk'", "has 2"]),
        (lambda: tg.einsum("ijk...", X), errors.ShapeError, ["3 or more", "has 2"]),
        (lambda: tg.einsum("ij->ix", X), errors.ArgumentError, ["'x'", "no operand"]),
        (lambda: tg.einsum("ij->ii", X), errors.ArgumentError, ["'i'", "twice"]),
        (lambda: tg.einsum("i-j", X), errors.ArgumentError, ["'-'", "'ij,jk->ik'"]),
        (lambda: tg.einsum("i..j", X), errors.ArgumentError, ["'.'"]),
        (lambda: tg.einsum(X, "ij"), errors.ArgumentTypeError, ["formula", "Tensor"]),
        (lambda: tg.einsum("ij,j", X, [1.0]), errors.ArgumentTypeError, ["list", "tg.tensor"]),
        (lambda: tg.tensordot(X, X, 1), errors.ShapeError, ["[3]", "[2]", "weights"]),
        (lambda: tg.tensordot(X, X, 3), errors.ShapeError, ["0 to 2", "got 3"]),
        (lambda: tg.tensordot(X, X, ([0], [0, 1])), errors.ShapeError, ["[2]", "[2, 3]"]),
        (lambda: tg.tensordot(X, X, ([4], [0])), errors.ShapeError, ["no axis 4"]),
    ],
)
def test_mistakes_are_explained(call: object, kind: type[Exception], says: list[str]) -> None:
    assert callable(call)
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    for part in [*says, "at test_einsum.py"]:
        assert part in message
