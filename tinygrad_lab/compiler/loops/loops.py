"""Instructions as loops: repetitions are rolled up, elementwise instructions are fused.

The output is source in a small part of Python, which ``assembly.py`` translates: ``for`` loops of
fixed lengths over flat memories ``m0[3 + i0 * 10 + i1]``. The numbers of an expression have one
type: where they differ, they are cast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_lab.compiler.loops.instructions import Instruction, Memory, Place

from .. import functions

__all__ = ["Loop", "blocks", "cast", "memories_of", "numbers_of", "rolled"]

_LONGEST_PERIOD = 80
_FEWEST_ROUNDS = 4
_SOME_PRODUCT = 20_000
_LARGE_PRODUCT = 100_000
"""Multiplications from which a product of matrices is left to the BLAS: in general, and where
each element is a sum of few terms."""
_UNROLLED = 16
"""Sums of up to this many terms are written out."""


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """Instructions that run in rounds; the places advance in each."""

    rounds: int
    body: list[Instruction]


# --- rolling up ----------------------------------------------------------------------------------


def rolled(instructions: Sequence[Instruction]) -> list[Instruction | Loop]:
    """Roll repetitions of a sequence into loops."""
    numbers: dict[Any, int] = {}
    kinds = [numbers.setdefault(one.signature(), len(numbers)) for one in instructions]
    found: list[Instruction | Loop] = []
    position = 0
    while position < len(instructions):
        loop, length = _longest_loop(instructions, kinds, position)
        found.append(loop or instructions[position])
        position += length if loop else 1
    return found


def _longest_loop(
    instructions: Sequence[Instruction], kinds: list[int], start: int
) -> tuple[Loop | None, int]:
    """Return the loop from ``start`` that covers most instructions, and how many those are."""
    best, longest = None, 0
    for period in range(1, min(_LONGEST_PERIOD, (len(kinds) - start) // _FEWEST_ROUNDS) + 1):
        rounds = _rounds(instructions, kinds, start, period)
        if rounds >= _FEWEST_ROUNDS and rounds * period > longest:
            longest = rounds * period
            first = instructions[start : start + period]
            second = instructions[start + period : start + 2 * period]
            best = Loop(rounds, [_advancing(*two) for two in zip(first, second, strict=True)])
    return best, longest


def _rounds(instructions: Sequence[Instruction], kinds: list[int], start: int, period: int) -> int:
    """Count how often a sequence of instructions repeats, advancing evenly."""
    steps = None
    rounds = 1
    while True:
        here = start + rounds * period
        if kinds[here : here + period] != kinds[start : start + period]:
            return rounds
        now = _offsets(instructions[here : here + period])
        before = _offsets(instructions[here - period : here])
        change = [a - b for a, b in zip(now, before, strict=True)]
        if steps is not None and change != steps:
            return rounds
        steps = change
        rounds += 1


def _offsets(instructions: Sequence[Instruction]) -> list[int]:
    return [place.offset for one in instructions for place in one.places]


def _advancing(one: Instruction, following: Instruction) -> Instruction:
    """Let the places of an instruction advance by their distance to the following round's."""

    def advancing(mine: Any, theirs: Any) -> Any:
        if not isinstance(mine, Place):
            return mine
        return replace(mine, advance=theirs.offset - mine.offset)

    return replace(
        one,
        target=advancing(one.target, following.target),
        sources=tuple(map(advancing, one.sources, following.sources)),
    )


# --- fusing --------------------------------------------------------------------------------------


def _fused(instructions: Sequence[Instruction]) -> Iterator[list[Instruction]]:
    """Yield groups of instructions that one loop nest can run."""
    group: list[Instruction] = []
    for one in instructions:
        if group and not _fits(one, group):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _fits(one: Instruction, group: list[Instruction]) -> bool:
    """Return whether an instruction can be fused, element by element, with those before it."""
    if one.kind != "map" or group[0].kind != "map":
        return False
    if one.target.shape != group[0].target.shape:
        return False
    return all(_independent(before, one) for before in group)


def _independent(before: Instruction, after: Instruction) -> bool:
    """Return whether two instructions touch shared memory only at the same element at a time."""
    pairs = [(before.target, place) for place in after.places]
    pairs += [(place, after.target) for place in before.places]
    return all(_same_elements(*pair) for pair in pairs)


def _same_elements(one: Place, other: Place) -> bool:
    """Return whether two places of one shape share each element with its counterpart, or none."""
    if one.memory.overlaps != other.memory.overlaps:
        return True
    if one.memory == other.memory and one.advance == other.advance:
        (low, high), (other_low, other_high) = one.bounds, other.bounds
        return one == other or high < other_low or other_high < low
    return False


# --- writing -------------------------------------------------------------------------------------


