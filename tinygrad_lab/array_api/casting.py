"""The dtypes that a tensor can be cast to."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.backends.dtypes import known_dtype
from tinygrad_lab.engine.explain import in_full
from tinygrad_lab.errors import DTypeError, excerpt

__all__ = ["castable_dtype"]


def castable_dtype(x: Any, dtype: Any) -> Any:
    """Return the dtype to cast x to, from a dtype or its name.

    Raises:
        DTypeError: for an invalid dtype, and for a cast from complex to real.
    """
    source = getattr(x, "dtype", None) or np.dtype(type(x))
    if not isinstance(source, np.dtype):
        return dtype  # Arrays of a library with its own dtypes, which decides what it supports.
    try:
        wanted = known_dtype(dtype, "astype")
    except DTypeError:
        reason = f"expected a dtype such as tg.float32 or 'int64', got {excerpt(dtype)}."
        raise DTypeError(in_full("astype", reason, {"x": x}, {})) from None
    if source.kind == "c" and wanted.kind in "iuf":
        reason = (
            f"{source} does not become {wanted}, which has room for one number and not for two: "
            "choose a part first, tg.real(x) or tg.imag(x)."
        )
        raise DTypeError(in_full("astype", reason, {"x": x}, {}))
    return wanted
