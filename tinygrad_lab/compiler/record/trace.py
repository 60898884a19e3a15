"""A trace: every array operation of a run, in the order in which they happened.

An event says which function was called with which arguments; a value is what an event made, or
what existed before. Both carry what a reader wants to know: the phase (forward, backward, update),
the module, the user's line, and the name that the calling code gives the result.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from operator import is_
from types import CodeType, FrameType
from typing import Any

import numpy as np

from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.record.variables import RETURNED, Target, Variables
from tinygrad_lab.context import Scope, current
from tinygrad_lab.engine.user_code import is_library

__all__ = [
    "Call",
    "Event",
    "Origin",
    "Part",
    "Trace",
    "Value",
    "caller",
    "mapped",
    "memory_owner",
    "openers",
    "phases",
    "target_of",
    "values_in",
]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value that no event made comes from."""

    kind: str
    """``"argument"``, ``"state"`` (read and written by the step), ``"setting"`` (read at each call)
    or ``"constant"``."""
    name: str
    """Its name in the source."""
    key: Any = None
    """The argument, state or setting it stands for."""


_ARRAYS = (np.ndarray, np.generic)


@dataclass(eq=False, slots=True)
class Value:
    """One array or number of a trace."""

    index: int
    array: Any
    """Its data at the time of recording."""
    origin: Origin | None = None
    event: Event | None = None
    base: Value | None = None
    """The value whose memory it is a view of."""
    name: str | None = None
    """Its name in the user's code."""
    gradient_of: Value | None = None
    """The value of the forward pass whose gradient it is."""
    viewed: bool = False
    """Other values are views of its memory."""
    rewritten: int = 0
    """How often its memory was written into after it was made: ``array`` has the last numbers."""
    wants_gradient: bool = False
    """It is the data of a tensor that requires a gradient."""

    @property
    def root(self) -> Value:
        """The value that the memory belongs to."""
        value = self
        while value.base is not None:
            value = value.base
        return value

    @property
    def is_array(self) -> bool:
        return isinstance(self.array, _ARRAYS)

    @property
    def is_constant(self) -> bool:
        return self.origin is not None and self.origin.kind == "constant"

    def arguments(self) -> frozenset[int]:
        """Return the places of the numbers among the arguments that a number is computed from.

        Nothing if it depends on anything else: a tensor, a setting, what is drawn at random.
        """
        places, waiting, seen = set(), [self], {self}
        while waiting:
            one = waiting.pop()
            if one.origin is not None and not one.is_array and one.origin.kind == "argument":
                places.add(one.origin.key)
            elif one.event is not None and one.event.is_on_numbers:
                new = set(one.event.inputs) - seen
                seen |= new
                waiting += new
            elif not one.is_constant:
                return frozenset()
        return frozenset(places)

    def __repr__(self) -> str:
        return f"%{self.index}"


@dataclass(frozen=True, slots=True)
class Call:
    """The function that an event calls."""

    kind: str
    """``"ufunc"``, ``"function"``, ``"method"``, ``"getitem"``, ``"setitem"``, ``"check"`` or
    ``"draw"``; on Python numbers ``"number"`` (an operator) or ``"python"`` (a function)."""
    name: str
    function: Callable[..., Any]


@dataclass(eq=False, slots=True)
class Part:
    """What a run of events is together: an op, forward or backward, or an optimiser's step."""

    op: str
    """The name of the op or of the optimiser."""
    kind: str
    """``"forward"``, ``"backward"`` or ``"update"``."""
    about: str = ""
    """Its docstring."""
    is_layer: bool = True
    """The op is a whole layer or loss, rather than one operation on arrays."""
    inputs: tuple[str, ...] = ()
    """The names of the op's inputs."""
    names: dict[Value, str] = field(default_factory=dict)
    """What the op calls its inputs, and what it keeps for the way back."""
    frame: int = 0
    """The id of the frame that runs it."""
    offset: int = 0

    def rename(self, twins: dict[Value, Value]) -> None:
        """Follow values that were replaced by others."""
        for value in self.names.keys() & twins.keys():
            name, twin = self.names.pop(value), value
            while twin in twins:
                twin = twins[twin]
            self.names.setdefault(twin, name)


