"""The way of a step through the compiler, from a call to its replay. Read this first.

    call ── record ──→ Recording ── compare ──→ the same, twice
                                                   │ plan
    replay ←── bind ── Program ←── emit ── Plan ←──┘

1. *Record* (``record/``). The step runs as always, but on traced arrays: each operation happens,
   and is entered in a trace. What the Python around it read is noted, too.
2. *Compare* (``record/compare.py``). The second call with like arguments is recorded as well: what
   differs between two recordings would be frozen by a replay, and is refused.
3. *Plan* (``plan/``). Passes remove what is not needed, order the rest, and find memory for it.
4. *Emit* (``targets.py``; ``numpy/``, ``loops/``). A target writes the planned events as lines.
5. *Bind* and *replay* (``replay/``). Lines get their memory, and checks before them that everything
   is as it was recorded; ``replay.run`` is what later calls run.

``recordings.py`` decides which of this a call needs, ``step.py`` is what the user has;
``source/`` writes a recording for people to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from tinygrad_lab.compiler.calls import Call
from tinygrad_lab.compiler.plan.memory import plan_memory
from tinygrad_lab.compiler.plan.schedule import scheduled
from tinygrad_lab.compiler.plan.tidy import tidied
from tinygrad_lab.compiler.record.compare import do_the_same, renew_constants, reread_arrays
from tinygrad_lab.compiler.record.record import Recording
from tinygrad_lab.compiler.record.recorder import record_step
from tinygrad_lab.compiler.record.relied import Relied
from tinygrad_lab.compiler.replay.arguments import Arguments
from tinygrad_lab.compiler.replay.replay import Replay
from tinygrad_lab.compiler.targets import Program, Target, target_named
from tinygrad_lab.errors import CompileError

__all__ = ["Recorded", "emit", "record", "replay_of"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of recording a call."""

    recording: Recording
    result: Any
    """What the step has returned."""
    relied: Relied
    """What it relied on, besides arrays."""
    is_the_same: bool
    """It did the same as the recording before it, and can be replayed."""


def record(call: Call, earlier: Recording | None, as_numbers: frozenset[int]) -> Recorded:
    """Run a step and record it; compare it with an earlier recording, if there is one.

    ``as_numbers`` are the places of the numbers that a replay reads at each call.

    Raises:
        UnsupportedError: if no replay could do the same; the step has not run.
        AskedError: if the step asks for the value of some of these numbers; it has not run.
        CompileError: if a replay would freeze what may differ; everything is put back.
    """
    relied, same = Relied(), False

    def accept(recording: Recording) -> None:
        nonlocal same
        relied.refuse_random()
        same = earlier is not None and compare(earlier, recording)
        relied.compare_arrays(recording.trace.values)

    try:
        relied.find(call.function, call.leaves, call.names, call.structure, as_numbers)
        recording, result = record_step(
            call.run, call.leaves, call.names, accept, relied, as_numbers
        )
    except CompileError:
        relied.put_back()
        raise
    return Recorded(recording, result, relied, same)


def compare(first: Recording, second: Recording) -> bool:
    """Return whether two recordings do the same; the second is prepared to be replayed."""
    if not do_the_same(first, second):
        return False
    reread_arrays(first, second)
    renew_constants(first, second)
    return True


def emit(recording: Recording, target: Target) -> Program:
    """Plan a recording, and write it as code for a target."""
    events = tidied(recording)
    if target.keeps_order:
        events = scheduled(recording, events)
    able = {event for event in events if target.can_write_into(event)}
    plan = plan_memory(recording, events, able, join=target.keeps_order)
    return Program(recording, plan, target.emit(recording, plan))


def replay_of(call: Call, recording: Recording, target: str) -> Replay:
    """Return the replay of a recording; it is planned and emitted once it is bound to memory."""
    write = partial(emit, recording, target_named(target))
    arguments = Arguments(recording.arguments, call.leaves, call.names, call.structure)
    return Replay(recording, arguments, target, write)
