"""Attention: means of values, weighted by how well their keys answer queries."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import ones
from tinygrad_lab.engine.explain import in_full, shape_of, shapes_of
from tinygrad_lab.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.nn import stop_gradient

__all__ = ["attention_weights", "scaled_dot_product_attention"]


@composed(rounds_once=True)
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Return softmax(query keyᵀ scale + mask) value, (..., L, Ev).

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, Ev).
        attn_mask: in a shape that broadcasts to (..., L, S): booleans that are True where a query
            may look at a key, or numbers that are added.
        dropout_p: the probability of losing a weight; it acts in evaluation, too.
        is_causal: whether query i looks at keys 0 to i alone.
        scale: 1 / √E if None.
        enable_gqa: whether several heads of queries (axis -3) share one of keys and values.

    A query that may look at nothing gets zeros.

    Raises:
        ArgumentError: for ``is_causal`` beside a mask; a probability outside 0 to 1.
        ShapeError: for shapes that do not fit.
        DTypeError: for a mask of integers.

    Source: Vaswani et al., "Attention Is All You Need", 2017, equation 1; heads that share keys:
    Ainslie et al., "GQA", 2023.

    Example:
        >>> import tinygrad_lab as tg
        >>> query, key = tg.tensor([[0.0, 0.0]]), tg.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> value = tg.tensor([[2.0], [4.0]])
        >>> tg.nn.functional.scaled_dot_product_attention(query, key, value).tolist()
        [[3.0]]
    """
    name = "scaled_dot_product_attention"
    inputs = {"query": query, "key": key, "value": value}
    if enable_gqa:
        key, value = (_shared_by_heads(name, query, one, inputs) for one in (key, value))
    _check_shapes(name, query, key, value, inputs)
    if is_causal:
        if attn_mask is not None:
            reason = "expected attn_mask or is_causal=True, got both: write one mask of both."
            raise ArgumentError(in_full(name, reason, inputs, {}))
        attn_mask = _causal_mask(query, shape_of(query)[-2], shape_of(key)[-2])
    weights = attention_weights(name, query, key, attn_mask, scale)
    if dropout_p:
        weights = ops.dropout(weights, p=dropout_p)
    return weights @ value


def _causal_mask(like: Any, queries: int, keys: int) -> Any:
    """Return booleans (queries, keys) that are True where a key is not later than a query."""
    return ops.tril(ones((queries, keys), dtype=bool, device=like.device))


def _shared_by_heads(name: str, query: Any, one: Any, inputs: dict[str, Any]) -> Any:
    """Return keys or values with as many heads as there are of queries."""
    shapes = shape_of(query), shape_of(one)
    if min(map(len, shapes)) < 3 or shapes[1][-3] == 0 or shapes[0][-3] % shapes[1][-3]:
        reason = (
            "with enable_gqa=True, expected heads (axis -3) of keys and values that divide those "
            f"of queries, got shapes {shapes[1]} and {shapes[0]}."
        )
        raise ShapeError(in_full(name, reason, inputs, {}))
    return ops.repeat(one, shapes[0][-3] // shapes[1][-3], axis=-3)


def _check_shapes(name: str, query: Any, key: Any, value: Any, inputs: dict[str, Any]) -> None:
    q, k, v = shapes_of(name, query=query, key=key, value=value)
    fit = min(len(q), len(k), len(v)) >= 2 and q[-1] == k[-1] and k[-2] == v[-2]
    if not fit:
        reason = (
            "expected query (..., L, E), key (..., S, E) and value (..., S, Ev), got "
            f"{q}, {k} and {v}."
        )
        raise ShapeError(in_full(name, reason, inputs, {}))


def attention_weights(
    name: str, query: Any, key: Any, mask: Any = None, scale: float | None = None
) -> Any:
    """Return softmax(query keyᵀ scale + mask) over the keys, (..., L, S).

    Where a mask leaves a query nothing to look at, all its weights are 0.

    Raises:
        ShapeError: for a mask that does not broadcast to (..., L, S).
        DTypeError: for a mask of integers.
    """
    if scale is None:
        scale = 1 / math.sqrt(shape_of(query)[-1] or 1)
    scores = (query * scale) @ ops.matrix_transpose(key)
    if mask is None:
        return ops.softmax(scores, axis=-1)
    scores = _masked(name, scores, mask)
    largest = ops.max(stop_gradient(scores), axis=-1, keepdims=True)
    # Where all scores are -inf, their softmax would be NaN, and so would its gradients.
    nothing = ops.equal(largest, -math.inf)
    weights = ops.softmax(ops.where(nothing, 0.0, scores), axis=-1)
    return ops.where(nothing, 0.0, weights)


def _masked(name: str, scores: Any, mask: Any) -> Any:
    """Return scores with a mask added, or with -inf where a mask of booleans is False."""
    (shape,) = shapes_of(name, attn_mask=mask)
    fits = len(shape) <= len(scores.shape) and all(
        size in (1, whole) for size, whole in zip(shape[::-1], scores.shape[::-1], strict=False)
    )
    if not fits:
        reason = f"expected a mask that broadcasts to {tuple(scores.shape)}, got {shape}."
        raise ShapeError(in_full(name, reason, {"attn_mask": mask}, {}))
    kind = mask.dtype.kind
    if kind not in "bf":
        reason = f"expected a mask of booleans or floating-point numbers, got {mask.dtype}."
        raise DTypeError(in_full(name, reason, {"attn_mask": mask}, {}))
    return ops.where(mask, scores, -math.inf) if kind == "b" else scores + mask
