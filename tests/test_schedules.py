"""Schedules: PyTorch's rates, chained, saved, and steered by hand."""

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn, optim
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, StateDictError

SCHEDULES: dict[str, Any] = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda k: 0.95**k),
    "lambdas": lambda s, o: s.LambdaLR(o, [lambda k: 0.95**k, lambda k: 1 / (k + 1)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda k: 1 - 0.1 / k),
    "step": lambda s, o: s.StepLR(o, 4, 0.5),
    "multistep": lambda s, o: s.MultiStepLR(o, [3, 7, 7], 0.5),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 6),
    "linear": lambda s, o: s.LinearLR(o, 0.2, 0.9, 8),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "polynomial": lambda s, o: s.PolynomialLR(o, 9, 1.5),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 7, 0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 3, 5, "triangular2"),
    "cyclic, shrinking": lambda s, o: s.CyclicLR(o, [0.01, 0.02], 0.2, 4, None, "exp_range", 0.9),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.3, 40),
    "one cycle, linear": lambda s, o: s.OneCycleLR(
        o, [0.3, 0.1], None, 8, 5, anneal_strategy="linear", three_phase=True
    ),
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1.0, 5), s.ExponentialLR(o, 0.9), s.CosineAnnealingLR(o, 6)], [5, 12]
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9)]),
}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)
SAVED = [n for n in SCHEDULES if n not in ("lambda", "lambdas", "multiplicative")]


def optimizer_of(library: Any = optim, one: Any = None) -> Any:
    one = one or (lambda: nn.Parameter([0.0]))
    groups = [{"params": [one()]}, {"params": [one()], "lr": 0.5}]
    return library.SGD(groups, lr=0.1, momentum=0.9)


def rates(optimizer: Any, schedule: Any, steps: int) -> Any:
    found = []
    for _ in range(steps):
        found.append([group[n] for group in optimizer.param_groups for n in ("lr", "momentum")])
        assert schedule.get_last_lr() == found[-1][::2]
        optimizer.step()
        schedule.step()
    return np.array(found)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


@every_schedule
@pytest.mark.filterwarnings("ignore")
def test_is_pytorchs(torch: Any, name: str) -> None:
    ours, theirs = (
        optimizer_of(),
        optimizer_of(torch.optim, lambda: torch.nn.Parameter(torch.zeros(1))),
    )
    mine = SCHEDULES[name](optim.lr_scheduler, ours)
    their = SCHEDULES[name](torch.optim.lr_scheduler, theirs)
    found, expected = (rates(ours, mine, 39), rates(theirs, their, 39))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-17)


@every_schedule
def test_takes_pytorchs_arguments_with_its_defaults(torch: Any, name: str) -> None:
    kind = type(SCHEDULES[name](optim.lr_scheduler, optimizer_of())).__name__
    theirs = inspect.signature(getattr(torch.optim.lr_scheduler, kind)).parameters
    ours = inspect.signature(getattr(optim.lr_scheduler, kind)).parameters
    assert {n: p.default for n, p in ours.items()} == {n: p.default for n, p in theirs.items()}


@pytest.mark.parametrize("name", SAVED)
def test_goes_on_from_a_save_and_from_a_pickle(name: str) -> None:
    optimizer = optimizer_of()
    schedule = SCHEDULES[name](optim.lr_scheduler, optimizer)
    rates(optimizer, schedule, 6)
    pickled = pickle.loads(pickle.dumps(schedule))
    other = optimizer_of()
    loaded = SCHEDULES[name](optim.lr_scheduler, other)
    other.load_state_dict(optimizer.state_dict())
    loaded.load_state_dict(copy.deepcopy(schedule.state_dict()))
    expected = rates(optimizer, schedule, 12)
    np.testing.assert_array_equal(rates(other, loaded, 12), expected)
    np.testing.assert_array_equal(rates(pickled.optimizer, pickled, 12), expected)


@every_schedule
def test_a_group_added_later_is_scheduled_too(name: str) -> None:
    optimizer = optimizer_of()
    schedule = SCHEDULES[name](optim.lr_scheduler, optimizer)
    optimizer.add_param_group({"params": [nn.Parameter([0.0])], "lr": 0.25})
    for _ in range(14):
        schedule.step()
    assert all(0 <= group["lr"] <= 2.5 for group in optimizer.param_groups)
    assert optimizer.param_groups[2]["lr"] != 0.25


