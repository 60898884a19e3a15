"""Layers of single samples: linear, bilinear, embedding, shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import arange, empty
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.explain import is_integer
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinygrad_lab.nn import functional, init
from tinygrad_lab.nn.module import Module, Parameter
from tinygrad_lab.ops.arguments.axes import checked_axis

__all__ = [
    "Bilinear",
    "Embedding",
    "Flatten",
    "Identity",
    "Linear",
    "Unflatten",
    "at_least",
    "naming",
    "uniform_parameter",
]

_linear = direct(ops.linear)
_embedding, _bilinear = direct(functional.embedding), direct(functional.bilinear)


def uniform_parameter(shape: tuple[int, ...], fan_in: int) -> Parameter:
    """Make a parameter drawn uniformly from ±1/√fan_in, the default of PyTorch's layers."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    parameter = Parameter(empty(shape))
    init.uniform_(parameter, -bound, bound)
    return parameter


def at_least(minimum: int, **sizes: int) -> None:
    """Raise an ``ArgumentError`` for invalid sizes of a layer."""
    for name, size in sizes.items():
        if not is_integer(size) or isinstance(size, bool) or size < minimum:
            raise ArgumentError(f"{name} must be an integer, {minimum} or more, got {size!r}.")


@contextmanager
def naming(layer: Module) -> Iterator[None]:
    """Let errors about the settings of a layer begin with its name."""
    try:
        yield
    except (ArgumentError, ArgumentTypeError) as error:
        raise type(error)(f"{type(layer).__name__}: {error}") from None


