"""nn.utils: clipped gradients, parameters as vectors, pruning, weight norm; against PyTorch's."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    NonFiniteError,
    ShapeError,
    StateDictError,
)
from tinygrad_lab.nn.utils import prune

from .layer_checks import (
    agree,
    compiles_to_the_same_bits,
    derives_twice,
    is_drawn,
    numbers,
    repeats,
    twins,
)

utils = nn.utils


def with_gradients(*gradients: Any) -> list[tg.Tensor]:
    """Return parameters of float64 with given gradients; None for one without."""
    parameters = []
    for gradient in gradients:
        shape = (2,) if gradient is None else np.shape(gradient)
        parameter = nn.Parameter(np.ones(shape))
        if gradient is not None:
            parameter.grad = tg.tensor(np.asarray(gradient, np.float64))
        parameters.append(parameter)
    return parameters


def theirs_with_gradients(torch: Any, *gradients: Any) -> list[Any]:
    parameters = []
    for gradient in gradients:
        shape = (2,) if gradient is None else np.shape(gradient)
        parameter = torch.nn.Parameter(torch.ones(shape, dtype=torch.float64))
        if gradient is not None:
            parameter.grad = torch.tensor(np.asarray(gradient, np.float64))
        parameters.append(parameter)
    return parameters


def same_gradients(ours: list[tg.Tensor], theirs: list[Any]) -> None:
    for mine, their in zip(ours, theirs, strict=True):
        assert (mine.grad is None) == (their.grad is None)
        if mine.grad is not None:
            np.testing.assert_allclose(
                mine.grad.numpy(), their.grad.numpy(), rtol=1e-13, atol=1e-300
            )


GRADIENTS: dict[str, tuple[Any, ...]] = {
    "several": (numbers(3, 4), numbers(5), numbers(2, 2, 2)),
    "one without": (numbers(3, 4), None, numbers(5)),
    "small": (1e-3 * numbers(3), 1e-4 * numbers(2, 2)),
    "zeros": (np.zeros((2, 3)), np.zeros(4)),
    "no gradients": (None, None),
    "nothing": (),
    "a single number": (np.float64(7.0),),
    "an infinity": (np.array([1.0, np.inf]), numbers(3)),
    "a NaN": (np.array([1.0, np.nan]), numbers(3)),
}


@pytest.mark.numpy_only("is held against NumPy's numbers")
class TestClippingByNorm:
    @pytest.mark.parametrize("norm_type", [1, 2, 2.0, 3.5, np.inf, "inf", 0, 0.5])
    @pytest.mark.parametrize("gradients", GRADIENTS)
    @pytest.mark.parametrize("max_norm", [0.0, 0.1, 1.0, 1e3, np.inf])
    def test_is_pytorchs(self, gradients: str, norm_type: Any, max_norm: float) -> None:
        torch = pytest.importorskip("torch")
        given = GRADIENTS[gradients]
        ours, theirs = with_gradients(*given), theirs_with_gradients(torch, *given)
        with np.errstate(invalid="ignore"):
            total = utils.clip_grad_norm_(ours, max_norm, norm_type)
        expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
        assert total.shape == ()
        assert total.item() == pytest.approx(expected.item(), rel=1e-13, nan_ok=True)
        same_gradients(ours, theirs)

    @pytest.mark.parametrize("norm_type", [1, 2, 4, np.inf])
    def test_leaves_a_norm_of_at_most_the_limit_in_the_same_direction(
        self, norm_type: float
    ) -> None:
        parameters = with_gradients(*GRADIENTS["several"])
        before = [one.grad.numpy().copy() for one in parameters]
        utils.clip_grad_norm_(parameters, 0.3, norm_type)
        after = [one.grad.numpy() for one in parameters]
        flat = [np.concatenate([one.ravel() for one in some]) for some in (before, after)]
        assert np.linalg.norm(flat[1], norm_type) == pytest.approx(0.3, rel=1e-5)
        ratios = flat[1] / flat[0]
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-12)

    def test_changes_the_gradient_in_place_with_its_dtype_and_kind(self) -> None:
        layer, number = nn.Linear(3, 2), tg.scalar(3.0)
        (layer(tg.ones((4, 3))).sum() + number * number).backward()
        parameters = [*layer.parameters(), number]
        gradients = [one.grad for one in parameters]
        utils.clip_grad_norm_(parameters, 0.1)
        assert all(one.grad is seen for one, seen in zip(parameters, gradients, strict=True))
        assert layer.weight.grad.dtype == np.float32
        assert isinstance(number.grad.data, float)
        utils.clip_grad_value_(parameters, 0.001)
        assert number.grad.data == 0.001

    @pytest.mark.parametrize("norm_type", [1, 2, np.inf])
    def test_gradients_without_elements_count_nothing(self, norm_type: float) -> None:
        empty = with_gradients(np.zeros((0, 3)))
        assert utils.clip_grad_norm_(empty, 1.0, norm_type).item() == 0.0
        both = with_gradients(np.zeros((0, 3)), [-5.0])
        assert utils.clip_grad_norm_(both, 1.0, norm_type).item() == 5.0
        assert both[0].grad.shape == (0, 3)

    def test_takes_one_tensor(self) -> None:
        (parameter,) = with_gradients([3.0, 4.0])
        assert utils.clip_grad_norm_(parameter, 1.0).item() == 5.0
        utils.clip_grad_value_(parameter, 0.1)
        assert parameter.grad.tolist() == [0.1, 0.1]

    @pytest.mark.parametrize("gradients", ["an infinity", "a NaN"])
    def test_finds_what_is_not_finite_and_changes_nothing_then(self, gradients: str) -> None:
        parameters = with_gradients(*GRADIENTS[gradients])
        with pytest.raises(NonFiniteError, match=r"power 2\.0, is NaN or infinite.*tg\.debug"):
            utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
        for parameter, before in zip(parameters, GRADIENTS[gradients], strict=True):
            np.testing.assert_array_equal(parameter.grad.numpy(), before)

    def test_in_two_parts_is_the_same(self) -> None:
        ours, again = (with_gradients(*GRADIENTS["several"]) for _ in range(2))
        total = utils.clip_grad_norm_(ours, 0.5)
        norm = utils.get_total_norm([one.grad for one in again])
        utils.clip_grads_with_norm_(again, 0.5, norm)
        assert norm.item() == total.item()
        for one, other in zip(ours, again, strict=True):
            np.testing.assert_array_equal(one.grad.numpy(), other.grad.numpy())

    def test_is_not_part_of_a_graph(self) -> None:
        parameters = with_gradients(*GRADIENTS["several"])
        assert not utils.clip_grad_norm_(parameters, 0.5).requires_grad
        assert not parameters[0].grad.requires_grad

    def test_mistakes_are_explained(self) -> None:
        layer = nn.Linear(2, 1)
        for call, error, says in (
            (lambda: utils.clip_grad_norm_(layer, 1.0), ArgumentTypeError, r"module\.parameters"),  # type: ignore[arg-type]
            (lambda: utils.clip_grad_value_([1.0], 1.0), ArgumentTypeError, "of them is float"),  # type: ignore[list-item]
            (lambda: utils.clip_grad_norm_([], -1.0), ArgumentError, "max_norm is 0 or more"),
            (lambda: utils.clip_grad_norm_([], np.nan), ArgumentError, "got nan"),
            (lambda: utils.clip_grad_norm_([], "1"), ArgumentTypeError, "max_norm is a number"),  # type: ignore[arg-type]
            (lambda: utils.clip_grad_norm_([], np.ones(2)), ArgumentTypeError, "got ndarray"),  # type: ignore[arg-type]
            (lambda: utils.clip_grad_norm_([], 1.0, None), ArgumentError, "got None"),  # type: ignore[arg-type]
            (lambda: utils.clip_grad_value_([], tg.scalar(1.0)), ArgumentTypeError, r"\.item\(\)"),  # type: ignore[arg-type]
            (lambda: utils.clip_grad_norm_([], 1.0, "two"), ArgumentError, "norm_type.*'two'"),  # type: ignore[arg-type]
            (lambda: utils.clip_grad_norm_([], 1.0, np.nan), ArgumentError, "norm_type"),
            (lambda: utils.clip_grad_value_([], -0.1), ArgumentError, "clip_value is 0 or more"),
            (
                lambda: utils.clip_grads_with_norm_([], 1.0, 2.0),  # type: ignore[arg-type]
                ArgumentTypeError,
                "total_norm is a Tensor",
            ),
            (
                lambda: utils.clip_grad_norm_([], 1.0, foreach=True),  # type: ignore[call-arg]
                ArgumentTypeError,
                "'foreach': leave it out",
            ),
        ):
            with pytest.raises(error, match=says):
                call()


@pytest.mark.numpy_only("is held against NumPy's numbers")
class TestClippingByValue:
    @pytest.mark.parametrize("gradients", set(GRADIENTS) - {"nothing", "no gradients"})
    @pytest.mark.parametrize("clip_value", [0.0, 0.5, 1e3, np.inf])
    def test_is_pytorchs(self, gradients: str, clip_value: float) -> None:
        torch = pytest.importorskip("torch")
        ours = with_gradients(*GRADIENTS[gradients])
        theirs = theirs_with_gradients(torch, *GRADIENTS[gradients])
        utils.clip_grad_value_(ours, clip_value)
        torch.nn.utils.clip_grad_value_(theirs, clip_value)
        same_gradients(ours, theirs)

    def test_does_nothing_where_there_is_nothing(self) -> None:
        """PyTorch raises an error of its inside."""
        for parameters in ([], with_gradients(None)):
            utils.clip_grad_value_(parameters, 1.0)


CLIPPING: dict[str, Callable[[Any], Any]] = {
    "norm": lambda p: utils.clip_grad_norm_(p, 0.1),
    "norm 1": lambda p: utils.clip_grad_norm_(p, 0.1, 1),
    "norm inf": lambda p: utils.clip_grad_norm_(p, 0.1, np.inf, error_if_nonfinite=True),
    "norm 3": lambda p: utils.clip_grad_norm_(p, 0.1, 3.0),
    "value": lambda p: utils.clip_grad_value_(p, 0.01),
}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gru = nn.Conv1d(1, 4, 3), nn.GRU(4, 5, batch_first=True)
        self.linear = nn.Linear(5, 3)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        h = self.conv(x[:, None, :]).tanh()
        return self.linear(self.gru(h.mT)[1][0])  # type: ignore[no-any-return]


def training_runs(
    change: Callable[[Net], Any], clip: Callable[[Any], Any] | None = None
) -> list[list[Any]]:
    """Return losses and states of a net that is trained eagerly, and of one that is compiled."""
    runs = []
    for wrap in (lambda step: step, tg.compile):
        tg.seed(2)
        net = Net()
        change(net)
        optimizer = tg.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

        def step(x: Any, y: Any, net: Any = net, optimizer: Any = optimizer) -> Any:
            loss = nn.functional.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            norm = clip(net.parameters()) if clip else None
            optimizer.step()
            return loss if norm is None else (loss, norm)

        run = wrap(step)
        seen: list[Any] = []
        for number in range(5):
            x = tg.tensor(numbers(6, 8, seed=number).astype(np.float32))
            out = run(x, tg.tensor([0, 1, 2, 0, 1, 2]))
            seen += [one.detach().item() for one in (out if isinstance(out, tuple) else (out,))]
        seen += [value.numpy().copy() for value in net.state_dict().values()]
        runs.append(seen)
    return runs


def same_bits(runs: list[list[Any]]) -> None:
    for eager, compiled in zip(*runs, strict=True):
        np.testing.assert_array_equal(eager, compiled)


@pytest.mark.numpy_only("compiled steps are of NumPy's arrays")
@pytest.mark.parametrize("clip", CLIPPING)
def test_compiled_steps_clip_to_the_same_bits(clip: str) -> None:
    same_bits(training_runs(lambda net: None, CLIPPING[clip]))


@pytest.mark.numpy_only("compiled steps are of NumPy's arrays")
def test_a_limit_may_be_an_argument_of_a_compiled_step() -> None:
    layer = nn.Linear(3, 2)

    def step(x: tg.Tensor, limit: float) -> Any:
        layer.zero_grad()
        (layer(x) * 5.0).sum().backward()
        norm = utils.clip_grad_norm_(layer.parameters(), limit)
        utils.clip_grad_value_(layer.parameters(), 0.5 * limit)
        return norm, layer.weight.grad

    compiled = tg.compile(step)
    for limit in (0.5, 0.25, 100.0, 0.5):
        x = tg.full((4, 3), 1.0 + limit)
        for eager, replayed in zip(step(x, limit), compiled(x, limit), strict=True):
            np.testing.assert_array_equal(eager.numpy(), replayed.numpy())


@pytest.mark.numpy_only("compiled steps are of NumPy's arrays")
def test_a_compiled_step_finds_what_is_not_finite() -> None:
    layer = nn.Linear(2, 1)

    @tg.compile
    def step(x: tg.Tensor) -> tg.Tensor:
        layer.zero_grad()
        layer(x).sum().backward()
        return utils.clip_grad_norm_(layer.parameters(), 1.0, error_if_nonfinite=True)

    for _ in range(3):
        step(tg.ones((3, 2)))
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(NonFiniteError, match="is NaN or infinite"),
    ):
        step(tg.full((3, 2), np.inf))


@pytest.mark.numpy_only("is held against NumPy's numbers")
class TestVectors:
    def test_are_pytorchs_there_and_back(self) -> None:
        ours, theirs = twins("GRU", 3, 4)
        torch = pytest.importorskip("torch")
        vector = utils.parameters_to_vector(ours.parameters())
        expected = torch.nn.utils.parameters_to_vector(theirs.parameters())
        np.testing.assert_array_equal(vector.detach().numpy(), expected.detach().numpy())
        other = numbers(vector.size)
        utils.vector_to_parameters(tg.tensor(other), ours.parameters())
        torch.nn.utils.vector_to_parameters(torch.tensor(other), theirs.parameters())
        for mine, their in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_array_equal(mine.detach().numpy(), their.detach().numpy())
            assert mine.is_leaf
            assert mine.requires_grad

    def test_let_gradients_through(self) -> None:
        layer = nn.Linear(3, 2)
        vector = utils.parameters_to_vector(layer.parameters())
        (vector * vector).sum().backward()
        np.testing.assert_array_equal(layer.weight.grad.numpy(), 2 * layer.weight.detach().numpy())

    def test_are_read_and_written_in_compiled_steps(self) -> None:
        runs = []
        for wrap in (lambda step: step, tg.compile):
            tg.seed(0)
            layer = nn.Linear(3, 2)

            def step(x: tg.Tensor, layer: Any = layer) -> tg.Tensor:
                vector = utils.parameters_to_vector(layer.parameters()).detach()
                utils.vector_to_parameters(vector * 0.5, layer.parameters())
                return layer(x).sum()  # type: ignore[no-any-return]

            call = wrap(step)
            runs.append([call(tg.ones((2, 3))).detach().item() for _ in range(4)])
        assert runs[0] == runs[1]

    def test_mistakes_are_explained(self) -> None:
        layer = nn.Linear(3, 2)
        before = layer.weight.tolist()
        for call, error, says in (
            (
                lambda: utils.vector_to_parameters(tg.zeros(7), layer.parameters()),
                ShapeError,
                r"have 8 numbers.*\(8,\); got \(7,\)",
            ),
            (
                lambda: utils.vector_to_parameters(tg.zeros((8, 1)), layer.parameters()),
                ShapeError,
                r"got \(8, 1\)",
            ),
            (
                lambda: utils.vector_to_parameters(np.zeros(8), layer.parameters()),  # type: ignore[arg-type]
                ArgumentTypeError,
                "takes a Tensor, got ndarray",
            ),
            (lambda: utils.parameters_to_vector(layer), ArgumentTypeError, r"module\.parameters"),  # type: ignore[arg-type]
            (lambda: utils.parameters_to_vector([]), ArgumentError, "at least one"),
        ):
            with pytest.raises(error, match=says):
                call()
        assert layer.weight.tolist() == before


# --- pruning -------------------------------------------------------------------------------------

PRUNING: dict[str, Callable[[Any, Any, str], Any]] = {
    "l1, share": lambda p, m, n: p.l1_unstructured(m, n, 0.3),
    "l1, number": lambda p, m, n: p.l1_unstructured(m, n, 5),
    "l1, none": lambda p, m, n: p.l1_unstructured(m, n, 0),
    "l1, all": lambda p, m, n: p.l1_unstructured(m, n, 1.0),
    "l2 of rows": lambda p, m, n: p.ln_structured(m, n, 2, 2, 0),
    "l1 of columns": lambda p, m, n: p.ln_structured(m, n, 0.5, 1, 1),
    "largest of the last": lambda p, m, n: p.ln_structured(m, n, 1, float("inf"), -1),
    "identity": lambda p, m, n: p.identity(m, n),
}
"""Ways to prune that no chance takes part in, for either library."""

TWICE = {
    f"{one}; {other}": (one, other)
    for one, other in (
        ("l1, share", "l1, share"),
        ("l1, number", "l2 of rows"),
        ("l2 of rows", "l1, number"),
        ("l2 of rows", "l1 of columns"),
        ("l1 of columns", "l1 of columns"),
        ("identity", "l1, number"),
        ("l1, share", "l1, all"),
        ("l1, all", "l1, share"),
    )
}


def check_pruned(ours: Any, theirs: Any, name: str = "weight") -> None:
    """Check names, mask and values of a parameter against PyTorch's."""
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[key].numpy(), value.numpy(), err_msg=key)
        assert str(ours.state_dict()[key].dtype) in str(value.dtype)
    np.testing.assert_array_equal(
        getattr(ours, name).detach().numpy(), getattr(theirs, name).detach().numpy()
    )


