"""``tg.save`` and ``tg.load``: nested containers of tensors and plain values, as safetensors.

Tensors are the tensors of the file, under their paths, so that other programs read them. How they
nest, and everything else, is text in its metadata, together with a checksum of the whole file.
Nothing in it is code, which a pickle is.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tinygrad_lab.array_api.creation import asarray
from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.leaves import leaf
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DataError, excerpt
from tinygrad_lab.files import write_atomically
from tinygrad_lab.trees import DEEPEST, is_module

__all__ = ["load", "save"]

KEY = "tinygrad_lab"
"""The name of what is written into a file's metadata."""

_CHECKSUM = re.compile(rb'"tinygrad_lab":"\{\\"sha256\\": \\"([0-9a-f]{64})\\"')
_BLANK = b"0" * 64
"""What stands in the place of the checksum while it is computed."""


class Readable(Protocol):
    def read(self) -> bytes: ...


class Writable(Protocol):
    def write(self, data: bytes, /) -> Any: ...


@explaining
def save(obj: Any, path: str | os.PathLike[str] | Writable) -> None:
    """Write tensors, and containers of them and of plain values, to a file.

    Args:
        obj: a tensor, an array, a number, a string, None; or (nested) dicts, lists and tuples of
            them. So are what ``state_dict()`` of modules, optimisers and schedules returns, and
            ``get_state()`` of generators.
        path: the file, whose name usually ends in ``.safetensors``; or what has ``write``.

    A file that was there stays whole until the new one is on the disk, also if the process is
    killed or the disk is full. Keys of dicts may be strings, numbers and None. Tensors are saved
    with their dtype, ``requires_grad`` and name, not with their graph.

    Raises:
        ArgumentTypeError: for an object of any other kind, with its place.
        OSError: if the file cannot be written; the old one then remains.

    Example:
        >>> import io, tinygrad_lab as tg
        >>> model = tg.nn.Linear(2, 1)
        >>> optimizer = tg.optim.Adam(model.parameters())
        >>> file = io.BytesIO()
        >>> tg.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
        >>> _ = file.seek(0)
        >>> saved = tg.load(file)
        >>> model.load_state_dict(saved["model"])
        <All keys matched successfully>
    """
    is_file = hasattr(path, "write")
    if not (is_file or isinstance(path, str | os.PathLike)):
        swapped = isinstance(obj, str | os.PathLike)
        raise ArgumentTypeError(
            f"tg.save: expected a path as the second argument, got {excerpt(path)}."
            + (" The object comes first: tg.save(obj, path)." if swapped else "")
        )
    content = encoded(obj)
    if is_file:
        path.write(content)  # type: ignore[union-attr]
    else:
        write_atomically(Path(path), content, durable=True)  # type: ignore[arg-type]


@explaining
def load(path: str | os.PathLike[str] | Readable) -> Any:
    """Read what ``tg.save`` wrote, after checking that not a byte of it has changed.

    Args:
        path: the file, or what has ``read``.

    Returns:
        What was saved, with tensors in memory of their own on the CPU; dicts, lists and tuples of
        other classes are plain ones. ``load_state_dict`` moves to the device of its parameters.

    Raises:
        DataError: for a file that is damaged, incomplete, no safetensors, or of another program.
        OSError: if it cannot be read.

    Example:
        >>> import io, tinygrad_lab as tg
        >>> file = io.BytesIO()
        >>> tg.save({"x": tg.tensor([1.0, 2.0]), "steps": 3}, file)
        >>> tg.load(io.BytesIO(file.getvalue()))
        {'x': tensor([1., 2.]), 'steps': 3}
        >>> tg.load(io.BytesIO(file.getvalue()[:-1]))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        tinygrad_lab.errors.DataError: the file: it is damaged or incomplete: ...
    """
    if hasattr(path, "read"):
        return decoded(path.read(), "the file")
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(f"tg.load: expected the path of a file, got {excerpt(path)}.")
    return decoded(Path(path).read_bytes(), str(path))


