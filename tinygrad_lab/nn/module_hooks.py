"""Hooks of modules: a user's functions around ``forward``, and around the pass back through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.errors import ArgumentTypeError, ShapeError

__all__ = ["Hook", "Hooked", "ModuleHookHandle", "called_with_hooks"]

_next_key = count(1).__next__


class Hook(NamedTuple):
    """A function that a module calls, and when."""

    kind: str
    """"pre", "forward", "backward_pre" or "backward"."""
    function: Callable[..., Any]
    key: int
    with_kwargs: bool = False
    always_call: bool = False


class ModuleHookHandle:
    """What registers a hook returns this: ``handle.remove()`` removes it.

    ``with handle:`` removes it at the end of the block. Removing it again does nothing.
    """

    def __init__(self, module: Hooked, key: int) -> None:
        self._module, self._key = module, key

    def remove(self) -> None:
        """Remove the hook; the calls that follow do without it."""
        hooks = tuple(hook for hook in self._module._hooks if hook.key != self._key)
        if hooks != self._module._hooks:
            self._module._hooks = hooks

    def __enter__(self) -> ModuleHookHandle:
        return self

    def __exit__(self, *raised: object) -> None:
        self.remove()


class Hooked:
    """What registers hooks: a base of ``Module``."""

    _hooks: tuple[Hook, ...] = ()
    """In the order in which they run. A setting of the module, which compiled steps check."""

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> ModuleHookHandle:
        """Call ``hook(module, args)`` before ``forward``; what it returns replaces the arguments.

        Args:
            hook: returns None, or a tuple of arguments (or the only one).
            prepend: call it before the hooks that are there.
            with_kwargs: call ``hook(module, args, kwargs)``, which returns None or both.

        Returns:
            A handle with ``remove()``.
        """
        return self._add("pre", hook, prepend, with_kwargs)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> ModuleHookHandle:
        """Call ``hook(module, args, output)`` after ``forward``; what it returns replaces output.

        Args:
            hook: returns None or another output.
            prepend: call it before the hooks that are there.
            with_kwargs: call ``hook(module, args, kwargs, output)``.
            always_call: call it also where ``forward`` raises, with None as the output.

        Returns:
            A handle with ``remove()``.

        Example:
            >>> import tinygrad_lab as tg
            >>> layer, seen = tg.nn.Linear(2, 3), []
            >>> handle = layer.register_forward_hook(lambda m, args, out: seen.append(out.shape))
            >>> _ = layer(tg.tensor([[1.0, 2.0]]))
            >>> handle.remove()
            >>> seen
            [(1, 3)]
        """
        return self._add("forward", hook, prepend, with_kwargs, always_call)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> ModuleHookHandle:
        """Call ``hook(module, grad_output)`` before the gradient of the output goes through.

        ``grad_output`` is a tuple with a gradient for each tensor of the output; None for one that
        got none. What the hook returns replaces it. The handle has ``remove()``.
        """
        return self._add("backward_pre", hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> ModuleHookHandle:
        """Call ``hook(module, grad_input, grad_output)`` after gradients went through the module.

        ``grad_input`` is a tuple with a gradient for each positional argument, None for those that
        got none; ``grad_output`` has one for each tensor of the output. A tuple that the hook
        returns replaces ``grad_input``. The handle has ``remove()``.
        """
        return self._add("backward", hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> ModuleHookHandle:
        """Raise: PyTorch gave up this hook, which saw a part of the gradients alone."""
        raise ArgumentTypeError(
            "register_backward_hook saw the gradients of the last op alone, and PyTorch gave it "
            "up: register_full_backward_hook(hook) sees those of the module."
        )

    def _add(self, kind: str, hook: Any, prepend: bool, *options: bool) -> ModuleHookHandle:
        if not callable(hook):
            raise ArgumentTypeError(
                f"a hook of {type(self).__name__} is a function, got {type(hook).__name__}."
            )
        new = Hook(kind, hook, _next_key(), *options)
        self._hooks = (new, *self._hooks) if prepend else (*self._hooks, new)
        return ModuleHookHandle(self, new.key)


def called_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a module with hooks returns."""
    hooks: tuple[Hook, ...] = module._hooks
    after = [hook for hook in hooks if hook.kind == "forward"]
    try:
        for hook in hooks:
            if hook.kind == "pre":
                args, kwargs = _before(hook, module, args, kwargs)
        gate = _Gate(module) if any("backward" in hook.kind for hook in hooks) else None
        output = module.forward(*(gate.entered(args) if gate else args), **kwargs)
        while after:
            output = _after(after.pop(0), module, args, kwargs, output)
    except BaseException:
        for hook in [hook for hook in after if hook.always_call]:
            _after(hook, module, args, kwargs, None)
        raise
    return gate.left(output) if gate else output


