"""What a module of the package says about a name that it does not have.

``tg.nn.functional.nll_loss``, ``tg.nn.L1Loss``, ``tg.linalg.lstsq``: how PyTorch's and NumPy's
names are written here. ``spellings.py`` says what x, y, v, i ... stand for; p and q are
probabilities, o is an optimiser.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from opcode import opmap
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from tinygrad_lab.errors import MissingAttributeError, MissingNameError
from tinygrad_lab.other_names import ABSENT_NAMES, arguments_shown, parsed, spelling_of
from tinygrad_lab.other_names.sentences import SENTENCES

__all__ = [
    "MODULES",
    "as_asked_for",
    "explain_missing",
    "missing_from_namespace",
    "spelling_in_modules",
]

_NN = """
Buffer = tg.nn.Module().register_buffer("mean", tg.zeros((3,)))
EmbeddingBag = tg.sum(tg.nn.Embedding(3, 4)(i), axis=0)
ZeroPad3d ConstantPad3d = tg.pad(x, ((0, 0), (1, 1)))
ReflectionPad3d = tg.pad(x, ((0, 0), (1, 1)), mode="reflect")
ReplicationPad3d = tg.pad(x, ((0, 0), (1, 1)), mode="edge")
CircularPad3d = tg.pad(x, ((0, 0), (1, 1)), mode="wrap")
CrossMapLRN2d = tg.nn.LocalResponseNorm(5)
"""
_FUNCTIONAL = """
gumbel_softmax = tg.softmax(x - tg.log(-tg.log(tg.random.uniform(x.shape))))
upsample upsample_nearest = tg.nn.functional.interpolate(tg.ones((1, 1, 2, 2)), scale_factor=2)
upsample_bilinear = tg.nn.functional.interpolate(
    tg.ones((1, 1, 2, 2)), scale_factor=2, mode="bilinear", align_corners=True)
"""

_INIT = """
constant = tg.nn.init.constant_(x, 0.5)
normal = tg.nn.init.normal_(x)
uniform = tg.nn.init.uniform_(x)
kaiming_normal = tg.nn.init.kaiming_normal_(x)
kaiming_uniform = tg.nn.init.kaiming_uniform_(x)
xavier_normal = tg.nn.init.xavier_normal_(x)
xavier_uniform = tg.nn.init.xavier_uniform_(x)
eye = tg.nn.init.eye_(x)
orthogonal = tg.nn.init.orthogonal_(x)
sparse = tg.nn.init.sparse_(x, 0.5)
dirac = tg.nn.init.dirac_(tg.zeros((2, 2, 3)))
"""

_UTILS = """
clip_grad_norm = tg.nn.utils.clip_grad_norm_(o.param_groups[0]["params"], max_norm=1.0)
"""

_LINALG = """
inv_ex = tg.linalg.inv(x)
cholesky_ex = tg.linalg.cholesky(x @ x.mT)
solve_ex = tg.linalg.solve(x, y)
solve_triangular = of the lower triangle: tg.linalg.solve(tg.tril(x), y);
    of the upper: tg.linalg.solve(tg.triu(x), y)
multi_dot = x @ x @ x
LinAlgError = tg.errors.LinAlgError
"""

_RANDOM = """
random ranf sample = tg.random.uniform((2, 3))
standard_normal = tg.random.normal((2, 3))
random_integers = tg.random.integers((2, 3), 0, 10)
shuffle = x[tg.random.permutation(len(x))]
default_rng RandomState = tg.Generator(0)
exponential standard_exponential = -tg.log1p(-tg.random.uniform((2, 3)))
lognormal = tg.exp(tg.random.normal((2, 3)))
multinomial = tg.sum(tg.one_hot(tg.random.choice(3, 10, p=[0.2, 0.3, 0.5]), 3), axis=0)
power = tg.random.uniform((2, 3)) ** (1 / 2.0)
binomial = tg.sum(tg.random.bernoulli((10, 3), 0.5), axis=0)
"""

_FFT = """
fft2 = tg.fft.fftn(x, axes=(-2, -1))
ifft2 = tg.fft.ifftn(x, axes=(-2, -1))
rfft2 = tg.fft.rfftn(x, axes=(-2, -1))
irfft2 = tg.fft.irfftn(z, axes=(-2, -1))
"""
_AUTOGRAD = """
Variable = tg.tensor([1.0], requires_grad=True)
Function = tg.op("cubed", forward=lambda xp, x: x**3, vjp={"x": lambda xp, g, x: 3 * g * x**2})
functional = tg.jacobian, tg.hessian, tg.vjp, tg.jvp, tg.hvp
backward = tg.scalar(1.0).backward()
gradgradcheck = tg.gradcheck(tg.sum, x.astype(tg.float64), order=2)
detect_anomaly set_detect_anomaly = tg.debug()
"""

MODULES: dict[str, dict[str, str]] = {
    "nn": parsed(_NN),
    "nn.functional": parsed(_FUNCTIONAL),
    "nn.init": parsed(_INIT),
    "nn.utils": parsed(_UTILS),
    "nn.utils.prune": {},
    "optim": {},
    "optim.lr_scheduler": {},
    "linalg": parsed(_LINALG),
    "fft": parsed(_FFT),
    "random": parsed(_RANDOM),
    "autograd": parsed(_AUTOGRAD),
    "data": {},
}
"""For each module, the names that only it is asked for."""

_ABSENT = """
    eig eigvals cond matrix_exp matrix_sqrth lu tensorinv tensorsolve
