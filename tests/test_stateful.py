"""Random graphs, grown step by step, checked against a second, naive differentiation.

The naive way does not use the engine: it stores the Jacobian of each operation as a small matrix
and multiplies these, starting from the leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import tinygrad_lab as tg

Array = np.ndarray[Any, Any]
SIZE = 3
"""The length of all tensors, so that any two can be combined."""

vectors = st.lists(
    st.floats(-1.5, 1.5, allow_nan=False, width=32), min_size=SIZE, max_size=SIZE
).map(lambda values: np.array(values, dtype=np.float64))
which = st.integers(0, 1000)


class Known:
    """A tensor, with its Jacobians for the naive way."""

    def __init__(
        self, tensor: tg.Tensor, value: Array, parts: list[tuple[Known, Array]], leaf: bool = False
    ) -> None:
        self.tensor = tensor
        self.value = value
        self.parts = parts
        """The inputs, each with the Jacobian of this tensor by it."""
        self.leaf = leaf
        self.grad: Array | None = None
        """The gradient that a leaf has accumulated."""
        self.scale = 1.0
        """The product of the factors by which the hooks multiply a gradient."""

    def jacobians(self, found: dict[int, dict[Known, Array]] | None = None) -> dict[Known, Array]:
        """Return the Jacobians by every leaf that this depends on, hooks included."""
        found = {} if found is None else found
        if id(self) not in found:
            total: dict[Known, Array] = {self: np.eye(SIZE)} if self.leaf else {}
            for part, local in self.parts:
                for leaf, jacobian in part.jacobians(found).items():
                    total[leaf] = total.get(leaf, 0) + local @ jacobian
            found[id(self)] = {leaf: self.scale * total[leaf] for leaf in total}
        return found[id(self)]


class Graphs(RuleBasedStateMachine):
    """Leaves, and tensors computed from leaves and from each other."""

    @initialize(first=vectors, second=vectors)
    def start(self, first: Array, second: Array) -> None:
        self.leaves: list[Known] = []
        self.computed: list[Known] = []
        for value in (first, second):
            self.new_leaf(value)

    # Growing.

    def one(self, number: int) -> Known:
        """Draw a tensor; the latest is the most likely."""
        known = [*reversed(self.computed), *self.leaves]
        return known[number % len(known)]

    def add(self, tensor: tg.Tensor, value: Array, *parts: tuple[Known, Array]) -> None:
        self.computed.append(Known(tensor, value, list(parts)))

    @rule(value=vectors)
    def new_leaf(self, value: Array) -> None:
        tensor = tg.tensor(value, requires_grad=True)
        self.leaves.append(Known(tensor, value.copy(), [], leaf=True))

    @rule(i=which, j=which)
    def add_two(self, i: int, j: int) -> None:
        x, y = self.one(i), self.one(j)
        identity = np.eye(SIZE)
        self.add(x.tensor + y.tensor, x.value + y.value, (x, identity), (y, identity))

    @rule(i=which, j=which)
    def multiply_two(self, i: int, j: int) -> None:
        x, y = self.one(i), self.one(j)
        by_x, by_y = np.diag(y.value), np.diag(x.value)
        self.add(x.tensor * y.tensor, x.value * y.value, (x, by_x), (y, by_y))

    @rule(i=which)
    def bend(self, i: int) -> None:
        x = self.one(i)
        self.add(tg.tanh(x.tensor), np.tanh(x.value), (x, np.diag(1 / np.cosh(x.value) ** 2)))

    @rule(i=which, places=st.lists(st.integers(0, SIZE - 1), min_size=SIZE, max_size=SIZE))
    def pick(self, i: int, places: list[int]) -> None:
        x = self.one(i)
        self.add(x.tensor[places], x.value[places], (x, np.eye(SIZE)[places]))

    @rule(i=which, j=which)
    def add_the_mean(self, i: int, j: int) -> None:
        x, y = self.one(i), self.one(j)
        spread = np.full((SIZE, SIZE), 1 / SIZE)
        value = x.value + y.value.mean()
        self.add(x.tensor + y.tensor.mean(), value, (x, np.eye(SIZE)), (y, spread))

    @rule(i=which, j=which)
    def mix_by_a_product_of_matrices(self, i: int, j: int) -> None:
        x, y = self.one(i), self.one(j)
        rows = tg.stack([x.tensor, y.tensor, x.tensor])
        value = np.stack([x.value, y.value, x.value]) @ x.value
        by_y = np.zeros((SIZE, SIZE))
        by_y[1] = x.value
        by_x = np.stack([2 * x.value, y.value, 2 * x.value])
        self.add(rows @ x.tensor, value, (x, by_x), (y, by_y))

    # Stopping gradients.

    @rule(i=which)
    def detach(self, i: int) -> None:
        x = self.one(i)
        self.add(x.tensor.detach(), x.value)

    @rule(i=which, j=which)
    def compute_without_a_graph(self, i: int, j: int) -> None:
        x, y = self.one(i), self.one(j)
        with tg.no_grad():
            self.add(x.tensor * y.tensor, x.value * y.value)

    # Changing tensors.

    @rule(i=which, value=vectors)
    def rebind(self, i: int, value: Array) -> None:
        leaf = self.leaves[i % len(self.leaves)]
        leaf.tensor.data = value if i % 2 else tg.tensor(value)
        leaf.value = value.copy()

    @rule(i=which, step=st.floats(-0.5, 0.5, width=32))
    def step_aside(self, i: int, step: float) -> None:
        leaf = self.leaves[i % len(self.leaves)]
        leaf.tensor.data = leaf.tensor.data - step
        leaf.value = leaf.value - step

    @rule(i=which, step=st.floats(-0.5, 0.5, width=32))
    def step_in_place(self, i: int, step: float) -> None:
        leaf = self.leaves[i % len(self.leaves)]
        # This writes into memory that graphs may keep, so they must not be used any more.
        self.computed.clear()
        leaf.tensor.data -= step
        leaf.value = leaf.value - step

    @rule(i=which, factor=st.sampled_from([-1.0, 0.5, 2.0]))
    def hook(self, i: int, factor: float) -> None:
        x = self.one(i)
        if x.tensor.requires_grad:
            x.tensor.register_hook(lambda g: g * factor)
            x.scale *= factor

    @rule(i=which)
    def forget_the_gradient(self, i: int) -> None:
        leaf = self.leaves[i % len(self.leaves)]
        leaf.tensor.grad = leaf.grad = None

    # Sweeping.

    @precondition(lambda self: any(x.tensor.requires_grad for x in self.computed))
    @rule(i=which, g=vectors, sweeps=st.integers(1, 2), free=st.booleans())
    def sweep(self, i: int, g: Array, sweeps: int, free: bool) -> None:
        flowing = [x for x in self.computed if x.tensor.requires_grad]
        x = flowing[i % len(flowing)]
        for left in reversed(range(sweeps)):
            x.tensor.backward(gradient=g, free=free and left == 0)
            for leaf, jacobian in x.jacobians().items():
                leaf.grad = g @ jacobian + (0 if leaf.grad is None else leaf.grad)
        if free:
            self.computed.clear()

    @precondition(lambda self: any(x.tensor.requires_grad for x in self.computed))
    @rule(i=which, g=vectors)
    def ask_for_gradients(self, i: int, g: Array) -> None:
        flowing = [x for x in self.computed if x.tensor.requires_grad]
        x = flowing[i % len(flowing)]
        jacobians = x.jacobians()
        leaves = [leaf.tensor for leaf in self.leaves]
        found = tg.autograd.grad(x.tensor, leaves, g, create_graph=i % 2 == 0)
        for leaf, gradient in zip(self.leaves, found, strict=True):
            assert (gradient is None) == (leaf not in jacobians)
            if gradient is not None:
                close(gradient.detach().numpy(), g @ jacobians[leaf])

    # Invariants after every step.

    @invariant()
    def values_are_right(self) -> None:
        for known in [*getattr(self, "computed", [])[-3:], *getattr(self, "leaves", [])]:
            close(known.tensor.detach().numpy(), known.value)

    @invariant()
    def gradients_are_right(self) -> None:
        for leaf in getattr(self, "leaves", []):
            assert (leaf.tensor.grad is None) == (leaf.grad is None)
            if leaf.grad is not None:
                close(leaf.tensor.grad.numpy(), leaf.grad)

    @invariant()
    def gradients_flow_where_there_is_a_leaf(self) -> None:
        found: dict[int, dict[Known, Array]] = {}
        for known in getattr(self, "computed", []):
            assert known.tensor.requires_grad == bool(known.jacobians(found))


def close(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


TestGraphs = Graphs.TestCase
TestGraphs.settings = settings(max_examples=60, stateful_step_count=30)
