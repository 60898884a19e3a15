"""Attention with several heads, as a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import empty, zeros
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_lab.nn import init
from tinygrad_lab.nn.functional.attention import attention_weights
from tinygrad_lab.nn.layers import Linear, at_least
from tinygrad_lab.nn.module import Module, Parameter

__all__ = ["MultiheadAttention"]

_linear = direct(ops.linear)


class MultiheadAttention(Module):
    """Attention with several heads, each of which looks at a part of projected features.

    Args:
        embed_dim: E, the number of features of queries and results.
        num_heads: the number of heads, which divides E.
        dropout: in training, the probability of losing a weight.
        bias: whether the projections have biases.
        add_bias_kv: whether to learn one more key and value, for all sequences.
        add_zero_attn: whether to add a key and a value of zeros.
        kdim, vdim: the numbers of features of keys and values; E if None.
        batch_first: whether inputs are (N, L, E) rather than (L, N, E).

    Called with query (L, N, E), key (S, N, kdim) and value (S, N, vdim), or with N first, or
    without N for one sequence. The result is a pair: what was attended to, in the query's shape,
    and the weights, (N, L, S) or without N; None if ``need_weights`` is False.

    - ``key_padding_mask`` (N, S) and ``attn_mask``, (L, S) or (N * num_heads, L, S), are booleans,
      True where *not* to look (the opposite of ``functional.scaled_dot_product_attention``), or
      numbers that are added.
    - ``average_attn_weights=False`` gives the weights of each head, (N, num_heads, L, S).
    - ``is_causal=True`` says that ``attn_mask`` is causal; it does not replace the mask.

    A query that may look at nothing gets the projection of zeros, where PyTorch gives NaN or zeros.

    Raises:
        ArgumentError: for sizes below 1, heads that do not divide E, a probability outside 0 to 1;
            from a call, for ``is_causal`` without a mask.
        ShapeError: from a call, for inputs or masks of other shapes.
        DTypeError: from a call, for a mask of integers.

    Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.2.2.

    Example:
        >>> import tinygrad_lab as tg
        >>> attention = tg.nn.MultiheadAttention(4, 2, batch_first=True)
        >>> x = tg.ones((3, 5, 4))
        >>> output, weights = attention(x, x, x)
        >>> output.shape, weights.shape
        ((3, 5, 4), (3, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        kdim, vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        at_least(1, embed_dim=embed_dim, num_heads=num_heads, kdim=kdim, vdim=vdim)
        if embed_dim % num_heads:
            raise ArgumentError(
                f"MultiheadAttention: {num_heads} heads must divide embed_dim = {embed_dim}."
            )
        if not 0 <= dropout <= 1:
            raise ArgumentError(
                f"MultiheadAttention: dropout is a probability from 0 to 1, got {dropout}."
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.kdim, self.vdim, self.batch_first = kdim, vdim, batch_first
        self.add_zero_attn = add_zero_attn
        self._create_parameters(bias, add_bias_kv)

    def _create_parameters(self, bias: bool, add_bias_kv: bool) -> None:
        """Set the parameters in PyTorch's order, with its initialisation."""
        width = self.embed_dim
        together = self.kdim == self.vdim == width
        self.in_proj_weight = _projection(3 * width, width) if together else None
        self.q_proj_weight = None if together else _projection(width, width)
        self.k_proj_weight = None if together else _projection(width, self.kdim)
        self.v_proj_weight = None if together else _projection(width, self.vdim)
        self.in_proj_bias = Parameter(zeros((3 * width,))) if bias else None
        self.out_proj = Linear(width, width, bias)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)
        one = (1, 1, width)
        self.bias_k = init.xavier_normal_(Parameter(empty(one))) if add_bias_kv else None
        self.bias_v = init.xavier_normal_(Parameter(empty(one))) if add_bias_kv else None

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        self._check(query, key, value)
        if is_causal and attn_mask is None:
            raise ArgumentError(
                "MultiheadAttention: is_causal=True says what attn_mask is, got none: "
                "attn_mask=tg.triu(tg.ones((L, S), dtype=bool), k=1)."
            )
        is_batched = len(query.shape) == 3
        parts = [self._batch_first(one, is_batched) for one in (query, key, value)]
        q, k, v = self._projected(*parts)
        masks = self._masks(q, k, key_padding_mask, attn_mask, is_batched)
        k, v = self._with_more_keys(k, self.bias_k), self._with_more_keys(v, self.bias_v)
        if masks is not None and (added := k.shape[1] - masks.shape[-1]):
            pad = zeros((*masks.shape[:-1], added), dtype=masks.dtype, device=masks.device)
            masks = ops.concat([masks, pad], axis=-1)
        q, k, v = (self._by_head(one) for one in (q, k, v))
        weights = attention_weights("MultiheadAttention", q, k, masks)
        if self.dropout and self.training:
            weights = ops.dropout(weights, p=self.dropout)
        heads = ops.permute_dims(weights @ v, (0, 2, 1, 3))
        out = self.out_proj(ops.reshape(heads, (*heads.shape[:2], self.embed_dim)))
        if not is_batched:
            out = out[0]
        elif not self.batch_first:
            out = ops.permute_dims(out, (1, 0, 2))
        if not need_weights:
            return out, None
        shown = ops.mean(weights, axis=1) if average_attn_weights else weights
        return out, shown if is_batched else shown[0]

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        q, k, v = tuple(query.shape), tuple(key.shape), tuple(value.shape)
        widths = (self.embed_dim, self.kdim, self.vdim)
        batch = 0 if self.batch_first else 1
        fit = len(q) in (2, 3) and len(q) == len(k) == len(v)
        fit = fit and (q[-1], k[-1], v[-1]) == widths and k[:-1] == v[:-1]
        if not fit or (len(q) == 3 and q[batch] != k[batch]):
            axes = ("N, L", "N, S", "N, S") if self.batch_first else ("L, N", "S, N", "S, N")
            expected = [f"({own}, {width})" for own, width in zip(axes, widths, strict=True)]
            raise ShapeError(
                f"MultiheadAttention with batch_first={self.batch_first}: expected query, key and "
                f"value of shapes {', '.join(expected)}, all with N or all without; got {q}, {k}, "
                f"{v}."
            )

    def _batch_first(self, one: Tensor, is_batched: bool) -> Any:
        """Return (N, L, E)."""
        if not is_batched:
            return one[None]
        return one if self.batch_first else ops.permute_dims(one, (1, 0, 2))

    def _projected(self, query: Any, key: Any, value: Any) -> list[Any]:
        width = self.embed_dim
        weights: Any = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        if self.in_proj_weight is not None:
            weights = ops.unstack(ops.reshape(self.in_proj_weight, (3, width, width)))
        biases: Any = (None, None, None)
        if self.in_proj_bias is not None:
            biases = ops.unstack(ops.reshape(self.in_proj_bias, (3, width)))
        inputs = (query, key, value)
        return [_linear(*one) for one in zip(inputs, weights, biases, strict=True)]

    def _with_more_keys(self, one: Any, learned: Any) -> Any:
        """Return keys or values (N, S, E) with those that the layer adds."""
        batch, _, width = one.shape
        added = [] if learned is None else [ops.broadcast_to(learned, (batch, 1, width))]
        if self.add_zero_attn:
            added.append(zeros((batch, 1, width), dtype=one.dtype, device=one.device))
        return ops.concat([one, *added], axis=1) if added else one

    def _by_head(self, one: Any) -> Any:
        """Return (N, heads, L, E / heads)."""
        batch, length, width = one.shape
        split = ops.reshape(one, (batch, length, self.num_heads, width // self.num_heads))
        return ops.permute_dims(split, (0, 2, 1, 3))

    def _masks(
        self, q: Any, k: Any, key_padding_mask: Any, attn_mask: Any, is_batched: bool
    ) -> Any:
        """Return the numbers to add to the scores (N, heads, L, S), as one array; or None."""
        (batch, queries, _), keys = q.shape, k.shape[1]
        found = []
        if key_padding_mask is not None:
            padded: tuple[int, ...] = (batch, keys) if is_batched else (keys,)
            numbers = _additive("key_padding_mask", key_padding_mask, [padded], q)
            found.append(ops.reshape(numbers, (batch, 1, 1, keys)))
        if attn_mask is not None:
            expected = [(queries, keys), (batch * self.num_heads, queries, keys)]
            numbers = _additive("attn_mask", attn_mask, expected, q)
            heads = (1, 1) if len(attn_mask.shape) == 2 else (batch, self.num_heads)
            found.append(ops.reshape(numbers, (*heads, queries, keys)))
        return None if not found else found[0] if len(found) == 1 else found[0] + found[1]

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, {self.num_heads}, batch_first={self.batch_first}"


def _projection(rows: int, columns: int) -> Parameter:
    parameter = Parameter(empty((rows, columns)))
    init.xavier_uniform_(parameter)
    return parameter


def _additive(name: str, mask: Any, expected: Sequence[tuple[int, ...]], like: Any) -> Any:
    """Return a mask as numbers to add to scores: -inf where a mask of booleans is True."""
    shape = tuple(mask.shape)
    if shape not in expected:
        shapes = " or ".join(map(str, expected))
        raise ShapeError(f"MultiheadAttention: expected {name} of shape {shapes}, got {shape}.")
    if mask.dtype.kind not in "bf":
        raise DTypeError(
            f"MultiheadAttention: expected {name} of booleans, True where not to look, or of "
            f"floating-point numbers; got {mask.dtype}."
        )
    if mask.dtype.kind == "f":
        return mask
    return ops.where(mask, -math.inf, zeros((), dtype=like.dtype, device=like.device))
