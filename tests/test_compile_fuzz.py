"""Random programs, compiled: replays, written source and saved modules give the eager bits."""

from pathlib import Path

import pytest

from tests.random_array_programs import array_difference
from tests.random_programs import difference, random_program

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

TENS = range(10)
"""Each takes some two seconds on one core; thousands were compared by hand."""


@pytest.mark.parametrize("tens", TENS)
def test_random_programs_of_tensors(tens: int, tmp_path: Path) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        program = random_program(seed)
        found = difference(program, tmp_path if seed % 3 == 0 else None)
        assert found is None, f"{program}\n{found}"


@pytest.mark.parametrize("tens", TENS)
def test_random_programs_of_arrays_with_views_and_writes(tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        found = array_difference(seed)
        assert found is None, found
