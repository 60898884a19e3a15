"""What a replay answers instead of a result."""

from __future__ import annotations

from typing import Any

__all__ = ["MISS", "MOVED"]

MISS: Any = type("Miss", (), {"__repr__": lambda _: "MISS"})()
"""The result of a replay that was not recorded for such a call."""
MOVED: Any = type("Moved", (), {"__repr__": lambda _: "MOVED"})()
"""The result of a replay whose states are elsewhere, or whose memory others hold: ``adopt``."""