def memories_of(code: Sequence[Instruction | Loop]) -> list[Memory]:
    """Return the memories that are used, in the order of first use."""
    places = (place for one in _instructions(code) for place in one.places)
    return list(dict.fromkeys(place.memory for place in places))


def numbers_of(code: Sequence[Instruction | Loop]) -> list[str]:
    """Return the names of the numbers that are read, in the order of first use."""
    sources = (source for one in _instructions(code) for source in one.sources)
    return list(dict.fromkeys(source for source in sources if isinstance(source, str)))


def _instructions(code: Sequence[Instruction | Loop]) -> Iterator[Instruction]:
    for part in code:
        yield from part.body if isinstance(part, Loop) else [part]


def blocks(
    code: Sequence[Instruction | Loop], unread: Callable[[Instruction, list[Instruction]], bool]
) -> Iterator[list[str]]:
    """Yield all lines, in blocks that may be separated; they return 1 if a check fails.

    ``unread(instruction, group)``: nothing outside a group reads what an instruction writes.
    """
    straight: list[Instruction] = []
    for part in [*code, None]:
        if isinstance(part, Instruction):
            straight.append(part)
            continue
        for group in _fused(straight):
            yield _written(group, unread)
        straight = []
        if isinstance(part, Loop):
            inside = [line for group in _fused(part.body) for line in _written(group, _never)]
            yield [f"for t in range({part.rounds}):", *_indented(inside)]


def _never(instruction: Instruction, group: list[Instruction]) -> bool:
    return False


def _written(group: list[Instruction], unread: Callable[..., bool]) -> list[str]:
    first = group[0]
    if first.kind == "map":
        return _map_lines(group, unread)
    writers = {
        "reduce": _reduction_lines,
        "product": _product_lines,
        "gather": _gather_lines,
        "scatter": _scatter_lines,
        "check": _check_lines,
    }
    return writers[first.kind](first)


def _indented(lines: Sequence[str], depth: int = 1) -> list[str]:
    return ["    " * depth + line for line in lines]


def _nest(loops: Sequence[tuple[str, int]], inside: Sequence[str]) -> list[str]:
    """Nest lines in loops over the names."""
    lines = list(inside)
    for name, size in reversed(loops):
        lines = [f"for {name} in range({size}):", *_indented(lines)]
    return lines


def _element(place: Place, names: Sequence[str]) -> str:
    """Write the element of a place at an index."""
    terms = [str(place.offset)] if place.offset or not place.strides else []
    terms += [
        name if stride == 1 else f"{name} * {stride}"
        for name, stride in zip(names, place.strides, strict=True)
        if stride
    ]
    if place.advance:
        terms.append(f"t * {place.advance}")
    return f"{place.memory.name}[{' + '.join(terms) or '0'}]"


def cast(dtype: Any) -> str:
    """Return the function that converts a number to a dtype."""
    dtype = np.dtype(dtype)
    return "bool_" if dtype.kind == "b" else dtype.name


def _operand(one: Any, dtype: Any, names: Sequence[str], known: dict[Place, str]) -> str:
    """Write an operand of a map, in the dtype of the computation."""
    if isinstance(one, Place):
        text = known.get(one) or _element(one, names)
        return text if one.memory.dtype == dtype else f"{cast(dtype)}({text})"
    if isinstance(one, str):
        return f"{cast(dtype)}({one})"
    return f"{cast(dtype)}({_literal(one)})"


def _literal(number: Any) -> str:
    if isinstance(number, float) and not np.isfinite(number):
        return "nan" if number != number else "inf" if number > 0 else "-inf"
    return repr(number)


def _map_lines(group: list[Instruction], unread: Callable[..., bool]) -> list[str]:
    """Write one loop nest for maps over one shape."""
    group, sizes = _with_few_axes(group)
    names = [f"i{axis}" for axis in range(len(sizes))]
    known: dict[Place, str] = {}
    lines = []
    for number, one in enumerate(group):
        formula = _formula(one)
        condition = one.formula in ("where", "where_positive")
        operands = [
            _operand(x, _kept_dtype(x, one.dtype, condition and not n), names, known)
            for n, x in enumerate(one.sources)
        ]
        text = formula.format(*operands, zero=f"{cast(one.dtype)}(0)")
        if _result_dtype(one) != one.target.memory.dtype:
            text = f"{cast(one.target.memory.dtype)}({text})"
        local = f"v{number}"
        lines.append(f"{local} = {text}")
        if not unread(one, group):
            lines.append(f"{_element(one.target, names)} = {local}")
        known = {p: n for p, n in known.items() if p.memory.overlaps != one.target.memory.overlaps}
        known[one.target] = local
    return _nest(list(zip(names, sizes, strict=True)), lines)


