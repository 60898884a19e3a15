"""Weight normalisation: a weight as a direction and a length, which are learned apart.

Salimans & Kingma, "Weight Normalization: A Simple Reparameterization to Accelerate Training of
Deep Neural Networks" (2016), equation 2: w = g v / ‖v‖.
"""

from __future__ import annotations

from tinygrad_lab import ops
from tinygrad_lab.context import no_grad
from tinygrad_lab.engine.explain import holds
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, excerpt
from tinygrad_lab.nn.computed import (
    computation_of,
    compute_instead,
    keep_instead,
    parameter_of,
)
from tinygrad_lab.nn.module import Module, Parameter
from tinygrad_lab.ops.arguments.axes import checked_axis

__all__ = ["remove_weight_norm", "weight_norm"]


class Normalised:
    """What computes a weight from its direction ``weight_v`` and its length ``weight_g``."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, dim

    def __call__(self, module: Module) -> Tensor:
        length, direction = (getattr(module, f"{self.name}_{part}") for part in "gv")
        whole: Tensor = direction * (length / self.length_of(direction))
        return whole

    def length_of(self, direction: Tensor) -> Tensor:
        """Return ‖v‖: for each channel along the axis, or over all elements."""
        others = tuple(axis for axis in range(direction.ndim) if axis != self.dim)
        whole = self.dim is None
        return ops.vector_norm(direction, axis=None if whole else others, keepdims=not whole)

    def __str__(self) -> str:
        return (
            f"{self.name}_g * {self.name}_v / ‖{self.name}_v‖. Set these, or call "
            f"nn.utils.remove_weight_norm(module, {self.name!r}) first"
        )


@explaining
def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn the direction and the length of a weight apart, as ``weight_v`` and ``weight_g``.

    The weight stays what it is at first, and is computed from both from then on. Both are new
    parameters: make the optimiser afterwards.

    Args:
        module: a layer, changed in place.
        name: of the parameter.
        dim: the axis of the channels that have a length each, 0 for outputs; None for one length.
            ``weight_g`` has size 1 along the other axes, and with None no axes.

    Returns:
        The module.

    Raises:
        ArgumentTypeError, ArgumentError: for no module, no such parameter, one that is normalised
            or pruned already, or has a channel of zeros, which has no direction.
        AxisError: for an axis that the parameter does not have.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.utils.weight_norm(tg.nn.Linear(4, 3))
        >>> {name: one.shape for name, one in layer.named_parameters()}
        {'bias': (3,), 'weight_g': (3, 1), 'weight_v': (3, 4)}
    """
    if isinstance(module, Module) and computation_of(module, name) is not None:
        raise ArgumentError(
            f"weight_norm: {type(module).__name__}.{name} is computed already: "
            f"{computation_of(module, name)}."
        )
    weight = parameter_of("weight_norm", module, name)
    # PyTorch's -1 stands for None, too.
    is_whole = dim is None or (isinstance(dim, int) and dim == -1)
    axis = None if is_whole else checked_axis("weight_norm", weight, dim, argument="dim")
    normalised = Normalised(name, axis)
    with no_grad():
        length = normalised.length_of(weight.detach())
        if not holds(ops.all(length > 0)):
            raise ArgumentError(
                f"weight_norm: {name} of {type(module).__name__} has a channel of zeros or NaN, "
                "which has no direction: initialise it first, as by nn.init.xavier_uniform_."
            )
    for part, value in (("g", length), ("v", weight.detach())):
        module.register_parameter(f"{name}_{part}", Parameter(value, weight.requires_grad))
    compute_instead(module, name, normalised)
    return module


@explaining
def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make a normalised weight a parameter again, of the numbers that it has. Return the module.

    It is a new parameter: make the optimiser afterwards.

    Raises:
        ArgumentTypeError, ArgumentError: for no module, or a parameter without weight_norm.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.utils.weight_norm(tg.nn.Linear(4, 3))
        >>> [name for name, _ in tg.nn.utils.remove_weight_norm(layer).named_parameters()]
        ['bias', 'weight']
    """
    if not isinstance(module, Module):
        raise ArgumentTypeError(f"remove_weight_norm takes a module, got {excerpt(module)}.")
    if not isinstance(computation_of(module, name), Normalised):
        raise ArgumentError(
            f"remove_weight_norm: {excerpt(name)} of {type(module).__name__} has no weight_norm."
        )
    learned = getattr(module, f"{name}_v").requires_grad
    weight = Parameter(getattr(module, name).detach(), learned)
    keep_instead(module, name, weight, f"{name}_g", f"{name}_v")
    return module
