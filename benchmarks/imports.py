"""How long ``import tinygrad_lab`` takes, and how much of it is not NumPy.

Fresh processes in alternation; each reports the time of its own import, so starting Python is not
counted. The first round, which may still compile bytecode and warm the disk's cache, is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from benchmarks.environment import installed, run_python
from benchmarks.harness import Spread

LIMIT_SECONDS = 0.25
PACKAGES = ("numpy", "tinygrad_lab", "torch", "autograd", "mygrad")
PROGRAM = "from time import perf_counter as t; s = t(); import {}; print(t() - s)"


def measure(rounds: int, packages: Sequence[str] = PACKAGES) -> tuple[dict[str, Spread], Spread]:
    """Return the seconds of each installed package, and those of tinygrad_lab beyond NumPy's."""
    present = [package for package in packages if installed(package)]
    seconds: dict[str, list[float]] = {package: [] for package in present}
    for index in tqdm(range(rounds + 1), desc="rounds", leave=False, disable=None):
        for package in present:
            own = float(run_python("-c", PROGRAM.format(package)))
            if index > 0:
                seconds[package].append(own)
    beyond = [
        own - numpy for own, numpy in zip(seconds["tinygrad_lab"], seconds["numpy"], strict=True)
    ]
    return {package: Spread.of(own) for package, own in seconds.items()}, Spread.of(beyond)
