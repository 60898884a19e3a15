"""Rules that choose what to prune, and the masks that they make; ``prune.py`` applies them."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import ones_like
from tinygrad_lab.context import no_grad
from tinygrad_lab.engine.keywords import explaining_class
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError, excerpt
from tinygrad_lab.nn.arguments import check_numbers, is_number
from tinygrad_lab.nn.computed import computation_of, compute_instead, parameter_of
from tinygrad_lab.nn.module import Module
from tinygrad_lab.ops.arguments.axes import checked_axis
from tinygrad_lab.random.tensors import uniform

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "Masked",
    "RandomStructured",
    "RandomUnstructured",
    "check_module",
    "check_shape",
    "mask_of",
    "pruned_or_parameter",
    "set_mask",
]


class Masked:
    """What computes a pruned parameter from the original and the mask."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: Module) -> Tensor:
        original, mask = (getattr(module, f"{self.name}_{part}") for part in ("orig", "mask"))
        return ops.multiply(original, mask)

    def __str__(self) -> str:
        return (
            f"{self.name}_orig * {self.name}_mask. Set {self.name}_orig.data, or call "
            f"nn.utils.prune.remove(module, {self.name!r}) first"
        )


# --- rules ---------------------------------------------------------------------------------------


class BasePruningMethod:
    """A rule that chooses what to prune: subclass it, write ``compute_mask``, call ``apply``.

    ``PRUNING_TYPE`` says what the rule is shown where something is pruned already:
    "unstructured", a vector of the elements that are left; "structured", the channels along
    ``self.dim`` that are left; "global", everything.

    Example:
        >>> import tinygrad_lab as tg
        >>> from tinygrad_lab.nn.utils import prune
        >>> class EveryOther(prune.BasePruningMethod):
        ...     PRUNING_TYPE = "unstructured"
        ...     def compute_mask(self, t, default_mask):
        ...         return default_mask.reshape(-1).at[::2].set(0).reshape(t.shape)
        >>> layer = tg.nn.Linear(4, 1)
        >>> _ = EveryOther.apply(layer, "weight")
        >>> layer.weight_mask.tolist()
        [[0.0, 1.0, 0.0, 1.0]]
    """

    PRUNING_TYPE: ClassVar[str] = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return ones for what stays and zeros for what goes; a subclass must define it.

        Args:
            t: how important each element is.
            default_mask: a mask of the same shape, by which the result is multiplied.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method compute_mask(self, ...)")

    @classmethod
    def apply(
        cls,
        module: Module,
        name: str,
        *args: Any,
        importance_scores: Tensor | None = None,
        **kwargs: Any,
    ) -> BasePruningMethod:
        """Prune a parameter of a module by this rule, beyond what is pruned already.

        Args:
            module: a layer.
            name: of the parameter: "weight".
            args, kwargs: arguments of the class.
            importance_scores: how important each element is, in the parameter's shape; by default
                the parameter itself.

        Raises:
            ArgumentTypeError, ArgumentError: for no module or no such parameter.
            ShapeError: for scores or a mask of another shape.
        """
        method = cls(*args, **kwargs)
        present = pruned_or_parameter(cls.__name__, module, name)
        scores = present.detach() if importance_scores is None else importance_scores
        check_shape("importance_scores", scores, present)
        with no_grad():
            mask = method.refined(scores, mask_of(module, name))
        set_mask(module, name, mask)
        return method

    def refined(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """Return a mask that prunes by the scores, among what another mask left."""
        if mask is None:
            return self.compute_mask(scores, ones_like(scores))
        if self.PRUNING_TYPE == "global":
            return self.compute_mask(scores, mask)
        if self.PRUNING_TYPE == "unstructured":
            place: Any = ops.nonzero(mask)
        elif self.PRUNING_TYPE == "structured":
            dim, others = _channels(self, mask)
            place = (slice(None),) * dim + ops.nonzero(ops.sum(mask, axis=others))
        else:
            raise ArgumentError(
                f"{type(self).__name__}.PRUNING_TYPE is 'unstructured', 'structured' or 'global', "
                f"got {excerpt(self.PRUNING_TYPE)}."
            )
        return mask.at[place].set(self.compute_mask(scores[place], mask[place]))


class Identity(BasePruningMethod):
    """Prunes nothing: makes the mask, for other uses of it."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class CustomFromMask(BasePruningMethod):
    """Prunes where a given mask is 0."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        if not isinstance(mask, Tensor):
            raise ArgumentTypeError(
                f"a mask is a Tensor of ones and zeros, got {excerpt(mask)}: tg.tensor(mask)."
            )
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        check_shape("mask", self.mask, default_mask)
        return default_mask * ops.astype(self.mask, default_mask.dtype)


class _ByAmount(BasePruningMethod):
    """Prunes a number of elements or channels, or a share of them."""

    def __init__(self, amount: float) -> None:
        self.amount = _checked_amount(type(self).__name__, amount)

    def pruned_of(self, size: int) -> int:
        """Return how many of some elements or channels to prune."""
        if not isinstance(self.amount, int):
            return round(self.amount * size)
        if self.amount > size:
            raise ArgumentError(
                f"{type(self).__name__}: amount={self.amount} is more than there are, {size}."
            )
        return self.amount


class RandomUnstructured(_ByAmount):
    """Prunes elements at random, from the generator that ``tg.seed`` seeds."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        scores = uniform(t.shape, device=t.device)
        return default_mask * _without_lowest(scores, self.pruned_of(t.size), default_mask)


class L1Unstructured(_ByAmount):
    """Prunes the elements of the smallest absolute value; of equal ones, the first."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask * _without_lowest(abs(t), self.pruned_of(t.size), default_mask)


class _ByChannel(_ByAmount):
    """Prunes whole channels along an axis."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def masked(self, scores: Tensor, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask without the channels of the lowest scores."""
        dim, _ = _channels(self, t)
        kept = _without_lowest(scores, self.pruned_of(t.shape[dim]), default_mask)
        return default_mask * ops.reshape(kept, (-1,) + (1,) * (t.ndim - 1 - dim))


class RandomStructured(_ByChannel):
    """Prunes channels at random, from the generator that ``tg.seed`` seeds."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        dim, _ = _channels(self, t)
        return self.masked(uniform((t.shape[dim],), device=t.device), t, default_mask)


class LnStructured(_ByChannel):
    """Prunes the channels of the smallest norm of power n; of equal ones, the first."""

    def __init__(self, amount: float, n: float | str, dim: int = -1) -> None:
        super().__init__(amount, dim)
        check_numbers("LnStructured", n=math.inf if isinstance(n, str) and n == "inf" else n)
        self.n = float(n)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        dim, _ = _channels(self, t)
        rows = ops.reshape(ops.moveaxis(t, dim, 0), (t.shape[dim], -1))
        return self.masked(ops.norm(rows, ord=self.n, axis=1), t, default_mask)


for _kind in (
    CustomFromMask,
    L1Unstructured,
    LnStructured,
    RandomStructured,
    RandomUnstructured,
):
    explaining_class(_kind)


# --- what they share -----------------------------------------------------------------------------


def pruned_or_parameter(function: str, module: Module, name: str) -> Tensor:
    """Return a parameter, or what is computed of one that is pruned already."""
    check_module(function, module)
    if isinstance(computation_of(module, name), Masked):
        pruned: Tensor = getattr(module, name)
        return pruned
    return parameter_of(function, module, name)


def mask_of(module: Module, name: str) -> Tensor | None:
    is_masked = isinstance(computation_of(module, name), Masked)
    return getattr(module, f"{name}_mask") if is_masked else None


def set_mask(module: Module, name: str, mask: Tensor) -> None:
    """Give a parameter a mask, or another one, whose memory compiled steps know."""
    present = pruned_or_parameter("prune", module, name)
    check_shape("mask", mask, present)
    if (before := mask_of(module, name)) is not None:
        before.data = mask
        return
    original = parameter_of("prune", module, name)
    module.register_parameter(f"{name}_orig", original)
    kept = ops.astype(mask, original.dtype).detach()
    kept.name = f"{name}_mask"  # in pictures and compiled steps
    module.register_buffer(f"{name}_mask", kept)
    original.name = None  # the next picture names it anew
    compute_instead(module, name, Masked(name))


def check_module(function: str, module: Any) -> None:
    if not isinstance(module, Module):
        raise ArgumentTypeError(f"{function} takes a module first, got {excerpt(module)}.")


def check_shape(what: str, given: Any, parameter: Tensor) -> None:
    if not isinstance(given, Tensor):
        raise ArgumentTypeError(f"{what} is a Tensor, got {excerpt(given)}.")
    if given.shape != parameter.shape:
        raise ShapeError(
            f"{what} has the shape of the parameter, {parameter.shape}; got {given.shape}."
        )


def _checked_amount(method: str, amount: Any) -> float:
    """Return an amount as an int or a float."""
    if isinstance(amount, bool) or not is_number(amount):
        raise ArgumentTypeError(
            f"{method}: amount is an integer (how many) or a float (which share), got "
            f"{excerpt(amount)}."
        )
    number: float = amount.item() if isinstance(amount, np.number) else amount
    if not 0 <= number <= (math.inf if isinstance(number, int) else 1):
        raise ArgumentError(
            f"{method}: amount is an integer of 0 or more (how many), or a float from 0 to 1 "
            f"(which share); got {excerpt(amount)}."
        )
    return number


def _channels(method: Any, t: Tensor) -> tuple[int, tuple[int, ...]]:
    """Return the axis of the channels that a method prunes, and the others."""
    name = type(method).__name__
    if t.ndim < 2:
        raise ShapeError(
            f"{name} prunes channels of a tensor of at least two axes, got the shape {t.shape}: "
            "l1_unstructured and random_unstructured prune elements."
        )
    dim = checked_axis(name, t, method.dim, argument="dim")
    return dim, tuple(axis for axis in range(t.ndim) if axis != dim)


def _without_lowest(scores: Tensor, count: int, like: Tensor) -> Tensor:
    """Return 0 for the lowest of some scores, 1 for the others, in the dtype of a mask."""
    ranks = ops.argsort(ops.argsort(ops.reshape(scores, (-1,))))
    return ops.reshape(ops.astype(ranks >= count, like.dtype), scores.shape)
