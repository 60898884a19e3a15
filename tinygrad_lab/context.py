"""The context that surrounding ``with`` blocks set: one immutable value per thread.

The value lives in a ``ContextVar``: a new thread starts from the default, and leaving a block,
also through an exception, takes its changes back. (A generator that is suspended inside a block
leaves it in force for its caller until it goes on, as with any context variable.)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Literal, Protocol, Self

__all__ = [
    "Context",
    "Debugger",
    "Recorder",
    "Scope",
    "Touch",
    "changed",
    "current",
    "enter",
    "leave",
    "no_grad",
    "plain",
    "record",
    "touch",
    "within",
]


@dataclass(frozen=True, slots=True)
class Scope:
    """The module whose ``forward`` is running: where in a net a node was made."""

    path: str
    """Names from the outermost module inwards, as in ``state_dict``: ``"encoder.linear1"``."""
    kind: str
    """The class of the module: ``"Linear"``."""
    names: Mapping[int, str]
    """What this module calls the modules inside it, by their ``id``."""
    outer: Scope | None = None
    """The module whose ``forward`` called this one."""


Touch = Literal["read", "look", "set grad", "collect", "run", "step", "schedule", "seed"]
"""What is about to happen to things: tensors are read (``"look"``: by the user, as ``.data``), or
their ``.grad`` set; leaves collect gradients; a module runs; an optimiser or a schedule steps;
a generator is made or seeded."""


class Recorder(Protocol):
    """Something that records what happens to arrays while a function runs, to replay it later."""

    def arrays_of(self, inputs: Sequence[Any], op: Any = None) -> list[Any]:
        """Return the arrays of an op's inputs, in a form that records what is done with them."""

    def real(self, arrays: Sequence[Any]) -> list[Any]:
        """Return such arrays as they are, for an error message."""

    def touch(self, how: Touch, things: Sequence[Any]) -> None:
        """Note what is about to happen to tensors, modules or optimisers."""

    def observe(self, node: Any, g: Any) -> Any:
        """Note the complete gradient of a node; return the one to continue with."""

    def drawn(self, draw: Callable[..., Any], *args: Any) -> Any:
        """Return what a generator's method draws, to be drawn again at each replay."""

    def made(self, make: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Return what a function of numbers makes, to be made again at each replay."""

    def joined(self, lists: Any) -> Any:
        """Return (nested) lists as one array, if a replay has to make it again."""


class Debugger(Protocol):
    """Something that checks every op, forward and backward."""

    def check_forward(self, node: Any, arrays: Sequence[Any], out: Any) -> None:
        """Check what an op computed from arrays."""

    def check_memory(self, node: Any) -> None:
        """Check that the arrays that a node keeps have not changed."""

    def pull_back(self, node: Any, g: Any) -> Iterable[tuple[Any, Any]]:
        """Do what ``node.pull_back`` does, checked."""


@dataclass(frozen=True, slots=True)
class Context:
    """The settings under which ops run now."""

    grad_enabled: bool = True
    recording: bool = False
    composing: bool | str = False
    """Fused ops run as the small ops they are composed of; if ``"taught"``, as in a textbook."""
    scope: Scope | None = None
    debugger: Debugger | None = None
    device: str = "cpu"
    """The device of new tensors, unless one is named."""
    recorder: Recorder | None = None
    plain: bool = False
    """Ops are applied by the plain engine, which a debugger can step through."""
    ordinary: bool = True
    """Nothing but gradients is needed: the code that ``engine/fast`` wrote may run."""

    blocks: tuple[tuple[object, Mapping[str, Any]], ...] = ()
    """The changes of the ``with`` blocks in force, outermost first, each with its own mark."""

    def with_changes(self, **changes: Any) -> Context:
        """Return this context with some fields changed."""
        context = replace(self, **changes)
        ordinary = context.grad_enabled and not (
            context.recording or context.composing or context.plain or context.debugger is not None
        )
        return replace(context, ordinary=ordinary)

    def without_block(self, mark: object) -> Context:
        """Return this context without one block, which need not be the innermost."""
        blocks = tuple(block for block in self.blocks if block[0] is not mark)
        context = Context(scope=self.scope, blocks=blocks)
        for _, changes in blocks:
            context = context.with_changes(**changes)
        return context


_ORDINARY = Context()
_context: ContextVar[Context] = ContextVar("tinygrad_lab.context", default=_ORDINARY)

current = _context.get
enter = _context.set
leave = _context.reset


def touch(how: Touch, things: Iterable[Any]) -> None:
    """Tell the recorder, if there is one, what is about to happen to some things."""
    recorder = current().recorder
    if recorder is not None:
        recorder.touch(how, tuple(things))


class changed(ContextDecorator):  # noqa: N801 - used like a function
    """Run a block, or a decorated function, under the current context with changes."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self._entered: list[tuple[object, Context, Context]] = []

    def __call__(self, function: Any) -> Any:
        if inspect.iscoroutinefunction(function):
            return self._around_coroutine(function)
        if inspect.isgeneratorfunction(function):
            return self._around_generator(function)
        return super().__call__(function)

    def _around_coroutine(self, function: Any) -> Any:
        @wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                return await function(*args, **kwargs)

        return run

    def _around_generator(self, function: Any) -> Any:
        """Wrap a generator function so that only its steps run in the block."""

        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            advance, given = generator.send, None
            while True:
                try:
                    with self._recreate_cm():
                        value = advance(given)
                except StopIteration as stop:
                    return stop.value
                try:
                    advance, given = generator.send, (yield value)
                except GeneratorExit:
                    with self._recreate_cm():
                        generator.close()
                    raise
                except BaseException as error:
                    advance, given = generator.throw, error

        return run

    def _recreate_cm(self) -> Self:
        # A decorated function may recurse or run in two threads: every call gets its own tokens.
        return type(self)(**self._changes)

    def __enter__(self) -> Any:
        before, mark = current(), object()
        blocks = (*before.blocks, (mark, self._changes))
        inside = before.with_changes(blocks=blocks, **self._changes)
        self._entered.append((mark, before, inside))
        enter(inside)
        return self

    def __exit__(self, *exception: object) -> None:
        mark, before, inside = self._entered.pop()
        context = current()
        # A suspended generator may leave its block after others entered theirs.
        enter(before if context is inside else context.without_block(mark))


class within(ContextDecorator):  # noqa: N801 - used like a function
    """Run a block as if in the forward of a module."""

    def __init__(self, scope: Scope | None) -> None:
        self._scope = scope

    def __enter__(self) -> Any:
        self._token = enter(current().with_changes(scope=self._scope))
        return self

    def __exit__(self, *exception: object) -> None:
        leave(self._token)


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
    """Run a block in which every op is recorded and every array is kept, even a large one.

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


def plain() -> changed:
    """Run a block in the plain engine, which a debugger can step through line by line.

    Outside of it, the package's ops run code that was written for speed (``engine/fast``). Both
    compute the same numbers, bit for bit. ``TINYGRAD_LAB_PLAIN=1`` in the environment does the
    same for the whole process.

    Example:
        >>> import tinygrad_lab as tg
        >>> with tg.plain():
        ...     y = tg.scalar(3.0) * 2
        >>> type(y.node).__name__
        'Application'
    """
    return changed(plain=True)
