"""How a net learns: gradients by layer, rows that are alike, parameters that get no gradient."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from tinygrad_lab.answers.answer import Answer, plural
from tinygrad_lab.answers.numbers import numpy_of
from tinygrad_lab.formatting import number
from tinygrad_lab.nn.module import Module
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["health_of", "updates_of"]

FACTOR = 1000.0
"""Gradients of the first and the last layer that differ by more vanish, or explode."""
LARGE, SMALL = 0.1, 1e-5
"""Updates beyond these parts of their parameters are called large and small; 0.001 is usual."""
_BAR = 20


def health_of(model: Module) -> Answer:
    """Say how the gradients of a module's parameters look, layer by layer.

    Args:
        model: a module after a ``backward()``, and before ``zero_grad()``.
    """
    named = dict(model.named_parameters())
    grads = {name: _grad_of(one) for name, one in named.items()}
    present = {name: g for name, g in grads.items() if g is not None}
    question = f"How do the gradients of this {type(model).__name__} look?"
    if not present:
        why = f"None of {plural(len(named), 'parameter')} has a gradient: call backward() first."
        return Answer(question, "no gradients", [why])
    sizes = {name: _rms(g) for name, g in present.items()}
    weights = [name for name in present if named[name].ndim > 1] or list(present)
    ratio = sizes[weights[0]] / sizes[weights[-1]] if sizes[weights[-1]] else np.inf
    found = [
        *_not_finite(present),
        *_alike(named, present),
        *_by_depth(weights, ratio, sizes),
        *_without(grads),
    ]
    causes = [cause for cause, _ in found] or ["no fault found"]
    sentences = [text for _, text in found] or [
        "All parameters have finite gradients, and those of the first and the last weights differ "
        f"by less than a factor of {FACTOR:,.0f}."
    ]
    numbers = {"sizes": sizes, "first / last": ratio, "causes": causes}
    return Answer(question, causes[0], sentences, None, numbers, _chart(named, sizes))


def _grad_of(parameter: Any) -> Any:
    return None if parameter.grad is None else numpy_of(parameter.grad._data)


def _rms(array: Any) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if array.size else 0.0


def _not_finite(grads: dict[str, Any]) -> list[tuple[str, str]]:
    bad = [name for name, g in grads.items() if not np.isfinite(g).all()]
    text = f"Not finite: {', '.join(bad)}. Ask tg.explain(loss) where that began."
    return [("not finite", text)] if bad else []


def _alike(named: dict[str, Any], grads: dict[str, Any]) -> list[tuple[str, str]]:
    """Find weights whose rows, one for each unit, are all the same, and their gradients too."""
    found = [
        name
        for name, g in grads.items()
        if g.ndim > 1
        and len(g) > 1
        and (g == g[:1]).all()
        and (numpy_of(named[name]._data) == numpy_of(named[name]._data)[:1]).all()
    ]
    text = (
        f"The rows of {', '.join(found)} are all the same, and so are those of the gradients: its "
        "units compute one and the same, and stay alike. Start from random numbers."
    )
    return [("identical rows", text)] if found else []


def _by_depth(weights: list[str], ratio: float, sizes: dict[str, float]) -> list[tuple[str, str]]:
    first, last = weights[0], weights[-1]
    if len(weights) < 2 or not np.isfinite([sizes[first], sizes[last]]).all():
        return []
    if sizes[first] == sizes[last] == 0:
        return [("all zero", "The gradients are 0: ask tg.explain(loss, parameter) why.")]
    texts = f"{number(sizes[first], 3)} in {first}, {number(sizes[last], 3)} in {last}"
    if ratio < 1 / FACTOR:
        return [("vanishing", f"Gradients vanish on the way back: {texts}.")]
    if ratio > FACTOR:
        return [("exploding", f"Gradients explode on the way back: {texts}.")]
    return []


def _without(grads: dict[str, Any]) -> list[tuple[str, str]]:
    names = [name for name, g in grads.items() if g is None]
    text = (
        f"{plural(len(names), 'parameter')} got no gradient: {', '.join(names)}. Ask "
        "tg.explain(loss, parameter) why."
    )
    return [("no gradient", text)] if names else []


def _chart(named: dict[str, Any], sizes: dict[str, float]) -> Sequence[Sequence[str]]:
    """Draw the root mean squares of gradients as bars, on a logarithmic scale."""
    logs = {name: np.log10(size) for name, size in sizes.items() if 0 < size < np.inf}
    low, high = (min(logs.values()), max(logs.values())) if logs else (0.0, 0.0)
    span = max(high - low, 1.0)
    rows = [("parameter", "shape", "rms gradient", "log scale")]
    for name, parameter in named.items():
        shape = str(tuple(parameter.shape))
        if name not in sizes:
            rows.append((name, shape, "none", ""))
            continue
        length = 1 + round((_BAR - 1) * (logs[name] - low) / span) if name in logs else 0
        rows.append((name, shape, number(sizes[name], 3), "█" * length))
    return rows


def updates_of(optimizer: Optimizer) -> Answer:
    """Say how large the next step of an optimiser would be, compared with each parameter.

    A copy of the optimiser makes the step, on copies of the parameters.
    """
    question = f"How large would the next step of this {type(optimizer).__name__} be?"
    own = [p for group in optimizer.param_groups for p in group["params"]]
    moved = [p for p in own if p.grad is not None]
    if not moved:
        return Answer(question, "no gradients", ["No parameter has a gradient: no step."])
    before = {id(p): numpy_of(p._data).copy() for p in moved}
    copy = deepcopy(optimizer)
    copies = [p for group in copy.param_groups for p in group["params"]]
    for one, its_copy in zip(own, copies, strict=True):
        its_copy.grad = None if one.grad is None else one.grad.detach()
    try:
        copy.step()
    except TypeError:
        return Answer(question, "not known", ["Its step needs a closure: it cannot be tried."])
    rows: list[tuple[str, ...]] = [("parameter", "rms", "rms of update", "update / parameter")]
    ratios = []
    for n, (one, its_copy) in enumerate(zip(own, copies, strict=True)):
        if id(one) not in before:
            continue
        old = before[id(one)]
        size, step = _rms(old), _rms(numpy_of(its_copy._data) - old)
        ratios.append(step / size if size else np.inf if step else 0.0)
        texts = [number(size, 3), number(step, 3), number(ratios[-1], 2)]
        rows.append((one.name or f"{n}, {tuple(one.shape)}", *texts))
    return _judged(question, np.array(ratios), rows)


def _judged(question: str, ratios: Any, rows: Sequence[Sequence[str]]) -> Answer:
    known = ratios[np.isfinite(ratios)]  # a parameter of zeros has nothing to compare with
    large, small = int((known > LARGE).sum()), int((known < SMALL).sum())
    if large:
        cause = "large updates"
        why = f"{plural(large, 'parameter')} would change by more than a tenth: lower lr."
    elif len(known) and small == len(known):
        cause, why = "small updates", f"No parameter would change by more than {SMALL:g} of itself."
    else:
        cause, why = "updates fit", "About a thousandth of a parameter is usual."
    return Answer(question, cause, [why], None, {"ratios": ratios.tolist()}, rows)
