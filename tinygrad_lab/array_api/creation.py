"""Creation of tensors: from numbers, lists and arrays, and from a shape.

Names and meanings are those of the Array API's creation functions. ``tg.tensor`` makes the leaf of
a graph, with a copy of the data; ``tg.asarray`` shares the memory, and keeps the history, if it
can. The default ``device`` is that of ``tg.default_device``; the default ``dtype`` is that of
``tg.set_default_dtype`` for floats, and int64 for integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.array_api.dtype_functions import astype
from tinygrad_lab.array_api.joining import (
    dtype_of_lists,
    has_gradients,
    join,
    warn_of_lost_gradient,
    without_gradients,
)
from tinygrad_lab.backends import NUMBERS, PYTHON, namespace_of, namespaces
from tinygrad_lab.backends.devices import backend_at
from tinygrad_lab.backends.dtypes import (
    array_of,
    dtype_of_list,
    dtype_of_number,
    get_default_complex_dtype,
    get_default_dtype,
    optional_dtype,
)
from tinygrad_lab.backends.no_numbers import check_numbers, is_masked, masked_array
from tinygrad_lab.context import current
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.leaves import Shape, leaf, sizes_of
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradientError,
    TinygradLabError,
    excerpt,
)

__all__ = [
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "ones",
    "ones_like",
    "scalar",
    "tensor",
    "zeros",
    "zeros_like",
]

# --- from data ---------------------------------------------------------------------------------


@explaining
def scalar(value: Any, *, name: str | None = None, requires_grad: bool = True) -> Tensor:
    """Make a tensor of a single number, stored as a Python float.

    Args:
        value: a number, or an array or a tensor of one element.
        name: its name in pictures.
        requires_grad: whether to compute a gradient for it.

    Raises:
        ArgumentTypeError: for anything but one number.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.scalar(3, name="x") * 2
        scalar(6.0, op=multiply)
    """
    if value.__class__ is float:
        return leaf(value, requires_grad=requires_grad, name=name)  # nearly always
    one = isinstance(value, float | int | np.number) or getattr(value, "size", None) == 1
    if not one:
        described = f"shape {value.shape}" if hasattr(value, "shape") else type(value).__name__
        raise ArgumentTypeError(
            f"tg.scalar takes a number, got {described}; tg.tensor takes arrays and lists."
        )
    check_numbers(value, "tg.scalar")
    if isinstance(value, Tensor):
        warn_of_lost_gradient("tg.scalar", value)
    number = _plain(value)
    if number.__class__ not in NUMBERS or isinstance(number, complex):
        raise ArgumentTypeError(f"tg.scalar takes a real number, got {excerpt(number)}.")
    number = namespaces[number.__class__].astype(number, float)
    return leaf(number, requires_grad=requires_grad, name=name)


@explaining
def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make a tensor with a copy of the data.

    Args:
        data: a number, (nested) lists of numbers, an array (also of another library, by DLPack),
            a Tensor. From lists with tensors that require a gradient, it flows back to each; a
            Tensor that requires one is copied without it, with a warning.
        dtype: the type of the elements. If it is not given, Python floats become ``tg.float32``
            (see ``tg.set_default_dtype``) and Python integers int64; arrays keep theirs.
        device: ``"cpu"`` or ``"cuda"``; by default the device of the data.
        requires_grad: whether to compute a gradient for it.
        name: its name in pictures.

    Raises:
        ArgumentError: for lists that do not form a rectangular array of numbers.
        DTypeError: for an unknown dtype, or data that are not numbers.
        DeviceError: for a missing device.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.tensor([[1, 2], [3, 4]], dtype=tg.float32).sum(axis=0)
        tensor([4., 6.])
    """
    if isinstance(data, Tensor):
        warn_of_lost_gradient("tg.tensor", data)
    given = data._read() if isinstance(data, Tensor) else data
    source, dtype, device = _as_read(given, dtype, device)
    try:
        array = _array("tg.tensor", source, dtype, device, copy=True)
    except GradientError:
        if not isinstance(data, list | tuple):
            raise
        joined = _joined("tg.tensor", data, dtype, device)
        if name is not None:
            joined.name = name
        return joined.requires_grad_() if requires_grad else joined
    return leaf(array, requires_grad=requires_grad, name=name)


