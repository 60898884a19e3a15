"""A recording bound to memory, and to its tensors and optimisers.

A replay works in place: parameters, moments and gradients stay where they are from call to call.
That is right only as long as nothing else refers to that memory, and everything is as it was when
the step was recorded. So the code of a replay begins with checks, each a few dozen nanoseconds:
shapes, dtypes, modes, settings; that the tensors still have the arrays that this replay gave them;
and, by reference counts, that nothing else holds those. Where a check fails, the replay does
nothing and says so.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from operator import is_
from types import CodeType
from typing import Any
from weakref import WeakSet

import numpy as np
import numpy._core.umath as umath

from tinygrad_lab.backends import SMALL
from tinygrad_lab.compiler.plan.memory import empty_like_recorded
from tinygrad_lab.compiler.plan.outlines import forget_numbers
from tinygrad_lab.compiler.record.dependencies import as_number, guard_names, is_same
from tinygrad_lab.compiler.record.record import BundlePlace, Recording, State
from tinygrad_lab.compiler.record.trace import Event, Value, memory_owner, values_in
from tinygrad_lab.compiler.replay.adopt_code import attach_code, defined, leave_code
from tinygrad_lab.compiler.replay.interrupts import finish
from tinygrad_lab.compiler.replay.moving import Views, references_of
from tinygrad_lab.compiler.targets import Program
from tinygrad_lab.context import current
from tinygrad_lab.engine.hooks import hooked
from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.nn.module import Module, settings_of, version

__all__ = ["MISS", "MOVED", "Replay", "hooks_of", "raises_errors"]

MISS: Any = type("Miss", (), {"__repr__": lambda _: "MISS"})()
"""The result of a replay that was not recorded for such a call."""
MOVED: Any = type("Moved", (), {"__repr__": lambda _: "MOVED"})()
"""The result of a replay whose states are elsewhere, or whose memory others hold: ``adopt``."""


_living: WeakSet[Replay] = WeakSet()
"""All replays: they may refer to the same memory, of a net that two steps use."""


class _Bindings:
    """Counts the changes of what the names of replays are bound to."""

    number = 0


class Replay:
    """Straight-line code for one recording."""

    def __init__(
        self,
        recording: Recording,
        leaves: list[Any],
        structure: Any,
        names: Sequence[str],
        target: str,
        write: Callable[[], Program],
    ) -> None:
        """``write`` plans the recording and writes its code, once that is needed."""
        self.recording = recording
        self._namespace: dict[str, Any] = {}
        """All names in the code."""
        self.target = target
        self._write = write
        self.names = list(names)
        """Of the leaves of the arguments."""
        self.structure = structure
        """The containers of the arguments, of which ``leaves`` are the leaves."""
        self._leaves = [
            leaf if value is None else None
            for leaf, value in zip(leaves, recording.arguments, strict=True)
        ]
        self._are_tensors = [isinstance(leaf, Tensor) for leaf in leaves]
        self._fixed: dict[str, Any] = {}
        """Names in the code that stay the same after ``renew``."""
        self._parts = _parts_of(recording)
        self._watched = [one for one in recording.dependencies if one.policy != "untouched"]
        self._places = recording.bundle_places()
        self._in_place = recording.in_place()
        self.run: Callable[..., Any] = _missing
        self._before: list[Any] = []
        """What a replay that may fail half-way writes over, as it was before."""
        self._bound: set[str] = set()
        """Those that ``renew`` binds again."""
        self._views: Views | None = None
        self._attach: Callable[[dict[int, Any], set[int]], bool] | None = None
        """Takes states in where that is simple; written when it is first needed."""
        self._leaving: dict[int, tuple[Callable[[set[int]], None], list[int], list[int]]] = {}
        """What leaves memory to who keeps it, and which counts it renews, by a state in there."""
        self._counts: list[int] = []
        """How often the memory that it writes into is referred to by itself and by its owners."""
        self._referred: Counter[int] | None = None
        """How often its names refer to objects, by their ids."""
        _living.add(self)
        self._counted: list[str] = []
        self._number_in: dict[str, int] = {}
        """The names of what is counted."""
        self._allowed: list[int] = []
        self._counted_at = -1
        self._touched: set[int] = set()
        """The ids of objects to which its names refer since, or no longer."""
        self._ids: frozenset[int] | None = None
        """The ids of what is counted; None until asked for, after they have changed."""

    def __del__(self) -> None:
        # A function and its names refer to each other, as do the parts of a trace. Parameters and
        # buffers, which both refer to, would live until the garbage collector runs.
        if self._counts:
            # What it referred to may be shared with others.
            _Bindings.number += 1
            for one in list(_living):
                for number in range(len(one._counts) if one is not self else 0):
                    one._namespace[f"count_{number}"] = -1
        self._namespace.clear()
        self.recording.trace.let_go()

    @cached_property
    def _has_scalars(self) -> bool:
        """Whether it works on tensors that are Python numbers."""
        states = self.recording.states.items()
        return any(s.kind in ("data", "grad") and not v.is_array for s, v in states)

    @cached_property
    def program(self) -> Program:
        """The plan, and the lines between the checks and the results."""
        return self._write()

    @cached_property
    def source(self) -> str:
        """The source of the replay function."""
        return self._source()

    @cached_property
    def _code(self) -> CodeType:
        code = compile(self.source, "<tinygrad_lab compiled step>", "exec")
        # The recorded numbers are no longer needed.
        forget_numbers(self.recording.trace, self.program.plan.constants)
        return code

    def example(self) -> list[Any]:
        """Return leaves of arguments like those that were recorded, though not their numbers."""
        leaves = []
        for value, fixed, is_tensor in zip(
            self.recording.arguments, self._leaves, self._are_tensors, strict=True
        ):
            given = fixed if value is None else value.array
            given = np.array(given, order="K") if isinstance(given, np.ndarray) else given
            leaves.append(detached(given) if is_tensor else given)
        return leaves

    # --- matching a call --------------------------------------------------------------------------

    def fits(self, leaves: list[Any]) -> bool:
        """Return whether it was recorded for such arguments, modules, settings and states."""
        return next(self.differences(leaves), None) is None

    def differences(self, leaves: list[Any]) -> Iterator[str]:
        """Yield, in words, what is not as it was when it was recorded."""
        recording = self.recording
        for position, (name, leaf) in enumerate(zip(self.names, leaves, strict=True)):
            if not self._leaf_matches(position, leaf):
                yield f"the argument {name} is {_kind_of(leaf)}, {self._leaf_was(position)}"
        for module, mode in recording.modules.items():
            if module.training is not mode:
                yield f"a {type(module).__name__} is in another mode (train, eval)"
        if not _modules_match(self._parts, recording.module_settings):
            yield "a module has other parts or settings"
        for one in self._watched:
            if not one.is_the_same:
                yield one.difference
        if not _hooks_match(recording.hooks):
            yield "a parameter has other hooks"
        for optimizer, number, group in recording.groups:
            if not _same_settings(optimizer, number, group):
                yield f"settings of {type(optimizer).__name__} differ, or some came to be zero"
        for optimizer, count in _group_counts(recording).items():
            if len(optimizer.param_groups) != count:
                yield f"{type(optimizer).__name__} has other groups of parameters"
        for tensor in (*recording.without_gradient, *recording.left_out):
            if tensor.grad is not None:
                yield f"{tensor.name or 'a tensor'} has a .grad, which was None"
        for state, value in recording.states.items():
            if not _state_matches(state, value):
                yield _state_in_words(state)
        for state in self._in_place:
            if not self._has_same_memory_order(state):
                yield f"the memory of {state.owner.name or 'a tensor'} is in another order"

    def fixed(self, position: int) -> Any:
        """Return a leaf of the arguments that must be the same at each call; None for others."""
        return self._leaves[position]

    def _leaf_was(self, position: int) -> str:
        value = self.recording.arguments[position]
        if value is None:
            return f"and was {self._leaves[position]!r:.40}"
        return f"and was {_kind_of(value.array)}"

    def _has_same_memory_order(self, state: State) -> bool:
        # A view in one memory order is a copy in another, and would soon be stale.
        return bool(state.owner._data.strides == self.recording.states[state].array.strides)

    def _leaf_matches(self, position: int, leaf: Any) -> bool:
        value = self.recording.arguments[position]
        if value is None:
            return is_same(leaf, self._leaves[position])
        if isinstance(leaf, Tensor) is not self._are_tensors[position]:
            return False
        if isinstance(leaf, Tensor):
            if leaf.requires_grad:
                return False
            leaf = leaf._data
        if not value.is_array:
            return type(leaf) is type(value.array)
        return _array_matches(leaf, value.array)

    # --- binding ----------------------------------------------------------------------------------

    def renew(self) -> None:
        """Bind new memory, holding the states as they are now, and hand it to their owners."""
        code = self._code  # writing it determines its names
        # Until it is done, nothing is replayed.
        self._views, self._counts, self.run = None, [], _missing
        self._attach, self._leaving = None, {}
        names, counted = self._bind()
        # Count only now: no local variable refers to the memory any more.
        self._counted = [_name_counted(text) for text in counted]
        self._number_in = {name: _number_of(name) for name in self._counted}
        counts, others = names["counts"](), self._counted_by_others()
        self._counts = [one - other for one, other in zip(counts, others, strict=True)]
        self._expect(others)
        guards = [f"{text} <= count_{number}" for number, text in enumerate(counted)]
        guards += self._identity_checks()
        exec(f"def untouched(): return {' and '.join(guards) or 'True'}", names)
        exec(self._settling, names)
        exec(code, names)
        arrays, generators = names["at_risk"], self._at_risk[1]
        self._before = [np.empty_like(array) for array in arrays]
        self._ids = None
        self._touched = set(self._references)
        self._tell_others()
        at_risk = arrays or generators
        self.run = (
            _restoring(names["replay"], arrays, self._before, generators)
            if at_risk
            else names["replay"]
        )

    def finish(self, interrupt: BaseException) -> bool:
        """Finish a replay that was interrupted; return whether it was one of this recording."""
        out = finish(self.source, self._namespace, interrupt.__traceback__)
        if out is MISS:
            _copy(self._before, self._namespace["at_risk"])
        return out is not None

    # --- adopting ---------------------------------------------------------------------------------

    def settle(self) -> None:
        """Work for the states as they are now, with memory that it has, where that can be."""
        if not self.adopt():
            self.renew()

    def adopt(self) -> bool:
        """Take the states into the memory that there is; return False if all must be bound anew."""
        before: dict[int, Any] = {}
        self._touched = set()
        if self._counts and self._can_adopt:
            if self._attach is None:
                self._attach = self._attaching()
            if self._attach(before, self._touched):
                bundles = {p: self._namespace[f"bundle_{n}"] for n, p in enumerate(self._places)}
                return self._go_on(bundles, before)
        return self._adopt(before)

    def _adopt(self, before: dict[int, Any]) -> bool:
        """Do the same where it was not simple; ``before`` says what owners had."""
        names = self._namespace
        bundles = {place: place.bundle() for place in self._places}
        if not self._counts or any(one is None or one.numbers for one in bundles.values()):
            self._detach({}, before)
            return False
        if not self._can_adopt:
            return False
        try:
            fits = self._share(bundles) and self._attach_all(bundles, before)
        except BaseException:
            self._detach(bundles, before)
            raise
        if not fits:
            self._detach(bundles, before)
            return False
        for number, (place, bundle) in enumerate(bundles.items()):
            bundle.views = [parameter._data for parameter in place.parameters]
            names[f"bundle_{number}"] = bundle
            names[f"bundles_{number}"] = place.optimizer._bundles[place.group]
        return self._go_on(bundles, before)

    def _go_on(self, bundles: dict[BundlePlace, Any], before: dict[int, Any]) -> bool:
        """Leave what others hold, and copy what owners had; return False if that cannot be."""
        names = self._namespace
        try:
            known = self._counted_at == _Bindings.number
            fits = (known and names["untouched"]()) or self._give_away(bundles)
        except BaseException:
            self._detach(bundles, before)
            raise
        if not fits:
            self._detach(bundles, before)
            return False
        for number, numbers in before.items():
            if number not in self._bundled_homes:
                np.copyto(names[f"home_{number}"], _array_of(numbers))
        for number, (optimizer, group, _) in enumerate(self.recording.groups):
            names[f"group_{number}"] = optimizer.param_groups[group]
        names["version_now"], names["errors_now"] = version(), _errors()
        self._ids = None
        if self._touched:
            self._tell_others()
        return True

    @cached_property
    def _bundled_homes(self) -> frozenset[int]:
        """The numbers of the parameters that are parts of an optimiser's vector."""
        bundled = self.recording.bundled()
        states = enumerate(self._order_of_homes)
        return frozenset(n for n, s in states if s.kind == "data" and id(s.owner) in bundled)

    @property
    def _can_adopt(self) -> bool:
        """Whether its names can be bound to other memory."""
        if self._views is None:
            self._views = Views(self._namespace, (self._namespace["at_risk"],))
        return self._views.can_move and not self._has_scalars

    def _attaching(self) -> Callable[[dict[int, Any], set[int]], bool]:
        """Write the function that takes states in which are elsewhere, where that is simple."""
        names, views = self._namespace, self._views
        assert views is not None
        parts = {
            number: views.parts(number, names[f"home_{number}"])
            for number, (_, in_place, *_) in enumerate(self._facts)
            if in_place
        }
        code = attach_code(self._facts, self._places, names, parts)
        attach: Callable[[dict[int, Any], set[int]], bool] = defined("attach", code, names)
        return attach

    def _share(self, bundles: dict[BundlePlace, Any]) -> bool:
        """Go on in the memory of another replay that updates the same parameters."""
        names, order = self._namespace, self._order_of_homes
        others = [one for one in _living if one is not self and one._counts]
        for number, state in enumerate(order):
            if state.kind not in ("vector", "state"):
                continue
            now, home = self._holder_of(state, bundles), names[f"home_{number}"]
            if now is home or not any(id(now) in one._counted_ids for one in others):
                continue
            if not (_array_matches(now, home) and self._move(number, now)):
                return False
            for part in self._bundled_homes if state.kind == "vector" else ():
                owner = order[part].owner
                if not (memory_owner(owner._data) is now and self._move(part, owner._data)):
                    return False
                self._touched |= {id(names[f"leaf_{part}"]), id(owner._node)}
                names[f"leaf_{part}"] = owner._node
        return True

    def _attach_all(self, bundles: dict[BundlePlace, Any], before: dict[int, Any]) -> bool:
        """Give owners the memory of this replay; note in ``before`` what they had.

        What the step only reads stays where it is, and is viewed there. Returns False if the replay
        was not recorded for such states.
        """
        names = self._namespace
        for number, (state, in_place, is_read, wants) in enumerate(self._facts):
            home, owner = names[f"home_{number}"], state.owner
            now = _array_of(self._holder_of(state, bundles))
            if now is not None and now is not home and not _array_matches(now, home, in_place):
                return False
            if wants is not None and wants is not (owner._node is not None):
                return False
            if in_place:
                if now is not home and not self._move(number, now):
                    return False
                if names[f"leaf_{number}"] is not owner._node:
                    self._touched |= {id(names[f"leaf_{number}"]), id(owner._node)}
                    names[f"leaf_{number}"] = owner._node
            elif state.kind == "grad":
                if is_read and owner.grad is not names[f"grad_{number}"]:
                    if now is None:
                        return False
                    before[number] = owner.grad
                    owner._grad = names[f"grad_{number}"]
                elif is_read and now is not home:
                    return False
            elif now is not home:
                before[number] = now
                self._settle(number, bundles)
            self._note_leaf(number)
        return True

    def _holder_of(self, state: State, bundles: dict[BundlePlace, Any]) -> Any:
        """Return the array, or the ``.grad``, that the owner of a state has now."""
        owner = state.owner
        if state.kind == "vector":
            return bundles[owner].vector
        if state.kind == "state":
            return bundles[owner].state[state.position]
        return owner._data if state.kind == "data" else owner.grad

    def _detach(self, bundles: dict[BundlePlace, Any], before: dict[int, Any]) -> None:
        """Give owners back what they had, and bind all names anew at the next call."""
        self._counts, self.run = [], _missing
        for number, had in before.items():
            state = self._order_of_homes[number]
            if state.kind == "grad":
                state.owner._grad = had
            else:
                _settle(state, had, bundles)
        for place, bundle in bundles.items():
            bundle.views = [parameter._data for parameter in place.parameters]

    @cached_property
    def _facts(self) -> list[tuple[State, bool, bool, bool | None]]:
        """Each state that has memory; whether it is only read, read, and wants a gradient."""
        read = self.recording.states
        return [
            (
                state,
                state in self._in_place,
                state in read,
                read[state].wants_gradient if state.kind == "data" and state in read else None,
            )
            for state in self._order_of_homes
        ]

    def _move(self, number: int, new: Any) -> bool:
        """Bind the names of a home, and of its parts, to other memory."""
        names, views = self._namespace, self._views
        old = names[f"home_{number}"]
        if views is None or not views.move(number, old, new):
            return False
        self._touch(old, new)
        names[f"home_{number}"] = new
        names[f"memory_{number}"] = _memory_of(new)
        return True

    def _touch(self, *arrays: Any) -> None:
        self._touched.update(map(id, arrays), [id(memory_owner(array)) for array in arrays])
        self._counted_at = -1

    @property
    def _counted_ids(self) -> frozenset[int]:
        if self._ids is None:
            self._ids = frozenset([id(self._namespace[name]) for name in self._counted])
        return self._ids

    def _settle(self, number: int, bundles: dict[BundlePlace, Any]) -> None:
        state = self._order_of_homes[number]
        _settle(state, self._namespace[f"home_{number}"], bundles)
        if state.kind == "data":
            self._namespace[f"leaf_{number}"] = state.owner._node
            gradient = self._numbers_of_gradients.get(id(state.owner))
            if gradient is not None:
                self._note_leaf(gradient)

    @cached_property
    def _numbers_of_gradients(self) -> dict[int, int]:
        states = enumerate(self._order_of_homes)
        return {id(state.owner): n for n, state in states if state.kind == "grad"}

    def _note_leaf(self, number: int) -> None:
        """Show the gradient at the leaf that its owner has now, as a sweep would."""
        names = self._namespace
        if f"node_{number}" not in names:
            return
        node = self._order_of_homes[number].owner._node
        if names[f"node_{number}"] is not node and isinstance(node, Leaf):
            home = names[f"home_{number}"]
            node._gradient = home if home.size <= SMALL else None
            names[f"node_{number}"] = node

    def _held_by_others(self) -> list[str]:
        """Return the names of what others than replays and its owners refer to."""
        if self._counted_at != _Bindings.number:
            self._expect(self._counted_by_others())
        now = self._namespace["counts"]()
        return [
            name
            for name, count, usual in zip(self._counted, now, self._allowed, strict=True)
            if count > usual
        ]

    def _counted_by_others(self) -> list[int]:
        """Return how often other replays refer to what is counted: to read it, or to copy it."""
        counters = [one._references for one in _living if one is not self and one._counts]
        names = self._namespace
        return [sum(c[id(names[name])] for c in counters) for name in self._counted]

    @property
    def _references(self) -> Counter[int]:
        if self._referred is None:
            self._referred = references_of(self._namespace)
        return self._referred

    def _expect(self, others: list[int]) -> None:
        """Let the checks allow the references of other replays."""
        self._allowed = [count + other for count, other in zip(self._counts, others, strict=True)]
        self._namespace.update((f"count_{n}", count) for n, count in enumerate(self._allowed))
        self._counted_at = _Bindings.number

    def _tell_others(self) -> None:
        """Let other replays count again what they share with this one."""
        self._referred, touched = None, self._touched
        for one in _living:
            if one is not self and one._counts and not touched.isdisjoint(one._counted_ids):
                _Bindings.number += 1
                for number in range(len(one._counts)):
                    one._namespace[f"count_{number}"] = -1

    def _give_away(self, bundles: dict[BundlePlace, Any]) -> bool:
        """Leave memory that others hold to them, and go on in other memory."""
        held = self._held_by_others()
        gradients = [name for name in held if name.startswith("grad_")]
        for name in gradients:
            self._leave_gradient(_number_of(name))
        if gradients and self._namespace["untouched"]():
            return True
        held = self._held_by_others() if gradients else held
        if held and self._leave_quickly(held) and self._namespace["untouched"]():
            return True
        left: set[int] = set()
        for name in self._held_by_others() if held else ():
            number = _number_of(name)
            if name.startswith("leaf_"):
                self._settle(number, bundles)
            elif id(memory_owner(self._namespace[name])) in left:
                continue  # it was moved along
            elif not self._leave_memory(number, bundles):
                return False
            else:
                left.add(id(memory_owner(self._namespace[name])))
        return not held or not self._held_by_others()

    def _leave_quickly(self, held: list[str]) -> bool:
        """Leave memory by code that is written once; return whether that was all."""
        left: set[int] = set()
        for name in held:
            if not name.startswith(("home_", "memory_")):
                return False
            number = self._number_in[name]
            if number in left:
                continue
            if number not in self._leaving and not self._write_leaving(number):
                return False
            leave, inside, counts = self._leaving[number]
            leave(self._touched)
            left.update(inside)
            # Nobody else refers to the new memory.
            for count in counts:
                self._allowed[count] = self._counts[count]
        return True

    def _write_leaving(self, number: int) -> bool:
        names, views, order = self._namespace, self._views, self._order_of_homes
        root = memory_owner(names[f"home_{number}"])
        inside = [n for n in range(len(order)) if memory_owner(names[f"home_{n}"]) is root]
        same = all(names[f"memory_{n}"] is root for n in inside)
        if views is None or not same or not root.flags.c_contiguous:
            return False
        parts = views.parts(("root", inside[0]), root)
        arrays = {f"{what}_{n}" for what in ("home", "memory", "leaf") for n in inside}
        counts = [n for n, name in enumerate(self._counted) if name in arrays]
        usual = {f"count_{count}": self._counts[count] for count in counts}
        code = leave_code(inside, self._facts, self._places, names, parts, usual)
        leave = defined("leave", code, names)
        self._leaving.update(dict.fromkeys(inside, (leave, inside, counts)))
        return True

    def _leave_gradient(self, number: int) -> None:
        """Leave a ``.grad`` that is kept to whoever keeps it, with its numbers."""
        names, owner = self._namespace, self._order_of_homes[number].owner
        kept, home = names[f"grad_{number}"], names[f"home_{number}"]
        is_read = self._order_of_homes[number] in self.recording.states
        gradient = names[f"grad_{number}"] = detached(home)
        gradient._gradient_of = kept._gradient_of
        kept._data = home.copy(order="K")
        if is_read:
            owner._grad = gradient
        small = home.size <= SMALL
        node = owner._node
        if isinstance(node, Leaf) and getattr(node, "_gradient", None) is home:
            node._gradient = kept._data if small else None

    def _leave_memory(self, number: int, bundles: dict[BundlePlace, Any]) -> bool:
        """Leave memory that is kept to whoever keeps it: go on in a copy."""
        names = self._namespace
        root = memory_owner(names[f"home_{number}"])
        if not (root.flags.c_contiguous or root.flags.f_contiguous):
            return False
        new = np.empty_like(root)
        np.copyto(new, root)
        order = self._order_of_homes
        inside = [n for n in range(len(order)) if memory_owner(names[f"home_{n}"]) is root]
        before = [names[f"home_{n}"] for n in inside]
        if self._views is None or not self._views.move(("root", inside[0]), root, new):
            return False
        self._touch(root, new, *before, *[names[f"home_{n}"] for n in inside])
        for n, home in zip(inside, before, strict=True):
            names[f"memory_{n}"] = new
            state = order[n]
            if state.kind != "grad":
                self._settle(n, bundles)
            else:
                kept = names[f"grad_{n}"]
                kept._data = names[f"home_{n}"]
                node = state.owner._node
                if isinstance(node, Leaf) and getattr(node, "_gradient", None) is home:
                    node._gradient = kept._data
        return True

    @cached_property
    def _at_risk(self) -> tuple[list[State], list[Any]]:
        """States written, and generators drawn from, before the last event that can fail."""
        events, home_of = self.program.plan.events, self.program.plan.home_of
        last = max((n for n, event in enumerate(events) if _may_fail(event)), default=0)
        states: dict[State, None] = {}  # in order
        generators: dict[Any, None] = {}
        for event in events[:last]:
            if event.call.kind == "draw":
                generators[event.generator] = None
            made = [value for value in event.results if value.root is value]  # no views
            for value in (*made, *filter(None, [event.writes])):
                origin = value.root.origin
                if value.root in home_of:
                    states[home_of[value.root]] = None
                elif origin is not None and origin.kind == "state":
                    states[origin.key] = None
        return list(states), list(generators)

    def _bind(self) -> tuple[dict[str, Any], list[str]]:
        """Return all names of the code, and expressions that count references to guarded memory."""
        bundles = {place: place.bundle() for place in self._places}
        homes = self._homes(bundles)
        names = self._used(self.program.code.bind(homes), homes)
        for state, array in homes.items():
            _settle(state, array, bundles)
        for place, bundle in bundles.items():
            bundle.views = [parameter._data for parameter in place.parameters]
        held = self._held(homes)
        names.update(self._fixed, **held, **self._surroundings(bundles))
        for number, state in enumerate(homes):
            names[f"owner_{number}"] = state.owner
            if state.kind == "grad" and isinstance(state.owner._node, Leaf):
                names[f"node_{number}"] = state.owner._node
        at_risk, _ = self._at_risk
        names["at_risk"] = [homes[state] for state in at_risk]
        # Keep one dictionary: Python has cached where the code finds its names in it. In another
        # one it would look up each, for some 50 replays, which take a tenth more time.
        for name in self._bound - names.keys():
            del self._namespace[name]
        self._bound = set(names)
        self._namespace.update(names)
        names = self._namespace
        written = self._written_homes()
        guarded = [
            name
            for name, thing in held.items()
            if thing is not None and _number_of(name) in written
        ]
        # Parameters usually share the memory of one vector, as gradients do: count it once.
        once = {id(held[name]): name for name in reversed(guarded)}
        counted = [_references(name, names) for name in once.values()]
        exec(f"def counts(): return [{', '.join(counted)}]", names)
        return names, counted

    def _used(self, names: dict[str, Any], homes: dict[State, Any]) -> dict[str, Any]:
        """Leave out the views of the states' memory that no line refers to."""
        replay = next(one for one in self._code.co_consts if isinstance(one, CodeType))
        memory = {id(memory_owner(home)) for home in homes.values()}
        return {
            name: thing
            for name, thing in names.items()
            if name in replay.co_names or id(memory_owner(thing)) not in memory
        }

    def _surroundings(self, bundles: dict[BundlePlace, Any]) -> dict[str, Any]:
        """Return the names that checks and results need and that are not memory."""
        names: dict[str, Any] = {
            "MISS": MISS,
            "MOVED": MOVED,
            "FAILURES": _FAILURES,
            "Tensor": Tensor,
            "detached": detached,
            "current": current,
            "getrefcount": sys.getrefcount,
            "version": version,
            "version_now": version(),
            "modules_match": _modules_match,
            "module_parts": self._parts,
            "module_settings": self.recording.module_settings,
            "hooked": hooked,
            "hooks": self.recording.hooks,
            "hooks_match": _hooks_match,
            "errors": _errors,
            "errors_now": _errors(),
            "raises_errors": raises_errors,
            "rebuild": self.recording.rebuild,
            **_ADOPTING,
            **guard_names(enumerate(self._watched)),
        }
        for number, (place, bundle) in enumerate(bundles.items()):
            names[f"bundle_{number}"] = bundle
            names[f"bundles_{number}"] = place.optimizer._bundles[place.group]
        for state, value in self.recording.states.items():
            if state.kind == "data" and not value.is_array:
                names[f"leaf_of_{value.index}"] = state.owner._node
        for number, (optimizer, group, _) in enumerate(self.recording.groups):
            names[f"group_{number}"] = optimizer.param_groups[group]
        return names

    def _held(self, homes: dict[State, Any]) -> dict[str, Any]:
        """Return, by name, what holds the memory of each state: arrays, leaves, gradients."""
        held: dict[str, Any] = {}
        for number, (state, array) in enumerate(homes.items()):
            held[f"home_{number}"] = array
            held[f"memory_{number}"] = _memory_of(array)
            if state.kind == "data":
                held[f"leaf_{number}"] = state.owner._node
            elif state.kind == "grad":
                held[f"grad_{number}"] = _gradient_in(array, state.owner)
        return held

    def _homes(self, bundles: dict[BundlePlace, Any]) -> dict[State, Any]:
        """Return memory for every array state, with its current content."""
        homes: dict[State, Any] = {}
        for place, bundle in bundles.items():
            vector = homes[State("vector", place)] = np.array(bundle.vector)
            for position, array in enumerate(bundle.state):
                homes[State("state", place, position)] = np.array(array)
            if not bundle.numbers:
                for parameter, part in zip(bundle.parameters, bundle.parts(vector), strict=True):
                    homes[State("data", parameter)] = part
        for state, value in self.recording.states.items():
            if state in homes or not value.is_array:
                continue
            if state in self._in_place:
                homes[state] = state.owner._data
            elif state.kind == "data":
                home = homes[state] = empty_like_recorded(value.array)
                home[...] = state.owner._data
            elif state.kind == "grad":
                home = homes[state] = empty_like_recorded(value.array)
                if state.owner.grad is not None:  # the step may have cleared it
                    home[...] = state.owner.grad._data
        return homes

    def _written_homes(self) -> set[int]:
        """Return the numbers of the states whose memory a replay writes into."""
        bundled = self.recording.bundled()
        return {
            number
            for number, state in enumerate(self._order_of_homes)
            if state in self.recording.writes
            or state.kind in ("vector", "state")
            or id(state.owner) in bundled
        }

    def _identity_checks(self) -> Iterator[str]:
        """Yield checks that the owners still have what they were given."""
        for number, state in enumerate(self._order_of_homes):
            if state.kind == "data":
                yield f"owner_{number}._data is home_{number}"
                yield f"owner_{number}._node is leaf_{number}"
            elif state.kind == "grad" and state in self.recording.states:
                yield f"owner_{number}._grad is grad_{number}"
                yield f"grad_{number}._data is home_{number}"
        for state, value in self.recording.states.items():
            if state.kind == "data" and not value.is_array:
                yield f"scalar_{value.index}._node is leaf_of_{value.index}"
                if state in self.recording.writes and state.owner._node is not None:
                    yield f"getrefcount(leaf_of_{value.index}) <= 3"

    # --- the source -------------------------------------------------------------------------------

    def _source(self, *, clock: bool = False) -> str:
        arguments = [f"given_{position}" for position in range(len(self._leaves))]
        work = self.program.lines
        if clock:
            tick = "clock.append(now())"
            work = [tick, *(part for line in work for part in (line, tick))]
        if work and any(map(_may_fail, self.program.plan.events)):
            work = [
                "try:",
                *(f"    {line}" for line in work),
                "except FAILURES:",
                "    return MISS",
            ]
        lines = [*self._checks(), *self._reads(), *work, *self._results()]
        body = "\n".join(f"    {line}" for line in lines)
        return f"def replay({', '.join(['clock'] * clock + arguments)}):\n{body}\n"

    def run_with_clock(self, now: Callable[[], int]) -> Callable[..., Any]:
        """Return the replay with a clock reading before and after each of the program's lines."""
        names = {**self._namespace, "now": now}
        # This copy of the names adds a reference to everything that is guarded.
        names["untouched"] = lambda: True
        exec(self._source(clock=True), names)
        return names["replay"]

    def _checks(self) -> Iterator[str]:
        recording, fixed = self.recording, self._fixed
        checks = [
            "current().ordinary",
            "current().device == 'cpu'",
            "(version() == version_now or modules_settled())",
            "(errors() is errors_now or errors_settled())",
            "(not hooked or hooks_match(hooks))",
        ]
        watched = enumerate(self._watched)
        checks += [one.check(number) for number, one in watched if not one.versioned]
        for number, (module, mode) in enumerate(recording.modules.items()):
            fixed[f"module_{number}"] = module
            checks.append(f"module_{number}.training is {mode}")
        for number, tensor in enumerate(recording.without_gradient):
            fixed[f"first_{number}"] = tensor
            checks.append(f"first_{number}._grad is None")
        for number, tensor in enumerate(recording.left_out):
            fixed[f"left_out_{number}"] = tensor
            checks.append(f"left_out_{number}.grad is None")  # it may never have had one
        self._untouched = ["untouched()"]
        for number, place in enumerate(self._places):
            fixed[f"optimizer_{number}"] = place.optimizer
            its_bundles = f"optimizer_{number}._bundles[{place.group}]"
            self._untouched.append(f"{its_bundles} is bundles_{number}")
        yield "try:"
        yield f"    if not ({' and '.join(checks)}): return MISS"
        yield "except LOST: return MISS"

    @property
    def _settling(self) -> str:
        """Write the functions that look closer where a quick check says that something changed."""
        watched = enumerate(self._watched)
        versioned = [one.check(number) for number, one in watched if one.versioned]
        same = " and ".join([*versioned, "modules_match(module_parts, module_settings)"])
        return (
            "def modules_settled():\n"
            "    global version_now\n"
            f"    if not ({same}): return False\n"
            "    version_now = version()\n"
            "    return True\n"
            "def errors_settled():\n"
            "    global errors_now\n"
            "    if raises_errors(): return False\n"
            "    errors_now = errors()\n"
            "    return True\n"
        )

    def _reads(self) -> Iterator[str]:
        """Yield lines that check and unpack arguments and settings."""
        fixed = self._fixed
        for position, value in enumerate(self.recording.arguments):
            given = f"given_{position}"
            if value is None:
                fixed[f"same_{position}"] = self._leaves[position]
                yield f"if not is_same({given}, same_{position}): return MISS"
                continue
            local = self.program.code.text(value)
            if self._are_tensors[position]:
                yield f"if {given}.__class__ is not Tensor or {given}._node: return MISS"
                yield f"{local} = {given}._data"
            else:
                yield f"{local} = {given}"
            if not value.is_array:
                kind = type(value.array).__name__
                yield f"if {local}.__class__ is not {kind}: return MISS"
                continue
            fixed["ndarray"], fixed["asarray"] = np.ndarray, np.asarray
            if not value.array.ndim:
                yield f"if {local}.__class__ is not ndarray: {local} = asarray({local})"
            tests = [f"{local}.__class__ is not ndarray"]
            for what in ("shape", "strides", "dtype"):
                fixed[f"{what}_{position}"] = getattr(value.array, what)
                tests.append(f"{local}.{what} != {what}_{position}")
            yield f"if {' or '.join(tests)}: return MISS"
        yield from self._settings()
        yield f"if not ({' and '.join(self._untouched)}): return MOVED"
        yield from self._numbers()

    def _settings(self) -> Iterator[str]:
        recording, fixed = self.recording, self._fixed
        for place, (optimizer, number, group) in enumerate(recording.groups):
            name = f"group_{place}"
            fixed[f"optimizer_of_{name}"] = optimizer
            tests = [f"optimizer_of_{name}.param_groups[{number}] is not {name}"]
            if not number:
                count = _group_counts(recording)[optimizer]
                tests.append(f"len(optimizer_of_{name}.param_groups) != {count}")
            read = {key[2] for key in recording.settings if key[:2] == (optimizer, number)}
            for setting, value in group.items():
                if type(value) is bool or value is None:
                    tests.append(f"{name}[{setting!r}] is not {value}")
                elif setting not in (*read, "params"):
                    fixed[f"{name}_{setting}"] = value
                    tests.append(f"not is_same({name}[{setting!r}], {name}_{setting})")
            yield f"if {' or '.join(tests)}: return MISS"
        names = {
            (o, number): f"group_{place}" for place, (o, number, _) in enumerate(recording.groups)
        }
        for key, value in recording.settings.items():
            optimizer, number, *path = key
            group_name = names[optimizer, number]
            local = self.program.code.text(value)
            yield f"{local} = {group_name}" + "".join(f"[{part!r}]" for part in path)
            truth = "not " if value.array else ""
            fixed["as_number"] = as_number
            other = f"{local}.__class__ is not float and ({local} := as_number({local})) is None"
            yield f"if ({other}) or {truth}{local}: return MISS"

    def _numbers(self) -> Iterator[str]:
        """Yield lines that read step counts, and states that are Python numbers."""
        fixed = self._fixed
        for state, value in self.recording.states.items():
            if state.kind == "steps":
                number = self._places.index(state.owner)
                yield f"{self.program.code.text(value)} = bundle_{number}.steps"
            elif state.kind in ("data", "grad") and not value.is_array:
                fixed[f"scalar_{value.index}"] = state.owner
                part = "_data" if state.kind == "data" else "_grad._data"
                yield f"{self.program.code.text(value)} = scalar_{value.index}.{part}"

    def _results(self) -> Iterator[str]:
        """Yield lines that return results, to the owners of states and to the caller."""
        recording, name = self.recording, self.program.code.text
        for number, (state, value) in enumerate(recording.writes.items()):
            if state.kind == "steps":
                yield f"bundle_{self._places.index(state.owner)}.steps = {name(value)}"
            elif state.kind in ("grad", "data"):
                if value.is_array and state.kind == "data":
                    continue  # it is where it belongs
                self._fixed[f"gets_{number}"] = state.owner
                text = self.program.code.text(value)
                new = self._grad_name(state) if value.is_array else f"detached({text})"
                part, new = ("_data", text) if state.kind == "data" else ("_grad", new)
                yield f"gets_{number}.{part} = {new}"
        for number, tensor in enumerate(recording.cleared):
            self._fixed[f"cleared_{number}"] = tensor
            yield f"cleared_{number}._grad = None"
        outputs = []
        for position, one in enumerate(recording.outputs):
            if not isinstance(one, Value):
                self._fixed[f"output_{position}"] = one
                outputs.append(f"output_{position}")
                continue
            text = self.program.code.text(one)
            if one.is_array and one.root not in self.program.plan.fresh:
                text = f"{text}.copy()"
            outputs.append(f"detached({text})" if recording.are_tensors[position] else text)
        single = len(outputs) == 1 and recording.rebuild(["only"]) == "only"
        yield f"return {outputs[0]}" if single else f"return rebuild([{', '.join(outputs)}])"

    def _grad_name(self, state: State) -> str:
        return f"grad_{self._order_of_homes.index(state)}"

    @cached_property
    def _order_of_homes(self) -> list[State]:
        """The states in the order in which ``renew`` gives them memory."""
        order: dict[State, None] = {}
        for place in self._places:
            order[State("vector", place)] = None
            names = [s for s in self.recording.states if s.kind == "state" and s.owner is place]
            order.update(dict.fromkeys(sorted(names, key=lambda s: s.position)))
            if not isinstance(place.parameters[0]._data, float):
                order.update(dict.fromkeys(State("data", p) for p in place.parameters))
        arrays = [
            s for s, v in self.recording.states.items() if v.is_array and s.kind in ("data", "grad")
        ]
        order.update(dict.fromkeys(arrays))
        order.update(dict.fromkeys(s for s, v in self.recording.writes.items() if v.is_array))
        return list(order)


