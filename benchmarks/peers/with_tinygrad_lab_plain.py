"""tinygrad_lab in its plain engine, which a debugger can step through."""

from __future__ import annotations

from typing import Any

import tinygrad_lab as tg
from benchmarks.participant import Outcome, Participant
from benchmarks.peers import with_tinygrad_lab


def in_the_plain_engine(participant: type[Participant]) -> type[Participant]:
    """Return a participant that does the same in ``with tg.plain():``."""

    class Plain(participant):  # type: ignore[misc, valid-type]
        name = "tinygrad_lab, plain"

        def step(self) -> Any:
            with tg.plain():
                return super().step()

        def outcome(self) -> Outcome:
            with tg.plain():
                return super().outcome()

    return Plain


BUILDERS = {
    kind: in_the_plain_engine(participant)
    for kind, participant in with_tinygrad_lab.BUILDERS.items()
}
