"""What every test here runs under: reproducible examples, and nothing left behind by others."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import tinygrad_lab as tg
from tinygrad_lab.backends import forwards
from tinygrad_lab.context import Context, current
from tinygrad_lab.ops.declaration import table

settings.register_profile(
    "reproducible",
    derandomize=True,
    print_blob=True,
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("reproducible")


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Ops that a test declares are gone after it; nothing that it switched on stays on."""
    ops, kernels = dict(table), dict(forwards)
    yield
    for registry, before in ((table, ops), (forwards, kernels)):
        registry.clear()
        registry.update(before)  # type: ignore[arg-type]
    assert current() == Context(), "a test left a context switched on"
    assert tg.get_default_dtype() == tg.float32, "a test left another default dtype behind"
