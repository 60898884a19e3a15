"""Arrays of ``array_api_strict``: code that runs on them runs on any library of the standard.

The library implements the Array API and nothing beyond it: no function, argument or type promotion
that only NumPy has. It also simulates several devices, ``"strict"``, ``"strict:1"`` and
``"strict:2"``, and refuses to mix them. Computing on ``"strict:1"`` therefore finds the same
mistakes as a GPU: arrays created on the default device instead of that of the others.

Arrays are wrapped for two reasons. This package uses NumPy's dtypes on every backend (as CuPy
does), but the library has its own. And indexing with arrays, SciPy's functions and scatter-add go
beyond the standard: here NumPy computes them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from tinygrad_lab.backends import NUMPY
from tinygrad_lab.backends.namespace import SCIPY, Array, Namespace, register_namespace
from tinygrad_lab.errors import DeviceError

__all__ = ["StrictArray", "strict_backend"]


class StrictArray:
    """An array of ``array_api_strict`` on one of its devices, with NumPy's dtypes."""

    __slots__ = ("array",)
    __array_ufunc__ = None

    def __init__(self, array: Any) -> None:
        self.array = array

    @property
    def dtype(self) -> np.dtype[Any]:
        return _load().dtypes[self.array.dtype]

    @property
    def device(self) -> Any:
        return self.array.device

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def size(self) -> int:
        return self.array.size

    def __array_namespace__(self, api_version: str | None = None) -> Namespace:
        return _load()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("NumPy cannot use an array of the strict backend: x.to('cpu') first.")

    def item(self) -> Any:
        return _load().to_numpy(self).item()

    def reshape(self, shape: Any) -> StrictArray:
        """Reshape the array: the only method beyond the standard in use, for fast optimisers."""
        return _load().reshape(self, (shape,) if isinstance(shape, int) else shape)

    def __getitem__(self, index: Any) -> Any:
        if not _has_array(index):
            try:
                return StrictArray(self.array[_whole(index)])
            except IndexError:
                # The standard does not define slices beyond the end; NumPy clips them.
                pass
        backend = _load()
        found = backend.to_numpy(self)[_on_numpy(backend, self, index)]
        return backend.asarray(found, device=backend.device_of(self))

    def __setitem__(self, index: Any, value: Any) -> None:
        _check_devices(self, value)
        if not _has_array(index):
            try:
                self.array[_whole(index)] = _unwrapped(value)
                return
            except IndexError:
                pass
        backend = _load()
        numbers = backend.to_numpy(self).copy()
        value = backend.to_numpy(value) if isinstance(value, StrictArray) else value
        numbers[_on_numpy(backend, self, index)] = value
        self.array[...] = backend.asarray(numbers, device=backend.device_of(self)).array

    def __bool__(self) -> bool:
        return bool(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __int__(self) -> int:
        return int(self.array)

    def __index__(self) -> int:
        return operator.index(self.array)

    def __repr__(self) -> str:
        return f"Strict{self.array!r}"

    __hash__ = object.__hash__


def _operator(name: str) -> Callable[..., Any]:
    def apply(one: StrictArray, *others: Any) -> Any:
        if not all(isinstance(x, StrictArray | bool | int | float | complex) for x in others):
            return NotImplemented
        _check_devices(one, *others)
        found = getattr(one.array, name)(*map(_unwrapped, others))
        return found if found is NotImplemented else StrictArray(found)

    apply.__name__ = name
    return apply


def _in_place(name: str) -> Callable[..., Any]:
    def apply(one: StrictArray, other: Any) -> StrictArray:
        _check_devices(one, other)
        one.array = getattr(operator, name)(one.array, _unwrapped(other))
        return one

    apply.__name__ = name
    return apply


_BINARY = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
]
_COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]
for _name in [
    *_BINARY,
    *(f"r{name}" for name in _BINARY),
    *_COMPARISONS,
    *("neg", "pos", "abs", "invert"),
]:
    setattr(StrictArray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in _BINARY:
    setattr(StrictArray, f"__i{_name}__", _in_place(f"__i{_name}__"))


def _has_array(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, StrictArray | np.ndarray) for part in parts)


def _whole(index: Any) -> tuple[Any, ...]:
    """Complete an index to all axes: the standard does not define shorter ones."""
    parts = index if isinstance(index, tuple) else (index,)
    return parts if any(part is ... for part in parts) else (*parts, ...)


def _on_numpy(backend: _Strict, array: StrictArray, index: Any) -> Any:
    """Convert the arrays in an index to NumPy's; they must be on the device of the array."""
    parts = index if isinstance(index, tuple) else (index,)
    _check_devices(array, *parts)
    parts = tuple(backend.to_numpy(p) if isinstance(p, StrictArray) else p for p in parts)
    return parts if isinstance(index, tuple) else parts[0]


