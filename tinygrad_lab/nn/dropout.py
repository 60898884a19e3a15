"""Dropout layers: in training, elements or whole channels are lost at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "FeatureAlphaDropout"]


class _Dropout(Module):
    """A function of x, the probability ``p`` and whether the module is in training."""

    function: ClassVar[Callable[..., Any]]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        kind = type(self).__name__
        if inplace:
            raise ArgumentTypeError(
                f"{kind}: inplace=True would write into x, which other rules may still need: "
                "operators make new tensors. Leave it out and use the result, x = f(x)."
            )
        if not 0 <= p <= 1:
            raise ArgumentError(f"{kind} needs a probability from 0 to 1, got {p}.")
        self.p = p

    def forward(self, x: Tensor) -> Any:
        return type(self).function(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout(_Dropout):
    """In training, sets elements to 0 with probability p and scales the others by 1 / (1 - p).

    Raises:
        ArgumentError: for p outside 0 to 1.

    Source: Srivastava et al., "Dropout", 2014.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([1.0, 2.0])
        >>> tg.nn.Dropout(1.0)(x).tolist(), tg.nn.Dropout(1.0).eval()(x).tolist()
        ([0.0, 0.0], [1.0, 2.0])
    """

    function = staticmethod(direct(functional.dropout))


class Dropout1d(_Dropout):
    """In training, sets whole channels of x, (N, C, L) or (C, L), to 0 with probability p.

    The other channels are scaled by 1 / (1 - p).

    Raises:
        ArgumentError: for p outside 0 to 1.
        ShapeError: from a call, for another number of axes.

    Source: Tompson et al., "Efficient object localization using convolutional networks", 2015.
    """

    function = staticmethod(functional.dropout1d)


class Dropout2d(_Dropout):
    """In training, sets whole channels of images x, (N, C, H, W), to 0 with probability p.

    The other channels are scaled by 1 / (1 - p). As in PyTorch, an x of three axes is (N, C, L).

    Raises:
        ArgumentError: for p outside 0 to 1.
        ShapeError: from a call, for another number of axes.

    Source: Tompson et al., "Efficient object localization using convolutional networks", 2015.
    """

    function = staticmethod(functional.dropout2d)


class AlphaDropout(_Dropout):
    """In training, sets elements to the lowest value of ``SELU`` with probability p.

    Then it scales and shifts all, so that numbers of mean 0 and variance 1 keep them.

    Raises:
        ArgumentError: for p outside 0 to 1.

    Source: Klambauer et al., "Self-normalizing neural networks", 2017, section 2.
    """

    function = staticmethod(functional.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """Does as ``AlphaDropout``, to whole channels of x, (N, C, ...).

    Raises:
        ArgumentError: for p outside 0 to 1.
        ShapeError: from a call, for fewer than two axes.
    """

    function = staticmethod(functional.feature_alpha_dropout)
