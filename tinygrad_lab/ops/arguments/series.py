"""Power series, for functions whose formulas lose digits close to 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["power_series"]


def power_series(x: Any, coefficients: Sequence[float]) -> Any:
    """Return c₀ + c₁ x + c₂ x² + ..., by Horner's rule, for two coefficients or more."""
    *others, last = coefficients
    total = last * x + others.pop()
    for coefficient in reversed(others):
        total = total * x + coefficient
    return total