def _check_devices(*values: Any) -> None:
    """Raise this package's error if devices are mixed."""
    found = [value for value in values if isinstance(value, StrictArray)]
    for other in found[1:]:
        if other.device != found[0].device:
            one, two = (_load().device_of(x) for x in (found[0], other))
            raise DeviceError(f"arrays on {one} and on {two} do not mix: x.to(device).")


def _unwrapped(value: Any) -> Any:
    """Convert an array, a dtype, or a container of arrays to the library's types."""
    if isinstance(value, StrictArray):
        return value.array
    if isinstance(value, list | tuple):
        return type(value)(map(_unwrapped, value))
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return _load().dtypes_of_library[np.dtype(value)]
    return value


def _wrapped(value: Any) -> Any:
    """Convert a result of the library to this package's types."""
    backend = _load()
    if isinstance(value, backend.kind):
        return StrictArray(value)
    if value.__class__ in backend.kinds_of_dtype:
        return backend.dtypes[value]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_wrapped, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_wrapped, value))
    return value


class _Functions:
    """The functions of the library, or of one of its extensions, for wrapped arrays."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if isinstance(found, ModuleType):
            return _Functions(found)
        if not callable(found):
            return _wrapped(found)

        def call(*arguments: Any, **options: Any) -> Any:
            flat = [x for a in arguments for x in (a if isinstance(a, list | tuple) else (a,))]
            _check_devices(*flat, *options.values())
            given = {key: _unwrapped(value) for key, value in options.items()}
            return _wrapped(found(*map(_unwrapped, arguments), **given))

        return call


class _Strict(Namespace):
    name = "array_api_strict"
    default_device = "strict"

    def __init__(self, module: Any) -> None:
        super().__init__(_Functions(module))
        self.module = module
        self.kind = type(module.asarray(0.0))
        names = [*module.__array_namespace_info__().dtypes()]
        self.dtypes = {getattr(module, name): np.dtype(name) for name in names}
        self.dtypes_of_library = {ours: theirs for theirs, ours in self.dtypes.items()}
        self.kinds_of_dtype = {type(one) for one in self.dtypes}
        names_of_devices = ["CPU_DEVICE", "device1", "device2"]
        self.devices = {
            f"strict:{number}" if number else "strict": module.Device(name)
            for number, name in enumerate(names_of_devices)
        }

    def device_of(self, array: Array) -> str:
        return next(name for name, one in self.devices.items() if one == array.device)

    def asarray(
        self, data: Any, dtype: Any = None, device: str | None = None, copy: bool | None = True
    ) -> Array:
        if isinstance(data, StrictArray):
            device = self.device_of(data) if device is None else device
            data = self.to_numpy(data)
        numbers = np.array(data, dtype=dtype)
        return StrictArray(
            self.module.asarray(numbers, device=self.devices[device or self.default_device])
        )

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        # The library exports only arrays of its first device.
        return np.asarray(array.array.to_device(self.devices["strict"]))

    def where(self, condition: Any, x: Array, y: Array) -> Array:
        if isinstance(condition, bool):
            device = self.device_of(x if isinstance(x, StrictArray) else y)
            condition = self.asarray(condition, device=device)
        return self.library.where(condition, x, y)

    def astype(self, x: Array, dtype: Any, copy: bool = True) -> Array:
        return self.library.astype(x, np.dtype(dtype), copy=copy)

    def add_at(self, target: Array, key: Any, values: Array) -> None:
        _check_devices(target, values)
        buffer = self.to_numpy(target).copy()
        np.add.at(buffer, _on_numpy(self, target, key), self.to_numpy(values))
        target[...] = self.asarray(buffer, device=self.device_of(target))


def _by_numpy(name: str) -> Any:
    """Return a function of SciPy as a method."""

    def function(self: _Strict, *arrays: Array) -> Array:
        *numbers, x = arrays
        found = getattr(NUMPY, name)(*numbers, self.to_numpy(x))
        return self.asarray(found, device=self.device_of(x))

    return function


for _name in SCIPY:
    setattr(_Strict, _name, _by_numpy(_name))


@cache
def _load() -> _Strict:
    try:
        import array_api_strict
    except ImportError as error:
        raise DeviceError(
            "device 'strict' needs array-api-strict, which is not installed: "
            "pip install 'tinygrad_lab[test]'."
        ) from error
    backend = _Strict(array_api_strict)
    register_namespace(StrictArray, backend)
    return backend


def strict_backend(device: str) -> Namespace:
    """Return the strict backend, if it has the device.

    Raises:
        DeviceError: without array_api_strict, or for an unknown device.
    """
    backend = _load()
    if device not in backend.devices:
        raise DeviceError(f"expected a device {', '.join(backend.devices)}; got {device!r}.")
    return backend