def _missing(*_: Any) -> Any:
    """Replay nothing: there is no memory yet."""
    return MISS


def _array_of(holder: Any) -> Any:
    """Return an array, or that of a tensor."""
    return holder._data if isinstance(holder, Tensor) else holder


def _restoring(
    replay: Callable[..., Any], arrays: list[Any], before: list[Any], generators: list[Any]
) -> Callable[..., Any]:
    """Return the replay, made to restore what it has changed when it fails half-way.

    The uncompiled step is then run, and says what is wrong, or is recorded again.
    """

    def run(*args: Any) -> Any:
        _copy(arrays, before)
        states = [generator.get_state() for generator in generators]
        out = replay(*args)
        if out is MISS or out is MOVED:
            _copy(before, arrays)
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)
        return out

    return run


_FAILURES = (IndexError, np.linalg.LinAlgError)
"""NumPy's errors where the step would have raised one of this package."""


def _copy(sources: list[Any], targets: list[Any]) -> None:
    # A separate function: a variable that holds an array during a replay would be a reference.
    for source, target in zip(sources, targets, strict=True):
        np.copyto(target, source)


def _may_fail(event: Event) -> bool:
    """Return whether an event may turn out differently from its recording."""
    call = event.call
    if call.kind in ("getitem", "setitem") and call.name != "pick":
        return any(values_in(event.args[1]))
    return call.kind == "check" or getattr(call.function, "__module__", "") == "numpy.linalg"


