"""``tg.gradcheck``: check gradients against differences of values.

The outputs are projected onto random numbers u, which gives one number L = sum(u * f(x)). Its
gradient by ``backward()`` is compared, element by element and along one random direction of all
elements, with estimates from values of f alone:

- central differences, (L(x + h) - L(x - h)) / 2h, accurate to about ten digits;
- if f can be computed on complex numbers, the complex step, Im L(x + ih) / h with h = 1e-20,
  which subtracts nothing and so is accurate to the last digits (Squire & Trapp, "Using complex
  variables to estimate derivatives of real functions", 1998).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab import trees
from tinygrad_lab.array_api.creation import scalar, tensor
from tinygrad_lab.backends import namespaces
from tinygrad_lab.calculus.reproduce import snippet
from tinygrad_lab.calculus.transforms import gradients_of
from tinygrad_lab.context import changed
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradcheckError,
    TinygradLabError,
)

__all__ = ["Gradcheck", "gradcheck"]

COMPLEX_STEP = 1e-20
STEP = 1e-5
"""The step of central differences, relative to numbers above 1; balances truncation, rounding."""

CENTRAL, COMPLEX = "central differences", "the complex step"
_TOLERANCES = {CENTRAL: (1e-5, 1e-7), COMPLEX: (1e-9, 1e-11)}
"""The relative and absolute tolerance of each method."""

Array = np.ndarray[Any, Any]
Values = Sequence[Array]


@dataclass(frozen=True)
class Gradcheck:
    """The result of a passed ``gradcheck``: print it to see what was compared, and how closely."""

    name: str
    order: int
    method: str
    """The method that first derivatives were compared with."""
    compared: int
    """The number of derivatives with respect to single elements that were compared."""
    largest: float
    """The largest difference, relative to the larger number (or to 1)."""
    seed: int

    def __str__(self) -> str:
        what = "gradients" if self.order == 1 else "gradients, and gradients of gradients,"
        return (
            f"gradcheck: {what} of {self.name} are right in {self.compared} elements and along "
            f"random directions, by {self.method}; largest difference {self.largest:.1g}; "
            f"seed {self.seed}."
        )

    __repr__ = __str__


def gradcheck(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 1,
    seed: int = 0,
    samples: int = 100,
    rtol: float | None = None,
    atol: float | None = None,
) -> Gradcheck:
    """Check the gradients of a function against differences of its values.

    Args:
        f: a function of tensors to a tensor, or to a container of tensors.
        inputs: its arguments: tensors, arrays and numbers, containers of them, and modules, which
            stand for their parameters. Gradients are checked for all that are float64; integers and
            booleans are passed unchanged.
        order: 2 to also check the gradients of gradients.
        seed: for the random projection and the choice of elements.
        samples: the number of elements of each input to check one by one, at most all. All elements
            are also checked together along one random direction.
        rtol: the tolerance relative to the larger number; by default 1e-9 if the complex step can
            be used, else 1e-5.
        atol: the absolute tolerance; by default 1e-11 or 1e-7.

    Returns:
        A report of the comparison, to print.

    Raises:
        GradcheckError: if a gradient is wrong. The message names input and element, both numbers
            and the seed, says whether f seems to have a kink there, and contains a script that
            reproduces it.
        DTypeError: for float32, which is not precise enough for differences.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.gradcheck(tg.tanh, tg.tensor([0.5, -1.0], dtype=tg.float64), order=2)
        gradcheck: gradients, and gradients of gradients, of tanh are right in 4 elements
        and along random directions, by the complex step; largest difference ...; seed 0.
    """
    if order not in (1, 2):
        raise ArgumentError(f"tg.gradcheck: expected order=1 or order=2, got {order!r}.")
    if samples < 0:
        raise ArgumentError(f"tg.gradcheck: expected samples of 0 or more, got {samples!r}.")
    check = _Check(f, inputs, order=order, seed=seed, samples=samples, rtol=rtol, atol=atol)
    check.first_order()
    if order == 2:
        check.second_order()
    return Gradcheck(check.name, order, check.method, check.compared, check.largest, seed)


# --- the function on arrays -----------------------------------------------------------------


class _Function:
    """f as a function of float64 arrays, one for each floating input."""

    def __init__(self, f: Callable[..., Any], inputs: Sequence[Any]) -> None:
        self.f = f
        self._arguments: list[tuple[list[Any], Callable[[list[Any]], Any], Any]] = []
        self.variables: list[Tensor] = []
        self.labels: list[str] = []
        """The names of the variables in messages."""
        for position, given in enumerate(inputs):
            leaves, rebuild = trees.flatten(given)
            module = given if trees.is_module(given) else None
            names = list(dict(given.named_parameters())) if module is not None else []
            tensors = [_as_tensor(leaf) for leaf in leaves]
            for place, one in enumerate(tensors):
                label = f"input {position}"
                if names or len(leaves) > 1:
                    label += f", {names[place] if names else f'part {place}'}"
                if _is_variable(one):
                    self._add(one, f"{label} ({one.name!r})" if one.name else label)
            self._arguments.append((tensors, rebuild, module))
        if not self.variables:
            raise ArgumentError(
                "tg.gradcheck: expected an input of floating-point numbers to differentiate with "
                f"respect to, got {len(inputs)} input(s) without one."
            )

    def _add(self, one: Tensor, label: str) -> None:
        if one.dtype != np.float64:
            raise DTypeError(_too_few_digits(label, one.dtype))
        self.variables.append(one)
        self.labels.append(label)

    def values(self) -> list[Array]:
        """Return the point at which gradients are checked."""
        return [_numbers(one) for one in self.variables]

    def fresh(self, values: Values) -> list[Tensor]:
        """Convert values to tensors of the kind and on the device of the inputs."""
        return [_like(one, value) for one, value in zip(self.variables, values, strict=True)]

    def __call__(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the floating outputs of f, with tensors in place of its floating inputs."""
        waiting = iter(tensors)
        arguments: list[Any] = []
        rebound: list[tuple[Tensor, Any, Any]] = []
        try:
            for leaves, rebuild, module in self._arguments:
                current = [next(waiting) if _is_variable(one) else one for one in leaves]
                if module is None:
                    arguments.append(rebuild(current))
                    continue
                # While f runs, the parameters of a module hold the data of the tensors.
                for parameter, one in zip(leaves, current, strict=True):
                    rebound.append((parameter, parameter._data, parameter._node))
                    parameter._data, parameter._node = one._data, one._node
                arguments.append(module)
            out = self.f(*arguments)
        finally:
            for parameter, data, node in reversed(rebound):
                parameter._data, parameter._node = data, node
        outs, _ = trees.flatten(out)
        for one in outs:
            if not isinstance(one, Tensor):
                raise ArgumentTypeError(
                    f"tg.gradcheck: the function must return Tensors, got {type(one).__name__}."
                )
        return [one for one in outs if one.dtype.kind in "fc"]


