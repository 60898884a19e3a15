"""Random programs, compiled: replays, written source and saved modules give the eager bits."""

from pathlib import Path

import pytest

from tests.random_programs import difference, random_program

SEEDS = 120
"""As many programs take some 25 seconds on one core."""


@pytest.mark.parametrize("tens", range(SEEDS // 10))
def test_random_programs_do_what_they_do_uncompiled(tens: int, tmp_path: Path) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        program = random_program(seed)
        found = difference(program, tmp_path if seed % 3 == 0 else None)
        assert found is None, f"{program}\n{found}"
