"""Where the time and the memory of a compiled step go."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter_ns
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.dependencies import put_back, random_states
from tinygrad_lab.compiler.record.record import Recording
from tinygrad_lab.compiler.replay.replay import Replay

__all__ = ["Line", "Report", "kept_as_it_is", "report_on"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a replay."""

    text: str
    phase: str
    microseconds: float
    """The median over the replays."""


@dataclass(frozen=True, slots=True)
class Report:
    """Time per line, and memory, of a compiled step."""

    lines: tuple[Line, ...]
    replays: int
    scratch_bytes: int
    """The memory of the replay besides arguments, parameters, moments and gradients."""
    eager_peak_bytes: int
    """The peak memory of the uncompiled step."""
    summary: str
    """A summary of the recorded operations: how many are needed, and what was fused."""

    @property
    def microseconds(self) -> float:
        """The time of all lines."""
        return sum(line.microseconds for line in self.lines)

    def __str__(self) -> str:
        total = self.microseconds or 1.0
        rows = [f"{'µs':>9} {'share':>6}  line"]
        phase = ""
        for line in self.lines:
            if line.phase != phase:
                phase = line.phase
                rows.append(f"{'':17} --- {phase} ---")
            share = 100 * line.microseconds / total
            rows.append(f"{line.microseconds:9.2f} {share:5.1f}%  {line.text:.90}")
        rows.append(f"{total:9.2f}         all {len(self.lines)} lines ({self.replays} replays)")
        rows.append(
            f"scratch memory {self.scratch_bytes / 1e3:,.1f} kB; the uncompiled step's peak is "
            f"{self.eager_peak_bytes / 1e3:,.1f} kB"
        )
        rows.append(self.summary)
        return "\n".join(rows)


def report_on(
    replay: Replay, leaves: Sequence[Any], call: Callable[[list[Any]], Any], replays: int
) -> Report:
    """Run a replay and its step, and restore everything that they change."""
    with kept_as_it_is(replay.recording):
        call(list(leaves))  # leave out what is made only once
    with kept_as_it_is(replay.recording):
        tracemalloc.start()
        try:
            call(list(leaves))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    replay.renew()
    with kept_as_it_is(replay.recording):
        times = _timed(replay, leaves, replays)
    lines = tuple(
        Line(text, phase, microseconds)
        for (text, phase), microseconds in zip(
            replay.program.code.lines_by_phase, times, strict=True
        )
    )
    return Report(lines, replays, replay.program.plan.scratch_bytes, peak, replay.program.summary)


def _timed(replay: Replay, leaves: Sequence[Any], replays: int) -> Sequence[float]:
    """Return the microseconds of each line."""
    samples = []
    run = replay.run_with_clock(perf_counter_ns)
    for _ in range(replays):
        clock: list[int] = []
        run(clock, *leaves)
        samples.append(np.diff(clock) / 1e3)
    run.__globals__.clear()  # a function and its names refer to each other
    return [float(one) for one in np.median(samples, axis=0)]


@contextmanager
def kept_as_it_is(recording: Recording) -> Iterator[None]:
    """Restore the states of a step at the end of the block."""
    places = [state.owner for state in recording.states if state.kind == "vector"]
    tensors = {
        id(state.owner): state.owner
        for state in (*recording.states, *recording.writes)
        if state.kind in ("data", "grad")
    }
    tensors.update({id(p): p for place in places for p in place.parameters})
    before = [
        (t, _copied(t._data), None if t.grad is None else _copied(t.grad._data))
        for t in tensors.values()
    ]
    bundles = [(place.bundle(), place) for place in places]
    kept = [(b, _copied(b.vector), [_copied(one) for one in b.state], b.steps) for b, _ in bundles]
    draws = [event.generator for event in recording.trace.events if event.call.kind == "draw"]
    generators = [(generator, generator.get_state()) for generator in draws]
    python = [replace(one, found=one.now()) for one in recording.dependencies]
    python += random_states()
    try:
        yield
    finally:
        put_back(python)
        for bundle, vector, state, steps in kept:
            bundle.vector, bundle.state, bundle.steps = vector, tuple(state), steps
        for tensor, data, grad in before:
            tensor._rebind(data)
            tensor._grad = None
            if grad is not None:
                tensor._collect(grad)
        for bundle, _ in bundles:
            bundle.views = [p._data for p in bundle.parameters]
        for generator, state in generators:
            generator.set_state(state)


def _copied(array: Any) -> Any:
    return np.array(array) if isinstance(array, np.ndarray) else array