def encoded(obj: Any) -> bytes:
    """Return the bytes of a file that holds an object."""
    import hashlib
    import json

    from safetensors.numpy import save as safetensors_of

    arrays = _Arrays()
    text = json.dumps({"sha256": _BLANK.decode(), "saved": arrays.described(obj, "", 0)})
    content = safetensors_of(arrays.named, metadata={KEY: text})
    found = _CHECKSUM.search(content)
    assert found is not None, "the place of the checksum"
    checksum = hashlib.sha256(content).hexdigest().encode()
    return content[: found.start(1)] + checksum + content[found.end(1) :]


def decoded(content: bytes, name: str) -> Any:
    """Return the object that bytes hold; ``name`` is what errors call them."""
    import hashlib
    import json

    from safetensors import SafetensorError
    from safetensors.numpy import load as arrays_of

    header = 8 + int.from_bytes(content[:8], "little")
    found = _CHECKSUM.search(content[:header])
    if found is None:
        raise DataError(f"{name}: {_what_it_is_instead(content)}")
    blanked = hashlib.sha256(content[: found.start(1)] + _BLANK + content[found.end(1) :])
    if blanked.hexdigest().encode() != found[1]:
        raise DataError(
            f"{name}: it is damaged or incomplete: its {len(content):,} bytes are not those that "
            "were saved, by their checksum. Use an earlier copy."
        )
    try:
        text = json.loads(content[8:header])["__metadata__"][KEY]
        return _rebuilt(json.loads(text)["saved"], arrays_of(content))
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{name}: expected what tg.save writes; {error!r:.200}") from error


def _what_it_is_instead(content: bytes) -> str:
    from safetensors import SafetensorError, deserialize

    if content.startswith((b"PK", b"\x80")):
        return (
            "expected a safetensors file; this is a zip file or a pickle, as torch.save writes "
            "them, and reading those can run any code. Convert it where it was made: "
            "safetensors.torch.save_file(state_dict, path)."
        )
    try:
        deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        return f"expected a safetensors file that tg.save wrote; {error}"
    return (
        "it is a safetensors file without the checksum that tg.save writes: of another program, or "
        "damaged. For another's: model.load_state_dict(safetensors.numpy.load_file(path))."
    )


