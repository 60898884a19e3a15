"""Transformations of functions: gradients, Jacobians, Hessians, of any order.

All of them use one sweep and one set of rules. If a derivative is to be differentiated again, the
sweep passes Tensors instead of arrays to the rules, whose computation is then a graph.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from tinygrad_lab import ops, trees
from tinygrad_lab.array_api.creation import scalar, tensor
from tinygrad_lab.backends import NUMBERS, PYTHON, namespaces
from tinygrad_lab.context import changed, current
from tinygrad_lab.engine.ancestry import ancestors
from tinygrad_lab.engine.assignment import as_seed
from tinygrad_lab.engine.backward import sweep
from tinygrad_lab.engine.history import inputs_with_history, run_composite, with_history
from tinygrad_lab.engine.hooks import observer
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.node import Leaf, Node, contributions, unbroadcast
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    ShapeError,
    excerpt,
)

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


# --- gradients of given tensors, optionally as a graph -------------------------------------------


@explaining
def gradients_of(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    create_graph: bool = False,
) -> tuple[Tensor | None, ...]:
    """Compute the gradient of outputs with respect to tensors they were computed from.

    Public as ``tg.autograd.grad``. Does not change ``.grad``, and computes only what lies between
    the outputs and the inputs.

    Args:
        outputs: one tensor or several; their gradients are summed.
        inputs: the tensors to differentiate with respect to, leaves or not.
        grad_outputs: a cotangent for each output; optional for outputs of one element.
        create_graph: give the gradients a history, so that they can be differentiated.

    Returns:
        A gradient for each input; None if no output depends on it.

    Raises:
        GradientError: for tensors that require no gradient, or for missing grad_outputs.

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
    if grad_outputs is None:
        given = [None] * len(outputs)
    else:
        given = list(grad_outputs) if isinstance(grad_outputs, list | tuple) else [grad_outputs]
    if len(given) != len(outputs):
        raise ArgumentError(f"got {len(given)} grad_outputs for {len(outputs)} outputs.")
    for label, tensors in (("outputs", outputs), ("inputs", inputs)):
        for position, one in enumerate(tensors):
            if not isinstance(one, Tensor) or one._node is None:
                raise GradientError(
                    f"{label}[{position}] requires no gradient: {excerpt(one)}. Only tensors that "
                    "require one, or were computed from such tensors, can be differentiated."
                )
    targets = [_standing_for(one, outputs) for one in inputs]
    seeds: dict[Node, Any] = {}
    for out, g in zip(outputs, given, strict=True):
        seed = _seed_with_history(out, g) if create_graph else as_seed(g, out)
        seeds[out.node] = seeds[out.node] + seed if out.node in seeds else seed
    every = [node for nodes in targets for node in nodes]
    found = _sweep_to(every, seeds, create_graph=create_graph)
    gradients = [_total([found[node] for node in nodes if node in found]) for nodes in targets]
    return tuple(g if g is None or isinstance(g, Tensor) else detached(g) for g in gradients)


def _standing_for(one: Tensor, outputs: Iterable[Tensor]) -> list[Node]:
    """Return the nodes that represent a tensor: several if its data were rebound in between."""
    node = one.node
    if not isinstance(node, Leaf) or node.generation == 0:
        return [node]
    graph = ancestors(out.node for out in outputs)
    older: list[Node] = [n for n in graph if isinstance(n, Leaf) and n.owner() is one]
    return older if node in older else [node, *older]


def _total(gradients: list[Any]) -> Any:
    return functools.reduce(operator.add, gradients) if gradients else None


def _seed_with_history(out: Tensor, g: Any) -> Tensor:
    seed = detached(as_seed(g, out))
    return g.astype(out.dtype) if isinstance(g, Tensor) and g.requires_grad else seed


