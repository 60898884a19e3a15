"""L-BFGS: a quasi-Newton method that remembers the last steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

from tinygrad_lab.backends import Array, namespaces
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, StateDictError
from tinygrad_lab.optim.bundle import Bundle
from tinygrad_lab.optim.line_search import Point, strong_wolfe
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """L-BFGS: goes along -H g, with H made of the last changes of parameters and gradients.

    One ``step(closure)`` makes up to ``max_iter`` iterations, each of which calls the closure. Its
    course depends on numbers, so it cannot be part of a compiled step; but the closure can be one.

    Source: Nocedal & Wright, "Numerical Optimization", 2nd edition, 2006, algorithms 7.4 (two
    loops) and 7.5, with H⁰ of equation 7.20.

    Args:
        params: tensors of one dtype and device, or one dict of tensors and settings.
        lr: the length of a step, or with a line search the first that is tried.
        max_iter: the most iterations of a step.
        max_eval: the most calls of the closure in a step; 1.25 ``max_iter`` if None.
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when neither parameters nor loss change more.
        history_size: how many steps are remembered.
        line_search_fn: ``"strong_wolfe"``, or None for steps of a length of ``lr``.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([3.0, -2.0], dtype=tg.float64, requires_grad=True)
        >>> optimizer = tg.optim.LBFGS([x], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = ((x - 1) ** 4).sum()
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure).item()
        97.0
        >>> closure().item() < 1e-6
        True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        settings = {"lr": lr, "max_iter": max_iter, "tolerance_grad": tolerance_grad}
        settings["max_eval"] = max_iter * 5 // 4 if max_eval is None else max_eval
        settings |= {"tolerance_change": tolerance_change, "history_size": history_size}
        super().__init__(params, {**settings, "line_search_fn": line_search_fn})
        self._state: dict[str, Any] = {}

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add the parameters, which may have no second group."""
        if self.param_groups:
            raise ArgumentError(
                "LBFGS updates all parameters as one vector: it takes one group, not several."
            )
        super().add_param_group(group)
        kinds = {
            (type(one.data).__name__, str(one.dtype), str(one.device)) for one in self._parameters()
        }
        if len(kinds) > 1:
            raise ArgumentError(
                "LBFGS updates all parameters as one vector: expected one dtype and device, got "
                + ", ".join(sorted(f"{dtype} on {device}" for _, dtype, device in kinds))
                + "."
            )

    def check(self, settings: Mapping[str, Any]) -> None:
        names = ("lr", "max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size")
        self._check_not_negative(settings, *names)
        if settings["line_search_fn"] not in (None, "strong_wolfe"):
            shown = f"{settings['line_search_fn']!r:.40}"
            raise ArgumentError(f"LBFGS: line_search_fn is 'strong_wolfe' or None, got {shown}.")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make up to ``max_iter`` iterations.

        Args:
            closure: resets the gradients, computes the loss and its gradients, and returns the
                loss.

        Returns:
            The loss before the step, as the closure returned it.
        """
        if closure is None:
            raise ArgumentTypeError(
                "LBFGS evaluates the loss several times a step: write optimizer.step(closure), "
                "where closure() calls zero_grad, computes the loss, calls its backward and "
                "returns it."
            )
        return _Iteration(self.param_groups[0], self._state, closure).run()

    def state_dict(self) -> dict[str, Any]:
        """Return settings and what is remembered, with parameters numbered in order."""
        state_dict = super().state_dict()
        return {**state_dict, "state": {0: deepcopy(self._state)} if self._state else {}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        states = state_dict.get("state", {}) if isinstance(state_dict, Mapping) else {}
        state = states.get(0, {})
        wanted, size = _Memory, sum(one.size for one in self._parameters())
        if state and set(state) != wanted:
            raise StateDictError(
                "the state dict does not fit this LBFGS:\n  0: expected "
                f"{', '.join(sorted(wanted))}; got {', '.join(sorted(state))}"
            )
        if state and len(state["d"]) != size:
            raise StateDictError(
                "the state dict does not fit this LBFGS:\n  0: expected d of shape "
                f"({size},), got {state['d'].shape}"
            )
        has_both = isinstance(state_dict, Mapping) and "state" in state_dict
        super().load_state_dict({**state_dict, "state": {}} if has_both else state_dict)
        self._state = deepcopy(dict(state))


_Memory = {
    *("n_iter", "func_evals", "d", "t", "old_dirs", "old_stps", "ro", "H_diag"),
    *("prev_flat_grad", "prev_loss"),
}
"""What is remembered from step to step, under PyTorch's names."""


class _Iteration:
    """The iterations of one step, over all parameters as one vector."""

    def __init__(
        self, settings: Mapping[str, Any], state: dict[str, Any], closure: Callable[[], Any]
    ) -> None:
        self.settings, self.state, self.closure = settings, state, closure
        self.parameters: list[Tensor] = settings["params"]
        self.bundle = Bundle(self.parameters, [{"step": 0} for _ in self.parameters], ())
        self.xp = namespaces[type(self.bundle.vector)]
        self.evaluations = 0

    def run(self) -> Any:
        settings, state = self.settings, self.state
        first = self.closure()
        self.evaluations = 1
        state["func_evals"] = state.get("func_evals", 0) + 1
        state.setdefault("n_iter", 0)
        loss, gradient = float(first), self.gradient()
        if self.largest(gradient) <= settings["tolerance_grad"]:
            return first
        for iteration in range(1, settings["max_iter"] + 1):
            state["n_iter"] += 1
            self.turn(gradient)
            d, is_first = state["d"], state["n_iter"] == 1
            shortened = min(1.0, 1.0 / float(self.xp.sum(self.xp.abs(gradient))))
            state["t"] = settings["lr"] * shortened if is_first else settings["lr"]
            state["prev_flat_grad"], state["prev_loss"] = gradient, loss
            start = Point(0.0, loss, self.dot(gradient, d), gradient)
            if start.slope > -settings["tolerance_change"]:
                break
            is_last = iteration == settings["max_iter"]
            loss, gradient = self.advance(start, is_last)
            if is_last or self.is_finished(loss, gradient):
                break
        return first

    def is_finished(self, loss: float, gradient: Array) -> bool:
        settings, state = self.settings, self.state
        change = settings["tolerance_change"]
        return (
            self.evaluations >= settings["max_eval"]
            or self.largest(gradient) <= settings["tolerance_grad"]
            or self.largest(state["d"] * state["t"]) <= change
            or abs(loss - state["prev_loss"]) < change
        )

    def turn(self, gradient: Array) -> None:
        """Set the direction: -H g, of what is remembered and the last step."""
        state = self.state
        if state["n_iter"] == 1:
            state.update(d=-gradient, old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return
        y = gradient - state["prev_flat_grad"]
        s = state["d"] * state["t"]
        ys = self.dot(y, s)
        if ys > 1e-10:
            for name, new in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / ys)):
                state[name] = [*state[name], new][-self.settings["history_size"] or len(state) :]
            state["H_diag"] = ys / self.dot(y, y)
        state["d"] = self.two_loops(gradient)

    def two_loops(self, gradient: Array) -> Array:
        """Return -H g (algorithm 7.4)."""
        state = self.state
        remembered = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
        q, shares = -gradient, []
        for y, s, rho in reversed(remembered):
            share = self.dot(s, q) * rho
            q = q - share * y
            shares.append(share)
        q = q * state["H_diag"]
        for (y, s, rho), share in zip(remembered, reversed(shares), strict=True):
            q = q + s * (share - self.dot(y, q) * rho)
        return q

    def advance(self, start: Point, is_last: bool) -> tuple[float, Array]:
        """Move along the direction; return the loss and the gradient there."""
        settings, state = self.settings, self.state
        origin, d = self.bundle.vector, state["d"]
        if settings["line_search_fn"] is None:
            self.move(origin + state["t"] * d)
            if is_last:  # nobody would look at the loss
                return start.loss, start.gradient
            end = self.evaluate()
            return float(end), self.gradient()

        def point(t: float) -> Point:
            self.move(origin + t * d)
            loss, gradient = float(self.evaluate()), self.gradient()
            return Point(t, loss, self.dot(gradient, d), gradient)

        smallest = settings["tolerance_change"] / max(self.largest(d), 1e-300)
        end, _ = strong_wolfe(point, start, state["t"], smallest=smallest)
        state["t"] = end.t
        self.move(origin + end.t * d)
        return end.loss, end.gradient

    def evaluate(self) -> Any:
        self.evaluations += 1
        self.state["func_evals"] += 1
        return self.closure()

    def move(self, vector: Array) -> None:
        """Give the parameters new values."""
        self.bundle.vector = vector
        for parameter, part in zip(self.parameters, self.bundle.parts(vector), strict=True):
            parameter._rebind(part)

    def gradient(self) -> Array:
        """Return all gradients as one vector; zeros where there is none."""
        zeros = self.bundle.parts(self.xp.zeros_like(self.bundle.vector))
        return self.bundle._joined(
            [
                zero if (grad := parameter.grad) is None else grad._data
                for parameter, zero in zip(self.parameters, zeros, strict=True)
            ]
        )

    def dot(self, a: Array, b: Array) -> float:
        return float(self.xp.sum(a * b))

    def largest(self, vector: Array) -> float:
        return float(self.xp.max(self.xp.abs(vector))) if vector.size else 0.0
