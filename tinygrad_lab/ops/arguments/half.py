"""float16 as users give it: where numbers are summed, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.backends.dtypes import is_half

__all__ = ["widened"]


def widened(xp: Any, x: Any) -> Any:
    """Return float16 as float32, in which sums and products do not overflow; others as they are."""
    return xp.astype(x, np.float32) if is_half(getattr(x, "dtype", None)) else x