def _formula(one: Instruction) -> str:
    """Return the expression; float32 has functions that are faster than the C library's."""
    vectorised = one.formula in ("exp", "tanh") and one.dtype == np.float32
    return f"{one.formula}_float32({{0}})" if vectorised else functions.known(one.formula).formula


def _kept_dtype(one: Any, dtype: Any, is_condition: bool) -> Any:
    return one.memory.dtype if is_condition and isinstance(one, Place) else dtype


def _result_dtype(one: Instruction) -> Any:
    return np.dtype(bool) if functions.known(one.formula).is_comparison else one.dtype


def _with_few_axes(group: list[Instruction]) -> tuple[list[Instruction], list[int]]:
    """Sort axes by memory order, and merge those that are contiguous in all places."""
    shape = group[0].target.shape
    axes = [axis for axis, size in enumerate(shape) if size != 1]
    axes.sort(key=lambda axis: -abs(group[0].target.strides[axis]))
    places = [place for one in group for place in one.places]
    blocks: list[list[int]] = []
    for axis in axes:
        joins = blocks and all(
            place.strides[blocks[-1][-1]] == place.strides[axis] * shape[axis] for place in places
        )
        if joins:
            blocks[-1].append(axis)
        else:
            blocks.append([axis])
    sizes = [int(np.prod([shape[axis] for axis in block])) for block in blocks]

    def joined(one: Any) -> Any:
        if not isinstance(one, Place):
            return one
        strides = tuple(one.strides[block[-1]] for block in blocks)
        return replace(one, shape=tuple(sizes), strides=strides)

    return [
        replace(one, target=joined(one.target), sources=tuple(map(joined, one.sources)))
        for one in group
    ], sizes


# --- reductions ----------------------------------------------------------------------------------


def _start_of(name: str, dtype: Any) -> str:
    if name in ("sum", "prod"):
        return f"{cast(dtype)}({int(name == 'prod')})"
    if np.dtype(dtype).kind == "f":
        return f"{cast(dtype)}({'-inf' if name == 'max' else 'inf'})"
    limits = np.iinfo(dtype)
    return f"{cast(dtype)}({limits.min if name == 'max' else limits.max})"


def _reduction_lines(one: Instruction) -> list[str]:
    (source,) = one.sources
    shape = source.shape
    names = [f"i{axis}" for axis in range(len(shape))]
    order = sorted(range(len(shape)), key=lambda axis: -abs(source.strides[axis]))
    kept = [(names[a], shape[a]) for a in order if a not in one.axes]
    reduced = [(names[a], shape[a]) for a in order if a in one.axes]
    start = _start_of(one.formula, one.dtype)
    element, target = _element(source, names), _element(one.target, names)
    if source.memory.dtype != one.dtype:
        element = f"{cast(one.dtype)}({element})"
    step = functions.known(one.formula).formula
    if not order or order[-1] in one.axes:
        inner = _nest(reduced, [f"x = {element}", f"total = {step.format('total', 'x')}"])
        return _nest(kept, [f"total = {start}", *inner, f"{target} = total"])
    # By whole rows: the elements of a row are adjacent.
    lines = _nest(kept, [f"{target} = {start}"])
    inner = [f"x = {element}", f"{target} = {step.format(target, 'x')}"]
    return lines + _nest([*reduced, *kept], inner)


# --- products of matrices ------------------------------------------------------------------------


def _product_lines(one: Instruction) -> list[str]:
    target, (left, right) = one.target, one.sources
    stacked = [axis for axis, size in enumerate(target.shape[:-2]) if size != 1]
    target, left, right = (_stacked_along(place, stacked) for place in (target, left, right))
    work = target.shape[-2] * target.shape[-1] * left.shape[-1]
    if right.strides[-1] != 1 and left.strides[-2] == 1 and target.strides[-2] == 1:
        target, right, left = map(_transposed, (target, left, right))
    by_rows = right.strides[-1] == 1 and target.strides[-1] == 1
    thin = by_rows and left.shape[-1] <= _UNROLLED
    is_large = work >= (_LARGE_PRODUCT if thin else _SOME_PRODUCT)
    if is_large and not stacked and target.memory.dtype.kind == "f":
        lines = _blas_lines(target, left, right)
        if lines:
            return lines
    names = [f"s{axis}" for axis in range(len(stacked))]
    lines = (_by_rows if by_rows else _by_elements)(target, left, right, names)
    return _nest(list(zip(names, target.shape[:-2], strict=True)), lines)


def _stacked_along(place: Place, axes: Sequence[int]) -> Place:
    """Drop the axes of length 1 from a stack of matrices."""
    kept = [*axes, len(place.shape) - 2, len(place.shape) - 1]
    shape = tuple(place.shape[axis] for axis in kept)
    return replace(place, shape=shape, strides=tuple(place.strides[axis] for axis in kept))


