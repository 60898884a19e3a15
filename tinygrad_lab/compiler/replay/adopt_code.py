"""The code by which a replay adopts states that are elsewhere: a few straight lines for each.

A replay's code is bound to memory. Where an owner has other memory, or somebody keeps what the
replay writes into, its names are bound to other memory before it runs. Most often that happens in
the same way at each call (an optimiser outside of the step, a ``state_dict()`` that is kept), so
the lines for it are written once, like those of the replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

from tinygrad_lab.backends import SMALL
from tinygrad_lab.compiler.record.record import BundlePlace, State
from tinygrad_lab.compiler.replay.moving import Part

__all__ = ["attach_code", "defined", "leave_code"]

Fact = tuple[State, bool, bool, bool | None]
"""A state; whether it is viewed where its owner has it; whether it is read; wants a gradient."""


@lru_cache(maxsize=64)
def _compiled(source: str) -> CodeType:
    return compile(source, "<tinygrad_lab adopting>", "exec")


def defined(name: str, source: str, names: dict[str, Any]) -> Any:
    """Define a function among the names of a replay, and return it."""
    exec(_compiled(source), names)
    return names[name]


def attach_code(
    facts: Sequence[Fact],
    places: Sequence[BundlePlace],
    names: dict[str, Any],
    parts: dict[int, list[Part]],
) -> str:
    """Write ``attach(before, touched)``: take the states that are elsewhere, where that is simple.

    What is viewed in place is viewed where it is now; for a ``.grad`` that is another one, its
    owner gets that of the replay, and ``before`` what its owner had. Returns False where more has
    to be done: what was attached until then may stay so.
    """
    lines: list[str] = []
    same = [
        f"optimizer_{number}._bundles[{place.group}] is bundles_{number}"
        for number, place in enumerate(places)
    ]
    rebound: set[str] = set()
    for number, (state, in_place, is_read, wants) in enumerate(facts):
        home, owner = f"home_{number}", f"owner_{number}"
        if state.kind == "vector":
            same.append(f"bundle_{places.index(state.owner)}.vector is {home}")
        elif state.kind == "state":
            bundle = f"bundle_{places.index(state.owner)}"
            same.append(f"{bundle}.state[{state.position}] is {home}")
        elif state.kind == "grad":
            lines += _attach_gradient(number, is_read, names)
            if f"node_{number}" in names:
                rebound.add(f"node_{number}")
        elif in_place:
            views = [*_views(parts[number], "now", names[home])]
            rebound |= {name for part in parts[number] for name in part.names}
            rebound |= {home, f"memory_{number}", f"leaf_{number}"}
            lines += _attach_in_place(number, wants, names[home], views)
        else:
            same += [f"{owner}._data is {home}", f"{owner}._node is leaf_{number}"]
    body = [
        *([f"global {', '.join(sorted(rebound))}"] if rebound else []),
        *([f"if not ({' and '.join(same)}): return False"] if same else []),
        *lines,
        "return True",
    ]
    return "def attach(before, touched):\n" + "".join(f"    {line}\n" for line in body)


def _attach_gradient(number: int, is_read: bool, names: dict[str, Any]) -> Iterator[str]:
    home, owner, mine = f"home_{number}", f"owner_{number}", f"grad_{number}"
    if is_read:
        yield f"now = {owner}.grad"
        yield f"if now is not {mine}:"
        yield f"    if now is None or not matches(now._data, {home}, False): return False"
        yield f"    before[{number}] = now"
        yield f"    {owner}._grad = {mine}"
        yield f"elif now._data is not {home}: return False"
    if f"node_{number}" in names:
        shown = home if names[home].size <= SMALL else None
        yield f"now = {owner}._node"
        yield f"if now is not node_{number}:"
        yield "    if now.__class__ is not Leaf: return False"
        yield f"    now._gradient = {shown}"
        yield f"    node_{number} = now"


def _attach_in_place(
    number: int, wants: bool | None, array: Any, views: Sequence[str]
) -> Iterator[str]:
    home, owner, leaf = f"home_{number}", f"owner_{number}", f"leaf_{number}"
    form = f"now.shape != {array.shape} or now.strides != {array.strides}"
    yield f"now = {owner}._data"
    yield f"if now is not {home}:"
    yield f"    if now.__class__ is not ndarray or {form}: return False"
    yield f"    if now.dtype != {home}.dtype: return False"
    yield f"    touched.update((id(now), id({home}), id(now.base), id({home}.base)))"
    for view in views:
        yield f"    {view}"
    yield f"    memory_{number} = owner_of(now)"
    yield f"    {home} = now"
    yield f"now = {owner}._node"
    yield f"if now is not {leaf}:"
    if wants is not None:
        yield f"    if now is {'' if wants else 'not '}None: return False"
    yield f"    touched.update((id(now), id({leaf})))"
    yield f"    {leaf} = now"


def _views(parts: Iterable[Part], memory: str, home: Any) -> Iterator[str]:
    """Yield lines that bind the names of parts to the same parts of other memory."""
    for dtype in {part.dtype.str: None for part in parts if not part.whole}:
        yield f"dtype_{dtype[1:]} = dtype_at({dtype!r})"
    for part in parts:
        names = [*part.names, *(f"at_risk[{place}]" for _, place in part.places)]
        if part.whole:
            view = memory
        elif home.flags.c_contiguous:
            dtype = f"dtype_{part.dtype.str[1:]}"
            view = f"view_of({part.shape}, {dtype}, {memory}, {part.offset}, {part.strides})"
        else:
            yield "return False"
            return
        yield f"{' = '.join(names)} = {view}"


def leave_code(
    inside: Sequence[int],
    facts: Sequence[Fact],
    places: Sequence[BundlePlace],
    names: dict[str, Any],
    parts: Sequence[Part],
    usual: dict[str, int],
) -> str:
    """Write ``leave(touched)``: leave the memory of states to who keeps it, and go on in a copy.

    ``usual`` says how often the replay and its owners refer to the copy.
    """
    root = names[f"memory_{inside[0]}"]
    homes = [f"home_{number}" for number in inside]
    ids = f"touched.update(map(id, ({', '.join(homes)}, memory_{inside[0]})))"
    rebound = {name for part in parts for name in part.names}
    lines = [f"new = empty_like(memory_{inside[0]})", f"copyto(new, memory_{inside[0]})", ids]
    old = [n for n in inside if f"node_{n}" in names and names[f"home_{n}"].size <= SMALL]
    lines += [f"old_{n} = home_{n}" for n in old]
    lines += _views(parts, "new", root)
    nodes = {id(facts[n][0].owner): n for n in range(len(facts)) if f"node_{n}" in names}
    for number in inside:
        state, home, owner = facts[number][0], f"home_{number}", f"owner_{number}"
        lines.append(f"memory_{number} = new")
        rebound.add(f"memory_{number}")
        if state.kind == "vector":
            lines.append(f"bundle_{places.index(state.owner)}.vector = {home}")
        elif state.kind == "state":
            bundle, at = f"bundle_{places.index(state.owner)}", state.position
            lines.append(f"state = list({bundle}.state); state[{at}] = {home}")
            lines.append(f"{bundle}.state = tuple(state)")
        elif state.kind == "grad":
            lines.append(f"grad_{number}._data = {home}")
            if number in old:
                lines.append(f"if node_{number}._gradient is old_{number}:")
                lines.append(f"    node_{number}._gradient = {home}")
        else:
            lines += [f"{owner}._rebind({home})", f"leaf_{number} = {owner}._node"]
            rebound.add(f"leaf_{number}")
            if (grad := nodes.get(id(state.owner))) is not None:
                shown = f"home_{grad}" if names[f"home_{grad}"].size <= SMALL else None
                lines.append(f"node_{grad} = {owner}._node; node_{grad}._gradient = {shown}")
                rebound.add(f"node_{grad}")
    for number, place in enumerate(places):
        if any(facts[n][0] == State("vector", place) for n in inside):
            found = {id(fact[0].owner): n for n, fact in enumerate(facts) if fact[0].kind == "data"}
            views = ", ".join(f"owner_{found[id(one)]}._data" for one in place.parameters)
            lines.append(f"bundle_{number}.views = [{views}]")
    lines += [ids, *(f"{name} = {count}" for name, count in usual.items())]
    rebound |= usual.keys()
    body = [f"global {', '.join(sorted(rebound))}", *lines]
    return "def leave(touched):\n" + "".join(f"    {line}\n" for line in body)
