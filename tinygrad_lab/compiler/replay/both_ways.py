"""A compiled step under ``tg.debug()``: replayed and run as it is, and compared.

The replay goes first, and what it changes is put back; then the function runs, with all checks of
``tg.debug()``. What both computed is compared: results, gradients, moments, parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_lab import trees
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.replay.outcome import MISS, MOVED
from tinygrad_lab.compiler.replay.replay import Replay
from tinygrad_lab.compiler.replay.report import kept_as_it_is
from tinygrad_lab.context import Context, enter, leave
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import CompileError

__all__ = ["run_both_ways"]

_EXACT = ("numpy", "python")
"""The targets whose results are those of the uncompiled step, bit for bit."""
_TOLERANCE = 1e-4
"""Of other targets: the part of the largest number by which any may differ."""


def run_both_ways(replay: Replay, leaves: list[Any], call: Callable[[], Any]) -> Any:
    """Replay a step, put everything back, and run it; return what it returns.

    Raises:
        CompileError: if the two differ, with the first value that does.
    """
    recording = replay.recording
    with kept_as_it_is(recording):
        token = enter(Context())
        try:
            replay.settle()
            out = replay.run(*leaves)
            replayed = None if out is MISS or out is MOVED else list(_values(recording, out))
        finally:
            leave(token)
    result = call()
    if replayed is not None:
        _compare(replayed, list(_values(recording, result)), exact=replay.target in _EXACT)
    return result


def _values(recording: Recording, result: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a step has computed, in order, with names."""
    leaves, _ = trees.flatten(result)
    for number, leaf in enumerate(leaves):
        output = recording.outputs[number] if number < len(recording.outputs) else None
        name = getattr(output, "name", None)
        yield f"result {number}" + f" ({name})" * bool(name), _copied(leaf)
    order = {"grad": 0, "state": 1, "steps": 2, "vector": 3, "data": 4}
    for state in sorted(recording.writes, key=lambda one: order[one.kind]):
        yield _name(state), _copied(_now(state))


def _name(state: State) -> str:
    if state.kind in ("grad", "data"):
        name = state.owner.name or "a tensor"
        return f"{name}.grad" if state.kind == "grad" else name
    optimizer = type(state.owner.optimizer).__name__
    if state.kind == "state":
        return f"{state.owner.optimizer.state_names[state.position]} of {optimizer}"
    return (
        f"the step count of {optimizer}" if state.kind == "steps" else f"what {optimizer} updates"
    )


def _now(state: State) -> Any:
    if state.kind in ("grad", "data"):
        return state.owner.grad if state.kind == "grad" else state.owner
    bundle = state.owner.bundle()
    if bundle is None:
        return None
    if state.kind == "state":
        return bundle.state[state.position]
    return bundle.vector if state.kind == "vector" else bundle.steps


def _copied(value: Any) -> Any:
    data = value._data if isinstance(value, Tensor) else value
    return np.array(data) if isinstance(data, np.ndarray) else data


def _compare(replayed: list[tuple[str, Any]], run: list[tuple[str, Any]], *, exact: bool) -> None:
    for (name, one), (_, other) in zip(replayed, run, strict=True):
        if not _agree(one, other, exact):
            raise CompileError(
                f"tg.compile, under tg.debug(): {name} differs: the replay gives {one!r:.80}, the "
                f"step itself {other!r:.80}. The step may depend on something that is not noticed "
                "(docs/compile.md lists what); else this is a fault of the compiler: please report "
                "it. Leave the step uncompiled meanwhile."
            )


def _agree(one: Any, other: Any, exact: bool) -> bool:
    if one is other:
        return True
    if not isinstance(one, np.ndarray | np.generic | float | int):
        return isinstance(other, type(one)) and bool(one == other)
    mine, theirs = np.asarray(one), np.asarray(other)
    if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
        return False
    floating = mine.dtype.kind == "f"
    if exact or not floating or not mine.size:
        return bool(np.array_equal(mine, theirs, equal_nan=floating))
    with np.errstate(all="ignore"):
        largest = float(np.nanmax(np.abs(theirs), initial=0.0))
    return bool(
        np.allclose(mine, theirs, rtol=_TOLERANCE, atol=_TOLERANCE * largest, equal_nan=True)
    )
