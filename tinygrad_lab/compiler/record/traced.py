"""What stands for arrays and numbers while a step is recorded, and refuses to be read.

A traced array (``arrays.py``) or number (``numbers.py``) holds a real one, and enters what is done
with it in a trace. Whatever would make the step depend on the number itself is refused here: a
replay would go on with that of the recording.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from tinygrad_lab.compiler.record.running import RunningTrace
from tinygrad_lab.compiler.record.trace import Value
from tinygrad_lab.compiler.refusal import AskedError, refused
from tinygrad_lab.errors import CompileError

__all__ = ["Traced"]


class Traced:
    """Something real, with the value in a trace that it stands for."""

    __slots__ = ("__weakref__", "_trace", "value")
    base = None

    def __init__(self, trace: RunningTrace, value: Value) -> None:
        self._trace = trace
        self.value = value
        trace.handles.append(ref(self))

    def _refused(self, what: str) -> CompileError:
        """Return the error; for numbers that follow from arguments alone, one that says which."""
        error, places = refused(f"a tensor's {what}"), self.value.arguments()
        return AskedError(str(error), places) if places else error

    def __bool__(self) -> bool:
        raise self._refused("truth value (bool, if, while, and, or)")

    def __float__(self) -> float:
        raise self._refused("number (float, math.sin, formatting)")

    def __int__(self) -> int:
        raise self._refused("number (int)")

    def __index__(self) -> int:
        raise self._refused("number as an index")

    def item(self) -> Any:
        raise self._refused("number (item)")

    def tolist(self) -> Any:
        raise self._refused("numbers (tolist)")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self._refused("numbers (numpy, print)")

    def __str__(self) -> str:
        raise self._refused("numbers (str, print, formatting)")

    def __format__(self, how: str) -> str:
        return str(self)

    def __hash__(self) -> int:
        raise self._refused("number as a key")

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise self._refused("numbers (deepcopy, pickle)")