@dataclass(eq=False, slots=True)
class Event:
    """One call, with values in the places of its arrays."""

    call: Call
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: tuple[Value, ...] = ()
    several: bool = False
    """The call returns a sequence of results."""
    writes: Value | None = None
    """The value whose memory the call writes into."""
    augmented: bool = False
    """The result takes the place of the first argument, as in ``x += y``."""
    phase: str = "forward"
    scope: Scope | None = None
    code: CodeType | None = None
    offset: int = 0
    part: Part | None = None
    """What it is part of; None for what stands alone."""
    loop: Any = None
    """The loop that it is part of, where a text has loops (``roll.py``)."""
    inputs: tuple[Value, ...] = field(init=False)
    """The values it reads, in order; a value that is used twice comes twice."""
    found: InitVar[tuple[Value, ...] | None] = None
    """These values, if they are known."""

    def __post_init__(self, found: tuple[Value, ...] | None) -> None:
        if found is None:
            self.refresh_inputs()
        else:
            # Usually they are the arguments: one tuple takes less memory than two.
            are_all = len(found) == len(self.args) and all(map(is_, found, self.args))
            self.inputs = self.args if are_all else found

    def refresh_inputs(self) -> None:
        """Find the inputs among the arguments again, after these were changed."""
        if self.is_on_numbers or (not self.kwargs and _FLAT.issuperset(map(type, self.args))):
            inputs = tuple([one for one in self.args if one.__class__ is Value])
            # Usually they are the arguments: one tuple takes less memory than two.
            self.inputs = self.args if len(inputs) == len(self.args) else inputs
        else:
            self.inputs = (*values_in(self.args), *(values_in(self.kwargs) if self.kwargs else ()))

    def of_others(self, other: Callable[[Any], Any]) -> Event:
        """Return the event with others in the places of its arguments; it has its results."""
        new = Event(
            self.call,
            mapped(self.args, other),
            mapped(self.kwargs, other) if self.kwargs else self.kwargs,
            self.results,
            self.several,
            other(self.writes),
            self.augmented,
            self.phase,
            self.scope,
            self.code,
            self.offset,
            self.part,
            self.loop,
        )
        for value in self.results:
            value.event = new
        return new

    @property
    def result(self) -> Value:
        return self.results[0]

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """Return the argument for a parameter of the call, by its name or at its position."""
        given = self.args[position] if len(self.args) > position else default
        return self.kwargs.get(name, given)

    def filled_with(self) -> Any:
        """Return the number that ``zeros``, ``ones`` or ``full`` fills with; None for others."""
        number = known(self.call.name).fills_with
        return self.argument("fill_value", 1) if number == "fill_value" else number

    @property
    def makes_unfilled(self) -> bool:
        """Whether it makes an array whose numbers are still to be written."""
        row = known(self.call.name)
        return row.into == "fill" and row.fills_with is None and self.call.kind == "function"

    @property
    def writes_into_argument(self) -> bool:
        """Whether it writes into its first argument, rather than into an ``out``."""
        kind, name = self.call.kind, self.call.name
        return kind in known(name.rpartition(".")[2]).writes

    def computed_in(self) -> tuple[np.dtype[Any], ...] | None:
        """Return the dtypes in which a ufunc computes: of the operands, then of the results.

        A Python number takes on that of the arrays beside it. None where NumPy has no such loop:
        it can also compare an array with a number outside the range of its dtype.
        """
        function: Any = self.call.function
        operands = []
        for one in self.args:
            thing = one.array if isinstance(one, Value) else one
            is_array = isinstance(one, Value) and one.is_array
            operands.append(thing.dtype if is_array else type(thing))
        try:
            dtypes = function.resolve_dtypes((*operands, *[None] * function.nout))
        except (TypeError, ValueError):
            return None
        given = zip(self.args, dtypes, strict=False)
        return None if any(_is_beyond(one, dtype) for one, dtype in given) else dtypes

    @property
    def is_on_numbers(self) -> bool:
        """Whether it is an operation on Python numbers, whose arguments contain no others."""
        return self.call.kind in ("number", "python")

    @property
    def generator(self) -> Any:
        """The generator of a ``"draw"``."""
        method: Any = self.call.function
        return method.__self__


def _is_beyond(one: Any, dtype: np.dtype[Any]) -> bool:
    """Return whether a Python number is outside the range of an integer dtype."""
    number = one.array if isinstance(one, Value) else one
    if dtype.kind not in "iu" or type(number) is not int:
        return False
    return not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max


_FLAT = frozenset({Value, float, int, bool, str, type(None)})
"""Types of arguments that contain no others."""


_NO_KWARGS: dict[str, Any] = {}
"""One for all operations on numbers: arguments are replaced as a whole, never in place."""