@pytest.mark.numpy_only("is held against NumPy's numbers")
class TestPruning:
    @pytest.mark.parametrize("layer", [("Linear", (6, 8)), ("Conv1d", (4, 6, 3))], ids=str)
    @pytest.mark.parametrize("how", [*PRUNING, *TWICE])
    def test_is_pytorchs_once_and_again(self, layer: tuple[str, Any], how: str) -> None:
        pruning = pytest.importorskip("torch.nn.utils.prune")
        ours, theirs = twins(layer[0], *layer[1])
        for one in TWICE.get(how, (how,)):
            assert PRUNING[one](prune, ours, "weight") is ours
            PRUNING[one](pruning, theirs, "weight")
        check_pruned(ours, theirs)
        assert [name for name, _ in ours.named_parameters()] == ["bias", "weight_orig"]
        assert [name for name, _ in ours.named_buffers()] == ["weight_mask"]
        x = numbers(5, 6) if layer[0] == "Linear" else numbers(5, 4, 9)
        agree(ours, theirs, x)
        assert prune.remove(ours, "weight") is ours
        pruning.remove(theirs, "weight")
        check_pruned(ours, theirs)
        agree(ours, theirs, x)

    @pytest.mark.parametrize("structured", [False, True])
    def test_takes_importance_scores(self, structured: bool) -> None:
        pruning = pytest.importorskip("torch.nn.utils.prune")
        torch = pytest.importorskip("torch")
        ours, theirs = twins("Linear", 6, 8)
        scores = numbers(8, 6, seed=9)
        for p, m, make in ((prune, ours, tg.tensor), (pruning, theirs, torch.tensor)):
            if structured:
                p.ln_structured(m, "weight", 3, 2, 0, importance_scores=make(scores))
            else:
                p.l1_unstructured(m, "weight", 0.4, importance_scores=make(scores))
        check_pruned(ours, theirs)

    @pytest.mark.parametrize("scored", [False, True])
    def test_globally_is_pytorchs(self, scored: bool) -> None:
        pruning = pytest.importorskip("torch.nn.utils.prune")
        torch = pytest.importorskip("torch")
        sides = [twins("Linear", 6, 8), twins("Linear", 8, 3), twins("Conv1d", 2, 3, 4)]
        for number, (ours, theirs) in enumerate(sides):  # no two weights of the same size
            other = numbers(*ours.weight.shape, seed=20 + number)
            ours.weight.data, theirs.weight.data = tg.tensor(other), torch.tensor(other)
        for which, p, make in ((0, prune, tg.tensor), (1, pruning, torch.tensor)):
            layers = [side[which] for side in sides]
            p.l1_unstructured(layers[0], "weight", 4)
            pairs = [(layer, "weight") for layer in layers] + [(layers[0], "bias")]
            scores = {pairs[1]: make(numbers(3, 8, seed=5))} if scored else None
            for amount in (0.25, 7):
                p.global_unstructured(pairs, p.L1Unstructured, scores, amount=amount)
        for ours, theirs in sides:
            check_pruned(ours, theirs)

    def test_of_a_given_mask_is_pytorchs_and_composes(self) -> None:
        pruning = pytest.importorskip("torch.nn.utils.prune")
        torch = pytest.importorskip("torch")
        ours, theirs = twins("Linear", 4, 3)
        for seed in (1, 2):
            mask = numbers(3, 4, seed=seed) > -0.5
            prune.custom_from_mask(ours, "weight", tg.tensor(mask))
            pruning.custom_from_mask(theirs, "weight", torch.tensor(mask.astype(np.float64)))
        check_pruned(ours, theirs)

    @pytest.mark.parametrize("amount", [0, 7, 0.0, 0.25, 1.0, 48])
    def test_at_random_takes_as_many_as_it_should_and_is_repeated_by_a_seed(
        self, amount: float
    ) -> None:
        masks = []
        for seed in (1, 1, 2):
            tg.seed(seed)
            layer = prune.random_unstructured(nn.Linear(6, 8), "weight", amount)
            masks.append(layer.weight_mask.numpy())
        expected = amount if isinstance(amount, int) else round(amount * 48)
        assert [int((mask == 0).sum()) for mask in masks] == [expected] * 3
        np.testing.assert_array_equal(masks[0], masks[1])
        if 0 < expected < 48:
            assert not np.array_equal(masks[0], masks[2])

    @pytest.mark.parametrize("dim", [0, 1, -1])
    def test_of_channels_at_random_takes_whole_ones(self, dim: int) -> None:
        layer = nn.Conv1d(4, 6, 5)
        prune.random_structured(layer, "weight", 2, dim)
        mask = np.moveaxis(layer.weight_mask.numpy(), dim, 0).reshape(layer.weight.shape[dim], -1)
        assert sorted(mask.sum(axis=1) == 0) == [False] * (len(mask) - 2) + [True] * 2
        assert set(mask.ravel()) == {0.0, 1.0}
        prune.random_structured(layer, "weight", 1, dim)
        mask = np.moveaxis(layer.weight_mask.numpy(), dim, 0).reshape(len(mask), -1)
        assert (mask.sum(axis=1) == 0).sum() == 3

    def test_at_random_is_uniform(self) -> None:
        tg.seed(0)
        times = sum(
            1 - prune.random_unstructured(nn.Linear(5, 4), "weight", 5).weight_mask.numpy()
            for _ in range(400)
        )
        assert np.abs(times / 400 - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 400)

    def test_survives_training_and_the_state_dict(self) -> None:
        net = Net()
        parameters = list(net.parameters())
        optimizer = tg.optim.AdamW(parameters, lr=0.05)
        for module, name in ((net.conv, "weight"), (net.gru, "weight_hh_l0"), (net.linear, "bias")):
            prune.l1_unstructured(module, name, 0.5)
        masks = {k: v.numpy().copy() for k, v in net.state_dict().items() if k.endswith("_mask")}
        assert set(masks) == {"conv.weight_mask", "gru.weight_hh_l0_mask", "linear.bias_mask"}
        assert set(map(id, net.parameters())) == set(map(id, parameters))
        start = net.gru.weight_hh_l0.detach().numpy().copy()
        for step in range(10):
            x = tg.tensor(numbers(6, 8, seed=step).astype(np.float32))
            loss = nn.functional.cross_entropy(net(x), tg.tensor([0, 1, 2, 0, 1, 2]))
            optimizer.zero_grad()
            loss.backward()
            assert not (
                net.gru.weight_hh_l0_orig.grad.numpy() * (1 - masks["gru.weight_hh_l0_mask"])
            ).any()
            optimizer.step()
        for key, mask in masks.items():
            value = net.state_dict()[key].numpy()
            np.testing.assert_array_equal(value, mask)
        pruned = net.gru.weight_hh_l0.detach().numpy()
        assert ((pruned == 0) == (masks["gru.weight_hh_l0_mask"] == 0)).all()
        assert not np.array_equal(pruned, start)
        state = {key: value.numpy().copy() for key, value in net.state_dict().items()}
        again = Net()
        with pytest.raises(
            StateDictError, match=r"missing: conv\.weight\n(?s:.*)conv\.weight_mask"
        ):
            again.load_state_dict(state)
        for module, name in ((again.conv, "weight"), (again.gru, "weight_hh_l0")):
            prune.identity(module, name)
        prune.identity(again.linear, "bias")
        again.load_state_dict(state)
        np.testing.assert_array_equal(again(x).detach().numpy(), net(x).detach().numpy())

    def test_goes_on_in_compiled_steps_also_where_more_is_pruned_later(self) -> None:
        def change(net: Net) -> None:
            prune.l1_unstructured(net.conv, "weight", 0.5)
            prune.l1_unstructured(net.gru, "weight_hh_l0", 0.5)

        same_bits(training_runs(change))
        layer = nn.Linear(4, 4)
        compiled = tg.compile(lambda x: layer(x).sum())
        for prune_more in (lambda: None, *[lambda: prune.l1_unstructured(layer, "weight", 5)] * 3):
            prune_more()
            for _ in range(2):
                x = tg.tensor(numbers(3, 4).astype(np.float32))
                assert compiled(x).detach().item() == layer(x).sum().detach().item()
        prune.remove(layer, "weight")
        assert compiled(x).detach().item() == layer(x).sum().detach().item()

    def test_is_seen_inside_of_a_module_and_undone_by_remove(self) -> None:
        net = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 1)))
        weight = net[1][0].weight
        assert not prune.is_pruned(net)
        prune.identity(net[1][0], "weight")
        assert prune.is_pruned(net)
        assert prune.is_pruned(net[1])
        assert not prune.is_pruned(net[0])
        assert net[1][0].weight_orig is weight
        prune.remove(net[1][0], "weight")
        assert not prune.is_pruned(net)
        assert net[1][0].weight is weight
        assert [name for name, _ in net.named_buffers()] == []
        prune.identity(net[1][0], "weight")  # as often as one likes
        assert prune.is_pruned(net)

    def test_is_copied_pickled_moved_and_frozen_with_the_module(self) -> None:
        layer = prune.l1_unstructured(nn.Linear(4, 3), "weight", 0.5)
        for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert prune.is_pruned(other)
            np.testing.assert_array_equal(other.weight.tolist(), layer.weight.tolist())
            other.weight_orig.data = np.full((3, 4), 2.0, np.float32)
            assert (
                sorted(
                    other.weight.numpy().ravel()
                    if not other.weight.requires_grad
                    else other.weight.detach().numpy().ravel()
                )
                == [0.0] * 6 + [2.0] * 6
            )
        layer.to(tg.float64).requires_grad_(False)
        assert layer.weight.dtype == np.float64
        assert not layer.weight.requires_grad
        layer.requires_grad_(True).eval()
        assert layer.weight.requires_grad

    def test_by_a_rule_of_ones_own_is_pytorchs(self) -> None:
        pruning = pytest.importorskip("torch.nn.utils.prune")

        class Ours(prune.BasePruningMethod):
            PRUNING_TYPE = "unstructured"

            def compute_mask(self, t: tg.Tensor, default_mask: tg.Tensor) -> tg.Tensor:
                return default_mask.reshape(-1).at[::2].set(0).reshape(t.shape)

        class Theirs(pruning.BasePruningMethod):  # type: ignore[misc, name-defined]
            PRUNING_TYPE = "unstructured"

            def compute_mask(self, t: Any, default_mask: Any) -> Any:
                mask = default_mask.clone()
                mask.view(-1)[::2] = 0
                return mask

        ours, theirs = twins("Linear", 5, 4)
        for _ in range(2):
            Ours.apply(ours, "weight")
            Theirs.apply(theirs, "weight")
        check_pruned(ours, theirs)

    def test_derivatives_pictures_and_steps_are_those_of_a_layer(self) -> None:
        def make() -> nn.Module:
            return prune.random_unstructured(nn.Linear(4, 3), "weight", 0.5)

        x = numbers(5, 4)
        derives_twice(make(), x)
        compiles_to_the_same_bits(make(), x.astype(np.float32))
        is_drawn(make(), x.astype(np.float32))
        repeats(make, [x.astype(np.float32)])

    @pytest.mark.parametrize(
        ("call", "error", "says"),
        [
            (
                lambda m: prune.l1_unstructured(m, "wieght", 1),
                ArgumentError,
                "no parameter 'wieght'; it has weight, bias",
            ),
            (
                lambda m: prune.l1_unstructured(nn.Sequential(m), "weight", 1),
                ArgumentError,
                r"has none.*'0\.weight'",
            ),
            (
                lambda m: prune.l1_unstructured(m.weight, "weight", 1),
                ArgumentTypeError,
                "takes a module",
            ),
            (lambda m: prune.l1_unstructured(m, "weight", -1), ArgumentError, "0 or more.*got -1"),
            (lambda m: prune.l1_unstructured(m, "weight", 1.5), ArgumentError, r"0 to 1.*got 1\.5"),
            (lambda m: prune.l1_unstructured(m, "weight", np.nan), ArgumentError, "got nan"),
            (
                lambda m: prune.l1_unstructured(m, "weight", 13),
                ArgumentError,
                "amount=13 is more than there are, 12",
            ),
            (lambda m: prune.l1_unstructured(m, "weight", "all"), ArgumentTypeError, "got 'all'"),
            (lambda m: prune.l1_unstructured(m, "weight", True), ArgumentTypeError, "got True"),
            (
                lambda m: prune.ln_structured(m, "bias", 1, 2, 0),
                ShapeError,
                r"two axes, got the shape \(3,\)",
            ),
            (lambda m: prune.ln_structured(m, "weight", 1, 2, 2), ShapeError, "dim=2"),
            (
                lambda m: prune.ln_structured(m, "weight", 4, 2, 0),
                ArgumentError,
                "more than there are, 3",
            ),
            (
                lambda m: prune.l1_unstructured(m, "weight", 1, tg.zeros((2, 2))),
                ShapeError,
                r"\(3, 4\); got \(2, 2\)",
            ),
            (
                lambda m: prune.custom_from_mask(m, "weight", tg.zeros(3)),
                ShapeError,
                r"mask has.*got \(3,\)",
            ),
            (
                lambda m: prune.custom_from_mask(m, "weight", [1]),
                ArgumentTypeError,
                r"tg\.tensor\(mask\)",
            ),
            (
                lambda m: prune.remove(m, "weight"),
                ArgumentError,
                "'weight' of Linear is not pruned",
            ),
            (
                lambda m: prune.global_unstructured(m, prune.L1Unstructured, amount=1),
                ArgumentTypeError,
                "pairs",
            ),
            (
                lambda m: prune.global_unstructured([m], prune.L1Unstructured, amount=1),
                ArgumentTypeError,
                "pairs",
            ),
            (
                lambda m: prune.global_unstructured([], prune.L1Unstructured, amount=1),
                ArgumentError,
                "at least one",
            ),
            (
                lambda m: prune.global_unstructured(
                    [(m, "weight")], prune.LnStructured, amount=1, n=2
                ),
                ArgumentTypeError,
                "type 'unstructured'",
            ),
            (lambda m: prune.is_pruned("net"), ArgumentTypeError, "takes a module"),
            (lambda m: prune.ln_structured(m, "weight", 1, "two", 0), ArgumentTypeError, "n is a"),
            (lambda m: prune.l1_unstructured(m, ["weight"], 1), ArgumentError, "no parameter"),
            (lambda m: prune.LnStructured(1), ArgumentTypeError, "'n'"),
            (
                lambda m: prune.global_unstructured(
                    [(m, "weight")], prune.L1Unstructured, tg.zeros(3), amount=1
                ),
                ArgumentTypeError,
                "a dict from",
            ),
        ],
    )
    def test_mistakes_are_explained_and_change_nothing(
        self, call: Callable[[Any], Any], error: type[Exception], says: str
    ) -> None:
        layer = nn.Linear(4, 3)
        before = {key: value.tolist() for key, value in layer.state_dict().items()}
        with pytest.raises(error, match=says):
            call(layer)
        assert {key: value.tolist() for key, value in layer.state_dict().items()} == before

    def test_the_pruned_parameter_cannot_be_set(self) -> None:
        layer = prune.identity(nn.Linear(4, 3), "weight")
        with pytest.raises(ArgumentTypeError, match=r"weight_orig \* weight_mask.*prune\.remove"):
            layer.weight = nn.Parameter(tg.zeros((3, 4)))
        with pytest.raises(ArgumentError, match=r"weight is computed already: weight_orig"):
            utils.weight_norm(layer)


