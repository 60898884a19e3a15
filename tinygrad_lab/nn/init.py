"""Initialisers: each sets a tensor's values in place and returns it; names as in PyTorch.

They change parameters and buffers under ``no_grad`` and outside of it, and no gradient flows
through them. Numbers are drawn on the CPU, so a seed gives the same ones on every device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.array_api import creation
from tinygrad_lab.context import no_grad
from tinygrad_lab.engine.explain import holds
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.leaves import leaf
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    ShapeError,
    excerpt,
)
from tinygrad_lab.nn.arguments import check_numbers, is_number
from tinygrad_lab.random.generator import Generator, default_generator
from tinygrad_lab.random.tensors import drawn

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

# --- numbers that are given ----------------------------------------------------------------------


@explaining
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill a tensor with one number.

    Raises:
        ArgumentTypeError: for something else than a Tensor, which cannot be changed in place.
        GradientError: for a Tensor that is a result: a row, a detached one.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.init.constant_(tg.nn.Parameter(tg.zeros(2)), 0.5)
        tensor([0.5, 0.5], requires_grad=True)
    """
    _check("constant_", tensor)
    check_numbers("constant_", val=val)
    tensor.data = creation.full(tensor.shape, val, dtype=tensor.dtype, device="cpu")
    return tensor


@explaining
def zeros_(tensor: Tensor) -> Tensor:
    """Fill a tensor with zeros; errors as in ``constant_``."""
    _check("zeros_", tensor)
    return constant_(tensor, 0)


@explaining
def ones_(tensor: Tensor) -> Tensor:
    """Fill a tensor with ones; errors as in ``constant_``."""
    _check("ones_", tensor)
    return constant_(tensor, 1)


@explaining
def eye_(tensor: Tensor) -> Tensor:
    """Make a matrix the identity: a linear layer then gives what it is given.

    Errors as in ``constant_``, and ShapeError for anything but a matrix.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.init.eye_(tg.zeros((2, 3))).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    _check("eye_", tensor)
    if tensor.ndim != 2:
        raise ShapeError(f"eye_ needs a matrix, the tensor has shape {tensor.shape}.")
    tensor.data = creation.eye(*tensor.shape, dtype=tensor.dtype, device="cpu")
    return tensor


@explaining
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Let a convolution keep its input: each output channel is the input channel of its number.

    The window's middle is 1 for as many channels as input and output both have, in each group;
    all else is 0. (With an even window, the element after the middle is 1.)

    Args:
        tensor: weights (out_channels, in_channels / groups, ...) of one to three spatial axes.
        groups: those of the convolution.

    Raises:
        ShapeError, ArgumentError: for other axes, or groups that do not divide the channels; the
            other errors are those of ``constant_``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.init.dirac_(tg.zeros((2, 2, 3))).tolist()
        [[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    _check("dirac_", tensor)
    if tensor.ndim not in (3, 4, 5):
        raise ShapeError(
            "dirac_ needs a convolution's weights, of 3 to 5 axes; the tensor has shape "
            f"{tensor.shape}."
        )
    if type(groups) is not int or groups < 1 or tensor.shape[0] % groups:
        raise ArgumentError(
            "dirac_: groups is an integer that divides the number of output channels, "
            f"{tensor.shape[0]}; got {groups!r}."
        )
    out_channels, in_channels, *window = tensor.shape
    values = np.zeros(tensor.shape, tensor.dtype)
    middle = tuple(size // 2 for size in window)
    per_group = out_channels // groups
    for group in range(groups):
        for channel in range(min(per_group, in_channels)):
            values[(group * per_group + channel, channel, *middle)] = 1
    tensor.data = values
    return tensor


# --- distributions -------------------------------------------------------------------------------


@explaining
def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill a tensor with numbers drawn uniformly from a to b.

    Args:
        tensor: of a floating dtype; changed in place.
        a, b: the bounds.
        generator: the source of the numbers; None for the one that ``tg.seed`` seeds.

    Raises:
        ArgumentTypeError, GradientError: as in ``constant_``.
        DTypeError: for a Tensor whose dtype is not floating.
        ArgumentError: for bounds that are not finite, or in the wrong order.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.init.uniform_(tg.zeros(2), -1.0, 1.0, generator=tg.Generator(0))
        tensor([ 0.27392337, -0.46042657])
    """
    source = _source("uniform_", tensor, generator)
    check_numbers("uniform_", a=a, b=b)
    if not all(map(holds, (a > -math.inf, a <= b, b < math.inf))):
        raise ArgumentError(f"uniform_: expected finite bounds a <= b, got a={a!r} and b={b!r}.")
    return _filled(tensor, source.uniform, a, b)


