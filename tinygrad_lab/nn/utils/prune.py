"""Pruning: parameters of modules with a mask, which makes chosen elements 0 for good.

A pruned ``weight`` is ``weight_orig * weight_mask``: the first is the parameter as it was, which
optimisers go on training, the second a buffer of ones and zeros. Both are in the state dict, and
no gradient reaches what is masked. ``remove`` makes the zeros permanent.

Which elements are the least important is a guess. Their magnitude is a good one: Han et al.,
"Learning both Weights and Connections for Efficient Neural Networks" (2015); whole channels by
their norm: Li et al., "Pruning Filters for Efficient ConvNets" (2016). Train again afterwards.

    from tinygrad_lab.nn.utils import prune

    prune.l1_unstructured(layer, "weight", amount=0.3)       # 30 % of the elements
    prune.ln_structured(layer, "weight", amount=2, n=2, dim=0)  # and two of the rows
    prune.remove(layer, "weight")
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import ones_like
from tinygrad_lab.context import no_grad
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, excerpt
from tinygrad_lab.nn.computed import computation_of, keep_instead
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.utils.pruning_methods import (
    BasePruningMethod,
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    Masked,
    RandomStructured,
    RandomUnstructured,
    check_module,
    check_shape,
    mask_of,
    pruned_or_parameter,
    set_mask,
)
from tinygrad_lab.nn.utils.vectors import parameters_to_vector

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]


@explaining
def identity(module: Module, name: str) -> Module:
    """Give a parameter a mask of ones, and prune nothing. Return the module."""
    Identity.apply(module, name)
    return module


@explaining
def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune elements of a parameter at random, from the generator that ``tg.seed`` seeds.

    Args:
        module: a layer, changed in place.
        name: of the parameter: "weight".
        amount: an integer is a number of elements, a float from 0 to 1 a share of them; where some
            are pruned already, of the others.

    Returns:
        The module.

    Raises:
        ArgumentTypeError, ArgumentError: for no module, no such parameter, another amount.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.utils.prune.random_unstructured(tg.nn.Linear(4, 5), "weight", 0.5)
        >>> int((layer.weight == 0).sum())
        10
    """
    RandomUnstructured.apply(module, name, amount)
    return module


@explaining
def l1_unstructured(
    module: Module, name: str, amount: float, importance_scores: Tensor | None = None
) -> Module:
    """Prune the elements of a parameter that have the smallest absolute value.

    Arguments, result and errors as in ``random_unstructured``, and

    Args:
        importance_scores: take these absolute values instead; of the parameter's shape.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.Linear(4, 1)
        >>> layer.weight.data = tg.tensor([[0.1, -0.5, 0.3, -0.2]])
        >>> tg.nn.utils.prune.l1_unstructured(layer, "weight", amount=2).weight
        tensor([[ 0. , -0.5,  0.3, -0. ]], op=multiply)
        >>> [name for name in layer.state_dict()]
        ['bias', 'weight_orig', 'weight_mask']
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


@explaining
def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune channels of a parameter along an axis at random.

    Arguments, result and errors as in ``random_unstructured``: ``amount`` counts channels. ``dim``
    is the axis: 0 for the outputs of a layer, 1 for its inputs.
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


@explaining
def ln_structured(
    module: Module,
    name: str,
    amount: float,
    n: float,
    dim: int,
    importance_scores: Tensor | None = None,
) -> Module:
    """Prune the channels of a parameter along an axis that have the smallest norm.

    Arguments, result and errors as in ``random_structured``, and

    Args:
        n: the power of the norm; inf is the largest absolute value.
        importance_scores: take the norms of these instead; of the parameter's shape.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.Linear(2, 3)
        >>> layer.weight.data = tg.tensor([[1.0, 2.0], [0.0, 1.0], [2.0, 2.0]])
        >>> tg.nn.utils.prune.ln_structured(layer, "weight", amount=1, n=2, dim=0).weight.tolist()
        [[1.0, 2.0], [0.0, 0.0], [2.0, 2.0]]
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