# --- weight norm ---------------------------------------------------------------------------------

NORMALISED: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "Linear": ("Linear", (4, 3), {}),
    "Linear, columns": ("Linear", (4, 3), {"dim": 1}),
    "Linear, whole": ("Linear", (4, 3), {"dim": None}),
    "Linear, -1": ("Linear", (4, 3), {"dim": -1}),
    "Linear, bias": ("Linear", (4, 3), {"name": "bias"}),
    "Conv1d": ("Conv1d", (2, 3, 2), {}),
    "Conv1d, last": ("Conv1d", (2, 3, 2), {"dim": 2}),
}


def zeroed(module: nn.Module) -> None:
    nn.init.zeros_(module.weight)


@pytest.mark.numpy_only("is held against NumPy's numbers")
@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
class TestWeightNorm:
    @pytest.mark.parametrize("case", NORMALISED)
    def test_is_pytorchs(self, case: str) -> None:
        torch = pytest.importorskip("torch")
        layer, sizes, settings = NORMALISED[case]
        ours, theirs = twins(layer, *sizes)
        before = (
            ours.weight.numpy() if not ours.weight.requires_grad else ours.weight.detach().numpy()
        )
        assert utils.weight_norm(ours, **settings) is ours
        torch.nn.utils.weight_norm(theirs, **settings)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        for key, value in theirs.state_dict().items():
            np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=1e-13)
        np.testing.assert_allclose(ours.weight.detach().numpy(), before, rtol=1e-13)
        x = numbers(5, 4) if layer == "Linear" else numbers(5, 2, 7)
        agree(ours, theirs, x)
        name = settings.get("name", "weight")
        assert utils.remove_weight_norm(ours, name) is ours
        torch.nn.utils.remove_weight_norm(theirs, name)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        agree(ours, theirs, x)

    @pytest.mark.parametrize("dim", [0, 1, None])
    def test_keeps_the_lengths_that_are_learned(self, dim: int | None) -> None:
        layer = utils.weight_norm(nn.Linear(4, 3), dim=dim)
        layer.weight_v.data = tg.tensor(numbers(3, 4))
        layer.weight_g.data = tg.full(layer.weight_g.shape, 2.5)
        weight = layer.weight.detach().numpy()
        lengths = np.linalg.norm(weight, axis=None if dim is None else 1 - dim)
        np.testing.assert_allclose(lengths, 2.5, rtol=1e-6)

    def test_is_trained_in_compiled_steps(self) -> None:
        def change(net: Net) -> None:
            utils.weight_norm(net.conv)
            utils.weight_norm(net.gru, "weight_hh_l0", dim=None)
            utils.weight_norm(net.linear)

        same_bits(training_runs(change, CLIPPING["norm"]))

    def test_derivatives_pictures_and_steps_are_those_of_a_layer(self) -> None:
        def make() -> nn.Module:
            return utils.weight_norm(nn.Linear(4, 3))

        x = numbers(5, 4)
        derives_twice(make(), x)
        compiles_to_the_same_bits(make(), x.astype(np.float32))
        is_drawn(make(), x.astype(np.float32))
        repeats(make, [x.astype(np.float32)])

    def test_can_be_pruned_and_copied(self) -> None:
        layer = utils.weight_norm(nn.Linear(4, 3))
        prune.l1_unstructured(layer, "weight_v", 0.5)
        other = copy.deepcopy(layer)
        assert (other.weight == 0).sum().item() == 6
        assert pickle.loads(pickle.dumps(layer)).weight.tolist() == layer.weight.tolist()

    def test_mistakes_are_explained(self) -> None:
        layer = utils.weight_norm(nn.Linear(4, 3))
        for call, error, says in (
            (lambda: utils.weight_norm(layer), ArgumentError, "weight is computed already"),
            (
                lambda: utils.weight_norm(layer, "w"),
                ArgumentError,
                "it has bias, weight_g, weight_v",
            ),
            (lambda: utils.weight_norm(nn.Linear(2, 2), dim=2), ShapeError, "dim=2"),
            (lambda: utils.weight_norm(nn.ReLU()), ArgumentError, "it has none"),
            (
                lambda: utils.weight_norm(nn.Linear(2, 2).apply(zeroed)),
                ArgumentError,
                "a channel of zeros",
            ),
            (lambda: utils.weight_norm([layer]), ArgumentTypeError, "takes a module"),  # type: ignore[arg-type]
            (lambda: utils.remove_weight_norm(nn.Linear(2, 2)), ArgumentError, "no weight_norm"),
            (lambda: utils.remove_weight_norm(None), ArgumentTypeError, "takes a module"),  # type: ignore[arg-type]
        ):
            with pytest.raises(error, match=says):
                call()
        with pytest.raises(ArgumentTypeError, match=r"weight_g \* weight_v / ‖weight_v‖"):
            layer.weight = nn.Parameter(tg.zeros((3, 4)))