def mapped(tree: Any, replace: Callable[[Any], Any]) -> Any:
    """Replace the leaves of an argument, within tuples, lists, dicts and slices."""
    if not isinstance(tree, _CONTAINERS):
        return replace(tree)
    if isinstance(tree, tuple):
        return tuple([mapped(part, replace) for part in tree])
    if isinstance(tree, list):
        return [mapped(part, replace) for part in tree]
    if isinstance(tree, dict):
        return {name: mapped(part, replace) for name, part in tree.items()}
    return slice(
        mapped(tree.start, replace), mapped(tree.stop, replace), mapped(tree.step, replace)
    )


_ROWS = (tuple, list)
_CONTAINERS = (*_ROWS, dict, slice)


def values_in(tree: Any) -> Iterator[Value]:
    """Yield the values within an argument."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, _ROWS):
        for part in tree:
            if isinstance(part, Value):
                yield part
            elif isinstance(part, _CONTAINERS):
                yield from values_in(part)
    elif isinstance(tree, dict):
        yield from values_in(tuple(tree.values()))
    elif isinstance(tree, slice):
        yield from values_in((tree.start, tree.stop, tree.step))


@dataclass(slots=True)
class Trace:
    """The events of a run, and their values."""

    events: list[Event] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    handles: list[weakref.ref[Any]] = field(default_factory=list)
    """The traced arrays and numbers that stood for the values."""
    node: Any = None
    """The node whose gradient is pulled back; the backward pass has its module and line."""
    applied: Part | None = None
    """The op that was applied last."""
    pulled: Part | None = None
    """The op of ``node``, on the way back."""
    updated: Part | None = None
    """The last step of an optimiser."""
    optimizer: type | None = None
    """The class of the optimiser that steps."""
    _placed: Part | None = None
    """The op of which ``_place`` is the phase, and the code and the offset that apply it."""
    _place: tuple[str, CodeType | None, int] = ("forward", None, 0)
    _owners: dict[int, Value] = field(default_factory=dict)
    _constants: dict[int, Value] = field(default_factory=dict)

    def value(self, array: Any, **facts: Any) -> Value:
        """Add a value for existing data."""
        owner = memory_owner(array)
        base = None if owner is None else self._owners.get(id(owner))
        value = Value(len(self.values), array, base=base, **facts)
        if owner is not None and base is None:
            self._owners[id(owner)] = value
        elif base is not None:
            base.viewed = True
        self.values.append(value)
        return value

    def given(self, array: Any, origin: Origin) -> Value:
        """Add a value that no event makes."""
        return self.value(array, origin=origin, name=origin.name)

    def constant(self, array: Any) -> Value:
        """Return the value of an array that is not an input of the step: it stays as it was."""
        known = self._constants.get(id(array))
        if known is None:
            name = f"constant_{len(self._constants)}"
            known = self._constants[id(array)] = self.given(array, Origin("constant", name, array))
        return known

    def add(
        self,
        call: Call,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        found: tuple[Value, ...] | None = None,
    ) -> Event:
        """Add an event, in the current scope; its inputs are found if they are not given."""
        event = Event(call, args, kwargs, scope=current().scope, found=found)
        self.events.append(event)
        return event

    def result_of(self, event: Event, out: Any) -> Value:
        """Add the value that an event made."""
        value = self.value(out, event=event)
        event.results = (*event.results, value)
        return value

    def number(self, call: Call, args: tuple[Any, ...], out: Any, frame: FrameType | None) -> Value:
        """Enter an operation on Python numbers; return its result's value, which has no memory."""
        event = Event(call, args, _NO_KWARGS, scope=current().scope)
        value = Value(len(self.values), out, event=event)
        event.results = (value,)
        self.events.append(event)
        self.values.append(value)
        value.name = self.observe(event, frame)
        return value

    def check(self, condition: Value, frame: FrameType | None) -> bool:
        """Return whether a condition holds anywhere; the replay checks it again at every call."""
        holds = bool(np.any(condition.array))
        self.observe(self.add(_CHECK, (condition, holds), {}), frame)
        return holds

    def let_go(self) -> None:
        """Free the memory immediately: events and values refer to each other."""
        for value in self.values:
            value.event = None
        self.events.clear()
        self.applied = self.pulled = self.updated = self._placed = None

    def observe(self, event: Event, frame: FrameType | None) -> str | None:
        """Note the phase and line of the code that caused an event; return its name for it."""
        name: Target | None = RETURNED
        while frame is not None:
            code = frame.f_code
            known = _known_codes.get(id(code)) or _look_at(code)
            role = known.role
            if role is not _RECORDING:
                if name is RETURNED:
                    # A result that is returned immediately has the name that the caller gives
                    # it; but the code that applies an op returns the results of all.
                    name = None if role is _APPLYING else known.variables.of(frame.f_lasti)
                if known.opens is not None and event.part is None:
                    event.part = self._part(known.opens, frame)
                    if event.part is not None and event.part is self._placed:
                        event.phase, event.code, event.offset = self._place
                        break  # what lies around the op is as it was at its first event
                if role is _USING:
                    event.code, event.offset = known.code, frame.f_lasti
                    break
                if known.phase is not None:
                    event.phase = known.phase
                    if known.phase == "backward" and self.node is not None and self.node.code:
                        break  # the node tells the rest
            frame = frame.f_back
        if event.part is not None and event.part is self.applied is not self._placed:
            self._placed, self._place = event.part, (event.phase, event.code, event.offset)
        if event.phase == "backward" and self.node is not None:
            event.scope, event.code = self.node.scope, self.node.code or event.code
            event.offset = self.node.offset if self.node.code else event.offset
        return _one_of(name, event)

    def _part(self, kind: str, frame: FrameType) -> Part | None:
        """Return the part that a frame runs."""
        if kind == "backward":
            return self.pulled
        if kind == "forward":
            applied = self.applied
            return applied if applied is not None and applied.frame == id(frame) else None
        last = self.updated
        if self.optimizer is None:
            return None
        # The code is a straight line: what lies before the last event is another step.
        if last is None or last.frame != id(frame) or frame.f_lasti < last.offset:
            kind, about = self.optimizer.__name__.lower(), self.optimizer.__doc__ or ""
            last = self.updated = Part(kind, "update", about, frame=id(frame))
        last.offset = frame.f_lasti
        return last


