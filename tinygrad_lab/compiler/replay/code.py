"""The source of a replay: one function, of straight lines.

    def replay(given_0, given_1):
        checks that everything is as it was recorded      return MISS
        arguments and settings, unpacked and checked      return MISS
        a check that memory is where it was               return MOVED
        the lines of the program
        results, to the owners of states and to the caller

Each check takes a few dozen nanoseconds. Where one fails, nothing has been done yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_lab.compiler.plan.outlines import forget_numbers
from tinygrad_lab.compiler.record.dependencies import as_number
from tinygrad_lab.compiler.record.record import Recording
from tinygrad_lab.compiler.record.trace import Value
from tinygrad_lab.compiler.replay.fits import Conditions
from tinygrad_lab.compiler.replay.homes import Homes
from tinygrad_lab.compiler.replay.undo import may_fail
from tinygrad_lab.compiler.targets import Program

__all__ = ["ReplayCode"]


class ReplayCode:
    """The code of a replay, and the functions that it calls."""

    def __init__(
        self, recording: Recording, program: Program, conditions: Conditions, homes: Homes
    ) -> None:
        self._recording = recording
        self._program = program
        self._conditions = conditions
        self._arguments = conditions.arguments
        self._homes = homes
        self.fixed: dict[str, Any] = {}
        """Names in the code that stay the same, whatever memory it is bound to."""
        self._first = [*self._checks(), *self._reads()]
        self._last = [*self._results()]
        self.source = self._around(program.lines)
        """The source of ``replay``."""

    @cached_property
    def compiled(self) -> CodeType:
        """The code that defines ``replay``."""
        code = compile(self.source, "<tinygrad_lab compiled step>", "exec")
        # The recorded numbers are no longer needed.
        forget_numbers(self._recording.trace, self._program.plan.constants)
        return code

    @cached_property
    def names(self) -> frozenset[str]:
        """The global names that ``replay`` uses."""
        parts = self.compiled.co_consts
        return frozenset(next(one.co_names for one in parts if isinstance(one, CodeType)))

    def with_clock(self) -> str:
        """Return the source with a clock read before and after each of the program's lines."""
        tick = "clock.append(now())"
        lines = [tick, *(part for line in self._program.lines for part in (line, tick))]
        return self._around(lines, "clock")

    def _around(self, work: list[str], *more: str) -> str:
        """Put checks and results around the lines of the program."""
        if work and any(map(may_fail, self._program.plan.events)):
            work = [
                "try:",
                *(f"    {line}" for line in work),
                "except FAILURES:",
                "    return MISS",
            ]
        given = [f"given_{position}" for position in range(len(self._arguments.values))]
        body = "\n".join(f"    {line}" for line in (*self._first, *work, *self._last))
        return f"def replay({', '.join([*more, *given])}):\n{body}\n"

    # --- before -----------------------------------------------------------------------------------

    def _checks(self) -> Iterator[str]:
        """Yield a line that checks all that does not depend on the arguments."""
        recording, fixed = self._recording, self.fixed
        checks = [
            "current().ordinary",
            "current().device == 'cpu'",
            "(version() == version_now or modules_settled())",
            "(errors() is errors_now or errors_settled())",
            "(not hooked or hooks_match(hooks))",
        ]
        watched = enumerate(self._conditions.watched)
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
        yield "try:"
        yield f"    if not ({' and '.join(checks)}): return MISS"
        yield "except LOST: return MISS"

    def _reads(self) -> Iterator[str]:
        """Yield lines that check and unpack what a replay reads anew at each call."""
        for position, value in enumerate(self._arguments.values):
            if value is None:
                self.fixed[f"same_{position}"] = self._arguments.fixed[position]
                yield f"if not is_same(given_{position}, same_{position}): return MISS"
            else:
                yield from self._argument(position, value)
        yield from self._groups()
        yield from self._settings()
        untouched = ["untouched()"]
        for number, place in enumerate(self._homes.places):
            self.fixed[f"optimizer_{number}"] = place.optimizer
            untouched.append(f"optimizer_{number}._bundles[{place.group}] is bundles_{number}")
        yield f"if not ({' and '.join(untouched)}): return MOVED"
        yield from self._numbers()

    def _argument(self, position: int, value: Value) -> Iterator[str]:
        fixed, given, local = self.fixed, f"given_{position}", self._program.code.text(value)
        if self._arguments.are_tensors[position]:
            yield f"if {given}.__class__ is not Tensor or {given}._node: return MISS"
            yield f"{local} = {given}._data"
        else:
            yield f"{local} = {given}"
        if not value.is_array:
            yield f"if {local}.__class__ is not {type(value.array).__name__}: return MISS"
            return
        fixed["ndarray"], fixed["asarray"] = np.ndarray, np.asarray
        if not value.array.ndim:
            yield f"if {local}.__class__ is not ndarray: {local} = asarray({local})"
        tests = [f"{local}.__class__ is not ndarray"]
        for what in ("shape", "strides", "dtype"):
            fixed[f"{what}_{position}"] = getattr(value.array, what)
            tests.append(f"{local}.{what} != {what}_{position}")
        yield f"if {' or '.join(tests)}: return MISS"

    def _groups(self) -> Iterator[str]:
        """Yield checks of the settings of optimisers that are not read as numbers."""
        recording, fixed = self._recording, self.fixed
        for place, (optimizer, number, group) in enumerate(recording.groups):
            name = f"group_{place}"
            fixed[f"optimizer_of_{name}"] = optimizer
            tests = [f"optimizer_of_{name}.param_groups[{number}] is not {name}"]
            if not number:
                count = self._conditions.group_counts[optimizer]
                tests.append(f"len(optimizer_of_{name}.param_groups) != {count}")
            read = {key[2] for key in recording.settings if key[:2] == (optimizer, number)}
            for setting, value in group.items():
                if type(value) is bool or value is None:
                    tests.append(f"{name}[{setting!r}] is not {value}")
                elif setting not in (*read, "params"):
                    fixed[f"{name}_{setting}"] = value
                    tests.append(f"not is_same({name}[{setting!r}], {name}_{setting})")
            yield f"if {' or '.join(tests)}: return MISS"

    def _settings(self) -> Iterator[str]:
        """Yield lines that read settings of optimisers, such as the learning rate."""
        groups = enumerate(self._recording.groups)
        names = {(optimizer, number): f"group_{n}" for n, (optimizer, number, _) in groups}
        for (optimizer, number, *path), value in self._recording.settings.items():
            local = self._program.code.text(value)
            yield f"{local} = {names[optimizer, number]}" + "".join(f"[{part!r}]" for part in path)
            truth = "not " if value.array else ""
            self.fixed["as_number"] = as_number
            other = f"{local}.__class__ is not float and ({local} := as_number({local})) is None"
            yield f"if ({other}) or {truth}{local}: return MISS"

    def _numbers(self) -> Iterator[str]:
        """Yield lines that read step counts, and states that are Python numbers."""
        for state, value in self._recording.states.items():
            if state.kind == "steps":
                number = self._homes.places.index(state.owner)
                yield f"{self._program.code.text(value)} = bundle_{number}.steps"
            elif state.kind in ("data", "grad") and not value.is_array:
                self.fixed[f"scalar_{value.index}"] = state.owner
                part = "_data" if state.kind == "data" else "_grad._data"
                yield f"{self._program.code.text(value)} = scalar_{value.index}.{part}"

    # --- after ------------------------------------------------------------------------------------

    def _results(self) -> Iterator[str]:
        """Yield lines that return results, to the owners of states and to the caller."""
        recording, name = self._recording, self._program.code.text
        for number, (state, value) in enumerate(recording.writes.items()):
            if state.kind == "steps":
                place = self._homes.places.index(state.owner)
                yield f"bundle_{place}.steps = {name(value)}"
            elif state.kind in ("grad", "data"):
                if value.is_array and state.kind == "data":
                    continue  # it is where it belongs
                self.fixed[f"gets_{number}"] = state.owner
                text = name(value)
                if state.kind == "data":
                    yield f"gets_{number}._data = {text}"
                elif value.is_array:
                    yield f"gets_{number}._grad = grad_{self._homes.number(state)}"
                else:
                    yield f"gets_{number}._grad = detached({text})"
        for number, tensor in enumerate(recording.cleared):
            self.fixed[f"cleared_{number}"] = tensor
            yield f"cleared_{number}._grad = None"
        outputs = [self._output(position) for position in range(len(recording.outputs))]
        single = len(outputs) == 1 and recording.rebuild(["only"]) == "only"
        yield f"return {outputs[0]}" if single else f"return rebuild([{', '.join(outputs)}])"

    def _output(self, position: int) -> str:
        """Write one leaf of the step's result."""
        one = self._recording.outputs[position]
        if not isinstance(one, Value):
            self.fixed[f"output_{position}"] = one
            return f"output_{position}"
        text = self._program.code.text(one)
        if one.is_array and one.root not in self._program.plan.fresh:
            text = f"{text}.copy()"
        return f"detached({text})" if self._recording.are_tensors[position] else text

    # --- what the checks call ---------------------------------------------------------------------

    def settling(self) -> str:
        """Write the functions that look closer where a quick check says that something changed."""
        watched = enumerate(self._conditions.watched)
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

    def untouched(self, counts: list[str]) -> str:
        """Write the function that checks that memory is where it was, and that nobody holds it."""
        checks = [*counts, *self._identities()]
        return f"def untouched(): return {' and '.join(checks) or 'True'}"

    def _identities(self) -> Iterator[str]:
        """Yield checks that the owners still have what they were given."""
        recording = self._recording
        for home in self._homes:
            number = home.number
            if home.state.kind == "data":
                yield f"owner_{number}._data is home_{number}"
                yield f"owner_{number}._node is leaf_{number}"
            elif home.state.kind == "grad" and home.is_read:
                yield f"owner_{number}._grad is grad_{number}"
                yield f"grad_{number}._data is home_{number}"
        for state, value in recording.states.items():
            if state.kind == "data" and not value.is_array:
                yield f"scalar_{value.index}._node is leaf_of_{value.index}"
                if state in recording.writes and state.owner._node is not None:
                    yield f"getrefcount(leaf_of_{value.index}) <= 3"