@explaining
def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill a tensor with numbers drawn from a normal distribution.

    Args:
        tensor: of a floating dtype; changed in place.
        mean, std: those of the distribution; finite, and ``std`` not negative.
        generator: as in ``uniform_``; the errors, too.
    """
    source = _source("normal_", tensor, generator)
    _check_moments("normal_", mean, std)
    return _filled(tensor, source.normal, mean, std)


@explaining
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill a tensor with numbers drawn from a normal distribution, those from a to b alone.

    The inverse of the distribution function is applied to uniform numbers (Devroye, Non-Uniform
    Random Variate Generation, 1986, section II.2), in logarithms, so that bounds far from the mean
    are met as well. What ``std`` says is the spread before the ends are cut off.

    Args:
        tensor: of a floating dtype; changed in place.
        mean, std: those of the normal distribution; ``std`` is greater than 0.
        a, b: the lowest and the highest number, not in units of ``std``; either may be infinite.
        generator: as in ``uniform_``; the errors, too.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.init.trunc_normal_(tg.zeros(1000), std=0.02, a=-0.04, b=0.04).abs().max() <= 0.04
        tensor(True)
    """
    source = _source("trunc_normal_", tensor, generator)
    _check_moments("trunc_normal_", mean, std)
    check_numbers("trunc_normal_", a=a, b=b)
    if not std > 0 or not a < b:
        raise ArgumentError(
            "trunc_normal_: expected a standard deviation above 0 and bounds a < b, got "
            f"std={std!r}, a={a!r} and b={b!r}."
        )
    return _filled(tensor, source.truncated_normal, mean, std, a, b)


# --- by the size of a layer ----------------------------------------------------------------------

_GAINS: dict[str, Callable[[float], float]] = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d"), lambda slope: 1.0),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), lambda slope: 1.0
    ),
    "sigmoid": lambda slope: 1.0,
    "tanh": lambda slope: 5 / 3,
    "relu": lambda slope: math.sqrt(2),
    "leaky_relu": lambda slope: math.sqrt(2 / (1 + slope * slope)),
    "selu": lambda slope: 3 / 4,
}
"""By the name of an activation, √(1 / E[f(x)²]) or what is used in its place, given its slope."""


@explaining
def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor for a layer's weights that compensates for its activation.

    Args:
        nonlinearity: "linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu" or a convolution's
            name, which stands for no activation.
        param: the negative slope of "leaky_relu", 0.01 if not given; others have none.

    Raises:
        ArgumentError: for another name, or a slope that is no finite number.

    √2 for ReLU and √(2 / (1 + slope²)) for leaky ReLU are from He et al., "Delving Deep into
    Rectifiers" (2015), equations 10 and 15; 5/3 for tanh and 3/4 for SELU are PyTorch's.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.init.calculate_gain("leaky_relu", 1.0)
        1.0
    """
    if not isinstance(nonlinearity, str) or nonlinearity not in _GAINS:
        raise ArgumentError(
            f"calculate_gain knows {', '.join(_GAINS)}; got {excerpt(nonlinearity)}. For another "
            "activation f it is 1 / √E[f(x)²] for normal x: pass gain= to xavier_uniform_."
        )
    slope = 0.01 if param is None else param
    if nonlinearity == "leaky_relu" and not _is_finite(slope):
        raise ArgumentError(f"calculate_gain: the slope is a finite number, got {excerpt(param)}.")
    return _GAINS[nonlinearity](slope)


@explaining
def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Draw weights uniformly, with variance 2 gain² / (fan-in + fan-out).

    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks"
    (2010), equation 16: the bound is gain √(6 / (fan-in + fan-out)).

    Args:
        tensor: weights (out, in, ...) of a floating dtype, at least two axes; changed in place.
        gain: the activation's factor, as ``calculate_gain`` returns it.
        generator: as in ``uniform_``; the errors, too, and ShapeError for too few axes.
    """
    std = _xavier_std("xavier_uniform_", tensor, gain)
    return uniform_(tensor, -math.sqrt(3) * std, math.sqrt(3) * std, generator)


