"""What is known of single instructions of Python's bytecode, in its versions from 3.11 on."""

from __future__ import annotations

import dis
import sys
from functools import cache
from types import CodeType
from typing import Any

__all__ = [
    "ENDS",
    "JUMPS",
    "after_jump",
    "instructions_of",
    "is_augmented",
    "is_method_load",
    "looks",
    "reads",
    "takes_all",
]

JUMPS = frozenset({*dis.hasjrel, *dis.hasjabs})
ENDS = frozenset(
    {"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD"}
    | {"JUMP_BACKWARD_NO_INTERRUPT"}
)
"""Behind these the next instruction is reached by a jump alone."""
_READING = ("UNARY_", "TO_BOOL", "FORMAT_", "GET_LEN", "CONVERT_")
_CONSUMING = ("POP_", "STORE_", "DELETE_", "JUMP_IF_", "RAISE_", "END_", "PRINT_")
_LOOKING_AT_NOTHING = (
    *("POP_JUMP_IF_NO", "POP_JUMP_FORWARD_IF_NO", "POP_JUMP_BACKWARD_IF_NO", "IS_OP"),
    *("POP_EXCEPT", "POP_BLOCK", "STORE_", "DELETE_", "END_", "RAISE_"),
)


@cache
def instructions_of(code: CodeType) -> tuple[list[dis.Instruction], dict[int, int]]:
    """Return the instructions of code, and how deep the stack is where exceptions are handled."""
    bytecode = dis.Bytecode(code)
    handlers = {
        entry.target: entry.depth + entry.lasti + 1
        for entry in getattr(bytecode, "exception_entries", ())
    }
    return list(bytecode), handlers


def reads(one: dis.Instruction) -> bool:
    """Return whether it looks at what is on top of the stack, and leaves something there."""
    return one.opname.startswith(_READING)


def takes_all(one: dis.Instruction) -> bool:
    """Return whether it leaves nothing for what it takes from the stack."""
    return one.opname.startswith(_CONSUMING)


def looks(one: dis.Instruction) -> bool:
    """Return whether it looks into what it takes: is it true, is it less?"""
    return not one.opname.startswith(_LOOKING_AT_NOTHING)


def is_method_load(one: dis.Instruction) -> bool:
    """Return whether it puts a function on the stack, and a null or its first argument."""
    marked = sys.version_info >= (3, 12) and one.arg is not None and one.arg & 1
    return one.opname == "LOAD_METHOD" or bool(marked)


def is_augmented(one: dis.Instruction) -> bool:
    """Return whether an operator writes into its left operand: ``+=``."""
    return one.argrepr.endswith("=") and one.argrepr not in ("==", "<=", ">=", "!=")


def after_jump(one: dis.Instruction, before: list[Any], after: list[Any]) -> list[Any]:
    """Return the stack at the target of a jump."""
    if one.opname == "FOR_ITER" and sys.version_info < (3, 12):
        return before[:-1]
    if one.opname == "FOR_ITER":
        return [*before, ()]
    if one.opname in ("JUMP_IF_TRUE_OR_POP", "JUMP_IF_FALSE_OR_POP"):
        return before
    return list(after)
