"""A line search for the strong Wolfe conditions: how far to go in a direction.

Source: Nocedal & Wright, "Numerical Optimization", 2nd edition, 2006, algorithms 3.5 (bracket) and
3.6 (zoom), and equation 3.59 (cubic interpolation). Steps that hardly shorten the bracket are moved
inwards, as in Schmidt's minFunc, which PyTorch follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Point", "strong_wolfe"]

DECREASE = 1e-4
"""c₁: the part of the decrease that the slope promises which a step must bring."""
CURVATURE = 0.9
"""c₂: the part of the first slope that may be left."""
MOST = 25
"""The most points that are tried."""


@dataclass(frozen=True, slots=True)
class Point:
    """The loss at a distance t along the direction, its slope there, and the gradient."""

    t: float
    loss: float
    slope: float
    gradient: Any


def strong_wolfe(
    evaluate: Callable[[float], Point], start: Point, first: float, *, smallest: float
) -> tuple[Point, int]:
    """Return a point that fulfils the strong Wolfe conditions, and the number of points tried.

    Args:
        evaluate: returns the point at a distance.
        start: the point at 0, with a negative slope.
        first: the distance that is tried first.
        smallest: brackets shorter than this are not divided.

    Without success within ``MOST`` points it is the best that was found.
    """
    search = _Search(evaluate, start, smallest)
    return search.zoomed(*search.bracketed(first)), search.tried


class _Search:
    """A line search from one point."""

    def __init__(self, evaluate: Callable[[float], Point], start: Point, smallest: float) -> None:
        self.evaluate, self.start, self.smallest = evaluate, start, smallest
        self.tried = 0
        self.is_done = False

    def bracketed(self, first: float) -> tuple[Point, Point]:
        """Go outwards until a minimum lies between two points; return them (algorithm 3.5)."""
        before, now = self.start, self.at(first)
        while self.tried <= MOST:
            rises = self.tried > 2 and now.loss >= before.loss
            if self.falls_short(now) or rises:
                return before, now
            if self.is_flat(now):
                self.is_done = True
                return now, now
            if now.slope >= 0:
                return before, now
            bounds = now.t + 0.01 * (now.t - before.t), 10 * now.t
            before, now = now, self.at(_cubic_minimum(before, now, bounds))
        return self.start, now

    def zoomed(self, one: Point, other: Point) -> Point:
        """Shorten a bracket until a point in it will do (algorithm 3.6)."""
        low, high = (one, other) if one.loss <= other.loss else (other, one)
        was_short = False
        while not self.is_done and self.tried <= MOST:
            if abs(high.t - low.t) < self.smallest:
                break
            t, was_short = self.inside(low, high, was_short)
            now = self.at(t)
            if self.falls_short(now) or now.loss >= low.loss:
                low, high = (low, now) if low.loss <= now.loss else (now, low)
                continue
            if self.is_flat(now):
                self.is_done = True
            elif now.slope * (high.t - low.t) >= 0:
                high = low
            low = now
        return low

    def inside(self, low: Point, high: Point, was_short: bool) -> tuple[float, bool]:
        """Return a distance between two points, and whether it is close to one of them."""
        left, right = sorted((low, high), key=lambda point: point.t)
        t = _cubic_minimum(left, right, (left.t, right.t))
        margin = 0.1 * (right.t - left.t)
        if min(right.t - t, t - left.t) >= margin:
            return t, False
        if was_short or t >= right.t or t <= left.t:
            is_right = abs(t - right.t) < abs(t - left.t)
            return (right.t - margin if is_right else left.t + margin), False
        return t, True

    def at(self, t: float) -> Point:
        self.tried += 1
        return self.evaluate(t)

    def falls_short(self, point: Point) -> bool:
        """Return whether the loss has not decreased as much as the first slope promised."""
        start = self.start
        return point.loss > start.loss + DECREASE * point.t * start.slope

    def is_flat(self, point: Point) -> bool:
        return abs(point.slope) <= -CURVATURE * self.start.slope


def _cubic_minimum(one: Point, other: Point, bounds: tuple[float, float]) -> float:
    """Return the minimum, within bounds, of the cubic with two points' losses and slopes."""
    low, high = bounds
    a, b = (one, other) if one.t <= other.t else (other, one)
    if a.t == b.t:
        return (low + high) / 2
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    d2: float = square**0.5
    divisor = b.slope - a.slope + 2 * d2
    if divisor == 0:
        return (low + high) / 2
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / divisor), low), high)
