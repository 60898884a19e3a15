"""The names of values in compiled steps: the variables that code stores results in."""

import dis
from collections.abc import Iterator
from types import CodeType
from typing import Any

from tinygrad_lab.compiler.record.variables import RETURNED, Target, Variables

outside: Any = None


def code(f: Any) -> Any:
    global outside
    local = f(1)
    outside = f(2)
    one, other = f(3)
    f(4)
    return f(lambda: local, one, other)


def calls(code: CodeType) -> Iterator[Target | None]:
    """Yield the variables that the results of the calls in a function are stored in, in order."""
    variables = Variables(code)
    for instruction in dis.get_instructions(code):
        if instruction.opname == "CALL":
            yield variables.of(instruction.offset)


def test_the_variable_of_a_result_is_the_one_it_is_stored_in_directly() -> None:
    stored = ["local", "outside", None, None, RETURNED]
    assert list(calls(code.__code__)) == stored


def test_a_frame_may_stand_at_the_cache_behind_an_instruction() -> None:
    variables = Variables(code.__code__)
    offset = next(i.offset for i in dis.get_instructions(code) if i.opname == "CALL")
    assert variables.of(offset + 2) == variables.of(offset) == "local"


def test_a_sequence_has_the_variables_of_its_elements() -> None:
    variables = Variables(code.__code__)
    found = [i.offset for i in dis.get_instructions(code) if i.opname == "UNPACK_SEQUENCE"]
    assert [variables.of(offset) for offset in found] == [("one", "other")]


def test_names_beyond_the_first_256_are_found() -> None:
    """Store into a variable whose number needs a prefix to the instruction."""
    many = "\n".join(f"v{number} = f({number})" for number in range(300))
    compiled = compile(many, "<many>", "exec")
    assert list(calls(compiled)) == [f"v{number}" for number in range(300)]
