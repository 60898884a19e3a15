"""Encoders of transformers."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, excerpt
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.attention import MultiheadAttention
from tinygrad_lab.nn.containers import ModuleList
from tinygrad_lab.nn.dropout import Dropout
from tinygrad_lab.nn.layers import Linear, at_least
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.normalization import LayerNorm

__all__ = ["TransformerEncoder", "TransformerEncoderLayer"]

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"relu": functional.relu, "gelu": functional.gelu}


class TransformerEncoderLayer(Module):
    """Self-attention and two linear layers, each normalised and with a path around it.

        x = norm1(x + attention(x))        or, if ``norm_first``,   x = x + attention(norm1(x))
        x = norm2(x + feedforward(x))                               x = x + feedforward(norm2(x))

    Args:
        d_model: E, the number of features.
        nhead: the number of heads, which divides E.
        dim_feedforward: the number of hidden units.
        dropout: the probability of losing an element, in training.
        activation: "relu", "gelu", or a function of a tensor.
        layer_norm_eps: ``eps`` of the two normalisations.
        batch_first: whether x is (N, L, E) rather than (L, N, E).
        norm_first: whether to normalise before attention and hidden units rather than after.
        bias: whether linear layers, attention and normalisations have biases.

    Called with x, (L, N, E) or with N first or without N, and optionally the masks of
    ``MultiheadAttention``: ``src_mask`` (its ``attn_mask``) and ``src_key_padding_mask``.

    Raises:
        ArgumentError: for sizes below 1, another name of an activation, probabilities outside 0
            to 1.
        ShapeError: from a call, for x or masks of other shapes.

    Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.1; ``norm_first``: Xiong et
    al., "On Layer Normalization in the Transformer Architecture", 2020.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.TransformerEncoderLayer(4, 2, dim_feedforward=8, batch_first=True)
        >>> layer(tg.ones((3, 5, 4))).shape
        (3, 5, 4)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        at_least(1, d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        if not callable(activation) and activation not in _ACTIVATIONS:
            raise ArgumentError(
                "TransformerEncoderLayer: activation is 'relu', 'gelu' or a function, got "
                f"{excerpt(activation)}."
            )
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first)
        self.linear1 = Linear(d_model, dim_feedforward, bias)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = _ACTIVATIONS[activation] if isinstance(activation, str) else activation

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Any:
        masks = (src_key_padding_mask, False, src_mask, False, is_causal)
        x: Any = src
        if self.norm_first:
            x = x + self._attended(self.norm1(x), masks)
            return x + self._fed_forward(self.norm2(x))
        x = self.norm1(x + self._attended(x, masks))
        return self.norm2(x + self._fed_forward(x))

    def _attended(self, x: Any, masks: tuple[Any, ...]) -> Any:
        return self.dropout1(self.self_attn(x, x, x, *masks)[0])

    def _fed_forward(self, x: Any) -> Any:
        hidden = self.dropout(self.activation(self.linear1(x)))
        return self.dropout2(self.linear2(hidden))

    def extra_repr(self) -> str:
        return f"norm_first={self.norm_first}"


class TransformerEncoder(Module):
    """Copies of an encoder layer, one after the other, and a last normalisation if there is one.

    As in PyTorch, all copies start from the same numbers.

    Args:
        encoder_layer: the layer that is copied.
        num_layers: the number of copies.
        norm: a module for the result, such as ``nn.LayerNorm(d_model)``.
        enable_nested_tensor, mask_check: speed up PyTorch's inference; without effect here.

    Called with x, and optionally ``mask`` (the ``attn_mask`` of every layer) and
    ``src_key_padding_mask``.

    Raises:
        ArgumentTypeError: for a layer that is no module.
        ArgumentError: for fewer than one layer.

    Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.1.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.TransformerEncoderLayer(4, 2, dim_feedforward=8)
        >>> tg.nn.TransformerEncoder(layer, num_layers=2)(tg.ones((5, 3, 4))).shape
        (5, 3, 4)
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        at_least(1, num_layers=num_layers)
        if not isinstance(encoder_layer, Module):
            raise ArgumentTypeError(
                "TransformerEncoder: expected an nn.TransformerEncoderLayer(...) to copy, got "
                f"{excerpt(encoder_layer)}."
            )
        self.layers = ModuleList(deepcopy(encoder_layer) for _ in range(num_layers))
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Any:
        x: Any = src
        for layer in self.layers:
            x = layer(x, mask, src_key_padding_mask, bool(is_causal))
        return x if self.norm is None else self.norm(x)
