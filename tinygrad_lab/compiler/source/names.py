"""Names of variables that mean something else to Python, or to NumPy, and what to say instead."""

from __future__ import annotations

import builtins

import numpy as np

__all__ = ["free_of_numpy"]

_NOUNS = {
    "sum": "total",
    "prod": "product",
    "max": "largest",
    "min": "smallest",
    "mean": "average",
    "exp": "exponentials",
    "log": "logarithms",
    "sqrt": "roots",
    "square": "squares",
    "abs": "magnitudes",
    "absolute": "magnitudes",
    "sign": "signs",
    "negative": "negated",
    "reshape": "reshaped",
    "transpose": "transposed",
    "matrix_transpose": "transposed",
    "permute_dims": "permuted",
    "swapaxes": "swapped",
    "moveaxis": "moved",
    "ravel": "flat",
    "expand_dims": "expanded",
    "squeeze": "squeezed",
    "broadcast_to": "repeated",
    "matmul": "product",
    "dot": "product",
    "multiply": "product",
    "outer": "products",
    "einsum": "contracted",
    "tensordot": "contracted",
    "divide": "quotient",
    "add": "added",
    "subtract": "difference",
    "power": "powers",
    "pow": "powers",
    "maximum": "larger",
    "minimum": "smaller",
    "where": "chosen",
    "clip": "clipped",
    "concatenate": "joined",
    "concat": "joined",
    "stack": "stacked",
    "split": "parts",
    "pad": "padded",
    "flip": "flipped",
    "roll": "rolled",
    "tile": "tiled",
    "repeat": "repeated",
    "take": "taken",
    "take_along_axis": "taken",
    "copy": "copied",
    "array": "copied",
    "ascontiguousarray": "copied",
    "astype": "converted",
    "fill": "filled",
    "sort": "ordered",
    "argsort": "order",
    "argmax": "position",
    "argmin": "position",
    "cumsum": "totals",
    "cumprod": "products",
    "cumulative_sum": "totals",
    "std": "deviation",
    "var": "variance",
    "diagonal": "on_diagonal",
    "trace": "total",
    "greater": "is_greater",
    "less": "is_less",
    "equal": "is_equal",
    "not_equal": "differs",
    "any": "one_is",
    "all": "all_are",
    "zeros": "all_zero",
    "ones": "all_one",
    "full": "all_equal",
    "empty": "memory",
    "zeros_like": "all_zero",
    "ones_like": "all_one",
    "full_like": "all_equal",
    "empty_like": "memory",
    "arange": "counted",
    "gradient": "d_parameters",
    "matrix": "table",
    "getitem": "part",
    "place": "position",
    "as_strided": "windows",
    "round": "rounded",
    "slice": "part",
}


def free_of_numpy(stem: str) -> str:
    """Return a name that is not one of Python's or NumPy's, which a reader would take it for.

    >>> free_of_numpy("sum"), free_of_numpy("d_matmul"), free_of_numpy("tanh"), free_of_numpy("h")
    ('total', 'd_product', 'tanh_value', 'h')
    """
    start, bare = ("d_", stem[2:]) if stem.startswith("d_") else ("", stem)
    if bare in _NOUNS:
        bare = _NOUNS[bare]
    elif hasattr(np, bare) or hasattr(builtins, bare):
        bare += "_value"
    return start + bare
