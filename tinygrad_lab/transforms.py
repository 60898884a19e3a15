"""Functions into functions: gradients, Jacobians, Hessians, of any order.

All of them rest on one sweep and one set of rules. Where a derivative is to be differentiated
again, the sweep hands the rules Tensors instead of arrays: what they compute is then a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tinygrad_lab import ops, trees
from tinygrad_lab.backends import PYTHON, namespaces
from tinygrad_lab.backward import ancestors, hooks, run_hooks, sweep
from tinygrad_lab.context import changed, current
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, GradientError
from tinygrad_lab.history import inputs_with_history, run_composite, with_history
from tinygrad_lab.node import Leaf, Node, unbroadcast
from tinygrad_lab.tensor import Tensor, tensor

__all__ = [
    "grad",
    "gradients_of",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "value_and_grad",
    "vjp",
]


# --- gradients of given tensors, as a graph if wanted -------------------------------------------


def gradients_of(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    create_graph: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradient of outputs with respect to some of the tensors they were computed from.

    Known as ``tg.autograd.grad``. Leaves ``.grad`` alone, and computes nothing that does not lie
    between the outputs and the inputs.

    Args:
        outputs: one tensor or several; their gradients add up.
        inputs: the tensors to differentiate with respect to, leaves or not.
        grad_outputs: a gradient for each output; may be left out for outputs of one element.
        create_graph: let the gradients have a history, to be differentiated again.

    Returns:
        A gradient for each input, None where no output depends on it.

    Raises:
        GradientError: for tensors that no gradient flows through, or for want of grad_outputs.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(2.0)
        >>> (slope,) = tg.autograd.grad(x * x * x, x, create_graph=True)
        >>> (curvature,) = tg.autograd.grad(slope, x)
        >>> slope.item(), curvature.item()
        (12.0, 12.0)
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    given = [None] * len(outputs) if grad_outputs is None else grad_outputs
    given = [given] if isinstance(given, Tensor | float | int) else list(given)
    if len(given) != len(outputs):
        raise ArgumentError(f"got {len(given)} grad_outputs for {len(outputs)} outputs.")
    for label, tensors in (("outputs", outputs), ("inputs", inputs)):
        for position, one in enumerate(tensors):
            if not isinstance(one, Tensor) or one._node is None:
                raise GradientError(
                    f"{label}[{position}] requires no gradient: {one!r:.60}. Only tensors that "
                    "require one, or were computed from such, can be differentiated."
                )
    targets = [one.node for one in inputs]
    seeds: dict[Node, Any] = {}
    for out, g in zip(outputs, given, strict=True):
        seed = _seed_with_history(out, g) if create_graph else out._seed(g)
        seeds[out.node] = seeds[out.node] + seed if out.node in seeds else seed
    found = _sweep_to(targets, seeds, create_graph=create_graph)
    return tuple(_as_tensor(found.get(target)) for target in targets)


def _seed_with_history(out: Tensor, g: Any) -> Tensor:
    if isinstance(g, Tensor):
        return g
    return _as_tensor(out._seed(g))  # type: ignore[return-value]


def _as_tensor(g: Any) -> Tensor | None:
    if g is None or isinstance(g, Tensor):
        return g
    plain = Tensor()
    plain._data, plain._node = g, None
    return plain


def _sweep_to(
    targets: Iterable[Node], seeds: dict[Node, Any], *, create_graph: bool
) -> dict[Node, Any]:
    """The gradients of some nodes, visiting only what lies between them and the outputs."""
    targets = set(targets)
    found: dict[Node, Any] = {}
    hooked = len(hooks) > 0

    def observe(node: Node, g: Any) -> Any:
        g = run_hooks(node, g) if hooked else g
        if node in targets:
            found[node] = g
        return g

    debugger = current().debugger
    with changed(grad_enabled=create_graph):
        sweep(
            seeds,
            within=_between(targets, seeds),
            observe=observe,
            pull_back=pull_back_with_history
            if create_graph
            else (debugger.pull_back if debugger else None),
            keep=-1,
        )
    return found


def _between(targets: set[Node], outputs: Iterable[Node]) -> set[Node]:
    """The nodes on some path from a target to an output, both included."""
    leading = set(targets)
    for node in ancestors(outputs):
        if any(input_node in leading for input_node in node.inputs if input_node is not None):
            leading.add(node)
    return leading


def pull_back_with_history(node: Node, g: Any) -> Iterator[tuple[Node, Tensor]]:
    """What ``node.pull_back`` does, with Tensors: the same rules, and a graph of their work."""
    op = node.op
    assert op is not None, "the sweep pulls back through ops only"
    xp = namespaces[Tensor]
    kept = node.kept
    if op.composite is not None:
        yield from _pull_back_through_composite(node, g)
        return
    named_nodes = op.named_arrays(node.inputs)
    needs = getattr(node, "plan").needs  # noqa: B009 - every op's node has one
    for rule, positions in getattr(node, "plan").steps:  # noqa: B009
        asked = [with_history(name, kept[name], named_nodes, node) for name in rule.asks]
        gradients = rule.function(xp, g, *asked)
        for position, gradient in zip(
            positions, gradients if rule.joint else (gradients,), strict=True
        ):
            target = node.inputs[position]
            if gradient is None or target is None or not needs[position]:
                continue
            if gradient.__class__ is Tensor:
                gradient = unbroadcast(xp, gradient, target)
            yield target, gradient


def _pull_back_through_composite(node: Any, g: Tensor) -> Iterator[tuple[Node, Tensor]]:
    """The gradient of a fused op, through the small ops it is composed of."""
    plan = node.plan
    arguments = inputs_with_history(node)
    # One input may have been computed from another: each gets a node of its own to stop at.
    for position, needed in enumerate(plan.needs):
        if needed:
            arguments[position] = ops.alias(arguments[position])
    stops = [position for position, needed in enumerate(plan.needs) if needed]
    out = run_composite(node, arguments)
    with changed(grad_enabled=True, composing=True):
        variables = [arguments[position] for position in stops]
        gradients = gradients_of(out, variables, [g], create_graph=True)
    for position, gradient in zip(stops, gradients, strict=True):
        if gradient is not None:
            yield node.inputs[position], gradient


# --- functions into functions -------------------------------------------------------------------


class _Run:
    """One run of a function on variables in place of its arguments."""

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], chosen: Sequence[int]) -> None:
        for position in chosen:
            if not -len(args) <= position < len(args):
                raise ArgumentError(
                    f"argnums names argument {position}, but the call has {len(args)} arguments."
                )
        arguments = list(args)
        self.variables: list[list[Tensor]] = []
        self.rebuild: list[Callable[[list[Any]], Any]] = []
        with changed(grad_enabled=True):
            for position in chosen:
                leaves, rebuild = trees.flatten(args[position])
                if trees.is_module(args[position]):
                    variables = leaves
                else:
                    variables = [_variable(leaf) for leaf in leaves]
                    arguments[position] = rebuild(variables)
                self.variables.append(variables)
                self.rebuild.append(rebuild)
            self.out = f(*arguments)

    def all_variables(self) -> list[Tensor]:
        return [variable for group in self.variables for variable in group]

    def gradients(self, out: Tensor, g: Any = None) -> list[Tensor]:
        """Gradients of an output; with a history if somebody else could ask for theirs."""
        variables = self.all_variables()
        if out._node is None:
            return [_zeros_for(variable) for variable in variables]
        create_graph = current().grad_enabled and self._matters_elsewhere(out, g)
        found = _gradients_or_zeros(out, variables, g, create_graph=create_graph)
        return found if create_graph else [one.detach() for one in found]

    def _matters_elsewhere(self, out: Tensor, g: Any) -> bool:
        """Whether a gradient could depend on a tensor that is not of this run's making."""
        own = {v.node for v in self.all_variables() if isinstance(v.node, Leaf)}
        if isinstance(g, Tensor) and g.requires_grad:
            return True
        return any(
            isinstance(node, Leaf) and node.requires_grad and node not in own
            for node in ancestors([out.node])
        )

    def grouped(self, gradients: list[Tensor]) -> list[Any]:
        """Gradients in the containers that the arguments had."""
        rest = list(gradients)
        groups = []
        for variables, rebuild in zip(self.variables, self.rebuild, strict=True):
            groups.append(rebuild(rest[: len(variables)]))
            rest = rest[len(variables) :]
        return groups