class Identity(Module):
    """x itself, whatever arguments it was made with: a place for a layer that may come.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Identity()(3.0)
        3.0
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, x: Any) -> Any:
        return x


class Linear(Module):
    """x @ weight.T + bias.

    ``weight`` is (out_features, in_features), ``bias`` (out_features,); both are drawn uniformly
    from ±1/√in_features, as in PyTorch.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.Linear(3, 2)
        >>> layer(tg.tensor([[1.0, 2.0, 3.0]])).shape
        (1, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        at_least(1, in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = uniform_parameter((out_features, in_features), in_features)
        self.bias = uniform_parameter((out_features,), in_features) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return _linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """x1ᵀ A x2 + bias for each output feature, A being a slice of ``weight``.

    ``weight`` is (out_features, in1_features, in2_features), ``bias`` (out_features,); both are
    drawn uniformly from ±1/√in1_features, as in PyTorch.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Bilinear(3, 2, 4)(tg.ones((5, 3)), tg.ones((5, 2))).shape
        (5, 4)
    """

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True
    ) -> None:
        super().__init__()
        at_least(1, in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        self.weight = uniform_parameter((out_features, in1_features, in2_features), in1_features)
        self.bias = uniform_parameter((out_features,), in1_features) if bias else None

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return _bilinear(x1, x2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Embedding(Module):
    """Maps each integer to a row of ``weight``, (num_embeddings, embedding_dim).

    The rows are drawn from a standard normal distribution, as in PyTorch.

    Args:
        num_embeddings: the number of rows; the integers are 0 to ``num_embeddings`` - 1.
        embedding_dim: the length of a row.
        padding_idx: an integer whose row starts at zero and gets no gradient.
        max_norm: rows that are looked up and longer are shortened to this length, in ``weight``
            itself, as in PyTorch.
        norm_type: which norm measures that.
        scale_grad_by_freq, sparse: as in PyTorch's they are refused; gradients are dense sums.
        _weight: the table to begin with, in place of random numbers.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Embedding(10, 3)(tg.tensor([[1, 2], [4, 1]])).shape
        (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        _refuse_gradients_of_other_kinds(scale_grad_by_freq, sparse)
        at_least(1, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError(
                f"padding_idx must be one of {num_embeddings} rows, got {padding_idx}."
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type = max_norm, norm_type
        shape = (num_embeddings, embedding_dim)
        if _weight is not None and _weight.shape != shape:
            raise ShapeError(f"Embedding: expected a _weight of {shape}, got {_weight.shape}.")
        self.weight = Parameter(empty(shape) if _weight is None else _weight)
        if _weight is None:
            init.normal_(self.weight)
            if self.padding_idx is not None:
                self.weight.data[self.padding_idx] = 0

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """Make a layer of a table (rows, features), which ``freeze`` keeps as it is."""
        if embeddings.ndim != 2:
            raise ShapeError(
                f"Embedding.from_pretrained takes a table (rows, features), got {embeddings.shape}."
            )
        rows, features = embeddings.shape
        layer = cls(
            rows,
            features,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
            _weight=embeddings,
        )
        layer.weight.requires_grad_(not freeze)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        if self.max_norm is not None:
            self._shorten(x)
        return _embedding(x, self.weight, self.padding_idx)

    def _shorten(self, x: Tensor) -> None:
        """Shorten the rows of ``weight`` that are looked up and too long."""
        table = self.weight.detach()
        lengths = ops.vector_norm(table, axis=1, keepdims=True, ord=self.norm_type)
        places = arange(self.num_embeddings, device=table.device)
        used = ops.any(ops.equal(places[:, None], ops.reshape(x, (1, -1))), axis=1, keepdims=True)
        long = ops.logical_and(used, lengths > self.max_norm)
        # PyTorch adds 1e-7, too.
        self.weight.data = ops.where(long, table * (self.max_norm / (lengths + 1e-7)), table)

    def extra_repr(self) -> str:
        said = {"padding_idx": self.padding_idx, "max_norm": self.max_norm}
        said = {name: value for name, value in said.items() if value is not None}
        if self.norm_type != 2:
            said["norm_type"] = self.norm_type
        settings = "".join(f", {name}={value}" for name, value in said.items())
        return f"{self.num_embeddings}, {self.embedding_dim}{settings}"


def _refuse_gradients_of_other_kinds(scale_grad_by_freq: bool, sparse: bool) -> None:
    if scale_grad_by_freq:
        raise ArgumentTypeError(
            "Embedding: scale_grad_by_freq=True is not there: divide weight.grad by the number of "
            "times that each row was looked up."
        )
    if sparse:
        raise ArgumentTypeError("Embedding: sparse=True is not there: gradients are dense.")


class Flatten(Module):
    """Joins the axes of x from ``start_dim`` to ``end_dim`` into one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        if self.end_dim == -1:
            return ops.flatten(x, self.start_dim)
        start = checked_axis("Flatten", x, self.start_dim, argument="start_dim")
        end = checked_axis("Flatten", x, self.end_dim, argument="end_dim")
        if start > end:
            raise ArgumentError(
                f"Flatten: start_dim {self.start_dim} comes after end_dim {self.end_dim} in shape "
                f"{x.shape}."
            )
        joined = math.prod(x.shape[start : end + 1])
        return ops.reshape(x, (*x.shape[:start], joined, *x.shape[end + 1 :]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits axis ``dim`` of x into several of sizes ``unflattened_size``; one of them may be -1.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Unflatten(1, (2, -1))(tg.ones((5, 6))).shape
        (5, 2, 3)
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        super().__init__()
        sizes = unflattened_size
        if type(dim) is not int or not isinstance(sizes, tuple | list) or not sizes:
            raise ArgumentTypeError(
                f"Unflatten takes an axis and a tuple of sizes, got {dim!r} and {sizes!r}. (Named "
                "axes there are none.)"
            )
        if any(type(n) is not int or n < -1 for n in sizes) or list(sizes).count(-1) > 1:
            raise ArgumentError(
                f"Unflatten: sizes are integers, one of them may be -1; got {sizes}."
            )
        self.dim, self.unflattened_size = dim, tuple(sizes)

    def forward(self, x: Tensor) -> Tensor:
        axis = checked_axis("Unflatten", x, self.dim, argument="dim")
        length, sizes = x.shape[axis], self.unflattened_size
        known = math.prod(n for n in sizes if n != -1)
        fits = known == length if -1 not in sizes else known and length % known == 0
        if not fits:
            raise ShapeError(
                f"Unflatten: axis {self.dim} of shape {x.shape} has {length} elements, which "
                f"sizes {sizes} do not make."
            )
        whole = tuple(length // known if n == -1 else n for n in sizes)
        return ops.reshape(x, (*x.shape[:axis], *whole, *x.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
