"""tinygrad_lab: reverse-mode autograd whose computation graph you can see.

To learn how backpropagation works, read the plain engine, in this order:
``engine/tensor.py``, ``engine/op.py``, ``engine/apply.py``, ``engine/node.py``,
``engine/backward.py``; then one file of ops, ``ops/arithmetic.py``.
"""

from tinygrad_lab import startup as _startup  # noqa: F401  # isort: skip (comes before all else)

import sys as _sys
import typing as _typing
from types import ModuleType as _ModuleType

# Every function that the families of ops declare. What is imported below takes precedence.
from tinygrad_lab.ops import *  # isort: skip

from tinygrad_lab import (
    autograd as autograd,
    data as data,
    errors as errors,
    fft as fft,
    linalg as linalg,
    nn as nn,
    operators as _operators,
    optim as optim,
    random as random,
)
from tinygrad_lab.answers.explain import (
    explain as explain,
)
from tinygrad_lab.array_api.creation import (
    arange as arange,
    asarray as asarray,
    empty as empty,
    empty_like as empty_like,
    eye as eye,
    from_dlpack as from_dlpack,
    full as full,
    full_like as full_like,
    linspace as linspace,
    ones as ones,
    ones_like as ones_like,
    scalar as scalar,
    tensor as tensor,
    zeros as zeros,
    zeros_like as zeros_like,
)
from tinygrad_lab.array_api.dtype_functions import (
    astype as astype,
    can_cast as can_cast,
    finfo as finfo,
    iinfo as iinfo,
    isdtype as isdtype,
    result_type as result_type,
)
from tinygrad_lab.array_api.info import (
    array_namespace_info as __array_namespace_info__,
    e as e,
    inf as inf,
    nan as nan,
    newaxis as newaxis,
    pi as pi,
)
from tinygrad_lab.array_api.interchange import array_api_version as __array_api_version__
from tinygrad_lab.backends.devices import (
    default_device as default_device,
    devices as devices,
    get_default_device as get_default_device,
)
from tinygrad_lab.backends.dtypes import (
    bool as bool,
    complex64 as complex64,
    complex128 as complex128,
    float16 as float16,
    float32 as float32,
    float64 as float64,
    get_default_dtype as get_default_dtype,
    int8 as int8,
    int16 as int16,
    int32 as int32,
    int64 as int64,
    set_default_dtype as set_default_dtype,
    uint8 as uint8,
    uint16 as uint16,
    uint32 as uint32,
    uint64 as uint64,
)
from tinygrad_lab.calculus import reproduce as _reproduce
from tinygrad_lab.calculus.checkpoint import (
    checkpoint as checkpoint,
)
from tinygrad_lab.calculus.gradcheck import (
    gradcheck as gradcheck,
)
from tinygrad_lab.calculus.transforms import (
    grad as grad,
    hessian as hessian,
    hvp as hvp,
    jacobian as jacobian,
    jvp as jvp,
    value_and_grad as value_and_grad,
    vjp as vjp,
)
from tinygrad_lab.compiler import (
    compile as compile,
)
from tinygrad_lab.context import (
    no_grad as no_grad,
    plain as plain,
    record as record,
)
from tinygrad_lab.engine.debugger import (
    debug as debug,
)
from tinygrad_lab.engine.declare import (
    op as op,
)
from tinygrad_lab.engine.tensor import (
    Tensor as Tensor,
)
from tinygrad_lab.graphs import (
    Graph as Graph,
    graph as graph,
)
from tinygrad_lab.other_names import modules as _modules_that_explain
from tinygrad_lab.random.generator import (
    Generator as Generator,
    seed as seed,
)
from tinygrad_lab.saving import (
    load as load,
    save as save,
)
from tinygrad_lab.show.derive import (
    derive as derive,
)
from tinygrad_lab.show.draw import (
    draw as draw,
)
from tinygrad_lab.show.of_errors import attach as _attach_pictures_to_errors

__version__ = "0.1.0"

if not _typing.TYPE_CHECKING:
    _PUBLIC_MODULES = ("autograd", "data", "errors", "fft", "linalg", "nn", "optim", "random")
    __all__ = [
        "__array_api_version__",
        "__array_namespace_info__",
        *sorted(
            name
            for name, value in globals().items()
            if not name.startswith("_")
            and (name in _PUBLIC_MODULES or not isinstance(value, _ModuleType))
        ),
    ]

    def __getattr__(name: str) -> object:
        if name == "train":  # it is imported where it is used
            import tinygrad_lab.train as train

            return train
        missing = _modules_that_explain.missing_from_namespace(name, _sys.modules[__name__])
        raise _modules_that_explain.as_asked_for(missing)


_operators.attach(namespace=_sys.modules[__name__])
_attach_pictures_to_errors(draw)
for _name in _modules_that_explain.MODULES:
    _modules_that_explain.explain_missing(
        _sys.modules[f"{__name__}.{_name}"], _sys.modules[__name__]
    )
_reproduce.public_modules["tinygrad_lab"] = _sys.modules[__name__]
