"""``tg.checkpoint``: drop the graph of a computation, and recompute it in the backward pass.

Backpropagation keeps the arrays that its rules need. A *checkpointed* function keeps only its
inputs: it runs normally, but its graph is dropped when it returns, and one node replaces it. In the
backward pass that node runs the function again and sweeps through the new graph. A chain of n equal
segments, each checkpointed, then needs the memory of n inputs and one segment, at the cost of a
second forward pass.

Source: Griewank & Walther, "Evaluating Derivatives", 2nd ed., 2008, chapter 12; Chen et al.,
"Training Deep Nets with Sublinear Memory Cost", 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tinygrad_lab import trees
from tinygrad_lab.calculus.transforms import pull_back_with_history
from tinygrad_lab.context import Scope, changed, current, within
from tinygrad_lab.engine.backward import sweep
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.hooks import run_hooks
from tinygrad_lab.engine.node import Node, next_priority
from tinygrad_lab.engine.tensor import Tensor, computed, detached
from tinygrad_lab.errors import GradientError
from tinygrad_lab.ops import alias
from tinygrad_lab.random.generator import Generator, from_states, remembered_states

__all__ = ["checkpoint"]


def checkpoint(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Compute ``f(*args, **kwargs)``, keeping only the inputs for the backward pass.

    Values and gradients, of any order, are those of ``f`` itself, with respect to all tensors that
    it uses: arguments, parameters of modules, and captured tensors. It trades time for memory: the
    backward pass runs ``f`` again.

    Args:
        f: a function or a module. It runs twice, and must do the same both times. Random numbers
            from ``tg.Generator``s are repeated; side effects happen twice (batch normalisation in
            training counts its batch twice).
        args, kwargs: the arguments of ``f``; may be containers of tensors.

    Returns:
        The result of ``f``: a tensor, or a container of tensors.

    Raises:
        GradientError: in the backward pass, if ``f`` behaves differently the second time, or if a
            tensor that it uses was rebound in between.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([0.5, 1.0], requires_grad=True)
        >>> y = tg.checkpoint(lambda x: (x.exp() * x).tanh(), x)
        >>> [node.op_name for node in tg.graph(y)]
        ['leaf', 'checkpoint', 'output']
    """
    context = current()
    if context.recording or not context.grad_enabled:
        # Recording keeps everything by request; without gradients, nothing is kept anyway.
        return f(*args, **kwargs)
    leaves, rebuild = trees.flatten((args, kwargs), open_modules=False)
    positions = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    tensors = [leaves[i] for i in positions]
    rest = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]

    def call(arguments: Sequence[Any]) -> Any:
        filled = list(rest)
        for i, argument in zip(positions, arguments, strict=True):
            filled[i] = argument
        positional, named = rebuild(filled)
        return f(*positional, **named)

    with remembered_states() as states:
        run = _Run(call, tensors)
    if not run.reached:
        return run.result()
    segment = _Segment(call, run, context.scope, states)
    # Captured tensors need no value here: f captures them again.
    captured = [computed(None, node) for node in run.captured]
    return run.result(_checkpoint(*tensors, *captured, segment=segment))


class _Run:
    """One run of a function on variables in place of its tensors, with the resulting graph."""

    def __init__(self, call: Callable[[Sequence[Any]], Any], tensors: Sequence[Tensor]) -> None:
        variables = [_variable(one) for one in tensors]
        self.variables = [one._node for one in variables]
        """The nodes of the arguments; None for those that require no gradient."""
        started = next_priority()
        self._leaves, self._rebuild = trees.flatten(call(variables), open_modules=False)
        self.flowing = [i for i, one in enumerate(self._leaves) if _flows(one)]
        """The indices of the results through which a gradient flows."""
        self.outs: list[Tensor] = [self._leaves[i] for i in self.flowing]
        self.reached = _reached([out.node for out in self.outs], started)
        """The nodes from before the run that its outputs were computed from."""
        others = self.reached.difference(self.variables)
        self.captured = sorted(others, key=lambda node: node.priority)
        """Those of them that were captured, not passed as arguments."""

    def result(self, outs: Sequence[Tensor] = ()) -> Any:
        """Return the function's result, with ``outs`` in place of the tensors with a gradient."""
        leaves = list(self._leaves)
        for i, out in zip(self.flowing, outs, strict=False):
            leaves[i] = out
        return self._rebuild(leaves)


