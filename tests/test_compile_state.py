"""Compiled steps and the Python around them: what a step read may change between its calls.

Each program runs twice, as it is and compiled, over several calls with changes in between, and
tells what it saw. A compiled step sees the same, or refuses with the user's line.
"""

import contextlib
import copy
import functools
import itertools
import random
import signal
import sysconfig
import warnings
from collections import OrderedDict, deque, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn, trees
from tinygrad_lab.errors import CompileError

from .little_states import check_state

Compile = Callable[[Any], Any]
Program = Callable[[Compile], Iterator[Any]]

CALLS = range(6)
ONE = tg.tensor([1.0, 2.0])
PROGRAMS: dict[str, Program] = {}
REFUSED: dict[str, str] = {}
"""Programs whose step is refused, with what the error says."""
UNCOMPILED: dict[str, str] = {}
"""Programs whose step runs uncompiled, with what the warning says."""


def program(function: Program) -> Program:
    PROGRAMS[function.__name__] = function
    return function


def refused(match: str) -> Callable[[Program], Program]:
    def mark(function: Program) -> Program:
        REFUSED[function.__name__] = match
        return function

    return mark


def uncompiled(match: str) -> Callable[[Program], Program]:
    def mark(function: Program) -> Program:
        UNCOMPILED[function.__name__] = match
        return program(function)

    return mark


def seen(result: Any) -> Any:
    """Return the numbers in a result, as they are now."""
    leaves, _ = trees.flatten(result)
    return [
        (np.array(x.detach().numpy() if isinstance(x, tg.Tensor) else x).tolist(), str(type(x)))
        for x in leaves
    ]


