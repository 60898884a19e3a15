"""What many outputs, many inputs and many uses cost: in proportion to their number.

Work is counted, not timed: calls of functions, and bytes.
"""

import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.growth_of_functions import CASES, kept_and_swept

FEW, MANY = 50, 300
ALLOWED = 1.25
"""How much more one of many may cost than one of few."""

DENSE = {"x.at[i].set", "x.at[i].add"}
"""Each of these steps makes an array as large as x, which is kept while it is small."""


def calls(function: Callable[[], Any]) -> int:
    """Count the calls of functions, of Python and of C, that a function makes."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("case", CASES)
def test_calls_grow_with_the_number(case: str) -> None:
    each = []
    for count in (FEW, MANY):
        forward = CASES[case](count)
        kept_and_swept(forward)  # what is written or cached for new ops is so by now
        each.append(calls(lambda: kept_and_swept(forward, trace=False)) / count)  # noqa: B023
    assert each[1] <= ALLOWED * each[0], f"calls an element: {each}"


@pytest.mark.parametrize("case", sorted(CASES.keys() - DENSE))
def test_memory_grows_with_the_number(case: str) -> None:
    each = []
    for count in (FEW, MANY):
        forward = CASES[case](count)
        kept_and_swept(forward)
        gc.collect()
        each.append(sum(kept_and_swept(forward)) / count)
    assert each[1] <= ALLOWED * each[0], f"bytes an element: {each}"
