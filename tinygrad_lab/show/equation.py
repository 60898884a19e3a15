"""The computation of a node as an equation: ``q × z``, ``tanh(h)``, ``x Wᵀ + b``, ``x[0, 1:]``."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_lab.engine.op import Op
from tinygrad_lab.formatting import MINUS, number
from tinygrad_lab.graphs import GraphNode
from tinygrad_lab.show.measure import superscript

__all__ = ["Namer", "attribute_text", "equation", "key_text", "words_of"]

Namer = Callable[[GraphNode], str]
"""Returns the name of a node in a picture."""

_MOST_INPUTS = 4
_MOST_CHARACTERS, _MOST_OF_WINDOWS = 32, 72
_WINDOWS = frozenset(
    {"kernel", "kernel_size", "stride", "padding", "output_padding", "dilation", "groups"}
)


def equation(node: GraphNode, name: Namer) -> str:
    """Return the right-hand side of a node's equation; ``""`` for a leaf.

    It is built from the op's declaration: its words, its symbol, its LaTeX, its name.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, y = tg.scalar(1.0, name="x"), tg.scalar(2.0, name="y")
        >>> [equation(tg.graph(f).outputs[0], lambda node: node.label)
        ...  for f in (x + y, x**2.0, abs(x), tg.tanh(x), tg.maximum(x, y))]
        ['x + y', 'x²', '|x|', 'tanh(x)', 'max(x, y)']
    """
    if node.op is None:
        return ""
    names = [_operand(name(source)) for _, source in node.inputs]
    symbol = node.op.symbol
    if text := node.op.words.get("out"):
        return text.format_map(words_of(node, lambda source: _operand(name(source))))
    if len(node.inputs) == 2 and not any(c.isalnum() or c in "?[" for c in symbol):
        return _infix(symbol, *names)
    if len(node.inputs) == 1 and (text := _around(symbol, names[0])):
        return text + _attributes(node, " ({})")
    if " " in symbol and (text := _written_out(node, name)):
        return text
    return _call(node, names)


def words_of(node: GraphNode, name: Namer) -> dict[str, str]:
    """Return the text for each name that a declaration's words may use."""
    op = node.op
    assert op is not None
    inputs: dict[str, list[GraphNode]] = {one: [] for one in op.inputs}
    for position, source in node.inputs:
        inputs[op.inputs[min(position, len(op.inputs) - 1)]].append(source)
    words = {"out": name(node), "g": "g"}
    for one, sources in inputs.items():
        words[one] = ", ".join(map(name, sources))
        words[f"{one}_shape"] = ", ".join(str(source.shape) for source in sources)
        words[f"{one}_dtype"] = ", ".join(str(source.dtype) for source in sources)
        words[f"{one}_device"] = ", ".join(source.device for source in sources)
    for one, value in node.attributes.items():
        arrays = list(map(name, inputs[op.inputs[-1]]))
        words[one] = key_text(value, arrays) if one == "key" else attribute_text(value)
    return words


def _operand(name: str) -> str:
    return f"({name})" if name.startswith(MINUS) else name


def _infix(symbol: str, left: str, right: str) -> str:
    exponent = right.strip("()").replace(MINUS, "-")
    if symbol == "^" and re.fullmatch(r"-?\d+", exponent):
        return left + superscript(exponent)
    return f"{left} {symbol.replace('-', MINUS)} {right}"


def _around(symbol: str, x: str) -> str:
    """Write a symbol around, before or after one operand; ``""`` if it is written as a call."""
    if symbol in ("-", "√", "¬"):
        return symbol.replace("-", MINUS) + x
    if symbol == "Σ":
        return f"Σ {x}"
    if symbol == "=":
        return x
    if symbol == "ᵀ":
        return f"{x}ᵀ"
    if symbol in ("⌊⌋", "⌈⌉"):
        return symbol[0] + x + symbol[1]
    if [one for one in symbol if one.isalpha()] == ["x"]:
        return symbol.replace("x", x)  # |x|, x²
    return ""