def _sweep_to(
    targets: Iterable[Node], seeds: dict[Node, Any], *, create_graph: bool
) -> dict[Node, Any]:
    """Compute the gradients of nodes, visiting only nodes between them and the outputs."""
    targets = set(targets)
    found: dict[Node, Any] = {}
    see = observer(current())

    def observe(node: Node, g: Any) -> Any:
        g = g if see is None else see(node, g)
        if node in targets:
            found[node] = g
        return g

    debugger = current().debugger

    def pull_back(node: Node, g: Any) -> Iterable[tuple[Node, Any]]:
        if debugger is not None and not create_graph:
            return debugger.pull_back(node, g)
        if debugger is not None:
            debugger.check_memory(node)
        return pull_back_with_history(node, g) if create_graph else node.pull_back(g)

    with changed(grad_enabled=create_graph):
        sweep(
            seeds,
            within=_between(targets, seeds),
            observe=observe,
            pull_back=pull_back if create_graph or debugger is not None else None,
        )
    return found


def _between(targets: set[Node], outputs: Iterable[Node]) -> set[Node]:
    """Return the nodes on any path from a target to an output, inclusive."""
    leading = set(targets)
    for node in ancestors(outputs):
        if any(input_node in leading for input_node in node.inputs if input_node is not None):
            leading.add(node)
    return leading


def pull_back_with_history(node: Node, g: Any) -> Iterator[tuple[Node, Tensor]]:
    """Do the work of ``node.pull_back`` on Tensors: the same rules, recorded as a graph."""
    op = node.op
    assert op is not None, "the sweep pulls back through ops only"
    if op.composite is not None:
        yield from _pull_back_through_composite(node, g)
        return
    xp = namespaces[Tensor]
    named_nodes = op.named_arrays(node.inputs)
    kept = {name: with_history(name, value, named_nodes, node) for name, value in node.kept.items()}
    for _, target, gradient in contributions(node, xp, g, kept):
        # Anything but a Tensor is a partial gradient to assemble: see ``Cotangents``.
        fits = not isinstance(gradient, Tensor)
        yield target, gradient if fits else unbroadcast(xp, gradient, target)


def _pull_back_through_composite(node: Any, g: Tensor) -> Iterator[tuple[Node, Tensor]]:
    """Pull a gradient of a fused op back through the small ops it is composed of."""
    plan = node.plan
    arguments = inputs_with_history(node)
    # One input may depend on another: each gets its own node, where the sweep stops.
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


# --- transformations of functions ---------------------------------------------------------------


_enclosing_variables: ContextVar[frozenset[Node]] = ContextVar(
    "tinygrad_lab.enclosing_variables", default=frozenset()
)
"""The variables of the enclosing runs."""