def _as_tensor(value: Any) -> Any:
    """Convert floating-point numbers to a tensor of the same precision; return others unchanged."""
    if isinstance(value, float) and not isinstance(value, np.generic):
        return scalar(value, requires_grad=False)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fc":
        return tensor(value)
    return value


def _is_variable(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype.kind in "fc"


def _too_few_digits(label: str, dtype: Any) -> str:
    if dtype.kind == "c":
        return (
            f"tg.gradcheck compares real numbers, {label} is {dtype}. Check a function of a real "
            "and an imaginary part, z = tg.complex(a, b), that returns tg.real(w) and tg.imag(w)."
        )
    digits = {2: "3", 4: "7"}.get(dtype.itemsize, "few")
    return (
        f"tg.gradcheck: {label} is {dtype}, whose {digits} digits are used up by the differences "
        "of values that gradients are compared with: right gradients would seem wrong. Check in "
        "float64: x.astype(tg.float64), module.to(tg.float64)."
    )


def _numbers(one: Tensor) -> Array:
    """Copy the value of a tensor to a NumPy array."""
    return np.array(namespaces[type(one.data)].to_numpy(one.data))


def _like(one: Tensor, value: Array) -> Tensor:
    """Make a tensor without a history, of the kind and on the device of another."""
    if np.iscomplexobj(value):
        return detached(value)
    if isinstance(one.data, float):
        return detached(float(value))
    xp = namespaces[type(one.data)]
    return detached(xp.asarray(value, dtype=one.dtype, device=one.device))


# --- the check -----------------------------------------------------------------------------------


class _Check:
    """One run of gradcheck: derivatives computed in two ways, and compared."""

    def __init__(
        self,
        f: Callable[..., Any],
        inputs: Sequence[Any],
        *,
        order: int,
        seed: int,
        samples: int,
        rtol: float | None,
        atol: float | None,
    ) -> None:
        self.f = f
        self.inputs = inputs
        self.name = getattr(f, "__name__", type(f).__name__)
        self.function = _Function(f, inputs)
        self.values = self.function.values()
        self.order = order
        self.seed = seed
        self.samples = samples
        self.rtol, self.atol = rtol, atol
        self.method = CENTRAL
        self.compared = 0
        self.largest = 0.0
        self.rng = np.random.default_rng(seed)
        self.weights = [self._drawn(out.shape) for out in self._outputs()]
        self.directions = [self._drawn(value.shape) for value in self.values]
        self.places = [self._places_of(value) for value in self.values]

    def _outputs(self) -> list[Tensor]:
        """Return the outputs of f at the point; raise if they are too imprecise for differences."""
        with changed(grad_enabled=False):
            outs = self.function(self.function.fresh(self.values))
        for position, out in enumerate(outs):
            if out.dtype != np.float64:
                raise DTypeError(_too_few_digits(f"output {position} of {self.name}", out.dtype))
        return outs

    def _gives_other_values_each_time(self) -> bool:
        first, *others = (self.projection(self.values) for _ in range(8))
        return any(other != first and other == other for other in others)

    def _drawn(self, shape: tuple[int, ...]) -> Array:
        """Draw random numbers to project onto."""
        return np.asarray(self.rng.normal(size=shape))

    def _places_of(self, value: Array) -> list[tuple[int, ...]]:
        """Choose the elements of an input to check one by one."""
        places = list(np.ndindex(value.shape))
        if len(places) <= self.samples:
            return places
        chosen = self.rng.choice(len(places), self.samples, replace=False)
        return [places[position] for position in sorted(chosen)]

    # First order: differentiate the projection of f.

    def projection(self, values: Values) -> Any:
        """Compute sum(u * f(x)) from values of f alone; complex if the values are."""
        with changed(grad_enabled=False):
            outs = self.function(self.function.fresh(values))
        return _dot(self.weights, [_numbers(out) for out in outs])

    def gradients(self, values: Values) -> list[Array]:
        """Compute the gradient of the projection by the engine."""
        variables = self.function.fresh(values)
        return [_numbers(g) for g in self._swept(variables, create_graph=False)]

    def _swept(self, variables: list[Tensor], *, create_graph: bool) -> list[Tensor]:
        with changed(grad_enabled=True):
            for variable in variables:
                variable.requires_grad_()
            outs = self.function(variables)
            flowing = [
                (out, _like(out, u))
                for out, u in zip(outs, self.weights, strict=True)
                if out.requires_grad
            ]
            if not flowing:
                return [_like(one, np.zeros(one.shape)) for one in variables]
            sources, seeds = zip(*flowing, strict=True)
            found = gradients_of(sources, variables, seeds, create_graph=create_graph)
        return [
            _like(one, np.zeros(one.shape)) if g is None else g
            for one, g in zip(variables, found, strict=True)
        ]

    def first_order(self) -> None:
        """Compare the gradients of the projection."""
        if self._complex_step_is_right():
            self.method = COMPLEX
        self._compare("backward()", self.gradients(self.values), self.projection, self.method)

    def _complex_step_is_right(self) -> bool:
        """Return whether the complex step agrees with differences, and can be used.

        It cannot for ``abs``, for example, which is another function for complex numbers.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found = self._slope(self.projection, self.directions, COMPLEX)
        except (TinygradLabError, TypeError, ValueError, Warning):
            return False
        expected = self._slope(self.projection, self.directions, CENTRAL)
        return abs(found - expected) <= 1e-5 * max(abs(found), abs(expected), 1.0)

    # Second order: differentiate the projection of the gradient.

    def second_order(self) -> None:
        """Compare the gradients of a projection of the gradients."""
        variables = self.function.fresh(self.values)
        first = self._swept(variables, create_graph=True)
        flowing = [(g, w) for g, w in zip(first, self.directions, strict=True) if g.requires_grad]
        second: list[Array] = [np.zeros(value.shape) for value in self.values]
        if flowing:
            seeds = [_like(g, w) for g, w in flowing]
            found = gradients_of([g for g, _ in flowing], variables, seeds)
            second = [z if g is None else _numbers(g) for g, z in zip(found, second, strict=True)]

        def projected_gradient(values: Values) -> Any:
            return _dot(self.directions, self.gradients(values))

        self._compare("the gradient of the gradient", second, projected_gradient, CENTRAL)

    # Comparison.

    def _compare(
        self, what: str, found: list[Array], number: Callable[[Values], Any], method: str
    ) -> None:
        """Compare derivatives of a number with estimates from its values."""
        wrong = []
        for position, place in self._elements():
            direction = _only(self.values, position, place)
            expected = self._slope(number, direction, method)
            self.compared += 1
            one = float(found[position][place])
            if not self._agree(one, expected, method):
                wrong.append((position, place, one, expected))
        if wrong:
            raise self._wrong(what, wrong, number, method)
        # Rounding errors of many elements add up in one number: its scale is the sum of theirs.
        along = self._slope(number, self.directions, method)
        one = _dot(found, self.directions)
        scale = float(sum(np.abs(g * d).sum() for g, d in zip(found, self.directions, strict=True)))
        if not self._agree(one, along, method, scale):
            raise self._failure(
                f"has a wrong gradient: along a random direction of all elements, {what} says "
                f"{one!r}, {method} {along!r}. The elements that were checked one by one are "
                "right: raise samples= to find those that are not.",
                found=one,
                expected=along,
            )

    def _elements(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        for position, places in enumerate(self.places):
            for place in places:
                yield position, place

    def _slope(self, number: Callable[[Values], Any], direction: Values, method: str) -> float:
        """Estimate the derivative of a number along a direction."""
        if method == COMPLEX:
            moved = [x + 1j * COMPLEX_STEP * d for x, d in zip(self.values, direction, strict=True)]
            return float(np.imag(number(moved)) / COMPLEX_STEP)
        ahead, behind = self._sides(number, direction, 1.0)
        return (ahead + behind) / 2

    def _sides(
        self, number: Callable[[Values], Any], direction: Values, share: float
    ) -> tuple[float, float]:
        """Return the forward and backward differences, over a fraction of the usual step."""
        largest = max(
            (float(np.abs(x[d != 0]).max(initial=1.0)) for x, d in self._moved(direction)),
            default=1.0,
        )
        h = share * STEP * largest
        here = number(self.values)
        ahead = number([x + h * d for x, d in self._moved(direction)])
        behind = number([x - h * d for x, d in self._moved(direction)])
        return float((ahead - here) / h), float((here - behind) / h)

    def _moved(self, direction: Values) -> Iterator[tuple[Array, Array]]:
        return zip(self.values, direction, strict=True)

    def _agree(self, one: float, other: float, method: str, scale: float = 0.0) -> bool:
        rtol, atol = _TOLERANCES[method]
        rtol = rtol if self.rtol is None else self.rtol
        atol = atol if self.atol is None else self.atol
        if not (np.isfinite(one) and np.isfinite(other)):
            return one == other
        size = max(abs(one), abs(other), scale)
        self.largest = max(self.largest, abs(one - other) / max(size, 1.0))
        return abs(one - other) <= atol + rtol * size

    # Error messages.

    def _wrong(
        self,
        what: str,
        wrong: list[tuple[int, tuple[int, ...], float, float]],
        number: Callable[[Values], Any],
        method: str,
    ) -> GradcheckError:
        if self._gives_other_values_each_time():
            return self._failure(
                "returns different values for the same inputs, so differences of its "
                "values mean nothing. If it draws random numbers (dropout), let it draw the same "
                "ones in each call: create generator=tg.Generator(0) within the function."
            )
        position, place, found, expected = wrong[0]
        element = f", element {place}" if place else ""
        width = max(len(what), len(method))
        lines = [
            f"has a wrong gradient by {self.function.labels[position]}{element}:",
            f"  {what:<{width}}  {found!r}",
            f"  {method:<{width}}  {expected!r}",
            f"  {len(wrong)} of the {sum(map(len, self.places))} elements that were checked are "
            "wrong.",
        ]
        if not np.isfinite(expected):
            lines.append(
                f"  {self.name} is not finite at this point or near it; it must be finite within "
                f"{STEP:g} on either side."
            )
        elif kink := self._kink(number, _only(self.values, position, place)):
            lines.append(f"  {kink}")
        return self._failure(
            "\n".join(lines), position=position, element=place, found=found, expected=expected
        )

    def _kink(self, number: Callable[[Values], Any], direction: Values) -> str | None:
        """Describe a kink of f: its one-sided slopes differ, however small the step."""
        gaps = []
        for share in (1.0, 0.1):
            ahead, behind = self._sides(number, direction, share)
            gaps.append(abs(ahead - behind))
        size = max(abs(ahead), abs(behind), 1.0)
        if not (gaps[0] > 1e-3 * size and gaps[1] > 0.5 * gaps[0]):
            return None
        return (
            f"kink? Behind this point the slope is {behind:.6g}, ahead of it {ahead:.6g}: a "
            "function has no unique gradient at a kink. Check it away from kinks."
        )

    def _failure(self, what: str, *, position: int | None = None, **facts: Any) -> GradcheckError:
        options: dict[str, Any] = {"order": self.order, "seed": self.seed}
        options |= {"samples": self.samples, "rtol": self.rtol, "atol": self.atol}
        given = [f"{k}={v!r}" for k, v in options.items() if v != _DEFAULTS.get(k)]
        script = snippet("tg.gradcheck", self.f, self.inputs, ", ".join(given))
        indented = "\n".join(f"    {line}".rstrip() for line in script.splitlines())
        message = f"{self.name} {what}\n  seed {self.seed}. To reproduce it:\n\n{indented}\n"
        label = None if position is None else self.function.labels[position]
        return GradcheckError(message, input=label, seed=self.seed, snippet=script, **facts)


_DEFAULTS = {"order": 1, "samples": 100, "rtol": None, "atol": None}


def _dot(weights: Sequence[Array], arrays: Sequence[Array]) -> Any:
    return sum(((w * a).sum() for w, a in zip(weights, arrays, strict=True)), start=0.0)


def _only(values: Values, position: int, place: tuple[int, ...]) -> list[Array]:
    """Return the unit direction of one element."""
    direction = [np.zeros(value.shape) for value in values]
    direction[position][place] = 1.0
    return direction