@explaining
def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw weights from a normal distribution with variance 2 gain² / (fan-in + fan-out).

    Glorot & Bengio (2010), equation 12. Arguments and errors as in ``xavier_uniform_``.
    """
    return normal_(tensor, 0.0, _xavier_std("xavier_normal_", tensor, gain), generator)


@explaining
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Draw weights uniformly, with variance gain² / fan.

    He et al., "Delving Deep into Rectifiers" (2015), equations 10 and 14: the fan-in keeps the
    variance of what goes forward, the fan-out that of the gradients.

    Args:
        tensor: weights (out, in, ...) of a floating dtype, at least two axes; changed in place.
        a: the negative slope of a leaky ReLU.
        mode: "fan_in" or "fan_out"; or "average" of both, which PyTorch does not have.
        nonlinearity: the activation that follows, by a name that ``calculate_gain`` knows.
        generator: as in ``uniform_``; the errors, too, and ShapeError for too few axes.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.Linear(40, 100)
        >>> tg.nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu") is layer.weight
        True
    """
    std = _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -math.sqrt(3) * std, math.sqrt(3) * std, generator)


@explaining
def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Draw weights from a normal distribution with variance gain² / fan (He et al., 2015).

    Arguments and errors as in ``kaiming_uniform_``.
    """
    std = _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, generator)


# --- with structure ------------------------------------------------------------------------------


@explaining
def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill a tensor, as a matrix of its first axis by the rest, with orthonormal rows or columns.

    Rows where there are at most as many as columns, columns otherwise; all times ``gain``. The
    matrix is drawn uniformly from all such: the factor Q of a normal matrix, with signs that make
    the diagonal of R positive (Mezzadri, "How to generate random matrices from the classical
    compact groups", 2007). Saxe et al., "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks" (2013), start from it.

    Args:
        tensor: of a floating dtype and at least two axes; changed in place.
        gain: a finite factor.
        generator: as in ``uniform_``; the errors, too, and ShapeError for too few axes.

    Example:
        >>> import tinygrad_lab as tg
        >>> q = tg.nn.init.orthogonal_(tg.zeros((2, 3)))
        >>> tg.allclose(q @ q.T, tg.eye(2), atol=1e-6)
        True
    """
    source = _source("orthogonal_", tensor, generator)
    _fans("orthogonal_", tensor)
    _check_gain("orthogonal_", gain)
    if tensor.size == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.size // rows
    with no_grad():
        normal = leaf(drawn(source.normal, (rows, columns), 0.0, 1.0, np.float64, device="cpu"))
        q, r = ops.qr(normal.T if rows < columns else normal)
        q = q * ops.sign(ops.diag(r))
        whole = q.T if rows < columns else q
        tensor.data = gain * whole.reshape(tensor.shape)
    return tensor


