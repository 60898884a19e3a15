"""How to call every differentiable function at random: what ``test_properties.py`` proves rests on.

One file a family of functions, one line a function; ``kinds.py`` says what lines there are.
"""

from . import elementwise, matrices, moving, nets, reducing
from .kinds import Array, Call, Recipe, seeds

__all__ = ["RECIPES", "SEEN_THROUGH", "WITHOUT_GRADIENT", "Array", "Call", "Recipe", "seeds"]

RECIPES = [
    *elementwise.RECIPES,
    *reducing.RECIPES,
    *moving.RECIPES,
    *matrices.RECIPES,
    *nets.RECIPES,
]
"""One for every differentiable function; ``test_properties.py`` says which are missing."""

WITHOUT_GRADIENT: dict[str, str] = {
    "argsort": "positions",
    "count_nonzero": "a count",
    "matrix_rank": "a count",
    "one_hot": "a choice",
    "searchsorted": "positions",
}
"""Functions composed of ops that no gradient flows through: each with what they give instead."""

SEEN_THROUGH = {
    "index": "getitem",
    "put": "getitem",
    "output": "unstack",
    "unique": "unique_values",
}
"""Ops that are not called by themselves, with the function whose recipe reaches them."""