class _Run:
    """One run of a function on variables in place of its arguments."""

    def __init__(
        self,
        transform: str,
        f: Callable[..., Any],
        args: Sequence[Any],
        chosen: Sequence[int],
        kwargs: Mapping[str, Any] | None = None,
        has_aux: bool = False,
    ) -> None:
        kwargs = kwargs or {}
        for position in chosen:
            if not -len(args) <= position < len(args):
                named = " Arguments by keyword are not differentiated." if kwargs else ""
                raise ArgumentError(
                    f"tg.{transform}: expected the index of one of the {len(args)} arguments of "
                    f"the call, got {position}.{named}"
                )
        arguments = list(args)
        self.variables: list[list[Tensor]] = []
        self._rebuild: list[Callable[[list[Any]], Any]] = []
        with changed(grad_enabled=True):
            for position in chosen:
                leaves, rebuild = trees.flatten(args[position])
                if trees.is_module(args[position]):
                    variables = leaves
                else:
                    variables = [_variable(leaf) for leaf in leaves]
                    arguments[position] = rebuild(variables)
                self.variables.append(variables)
                self._rebuild.append(rebuild)
            own = {variable.node for variable in self.all_variables()}
            token = _enclosing_variables.set(_enclosing_variables.get() | own)
            try:
                self.out = f(*arguments, **kwargs)
            finally:
                _enclosing_variables.reset(token)
        self._aux = None
        if has_aux:
            self.out, self._aux = _with_aux(transform, self.out)
        self.outs, self.rebuild_out = trees.flatten(self.out)
        for one in self.outs:
            if not isinstance(one, Tensor):
                raise ArgumentTypeError(
                    f"tg.{transform}: the function must return Tensors, got {type(one).__name__}."
                )

    def all_variables(self) -> list[Tensor]:
        return [variable for group in self.variables for variable in group]

    def value(self, outer: bool) -> Any:
        """Return the function's result, detached unless ``outer``."""
        return self.rebuild_out([out if outer else out.detach() for out in self.outs])

    def aux(self, outer: bool) -> Any:
        """Return the function's auxiliary result, its tensors detached unless ``outer``."""
        parts, rebuild = trees.flatten(self._aux, open_modules=False)
        return rebuild(
            [one.detach() if isinstance(one, Tensor) and not outer else one for one in parts]
        )

    def matters_elsewhere(self, gs: Sequence[Any] = ()) -> bool:
        """Return whether a gradient could depend on a tensor from outside this run."""
        if not current().grad_enabled:
            return False
        # Parameters of a module are not replaced by variables, so an outer run may share them.
        own = {v.node for v in self.all_variables() if isinstance(v.node, Leaf)}
        own -= _enclosing_variables.get()
        if any(isinstance(g, Tensor) and g.requires_grad for g in gs):
            return True
        return any(
            isinstance(node, Leaf) and node.requires_grad and node not in own
            for node in ancestors([out.node for out in self.outs])
        )

    def gradients(self, outs: Sequence[Tensor], gs: Sequence[Any]) -> list[Tensor]:
        """Return the gradients of outputs for all variables, zero for those without influence."""
        outer = self.matters_elsewhere(gs)
        found = _gradients_or_none(outs, self.all_variables(), gs, create_graph=outer)
        return [
            _zeros_like(variable) if one is None else one if outer else one.detach()
            for variable, one in zip(self.all_variables(), found, strict=True)
        ]

    def grouped(self, gradients: Sequence[Tensor]) -> list[Any]:
        """Put gradients into the containers of the arguments."""
        groups, start = [], 0
        for variables, rebuild in zip(self.variables, self._rebuild, strict=True):
            groups.append(rebuild(list(gradients[start : start + len(variables)])))
            start += len(variables)
        return groups


def _gradients_or_none(
    outs: Sequence[Tensor], variables: Sequence[Tensor], gs: Sequence[Any], *, create_graph: bool
) -> list[Tensor | None]:
    """Call ``gradients_of``, with None where no gradient flows."""
    flowing = [(out, g) for out, g in zip(outs, gs, strict=True) if out.requires_grad]
    wanted = [position for position, one in enumerate(variables) if one.requires_grad]
    found: list[Tensor | None] = [None] * len(variables)
    if flowing and wanted:
        sources, seeds = zip(*flowing, strict=True)
        inputs = [variables[position] for position in wanted]
        gradients = gradients_of(sources, inputs, seeds, create_graph=create_graph)
        for position, gradient in zip(wanted, gradients, strict=True):
            found[position] = gradient
    return found


def _with_aux(transform: str, out: Any) -> tuple[Any, Any]:
    """Return the value and the auxiliary result of a function that returns both."""
    if not isinstance(out, tuple) or len(out) != 2:
        raise ArgumentTypeError(
            f"tg.{transform}: with has_aux=True, the function must return (value, aux), got "
            f"{type(out).__name__}."
        )
    return out


def _variable(value: Any) -> Tensor:
    """Make a tensor to differentiate with respect to, in place of an argument."""
    if isinstance(value, Tensor) and value.requires_grad:
        return ops.alias(value)
    if isinstance(value, float | int) or value.__class__ in NUMBERS:
        return scalar(value)
    fresh = value.detach() if isinstance(value, Tensor) else tensor(value)
    fresh.name = getattr(value, "name", None)
    return fresh.requires_grad_()