_CHECK = Call("check", "check", bool)
_HERE = __file__[: -len("record/trace.py")]
_NUMPY = np.__file__[: -len("__init__.py")]
_ENGINE = ("engine/apply.py", "engine/node.py", "engine/backward.py")
"""Where every op is applied and pulled back: what variables are called there says nothing."""


def memory_owner(array: Any) -> Any:
    """Return the array whose memory an array views; None for what has no memory to share."""
    if not isinstance(array, np.ndarray):
        return None
    while array.base is not None:
        # as_strided puts a stand-in between a view and its base.
        base = array.base
        if not isinstance(base, np.ndarray):
            base = getattr(base, "base", None)
        if not isinstance(base, np.ndarray):
            break
        array = base
    return array


_RECORDING, _APPLYING, _WORKING, _USING = "recording", "applying", "working", "using"

phases: dict[int, str] = {}
"""The functions of the package that begin a phase, by the id of their code."""
openers: dict[int, str] = {}
"""Those that run a part, and its kind."""


class _Code:
    """What is known of the code in a frame above an event."""

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.phase = phases.get(id(code))
        self.opens = openers.get(id(code))
        filename = code.co_filename
        if filename.startswith((_HERE, _NUMPY)):
            self.role = _RECORDING
        elif not is_library[filename]:
            self.role = _USING
        else:
            self.role = _APPLYING if filename.endswith(_ENGINE) else _WORKING

    @cached_property
    def variables(self) -> Variables:
        """The variables in which it stores the results of its instructions."""
        return Variables(self.code)


_known_codes: dict[int, _Code] = {}
"""By the id of the code, which is kept so that no other gets it (hashing takes microseconds)."""


def _look_at(code: CodeType) -> _Code:
    """Enter code that was not seen before."""
    known = _known_codes[id(code)] = _Code(code)
    return known


def _one_of(target: Target | None, event: Event) -> str | None:
    """Return the variable of a result; where a sequence is unpacked, that of the element."""
    if not isinstance(target, tuple):
        return None if target == RETURNED else target
    key = event.args[1] if event.call.kind == "getitem" else None
    return target[key] if isinstance(key, int) and key < len(target) else None


def target_of(code: CodeType, offset: int) -> str | None:
    """Return the variable in which the result of an instruction is stored immediately."""
    name = (_known_codes.get(id(code)) or _look_at(code)).variables.of(offset)
    return None if name == RETURNED or isinstance(name, tuple) else name


def caller(depth: int = 1) -> FrameType:
    """Return the frame of the code that called the calling function."""
    return sys._getframe(depth + 1)
