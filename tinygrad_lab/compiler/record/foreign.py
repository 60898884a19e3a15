"""Whose code it is: the user's, this package's, or foreign (Python's, another package's)."""

from __future__ import annotations

import sys
import sysconfig
from functools import cache
from os.path import join, realpath
from typing import Any

from tinygrad_lab.engine.user_code import is_library

__all__ = ["is_library_class", "is_users", "is_users_class", "is_users_function"]

_FOREIGN = tuple(
    {
        join(path, "")
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        for path in (sysconfig.get_path(name), realpath(sysconfig.get_path(name)))
    }
)
_BUILT_IN = frozenset({*sys.builtin_module_names, *sys.stdlib_module_names} - {"__main__"})


@cache
def is_users(filename: str) -> bool:
    """Return whether a file, or a module without one, is the user's."""
    if is_library[filename] or filename.startswith(("<frozen", "<__array_function__")):
        return False
    return not filename.startswith(_FOREIGN) and filename.partition(".")[0] not in _BUILT_IN


def is_users_function(function: Any) -> bool:
    """Return whether a function in Python is the user's."""
    return is_users(function.__code__.co_filename)


def is_users_class(kind: type) -> bool:
    """Return whether a class is the user's."""
    return _is_users_module(kind.__module__)


@cache
def _is_users_module(name: str) -> bool:
    if name == "__main__":
        return True  # whatever runs it: a notebook's kernel, a debugger
    if name.startswith("_cython_"):
        return False  # where Cython keeps its own types
    file = getattr(sys.modules.get(name), "__file__", None)
    return is_users(file or name)


def is_library_class(kind: type) -> bool:
    """Return whether a class is of this package."""
    return kind.__module__.partition(".")[0] == __name__.partition(".")[0]