def _zeros_like(one: Tensor) -> Tensor:
    return ops.zeros_like(one.detach())


Argnums = int | Sequence[int]


def _positions(argnums: Argnums) -> tuple[int, ...]:
    return tuple(argnums) if isinstance(argnums, Sequence) else (argnums,)


def _as_chosen(groups: Sequence[Any], argnums: Argnums) -> Any:
    """Return what was computed for the chosen arguments: of several, a tuple."""
    return tuple(groups) if isinstance(argnums, Sequence) else groups[0]


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """Return a function that computes the value of ``f`` and its gradient.

    Args:
        f: a function with a scalar result; its arguments may be tensors, numbers, arrays,
            containers (lists, tuples, dicts) of them, and modules, which represent their
            parameters.
        argnums: which argument, or which arguments, to differentiate with respect to.
        has_aux: whether ``f`` returns ``(value, aux)``, where aux is anything else of interest,
            such as predictions, which is not differentiated.

    Returns:
        A function that returns ``(value, gradient)``, or with ``has_aux`` ``((value, aux),
        gradient)``; the gradient has the containers of the argument (for a module, a dict by
        parameter name), or is a tuple of them for several arguments. The gradient is zero for an
        argument that does not affect the value. Arguments by keyword go to ``f`` as they are, and
        are not differentiated.

    Raises:
        ArgumentError: for an index that is not one of a positional argument.
        GradientError: if the value is not a scalar.

    Example:
        >>> import tinygrad_lab as tg
        >>> value, slope = tg.value_and_grad(lambda x: x * x)(3.0)
        >>> value.item(), slope.item()
        (9.0, 6.0)
        >>> f = lambda x, scale=1.0: (scale * x * x, "aux")
        >>> (value, aux), slope = tg.value_and_grad(f, has_aux=True)(3.0, scale=2.0)
        >>> value.item(), aux, slope.item()
        (18.0, 'aux', 12.0)
    """

    return _value_and_grad("grad", f, argnums, has_aux)


def _value_and_grad(
    transform: str, f: Callable[..., Any], argnums: Argnums, has_aux: bool
) -> Callable[..., tuple[Any, Any]]:
    """Do the work of ``value_and_grad``, for errors that name another transform."""

    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        run = _Run(transform, f, args, _positions(argnums), kwargs, has_aux)
        shapes = [out.shape for out in run.outs]
        if len(shapes) != 1 or run.outs[0].size != 1:
            raise GradientError(
                f"tg.{transform}: the function must return a scalar, got shape "
                f"{' and '.join(map(str, shapes))}. Reduce it (sum, mean), or use tg.jacobian or "
                "tg.vjp."
            )
        gradient = _as_chosen(run.grouped(run.gradients(run.outs, [None])), argnums)
        outer = run.matters_elsewhere()
        return (run.value(outer), run.aux(outer)) if has_aux else run.value(outer), gradient

    value_and_gradient.__wrapped__ = f  # type: ignore[attr-defined]
    return value_and_gradient


