"""Parameters as one vector, and back: for methods of numerical optimisation, which take one."""

from __future__ import annotations

from collections.abc import Iterable

from tinygrad_lab import ops
from tinygrad_lab.context import no_grad
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinygrad_lab.nn.arguments import tensors_of

__all__ = ["parameters_to_vector", "vector_to_parameters"]


@explaining
def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return the numbers of all parameters as one vector, through which gradients flow.

    Args:
        parameters: tensors; there is at least one.

    Raises:
        ArgumentTypeError: for a module, or anything but tensors.
        ArgumentError: for no tensors at all.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.utils.parameters_to_vector(tg.nn.Linear(3, 2).parameters()).shape
        (8,)
    """
    tensors = tensors_of("parameters_to_vector", parameters)
    if not tensors:
        raise ArgumentError("parameters_to_vector needs at least one parameter, got none.")
    return ops.concat([ops.reshape(one, (-1,)) for one in tensors])


@explaining
def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Set parameters to the numbers of a vector, in the order of ``parameters_to_vector``.

    Args:
        vec: as many numbers as the parameters have.
        parameters: tensors, changed in place.

    Raises:
        ShapeError: for a vector of another length, or no vector; nothing is changed then.
        ArgumentTypeError: for anything but tensors.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.Linear(2, 1)
        >>> tg.nn.utils.vector_to_parameters(tg.tensor([1.0, 2.0, 3.0]), layer.parameters())
        >>> layer.weight.tolist(), layer.bias.tolist()
        ([[1.0, 2.0]], [3.0])
    """
    if not isinstance(vec, Tensor):
        raise ArgumentTypeError(
            f"vector_to_parameters takes a Tensor, got {type(vec).__name__}: tg.tensor(data)."
        )
    tensors = tensors_of("vector_to_parameters", parameters)
    count = sum(one.size for one in tensors)
    if vec.shape != (count,):
        raise ShapeError(
            f"vector_to_parameters: the parameters have {count} numbers, so the vector has shape "
            f"({count},); got {vec.shape}."
        )
    start = 0
    with no_grad():
        for one in tensors:
            one.data = ops.reshape(vec[start : start + one.size], one.shape)
            start += one.size
