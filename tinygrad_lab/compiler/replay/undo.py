"""What a replay that fails half-way has changed is put back.

Some lines of a replay may turn out differently from their recording: an index out of range, a
singular matrix, a check of labels. The uncompiled step is then run, and says what is wrong, or is
recorded again; it must find everything as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.compiler.plan.memory import Plan
from tinygrad_lab.compiler.record.record import State
from tinygrad_lab.compiler.record.trace import Event, values_in
from tinygrad_lab.compiler.replay.outcome import MISS, MOVED

__all__ = ["FAILURES", "Undo", "may_fail"]

FAILURES = (IndexError, np.linalg.LinAlgError)
"""NumPy's errors where the step would have raised one of this package."""


def may_fail(event: Event) -> bool:
    """Return whether an event may turn out differently from its recording."""
    call = event.call
    if call.kind in ("getitem", "setitem") and call.name != "pick":
        return any(values_in(event.args[1]))
    return call.kind == "check" or getattr(call.function, "__module__", "") == "numpy.linalg"


class Undo:
    """Copies of what a replay writes before its last line that may fail."""

    def __init__(self, plan: Plan) -> None:
        last = max((n for n, event in enumerate(plan.events) if may_fail(event)), default=0)
        states: dict[State, None] = {}  # in order
        generators: dict[Any, None] = {}
        for event in plan.events[:last]:
            if event.call.kind == "draw":
                generators[event.generator] = None
            made = [value for value in event.results if value.root is value]  # no views
            for value in (*made, *filter(None, [event.writes])):
                origin = value.root.origin
                if value.root in plan.home_of:
                    states[plan.home_of[value.root]] = None
                elif origin is not None and origin.kind == "state":
                    states[origin.key] = None
        self.states = list(states)
        """The states that are at risk."""
        self.generators = list(generators)
        """Those that are drawn from until then."""
        self._before: list[Any] = []

    def around(self, replay: Callable[..., Any], arrays: list[Any]) -> Callable[..., Any]:
        """Return the replay, made to put back what it has changed when it fails half-way.

        ``arrays`` is the memory of the states that are at risk.
        """
        before = self._before = [np.empty_like(array) for array in arrays]
        generators = self.generators
        if not arrays and not generators:
            return replay

        def run(*args: Any) -> Any:
            _copy(arrays, before)
            states = [generator.get_state() for generator in generators]
            out = replay(*args)
            if out is MISS or out is MOVED:
                _copy(before, arrays)
                for generator, state in zip(generators, states, strict=True):
                    generator.set_state(state)
            return out

        return run

    def put_back(self, arrays: list[Any]) -> None:
        """Put the numbers back that the memory had before the last replay."""
        _copy(self._before, arrays)


def _copy(sources: list[Any], targets: list[Any]) -> None:
    # A separate function: a variable that holds an array during a replay would be a reference.
    for source, target in zip(sources, targets, strict=True):
        np.copyto(target, source)
