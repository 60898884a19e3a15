"""What the surrounding ``with`` blocks ask of every op: one immutable value per thread.

The value lives in a ``ContextVar``: a new thread starts from the default, and leaving a block,
also through an exception, puts the former value back. Nothing here can stay switched on.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tinygrad_lab.debug import Debugger

__all__ = ["Context", "Scope", "changed", "current", "enter", "leave", "no_grad", "record"]


@dataclass(frozen=True, slots=True)
class Scope:
    """The module whose ``forward`` is running: where in a net a node was made."""

    path: str
    """Names from the outermost module inwards, as in ``state_dict``: ``"encoder.linear1"``."""
    kind: str
    """The class of the module: ``"Linear"``."""
    names: Mapping[int, str]
    """What this module calls the modules inside it, by their ``id``."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is asked of the ops that run now."""

    grad_enabled: bool = True
    recording: bool = False
    composing: bool = False
    """Fused ops run as the small ops they are composed of."""
    scope: Scope | None = None
    debugger: Debugger | None = None
    ordinary: bool = True
    """Nothing is asked but gradients: the short path of an op may run."""

    def with_changes(self, **changes: Any) -> Context:
        """This context with some fields changed."""
        context = replace(self, **changes)
        ordinary = context.grad_enabled and not (
            context.recording or context.composing or context.debugger is not None
        )
        return replace(context, ordinary=ordinary)


_ORDINARY = Context()
_context: ContextVar[Context] = ContextVar("tinygrad_lab.context", default=_ORDINARY)

current = _context.get
enter = _context.set
leave = _context.reset


class changed(ContextDecorator):  # noqa: N801 - used like a function
    """Run a block, or a decorated function, under the current context with changes."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self._tokens: list[Token[Context]] = []

    def _recreate_cm(self) -> Self:
        # A decorated function may recurse or run in two threads: every call gets its own tokens.
        return type(self)(**self._changes)

    def __enter__(self) -> Any:
        self._tokens.append(enter(current().with_changes(**self._changes)))
        return self

    def __exit__(self, *exception: object) -> None:
        leave(self._tokens.pop())


def no_grad() -> changed:
    """Run a block, or a decorated function, without building a graph.

    Holds for the current thread only, and ends with the block, also after an exception.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> with tg.no_grad():
        ...     y = x * x
        >>> y.requires_grad
        False
    """
    return changed(grad_enabled=False)


def record() -> changed:
    """Run a block in which every op is recorded and every array is kept, large ones too.

    Outside of it a graph has a node only where a gradient flows, and a value only where it is
    small. Recording is apart from gradients: it also records under ``no_grad``.

    Example:
        >>> import tinygrad_lab as tg
        >>> with tg.record(), tg.no_grad():
        ...     y = tg.tensor([1.0, 2.0]).exp()
        >>> [node.op_name for node in tg.graph(y)]
        ['constant', 'exp']
    """
    return changed(recording=True)
