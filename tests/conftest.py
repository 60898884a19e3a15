"""Settings of all tests: reproducible examples, a backend, and nothing left behind.

``pytest --backend numpy|cupy|strict`` chooses the arrays that the tests compute on. ``strict`` is
``array_api_strict``, which offers what the standard defines and no more. The tests of the files
listed below run on each backend, except those marked ``numpy_only``; without a GPU ``cupy`` is
skipped.
"""

import functools
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import tinygrad_lab as tg
from tinygrad_lab.backends import backend_for_device, forwards, register_device
from tinygrad_lab.context import changed, current
from tinygrad_lab.engine.declare import functions
from tinygrad_lab.engine.op import table

from .strict_backend import strict_backend

settings.register_profile(
    "reproducible",
    derandomize=True,
    print_blob=True,
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow],
)
# Takes an hour: many examples, and new ones in every run.
settings.register_profile(
    "thorough", settings.get_profile("reproducible"), derandomize=False, max_examples=600
)
# A few examples are enough to find wrong functions and devices, which do not depend on values.
settings.register_profile("brief", settings.get_profile("reproducible"), max_examples=9)
settings.load_profile("reproducible")

register_device("strict", strict_backend)
# Not the default strict device, so that arrays made on the default by mistake are found.
DEVICES = {"numpy": "cpu", "cupy": "cuda", "strict": "strict:1"}

PORTABLE = {
    "test_activations.py",
    "test_at.py",
    "test_attention.py",
    "test_backward.py",
    "test_checkpoint.py",
    "test_convolution.py",
    "test_dropout.py",
    "test_einsum.py",
    "test_gradcheck.py",
    "test_init.py",
    "test_linalg.py",
    "test_losses.py",
    "test_manipulation.py",
    "test_nn.py",
    "test_nn_layers.py",
    "test_nn_utils.py",
    "test_norms.py",
    "test_ops.py",
    "test_optim.py",
    "test_properties.py",
    "test_random.py",
    "test_recurrent.py",
    "test_reduce.py",
    "test_sorting.py",
    "test_stateful.py",
    "test_transforms.py",
}
"""The test files that run on every backend. The others are about NumPy, or do not depend on the
backend (pictures, the command line, files, errors)."""


_in_force = ExitStack()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend", choices=[*DEVICES], default="numpy", help="the arrays that tests compute on"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "numpy_only(reason): is about NumPy, or does not depend on the backend"
    )
    backend = config.getoption("--backend")
    if backend == "strict" and not config.getoption("--hypothesis-profile"):
        settings.load_profile("brief")
    if backend != "numpy" and _missing(backend) is None:
        _make_tensors_on(DEVICES[backend])
        # The strict backend has no kernels: fused ops run as their composites of small ops.
        _in_force.enter_context(changed(device=DEVICES[backend], composing=backend == "strict"))


def pytest_unconfigure() -> None:
    _in_force.close()


def _missing(backend: str) -> str | None:
    """Return the reason why a backend is not available here, or None."""
    try:
        backend_for_device(DEVICES[backend])
    except tg.errors.DeviceError as error:
        return str(error)
    return None


def _make_tensors_on(chosen: str) -> None:
    """Make ``tg.tensor`` put data, even NumPy arrays, on a device unless another is given."""
    on_cpu = tg.tensor

    @functools.wraps(on_cpu)
    def tensor(data: Any, *, device: str | None = None, **options: Any) -> tg.Tensor:
        if device is None and not isinstance(data, tg.Tensor):
            device = chosen
        return on_cpu(data, device=device, **options)

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "tinygrad_lab" and vars(module).get("tensor") is on_cpu:
            setattr(module, "tensor", tensor)  # noqa: B010 - a module has no such attribute to mypy


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import the test files about NumPy on other backends."""
    portable = collection_path.is_dir() or collection_path.name in PORTABLE
    return None if portable or config.getoption("--backend") == "numpy" else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect docstring examples and tests about NumPy on other backends."""
    backend = config.getoption("--backend")
    if backend == "numpy":
        return
    portable = [item for item in items if item.path.name in PORTABLE]
    config.hook.pytest_deselected(items=[item for item in items if item not in portable])
    items[:] = portable
    missing = _missing(backend)
    for item in items:
        mark = item.get_closest_marker("numpy_only")
        reason = missing or (mark and f"not for {backend}: {mark.args[0]}")
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_reaches_child_processes() -> None:
    """Undo what a shell does to its background jobs: their children, too, ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Remove the ops that a test declared, and check that it left no context switched on."""
    ops, kernels, applied = dict(table), dict(forwards), dict(functions)
    before = current()
    yield
    assert current() == before, "a test left a context switched on"
    for registry, saved in ((table, ops), (forwards, kernels), (functions, applied)):
        registry.clear()
        registry.update(saved)  # type: ignore[arg-type]
    assert tg.get_default_dtype() == tg.float32, "a test left another default dtype behind"