class _Segment:
    """Everything a node needs to run its function again."""

    def __init__(
        self,
        call: Callable[[Sequence[Any]], Any],
        run: _Run,
        scope: Scope | None,
        states: Mapping[Generator, dict[str, Any]],
    ) -> None:
        self._call, self._scope, self._states = call, scope, states
        self._flowing, self._forms = run.flowing, [out.node.form for out in run.outs]
        self.captured = run.captured
        self._values: tuple[Any, ...] = tuple(out._data for out in run.outs)

    def take_values(self) -> tuple[Any, ...]:
        """Hand over the outputs of the first run, and drop the references to them."""
        values, self._values = self._values, ()
        return values

    def run_again(self, tensors: Sequence[Tensor]) -> _Run:
        """Repeat the run on the same arguments, and raise if it differs."""
        with from_states(self._states), within(self._scope), changed(grad_enabled=True):
            run = _Run(self._call, tensors)
        forms = [out.node.form for out in run.outs]
        if run.flowing != self._flowing or [(f.shape, f.dtype) for f in forms] != [
            (f.shape, f.dtype) for f in self._forms
        ]:
            raise GradientError(
                "checkpoint: the function returned something else when it ran again in the "
                f"backward pass: {forms} instead of {self._forms}. It must do the same both times."
            )
        if run.captured != self.captured:
            raise GradientError(
                "checkpoint: when the function ran again in the backward pass, it used other "
                "tensors than before. It must do the same both times, and tensors that it captures "
                "must not be rebound in between (p.data = ..., optimizer.step())."
            )
        return run


def _flows(one: Any) -> bool:
    return isinstance(one, Tensor) and one._node is not None


def _variable(one: Tensor) -> Tensor:
    """Make a variable for an argument, where the backward pass stops."""
    if one._node is None:
        return one
    variable = alias(one)
    variable.name = one.name
    return variable


def _reached(outputs: Iterable[Node], started: float) -> set[Node]:
    """Return the nodes older than a run that its outputs depend on and gradients flow to."""
    older: set[Node] = set()
    seen: set[Node] = set()
    waiting: list[Node | None] = list(outputs)
    while waiting:
        node = waiting.pop()
        if node is None or node in seen or not node.requires_grad:
            continue
        seen.add(node)
        # Priorities count down: a higher one is older.
        if node.priority > started:
            older.add(node)
        else:
            waiting.extend(node.inputs)
    return older


def _recompute(
    xp: Any, g: Sequence[Any], inputs: Sequence[Any], segment: _Segment, needs: Sequence[bool]
) -> list[Any]:
    """Run a checkpointed function again, and sweep for the gradients of its inputs."""
    count = len(inputs) - len(segment.captured)
    arguments = [_argument(one, wanted) for one, wanted in zip(inputs[:count], needs, strict=False)]
    run = segment.run_again(arguments)
    seeds: dict[Node, Any] = {}
    for out, part in zip(run.outs, g, strict=True):
        if part is not None:
            seeds[out.node] = seeds[out.node] + part if out.node in seeds else part
    found = _sweep_within(run, seeds, with_history=any(isinstance(one, Tensor) for one in g))
    nodes = [*run.variables, *run.captured]
    return [None if node is None else found.get(node) for node in nodes]


def _argument(one: Any, wanted: bool) -> Tensor:
    """Make a tensor of an input; for higher-order gradients it is one already, with its history."""
    if isinstance(one, Tensor):
        return one
    return detached(one).requires_grad_() if wanted else detached(one)


def _sweep_within(run: _Run, seeds: Mapping[Node, Any], *, with_history: bool) -> dict[Node, Any]:
    """Return the gradients of the nodes that a run reached, without sweeping further back."""
    found: dict[Node, Any] = {}
    debugger = current().debugger

    def observe(node: Node, g: Any) -> Any:
        if node in run.reached:
            # This is only a part of its gradient; its hooks will run on the whole.
            found[node] = g
            return g
        return run_hooks(node, g)

    def pull_back(node: Node, g: Any) -> Iterable[tuple[Node, Any]]:
        if node in run.reached:
            return ()
        if with_history:
            return pull_back_with_history(node, g)
        return node.pull_back(g) if debugger is None else debugger.pull_back(node, g)

    sweep(seeds, observe=observe, pull_back=pull_back)
    return found


_checkpoint: Callable[..., Any] = op(
    "checkpoint",
    forward=lambda xp, *inputs, segment: segment.take_values(),
    vjp={"inputs": _recompute},
    complex_vjp="same",
    words={"inputs": "g back through another run"},
    latex=r"\mathrm{{checkpoint}}({inputs})",
    several_outputs=True,
)