def _joined(asked_by: str, data: Any, dtype: Any, device: str | None) -> Tensor:
    """Join (nested) lists with tensors that require a gradient, which flows back to each."""
    own = dtype_of_lists(asked_by, data)
    wanted = optional_dtype(dtype, asked_by) or own
    if wanted.kind not in "fc":
        plain = without_gradients(asked_by, data, wanted)
        return leaf(_array(asked_by, plain, wanted, device, copy=True))
    return astype(join(asked_by, data, wanted), wanted, copy=False, device=device)


def _as_read(data: Any, dtype: Any, device: str | None) -> tuple[Any, Any, str | None]:
    """Return data, dtype and device; in a compiled step, data are read again on each call."""
    recorder = current().recorder
    if recorder is None or (isinstance(data, list | tuple) and has_gradients(data)):
        return data, dtype, device
    if isinstance(data, list | tuple):
        joined = recorder.joined(data)
        if joined is data:
            return data, dtype, device
        data, dtype = joined, dtype or dtype_of_list(joined.dtype)
    # Traced arrays are on the CPU.
    return recorder.arrays_of([data])[0], dtype, None if device == "cpu" else device


@explaining
def asarray(
    obj: Any, /, *, dtype: Any = None, device: str | None = None, copy: bool | None = None
) -> Tensor:
    """Convert data to a tensor, sharing the memory if possible.

    A Tensor that needs no conversion is returned as it is; otherwise ops convert it, and gradients
    flow through them. ``tg.tensor`` makes a new leaf instead.

    Args:
        obj: anything that ``tg.tensor`` takes, or that exposes its memory (``memoryview``).
        dtype: the type of the elements; as in ``tg.tensor``.
        device: the device of the result; by default that of the data.
        copy: True: always copy; False: never; None: only if necessary.

    Raises:
        ArgumentError: for ``copy=False`` if a copy is needed; for data that do not form an array.
        DTypeError: for an unknown dtype, or data that are not numbers.
        DeviceError: for a missing device.

    Example:
        >>> import numpy as np, tinygrad_lab as tg
        >>> array = np.array([1.0, 2.0])
        >>> np.shares_memory(tg.asarray(array).numpy(), array)
        True
    """
    if not isinstance(obj, Tensor):
        source, dtype, device = _as_read(obj, dtype, device)
        try:
            return leaf(_array("tg.asarray", source, dtype, device, copy=copy))
        except GradientError:
            if not isinstance(obj, list | tuple):
                raise
            return _joined("tg.asarray", obj, dtype, device)
    wanted = optional_dtype(dtype, "tg.asarray") or obj.dtype
    converted = astype(obj, wanted, copy=bool(copy), device=device)
    if copy is False and converted is not obj:
        raise ArgumentError(
            f"asarray: {obj.dtype} on {obj.device} becomes {wanted} on {converted.device} only by "
            "a copy: leave copy=False out."
        )
    return converted


@explaining
def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Tensor:
    """Make a tensor that shares the memory of another library's array, by DLPack.

    Args:
        x: an array that has ``__dlpack__`` (PyTorch's, JAX's, NumPy's, CuPy's …).
        device: the device of the tensor; by default that of x.
        copy: True: always copy; False: never, raise instead; None: only to move x to another
            device.

    Raises:
        ArgumentTypeError: if x has no ``__dlpack__``.
        ArgumentError: for ``copy=False`` if a copy is needed.
        BufferError: from the other library, if it cannot export its array.

    Example:
        >>> import numpy as np, tinygrad_lab as tg
        >>> tg.from_dlpack(np.array([1.0, 2.0], dtype=np.float32))
        tensor([1., 2.])
    """
    if not hasattr(x, "__dlpack__"):
        raise ArgumentTypeError(
            f"tg.from_dlpack takes an array that has __dlpack__, got {type(x).__name__}."
        )
    return leaf(_put(_imported(x), None, device, copy))


_CPU = 1
"""DLPack's device type number for memory that NumPy reads."""


def _imported(x: Any) -> Any:
    """Import an array of another library as a NumPy or CuPy array in the same memory."""
    check_numbers(x, "tg.from_dlpack")
    if x.__dlpack_device__()[0] == _CPU:
        return np.from_dlpack(x)
    gpu: Any = backend_at("cuda")[0]
    return gpu.cupy.from_dlpack(x)