@explaining
def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Return a function that computes the gradient of ``f``; see ``value_and_grad``.

    With ``has_aux`` it returns ``(gradient, aux)``.

    Example:
        >>> import tinygrad_lab as tg
        >>> cube = lambda x: x * x * x
        >>> tg.grad(cube)(2.0).item(), tg.grad(tg.grad(cube))(2.0).item()
        (12.0, 12.0)
    """
    return _grad("grad", f, argnums, has_aux)


def _grad(
    transform: str, f: Callable[..., Any], argnums: Argnums, has_aux: bool
) -> Callable[..., Any]:
    both = _value_and_grad(transform, f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, slopes = both(*args, **kwargs)
        return (slopes, value[1]) if has_aux else slopes

    gradient.__wrapped__ = f  # type: ignore[attr-defined]  # the names of its arguments
    return gradient


def vjp(f: Callable[..., Any], *args: Any, has_aux: bool = False, **kwargs: Any) -> Any:
    """Return the value of ``f`` and its vjp, which maps a cotangent to the arguments' gradients.

    Arguments and value may be containers of tensors; the vjp then takes and returns such
    containers. Arguments by keyword go to ``f`` as they are, and get no gradient.

    With ``has_aux``, ``f`` returns ``(value, aux)``, and this ``(value, vjp, aux)``: see
    ``value_and_grad``.

    Example:
        >>> import tinygrad_lab as tg
        >>> value, pull_back = tg.vjp(lambda x: x * x, tg.tensor([1.0, 2.0]))
        >>> pull_back(tg.tensor([1.0, 10.0]))
        (tensor([ 2., 40.]),)
    """
    run = _Run("vjp", f, args, range(len(args)), kwargs, has_aux)

    def pull_back(g: Any) -> tuple[Any, ...]:
        gs = _parts(g, run.out, "gradients")
        return tuple(run.grouped(run.gradients(run.outs, gs)))

    value = run.value(outer=False)
    return (value, pull_back, run.aux(outer=False)) if has_aux else (value, pull_back)


def jvp(
    f: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
    **kwargs: Any,
) -> Any:
    """Return the value of ``f`` and its derivative along tangents: the Jacobian times a vector.

    The vjp u -> Jᵀu is linear in u; its own vjp maps the tangents to J times them (Townsend, "A new
    trick for calculating Jacobian vector products", 2017). So ops need no second kind of rule.

    Arguments by keyword go to ``f`` as they are. With ``has_aux``, ``f`` returns ``(value, aux)``,
    and this ``(value, derivative, aux)``: see ``value_and_grad``.

    Example:
        >>> import tinygrad_lab as tg
        >>> value, slope = tg.jvp(lambda x: x * x, (3.0,), (1.0,))
        >>> value.item(), slope.item()
        (9.0, 6.0)
    """
    if len(primals) != len(tangents):
        raise ArgumentError(f"tg.jvp: expected {len(primals)} tangents, got {len(tangents)}.")
    run = _Run("jvp", f, primals, range(len(primals)), kwargs, has_aux)
    variables = run.all_variables()
    parts = [
        part
        for primal, tangent in zip(primals, tangents, strict=True)
        for part in _parts(tangent, primal, "tangents")
    ]
    directions = list(map(_like, parts, variables))
    outer = run.matters_elsewhere(directions)
    with changed(grad_enabled=True):
        us = [_zeros_like(out).requires_grad_() for out in run.outs]
        pulled = _gradients_or_none(run.outs, variables, us, create_graph=True)
    moving = [
        (one, direction)
        for one, direction in zip(pulled, directions, strict=True)
        if one is not None
    ]
    sources, seeds = [one for one, _ in moving], [direction for _, direction in moving]
    slopes = [
        _zeros_like(u) if slope is None else slope if outer else slope.detach()
        for u, slope in zip(
            us, _gradients_or_none(sources, us, seeds, create_graph=outer), strict=True
        )
    ]
    value, slope = run.value(outer), run.rebuild_out(slopes)
    return (value, slope, run.aux(outer)) if has_aux else (value, slope)


def _parts(value: Any, container: Any, what: str) -> list[Any]:
    """Return the leaves of a value structured like a container (for one tensor, the value)."""
    count = len(trees.flatten(container)[0])
    parts = trees.flatten(value)[0] if trees.is_container(container) else [value]
    if len(parts) != count:
        raise ArgumentError(
            f"expected {count} {what}, with the structure of the container; got {len(parts)}."
        )
    return parts


def _like(direction: Any, variable: Tensor) -> Tensor:
    """Convert a tangent to a tensor of its primal's kind, and check its shape."""
    if not isinstance(direction, Tensor):
        return detached(as_seed(direction, variable))
    if direction.shape != variable.shape:
        raise ShapeError(
            f"tg.jvp: expected a tangent of the shape of its primal, {variable.shape}; got "
            f"{direction.shape}."
        )
    return direction


def jacobian(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that computes the Jacobian of ``f`` with respect to some arguments.

    Its result has the shape of the output followed by that of the argument. If the argument or the
    output is a container, the result is a container of such arrays; for several arguments, it is a
    tuple. Arguments by keyword, and ``has_aux``, are as in ``value_and_grad``: with it, the
    function returns ``(jacobian, aux)``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.jacobian(lambda x: x * x)(tg.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    return _jacobian("jacobian", f, argnums, has_aux)


def _jacobian(
    transform: str, f: Callable[..., Any], argnums: Argnums, has_aux: bool
) -> Callable[..., Any]:
    """Do the work of ``jacobian``, for errors that name another transform."""

    def full(*args: Any, **kwargs: Any) -> Any:
        run = _Run(transform, f, args, _positions(argnums), kwargs, has_aux)
        for one in (*run.all_variables(), *run.outs):
            if one.dtype.kind == "c":
                raise DTypeError(
                    f"tg.{transform}: expected real numbers, got {one.dtype}. Take the real and "
                    "the imaginary part as two arguments or two results: z = tg.complex(a, b)."
                )
        whole = run.rebuild_out(
            [_as_chosen(run.grouped(_derivatives(run, out)), argnums) for out in run.outs]
        )
        return (whole, run.aux(run.matters_elsewhere())) if has_aux else whole

    full.__wrapped__ = f  # type: ignore[attr-defined]  # the names of its arguments
    return full


def _derivatives(run: _Run, out: Tensor) -> list[Tensor]:
    """Compute the Jacobian of one output with respect to each variable."""
    variables = run.all_variables()
    xp = namespaces[type(out._data)]
    if xp is PYTHON:
        return run.gradients([out], [None])
    rows = []
    for position in range(out.size):
        basis = xp.zeros((out.size,), dtype=out.dtype, device=out._data.device)
        basis[position] = 1
        rows.append(run.gradients([out], [xp.reshape(basis, out.shape)]))
    if not rows:
        return [
            detached(xp.zeros((*out.shape, *v.shape), dtype=v.dtype, device=out._data.device))
            for v in variables
        ]
    columns = zip(*rows, strict=True)
    return [
        ops.stack([_as_array(one, out.device) for one in column]).reshape(
            (*out.shape, *variable.shape)
        )
        for column, variable in zip(columns, variables, strict=True)
    ]


def _as_array(one: Tensor, device: str) -> Tensor:
    """Convert a derivative that is a Python number to an array, which can be stacked."""
    return ops.transfer(one, device=device) if isinstance(one._data, float) else one


def hessian(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that computes the second derivatives of a scalar function.

    Its result has the shape of the argument twice; for a container, it is a container of
    containers, ``hessian["x"]["y"]``, and for several arguments a tuple of tuples. Arguments by
    keyword, and ``has_aux``, are as in ``value_and_grad``: with it, the function returns
    ``(hessian, aux)``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.hessian(lambda x: (x * x * x).sum())(tg.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    return _jacobian("hessian", _grad("hessian", f, argnums, has_aux), argnums, has_aux)


def hvp(f: Callable[..., Any], x: Any, v: Any, has_aux: bool = False, **kwargs: Any) -> Any:
    """Compute the Hessian of a scalar function times a vector, without forming the Hessian.

    ``x`` may be a container of tensors; ``v`` then has the same structure. Arguments by keyword,
    and ``has_aux``, are as in ``value_and_grad``: with it, the result is ``(product, aux)``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.hvp(lambda x: (x * x * x).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 1.0]))
        tensor([ 6., 12.])
    """
    # The Hessian is symmetric: the vjp of the gradient with v is H v.
    run = _Run("hvp", _grad("hvp", f, 0, has_aux), (x,), (0,), kwargs, has_aux)
    (product,) = run.grouped(run.gradients(run.outs, _parts(v, run.out, "gradients")))
    return (product, run.aux(run.matters_elsewhere())) if has_aux else product
