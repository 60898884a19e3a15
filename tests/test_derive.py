"""Derivations: every line is computed with NumPy, and is the engine's gradient."""

from __future__ import annotations

import pytest

import tinygrad_lab as tg

from .random_derivations import random_output

GRAPHS = 600
AT_ONCE = 30


@pytest.mark.parametrize("start", range(0, GRAPHS, AT_ONCE))
def test_every_line_is_the_engines_gradient(start: int) -> None:
    for seed in range(start, start + AT_ONCE):
        output, leaves, said = random_output(seed)
        for leaf, gradient in zip(leaves, tg.autograd.grad(output, leaves), strict=True):
            found = tg.derive(output, wrt=leaf)
            assert found.largest_difference < 1e-9, f"seed {seed}: {said}\n{found}"
            assert abs(found.result - gradient.numpy()).max() < 1e-9 * (
                1 + abs(gradient.numpy()).max()
            ), f"seed {seed}: {said}\n{found}"
