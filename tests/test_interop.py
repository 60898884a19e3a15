"""With NumPy, PyTorch, copies, pickles, and any library that follows the Array API."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg
from tinygrad_lab.backends import namespace_of

from .op_cases import CASES, Array, Case, numbers, weights_of


class TestNumPy:
    def test_array_times_tensor_is_a_tensor_from_either_side(self) -> None:
        array, x = np.array([1.0, 2.0]), tg.tensor([3.0, 4.0], requires_grad=True)
        for product in (array * x, x * array, np.float64(2.0) * x, np.multiply(array, x)):
            assert isinstance(product, tg.Tensor)
            assert product.requires_grad
        x.grad = None
        (array * x).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [1.0, 2.0]
        assert x.grad.dtype == np.float32

    @pytest.mark.parametrize(
        "name",
        [
            "add",
            "subtract",
            "multiply",
            "divide",
            "true_divide",
            "floor_divide",
            "remainder",
            "mod",
            "power",
            "negative",
            "absolute",
            "exp",
            "expm1",
            "log",
            "log1p",
            "sqrt",
            "square",
            "sin",
            "cos",
            "tanh",
            "maximum",
            "minimum",
            "matmul",
            "sign",
            "floor",
            "ceil",
            "isnan",
            "isfinite",
            "equal",
            "not_equal",
            "less",
            "less_equal",
            "greater",
            "greater_equal",
            "logical_and",
            "logical_or",
            "logical_not",
            "bitwise_and",
            "bitwise_or",
            "invert",
            "arctan2",
            "arcsinh",
            "rint",
            "conjugate",
            "logaddexp",
        ],
    )
    def test_functions_of_numpy_give_tensors(self, name: str) -> None:
        ufunc = getattr(np, name)
        arrays: list[Array] = [
            np.array([[1.0, 2.0], [3.0, 4.0]]),
            np.array([[2.0, 2.0], [1.0, 5.0]]),
        ]
        if name.startswith(("bitwise", "invert")):
            arrays = [array > 1.5 for array in arrays]
        arguments = arrays[: ufunc.nin]
        for tensors in (
            [*map(tg.tensor, arguments)],
            [tg.tensor(arguments[0]), *arguments[1:]],
            [*arguments[:-1], tg.tensor(arguments[-1])],
        ):
            found = ufunc(*tensors)
            assert isinstance(found, tg.Tensor)
            np.testing.assert_allclose(found.numpy(), ufunc(*arguments), rtol=1e-15)

    def test_functions_of_numpy_pass_on_gradients(self) -> None:
        x = tg.tensor([0.5, 1.0], requires_grad=True)
        np.exp(x).sum().backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), np.exp(np.float32([0.5, 1.0])), rtol=1e-6)

    def test_functions_without_an_op_give_values(self) -> None:
        assert np.heaviside(tg.tensor([1.0]), 0.5).tolist() == [1.0]
        assert np.add.reduce(tg.tensor([1.0, 2.0])) == 3.0
        with pytest.raises(tg.errors.GradientError):
            np.add.reduce(tg.tensor([1.0], requires_grad=True))

    def test_array_in_place_takes_a_tensor(self) -> None:
        array = np.array([1.0, 2.0])
        same = array
        array -= 0.5 * tg.tensor([1.0, 1.0])
        assert array is same
        assert isinstance(array, np.ndarray)
        assert array.tolist() == [0.5, 1.5]

    def test_array_in_place_says_detach_where_a_gradient_would_be_lost(self) -> None:
        array = np.array([1.0, 2.0])
        with pytest.raises(tg.errors.GradientError, match="detach"):
            array += tg.tensor([1.0, 1.0], requires_grad=True)
        assert array.tolist() == [1.0, 2.0]

    def test_a_tensor_is_no_place_for_the_output_of_a_numpy_function(self) -> None:
        with pytest.raises(TypeError):
            np.add(np.ones(2), np.ones(2), out=tg.tensor([0.0, 0.0]))  # type: ignore[call-overload]

    def test_asarray_works_and_says_detach_where_a_gradient_would_be_lost(self) -> None:
        x = tg.tensor([1.0, 2.0])
        assert np.shares_memory(np.asarray(x), x.data)
        assert np.asarray(x, dtype=np.float64).dtype == np.float64
        assert not np.shares_memory(np.array(x), x.data)
        assert np.asarray(tg.scalar(2.0).detach()).item() == 2.0
        with pytest.raises(tg.errors.GradientError, match=r"'w'.*detach"):
            np.asarray(tg.tensor([1.0], requires_grad=True, name="w"))

    def test_asarray_without_a_copy_refuses_where_one_is_needed(self) -> None:
        x = tg.tensor([1.0, 2.0])
        assert np.shares_memory(np.asarray(x, copy=False), x.data)
        with pytest.raises(ValueError, match="copy"):
            np.asarray(x, dtype=np.float64, copy=False)

    def test_numbers_of_numpy_are_numbers(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        assert (x * np.float32(2)).dtype == np.float32
        assert (np.float32(2) * x).tolist() == [2.0, 4.0]
        assert x[np.int64(1)].item() == 2.0


class TestDLPack:
    @given(npst.arrays(npst.floating_dtypes(sizes=(32, 64), endianness="="), npst.array_shapes()))
    def test_hands_memory_to_numpy(self, array: Array) -> None:
        x = tg.tensor(array)
        again = np.from_dlpack(x)
        np.testing.assert_array_equal(again, array)
        assert np.shares_memory(again, x.data)

    def test_hands_memory_to_torch(self) -> None:
        torch = pytest.importorskip("torch")
        x = tg.tensor([1.0, 2.0])
        there = torch.from_dlpack(x)
        there[0] = 5.0
        assert x.tolist() == [5.0, 2.0]

    def test_hands_out_python_numbers(self) -> None:
        assert np.from_dlpack(tg.scalar(2.0).detach()).item() == 2.0

    def test_says_detach_where_a_gradient_would_be_lost(self) -> None:
        for export in (np.from_dlpack, lambda x: x.__dlpack_device__()):
            with pytest.raises(tg.errors.GradientError, match="detach"):
                export(tg.tensor([1.0], requires_grad=True))

    def test_takes_memory_from_torch(self) -> None:
        torch = pytest.importorskip("torch")
        there = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        x = tg.from_dlpack(there)  # type: ignore[attr-defined]
        assert isinstance(x, tg.Tensor)
        there[0, 0] = 5.0
        assert x.tolist() == there.tolist() == [[5.0, 2.0], [3.0, 4.0]]
        assert x.dtype == np.float32

    def test_takes_memory_from_numpy_and_from_itself(self) -> None:
        array = np.array([1.0, 2.0])
        for source in (array, tg.tensor(array)):
            taken = tg.from_dlpack(source)  # type: ignore[attr-defined]
            assert taken.tolist() == [1.0, 2.0]
            assert np.shares_memory(taken.data, np.asarray(source))

    def test_tensors_can_be_made_of_torch_tensors(self) -> None:
        torch = pytest.importorskip("torch")
        there = torch.tensor([1.0, 2.0])
        x = tg.tensor(there)
        there[0] = 5.0
        assert x.tolist() == [1.0, 2.0]
        assert x.dtype == np.float32


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda one: pickle.loads(pickle.dumps(one)),
    "old pickle": lambda one: pickle.loads(pickle.dumps(one, protocol=2)),
}
every_copy = pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)


@every_copy
class TestCopies:
    @pytest.mark.parametrize(
        "x",
        [
            tg.scalar(2.0, name="s"),
            tg.scalar(2.0, requires_grad=False),
            tg.tensor([[1.0, 2.0]], requires_grad=True, name="w"),
            tg.tensor([1, 2]),
            tg.tensor([True]),
            tg.tensor([1.0, 2.0]).sum(),
            tg.tensor(np.zeros((0, 3))),
        ],
        ids=repr,
    )
    def test_of_tensors_have_all_but_the_memory(
        self, duplicate: Callable[[Any], Any], x: tg.Tensor
    ) -> None:
        again = duplicate(x)
        assert type(again) is type(x)
        assert again.tolist() == x.tolist()
        assert (again.dtype, again.shape, again.name) == (x.dtype, x.shape, x.name)
        assert again.requires_grad == x.requires_grad
        assert type(again.data) is type(x.data)
        if isinstance(x.data, np.ndarray) and x.size:
            assert not np.shares_memory(again.data, x.data)

    def test_of_tensors_have_a_gradient_of_their_own(self, duplicate: Callable[[Any], Any]) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        (x * x).sum().backward()
        again = duplicate(x)
        assert again.grad.tolist() == [2.0, 4.0]
        again.sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [2.0, 4.0]
        assert again.grad.tolist() == [3.0, 5.0]

    def test_of_computed_tensors_are_refused_for_the_history(
        self, duplicate: Callable[[Any], Any]
    ) -> None:
        y = tg.scalar(1.0) * 2
        with pytest.raises(tg.errors.GradientError, match=r"history.*detach"):
            duplicate(y)
        assert duplicate(y.detach()).item() == 2.0

    def test_of_containers_keep_what_is_the_same_the_same(
        self, duplicate: Callable[[Any], Any]
    ) -> None:
        x = tg.tensor([1.0])
        one, other = duplicate([x, x])
        assert one is other

    def test_of_modules_compute_the_same_and_learn_alone(
        self, duplicate: Callable[[Any], Any]
    ) -> None:
        net = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.ReLU(), tg.nn.Linear(3, 1))
        x = tg.tensor([[1.0, 2.0]])
        before = net(x).tolist()
        again = duplicate(net)
        assert again(x).tolist() == before
        assert [n for n, _ in again.named_parameters()] == [n for n, _ in net.named_parameters()]
        for parameter in again.parameters():
            assert type(parameter) is tg.nn.Parameter
            parameter.data = parameter.data * 0
        assert net(x).tolist() == before
        assert again(x).tolist() == [[0.0]]

    def test_of_functions_of_the_library_are_the_functions(
        self, duplicate: Callable[[Any], Any]
    ) -> None:
        for function in (tg.exp, tg.relu, tg.softmax):
            assert duplicate(function) is function


def test_a_shallow_copy_shares_the_memory() -> None:
    x = tg.tensor([1.0, 2.0])
    assert np.shares_memory(copy.copy(x).data, x.data)


NEEDS_MORE_THAN_THE_STANDARD = {
    *("erf", "erfc", "erfinv", "lgamma", "digamma", "polygamma", "i0", "i1"),  # of SciPy
    "index",  # scatter-add
    "index_set",
    "index_add",
    "linear",  # fused kernels
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "max_pool1d",
    "max_pool2d",
    "cross_entropy",
    "gru",
    "dropout",  # random numbers
    "transfer",  # between libraries
    "output",  # an op that is not run
    "checkpoint",
    "module_hooks",
}
portable = pytest.mark.parametrize(
    "case", [c for c in CASES if c.name not in NEEDS_MORE_THAN_THE_STANDARD], ids=str
)


class TestArrayAPI:
    """Every op written against ``xp`` runs on a library that has only the standard."""

    @portable
    def test_forward_and_rules_need_nothing_but_the_standard(self, case: Case) -> None:
        with tg.record():
            node: Any = tg.graph(case.function(*case.tensors())).outputs[0].node
        op, attributes = node.op, dict(node.attributes)
        if "dtype" in attributes:
            attributes["dtype"] = strict.float64
        raw = [source.value for source in node.inputs]
        arrays = [strict.asarray(x) if isinstance(x, np.ndarray) else x for x in raw]
        xp = namespace_of(arrays)
        assert xp.library.__name__ == "array_api_strict"
        out = op.forward(xp, *arrays, **attributes)
        np.testing.assert_allclose(np.asarray(out), node.value, rtol=1e-14)
        g = weights_of(node.shape)
        expected = {id(target): gradient for target, gradient in node.pull_back(g)}
        known = {**op.named_arrays(arrays), **attributes, "out": out, "needs": node.plan.needs}
        for name, value in op.named_arrays(arrays).items():
            several = isinstance(value, tuple)
            known[f"{name}_shape"] = tuple(v.shape for v in value) if several else value.shape
            known[f"{name}_dtype"] = None if several else value.dtype
        for rule, positions in node.plan.rules:
            gradients = rule.function(xp, strict.asarray(g), *(known[name] for name in rule.asks))
            for place, gradient in zip(
                positions, gradients if rule.joint else [gradients], strict=True
            ):
                assert type(gradient) is type(out), "nothing left the library"
                target = node.inputs[place]
                stretched = np.asarray(gradient) * np.ones(target.shape)
                reference = np.asarray(expected[id(target)])
                total = stretched
                while total.ndim > reference.ndim:
                    total = total.sum(axis=0)
                axes = tuple(a for a, n in enumerate(reference.shape) if total.shape[a] != n)
                np.testing.assert_allclose(
                    total.sum(axis=axes, keepdims=True), reference, rtol=1e-12, atol=1e-12
                )

    def test_arrays_of_two_libraries_do_not_mix(self) -> None:
        with pytest.raises(tg.errors.DeviceError, match=r"numpy.*array_api_strict|strict.*numpy"):
            tg.tensor([1.0]) + strict.asarray([1.0])


class TestTorch:
    """The numbers of PyTorch, which other tests use as a reference."""

    @pytest.mark.parametrize(
        "name",
        [
            "relu",
            "sigmoid",
            "tanh",
            "softplus",
            "silu",
            "gelu",
            "elu",
            "leaky_relu",
            "log_softmax",
            "softmax",
        ],
    )
    def test_activations_and_their_gradients_are_those_of_torch(self, name: str) -> None:
        torch = pytest.importorskip("torch")
        array = np.concatenate([numbers(8), [0.0, 30.0, -30.0]])
        x, there = tg.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
        function = getattr(torch.nn.functional, name)
        reference = function(there, dim=-1) if "softmax" in name else function(there)
        found = getattr(tg, name)(x)
        np.testing.assert_allclose(
            found.detach().numpy(), reference.detach().numpy(), rtol=1e-9, atol=1e-12
        )
        weights = weights_of(array.shape)
        found.backward(gradient=weights)
        reference.backward(torch.tensor(weights))
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), there.grad.numpy(), rtol=1e-7, atol=1e-11)
