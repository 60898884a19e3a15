"""The state of a module: its parameters and persistent buffers by their paths, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.backends import namespaces
from tinygrad_lab.backends.no_numbers import check_numbers
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentTypeError, StateDictError, excerpt
from tinygrad_lab.nn.module_parts import Parts, joined

__all__ = ["Misfits", "Stateful"]


class Misfits(NamedTuple):
    """What ``load_state_dict(strict=False)`` left as it was, and what it did not use."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not any(self):
            return "<All keys matched successfully>"
        return f"missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys}"


class Stateful(Parts):
    """What saves and loads: a base of ``Module``."""

    def state_dict(
        self,
        *,
        destination: dict[str, Tensor] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Tensor]:
        """Return all parameters and persistent buffers by their paths, sharing the memory.

        A tensor that several modules share is listed under each of its paths.

        Args:
            destination: a dict to add them to, and to return.
            prefix: what paths begin with, its dot included: "encoder.".
            keep_vars: return the very parameters and buffers, not detached ones.
        """
        found = {} if destination is None else destination
        for path, one in self._state().items():
            found[prefix + path] = one if keep_vars else one.detach()
        return found

    def _state(self) -> dict[str, Tensor]:
        """Return parameters and buffers by all their paths, module by module as PyTorch does."""
        state: dict[str, Tensor] = {}
        for path, module in self._paths():
            for name, value in module._own_parameters():
                state[joined(path, name)] = value
            for name, value in module._own_buffers(persistent=True):
                state[joined(path, name)] = value
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Misfits:
        """Set all parameters and buffers from tensors or arrays by their paths.

        Args:
            state_dict: what another ``state_dict()`` returned, or arrays by the same paths.
            strict: refuse paths that are missing or unknown; without it, return them.
            assign: as PyTorch's, which takes over the tensors themselves, is refused.

        Returns:
            What was missing and what was unexpected: ``missing_keys``, ``unexpected_keys``.

        Raises:
            StateDictError: before anything is changed, listing every missing and unexpected name
                and every shape that differs.
            ArgumentTypeError: for anything but a dict.
        """
        if not isinstance(state_dict, Mapping):
            raise ArgumentTypeError(
                "load_state_dict takes a dict, as another.state_dict() returns it; got "
                f"{type(state_dict).__name__}: {excerpt(state_dict)}."
            )
        if assign:
            raise ArgumentTypeError(
                "load_state_dict: assign=True would replace the parameters, which optimisers and "
                "compiled steps hold: leave it out, values are copied into those that are there. "
                "module.to(dtype) comes first where the dtype shall be another."
            )
        own = self._state()
        misfits = Misfits(
            [name for name in own if name not in state_dict],
            [name for name in state_dict if name not in own],
        )
        problems = _problems(own, state_dict, misfits if strict else Misfits([], []))
        if problems:
            raise StateDictError(
                f"the state dict does not fit {type(self).__name__}:\n  " + "\n  ".join(problems)
            )
        fitting = [name for name in own if name in state_dict]
        loaded = {name: _converted(name, state_dict[name], own[name]) for name in fitting}
        for name, array in loaded.items():
            own[name].data = array
        return misfits


def _problems(
    own: Mapping[str, Tensor], state_dict: Mapping[str, Any], misfits: Misfits
) -> list[str]:
    """Return everything for which a state dict is refused."""
    problems = [f"missing: {name}" for name in misfits.missing_keys]
    problems += [f"not in this module: {name}" for name in misfits.unexpected_keys]
    return problems + [
        f"{name}: expected shape {own[name].shape}, got {_shape_of(value)}"
        for name, value in state_dict.items()
        if name in own and _shape_of(value) != own[name].shape
    ]


def _converted(name: str, value: Any, target: Tensor) -> Any:
    """Convert a value to an array of the library, dtype and device of a tensor."""
    backend = namespaces[type(target._data)]
    device = backend.device_of(target._data)
    check_numbers(value, name)
    try:
        return backend.asarray(_data(value), dtype=target.dtype, device=device)
    except (ValueError, TypeError) as error:
        raise StateDictError(f"{name}: expected {target.dtype} numbers; {error}.") from None


def _shape_of(value: Any) -> tuple[int, ...] | str:
    """Return the shape of a value, or what it is instead of a rectangular array."""
    try:
        return tuple(np.shape(_data(value)))
    except (ValueError, TypeError):
        return f"a ragged or too deep {type(value).__name__}"


def _data(value: Any) -> Any:
    return value._data if isinstance(value, Tensor) else value