def _transposed(place: Place) -> Place:
    shape, strides = place.shape, place.strides
    return replace(
        place,
        shape=(*shape[:-2], shape[-1], shape[-2]),
        strides=(*strides[:-2], strides[-1], strides[-2]),
    )


def _by_rows(target: Place, left: Place, right: Place, stack: Sequence[str]) -> list[str]:
    """Write each row of the product as a sum of rows of the right matrix."""
    rows, columns = target.shape[-2:]
    inner = left.shape[-1]
    out = _element(target, [*stack, "i", "j"])
    if 0 < inner <= _UNROLLED:
        factors = [f"a{k} = {_element(left, [*stack, 'i', str(k)])}" for k in range(inner)]
        terms = [f"a{k} * {_element(right, [*stack, str(k), 'j'])}" for k in range(inner)]
        lines = [*factors, *_nest([("j", columns)], [f"{out} = {' + '.join(terms)}"])]
    else:
        factor = f"a = {_element(left, [*stack, 'i', 'k'])}"
        term = f"a * {_element(right, [*stack, 'k', 'j'])}"
        add = _nest([("j", columns)], [f"{out} = {out} + {term}"])
        lines = _nest([("j", columns)], [f"{out} = {cast(target.memory.dtype)}(0)"])
        lines += _nest([("k", inner)], [factor, *add])
    return _nest([("i", rows)], lines)


def _by_elements(target: Place, left: Place, right: Place, stack: Sequence[str]) -> list[str]:
    rows, columns = target.shape[-2:]
    x, y = _element(left, [*stack, "i", "k"]), _element(right, [*stack, "k", "j"])
    lines = [
        f"total = {cast(target.memory.dtype)}(0)",
        *_nest([("k", left.shape[-1])], [f"total = total + {x} * {y}"]),
        f"{_element(target, [*stack, 'i', 'j'])} = total",
    ]
    return _nest([("i", rows), ("j", columns)], lines)


def _blas_lines(target: Place, left: Place, right: Place) -> list[str]:
    """Write a call of the BLAS; empty if one of the matrices is not dense."""
    if not _is_dense(target) and _is_dense(_transposed(target)):
        return _blas_lines(_transposed(target), _transposed(right), _transposed(left))
    name = "product"
    name += {(1, 0): "_left_T", (0, 1): "_right_T", (1, 1): "_both_T"}.get(
        (not _is_dense(left), not _is_dense(right)), ""
    )
    if not all(_is_dense(place) or _is_dense(_transposed(place)) for place in (left, right)):
        return []
    if not _is_dense(target):
        return []
    given = ", ".join(f"{p.memory.name}, {_start(p)}" for p in (left, right, target))
    return [f"{name}({given}, {target.shape[-2]}, {left.shape[-1]}, {target.shape[-1]})"]


def _is_dense(place: Place) -> bool:
    """Return whether the rows of a matrix are contiguous in memory."""
    return place.strides[-2:] == (place.shape[-1], 1)


def _start(place: Place) -> str:
    return f"{place.offset} + t * {place.advance}" if place.advance else str(place.offset)


# --- indexing by arrays --------------------------------------------------------------------------


def _indexed(array: Place, indices: Sequence[Place], names: Sequence[str]) -> tuple[list[str], str]:
    """Write an element at an index of arrays, and the lines that find and check the index."""
    lines, terms = [], [str(array.offset)]
    for axis, (index, size) in enumerate(zip(indices, array.shape, strict=True)):
        lines += [
            f"k{axis} = int64({_element(index, names)})",
            f"if k{axis} < 0:",
            f"    k{axis} += {size}",
            f"if k{axis} < 0 or k{axis} >= {size}:",
            "    return 1",
        ]
        terms.append(f"k{axis} * {array.strides[axis]}")
    return lines, f"{array.memory.name}[{' + '.join(terms)}]"


def _gather_lines(one: Instruction) -> list[str]:
    array, *indices = one.sources
    names = [f"i{axis}" for axis in range(len(one.target.shape))]
    lines, element = _indexed(array, indices, names)
    lines.append(f"{_element(one.target, names)} = {element}")
    return _nest(list(zip(names, one.target.shape, strict=True)), lines)


def _scatter_lines(one: Instruction) -> list[str]:
    values, *indices = one.sources
    shape = indices[0].shape
    names = [f"i{axis}" for axis in range(len(shape))]
    lines, element = _indexed(one.target, indices, names)
    lines.append(f"{element} = {_operand(values, one.target.memory.dtype, names, {})}")
    return _nest(list(zip(names, shape, strict=True)), lines)


def _check_lines(one: Instruction) -> list[str]:
    names = [f"i{axis}" for axis in range(len(one.target.shape))]
    lines = [f"if bool({_element(one.target, names)}) != {one.formula}:", "    return 1"]
    return _nest(list(zip(names, one.target.shape, strict=True)), lines)