@explaining
def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune a parameter where a mask is 0. Return the module.

    Raises:
        ArgumentTypeError, ArgumentError: for no module, no such parameter, no Tensor.
        ShapeError: for a mask of another shape than the parameter's.
    """
    CustomFromMask.apply(module, name, mask)
    return module


@explaining
def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: Mapping[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune elements of several parameters, compared with one another.

    Args:
        parameters: pairs of a module and a name: ``[(layer, "weight"), ...]``.
        pruning_method: ``L1Unstructured``, ``RandomUnstructured`` or a rule of one's own of the
            type "unstructured".
        importance_scores: for some of the pairs, how important each element is.
        kwargs: arguments of the rule, such as ``amount``: of all elements together.

    Raises:
        ArgumentTypeError, ArgumentError: for other pairs, another rule, another amount.
        ShapeError: for scores of another shape than the parameter's.

    Example:
        >>> import tinygrad_lab as tg
        >>> from tinygrad_lab.nn.utils import prune
        >>> net = tg.nn.Sequential(tg.nn.Linear(4, 4), tg.nn.Linear(4, 1))
        >>> pairs = [(layer, "weight") for layer in net]
        >>> prune.global_unstructured(pairs, prune.L1Unstructured, amount=10)
        >>> sum(int((layer.weight == 0).sum()) for layer in net)
        10
    """
    pairs = _pairs(parameters)
    is_rule = isinstance(pruning_method, type) and issubclass(pruning_method, BasePruningMethod)
    if not is_rule or pruning_method.PRUNING_TYPE != "unstructured":
        raise ArgumentTypeError(
            "global_unstructured takes a class of the type 'unstructured', such as "
            f"prune.L1Unstructured; got {excerpt(pruning_method)}."
        )
    method = pruning_method(**kwargs)
    given = {} if importance_scores is None else importance_scores
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(
            "global_unstructured: importance_scores is a dict from (module, name) to a Tensor, got "
            f"{excerpt(given)}."
        )
    present = [pruned_or_parameter("global_unstructured", *pair) for pair in pairs]
    scores = [given.get(pair, one.detach()) for pair, one in zip(pairs, present, strict=True)]
    masks = [
        ones_like(one.detach()) if mask is None else mask
        for one, mask in zip(present, (mask_of(*pair) for pair in pairs), strict=True)
    ]
    for score, one in zip(scores, present, strict=True):
        check_shape("importance_scores", score, one)
    with no_grad():
        mask = method.refined(parameters_to_vector(scores), parameters_to_vector(masks))
    start = 0
    for pair, one in zip(pairs, present, strict=True):
        set_mask(*pair, ops.reshape(mask[start : start + one.size], one.shape))
        start += one.size


@explaining
def is_pruned(module: Module) -> bool:
    """Return whether some parameter of a module, or of one inside it, is pruned."""
    check_module("is_pruned", module)
    computed = [vars(inner).get("_computed", {}).values() for inner in module.modules()]
    return any(isinstance(one, Masked) for some in computed for one in some)


@explaining
def remove(module: Module, name: str) -> Module:
    """Make the zeros of a pruned parameter permanent, and drop its mask. Return the module.

    The parameter is the one that was ``weight_orig``: optimisers go on with it, and train the
    zeros as any other number.

    Raises:
        ArgumentTypeError, ArgumentError: for no module, or a parameter that is not pruned.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.utils.prune.l1_unstructured(tg.nn.Linear(4, 1), "weight", 0.5)
        >>> [name for name in tg.nn.utils.prune.remove(layer, "weight").state_dict()]
        ['bias', 'weight']
    """
    check_module("remove", module)
    if not isinstance(computation_of(module, name), Masked):
        raise ArgumentError(
            f"remove: {excerpt(name)} of {type(module).__name__} is not pruned, so it stays as it "
            "is."
        )
    original = getattr(module, f"{name}_orig")
    original.data = getattr(module, name).detach()
    original.name = None  # the next picture names it anew
    keep_instead(module, name, original, f"{name}_orig", f"{name}_mask")
    return module


def _pairs(parameters: Any) -> list[tuple[Module, str]]:
    pairs = list(parameters) if isinstance(parameters, Iterable) else [parameters]
    for pair in pairs:
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise ArgumentTypeError(
                'global_unstructured takes pairs of a module and a name, [(layer, "weight"), ...]; '
                f"got {excerpt(pair)}."
            )
    if not pairs:
        raise ArgumentError("global_unstructured needs at least one parameter, got none.")
    return [(module, name) for module, name in pairs]