def _memory_of(array: Any) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _references(name: str, names: dict[str, Any]) -> str:
    """Write code that counts the references to an object, except its owner's, if that has it.

    Only gradients need the exception: the owners of other objects are checked to have them.
    """
    number = _number_of(name)
    count = f"getrefcount({name})"
    if name == f"grad_{number}":
        return f"{count} - (owner_{number}._grad is {name})"
    if name == f"home_{number}" and f"node_{number}" in names and names[name].size <= SMALL:
        return f"{count} - (getattr(node_{number}, '_gradient', None) is {name})"
    return count


def _name_counted(text: str) -> str:
    """Return the name in an expression that counts references."""
    return text.removeprefix("getrefcount(").partition(")")[0]


def _number_of(name: str) -> int:
    return int(name.rpartition("_")[2])


def _settle(state: State, array: Any, bundles: dict[BundlePlace, Any]) -> None:
    """Give a state's array, which has its content already, to its owner."""
    owner = state.owner
    if state.kind == "vector":
        bundles[owner].vector = array
    elif state.kind == "state":
        parts = list(bundles[owner].state)
        parts[state.position] = array
        bundles[owner].state = tuple(parts)
    elif state.kind == "data" and owner._data is not array:
        owner._rebind(array)


def _gradient_in(array: Any, owner: Any) -> Tensor:
    """Return the tensor that is an owner's ``.grad`` after a replay; now, too, if it has one."""
    before = owner.grad
    gradient = owner._collect(array)
    if before is not None and before.shape == array.shape:
        array[...] = before._data
    else:
        owner._grad = before
    if isinstance(owner._node, Leaf):
        owner._node._gradient = array if array.size <= SMALL else None
    return gradient


