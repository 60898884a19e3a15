"""A target is a small interface: one of a few lines, on another namespace, gives NumPy's bits."""

import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tests.test_compile import Training, assert_same, batch
from tinygrad_lab.compiler.plan.memory import Plan
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Event, Value, mapped
from tinygrad_lab.compiler.targets import Code

pipeline = importlib.import_module("tinygrad_lab.compiler.pipeline")


class Elsewhere:
    """A namespace beside NumPy's, which notes what it computes."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def function(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            return getattr(np, name)(*args, **kwargs)

        return call


class StandIn:
    """The target of that namespace: it plans no memory, and calls function after function."""

    keeps_order = True

    def __init__(self) -> None:
        self.namespace = Elsewhere()

    def can_write_into(self, event: Event) -> bool:
        return False

    def emit(self, recording: Recording, plan: Plan) -> Code:
        return StandInCode(recording, plan, self.namespace)


class StandInCode:
    preamble = ""
    summary = "each by a call"

    def __init__(self, recording: Recording, plan: Plan, namespace: Elsewhere) -> None:
        self.recording, self.namespace = recording, namespace
        self.bound: dict[str, Any] = {}
        pairs = ((line, event.phase) for event in plan.events for line in self.lines_of(event))
        self.lines_by_phase = [*pairs, *self.copies()]

    def text(self, thing: Any) -> str:
        if not isinstance(thing, Value):
            return repr(thing)
        is_number = thing.is_constant and not thing.is_array
        return repr(thing.array) if is_number else f"value_{thing.index}"

    def lines_of(self, event: Event) -> Iterator[str]:
        name, inputs = f"call_{len(self.bound)}", list(event.inputs)
        written = [] if event.writes is None else [event.writes]
        given = ", ".join(map(self.text, inputs + written))
        self.bound[name] = self.caller(event, inputs)
        if event.call.kind == "check":
            yield f"if {name}({given}): return MISS"
        elif event.results:
            targets = "".join(f"{self.text(value)}, " for value in event.results)
            yield f"{targets}= {name}({given})"
        else:
            yield f"{name}({given})"

    def caller(self, event: Event, inputs: list[Value]) -> Callable[..., Any]:
        """A function of an event's inputs, and of what it writes into."""
        call = event.call
        function = self.namespace.function(call.name) if call.kind == "ufunc" else call.function
        has_out = event.writes is not None and not event.writes_into_argument
        has_out = has_out and call.kind != "setitem"

        def run(*arrays: Any) -> Any:
            found = dict(zip(inputs, arrays, strict=False))
            args, kwargs = mapped(
                (event.args, event.kwargs),
                lambda one: found.get(one, one) if isinstance(one, Value) else one,
            )
            if call.kind == "check":
                return bool(np.any(args[0])) is not args[1]
            out = function(*args, **kwargs, **({"out": arrays[-1]} if has_out else {}))
            outs = out if event.several else (out,)
            return [
                np.asarray(one) if v.is_array else one
                for v, one in zip(event.results, outs, strict=False)
            ]

        return run

    def copies(self) -> Iterator[tuple[str, str]]:
        for state, value in self.recording.writes.items():
            if value.is_array:
                yield f"{self.home(state)}[...] = {self.text(value)}", "update"

    def home(self, state: State) -> str:
        return f"home_of_{list(self.recording.writes).index(state)}"

    def bind(self, homes: dict[State, Any]) -> dict[str, Any]:
        names = dict(self.bound)
        for value in self.recording.trace.values:
            if value.is_constant and value.is_array:
                names[self.text(value)] = value.array
        for state, value in self.recording.states.items():
            if value.is_array:
                names[self.text(value)] = homes[state]
        for state, value in self.recording.writes.items():
            if value.is_array:
                homes.setdefault(state, np.empty_like(value.array))
                names[self.home(state)] = homes[state]
        return names


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    target = StandIn()
    monkeypatch.setattr(pipeline, "target_named", lambda name: target)
    return target


@pytest.mark.parametrize("optimizer", [tg.optim.SGD, tg.optim.Adam])
@pytest.mark.parametrize("model", ["logistic", "mlp", "cnn"])
def test_a_target_of_a_few_lines_computes_elsewhere_what_numpy_does(
    model: str, optimizer: Any, stand_in: StandIn
) -> None:
    compiled, eager = Training(model, optimizer), Training(model, optimizer)
    step = tg.compile(compiled.step)
    for number in range(6):
        x, y = batch(number)
        assert step(x, y).item() == eager.step(x, y).item()
    assert_same(compiled.everything(), eager.everything())
    assert len(step._replays) == 1
    # The four replays ran there, and nowhere else.
    assert stand_in.namespace.calls["multiply"] >= 4
    events = step._replays[0].program.plan.events
    ufuncs = sum(event.call.kind == "ufunc" for event in events)
    assert stand_in.namespace.calls.total() == 4 * ufuncs


def test_a_target_gives_results_that_are_not_its_memory(stand_in: StandIn) -> None:
    step = tg.compile(lambda x: (x * 2.0)[1:])
    kept = [step(tg.tensor([1.0, 2.0, 3.0])) for _ in range(4)]
    kept[-1].data[...] = 0.0
    assert [one.tolist() for one in kept] == [[4.0, 6.0]] * 3 + [[0.0, 0.0]]
    assert stand_in.namespace.calls["multiply"] == 2
