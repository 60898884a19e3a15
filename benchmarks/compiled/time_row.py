"""Check and time one row: ``python -m benchmarks.compiled.time_row KEY ROUNDS one|every``.

A process for each row and each number of cores; see `benchmarks.time_row`. Prints JSON.
"""

from __future__ import annotations

import json
import sys

from benchmarks.compiled.rows import BY_KEY, peers_of
from benchmarks.time_row import measure

if __name__ == "__main__":
    key, rounds, cores = sys.argv[1:]
    row = BY_KEY[key]
    print(json.dumps(measure(row, peers_of(row, cores == "every"), int(rounds))))