def _written_out(node: GraphNode, name: Namer) -> str:
    """Convert the LaTeX of a declaration to plain text; ``""`` if plain text cannot express it."""
    op = node.op
    if op is None or op.latex is None or op.variadic or len(node.inputs) < len(op.inputs):
        return ""
    plain = op.latex.replace(r" \,", "").replace("^T", "ᵀ")
    words = words_of(node, lambda source: _operand(name(source)))
    return "" if "\\" in plain else plain.format_map(words)


def _call(node: GraphNode, names: list[str]) -> str:
    assert node.op is not None
    symbol = node.op.symbol
    function = symbol if symbol.replace("_", "").isalnum() and not symbol[0].isdigit() else ""
    names = [one.strip("()") if one.startswith(f"({MINUS}") else one for one in names]
    if len(names) > _MOST_INPUTS:
        names = [*names[:2], f"… {len(names)} inputs"]
    return f"{function or node.op.name}({', '.join(names)}{_attributes(node, ', {}')})"


def _attributes(node: GraphNode, pattern: str) -> str:
    """Format the arguments other than tensors, without those that are None, False or usual.

    Those of a convolution begin with the size of its kernel.
    """
    assert node.op is not None
    said = [
        f"{name}={text}"
        for name, value in {**_kernel_of(node), **node.attributes}.items()
        if not (value is None or value is False or _is_usual(node.op, name, value))
        and (text := attribute_text(_once(value) if name in _WINDOWS else value))
    ]
    joined = ", ".join(said)
    most = _MOST_OF_WINDOWS if "stride" in node.attributes else _MOST_CHARACTERS
    return pattern.format(joined) if said and len(joined) <= most else ""


def _kernel_of(node: GraphNode) -> dict[str, Any]:
    """Return the size of the windows of a convolution, which is that of its weight."""
    op = node.op
    if op is None or "stride" not in op.attributes or "weight" not in op.inputs:
        return {}
    return {"kernel": dict(node.inputs)[op.inputs.index("weight")].shape[2:]}


def _is_usual(op: Op, name: str, value: Any) -> bool:
    """Return whether an argument is what it is where it is left out."""
    parameter = op.signature.parameters.get(name)
    if name not in _WINDOWS or parameter is None:
        return False
    return bool(_once(value) == _once(parameter.default))


def _once(value: Any) -> Any:
    """Return the size of a window with equal sides as a number."""
    same = isinstance(value, tuple) and len(set(map(str, value))) == 1
    return value[0] if same and isinstance(value[0], int) else value


def attribute_text(value: Any) -> str:
    """Format an attribute in a few characters; ``""`` for values without a short form.

    Example:
        >>> attribute_text((0, 2)), attribute_text(np.dtype("float32")), attribute_text(object())
        ('(0, 2)', 'float32', '')
    """
    if isinstance(value, bool | str | EllipsisType | None):
        return "…" if value is Ellipsis else str(value)
    if isinstance(value, int | float | np.number):
        return number(value)
    if isinstance(value, slice):
        return _slice_text(value)
    if isinstance(value, tuple | list):
        comma = "," if len(value) == 1 and isinstance(value, tuple) else ""
        return f"({', '.join(map(attribute_text, value))}{comma})"
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return str(np.dtype(value))
    return ""


def _slice_text(value: slice) -> str:
    start, stop, step = (
        "" if one is None else number(one) for one in (value.start, value.stop, value.step)
    )
    return f"{start}:{stop}" + (f":{step}" if step else "")


def key_text(key: tuple[Any, ...], arrays: list[str]) -> str:
    """Format an index as it was written, with the names of its arrays: ``[0, 1:, i]``."""
    waiting = iter(arrays)
    parts = ["None" if part is None else attribute_text(part) or next(waiting, "…") for part in key]
    return f"[{', '.join(parts)}]"
