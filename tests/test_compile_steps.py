"""Steps as users write them: compiled equals eager, bit for bit, over several calls."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn, trees
from tinygrad_lab.errors import ArgumentTypeError, CompileError, IndexingError, LinAlgError
from tinygrad_lab.nn import functional as F  # noqa: N812

Step = Callable[..., Any]
CALLS = 6


def normal(seed: int, *shape: int) -> tg.Tensor:
    return tg.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def labels(seed: int, size: int = 8, count: int = 3) -> tg.Tensor:
    return tg.tensor(np.random.default_rng(seed).integers(0, count, size))


class Net(nn.Module):
    """A layer, any module in between, and a layer."""

    def __init__(self, *between: nn.Module) -> None:
        super().__init__()
        self.first = nn.Linear(5, 6)
        self.between = nn.Sequential(*between)
        self.last = nn.Linear(6, 3)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return self.last(self.between(self.first(x)))


class Training:
    """A step, its parameters, and what is done before each call."""

    def __init__(
        self, model: nn.Module | None = None, optimizer: Any = tg.optim.Adam, **settings: Any
    ) -> None:
        self.model: Any = Net(nn.Tanh()) if model is None else model
        self.optimizer = optimizer(self.model.parameters(), **{"lr": 0.05, **settings})

    def loss(self, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        return F.cross_entropy(self.model(x), y)

    def step(self, x: tg.Tensor, y: tg.Tensor) -> Any:
        loss = self.loss(x, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def batch(self, call: int) -> tuple[Any, ...]:
        return normal(call, 8, 5), labels(call)

    def before(self, call: int) -> None:
        """Do what comes before a call."""

    def state(self) -> list[Any]:
        """Return everything that outlives a step."""
        remembered = self.optimizer.state_dict()["state"].values()
        return [
            *[value.numpy().copy() for value in self.model.state_dict().values()],
            *[None if p.grad is None else p.grad.numpy().copy() for p in self.model.parameters()],
            *[np.asarray(part) for one in remembered for part in one.values()],
        ]


class Function(Training):
    """A step without a model."""

    def __init__(self, step: Step, *batch: Callable[[int], Any], keeps: Any = ()) -> None:
        self.step = step  # type: ignore[method-assign]
        self.arguments, self.keeps = batch, keeps

    def batch(self, call: int) -> tuple[Any, ...]:
        return tuple(argument(call) for argument in self.arguments)

    def state(self) -> list[Any]:
        return [tensor.detach().numpy().copy() for tensor in self.keeps]


def numbers_in(result: Any) -> list[Any]:
    leaves, _ = trees.flatten(result)
    return [x.detach().numpy().copy() if isinstance(x, tg.Tensor) else x for x in leaves]


def assert_same(mine: list[Any], theirs: list[Any]) -> None:
    assert len(mine) == len(theirs)
    for one, other in zip(mine, theirs, strict=True):
        assert (one is None) is (other is None)
        np.testing.assert_array_equal(one, other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


def run(make: Callable[[], Training], *, compiled: bool) -> tuple[list[Any], Any]:
    """Return, after each call, its result, the state, and the next random draw."""
    tg.seed(0)
    training = make()
    step = tg.compile(training.step) if compiled else training.step
    seen = []
    for call in range(CALLS):
        training.before(call)
        returned = numbers_in(step(*training.batch(call)))
        seen.append([returned, training.state(), [tg.random.normal(2).numpy()]])
    return seen, step


def check(make: Callable[[], Training], *, replays: int | None = 1) -> Any:
    """Check that compiled equals eager, with this many replays; return the compiled step."""
    mine, step = run(make, compiled=True)
    theirs, _ = run(make, compiled=False)
    for one, other in zip(mine, theirs, strict=True):
        for part, twin in zip(one, other, strict=True):
            assert_same(part, twin)
    assert replays is None or len(step._replays) == replays
    return step


def variant(**methods: Any) -> type[Training]:
    """Return a training with some of its methods replaced."""
    return type("Variant", (Training,), methods)


class TestFunctions:
    @pytest.mark.parametrize(
        "function",
        [
            tg.grad(lambda x: (x.tanh() ** 2).sum()),
            tg.value_and_grad(lambda x: (x.tanh() ** 2).sum()),
            tg.grad(lambda x: (tg.grad(lambda z: (z.tanh() ** 3).sum())(x) ** 2).sum()),
            tg.hessian(lambda x: (x.tanh() ** 3).sum()),
            tg.jacobian(lambda x: x.tanh() * x.sum()),
            lambda x: tg.jvp(lambda z: z.tanh() * z.sum(), (x,), (x * 2.0,)),
            lambda x: tg.hvp(lambda z: (z.tanh() ** 3).sum(), x, x + 1.0),
            lambda x: {"a": x.tanh(), "b": [x[0], x.T, x], "c": (x.sum(), 3, "same")},
            lambda x: (x > 0, tg.where(x > 0, x, -x), x.argmax(axis=0), tg.sort(x)),
            tg.grad(lambda x: tg.einsum("ij,jk,kl->il", x, x, x).sum()),
            tg.grad(lambda x: (x[tg.tensor([0, 2, 2])] * x[1:, None, 0].sum() + x[..., -1]).sum()),
            tg.grad(lambda x: tg.inv(x).sum() + tg.det(x)),
            tg.grad(lambda x: tg.svd(x, full_matrices=False).S.sum()),
            tg.grad(lambda x: tg.eigh(x + x.T)[0][0]),
            tg.grad(lambda x: tg.cholesky(x @ x.T + 3.0 * tg.eye(3)).sum()),
            tg.grad(lambda x: (tg.cumulative_sum(x, axis=0) * tg.roll(x, 1, axis=0)).sum()),
            lambda x: (x.at[1].set(0.0), x.at[0].add(x[1])),
            lambda x: tg.linspace(0, 1, 3) * x + tg.arange(3) + tg.zeros(3),
        ],
    )
    def test_of_many_kinds(self, function: Step) -> None:
        check(lambda: Function(function, lambda call: normal(call, 3, 3)))

    def test_of_tensors_of_any_layout_and_dtype(self) -> None:
        check(lambda: Function(lambda x: (x @ x.T, x.sum(axis=0)), lambda n: normal(n, 3, 4).T))
        check(lambda: Function(lambda x: x[:, 1] * 2.0, lambda n: normal(n, 6, 4)[::2]))
        check(lambda: Function(lambda i: (i + 1, i * 2, i // 2), lambda n: labels(n, 5)))
        check(lambda: Function(lambda x: (x * 2.0, x.sum()), lambda n: normal(n, 0, 3)))

    def test_of_a_tensor_without_axes_however_it_came_to_be(self) -> None:
        check(
            lambda: Function(
                lambda x, s: x * s,
                lambda n: normal(n, 3),
                lambda n: normal(n, 4).sum() if n % 2 else tg.tensor(np.float32(n)),
            )
        )

    def test_that_are_given_one_tensor_twice_and_then_two(self) -> None:
        xs = [normal(call, 3) for call in range(CALLS)]
        check(
            lambda: Function(
                lambda x, y: x * y + x,
                lambda n: xs[n],
                lambda n: xs[n] if n < 4 else normal(77, 3),
            )
        )

    def test_that_are_given_the_same_leaves_in_another_way(self) -> None:
        step = tg.compile(lambda a, b=None, **more: a - (more["c"] if b is None else b))
        x, y = tg.tensor([5.0]), tg.tensor([3.0])
        for _ in range(3):
            assert step(x, y).item() == step(a=x, b=y).item() == step(b=y, a=x).item() == 2.0
            assert step(b=x, a=y).item() == -2.0
            assert step(x, c=y).item() == 2.0
        nested = tg.compile(lambda *parts: sum(len(p) * p[0] for p in parts if isinstance(p, list)))
        for _ in range(3):
            assert nested([x, y]).item() == 10.0
            assert nested([x], y).item() == 5.0
            assert nested(y, [x]).item() == 5.0
        with pytest.raises(TypeError, match="missing 1 required"):
            step()

    def test_that_are_methods(self) -> None:
        class Scaling:
            def __init__(self, factor: float) -> None:
                self.factor = tg.tensor([factor])

            @tg.compile
            def step(self, x: tg.Tensor) -> tg.Tensor:
                return self.factor * x

        two, three = Scaling(2.0), Scaling(3.0)
        for _ in range(4):
            assert two.step(tg.ones(1)).item() == 2.0
            assert three.step(tg.ones(1)).item() == 3.0
        assert "factor" in two.step.source
        another = copy.deepcopy(two)
        another.factor.data = another.factor * 2.0
        assert (another.step(tg.ones(1)).item(), two.step(tg.ones(1)).item()) == (4.0, 2.0)

    def test_that_are_none_are_refused(self) -> None:
        with pytest.raises(ArgumentTypeError, match="expected a function, got int"):
            tg.compile(3)  # type: ignore[arg-type]

    def test_that_set_data_of_an_argument_run_uncompiled(self) -> None:
        x = normal(0, 3)

        def double(x: tg.Tensor) -> tg.Tensor:
            x.data = x * 2.0
            return x.sum()

        with pytest.warns(UserWarning, match="sets .data or .grad of an argument"):
            tg.compile(double)(x)
        assert x.tolist() == (normal(0, 3) * 2.0).tolist()

    def test_on_other_devices_run_uncompiled(self) -> None:
        w = tg.tensor([2.0], device="strict:1")
        with pytest.warns(UserWarning, match="becomes NumPy code, and x is on strict:1"):
            assert tg.compile(lambda x: x * 2.0)(w).tolist() == [4.0]
        with pytest.warns(UserWarning, match="is on strict:1"):
            assert tg.compile(lambda: w * 2.0)().tolist() == [4.0]


class TestModels:
    @pytest.mark.parametrize(
        "between",
        [
            [nn.Dropout(0.5), nn.ReLU()],
            [nn.BatchNorm1d(6), nn.ReLU()],
            [nn.LayerNorm(6), nn.GELU()],
            [nn.ELU(), nn.LeakyReLU(), nn.SiLU(), nn.Sigmoid(), nn.Softplus()],
        ],
        ids=["dropout", "batch norm", "layer norm", "activations"],
    )
    def test_with_layers_in_between(self, between: list[nn.Module]) -> None:
        check(lambda: Training(Net(*[type(one)(*_arguments(one)) for one in between])))

    @pytest.mark.parametrize(
        ("layers", "shape"),
        [
            (
                lambda: [
                    nn.Conv2d(2, 4, 3, padding=1),
                    nn.BatchNorm2d(4),
                    nn.ReLU(),
                    nn.MaxPool2d(2),
                    nn.Conv2d(4, 4, 3, stride=2),
                    nn.AdaptiveAvgPool2d(1),
                    nn.Flatten(),
                    nn.Linear(4, 3),
                ],
                (8, 2, 8, 8),
            ),
            (
                lambda: [
                    nn.Conv2d(2, 4, 3, padding=1, groups=2, dilation=2),
                    nn.Tanh(),
                    nn.AvgPool2d(2),
                    nn.Flatten(),
                    nn.Linear(36, 3),
                ],
                (8, 2, 8, 8),
            ),
            (
                lambda: [
                    nn.Conv1d(1, 4, 3),
                    nn.ReLU(),
                    nn.MaxPool1d(2, stride=1),
                    nn.AdaptiveAvgPool1d(3),
                    nn.ConvTranspose1d(4, 3, 3, stride=2),
                    nn.Flatten(),
                    nn.Linear(21, 3),
                ],
                (8, 1, 10),
            ),
            (
                lambda: [
                    nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1),
                    nn.AvgPool2d(2),
                    nn.Flatten(),
                    nn.Linear(27, 3),
                ],
                (8, 2, 4, 4),
            ),
        ],
        ids=["2d", "groups", "1d", "transposed"],
    )
    def test_with_convolutions(self, layers: Callable[[], Any], shape: tuple[int, ...]) -> None:
        images = variant(batch=lambda self, call: (normal(call, *shape), labels(call)))
        check(lambda: images(nn.Sequential(*layers())))

    def test_with_an_embedding(self) -> None:
        class Words(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embedding = nn.Embedding(7, 5, padding_idx=0)
                self.linear = nn.Linear(5, 3)

            def forward(self, words: tg.Tensor) -> tg.Tensor:
                return self.linear(self.embedding(words).mean(axis=1))

        texts = variant(batch=lambda self, call: (labels(call, 32, 7).reshape(8, 4), labels(call)))
        check(lambda: texts(Words()))

    def test_with_attention(self) -> None:
        class Attention(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.q, self.k, self.v = (nn.Linear(5, 5) for _ in range(3))
                self.norm, self.out = nn.LayerNorm(5), nn.Linear(5, 3)

            def forward(self, x: tg.Tensor) -> tg.Tensor:
                weights = F.softmax(self.q(x) @ self.k(x).mT / 5**0.5, dim=-1)
                return self.out(self.norm(x + weights @ self.v(x)).mean(axis=1))

        texts = variant(batch=lambda self, call: (normal(call, 8, 6, 5), labels(call)))
        check(lambda: texts(Attention(), tg.optim.AdamW, weight_decay=0.01))

    def test_with_a_tied_weight(self) -> None:
        def tied() -> nn.Module:
            layers = [nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5), nn.Linear(5, 3)]
            layers[2].weight = layers[0].weight
            return nn.Sequential(*layers)

        check(lambda: Training(tied()))

    def test_with_a_checkpoint(self) -> None:
        def loss(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            h = tg.checkpoint(lambda x: self.model.between(self.model.first(x)), x)
            return F.cross_entropy(self.model.last(h), y)

        check(lambda: variant(loss=loss)(Net(nn.ReLU(), nn.Dropout(0.3))))

    def test_with_a_hidden_state_that_goes_round(self) -> None:
        def step(self: Any, x: tg.Tensor) -> tg.Tensor:
            out, h = self.model(x, self.h)
            loss = (out * out).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.h.data = h
            return loss

        class Recurrent(Training):
            def __init__(self) -> None:
                super().__init__(nn.GRU(5, 4, batch_first=True))
                self.h = tg.zeros((1, 2, 4))

            def state(self) -> list[Any]:
                return [*super().state(), self.h.numpy().copy()]

            def batch(self, call: int) -> tuple[Any, ...]:
                return (normal(call, 2, 3, 5),)

        Recurrent.step = step  # type: ignore[method-assign]
        check(Recurrent)


def _arguments(layer: Any) -> list[Any]:
    """Return the arguments of a layer."""
    return [
        getattr(layer, name)
        for name in ("p", "num_features", "normalized_shape")
        if hasattr(layer, name)
    ]


class TestSteps:
    def test_with_two_optimisers(self) -> None:
        class Two(Training):
            def __init__(self) -> None:
                super().__init__()
                self.optimizer = tg.optim.Adam(self.model.first.parameters(), lr=0.05)
                self.other = tg.optim.SGD(self.model.last.parameters(), lr=0.1, momentum=0.9)

            def step(self, x: tg.Tensor, y: tg.Tensor) -> Any:
                self.other.zero_grad()
                loss = super().step(x, y)
                self.other.step()
                return loss

        check(Two)

    def test_that_train_two_nets_against_each_other(self) -> None:
        class Against(Training):
            def __init__(self) -> None:
                super().__init__()
                self.judge = nn.Linear(3, 1)
                self.other = tg.optim.Adam(self.judge.parameters(), lr=0.1)

            def step(self, x: tg.Tensor, y: tg.Tensor) -> Any:
                made = self.model(x)
                first = F.softplus(self.judge(made.detach())).mean()
                self.other.zero_grad()
                first.backward()
                self.other.step()
                second = F.softplus(-self.judge(made)).mean()
                self.optimizer.zero_grad()
                second.backward()
                self.optimizer.step()
                return first, second

        check(Against)

    def test_that_only_add_to_gradients(self) -> None:
        def step(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            loss = self.loss(x, y) * 0.5
            loss.backward()
            return loss

        def before(self: Any, call: int) -> None:
            if call % 2 == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()

        # One recording sets the first gradient, another adds to it.
        check(variant(step=step, before=before), replays=2)

    def test_that_go_through_several_batches(self) -> None:
        def step(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            self.optimizer.zero_grad()
            for rows in (slice(0, 4), slice(4, 8)):
                loss = self.loss(x[rows], y[rows]) * 0.5
                loss.backward()
            self.optimizer.step()
            return loss

        check(variant(step=step))

    def test_that_update_several_times(self) -> None:
        def step(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            for _ in range(3):
                loss = Training.step(self, x, y)
            return loss

        check(variant(step=step))

    def test_that_clip_gradients_by_their_norm(self) -> None:
        def step(self: Any, x: tg.Tensor, y: tg.Tensor) -> Any:
            loss = self.loss(x, y)
            self.optimizer.zero_grad()
            loss.backward()
            with tg.no_grad():
                norm = sum((p.grad * p.grad).sum() for p in self.model.parameters()).sqrt()
                scale = tg.minimum(1.0, 0.1 / norm)
                for p in self.model.parameters():
                    p.grad = p.grad * scale
            self.optimizer.step()
            return loss, norm

        check(variant(step=step))

    def test_that_update_by_hand_and_keep_a_mean_of_the_parameters(self) -> None:
        class ByHand(Training):
            def __init__(self) -> None:
                super().__init__()
                self.mean = [tg.tensor(p.detach()) for p in self.model.parameters()]

            def step(self, x: tg.Tensor, y: tg.Tensor) -> Any:
                loss = self.loss(x, y)
                gradients = tg.autograd.grad(loss, list(self.model.parameters()))
                with tg.no_grad():
                    for p, g, mean in zip(
                        self.model.parameters(), gradients, self.mean, strict=True
                    ):
                        p.data = (p - 0.1 * g).clip(-0.3, 0.3)
                        mean.data = 0.9 * mean + 0.1 * p
                return loss

            def state(self) -> list[Any]:
                return [*super().state(), *[mean.numpy().copy() for mean in self.mean]]

        check(ByHand)

    def test_that_evaluate_and_train(self) -> None:
        def step(self: Any, x: tg.Tensor, y: tg.Tensor) -> Any:
            self.model.eval()
            with tg.no_grad():
                before = (self.model(x).argmax(axis=1) == y).sum()
            self.model.train()
            return before, Training.step(self, x, y)

        check(lambda: variant(step=step)(Net(nn.BatchNorm1d(6), nn.Dropout(0.5))))

    def test_that_leave_a_module_in_another_mode_run_uncompiled(self) -> None:
        def step(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            self.model.train()
            loss = Training.step(self, x, y)
            self.model.eval()
            return loss

        with pytest.warns(UserWarning, match="changes the mode"):
            check(lambda: variant(step=step)(Net(nn.Dropout(0.5))), replays=0)

    def test_that_draw_random_numbers(self) -> None:
        generator = tg.Generator(3)

        def noisy(x: tg.Tensor) -> tg.Tensor:
            noise = tg.random.normal(x.shape) + tg.random.uniform(x.shape, generator=generator)
            kept = tg.random.bernoulli(x.shape, 0.5, dtype=tg.float32)
            picked = x[tg.random.permutation(4)] * tg.random.integers(4, 0, 10)
            return x + noise * kept + picked + tg.random.choice(9, 4)

        def make() -> Function:
            generator.seed(3)
            return Function(noisy, lambda call: normal(call, 4, 4))

        step = check(make)
        assert "normal(generator, (4, 4), 0.0, 1.0" in step.source

    def test_that_are_hooked_regularised_and_differentiated_twice(self) -> None:
        def loss(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            slope = tg.grad(lambda x: F.cross_entropy(self.model(x), y))(x)
            squares = sum((p * p).sum() for p in self.model.parameters())
            return Training.loss(self, x, y) + (slope * slope).sum() + 0.01 * squares

        def make() -> Training:
            training = variant(loss=loss)()
            training.model.first.weight.register_hook(lambda g: g * 0.5)
            return training

        check(make)

    def test_that_return_parameters_and_gradients(self) -> None:
        def step(self: Any, x: tg.Tensor, y: tg.Tensor) -> Any:
            Training.step(self, x, y)
            weight = self.model.first.weight
            return weight, weight.grad, weight[0], weight.T

        check(variant(step=step))


class TestChangesBetweenCalls:
    def check(self, before: Callable[[Any, int], None], replays: int | None = None) -> None:
        check(lambda: variant(before=before)(Net(nn.Dropout(0.5))), replays=replays)

    def test_of_settings_and_schedules(self) -> None:
        def before(self: Any, call: int) -> None:
            self.optimizer.param_groups[0]["lr"] = 0.1 / (call + 1)
            self.optimizer.param_groups[0]["betas"] = (0.9 - 0.1 * (call > 2), 0.99)

        self.check(before, replays=1)

    def test_of_parameters_and_gradients(self) -> None:
        def before(self: Any, call: int) -> None:
            weight = self.model.first.weight
            if call in (2, 4):
                weight.data = np.full((6, 5), 0.1 * call, dtype=np.float32)
            if call == 3:
                weight.grad = None
            if call == 5:
                weight.requires_grad_(False)

        self.check(before)

    def test_of_what_a_name_stands_for(self) -> None:
        def before(self: Any, call: int) -> None:
            if call == 3:
                self.model = Net(nn.ReLU())
                self.optimizer = tg.optim.SGD(self.model.parameters(), lr=0.1)

        self.check(before, replays=2)

    def test_of_parts_of_the_model_and_their_numbers(self) -> None:
        def before(self: Any, call: int) -> None:
            if call == 2:
                self.model.between[0].p = 0.1
            if call == 4:
                self.model.first = nn.Linear(5, 6)

        self.check(before)

    def test_of_groups_of_parameters(self) -> None:
        class Grouped(Training):
            def __init__(self) -> None:
                super().__init__()
                self.optimizer = tg.optim.Adam(self.model.first.parameters(), lr=0.1)

            def before(self, call: int) -> None:
                if call == 3:
                    rest = list(self.model.last.parameters())
                    self.optimizer.add_param_group({"params": rest, "lr": 0.01})

        check(Grouped, replays=2)

    def test_of_a_number_that_a_helper_refers_to(self) -> None:
        def make() -> Function:
            temperature = 1.0

            def helper(x: tg.Tensor) -> tg.Tensor:
                return x / temperature

            def change(call: int) -> tg.Tensor:
                nonlocal temperature
                temperature = 1.0 if call < 3 else 2.0
                return normal(call, 3)

            return Function(lambda x: helper(x) * 2.0, change)

        check(make, replays=2)

    def test_of_what_is_in_a_list_or_a_dict(self) -> None:
        weights, numbers = [tg.tensor([1.0]), tg.tensor([2.0])], {"scale": 3.0}
        step = tg.compile(lambda x: x * weights[0] * numbers["scale"])
        x = tg.tensor([1.0])

        def results() -> list[float]:
            return [step(x).item() for _ in range(4)]

        assert results() == [3.0] * 4
        weights[0] = tg.tensor([5.0])
        assert results() == [15.0] * 4
        numbers["scale"] = 7.0
        assert results() == [35.0] * 4
        weights.reverse()
        assert results() == [14.0] * 4
        numbers.clear()
        with pytest.raises(KeyError):
            step(x)

    def test_of_a_list_that_grows_at_each_call_are_told(self) -> None:
        calls: list[str] = []

        @tg.compile
        def step(x: tg.Tensor) -> tg.Tensor:
            calls.append("called")
            return x * float(len(calls))

        with pytest.warns(UserWarning, match="calls differs from call to call"):
            results = [step(tg.tensor([1.0])).item() for _ in range(12)]
        assert results == [float(k + 1) for k in range(12)]

    def test_of_the_default_dtype(self) -> None:
        step = tg.compile(lambda x: x + tg.ones(1))
        x = tg.tensor([1.0], dtype=tg.float32)
        try:
            found = []
            for dtype in (tg.float32, tg.float64, tg.float32):
                tg.set_default_dtype(dtype)
                found += [step(x).dtype for _ in range(4)]
        finally:
            tg.set_default_dtype(tg.float32)
        assert found == [tg.float32] * 4 + [tg.float64] * 4 + [tg.float32] * 4
        assert len(step._replays) == 2

    def test_of_a_gradient_for_a_parameter_that_the_step_clears_at_its_end(self) -> None:
        def losses(compiled: bool) -> list[list[float]]:
            used, idle = (tg.tensor([1.0], requires_grad=True) for _ in range(2))
            optimizer = tg.optim.SGD([used, idle], lr=0.1)

            def step(x: tg.Tensor) -> tg.Tensor:
                loss = (used * x).sum()
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                return loss

            run = tg.compile(step) if compiled else step
            found = []
            for call in range(8):
                if call in (4, 6):
                    idle.grad = tg.tensor([1.0])
                run(tg.tensor([1.0]))
                found.append([used.item(), idle.item()])
            return found

        assert losses(compiled=True) == losses(compiled=False)

    def test_of_a_gradient_whose_tensor_is_not_used(self) -> None:
        w = tg.tensor([1.0], requires_grad=True)
        step = tg.compile(lambda x: w.grad * x)
        results = []
        for call in range(8):
            if call % 4 == 0:
                w.grad = tg.tensor([call + 1.0])
            else:
                (w * w).sum().backward()
            results.append(step(tg.tensor([1.0])).item())
        assert results == [1.0, 3.0, 5.0, 7.0, 5.0, 7.0, 9.0, 11.0]

    def test_of_the_data_of_a_gradient(self) -> None:
        w = tg.tensor([1.0], requires_grad=True)
        w.grad = tg.tensor([1.0])
        step = tg.compile(lambda x: w.grad * x)
        for call in range(8):
            w.grad.data = np.array([call], dtype=np.float32)
            assert step(tg.tensor([2.0])).item() == 2.0 * call

    def test_of_two_tensors_with_one_gradient_run_uncompiled(self) -> None:
        w, v = (tg.tensor([1.0], requires_grad=True) for _ in range(2))
        step = tg.compile(lambda x: (w.grad + v.grad) * x)
        w.grad = v.grad = tg.tensor([1.0])
        with pytest.warns(UserWarning, match=r"two tensors share one \.grad"):
            assert [step(tg.tensor([2.0])).item() for _ in range(4)] == [4.0] * 4
        v.grad = tg.tensor([5.0])
        assert step(tg.tensor([2.0])).item() == 12.0

    def test_that_never_end_are_told_and_the_step_runs_as_it_is(self) -> None:
        class Counting:
            def __init__(self) -> None:
                self.number = 0

            def step(self, x: tg.Tensor) -> tg.Tensor:
                self.number += 1
                return x * self.number

        counting = Counting()
        step = tg.compile(counting.step)
        with pytest.warns(UserWarning, match="number differs from call to call") as caught:
            results = [step(tg.tensor([1.0])).item() for _ in range(12)]
        assert results == [float(k + 1) for k in range(12)]
        assert len(caught) == 1


class TestWhatWouldBeFrozen:
    def refused(self, step: Any, match: str) -> None:
        """Check that the step raises the error, and restores everything."""
        tg.seed(0)
        training = variant(step=step)(Net(nn.BatchNorm1d(6), nn.Dropout(0.5)))
        training.saved = []
        before, settings = training.state(), dict(training.optimizer.param_groups[0])
        expected = tg.Generator(0)
        expected.set_state(tg.random.default_generator.get_state())
        with pytest.raises(CompileError, match=match) as caught:
            tg.compile(training.step)(*training.batch(0))
        assert "test_compile_steps.py:" in str(caught.value)
        assert len(training.optimizer.param_groups) == 1
        # By then, an optimiser may have made its moments, which are zeros.
        assert_same(training.state()[: len(before)], before)
        assert training.optimizer.param_groups[0]["lr"] == settings["lr"]
        # The draws of dropout were undone, too.
        assert tg.random.default_generator.get_state() == expected.get_state()

    def test_a_tensor_that_is_kept(self) -> None:
        def step(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            loss = Training.step(self, x, y)
            self.saved.append(loss)
            return loss

        self.refused(step, "kept after its end[\\s\\S]*Return it")

    def test_a_detached_activation_or_parameter_that_is_kept(self) -> None:
        def activation(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            self.saved.append(self.model.first(x).detach())
            return Training.step(self, x, y)

        def parameter(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            self.saved.append(self.model.first.weight.detach())
            return Training.step(self, x, y)

        self.refused(activation, r"kept after its end[\s\S]*self\.model\.first")
        tg.seed(0)
        training = variant(step=parameter)()
        training.saved = []
        with pytest.raises(CompileError, match="kept after its end"):
            tg.compile(training.step)(*training.batch(0))

    def test_a_setting_of_the_optimiser(self) -> None:
        def first(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            self.optimizer.param_groups[0]["lr"] *= 0.5
            return Training.step(self, x, y)

        def last(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            loss = Training.step(self, x, y)
            self.optimizer.param_groups[0]["lr"] *= 0.5
            return loss

        for step in (first, last):
            self.refused(step, "another lr of the optimiser")

    def test_a_group_of_the_optimiser(self) -> None:
        def step(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            self.optimizer.add_param_group({"params": [tg.zeros(1, requires_grad=True)]})
            return Training.step(self, x, y)

        self.refused(step, "another group of parameters")

    def test_what_hangs_together_in_a_circle_is_not_kept(self) -> None:
        def step(x: tg.Tensor) -> tg.Tensor:
            circle: list[Any] = [x * 2.0]
            circle.append(circle)
            return circle[0]

        check(lambda: Function(step, lambda call: normal(call, 3)))

    def test_a_branch_on_data(self) -> None:
        def step(self: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            loss = Training.step(self, x, y)
            return loss if loss > 1.0 else loss * 2.0

        self.refused(step, "bool, if|item")

    @pytest.mark.parametrize("read", [float, bool, str, np.asarray, tg.Tensor.tolist])
    def test_the_numbers_of_a_tensor_that_was_there_before(self, read: Callable[..., Any]) -> None:
        threshold, number = tg.tensor([2.0]), tg.scalar(2.0).detach()
        for tensor in (threshold, number):
            with pytest.raises(CompileError, match="may differ from call to call"):
                tg.compile(lambda x, tensor=tensor: x * float(bool(read(tensor))))(normal(0, 3))

    def test_a_copy_made_in_the_step_is_a_new_one_at_each_call(self) -> None:
        def make() -> Function:
            w = tg.tensor([1.0, 2.0])

            def step(x: tg.Tensor) -> tg.Tensor:
                before, copied = w.detach(), tg.tensor(w)
                w.data = w + x
                return w * before + copied

            # The first two calls leave w unchanged: they would agree even if it were frozen.
            return Function(step, lambda call: tg.full(2, float(call > 1)), keeps=[w])

        check(make)

    def test_as_many_elements_as_there_may_be(self) -> None:
        for function in (lambda x: x[x > 0], tg.nonzero, tg.unique_values):
            with pytest.raises(CompileError, match="may differ from call to call"):
                tg.compile(function)(normal(0, 3))

    def test_numpy_s_own_random_numbers(self) -> None:
        rng = np.random.default_rng(0)
        step = tg.compile(lambda x: x + tg.tensor(rng.normal(size=3).astype(np.float32)))
        before = rng.bit_generator.state
        with pytest.raises(CompileError, match=r"draws from rng[\s\S]*as an argument"):
            step(normal(0, 3))
        assert rng.bit_generator.state == before


class TestFailuresOfAReplay:
    def trained(self, compiled: bool) -> tuple[Any, Any]:
        tg.seed(0)
        training = Training(Net(nn.BatchNorm1d(6), nn.Dropout(0.5)))
        step: Any = tg.compile(training.step) if compiled else training.step
        for call in range(3):
            step(*training.batch(call))
        return training, step

    def test_leave_statistics_parameters_and_generators_as_the_uncompiled_step_does(self) -> None:
        seen = []
        for compiled in (True, False):
            training, step = self.trained(compiled)
            with pytest.raises(IndexingError, match="labels"):
                step(normal(9, 8, 5), tg.tensor(np.full(8, 3)))
            state = training.state()
            assert all(isinstance(one, np.ndarray | None) for one in state)
            step(*training.batch(4))
            drawn = str(tg.random.default_generator.get_state())
            seen.append([*state, *training.state(), np.array(drawn)])
            assert not compiled or len(step._replays) == 1
        assert_same(*seen)

    def test_say_what_the_step_says(self) -> None:
        inverse = tg.compile(lambda x: tg.inv(x))
        rows = tg.compile(lambda x, i: x[i])
        for call in range(3):
            inverse(normal(call, 3, 3))
            rows(normal(call, 3, 3), labels(call, 2))
        with pytest.raises(LinAlgError, match="singular"):
            inverse(tg.zeros((3, 3)))
        with pytest.raises(IndexingError, match="-3 to 2"):
            rows(normal(0, 3, 3), tg.tensor([0, 7]))

    def test_of_a_recording_say_what_the_step_says(self) -> None:
        with pytest.raises(LinAlgError, match="singular"):
            tg.compile(lambda x: tg.inv(x))(tg.zeros((3, 3)))

    def test_halfway_do_not_update_twice(self) -> None:
        """Fail a check after an update: the replay starts over."""

        def make() -> Function:
            w = tg.tensor([[2.0, 1.0], [1.0, 2.0]])

            def step(x: tg.Tensor) -> tg.Tensor:
                w.data = w + x
                # If a determinant is 0, its gradient is computed in another way.
                return tg.grad(lambda x: tg.det(x))(w * 1.0)

            changes = [0.0, 0.0, 0.0, -0.5, 0.0, 0.0]
            return Function(step, lambda call: tg.full((2, 2), changes[call]), keeps=[w])

        def singular() -> Function:
            function = make()
            w = function.keeps[0]
            w.data = np.array([[1.0, 1.0], [1.0, 2.0]], dtype=np.float32)
            return function

        check(make)
        check(singular)

        def crossing() -> Function:
            w = tg.tensor([[1.0, 2.0], [2.0, 5.0]])
            changes = [[0, 0], [0, 0], [0, 0], [0, -1], [0, 0], [0, 1]]

            def step(x: tg.Tensor) -> tg.Tensor:
                w.data = w + x
                return tg.grad(lambda x: tg.det(x))(w * 1.0)

            def change(call: int) -> tg.Tensor:
                return tg.tensor([[0.0, 0.0], [float(c) for c in changes[call]]])

            return Function(step, change, keeps=[w])

        check(crossing, replays=None)


class TestTheSource:
    def test_calls_keyword_arguments_by_their_names(self) -> None:
        step = tg.compile(lambda first, second: first - second)
        for _ in range(3):
            step(second=normal(0, 3), first=normal(1, 3))
        assert "first - second" in step.source

    def test_draws_in_the_order_of_the_step(self, tmp_path: Path) -> None:
        drop = nn.Dropout(0.5)

        def noisy(x: tg.Tensor) -> tg.Tensor:
            return drop(x) * tg.random.normal((2, 3)) + x[tg.random.permutation(2)]

        step, x = tg.compile(noisy), normal(0, 2, 3)
        for _ in range(3):
            step(x)
        step.save(tmp_path / "noisy.py")
        names: dict[str, Any] = {"__file__": str(tmp_path / "noisy.py")}
        exec((tmp_path / "noisy.py").read_text(), names)
        state = names["load_state"]()
        for _ in range(3):
            assert names["step"](x.numpy(), state).tolist() == step(x).tolist()


def test_warnings_come_once() -> None:
    step = tg.compile(lambda x: x * x)
    x = tg.tensor([3.0], requires_grad=True)
    with pytest.warns(UserWarning, match=r"x\.detach\(\)"):
        step(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(x)
