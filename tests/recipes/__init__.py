"""Random calls of every differentiable function, for the properties in ``test_properties.py``.

One file for each family of functions, one line for each function; ``kinds.py`` defines the kinds.
"""

from . import elementwise, fourier, matrices, moving, nets, reducing
from .kinds import Array, Call, Recipe, seeds

__all__ = ["RECIPES", "SEEN_THROUGH", "WITHOUT_GRADIENT", "Array", "Call", "Recipe", "seeds"]

RECIPES = [
    *elementwise.RECIPES,
    *reducing.RECIPES,
    *moving.RECIPES,
    *matrices.RECIPES,
    *fourier.RECIPES,
    *nets.RECIPES,
]
"""One recipe for every differentiable function; ``test_properties.py`` names the missing ones."""

WITHOUT_GRADIENT: dict[str, str] = {
    "allclose": "a truth value",
    "argsort": "positions",
    "bucketize": "positions",
    "count_nonzero": "a count",
    "isclose": "truth values",
    "matrix_rank": "a count",
    "one_hot": "a choice",
    "searchsorted": "positions",
}
"""Composed functions that no gradient flows through, each with what it returns instead."""

SEEN_THROUGH = {
    "put": "index",
    "scaled_twins": "real_dft",
    "put_several": "index",
    "output": "unstack",
    "unique": "unique_values",
}
"""Ops that are not called directly, each with the function whose recipe covers it."""
