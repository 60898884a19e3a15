"""Gradient norms and update-to-data ratios by layer: one figure, however many parameters."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.backends import namespaces
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.nn import Module
from tinygrad_lab.optim import Optimizer
from tinygrad_lab.train.looks.samples import batches, device_of
from tinygrad_lab.train.looks.sheet import Look, finish, key, log_bars, paint
from tinygrad_lab.train.looks.terminal import columns
from tinygrad_lab.train.looks.untouched import untouched

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LayerStatistics", "layer_statistics"]

USUAL = 1e-3
"""The ratio of update to data that is about right, a rule of thumb."""
_MOST_LINES = 8
"""More layers are drawn as a heat map: as many curves would not be told apart."""


class LayerStatistics(Look):
    """Gradient norms and update-to-data ratios of a net's layers over its steps.

    A layer is a module with parameters of its own. Call ``look()`` after each step, when the
    gradients are still there; it costs some passes over the parameters.

    Args:
        model: the net, before the first step.

    Example:
        >>> import tinygrad_lab as tg
        >>> from tinygrad_lab import nn, train
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        >>> optimizer = tg.optim.SGD(net.parameters(), lr=0.1)
        >>> layers = train.LayerStatistics(net)
        >>> for step in range(5):
        ...     optimizer.zero_grad()
        ...     net(tg.ones((6, 3))).sum().backward()
        ...     optimizer.step()
        ...     layers.look()
        >>> layers.names, layers.gradient_norms.shape
        (('0', '2'), (5, 2))
    """

    def __init__(self, model: Module) -> None:
        self._layers = _layers_of(model)
        self.names: tuple[str, ...] = tuple(self._layers)
        """The paths of the layers, from the first to the last of the net."""
        self.steps: list[int] = []
        self._norms: list[list[float]] = []
        self._ratios: list[list[float]] = []
        self._before = self._values()

    def _values(self) -> dict[str, list[Any]]:
        # Copies: a compiled step writes into the memory of parameters.
        return {
            name: [_numpy(one.data).copy() for one in parameters]
            for name, parameters in self._layers.items()
        }

    def look(self, step: int | None = None) -> None:
        """Note the gradients that there are, and what changed since the last look.

        Args:
            step: the number of the step; one more than that of the last look if not given.
        """
        now = self._values()
        norms, ratios = [], []
        for name, parameters in self._layers.items():
            grads = [one.grad.data for one in parameters if one.grad is not None]
            norms.append(_norm(map(_numpy, grads)) if grads else float("nan"))
            moved = _norm(new - old for new, old in zip(now[name], self._before[name], strict=True))
            size = _norm(self._before[name])
            ratios.append(moved / size if size else float("nan"))
        self._before = now
        self.steps.append(step if step is not None else (self.steps[-1] if self.steps else 0) + 1)
        self._norms.append(norms)
        self._ratios.append(ratios)

    @property
    def gradient_norms(self) -> np.ndarray[Any, Any]:
        """Euclidean norms of the layers' gradients, (looks, layers); NaN where there was none."""
        return np.array(self._norms).reshape(-1, len(self.names))

    @property
    def update_ratios(self) -> np.ndarray[Any, Any]:
        """Norms of updates over norms of what was updated, (looks, layers); NaN of zeros."""
        return np.array(self._ratios).reshape(-1, len(self.names))

    def __str__(self) -> str:
        if not self.steps:
            return "no steps yet: call look() after each"
        norms, ratios = _typical(self.gradient_norms), _typical(self.update_ratios)
        header = ("layer", "", "gradient norm", "update/data", "")
        rows = zip(self.names, log_bars(norms, 16), norms, ratios, strict=True)
        table = [(name, bar, f"{norm:.2e}", f"{ratio:.1e}", _judged(ratio)) for name, bar, norm, ratio in rows]
        title = f"medians of the last {min(len(self.steps), _RECENT)} of {len(self.steps):,} steps"
        return f"{title}\n\n{columns([header, *table], left=2)}"

    def _draw(self, figure: Figure) -> None:
        panels = figure.subplots(2, 1, sharex=True)
        contents = (
            ("gradient norm", self.gradient_norms, None),
            ("update / data", self.update_ratios, USUAL),
        )
        few = len(self.names) <= _MOST_LINES
        for axes, (title, values, usual) in zip(panels, contents, strict=True):
            draw = self._draw_lines if few else self._draw_heat
            draw(axes, title, values, usual)
        panels[-1].set_xlabel("step")
        if few and self.steps:
            key(panels[0], loc="upper left", bbox_to_anchor=(1.0, 1.0), title="layer")

    def _draw_lines(self, axes: Axes, title: str, values: Any, usual: float | None) -> None:
        finish(axes, title=title)
        axes.set_yscale("log")
        for place, name in enumerate(self.names):
            known = np.isfinite(values[:, place]) & (values[:, place] > 0)
            steps = np.array(self.steps)[known]
            axes.plot(steps, values[known, place], label=name, **paint(place))
        if usual is not None:
            axes.axhline(usual, color="#5c6370", linestyle=":", linewidth=1.5)
            axes.text(1.005, usual, "about right", transform=axes.get_yaxis_transform(), va="center")

    def _draw_heat(self, axes: Axes, title: str, values: Any, usual: float | None) -> None:
        finish(axes, title=title if usual is None else f"{title} (about right: {usual:g})")
        axes.grid(False)
        with np.errstate(all="ignore"):
            logs = np.log10(np.where(values > 0, values, np.nan)).T
        steps = self.steps or [0, 1]
        extent = (steps[0] - 0.5, steps[-1] + 0.5, len(self.names) - 0.5, -0.5)
        image = axes.imshow(
            logs, aspect="auto", cmap="viridis", interpolation="nearest", extent=extent
        )
        shown = range(0, len(self.names), -(-len(self.names) // _MOST_NAMES))
        axes.set_yticks(list(shown), [self.names[place] for place in shown])
        bar = axes.figure.colorbar(image, ax=axes, pad=0.01)
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{10**value:.0e}")


_MOST_NAMES = 16
_RECENT = 50


def layer_statistics(
    model: Module,
    loss: Callable[..., Any],
    data: Any,
    optimizer: Optimizer,
    *,
    steps: int = 100,
    batch_size: int = 100,
    seed: int = 0,
) -> LayerStatistics:
    """Train a net for some steps, look at its layers at each, and put everything back.

    Args:
        model: the net.
        loss: a function of outputs and labels, as ``nn.functional.cross_entropy``.
        data: a pair (x, y), a data set such as ``tg.data.mnist1d()``, or a loader.
        optimizer: it updates the parameters of the net; its state is put back, too.
        steps: how many.
        batch_size, seed: of the batches, where data are no loader.

    Returns:
        What ``print``, a notebook and ``save`` show.

    Raises:
        ArgumentError: for fewer than one step.
    """
    if steps < 1:
        raise ArgumentError(f"layer_statistics: steps must be at least 1; got {steps}.")
    with untouched(model, optimizer, data):
        seen = LayerStatistics(model)
        order = batches("layer_statistics", data, device_of(model), batch_size, seed)
        for _, (x, y) in zip(range(steps), order, strict=False):
            optimizer.zero_grad()
            loss(model(x), y).backward(free=True)
            optimizer.step()
            seen.look()
    return seen


def _layers_of(model: Module) -> dict[str, list[Any]]:
    """Return the parameters of each module that has some of its own, by its path."""
    found: dict[str, list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found.setdefault(name.rpartition(".")[0] or "(the net)", []).append(parameter)
    if not found:
        raise ArgumentError(
            f"LayerStatistics: {type(model).__name__} has no parameters that require a gradient."
        )
    return found


def _numpy(array: Any) -> Any:
    return np.asarray(namespaces[type(array)].to_numpy(array))


def _norm(arrays: Any) -> float:
    return sqrt(sum(float(np.square(one, dtype=np.float64).sum()) for one in arrays))


def _typical(values: Any) -> list[float]:
    """Return the median of each layer over its last steps."""
    recent = values[-_RECENT:]
    known = [column[np.isfinite(column)] for column in recent.T]
    return [float(np.median(column)) if len(column) else float("nan") for column in known]


def _judged(ratio: float) -> str:
    if not np.isfinite(ratio):
        return ""
    return "large" if ratio > 10 * USUAL else "small" if ratio < USUAL / 100 else "fine"