"""
"""Names of PyTorch and NumPy without an equivalent that are similar to one that exists here."""


def spelling_in_modules(name: str, package: ModuleType) -> str | None:
    """Return how to write a name of a module of the package, or of one of their tables."""
    for short in MODULES:
        module = sys.modules[f"{package.__name__}.{short}"]
        if name in module.__all__:
            found = vars(module)[name]
            return f"tg.{short}.{name}{_call(found)}"
    tables = ("nn.functional", "nn", "optim.lr_scheduler", "linalg", "fft", "autograd")
    return next((MODULES[t][name] for t in tables if name in MODULES[t]), None)


def missing_from_namespace(name: str, namespace: Any) -> AttributeError:
    """Return the error for a name that the package does not have."""
    label = namespace.__name__
    if name.startswith("_"):
        return AttributeError(f"module {label!r} has no attribute {name!r}")
    spelling = spelling_of(name, namespace, method=False) or spelling_in_modules(name, namespace)
    spelling = spelling or SENTENCES.get(name)
    if spelling is None and not _is_of_torch_or_numpy(name):
        close = get_close_matches(name, namespace.__all__, n=1, cutoff=0.8)
        spelling = f"did you mean tg.{close[0]}?" if close else None
    return MissingAttributeError(f"{label} has no {name!r}{f': {spelling}' if spelling else '.'}")


_IMPORT_FROM = opmap["IMPORT_FROM"]


def as_asked_for(error: AttributeError) -> Exception:
    """Return an ImportError with the same message, if a ``from ... import ...`` asks for the name.

    Python would turn an AttributeError into an ImportError that says nothing but the name.
    """
    frame = sys._getframe(2)  # where the module's __getattr__ was called from
    is_import = frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == _IMPORT_FROM
    explains = isinstance(error, MissingAttributeError)
    return MissingNameError(str(error)) if is_import and explains else error


def _is_of_torch_or_numpy(name: str) -> bool:
    """Return whether a name means something that this package does not have."""
    torch = sys.modules.get("torch")
    return name in ABSENT_NAMES or name in vars(np) or name in (vars(torch) if torch else ())


def explain_missing(module: ModuleType, package: ModuleType) -> None:
    """Let a module of the package say how a name that it does not have is written here."""

    def missing(name: str) -> Any:
        raise as_asked_for(_missing(name, module, package))

    module.__getattr__ = missing  # type: ignore[method-assign]


def _missing(name: str, module: ModuleType, package: ModuleType) -> AttributeError:
    label = module.__name__
    if name.startswith("_"):
        return AttributeError(f"module {label!r} has no attribute {name!r}")
    short = label.partition(".")[2]
    spelling = MODULES[short].get(name) or _elsewhere(name, short, package) or SENTENCES.get(name)
    if spelling is None and not _is_of_another_library(name):
        close = get_close_matches(name, module.__all__, n=1, cutoff=0.8)
        spelling = f"did you mean tg.{short}.{close[0]}?" if close else None
    return MissingAttributeError(f"{label} has no {name!r}{f': {spelling}' if spelling else '.'}")


def _elsewhere(name: str, short: str, package: ModuleType) -> str | None:
    """Return how to write a name of another module of the package, or of one of its tables."""
    found = vars(package).get(name) if name in package.__all__ else None
    if found is not None and not isinstance(found, ModuleType):
        return f"tg.{name}{_call(found)}"
    for other in MODULES:
        module = sys.modules[f"{package.__name__}.{other}"]
        if name in module.__all__ and not isinstance(vars(module)[name], ModuleType):
            return f"tg.{other}.{name}{_call(vars(module)[name])}"
    spelling = spelling_of(name, package, method=False)
    if spelling is None and short == "nn.functional":
        spelling = MODULES[short].get(name.removesuffix("_"))
    return spelling


def _call(found: Any) -> str:
    """Return the arguments to show, for a function."""
    return f"({arguments_shown(found)})" if isinstance(found, FunctionType) else ""


def _is_of_another_library(name: str) -> bool:
    """Return whether a name means something that this package does not have."""
    libraries = [np, np.fft, np.linalg, np.random]
    for label in ("torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.nn.init"):
        libraries += [sys.modules[label]] if label in sys.modules else []
    return name in _ABSENT.split() or any(name in vars(library) for library in libraries)