class _Arrays:
    """The arrays of an object under the names that they have in the file."""

    def __init__(self) -> None:
        self.named: dict[str, np.ndarray[Any, Any]] = {}

    def described(self, value: Any, path: str, depth: int) -> Any:
        """Return a value as JSON, in which arrays are named."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if type(value) is complex:
            parts = (value.real, value.imag)
            return {"complex": [self.described(part, path, depth) for part in parts]}
        if isinstance(value, Tensor):
            return self._tensor(value, path, depth)
        if isinstance(value, np.generic):
            return {"number": self._named(np.asarray(value), path)}
        if type(value) in namespaces:
            return {"array": self._named(namespaces[type(value)].to_numpy(value), path)}
        if depth == DEEPEST:
            raise ArgumentError(
                f"tg.save: a container contains itself, or is nested more than {DEEPEST} deep."
            )
        if isinstance(value, dict):
            return {"dict": [self._item(*item, path, depth) for item in value.items()]}
        if isinstance(value, list | tuple):
            items = [
                self.described(one, _joined(path, place), depth + 1)
                for place, one in enumerate(value)
            ]
            return items if isinstance(value, list) else {"tuple": items}
        raise ArgumentTypeError(_refusal(value, path))

    def _item(self, key: Any, value: Any, path: str, depth: int) -> list[Any]:
        if not (key is None or type(key) in (bool, int, float, str)):
            raise ArgumentTypeError(
                f"tg.save: keys of dicts must be strings, numbers or None; {path or 'the dict'} "
                f"has {excerpt(key)}."
            )
        name = self.described(key, path, depth)
        return [name, self.described(value, _joined(path, key), depth + 1)]

    def _tensor(self, value: Tensor, path: str, depth: int) -> Any:
        raw = value.data
        kept: dict[str, Any] = {}
        if value.requires_grad:
            kept["requires_grad"] = True
        if value.name is not None and value.is_leaf:
            kept["name"] = value.name
        if isinstance(raw, bool | int | float | complex):
            return {"scalar": self.described(raw, path, depth), **kept}
        return {"tensor": self._named(namespaces[type(raw)].to_numpy(raw), path), **kept}

    def _named(self, array: np.ndarray[Any, Any], path: str) -> Any:
        """Take in an array, and return its name, with its dtype where safetensors has none."""
        if array.dtype.kind not in "biufc" or array.dtype.itemsize > 8 * (
            1 + (array.dtype.kind == "c")
        ):
            raise ArgumentTypeError(
                f"tg.save: {path or 'the array'} has dtype {array.dtype}; expected booleans, "
                "integers, or real or complex numbers of at most 64 bits."
            )
        # Safetensors writes the bytes in memory order and of this machine's kind.
        plain = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
        name = free = path.encode("utf-8", "backslashreplace").decode() or "tensor"
        number = 1
        while free in self.named or free == "__metadata__":
            number += 1
            free = f"{name}#{number}"
        if plain.dtype.kind != "c":
            self.named[free] = plain
            return free
        half = np.dtype(f"f{plain.dtype.itemsize // 2}")
        self.named[free] = plain.reshape(*plain.shape, 1).view(half)
        return [free, plain.dtype.name]


def _joined(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _refusal(value: Any, path: str) -> str:
    where = f"{path} is" if path else "it got"
    kind = type(value).__name__
    advice = "Save what it is made of, as a dict of numbers, strings and tensors."
    if is_module(value) or hasattr(value, "state_dict"):
        advice = "Save its state_dict(); to load, make another one and call load_state_dict()."
    elif hasattr(value, "get_state"):
        advice = "Save its get_state(); to load, call set_state()."
    elif isinstance(value, os.PathLike):
        advice = "Save str(path)."
    elif isinstance(value, set | frozenset):
        advice = "Save sorted(it), a list."
    return (
        "tg.save: expected tensors and plain values in dicts, lists and tuples; "
        f"{where} a {kind}: {advice}"
    )


def _rebuilt(text: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    """Return the value that JSON describes."""
    if isinstance(text, list):
        return [_rebuilt(one, arrays) for one in text]
    if not isinstance(text, dict):
        return text
    return _REBUILD[next(iter(text), "")](text, arrays)


def _owned(name: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Return an array in memory of its own, in this machine's order of bytes."""
    if isinstance(name, list):
        real = arrays[name[0]]
        whole = np.ascontiguousarray(real).view(np.dtype(name[1]))
        return whole.reshape(real.shape[:-1]).copy()
    array = arrays[name]
    return np.array(array, dtype=array.dtype.newbyteorder("="))


def _rebuilt_tensor(text: Mapping[str, Any], arrays: Mapping[str, Any]) -> Tensor:
    if "scalar" in text:
        tensor = leaf(_rebuilt(text["scalar"], arrays))
    else:
        tensor = asarray(_owned(text["tensor"], arrays))
    tensor.name = text.get("name")
    return tensor.requires_grad_() if text.get("requires_grad") else tensor


_REBUILD: dict[str, Callable[[Any, Any], Any]] = {
    "float": lambda text, arrays: float(text["float"]),
    "complex": lambda text, arrays: complex(*(_rebuilt(one, arrays) for one in text["complex"])),
    "tuple": lambda text, arrays: tuple(_rebuilt(text["tuple"], arrays)),
    "dict": lambda text, arrays: {
        _rebuilt(key, arrays): _rebuilt(value, arrays) for key, value in text["dict"]
    },
    "number": lambda text, arrays: _owned(text["number"], arrays)[()],
    "array": lambda text, arrays: _owned(text["array"], arrays),
    "tensor": _rebuilt_tensor,
    "scalar": _rebuilt_tensor,
}
"""How each kind of value is made again."""