def _parts(module: Any) -> list[int]:
    """Return the identities of a module's tensors, modules and own ``forward``."""
    return [
        id(one)
        for name, one in vars(module).items()
        if isinstance(one, Tensor | Module) or name == "forward"
    ]


def _parts_of(recording: Recording) -> dict[Any, list[int]]:
    return {module: _parts(module) for module in recording.modules}


def _modules_match(parts: dict[Any, list[int]], settings: dict[Any, dict[str, Any]]) -> bool:
    """Return whether modules have the parts and settings that they had."""
    return all(_parts(module) == its_parts for module, its_parts in parts.items()) and all(
        settings_of(module) == its_settings for module, its_settings in settings.items()
    )


def hooks_of(tensor: Tensor) -> tuple[Any, ...]:
    """Return the hooks of a leaf."""
    return tuple(getattr(tensor._node, "_hooks", {}).values())


def _hooks_match(hooks: list[tuple[Tensor, tuple[Any, ...]]]) -> bool:
    """Return whether leaves have the hooks that they had."""
    for tensor, functions in hooks:
        now = hooks_of(tensor)
        if len(now) != len(functions) or not all(map(is_, now, functions)):
            return False
    return True


_errors: Callable[[], Any] = umath._extobj_contextvar.get
"""What NumPy does about division by zero and the like: an object that each ``np.errstate`` sets."""


