"""One call of a step, taken apart: the leaves of its arguments, and the containers around them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import is_
from typing import Any

from tinygrad_lab import trees
from tinygrad_lab.compiler.refusal import UnsupportedError

__all__ = ["Call", "filled"]


class Call:
    """A function, and the arguments of a call."""

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        self.function = function
        self._args, self._kwargs = args, kwargs
        self.leaves, self._rebuild = trees.flatten((list(args), kwargs), open_modules=False)
        self.structure = self._rebuild(list(range(len(self.leaves))))
        """The containers of the arguments, with numbers in the places of the leaves."""

    def run(self, new: list[Any]) -> Any:
        """Call the function with other leaves in the same containers.

        Raises:
            UnsupportedError: if it changes one of these containers, which are copies.
        """
        given = self._rebuild(new)
        out = self.function(*given[0], **given[1])
        now, rebuild = trees.flatten(given, open_modules=False)
        same = len(now) == len(new) and all(map(is_, now, new))
        if not same or rebuild(list(range(len(now)))) != self.structure:
            raise UnsupportedError(
                "it changes its arguments: it sets or removes items of a list or a dict that it is "
                "given, and a replay would not"
            )
        return out

    @cached_property
    def names(self) -> list[str]:
        """Names of the leaves, after the parameters that they are part of."""
        names: list[str] = []
        try:
            # In the order of the call, in which keyword arguments may be in another order than in
            # the signature.
            signature = inspect.signature(self.function)
            bound = {**signature.bind_partial(*self._args).arguments, **self._kwargs}
        except (TypeError, ValueError):
            bound = {}
        for name, value in bound.items():
            parts = len(trees.flatten(value, open_modules=False)[0])
            names += [name] if parts == 1 else [f"{name}_{part}" for part in range(parts)]
        count = len(self.leaves)
        return names if len(names) == count else [f"argument_{n}" for n in range(count)]


def filled(structure: Any) -> Callable[[list[Any]], Any]:
    """Return a function that puts leaves into the places of the numbers in containers."""
    return trees.flatten(structure, open_modules=False)[1]
