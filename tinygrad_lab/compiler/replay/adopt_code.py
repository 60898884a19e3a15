"""The code by which a replay adopts states that are elsewhere: a few straight lines for each.

A replay's code is bound to memory. Where an owner has other memory, or somebody keeps what the
replay writes into, its names are bound to other memory before it runs. Most often that happens in
the same way at each call (an optimiser outside of the step, a ``state_dict()`` that is kept), so
the lines for it are written once, like those of the replay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_lab.backends import SMALL
from tinygrad_lab.compiler.record.record import State
from tinygrad_lab.compiler.record.trace import memory_owner
from tinygrad_lab.compiler.replay.arguments import array_matches
from tinygrad_lab.compiler.replay.homes import Home, Homes
from tinygrad_lab.compiler.replay.moving import Parts, address_of
from tinygrad_lab.engine.node import Leaf

__all__ = ["attach_code", "defined", "leave_code"]

_NEEDED: dict[str, Any] = {
    "Leaf": Leaf,
    "address_of": address_of,
    "copyto": np.copyto,
    "dtype_at": np.dtype,
    "empty_like": np.empty_like,
    "matches": array_matches,
    "ndarray": np.ndarray,
    "owner_of": memory_owner,
    "view_of": np.ndarray,
}
"""The names in this code that are not those of the replay."""


@lru_cache(maxsize=64)
def _compiled(source: str) -> CodeType:
    return compile(source, "<tinygrad_lab adopting>", "exec")


def defined(name: str, source: str, names: dict[str, Any]) -> Any:
    """Define a function among the names of a replay, and return it."""
    names.update(_NEEDED)
    exec(_compiled(source), names)
    return names[name]


def attach_code(homes: Homes, names: dict[str, Any], parts: dict[int, Parts]) -> str:
    """Write ``attach(before, touched)``: take the states that are elsewhere, where that is simple.

    What is viewed in place is viewed where it is now; for a ``.grad`` that is another one, its
    owner gets that of the replay, and ``before`` what its owner had. Returns False where more has
    to be done: what was attached until then may stay so.
    """
    lines: list[str] = []
    same = [
        f"optimizer_{number}._bundles[{place.group}] is bundles_{number}"
        for number, place in enumerate(homes.places)
    ]
    rebound: set[str] = set()
    for one in homes:
        number, state = one.number, one.state
        home, owner = f"home_{number}", f"owner_{number}"
        if state.kind == "vector":
            same.append(f"bundle_{homes.places.index(state.owner)}.vector is {home}")
        elif state.kind == "state":
            bundle = f"bundle_{homes.places.index(state.owner)}"
            same.append(f"{bundle}.state[{state.position}] is {home}")
        elif state.kind == "grad":
            lines += _attach_gradient(one, names)
            if f"node_{number}" in names:
                rebound.add(f"node_{number}")
        elif one.in_place:
            lines += _attach_in_place(one, names[home], parts[number])
            rebound |= parts[number].names | {home, f"memory_{number}", f"leaf_{number}"}
        else:
            same += [f"{owner}._data is {home}", f"{owner}._node is leaf_{number}"]
    if same:
        lines.insert(0, f"if not ({' and '.join(same)}): return False")
    return _function("attach(before, touched)", rebound, [*lines, "return True"])


def _function(head: str, rebound: set[str], lines: Sequence[str]) -> str:
    """Write a function that binds global names anew."""
    first = [f"global {', '.join(sorted(rebound))}"] if rebound else []
    return f"def {head}:\n" + "".join(f"    {line}\n" for line in (*first, *lines))


def _attach_gradient(one: Home, names: dict[str, Any]) -> Iterator[str]:
    number = one.number
    home, owner, mine = f"home_{number}", f"owner_{number}", f"grad_{number}"
    if one.is_read:
        yield f"now = {owner}.grad"
        yield f"if now is not {mine}:"
        yield f"    if now is None or not matches(now._data, {home}, False): return False"
        yield f"    before[{number}] = now"
        yield f"    {owner}._grad = {mine}"
        yield f"elif now._data is not {home}: return False"
    if f"node_{number}" in names:
        yield f"now = {owner}._node"
        yield f"if now is not node_{number}:"
        yield "    if now.__class__ is not Leaf: return False"
        yield f"    now._gradient = {_shown(number, names)}"
        yield f"    node_{number} = now"


def _attach_in_place(one: Home, array: Any, parts: Parts) -> Iterator[str]:
    number, wants = one.number, one.wants_gradient
    home, owner, leaf = f"home_{number}", f"owner_{number}", f"leaf_{number}"
    form = f"now.shape != {array.shape} or now.strides != {array.strides}"
    yield f"now = {owner}._data"
    yield f"if now is not {home}:"
    yield f"    if now.__class__ is not ndarray or {form}: return False"
    yield f"    if now.dtype != {home}.dtype: return False"
    yield f"    touched.update((id(now), id({home}), id(now.base), id({home}.base)))"
    for view in _views(parts, "now", array):
        yield f"    {view}"
    yield f"    memory_{number} = owner_of(now)"
    yield f"    {home} = now"
    yield f"now = {owner}._node"
    yield f"if now is not {leaf}:"
    if wants is not None:
        yield f"    if now is {'' if wants else 'not '}None: return False"
    yield f"    touched.update((id(now), id({leaf})))"
    yield f"    {leaf} = now"


def _views(parts: Parts, memory: str, array: Any) -> Iterator[str]:
    """Yield lines that bind the names of parts to the same parts of other memory."""
    for dtype in {part.dtype.str: None for part in parts.views if not part.whole}:
        yield f"dtype_{dtype[1:]} = dtype_at({dtype!r})"
    for part in parts.views:
        names = [*part.names, *(f"at_risk[{place}]" for _, place in part.places)]
        if part.whole:
            view = memory
        elif array.flags.c_contiguous or array.flags.f_contiguous:
            dtype = f"dtype_{part.dtype.str[1:]}"
            view = f"view_of({part.shape}, {dtype}, {memory}, {part.offset}, {part.strides})"
        else:
            yield "return False"
            return
        yield f"{' = '.join(names)} = {view}"
    for table, index, offset in parts.addresses:
        yield f"{table}[{index}] = address_of({memory}) + {offset}"


def leave_code(inside: Sequence[Home], homes: Homes, names: dict[str, Any], parts: Parts) -> str:
    """Write ``leave(touched)``: leave the memory of states to who keeps it, and go on in a copy.

    ``inside`` are the homes in that memory, ``parts`` all views of it.
    """
    root = f"memory_{inside[0].number}"
    ids = f"touched.update(map(id, ({', '.join(f'home_{one.number}' for one in inside)}, {root})))"
    lines = [f"new = empty_like({root})", f"copyto(new, {root})", ids]
    lines += [f"old_{n} = home_{n}" for n in (one.number for one in inside) if _is_shown(n, names)]
    lines += _views(parts, "new", names[root])
    rebound = set(parts.names)
    for one in inside:
        lines.append(f"memory_{one.number} = new")
        rebound.add(f"memory_{one.number}")
        if one.state.kind in ("vector", "state"):
            lines += _hand_to_bundle(one, homes)
        elif one.state.kind == "grad":
            lines += _hand_to_gradient(one, names)
        else:
            lines += _hand_to_tensor(one, homes, names)
            rebound |= {f"leaf_{one.number}", f"node_{homes.gradient_of(one.state.owner)}"}
    for one in inside:
        if one.state.kind == "vector":
            lines.append(_view_vector(one, homes))
    return _function("leave(touched)", rebound & names.keys(), [*lines, ids])


def _hand_to_tensor(one: Home, homes: Homes, names: dict[str, Any]) -> Iterator[str]:
    owner, gradient = f"owner_{one.number}", homes.gradient_of(one.state.owner)
    yield f"{owner}._rebind(home_{one.number})"
    yield f"leaf_{one.number} = {owner}._node"
    if gradient is not None and f"node_{gradient}" in names:
        shown = _shown(gradient, names)
        yield f"node_{gradient} = {owner}._node; node_{gradient}._gradient = {shown}"


def _hand_to_gradient(one: Home, names: dict[str, Any]) -> Iterator[str]:
    number = one.number
    yield f"grad_{number}._data = home_{number}"
    if _is_shown(number, names):
        yield f"if node_{number}._gradient is old_{number}:"
        yield f"    node_{number}._gradient = home_{number}"


def _hand_to_bundle(one: Home, homes: Homes) -> Iterator[str]:
    bundle, at = f"bundle_{homes.places.index(one.state.owner)}", one.state.position
    if one.state.kind == "vector":
        yield f"{bundle}.vector = home_{one.number}"
    else:
        yield f"state = list({bundle}.state); state[{at}] = home_{one.number}"
        yield f"{bundle}.state = tuple(state)"


def _view_vector(one: Home, homes: Homes) -> str:
    place = one.state.owner
    numbers = [homes.number(State("data", parameter)) for parameter in place.parameters]
    views = ", ".join(f"owner_{number}._data" for number in numbers)
    return f"bundle_{homes.places.index(place)}.views = [{views}]"


def _is_shown(number: int, names: dict[str, Any]) -> bool:
    """Return whether a home is a gradient that is shown at a leaf: those that are small are."""
    return f"node_{number}" in names and names[f"home_{number}"].size <= SMALL


def _shown(number: int, names: dict[str, Any]) -> str:
    return f"home_{number}" if _is_shown(number, names) else "None"
