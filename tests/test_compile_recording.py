"""What a recording says of its events: what they read, and the code around them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.compiler.record.arrays import TracedArray, method_call, record_call
from tinygrad_lab.compiler.record.record import Recording
from tinygrad_lab.compiler.record.recorder import record_step
from tinygrad_lab.compiler.record.running import RunningTrace
from tinygrad_lab.compiler.record.trace import Call, Event, Origin, Value, mapped, values_in
from tinygrad_lab.engine.user_code import line_of
from tinygrad_lab.train.models import MODELS, make_model


def recorded(step: Any, *leaves: Any) -> Recording:
    names = [f"x{number}" for number in range(len(leaves))]
    recording, _ = record_step(lambda given: step(*given), list(leaves), names, lambda _: None)
    return recording


def training_step(model: nn.Module) -> Any:
    optimizer = tg.optim.Adam(model.parameters())

    def step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def in_order(event: Event) -> list[Value]:
    return [*values_in(event.args), *values_in(event.kwargs)]


@pytest.mark.parametrize("name", MODELS)
def test_an_event_reads_the_values_among_its_arguments_in_order(name: str) -> None:
    x, y = tg.random.normal((4, 40)), tg.tensor(np.arange(4))
    for event in recorded(training_step(make_model(name)), x, y).trace.events:
        assert list(event.inputs) == in_order(event), event


traced = st.sampled_from("ab")
plain = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.just("K"), st.just("array"))
trees = st.recursive(
    traced | plain,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3),
        st.tuples(parts, parts),
        st.dictionaries(st.sampled_from("xyz"), parts, max_size=2),
        st.builds(slice, parts, parts, parts),
    ),
    max_leaves=8,
)


@given(st.lists(trees, max_size=4), st.dictionaries(st.sampled_from("pq"), trees, max_size=2))
@settings(max_examples=100, deadline=None)
def test_calls_get_real_arrays_and_traces_get_values(
    args: list[Any], kwargs: dict[str, Any]
) -> None:
    trace, constant, calls = RunningTrace(), np.arange(2.0), []
    arrays = {name: np.ones(2) for name in "ab"}
    values = {name: trace.given(arrays[name], Origin("argument", name)) for name in "ab"}
    handles = {name: TracedArray(trace, values[name]) for name in "ab"}

    def filled(tree: Any, things: dict[str, Any]) -> Any:
        return mapped(tree, lambda one: things.get(one, one) if isinstance(one, str) else one)

    def function(*args: Any, **kwargs: Any) -> Any:
        calls.append((args, kwargs))
        return np.zeros(3)

    given = (tuple(args), kwargs)
    record_call(
        trace,
        Call("function", "anything", function),
        *filled(given, {**handles, "array": constant}),
    )
    (event,) = trace.events
    entered = {**values, "array": next((v for v in trace.values if v.is_constant), None)}
    same_as(calls[0], filled(given, {**arrays, "array": constant}))
    same_as((event.args, event.kwargs), filled(given, entered))
    assert list(event.inputs) == in_order(event)


def same_as(one: Any, other: Any) -> None:
    """Assert that two arguments are alike, of the very same leaves."""
    assert type(one) is type(other)
    if isinstance(one, slice):
        one, other = (one.start, one.stop, one.step), (other.start, other.stop, other.step)
    if isinstance(one, dict):
        assert list(one) == list(other)
        one, other = list(one.values()), list(other.values())
    if isinstance(one, tuple | list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            same_as(mine, theirs)
    else:
        assert one is other or (not isinstance(one, np.ndarray | Value) and one == other)


def test_all_events_of_an_op_have_the_line_that_applies_it() -> None:
    def loss_of(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        return nn.functional.cross_entropy(x, y)  # a layer of many events

    def step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        first = loss_of(x, y)
        second = nn.functional.cross_entropy(x * 2, y)
        return first + second

    recording = recorded(step, tg.tensor([[1.0, 2.0]]), tg.tensor([1]))
    lines: dict[int, list[str]] = {}
    for event in recording.trace.events:
        assert event.phase == "forward"
        line = line_of(event.code, event.offset)
        lines.setdefault(id(event.part), []).append("" if line is None else line.text)
    assert [set(texts) for texts in lines.values()] == [
        {"return nn.functional.cross_entropy(x, y)  # a layer of many events"},
        {"second = nn.functional.cross_entropy(x * 2, y)"},
        {"second = nn.functional.cross_entropy(x * 2, y)"},
        {"return first + second"},
    ]
    assert len(max(lines.values(), key=len)) > 3


def test_a_method_of_an_array_is_called_on_the_array_itself() -> None:
    trace = RunningTrace()
    x = TracedArray(trace, trace.given(np.arange(6.0), Origin("argument", "x")))
    out = record_call(trace, method_call("reshape"), (x, (2, 3)), {})
    assert out.shape == (2, 3)
    assert out.value.root is x.value
