"""Activations as modules, for ``Sequential``."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import full
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.keywords import advise
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.module import Module, Parameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]

_relu, _sigmoid, _silu = direct(ops.relu), direct(ops.sigmoid), direct(ops.silu)
_softsign, _tanh, _tanhshrink = direct(ops.softsign), direct(ops.tanh), direct(ops.tanhshrink)


class _Activation(Module):
    """A function of each number; its settings are shown as its arguments.

    ``inplace=True`` is refused: operators write into no tensor, and a module that took it and left
    x as it was would break code that relies on it without a word. ``inplace=False`` says what is.
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        if inplace:
            raise ArgumentTypeError(
                f"{type(self).__name__}: inplace=True would write into x, which other rules may "
                "still need: operators make new tensors. Leave it out and use the result, x = f(x)."
            )

    def extra_repr(self) -> str:
        own = {n: v for n, v in vars(self).items() if not n.startswith("_") and n != "training"}
        return ", ".join(f"{name}={value!r}" for name, value in own.items())


class ReLU(_Activation):
    """max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        return _relu(x)


class ReLU6(_Activation):
    """x, but at least 0 and at most 6."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu6(x)


class LeakyReLU(_Activation):
    """x if it is positive, else ``negative_slope * x``."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, self.negative_slope)


class PReLU(Module):
    """x if it is positive, else x times a slope that is learned.

    Args:
        num_parameters: the number of slopes: 1, or C for x of shape (N, C, ...).
        init: the slopes at first; ``weight`` is (num_parameters,).

    Raises:
        ShapeError: from a call, if there are several slopes and x has not as many channels.

    Source: He et al., "Delving deep into rectifiers", 2015.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.PReLU()(tg.tensor([-1.0, 2.0])).tolist()
        [-0.25, 2.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        if not isinstance(num_parameters, int) or num_parameters < 1:
            raise ArgumentError(
                f"PReLU: num_parameters must be an integer, 1 or more, got {num_parameters!r}."
            )
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(full((num_parameters,), float(init)))

    def forward(self, x: Tensor) -> Tensor:
        return functional.prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(_Activation):
    """x if it is positive, else x times a slope between ``lower`` and ``upper``.

    In training slopes are drawn at random, otherwise they are the mean of the two.
    """

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        if lower > upper:
            raise ArgumentError(f"RReLU: expected lower <= upper, got {lower} and {upper}.")
        self.lower, self.upper = lower, upper

    def forward(self, x: Tensor) -> Tensor:
        return functional.rrelu(x, self.lower, self.upper, self.training)


class ELU(_Activation):
    """x if it is positive, else ``alpha * (exp(x) - 1)``."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        return ops.elu(x, self.alpha)


class CELU(_Activation):
    """x if it is positive, else ``alpha * (exp(x / alpha) - 1)``."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        return ops.celu(x, self.alpha)


class SELU(_Activation):
    """λ times ELU with a, which keep mean 0 and variance 1; see ``tg.selu``."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.selu(x)


class GELU(_Activation):
    """x times the probability that a standard normal variable is below x; see ``tg.gelu``."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return ops.gelu(x, self.approximate)


class GLU(_Activation):
    """The first half of x along ``dim``, times the sigmoid of the second half."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return functional.glu(x, self.dim)


class SiLU(_Activation):
    """x * sigmoid(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return _silu(x)


class Mish(_Activation):
    """x * tanh(softplus(x))."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.mish(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Tensor) -> Tensor:
        return _sigmoid(x)


class LogSigmoid(Module):
    """log(sigmoid(x)), accurate even where the sigmoid is tiny."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.log_sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        return _tanh(x)


class Tanhshrink(Module):
    """x - tanh(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return _tanhshrink(x)


class Softsign(Module):
    """x / (1 + |x|)."""

    def forward(self, x: Tensor) -> Tensor:
        return _softsign(x)


class Softplus(_Activation):
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above ``threshold``."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Tensor) -> Tensor:
        return functional.softplus(x, self.beta, self.threshold)


class Threshold(_Activation):
    """x where it is above ``threshold``, ``value`` elsewhere."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold, self.value = threshold, value

    def forward(self, x: Tensor) -> Tensor:
        return ops.threshold(x, self.threshold, self.value)


class Softshrink(_Activation):
    """x, moved towards 0 by ``lambd``; 0 where it is nearer."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        if not lambd >= 0:
            raise ArgumentError(f"Softshrink: expected lambd of 0 or more, got {lambd}.")
        self.lambd = lambd

    def forward(self, x: Tensor) -> Tensor:
        return ops.softshrink(x, self.lambd)


class Hardshrink(_Activation):
    """x, but 0 where it is from ``-lambd`` to ``lambd``."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, x: Tensor) -> Tensor:
        return ops.hardshrink(x, self.lambd)


class Hardtanh(_Activation):
    """x, but at least ``min_val`` and at most ``max_val``."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        if min_val > max_val:
            raise ArgumentError(
                f"Hardtanh: expected min_val <= max_val, got {min_val} and {max_val}."
            )
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: Tensor) -> Tensor:
        return ops.hardtanh(x, self.min_val, self.max_val)


class Hardsigmoid(_Activation):
    """x / 6 + 1/2, but at least 0 and at most 1."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.hardsigmoid(x)


class Hardswish(_Activation):
    """x times the Hardsigmoid of x."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.hardswish(x)


# --- along an axis -------------------------------------------------------------------------------


class _AlongAxis(_Activation):
    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim


class Softmax(_AlongAxis):
    """exp(x) divided by its sum along the axis ``dim``.

    ``dim`` may be left out where x has at most two axes, for the last.
    """

    def forward(self, x: Tensor) -> Tensor:
        return functional.softmax(x, self.dim)


class LogSoftmax(_AlongAxis):
    """The logarithm of ``Softmax``, accurate even where that is tiny."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.log_softmax(x, self.dim)


class Softmin(_AlongAxis):
    """The ``Softmax`` of -x."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.softmin(x, self.dim)


class Softmax2d(Module):
    """The softmax over the channels of images, (N, C, H, W) or (C, H, W), at each position.

    Raises:
        ShapeError: from a call, for another number of axes.
    """

    def forward(self, x: Tensor) -> Tensor:
        if len(x.shape) not in (3, 4):
            raise ShapeError(
                f"Softmax2d: expected x of shape (N, C, H, W) or (C, H, W), got {tuple(x.shape)}."
            )
        return functional.softmax(x, -3)


_renamed: dict[str, Any] = {
    "min_value": "its name is min_val=",
    "max_value": "its name is max_val=",
}
advise("Hardtanh", **_renamed)