def _array(asked_by: str, data: Any, dtype: Any, device: str | None, copy: bool | None) -> Any:
    """Convert data to an array of numbers or booleans."""
    dtype = optional_dtype(dtype, asked_by)
    try:
        if type(data) not in namespaces and _is_array(data):
            data = _as_array(data)
            check_numbers(data, asked_by, objects=dtype is not None)
        elif data.__class__ in NUMBERS and hasattr(data, "dtype"):  # of a compiled step
            dtype = dtype or _dtype_of(data)
            data = namespaces[type(data)].transfer(data, device="cpu")
        elif not hasattr(data, "dtype"):
            data, dtype = _from_lists(asked_by, data, dtype, copy)
            # The data are not on any device yet.
            device = backend_at(device)[1]
        else:
            check_numbers(data, asked_by, objects=dtype is not None)
        array = _put(data, dtype, device, copy)
    except (ValueError, TypeError, OverflowError) as error:
        if isinstance(error, TinygradLabError):
            raise
        raise ArgumentError(f"{asked_by}: expected rectangular data of numbers; {error}.") from None
    check_numbers(array, asked_by)
    return array


def _from_lists(asked_by: str, data: Any, dtype: Any, copy: bool | None) -> tuple[Any, Any]:
    """Convert numbers or nested lists to a NumPy array, and return it with its target dtype."""
    try:
        array, own = array_of(_memory(data) if copy is False else data)
    except ArgumentError as error:
        raise ArgumentError(f"{asked_by}: {error}") from None
    check_numbers(array, asked_by, data, objects=dtype is not None)
    if dtype is None:
        return array, own
    exact = array.dtype.kind == "f" and dtype.kind in "fc"
    # For integers, NumPy's own conversion of a list refuses what does not fit.
    return array if exact or own is None else np.asarray(data, dtype=dtype), dtype


def _is_array(data: Any) -> bool:
    """Return whether data are an array of some library, or of a subclass of NumPy's."""
    return hasattr(data, "__array__") or hasattr(data, "__dlpack__")


def _as_array(data: Any) -> Any:
    """Return an array of a class that has a namespace, in the same memory if possible.

    Raises:
        ArgumentTypeError: for a masked array.
    """
    if is_masked(data):
        raise masked_array()
    if hasattr(data, "__dlpack__") and not isinstance(data, np.ndarray | np.generic):
        return _imported(data)
    return np.asarray(data)


def _memory(data: Any) -> memoryview:
    """Return an array in the memory that data expose."""
    try:
        return memoryview(data)
    except TypeError:
        raise ArgumentError(
            f"copy=False needs an array whose memory can be shared; got {type(data).__name__}."
        ) from None


def _put(array: Any, dtype: Any, device: str | None, copy: bool | None) -> Any:
    """Convert an array to a dtype and move it to a device, if given."""
    here = namespace_of([array])
    backend, name = (here, None) if device is None else backend_at(device)
    wanted = dtype or array.dtype
    if isinstance(wanted, np.dtype) and not wanted.isnative:
        wanted = wanted.newbyteorder("=")
    try:
        # Backends read only arrays of NumPy besides their own.
        source = array if backend is here or copy is False else here.to_numpy(array)
        return backend.asarray(source, dtype=wanted, device=name, copy=copy)
    except (ValueError, TypeError):
        if copy is not False:
            raise
        raise ArgumentError(
            f"expected data whose memory can be shared, for copy=False; got {array.dtype} on "
            f"{here.device_of(array)} to become {wanted} on {name or 'the same'}, which takes a "
            "copy: leave copy out."
        ) from None


# --- from a shape ------------------------------------------------------------------------------


