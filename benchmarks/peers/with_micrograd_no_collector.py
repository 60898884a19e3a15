"""micrograd without Python's garbage collector, which is most of what its step costs."""

from __future__ import annotations

from benchmarks.peers import with_micrograd


class ScalarChainsStep(with_micrograd.ScalarChainsStep):
    """The same, collector off."""

    name = "micrograd, gc off"
    collector = False


class ScalarMLPStep(with_micrograd.ScalarMLPStep):
    """The same, collector off."""

    name = "micrograd, gc off"
    collector = False


BUILDERS = {"scalar chains": ScalarChainsStep, "scalar mlp": ScalarMLPStep}