def attempt(step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a call returns, or what kind of error it raises."""
    try:
        return step(*args, **kwargs)
    except CompileError:
        raise
    except (ValueError, AssertionError, RuntimeError, KeyError, FloatingPointError) as error:
        return f"raised {type(error).__name__}: {error}"


def run(function: Program, compile_: Compile) -> tuple[list[Any], list[str]]:
    tg.seed(0)
    random.seed(0)
    np.random.seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [seen(one) for one in function(compile_)]
    return found, [str(one.message) for one in caught]


# --- names, attributes, items ---------------------------------------------------------------------


@program
def attribute_of_an_object_beside_it(compiled: Compile) -> Iterator[Any]:
    cfg = SimpleNamespace(alpha=1.0)
    step = compiled(lambda x: x * cfg.alpha)
    for call in CALLS:
        cfg.alpha = 5.0 if call > 3 else 1.0
        yield step(ONE)


@program
def attribute_of_an_attribute(compiled: Compile) -> Iterator[Any]:
    class Trainer:
        def __init__(self) -> None:
            self.cfg = SimpleNamespace(loss=SimpleNamespace(alpha=1.0))

        def step(self, x: Any) -> Any:
            loss = self.cfg.loss
            return x * loss.alpha

    trainer = Trainer()
    step = compiled(trainer.step)
    for call in CALLS:
        if call == 3:
            trainer.cfg.loss.alpha = 2.0
        if call == 5:
            trainer.cfg = SimpleNamespace(loss=SimpleNamespace(alpha=7.0))
        yield step(ONE)


@program
def property_class_attribute_and_slot(compiled: Compile) -> Iterator[Any]:
    class Slotted:
        __slots__ = ("rate",)

    class Settings:
        gain = 1.0
        _hidden = SimpleNamespace(shift=0.0)

        @property
        def shift(self) -> float:
            return self._hidden.shift

        @classmethod
        def doubled(cls) -> float:
            return cls.gain * 2

        @staticmethod
        def fixed() -> float:
            return Settings.gain + 1

    settings, slotted = Settings(), Slotted()
    slotted.rate = 1.0
    step = compiled(
        lambda x: (
            x * settings.gain * slotted.rate
            + settings.shift
            + settings.doubled()
            + Settings.fixed()
        )
    )
    for call in CALLS:
        if call == 3:
            Settings.gain = 3.0
        if call == 4:
            settings._hidden.shift = 10.0
        if call == 5:
            slotted.rate = 100.0
        yield step(ONE)


@program
def default_arguments(compiled: Compile) -> Iterator[Any]:
    cfg = SimpleNamespace(alpha=1.0)

    def step_of(x: Any, cfg: Any = cfg, *, gains: Any = [1.0]) -> Any:  # noqa: B006 - is tested
        return x * cfg.alpha * gains[0]

    step = compiled(step_of)
    for call in CALLS:
        if call == 3:
            cfg.alpha = 2.0
        if call == 4:
            step_of.__kwdefaults__["gains"][0] = 10.0
        if call == 5:
            step_of.__defaults__ = (SimpleNamespace(alpha=9.0),)
        yield step(ONE)


@program
def callable_object_and_function_in_a_dict(compiled: Compile) -> Iterator[Any]:
    class Loss:
        def __init__(self) -> None:
            self.weight = 1.0

        def __call__(self, x: Any) -> Any:
            return x * self.weight

    loss, factor = Loss(), 1.0
    table = {"scale": lambda x: x * factor}
    step = compiled(lambda x: table["scale"](loss(x)))
    for call in CALLS:
        if call == 3:
            loss.weight = 3.0
        if call == 4:
            factor = 10.0
        if call == 5:
            table["scale"] = lambda x: x * 0.0
        yield step(ONE)


@program
def compiled_callable_object(compiled: Compile) -> Iterator[Any]:
    class Step:
        def __init__(self) -> None:
            self.weight = 1.0

        def __call__(self, x: Any) -> Any:
            return self.scaled(x)

        def scaled(self, x: Any) -> Any:
            return x * self.weight

    made = Step()
    step = compiled(made)
    for call in CALLS:
        made.weight = float(call // 3)
        yield step(ONE)


@program
def partial_with_an_object(compiled: Compile) -> Iterator[Any]:
    cfg = SimpleNamespace(alpha=1.0)
    step = compiled(functools.partial(lambda cfg, x: x * cfg.alpha, cfg))
    for call in CALLS:
        cfg.alpha = float(call // 3)
        yield step(ONE)


@program
def rebound_attribute_that_is_a_tensor(compiled: Compile) -> Iterator[Any]:
    env = SimpleNamespace(obs=tg.tensor([0.0, 0.0]))
    step = compiled(lambda x: x + env.obs)
    for call in CALLS:
        env.obs = tg.tensor([float(call), 0.0])
        yield step(ONE)


@program
def containers_of_all_kinds(compiled: Compile) -> Iterator[Any]:
    @dataclass
    class Config:
        gain: float = 1.0
        inner: dict[str, Any] = field(default_factory=lambda: {"a": {"b": [1.0]}})

    config, window, long = Config(), deque([1.0, 2.0]), [1.0] * 100
    ordered, members = OrderedDict(a=1.0), {1.0}

    def step_of(x: Any) -> Any:
        total = sum(window) + long[70] + ordered["a"] + max(members)
        return x * config.gain * config.inner["a"]["b"][0] + total

    step = compiled(step_of)
    changes = [
        lambda: config.inner["a"]["b"].__setitem__(0, 2.0),
        lambda: setattr(config, "gain", 4.0),
        lambda: window.append(9.0),
        lambda: long.__setitem__(70, 5.0),
        lambda: ordered.update(a=3.0),
        lambda: members.add(8.0),
    ]
    for change in changes:
        for _ in range(3):
            yield step(ONE)
        change()
    yield step(ONE)


@program
def loops_over_objects(compiled: Compile) -> Iterator[Any]:
    terms = [SimpleNamespace(weight=float(n), on=True) for n in range(3)]
    table = {"a": SimpleNamespace(weight=1.0, on=True)}

    def step_of(x: Any) -> Any:
        total = x * 0.0
        for n, term in enumerate(terms):
            if term.on:
                total = total + x * term.weight * n
        for _, term in table.items():
            total = total + sum(one.weight for one in [term])
        return total

    step = compiled(step_of)
    for call in CALLS:
        if call == 2:
            terms[1].on = False
        if call == 3:
            terms[2].weight = 10.0
        if call == 4:
            table["a"].weight = 5.0
        if call == 5:
            table["b"] = SimpleNamespace(weight=2.0, on=True)
        yield step(ONE)


@program
def names_read_by_a_name(compiled: Compile) -> Iterator[Any]:
    cfg = SimpleNamespace(alpha=1.0, beta=2.0, which="alpha")
    step = compiled(lambda x: x * getattr(cfg, cfg.which) + vars(cfg)["beta"])
    for call in CALLS:
        if call == 3:
            cfg.which = "beta"
        if call == 4:
            cfg.beta = 5.0
        yield step(ONE)


@program
def attribute_that_appears(compiled: Compile) -> Iterator[Any]:
    cfg: Any = SimpleNamespace()
    step = compiled(
        lambda x: x * getattr(cfg, "alpha", 1.0) + (cfg.beta if hasattr(cfg, "beta") else 0.0)
    )
    for call in CALLS:
        if call == 3:
            cfg.alpha = 2.0
        if call == 4:
            cfg.beta = 3.0
        if call == 5:
            del cfg.alpha
        yield step(ONE)


@program
def replaced_method_and_function(compiled: Compile) -> Iterator[Any]:
    class Trainer:
        def scale(self, x: Any) -> Any:
            return x * 2.0

        def step(self, x: Any) -> Any:
            return self.scale(x)

    trainer = Trainer()
    step = compiled(trainer.step)
    for call in CALLS:
        if call == 3:
            trainer.scale = lambda x: x * 3.0  # type: ignore[method-assign]
        yield step(ONE)
    del trainer.scale
    Trainer.scale = lambda self, x: x * 5.0  # type: ignore[assignment,method-assign]
    yield step(ONE)


@program
def numbers_that_numpy_computes(compiled: Compile) -> Iterator[Any]:
    mask, table = np.array([1.0, 1.0], np.float32), np.array([1.0, 2.0], np.float32)
    step = compiled(lambda x: x * float(mask.sum()) + table[1] + x * mask)
    for call in CALLS:
        if call == 3:
            mask[0] = 5.0
        if call == 4:
            table[1] = 7.0
        yield step(ONE)


@program
def objects_among_the_arguments(compiled: Compile) -> Iterator[Any]:
    cfg, pair = SimpleNamespace(alpha=1.0), namedtuple("Pair", "x cfg")
    step = compiled(lambda x, cfg, more: x * cfg.alpha + more["pair"].cfg.alpha)
    for call in CALLS:
        cfg.alpha = float(call // 3)
        yield step(ONE, cfg, {"pair": pair(ONE, cfg)})


@program
def helpers_that_are_given_objects(compiled: Compile) -> Iterator[Any]:
    cfg = SimpleNamespace(alpha=1.0, sub=SimpleNamespace(beta=1.0))

    class Helper:
        def __init__(self, cfg: Any) -> None:
            self.cfg = cfg

        def scaled(self, x: Any) -> Any:
            return x * self.cfg.alpha

    def deeper(one: Any) -> Any:
        return one.sub

    step = compiled(lambda x: Helper(cfg).scaled(x) * deeper(cfg).beta)
    for call in CALLS:
        if call == 3:
            cfg.alpha = 2.0
        if call == 4:
            cfg.sub.beta = 3.0
        yield step(ONE)


# --- iterators, random numbers, side effects ------------------------------------------------------


@program
@refused("iterator")
def next_of_an_iterator(compiled: Compile) -> Iterator[Any]:
    batches = iter([tg.tensor([float(n)]) for n in range(6)])
    step = compiled(lambda: next(batches) * 2.0)
    for _ in CALLS:
        yield step()


@program
@refused("iterator")
def next_of_a_generator_in_an_attribute(compiled: Compile) -> Iterator[Any]:
    owner = SimpleNamespace(numbers=itertools.cycle([1.0, 1.0, 2.0]))
    step = compiled(lambda x: x * next(owner.numbers))
    for _ in CALLS:
        yield step(ONE)


@program
@refused("random")
def pythons_random_decides_a_branch(compiled: Compile) -> Iterator[Any]:
    step = compiled(lambda x: x * 2.0 if random.random() < 0.5 else x)
    for _ in CALLS:
        yield step(ONE)


@program
@refused("random")
def numpys_random_decides_a_branch(compiled: Compile) -> Iterator[Any]:
    step = compiled(lambda x: x * 2.0 if np.random.rand() < 0.5 else x)
    for _ in CALLS:
        yield step(ONE)


@program
@refused("random")
def a_generator_of_numpy_decides_a_branch(compiled: Compile) -> Iterator[Any]:
    rng = np.random.default_rng(0)
    step = compiled(lambda x: x * 2.0 if rng.random() < 0.5 else x)
    for _ in CALLS:
        yield step(ONE)


@program
@refused("seed")
def a_seed_in_the_step(compiled: Compile) -> Iterator[Any]:
    def step_of(x: Any) -> Any:
        tg.seed(0)
        return x + tg.random.normal((2,))

    step = compiled(step_of)
    for _ in CALLS:
        yield step(ONE)


@program
@refused("seed")
def a_generator_made_in_the_step(compiled: Compile) -> Iterator[Any]:
    step = compiled(lambda x: x + tg.random.normal((2,), generator=tg.Generator(3)))
    for _ in CALLS:
        yield step(ONE)


@uncompiled("count")
def a_counter(compiled: Compile) -> Iterator[Any]:
    owner = SimpleNamespace(count=0)

    def step_of(x: Any) -> Any:
        owner.count += 1
        return x * 1.0

    step = compiled(step_of)
    for _ in CALLS:
        yield step(ONE), owner.count


@uncompiled("history")
def a_list_that_grows(compiled: Compile) -> Iterator[Any]:
    history: list[int] = []

    def step_of(x: Any) -> Any:
        history.append(len(history))
        return x * 1.0

    step = compiled(step_of)
    for _ in CALLS:
        yield step(ONE), list(history)


@program
def what_is_made_at_the_first_call(compiled: Compile) -> Iterator[Any]:
    class Lazy:
        mask: Any = None

        def step(self, x: Any) -> Any:
            if self.mask is None:
                self.mask = np.array([1.0, 0.0], np.float32)
            return x * self.mask

    lazy = Lazy()
    step = compiled(lazy.step)
    for call in CALLS:
        yield step(ONE)
        if call == 4:
            lazy.mask = None


# --- optimisers, hooks, generators ----------------------------------------------------------------


def weight() -> tg.Tensor:
    return tg.tensor([1.0, -1.0], requires_grad=True)


def training(w: tg.Tensor, optimizer: Any) -> Callable[[Any], Any]:
    def step(x: Any) -> Any:
        loss = ((w * x) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


@program
def settings_that_are_integers(compiled: Compile) -> Iterator[Any]:
    w = weight()
    optimizer = tg.optim.SGD([w], lr=1, momentum=1)
    step = compiled(training(w, optimizer))
    for call in CALLS:
        if call == 3:
            optimizer.param_groups[0]["lr"] = 10
        if call == 4:
            optimizer.param_groups[0]["momentum"] = 2
        if call == 5:
            optimizer.param_groups[0]["lr"] = 0.25
        yield step(ONE * 0.01), w


@program
def settings_that_are_numpys(compiled: Compile) -> Iterator[Any]:
    w = weight()
    optimizer = tg.optim.SGD([w], lr=np.float64(0.5), weight_decay=np.float32(0.1))
    step = compiled(training(w, optimizer))
    for call in CALLS:
        optimizer.param_groups[0]["lr"] = np.float64(0.5) * (1 + np.cos(call))
        yield step(ONE * 0.1), w


@program
def one_setting_that_numpy_computes(compiled: Compile) -> Iterator[Any]:
    w = weight()
    optimizer = tg.optim.Adam([w], lr=np.float32(0.5))
    step = compiled(training(w, optimizer))
    for call in CALLS:
        optimizer.param_groups[0]["lr"] = np.cos(call / 10) if call % 2 else 0.1
        yield step(ONE * 0.1), w


@program
def hooks_that_come_and_go(compiled: Compile) -> Iterator[Any]:
    w, factor = weight(), SimpleNamespace(value=3.0)
    step = compiled(training(w, tg.optim.SGD([w], lr=0.1)))
    handle: Any = None
    for call in range(10):
        if call == 3:
            handle = w.register_hook(lambda g: g * 2.0)
        if call == 5:
            handle.remove()
        if call == 6:
            w.register_hook(lambda g: g * factor.value)
        if call == 8:
            factor.value = 0.5
        yield step(ONE * 0.1), w, w.grad


@program
def a_hook_that_raises(compiled: Compile) -> Iterator[Any]:
    w, limits = weight(), SimpleNamespace(fail=False)

    def hook(g: Any) -> None:
        if limits.fail:
            raise ValueError("a hook")

    w.register_hook(hook)
    step = compiled(training(w, tg.optim.SGD([w], lr=0.1)))
    for call in CALLS:
        limits.fail = call == 4
        yield attempt(step, ONE), w


# --- arguments that are written into --------------------------------------------------------------


def writes_in_place(a: Any) -> Any:
    a += 1.0
    return a * 2.0


def writes_a_slice(a: Any) -> Any:
    a[:1] = 5.0
    return a * 2.0


def writes_out(a: Any) -> Any:
    np.multiply(a, 3.0, out=a)
    return a * 2.0


def writes_a_view(a: Any) -> Any:
    b = a[1:]
    b *= 3.0
    return a * 2.0


def _writing(step_of: Callable[[Any], Any]) -> Program:
    def writing(compiled: Compile) -> Iterator[Any]:
        a = np.array([1.0, 2.0], np.float32)
        step = compiled(step_of)
        for _ in CALLS:
            yield attempt(step, a), a

    writing.__name__ = step_of.__name__
    return writing


for _step in (writes_in_place, writes_a_slice, writes_out, writes_a_view):
    refused("writes into its argument")(program(_writing(_step)))


@uncompiled("changes its arguments")
def items_of_a_dict_argument(compiled: Compile) -> Iterator[Any]:
    def step_of(batch: Any) -> Any:
        y = batch.pop("y")
        batch["z"] = 3
        return batch["x"] * y

    step = compiled(step_of)
    for _ in CALLS:
        batch = {"x": ONE, "y": ONE}
        yield step(batch), sorted(batch)


@program
def items_of_an_array_beside_it(compiled: Compile) -> Iterator[Any]:
    counts = np.zeros(2)

    def step_of(x: Any) -> Any:
        counts[0] += 1
        return x * 1.0

    step = compiled(step_of)
    for _ in CALLS:
        yield step(ONE), counts


# --- exceptions -----------------------------------------------------------------------------------


@program
def checks_of_arguments(compiled: Compile) -> Iterator[Any]:
    def step_of(x: Any, mode: Any = "a", flag: Any = True, limit: Any = 3) -> Any:
        if x.shape[0] != 2:
            raise ValueError("a shape")
        assert mode in ("a", "b"), "a mode"
        assert flag
        assert limit < 5
        return x * limit

    step = compiled(step_of)
    for _ in range(2):
        for _ in range(3):
            yield attempt(step, ONE)
        yield attempt(step, tg.ones(3))
        yield attempt(step, ONE, "c")
        yield attempt(step, ONE, "b", False)
        yield attempt(step, ONE, "b", True, 7)


@program
def checks_of_what_is_beside_it(compiled: Compile) -> Iterator[Any]:
    limits = SimpleNamespace(most=2)

    def step_of(x: Any) -> Any:
        if len(x) > limits.most:
            raise ValueError("too long")
        return x * 2.0

    step = compiled(step_of)
    for call in CALLS:
        limits.most = 1 if call == 4 else 2
        yield attempt(step, ONE)


@program
def an_exception_after_the_update(compiled: Compile) -> Iterator[Any]:
    w, cfg = weight(), SimpleNamespace(fails=True)
    inner = training(w, tg.optim.Adam([w], lr=0.1))

    def step_of(x: Any) -> Any:
        loss = inner(x)
        if cfg.fails:
            raise ValueError("after the update")
        return loss

    step = compiled(step_of)
    for call in range(9):
        cfg.fails = call in (0, 2, 5, 7)
        yield attempt(step, ONE), w, w.grad


@program
def numpys_errors_are_raised(compiled: Compile) -> Iterator[Any]:
    w = weight()
    optimizer = tg.optim.Adam([w], lr=0.1)
    step = compiled(training(w, optimizer))
    for call in CALLS:
        with np.errstate(all="raise" if call in (3, 4) else "ignore"):
            yield attempt(step, ONE * (1e30 if call == 4 else 1.0)), w, w.grad
            state = optimizer.state_dict()["state"]
            yield [value for one in state.values() for value in one.values()]


# --- methods --------------------------------------------------------------------------------------


@program
def class_and_static_methods(compiled: Compile) -> Iterator[Any]:
    class Trainer:
        gain = 2.0

        @classmethod
        @compiled
        def outer(cls, x: Any) -> Any:
            return x * cls.gain

        @compiled
        @classmethod
        def inner(cls, x: Any) -> Any:
            return x * cls.gain

        @staticmethod
        @compiled
        def free(x: Any) -> Any:
            return x * Trainer.gain

    class Other(Trainer):
        gain = 10.0

    trainer, other = Trainer(), Other()
    for call in CALLS:
        if call == 4:
            Trainer.gain = 3.0
        yield trainer.outer(ONE), Trainer.outer(ONE), other.outer(ONE), Other.outer(ONE)
        yield trainer.inner(ONE), Trainer.inner(ONE), other.inner(ONE)
        yield trainer.free(ONE), Trainer.free(ONE)


@program
def a_method_and_the_one_it_overrides(compiled: Compile) -> Iterator[Any]:
    class Base:
        def __init__(self) -> None:
            self.gain = 2.0

        @compiled
        def step(self, x: Any) -> Any:
            return x * self.gain

    class Derived(Base):
        @compiled
        def step(self, x: Any) -> Any:
            return super().step(x) + self.shift

        shift = 1.0

    derived, base = Derived(), Base()
    for call in CALLS:
        if call == 3:
            derived.gain = 5.0
        if call == 4:
            derived.shift = 0.0
        yield derived.step(ONE), base.step(ONE), Base.step.__get__(derived)(ONE)


@program
def copies_of_objects(compiled: Compile) -> Iterator[Any]:
    class Trainer:
        def __init__(self) -> None:
            self.gain = 2.0

        @compiled
        def step(self, x: Any) -> Any:
            return x * self.gain

    trainer = Trainer()
    yield trainer.step(ONE)
    twin, deep = copy.copy(trainer), copy.deepcopy(trainer)
    twin.gain, deep.gain = 5.0, 7.0
    for _ in CALLS:
        yield trainer.step(ONE), twin.step(ONE), deep.step(ONE)


@program
def modules_with_numbers_of_their_own(compiled: Compile) -> Iterator[Any]:
    class Scaled(nn.Module):
        scale = 1.0

        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 2)
            self.options = {"shift": 0.0}
            self.parts = nn.ModuleList([nn.Linear(2, 2)])

        def forward(self, x: Any) -> Any:
            for part in self.parts:
                x = part(x)
            return self.inner(x) * self.scale + self.options["shift"]

    tg.seed(1)
    model = nn.Sequential(Scaled(), nn.Tanh())
    step = compiled(lambda x: model(x))
    for call in range(8):
        if call == 3:
            model[0].options["shift"] = 1.0
        if call == 4:
            Scaled.scale = 2.0
        if call == 6:
            model[0].parts.append(nn.Linear(2, 2))
        yield step(ONE)


# --- memory that others hold, or that moves -------------------------------------------------------


def small_net(seed: int, *sizes: int) -> nn.Sequential:
    tg.seed(seed)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def rows(seed: int, count: int = 5, size: int = 3) -> tg.Tensor:
    return tg.tensor(np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32))


class Fitting:
    """A net, its optimiser, and their step."""

    def __init__(self, compiled: Compile, optimizer: Any = tg.optim.Adam) -> None:
        self.net = small_net(0, 3, 4, 2)
        self.optimizer = optimizer(self.net.parameters(), lr=0.1)

        def step(x: Any) -> Any:
            loss = (self.net(x) ** 2).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            return loss

        self.step = compiled(step)

    @property
    def state(self) -> list[Any]:
        states = self.optimizer.state_dict()["state"]
        return [*self.net.parameters(), *[part for one in states.values() for part in one.values()]]


@program
def gradients_that_are_kept(compiled: Compile) -> Iterator[Any]:
    fit = Fitting(compiled)
    kept = []
    for call in range(12):
        yield fit.step(rows(call))
        kept.append([p.grad for p in fit.net.parameters()])
        if call % 3 == 0:
            kept[-1][0].data[0] = 100.0
        yield kept[-4:], list(fit.net.parameters())


@program
def parameters_that_are_kept(compiled: Compile) -> Iterator[Any]:
    fit = Fitting(compiled, functools.partial(tg.optim.SGD, momentum=0.9))
    kept: list[Any] = []
    for call in range(14):
        yield fit.step(rows(call))
        weight = fit.net[0].weight
        kept.append(
            [fit.net.state_dict(), weight.detach(), weight[0] * 2.0, weight.data[1:]][call % 4]
        )
        yield kept[-3:], [p.grad for p in fit.net.parameters()], list(fit.net.parameters())
        if call == 7:
            fit.net.load_state_dict(kept[4])
        if call == 9:
            weight.data = weight.data.T.copy().T


@program
def parameters_that_are_kept_all_the_time(compiled: Compile) -> Iterator[Any]:
    fit = Fitting(compiled)
    kept = []
    for call in range(8):
        kept.append(fit.net.state_dict())
        yield fit.step(rows(call)), kept


@program
def an_optimiser_outside_of_the_step(compiled: Compile) -> Iterator[Any]:
    net = small_net(0, 3, 4, 2)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.1)

    def gradients(x: Any) -> Any:
        loss = (net(x) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        return loss

    step = compiled(gradients)
    for call in range(10):
        yield step(rows(call)), [p.grad for p in net.parameters()]
        optimizer.step()
        if call == 5:
            net[0].weight.data = np.asfortranarray(net[0].weight.data)
        yield list(net.parameters())


@program
def two_batch_sizes_in_turns(compiled: Compile) -> Iterator[Any]:
    fit = Fitting(compiled)
    for call in range(14):
        yield fit.step(rows(call, (5, 2, 7)[call % 3]))
        if call > 9:
            yield fit.state
    yield fit.state


@program
def two_steps_of_two_nets(compiled: Compile) -> Iterator[Any]:
    maker, judge = small_net(0, 3, 4, 2), small_net(1, 2, 4, 1)
    makers = tg.optim.Adam(maker.parameters(), lr=0.1)
    judges = tg.optim.SGD(judge.parameters(), lr=0.1, momentum=0.5)

    def judged(x: Any, real: Any) -> Any:
        loss = (judge(maker(x).detach()) ** 2).mean() + ((judge(real) - 1.0) ** 2).mean()
        judges.zero_grad()
        loss.backward()
        judges.step()
        return loss

    def made(x: Any) -> Any:
        loss = ((judge(maker(x)) - 1.0) ** 2).mean()
        makers.zero_grad()
        loss.backward()
        makers.step()
        return loss

    first, second = compiled(judged), compiled(made)
    kept = []
    for call in range(12):
        yield first(rows(call), rows(call + 50, 5, 2)), second(rows(call + 99))
        yield [p.grad for p in (*maker.parameters(), *judge.parameters())]
        if call in (5, 8):
            kept.append((maker.state_dict(), [p.grad for p in judge.parameters()]))
        if call == 9:
            del second
            second = compiled(made)
        yield kept, list(maker.parameters()), list(judge.parameters())


@program
def numbers_of_other_modules(compiled: Compile) -> Iterator[Any]:
    fit, other = Fitting(compiled), nn.Dropout(0.5)
    for call in range(8):
        other.p = 0.1 * call
        yield fit.step(rows(call))
    assert len(getattr(fit.step, "_replays", [1])) == 1


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in REFUSED])
def test_a_step_is_never_stale(name: str) -> None:
    expected, _ = run(PROGRAMS[name], lambda function: function)
    found, messages = run(PROGRAMS[name], tg.compile)
    assert found == expected
    if name in UNCOMPILED:
        assert len(messages) == 1
        assert "runs uncompiled" in messages[0]
        assert UNCOMPILED[name] in messages[0]


@pytest.mark.parametrize("name", REFUSED)
def test_a_step_is_refused(name: str) -> None:
    with pytest.raises(CompileError, match=REFUSED[name]) as caught:
        run(PROGRAMS[name], tg.compile)
    assert "test_compile_state.py:" in str(caught.value)


@pytest.mark.parametrize("block", range(5))
def test_random_programs_around_a_step(block: int) -> None:
    outcomes = [check_state(seed) for seed in range(60 * block, 60 * block + 60)]
    assert outcomes.count("replayed") > 40


class TestWhatAMissExplains:
    def step(self) -> tuple[Any, Any]:
        cfg = SimpleNamespace(alpha=1.0, table={"a": [1, 2]})
        return cfg, tg.compile(lambda x, n=0: x * cfg.alpha + sum(cfg.table["a"]) + n)

    def test_is_the_path_that_differs(self) -> None:
        cfg, step = self.step()
        assert "no call was before" in step.explain_miss() or "called yet" in step.explain_miss()
        for _ in range(3):
            step(ONE)
        assert step.explain_miss() == "it was recorded a second time, to be compared with the first"
        cfg.alpha = 2.0
        step(ONE)
        assert step.explain_miss() == "it was recorded again: cfg.alpha is 2.0, and was 1.0"
        step(ONE)
        cfg.table["a"].append(3)
        step(ONE)
        assert "cfg.table['a'] has other items" in step.explain_miss()
        step(ONE)
        step(tg.ones(3))
        assert "the argument x is float32 of shape (3,), and was float32" in step.explain_miss()
        step(ONE, 4)
        assert "other containers" in step.explain_miss()

    def test_is_why_a_step_runs_uncompiled(self) -> None:
        _, step = self.step()
        with tg.no_grad():
            step(ONE)
        assert "tg.no_grad()" in step.explain_miss()
        with np.errstate(all="raise"):
            step(ONE)
        assert "np.errstate" in step.explain_miss()
        with pytest.warns(UserWarning, match="uncompiled"):
            step(tg.tensor([1.0], requires_grad=True))
        assert "runs uncompiled: an argument requires a gradient" in step.explain_miss()


class TestUnderDebug:
    @pytest.mark.parametrize("optimizer", [tg.optim.Adam, tg.optim.SGD])
    def test_a_step_runs_both_ways_and_goes_on_as_it_would(self, optimizer: Any) -> None:
        fit, twin = Fitting(tg.compile, optimizer), Fitting(lambda step: step, optimizer)
        for call in range(9):
            with tg.debug() if call in (3, 4, 7) else contextlib.nullcontext():
                assert seen(fit.step(rows(call))) == seen(twin.step(rows(call)))
            assert seen([p.grad for p in fit.net.parameters()]) == seen(
                [p.grad for p in twin.net.parameters()]
            )
        assert seen(fit.state) == seen(twin.state)
        assert len(fit.step._replays) == 1

    def test_the_first_value_that_differs_is_named(self) -> None:
        tick = hidden_number()
        weight = tg.tensor([1.0, 2.0], requires_grad=True, name="w")

        def step_of(x: Any) -> Any:
            loss = (weight * x).sum()
            weight.grad = None
            (loss * tick[0]()).backward()
            return loss

        step = tg.compile(step_of)
        assert [step(ONE).item() for _ in range(3)] == [5.0] * 3
        with tg.debug():
            assert step(ONE).item() == 5.0
        tick[1](3.0)
        with (
            tg.debug(),
            pytest.raises(CompileError, match=r"w\.grad differs: the replay"),
        ):
            step(ONE)
        assert weight.grad.tolist() == [3.0, 6.0]  # type: ignore[union-attr]

    def test_random_numbers_are_drawn_once(self) -> None:
        def numbers(compiled: Compile) -> list[Any]:
            tg.seed(0)
            step = compiled(lambda x: x + tg.random.normal((2,)))
            found = []
            for call in range(6):
                with tg.debug() if call > 3 else contextlib.nullcontext():
                    found.append(step(ONE).tolist())
            return found

        assert numbers(tg.compile) == numbers(lambda step: step)


def hidden_number() -> tuple[Callable[[], float], Callable[[float], None]]:
    """Return functions of another package that read and set a number that it keeps for itself."""
    names: dict[str, Any] = {}
    text = "kept = [1.0]\ndef read():\n    return kept[0]\ndef write(x):\n    kept[0] = x\n"
    exec(compile(text, f"{sysconfig.get_path('stdlib')}/pretended.py", "exec"), names)
    return names["read"], names["write"]


class TestIntegersAmongTheArguments:
    def test_are_read_at_each_call_after_a_few_kinds(self) -> None:
        step = tg.compile(lambda x, epoch: (x * epoch + 1 / (epoch + 2), x.sum() * (epoch // 2)))
        for epoch in range(12):
            for _ in range(2):
                expected = (ONE * epoch + 1 / (epoch + 2)).tolist()
                found, other = step(ONE, epoch)
                assert found.tolist() == expected
                assert other.item() == 3.0 * (epoch // 2)
        assert len(step._replays) <= 3

    def test_of_whole_tensors_stay_whole(self) -> None:
        step = tg.compile(lambda x, n: (x + n, x * n, x // (n + 1)))
        x = tg.tensor([3, 4])
        for n in range(8):
            for _ in range(2):
                for one, expected in zip(step(x, n), (x + n, x * n, x // (n + 1)), strict=True):
                    assert one.tolist() == expected.tolist()
                    assert one.dtype == expected.dtype

    def test_that_decide_something_are_recorded_one_by_one_and_told(self) -> None:
        step = tg.compile(lambda x, epoch: x * 2.0 if epoch > 5 else x)
        with pytest.warns(UserWarning, match=r"8 times[\s\S]*such as epoch") as caught:
            found = [step(ONE, n // 2).tolist() for n in range(160)]
        assert found == [[1.0 + (n > 11), 2.0 + 2 * (n > 11)] for n in range(160)]
        assert len(caught) == 1
        assert len(step._replays) <= 64

    def test_may_be_indices(self) -> None:
        step = tg.compile(lambda x, place: x[place] * 2.0)
        assert [step(rows(0), n % 5).tolist() for n in range(15)] == [
            (rows(0)[n % 5] * 2.0).tolist() for n in range(15)
        ]


def test_prints_are_told() -> None:
    def step_of(x: Any) -> Any:
        print("called")
        return x * 2.0

    step = tg.compile(step_of)
    with pytest.warns(
        UserWarning, match=r"only while it is recorded[\s\S]*print\(.called.\)"
    ) as caught:
        assert [step(ONE).tolist() for _ in range(4)] == [[2.0, 4.0]] * 4
    assert len(caught) == 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals")
def test_an_interrupt_leaves_no_step_half_done() -> None:
    fit, twin = Fitting(tg.compile), Fitting(lambda function: function)
    for call in range(3):
        fit.step(rows(call))
        twin.step(rows(call))

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    usual, broken_off = signal.signal(signal.SIGALRM, interrupt), 0
    delays = np.random.default_rng(0).uniform(1e-6, 3e-4, 400)
    try:
        for call, delay in enumerate(delays.tolist()):
            before = fit.net[0].weight.data.copy()
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                fit.step(rows(call))
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                broken_off += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            # All or nothing.
            if not np.array_equal(before, fit.net[0].weight.data):
                twin.step(rows(call))
            if call % 20 == 0:
                assert seen(fit.state) == seen(twin.state)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)
    assert seen(fit.state) == seen(twin.state)
    assert broken_off > 20
