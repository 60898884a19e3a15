"""Parameter: a tensor that is learned."""

from __future__ import annotations

from typing import Any

from tinygrad_lab.array_api.creation import tensor
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import DTypeError

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A tensor that is learned: as an attribute of a module it is one of its parameters.

    Raises:
        DTypeError: for complex numbers.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Parameter(tg.tensor([1.0, 2.0]))
        tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        parameter = super().__new__(cls)
        source = data if isinstance(data, Tensor) else tensor([] if data is None else data)
        if source.dtype.kind == "c":
            raise DTypeError(
                f"a Parameter holds real numbers, got {source.dtype}. Learn the real and the "
                "imaginary part: tg.complex(a, b)."
            )
        parameter._data = source._data
        parameter._node = None
        parameter.requires_grad_(requires_grad)
        return parameter