@explaining
def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Fill a matrix with normal numbers, and set a share of each column to zero.

    Martens, "Deep learning via Hessian-free optimization" (2010), section 5: few connections per
    unit, with numbers that need not shrink as units get more.

    Args:
        tensor: a matrix of a floating dtype; changed in place.
        sparsity: the share of zeros in each column, from 0 to 1; their number is rounded up.
        std: the standard deviation of the others.
        generator: as in ``uniform_``; the errors, too, and ShapeError for anything but a matrix.

    Example:
        >>> import tinygrad_lab as tg
        >>> (tg.nn.init.sparse_(tg.zeros((10, 3)), 0.6) == 0).sum(axis=0).tolist()
        [6, 6, 6]
    """
    source = _source("sparse_", tensor, generator)
    _check_moments("sparse_", 0.0, std)
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_ needs a matrix, the tensor has shape {tensor.shape}.")
    if not _is_finite(sparsity) or not 0 <= sparsity <= 1:
        raise ArgumentError(f"sparse_: sparsity is from 0 to 1, got {excerpt(sparsity)}.")
    zeros = math.ceil(sparsity * tensor.shape[0])
    with no_grad():
        normal = leaf(drawn(source.normal, tensor.shape, 0.0, std, tensor.dtype, device="cpu"))
        keys = leaf(drawn(source.uniform, tensor.shape, 0.0, 1.0, np.float64, device="cpu"))
        # The order of random numbers is a random permutation of the rows, for each column.
        order = ops.argsort(keys, axis=0)
        tensor.data = ops.where(order < zeros, 0.0, normal)
    return tensor


# --- what they share -----------------------------------------------------------------------------


def _check(name: str, tensor: Any) -> None:
    """Raise unless a tensor can be changed in place."""
    if not isinstance(tensor, Tensor):
        hint = (
            "give the tensor itself, layer.weight and not layer.weight.data"
            if isinstance(tensor, np.ndarray)
            else "such as layer.weight or tg.zeros((2, 3))"
        )
        raise ArgumentTypeError(
            f"{name} changes a Tensor in place, got {type(tensor).__name__}: {hint}."
        )
    if not tensor.is_leaf or hasattr(tensor, "_viewed"):
        raise GradientError(
            f"{name} changes a tensor in place, and {tensor._label()} was computed from another, "
            "which would stay as it is. To change a part of a parameter w:\n"
            f"    with tg.no_grad(): w[i] = tg.nn.init.{name}(tg.zeros(w[i].shape))"
        )


def _source(name: str, tensor: Any, generator: Any) -> Generator:
    """Return the generator that a floating tensor is filled from."""
    _check(name, tensor)
    if np.dtype(tensor.dtype).kind != "f":
        raise DTypeError(f"{name} fills tensors of a floating dtype, got {tensor.dtype}.")
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise ArgumentTypeError(
            f"{name}: generator is a tg.Generator(seed) or None, got {type(generator).__name__}."
        )
    return generator


def _filled(tensor: Tensor, draw: Callable[..., Any], *parameters: float) -> Tensor:
    """Fill a tensor with numbers that a method of a generator draws."""
    tensor.data = drawn(draw, tensor.shape, *parameters, tensor.dtype, device="cpu")
    return tensor


def _check_moments(name: str, mean: float, std: float) -> None:
    check_numbers(name, mean=mean, std=std)
    if not all(map(holds, (abs(mean) < math.inf, std >= 0, std < math.inf))):
        raise ArgumentError(
            f"{name}: expected a finite mean and a standard deviation of 0 or more, got "
            f"mean={mean!r} and std={std!r}."
        )


def _is_finite(number: Any) -> bool:
    return is_number(number) and math.isfinite(number)


def _check_gain(name: str, gain: Any) -> None:
    if not _is_finite(gain):
        raise ArgumentError(f"{name}: gain is a finite number, got {excerpt(gain)}.")


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """Return the fan-in and fan-out of weights (out, in, ...): how many each number meets."""
    if tensor.ndim < 2:
        raise ShapeError(
            f"{name} needs at least two axes, (out, in, ...), for fan-in and fan-out; the tensor "
            f"has shape {tensor.shape}. For a bias take zeros_ or uniform_."
        )
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def _xavier_std(name: str, tensor: Tensor, gain: float) -> float:
    _check(name, tensor)
    _check_gain(name, gain)
    if gain < 0:
        raise ArgumentError(f"{name}: gain is 0 or more, got {gain!r}.")
    # A fan of 0 belongs to a tensor without elements: nothing is drawn.
    return gain * math.sqrt(2 / max(sum(_fans(name, tensor)), 1))


def _kaiming_std(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    _check(name, tensor)
    if not isinstance(mode, str) or mode not in ("fan_in", "fan_out", "average"):
        raise ArgumentError(
            f"{name}: mode must be 'fan_in' or 'fan_out' or 'average', got {mode!r}."
        )
    fan_in, fan_out = _fans(name, tensor)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "average": (fan_in + fan_out) / 2}[mode]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))