def raises_errors() -> bool:
    """Return whether NumPy is to raise, or call a function, where it would compute inf or NaN."""
    return not {"raise", "call"}.isdisjoint(np.geterr().values())


def _group_counts(recording: Recording) -> dict[Any, int]:
    """Count the parameter groups of each optimiser."""
    return Counter(optimizer for optimizer, _, _ in recording.groups)


def _same_settings(optimizer: Any, number: int, group: dict[str, Any]) -> bool:
    """Return whether settings are the same; floats may differ, except in being zero."""
    if number >= len(optimizer.param_groups):
        return False
    now = optimizer.param_groups[number]
    return (
        now.keys() == group.keys()
        and all(_same_setting(now[name], group[name]) for name in group if name != "params")
        and list(map(id, now["params"])) == list(map(id, group["params"]))
    )


def _same_setting(one: Any, other: Any) -> bool:
    mine, theirs = as_number(one), as_number(other)
    if mine is not None and theirs is not None:
        return bool(mine) is bool(theirs)
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same_setting, one, other))
    return is_same(one, other)


def _kind_of(leaf: Any) -> str:
    """Describe an argument: its shape and dtype, or itself."""
    if isinstance(leaf, Tensor) and leaf.requires_grad:
        return "a tensor that requires a gradient"
    array = leaf._data if isinstance(leaf, Tensor) else leaf
    if isinstance(array, np.ndarray):
        order = "" if array.flags.c_contiguous else ", in another order of memory"
        return f"{array.dtype} of shape {array.shape}{order}"
    return "a float" if type(array) is float else f"{array!r:.40}"