def _variable(value: Any) -> Tensor:
    """A tensor to differentiate with respect to, in place of an argument."""
    if isinstance(value, Tensor) and value.requires_grad:
        return ops.alias(value)
    if isinstance(value, float | int):
        from tinygrad_lab.tensor import scalar

        return scalar(value)
    plain = value.detach() if isinstance(value, Tensor) else tensor(value)
    plain.name = getattr(value, "name", None)
    return plain.requires_grad_()


def _zeros_for(variable: Tensor) -> Tensor:
    return ops.zeros_like(variable.detach())


def _gradients_or_zeros(
    out: Tensor, variables: list[Tensor], g: Any, *, create_graph: bool
) -> list[Tensor]:
    found = gradients_of(out, variables, None if g is None else [g], create_graph=create_graph)
    return [
        _zeros_for(variable) if one is None else one
        for variable, one in zip(variables, found, strict=True)
    ]


def _positions(argnums: int | Sequence[int]) -> tuple[int, ...]:
    return (argnums,) if isinstance(argnums, int) else tuple(argnums)


def _scalar_output(out: Any, transform: str) -> Tensor:
    if not isinstance(out, Tensor):
        raise ArgumentTypeError(
            f"tg.{transform}: the function must return a Tensor, got {type(out).__name__}."
        )
    if out.size != 1:
        raise GradientError(
            f"tg.{transform}: the function must return a scalar, got shape {out.shape}. "
            "Reduce it (sum, mean), or use tg.jacobian or tg.vjp."
        )
    return out


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0
) -> Callable[..., tuple[Tensor, Any]]:
    """A function that returns the value of ``f`` and its gradient.

    Args:
        f: a function to a scalar; its arguments may be tensors, numbers, arrays, containers
            (lists, tuples, dicts) of them, and modules, which stand for their parameters.
        argnums: which argument, or which arguments, to differentiate with respect to.

    Returns:
        A function that gives ``(value, gradient)``; the gradient has the containers of the
        argument (of a module: a dict by parameter name), a tuple of them for several arguments.
        An argument that the value does not depend on has gradient zero.

    Example:
        >>> import tinygrad_lab as tg
        >>> value, slope = tg.value_and_grad(lambda x: x * x)(3.0)
        >>> value.item(), slope.item()
        (9.0, 6.0)
    """

    def value_and_gradient(*args: Any) -> tuple[Tensor, Any]:
        run = _Run(f, args, _positions(argnums))
        out = _scalar_output(run.out, "value_and_grad")
        groups = run.grouped(run.gradients(out))
        outer = current().grad_enabled and run._matters_elsewhere(out, None)
        return out if outer else out.detach(), (
            groups[0] if isinstance(argnums, int) else tuple(groups)
        )

    return value_and_gradient


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the gradient of ``f``; see ``value_and_grad``.

    Example:
        >>> import tinygrad_lab as tg
        >>> cube = lambda x: x * x * x
        >>> tg.grad(cube)(2.0).item(), tg.grad(tg.grad(cube))(2.0).item()
        (12.0, 12.0)
    """
    both = value_and_grad(f, argnums)

    def gradient(*args: Any) -> Any:
        return both(*args)[1]

    return gradient


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Tensor, Callable[[Any], tuple[Any, ...]]]:
    """The value of ``f`` and a function that pulls a gradient of it back to the arguments.

    Example:
        >>> import tinygrad_lab as tg
        >>> value, pull_back = tg.vjp(lambda x: x * x, tg.tensor([1.0, 2.0]))
        >>> pull_back(tg.tensor([1.0, 10.0]))
        (tensor([ 2., 40.]),)
    """
    run = _Run(f, args, range(len(args)))

    def pull_back(g: Any) -> tuple[Any, ...]:
        return tuple(run.grouped(run.gradients(run.out, g)))

    return run.out.detach(), pull_back


def jvp(
    f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Tensor, Tensor]:
    """The value of ``f`` and its derivative along tangents: the Jacobian times a vector.

    The pull-back u -> Jᵀu is linear in u; its own pull-back, of the tangents, is J times them
    (Townsend, "A new trick for calculating Jacobian vector products", 2017). So no op needs a
    second kind of rule.

    Example:
        >>> import tinygrad_lab as tg
        >>> value, slope = tg.jvp(lambda x: x * x, (3.0,), (1.0,))
        >>> value.item(), slope.item()
        (9.0, 6.0)
    """
    if len(primals) != len(tangents):
        raise ArgumentError(f"got {len(tangents)} tangents for {len(primals)} primals.")
    run = _Run(f, primals, range(len(primals)))
    out = run.out
    directions = [leaf for tangent in tangents for leaf in trees.flatten(tangent)[0]]
    if out._node is None:
        return out, _zeros_for(out)
    with changed(grad_enabled=True):
        u = ops.zeros_like(out.detach()).requires_grad_()
        pulled = gradients_of(out, run.all_variables(), [u], create_graph=True)
        pairs = [
            (one, _like(direction, one))
            for one, direction in zip(pulled, directions, strict=True)
            if one is not None and one.requires_grad
        ]
    if not pairs:
        return out.detach(), _zeros_for(out)
    outer = current().grad_enabled and run._matters_elsewhere(out, None)
    (slope,) = gradients_of(
        [one for one, _ in pairs], u, [direction for _, direction in pairs], create_graph=outer
    )
    assert slope is not None
    return (out, slope) if outer else (out.detach(), slope.detach())


def _like(value: Any, reference: Tensor) -> Tensor:
    """A tangent as a tensor of the kind, dtype and shape of what it is a direction for."""
    if isinstance(value, Tensor):
        return value
    return _as_tensor(reference._seed(value))  # type: ignore[return-value]


def jacobian(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Tensor]:
    """A function that returns all derivatives of the elements of ``f`` by those of an argument.

    Its result has the shape of the output followed by that of the argument.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.jacobian(lambda x: x * x)(tg.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """

    def full(*args: Any) -> Tensor:
        run = _Run(f, args, (argnum,))
        out, (variable,) = run.out, run.all_variables()
        if namespaces[type(out._data)] is PYTHON:
            return run.gradients(out)[0]
        rows = []
        for position in range(out.size):
            basis = namespaces[type(out._data)].zeros((out.size,), dtype=out.dtype)
            basis[position] = 1
            rows.append(run.gradients(out, basis.reshape(out.shape))[0])
        if not rows:
            return ops.zeros_like(variable.detach()).reshape((0, *variable.shape))
        return ops.stack(rows).reshape((*out.shape, *variable.shape))

    return full


def hessian(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Tensor]:
    """A function that returns the second derivatives of a scalar function.

    Its result has the shape of the argument twice.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.hessian(lambda x: (x * x * x).sum())(tg.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    return jacobian(grad(f, argnum), argnum)


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """The Hessian of a scalar function times a vector, without the Hessian.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.hvp(lambda x: (x * x * x).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 1.0]))
        tensor([ 6., 12.])
    """
    # The Hessian is symmetric: pulling v back through the gradient gives H v.
    _, pull_back = vjp(grad(f), x)
    return pull_back(v)[0]