def _before(
    hook: Hook, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not hook.with_kwargs:
        found = hook.function(module, args)
        if found is None:
            return args, kwargs
        return found if isinstance(found, tuple) else (found,), kwargs
    found = hook.function(module, args, kwargs)
    if found is None:
        return args, kwargs
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict)):
        raise ArgumentTypeError(
            f"a forward_pre_hook of {type(module).__name__} with with_kwargs=True returns None or "
            f"a tuple (args, kwargs), got {type(found).__name__}."
        )
    return found[0] if isinstance(found[0], tuple) else (found[0],), found[1]


def _after(
    hook: Hook, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
) -> Any:
    given = (module, args, kwargs, output) if hook.with_kwargs else (module, args, output)
    found = hook.function(*given)
    return output if found is None else found


# --- the way back ---------------------------------------------------------------------------------


class _Gate:
    """What gradients pass on their way into a module's output, and out of its inputs.

    An op that changes nothing marks both ends in the graph; its rule calls the hooks.
    """

    def __init__(self, module: Any) -> None:
        self._module = module
        self._places: list[int] = []
        self._count = 0
        self._grad_output: tuple[Any, ...] = ()

    def entered(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments of the call, those with gradients through the gate."""
        self._count = len(args)
        self._places = [i for i, one in enumerate(args) if _flows(one)]
        if not self._places:
            return args
        passed = _passed(*[args[i] for i in self._places], see=self.seen_at_entrance)
        new = dict(zip(self._places, passed, strict=True))
        return tuple(new.get(i, one) for i, one in enumerate(args))

    def left(self, output: Any) -> Any:
        """Return the output of the call through the gate."""
        if isinstance(output, Tensor):
            return _passed(output, see=self.seen_at_exit)[0] if _flows(output) else output
        if not isinstance(output, tuple | list):
            return output
        places = [i for i, one in enumerate(output) if _flows(one)]
        if not places:
            return output
        passed = _passed(*[output[i] for i in places], see=self.seen_at_exit)
        new = dict(zip(places, passed, strict=True))
        parts = [new.get(i, one) for i, one in enumerate(output)]
        if hasattr(output, "_fields"):
            return type(output)(*parts)
        return type(output)(parts)

    def seen_at_exit(self, g: Sequence[Any]) -> list[Any]:
        """Return the gradients of the outputs, after the hooks that see them first."""
        shown = tuple(_shown(one) for one in g)
        for hook in self._of("backward_pre"):
            shown = self._replaced(hook.function(self._module, shown), shown)
        self._grad_output = shown
        if not self._places:
            for hook in self._of("backward"):
                hook.function(self._module, (None,) * self._count, shown)
        return _as_given(shown, g)

    def seen_at_entrance(self, g: Sequence[Any]) -> list[Any]:
        """Return the gradients of the inputs, after the hooks."""
        whole: list[Any] = [None] * self._count
        for place, one in zip(self._places, g, strict=True):
            whole[place] = _shown(one)
        shown = tuple(whole)
        for hook in self._of("backward"):
            shown = self._replaced(hook.function(self._module, shown, self._grad_output), shown)
        return _as_given([shown[place] for place in self._places], g)

    def _of(self, kind: str) -> list[Hook]:
        return [hook for hook in self._module._hooks if hook.kind == kind]

    def _replaced(self, found: Any, shown: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the gradients that a hook gives, if it gives any."""
        if found is None:
            return shown
        found = found if isinstance(found, tuple) else (found,)
        name = type(self._module).__name__
        if len(found) != len(shown):
            raise ArgumentTypeError(
                f"a backward hook of {name} returned {len(found)} gradients in place of "
                f"{len(shown)}: return None, or a tuple with one for each."
            )
        for one, before in zip(found, shown, strict=True):
            if before is not None and one is not None and one.shape != before.shape:
                raise ShapeError(
                    f"a backward hook of {name} returned a gradient of shape {one.shape} in place "
                    f"of {before.shape}."
                )
        return found


def _flows(one: Any) -> bool:
    return isinstance(one, Tensor) and one.requires_grad


def _shown(g: Any) -> Any:
    """Return a gradient as hooks see it: a Tensor; None where there is none."""
    return g if g is None or isinstance(g, Tensor) else detached(g)


def _as_given(shown: Sequence[Any], g: Sequence[Any]) -> list[Any]:
    """Return gradients as the sweep has them: Tensors with a history, or arrays."""
    with_history = any(isinstance(one, Tensor) for one in g)
    return [one if one is None or with_history else one._data for one in shown]


_passed: Callable[..., Any] = op(
    "module_hooks",
    forward=lambda xp, *inputs, see: inputs,
    vjp={"inputs": lambda xp, g, see: see(g)},
    complex_vjp="same",
    words={"inputs": "g, after hooks"},
    latex=r"\mathrm{{hooks}}({inputs})",
    several_outputs=True,
)
"""Returns its inputs; ``see`` is given their gradients, and returns those to go on with."""