def _state_in_words(state: State) -> str:
    if state.kind in ("data", "grad"):
        what = state.owner.name or "a tensor that the step uses"
        which = "its .grad" if state.kind == "grad" else "its data or requires_grad"
        return f"{what} has changed in kind: {which}"
    return f"{type(state.owner.optimizer).__name__} updates other parameters together"


def _state_matches(state: State, value: Value) -> bool:
    owner = state.owner
    if state.kind == "data":
        needs = (owner._node is not None) is value.wants_gradient
        return needs and (not value.is_array or _array_matches(owner._data, value.array, False))
    if state.kind == "grad":
        held = owner.grad is not None
        return held and (not value.is_array or _array_matches(owner.grad._data, value.array, False))
    return owner.bundle() is not None


def _array_matches(one: Any, other: Any, strides: bool = True) -> bool:
    # NumPy sometimes turns 0-d arrays into scalars.
    return (
        isinstance(one, np.ndarray | np.generic)
        and one.shape == other.shape
        and one.dtype == other.dtype
        and (not strides or one.strides == other.strides)
    )


_ADOPTING: dict[str, Any] = {
    "Leaf": Leaf,
    "copyto": np.copyto,
    "dtype_at": np.dtype,
    "empty_like": np.empty_like,
    "matches": _array_matches,
    "ndarray": np.ndarray,
    "owner_of": _memory_of,
    "view_of": np.ndarray,
}
"""What the code that adopts states needs."""