def test_two_multiply_and_a_rate_set_by_hand_goes_on() -> None:
    optimizer = optim.SGD([tg.scalar(1.0)], lr=1.0)
    schedules = [optim.lr_scheduler.ExponentialLR(optimizer, g) for g in (0.5, 0.25)]
    for schedule in schedules:
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.125
    optimizer.param_groups[0]["lr"] = 8.0
    schedules[0].step()
    assert optimizer.param_groups[0]["lr"] == 4.0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_reduces_on_plateaus_as_pytorch_does(torch: Any, mode: str, threshold_mode: str) -> None:
    pair = optimizer_of(), optimizer_of(torch.optim, lambda: torch.nn.Parameter(torch.zeros(1)))
    options = {"patience": 2, "threshold": 0.05, "cooldown": 1, "min_lr": [1e-3, 0.1]}
    schedules = [
        library.lr_scheduler.ReduceLROnPlateau(
            one, mode, 0.3, threshold_mode=threshold_mode, **options
        )
        for library, one in zip((optim, torch.optim), pair, strict=True)
    ]
    for number in np.random.default_rng(3).normal(size=40):
        for schedule in schedules:
            schedule.step(float(number))
        ours, theirs = ([g["lr"] for g in one.param_groups] for one in pair)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_steers_a_compiled_step() -> None:
    ends = []
    for compiler in (lambda step: step, tg.compile):
        p = nn.Parameter(np.array([1.0, 2.0]))
        optimizer = optim.SGD([p], lr=0.1, momentum=0.9)
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, 0.2, 12)

        def step(p: Any = p, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()

        run = compiler(step)
        for _ in range(11):
            run()
            schedule.step()
        ends.append(p.detach().numpy().copy())
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s, o: s.StepLR(o, 0), "step_size must be an integer of at least 1, got 0"),
        (lambda s, o: s.CosineAnnealingLR(o, 0), "T_max must be an integer of at least 1"),
        (lambda s, o: s.LambdaLR(o, lambda k: -1.0), r"group 0 would become -0\.1"),
        (lambda s, o: s.LambdaLR(o, lambda k: float("nan")), "would become nan"),
        (lambda s, o: s.LambdaLR(o, [lambda k: 1.0]), "one function for each of 2 groups, got 1"),
        (lambda s, o: s.StepLR(o, 2, last_epoch=3), "needs its initial_lr"),
        (lambda s, o: s.OneCycleLR(o, 0.1), "give total_steps, or epochs"),
        (lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="up"), "mode is 'triangular' or"),
        (lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [3]), "1 schedules need 0 milestones"),
        (lambda s, o: s.ChainedScheduler([]), "at least one schedule"),
        (lambda s, o: s.ReduceLROnPlateau(o, factor=1.0), "factor must be below 1"),
    ],
)
def test_mistakes_are_explained(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make(optim.lr_scheduler, optimizer_of())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s, o: s.StepLR(o, 2, "a"), "StepLR: gamma must be a number, got 'a'"),
        (lambda s, o: s.ExponentialLR(o, None), "ExponentialLR: gamma must be a number"),
        (lambda s, o: s.CosineAnnealingLR(o, 2, [0.0]), "eta_min must be a number"),
        (lambda s, o: s.ConstantLR(o, "a"), "factor must be a number"),
        (lambda s, o: s.LinearLR(o, end_factor="a"), "end_factor must be a number"),
        (lambda s, o: s.PolynomialLR(o, 2, "a"), "power must be a number"),
        (lambda s, o: s.CyclicLR(o, [0.1, None], 0.2), "base_lr must be a number, got None"),
        (lambda s, o: s.OneCycleLR(o, 0.1, 2, div_factor="a"), "div_factor must be a number"),
        (lambda s, o: s.ReduceLROnPlateau(o, factor="a"), "factor must be a number"),
        (lambda s, o: s.MultiStepLR(o, 3), "milestones is a list of step counts, got 3"),
        (lambda s, o: s.LambdaLR(o, 0.5), "a function of the number of steps, got 0.5"),
    ],
)
def test_settings_of_another_type_are_named(make: Any, message: str) -> None:
    with pytest.raises(ArgumentTypeError, match=message):
        make(optim.lr_scheduler, optimizer_of())


def test_a_milestone_is_a_count_of_steps() -> None:
    with pytest.raises(ArgumentError, match="each milestone must be an integer"):
        optim.lr_scheduler.MultiStepLR(optimizer_of(), [1, 2.5])  # type: ignore[list-item]


def test_other_mistakes_are_explained() -> None:
    schedule = optim.lr_scheduler.StepLR(optimizer_of(), 2)
    with pytest.raises(StateDictError, match="expected base_lrs, gamma"):
        schedule.load_state_dict({})
    with pytest.raises(ArgumentTypeError, match="takes an optimiser first, got"):
        optim.lr_scheduler.StepLR(0.1, 2)  # type: ignore[arg-type]
    cycle = optim.lr_scheduler.OneCycleLR(optimizer_of(), 0.1, 2)
    cycle.step()
    with pytest.raises(ArgumentError, match="past the end of the cycle"):
        cycle.step()