# --- any backend ---------------------------------------------------------------------------------


def trained(device: str) -> list[list[Any]]:
    """Return the numbers of layers that are pruned, normalised, clipped and trained on a device."""
    tg.seed(4)
    with tg.default_device(device):
        layers = nn.ModuleList([nn.Linear(4, 6), nn.Conv1d(4, 6, 3), nn.Linear(4, 6)])
        linear, conv, last = layers
        for layer in (linear, conv):
            prune.l1_unstructured(layer, "weight", 5)
            prune.ln_structured(layer, "weight", 1, 2, 0)
            prune.random_unstructured(layer, "weight", 3)
            prune.random_structured(layer, "weight", 1, 1)
        pairs = [(linear, "weight"), (conv, "weight")]
        prune.global_unstructured(pairs, prune.L1Unstructured, amount=4)
        utils.weight_norm(last)
        optimizer = tg.optim.SGD(layers.parameters(), lr=0.1)
        for power in (1, 2, 3, np.inf):
            x, signal = tg.full((2, 4), 0.5), tg.full((2, 4, 7), 0.5)
            outputs = [linear(x), conv(signal), last(x)]
            optimizer.zero_grad()
            sum((out * out).sum() for out in outputs).backward()
            utils.clip_grad_norm_(layers.parameters(), 0.5, power, error_if_nonfinite=True)
            utils.clip_grad_value_(layers.parameters(), 0.1)
            optimizer.step()
        vector = utils.parameters_to_vector(layers.parameters()).detach()
        utils.vector_to_parameters(0.5 * vector, layers.parameters())
        prune.remove(conv, "weight")
        assert {one.device for one in layers.state_dict().values()} == {linear.bias.device}
        return [one.to("cpu").tolist() for one in layers.state_dict().values()]


def test_every_backend_has_the_same_numbers() -> None:
    for here, on_cpu in zip(trained(tg.get_default_device()), trained("cpu"), strict=True):
        np.testing.assert_allclose(here, on_cpu, rtol=1e-5, atol=1e-6)