@explaining
def zeros(
    shape: Shape,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make a tensor of zeros.

    Args:
        shape: the size of each axis, or the length of a vector.
        dtype: the type of the elements; the default floating one if not given.
        device: the device of the tensor; see ``tg.default_device``.
        requires_grad: whether to compute a gradient for it.
        name: its name in pictures.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.zeros((2, 3), requires_grad=True, name="w").shape
        (2, 3)
    """
    data = _made("zeros", sizes_of("zeros", shape), dtype=dtype, device=device)
    return leaf(data, requires_grad=requires_grad, name=name)


@explaining
def ones(
    shape: Shape,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make a tensor of ones; the arguments are those of ``tg.zeros``."""
    data = _made("ones", sizes_of("ones", shape), dtype=dtype, device=device)
    return leaf(data, requires_grad=requires_grad, name=name)


@explaining
def empty(
    shape: Shape,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make a tensor of uninitialised memory; the arguments are those of ``tg.zeros``."""
    data = _made("empty", sizes_of("empty", shape), dtype=dtype, device=device)
    return leaf(data, requires_grad=requires_grad, name=name)


@explaining
def full(
    shape: Shape,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make a tensor filled with one number.

    Args:
        shape: the size of each axis, or the length of a vector.
        fill_value: the number, which may be a tensor or an array of one element.
        dtype: the type of the elements; that of the number if not given.
        device, requires_grad, name: as in ``tg.zeros``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.full(3, 0.5), tg.full((), 7)
        (tensor([0.5, 0.5, 0.5]), tensor(7, dtype=int64))
    """
    number, own_dtype = _number("full", fill_value)
    sizes = sizes_of("full", shape)
    data = _made("full", sizes, number, dtype=dtype, default=own_dtype, device=device)
    return leaf(data, requires_grad=requires_grad, name=name)


@explaining
def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make a matrix with ones on its k-th diagonal (above the main one for k > 0), else zeros.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.eye(2, 3, k=1, dtype=tg.int64).tolist()
        [[0, 1, 0], [0, 0, 1]]
    """
    rows, columns = sizes_of("eye", (n_rows, n_rows if n_cols is None else n_cols))
    data = _made("eye", rows, columns, k=k, dtype=dtype, device=device)
    return leaf(data, requires_grad=requires_grad, name=name)


@explaining
def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make a vector of numbers from ``start`` in steps of ``step`` up to ``stop``, exclusive.

    A single argument is ``stop``, with a ``start`` of 0. Steps that floats cannot represent exactly
    (0.1) may give a last number just below ``stop``, or one number more or less than expected:
    ``tg.linspace`` takes the count instead.

    Args:
        dtype: if not given, int64 if all three numbers are integers, else the default floating one.
        device, requires_grad, name: as in ``tg.zeros``.

    Raises:
        ArgumentError: for a step of 0, or for more numbers than fit in memory.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.arange(3).tolist(), tg.arange(1, 0, -0.25).tolist()
        ([0, 1, 2], [1.0, 0.75, 0.5, 0.25])
    """
    if stop is None:
        start, stop = 0, start
    # In a compiled step, too, they are plain numbers: how many there are depends on them.
    limits = [_number("arange", x)[0] for x in (start, stop, step)]
    limits = [x.item() if hasattr(x, "item") else x for x in limits]
    if limits[2] == 0:
        raise ArgumentError(f"arange: expected a step other than 0, got {excerpt(step)}.")
    integers = all(isinstance(x, int) for x in limits)
    default = dtype_of_number(0) if integers else get_default_dtype()
    wanted = optional_dtype(dtype, "arange") or default
    # Rounding errors of the steps accumulate, so compute in float64 for any dtype.
    working = wanted if integers and wanted.kind in "iu" else np.float64
    data = _made("arange", *limits, dtype=working, device=device)
    data = namespaces[type(data)].astype(data, wanted, copy=False)
    return leaf(data, requires_grad=requires_grad, name=name)


@explaining
def linspace(
    start: complex,
    stop: complex,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: str | None = None,
    endpoint: bool = True,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make a vector of ``num`` evenly spaced numbers from ``start`` to ``stop``.

    Args:
        endpoint: whether ``stop`` is the last number; otherwise they end one step before.
        dtype: the default floating one if not given (or complex, if start or stop is).
        device, requires_grad, name: as in ``tg.zeros``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.linspace(0, 1, 5).tolist(), tg.linspace(0, 1, 5, endpoint=False)[-1].item()
        ([0.0, 0.25, 0.5, 0.75, 1.0], 0.800000011920929)
    """
    ends = [_number("linspace", x)[0] for x in (start, stop)]
    (count,) = sizes_of("linspace", (num,))
    default = get_default_complex_dtype() if any(isinstance(x, complex) for x in ends) else None
    data = _made(
        "linspace", *ends, count, dtype=dtype, default=default, device=device, endpoint=endpoint
    )
    return leaf(data, requires_grad=requires_grad, name=name)


def _made(
    maker: str, *arguments: Any, dtype: Any, device: str | None, default: Any = None, **options: Any
) -> Any:
    """Call a creation function of the library of a device."""
    wanted = optional_dtype(dtype, maker) or default or get_default_dtype()
    backend, place = backend_at(device)
    make, recorder = getattr(backend.library, maker), current().recorder
    try:
        with backend.on(place):
            if recorder is None:
                made = make(*arguments, dtype=wanted, **options)
            else:
                made = recorder.made(make, *arguments, dtype=wanted, **options)
    except (ValueError, OverflowError, MemoryError, TypeError) as error:
        described = ", ".join(f"{excerpt(argument)}" for argument in arguments)
        raise ArgumentError(f"{maker} of {described} as {wanted}: {error}.") from None
    # A library without a current device creates every array on its first device.
    return made if backend.device_of(made) == place else backend.asarray(made, device=place)


_WITH_GRADIENT = {
    "full": "x * tg.ones(shape)",
    "full_like": "x * tg.ones_like(like)",
    "arange": "start + step * tg.arange(count)",
    "linspace": "start + (stop - start) * tg.linspace(0, 1, num)",
}
"""How the gradient of a number that a creation function takes is kept."""


def _number(asked_by: str, value: Any) -> tuple[Any, Any]:
    """Convert a number to a Python number, and return it with its dtype."""
    if value.__class__ in NUMBERS:
        return value, _dtype_of(value)
    if isinstance(value, int | float | complex) and not isinstance(value, np.generic):
        return value, dtype_of_number(value)
    if getattr(value, "shape", None) == ():
        if isinstance(value, Tensor) and value.requires_grad:
            raise GradientError(
                f"{asked_by}: {value!r} requires a gradient, which would be lost; if you do not "
                f"need it here: x.detach(), else {_WITH_GRADIENT[asked_by]}."
            )
        check_numbers(value, asked_by)
        return _plain(value), value.dtype
    raise ArgumentTypeError(f"{asked_by}: expected a number, got {excerpt(value)}.")


def _dtype_of(number: Any) -> Any:
    """Return the default dtype for a number, which may be one of a compiled step."""
    kind = getattr(number, "dtype", None)
    return dtype_of_number(number if kind is None else kind.type(0).item())


def _plain(value: Any) -> Any:
    """Return a number, or that in an array of one element, as a number of Python's own.

    In a compiled step it is read again on each call.
    """
    if value.__class__ in NUMBERS:
        return value
    recorder = current().recorder
    if recorder is None:
        return value.item() if hasattr(value, "item") else value
    (array,) = recorder.arrays_of([value])
    if array.__class__ in NUMBERS:
        return array
    return namespaces[array.__class__].moved(array, PYTHON, "python")


# --- like another ----------------------------------------------------------------------------


@explaining
def zeros_like(
    x: Any,
    /,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make zeros with the shape of x, and by default its dtype and device.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.zeros_like(tg.tensor([1.0, 2.0]), dtype=tg.int64)
        tensor([0, 0], dtype=int64)
    """
    if dtype is None and device is None and not requires_grad and name is None:
        return ops.zeros_like(x)  # an op, so that a recorded step depends only on the shape
    return full_like(x, 0, dtype=dtype, device=device, requires_grad=requires_grad, name=name)


@explaining
def ones_like(
    x: Any,
    /,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make ones with the shape of x, and by default its dtype and device."""
    if dtype is None and device is None and not requires_grad and name is None:
        return ops.ones_like(x)  # an op, so that a recorded step depends only on the shape
    return full_like(x, 1, dtype=dtype, device=device, requires_grad=requires_grad, name=name)


@explaining
def empty_like(
    x: Any,
    /,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make an uninitialised tensor with the shape of x, and by default its dtype and device."""
    like = asarray(x)
    if dtype is None and device is None and like._data.__class__ in NUMBERS:
        return zeros_like(like, requires_grad=requires_grad, name=name)
    data = _made("empty", like.shape, dtype=dtype or like.dtype, device=device or like.device)
    return leaf(data, requires_grad=requires_grad, name=name)


@explaining
def full_like(
    x: Any,
    /,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Make a tensor of one number with the shape of x, and by default its dtype and device.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.full_like(tg.tensor([[1.0, 2.0]]), 7)
        tensor([[7., 7.]])
    """
    like = asarray(x)
    number, _ = _number("full_like", fill_value)
    if dtype is None and device is None and like._data.__class__ in NUMBERS:
        # A tg.scalar gives a tg.scalar.
        data = namespaces[number.__class__].astype(number, like.dtype)
    else:
        wanted, place = dtype or like.dtype, device or like.device
        data = _made("full", like.shape, number, dtype=wanted, device=place)
    return leaf(data, requires_grad=requires_grad, name=name)
