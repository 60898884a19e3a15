"""Module: a function with parameters, which are those of its attributes that are a Parameter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from reprlib import recursive_repr
from typing import Any, Self

import numpy as np

from tinygrad_lab.array_api.creation import tensor
from tinygrad_lab.backends import namespaces
from tinygrad_lab.backends.no_numbers import check_numbers
from tinygrad_lab.context import Context, Scope, current, enter, leave, touch
from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    IndexingError,
    StateDictError,
    excerpt,
)

__all__ = [
    "Module",
    "ModuleList",
    "Parameter",
    "Sequential",
    "settings_of",
    "version",
]

_version = 0
"""Counts the changes to the parts and settings of all modules."""
_parts_version = 0
"""The version since which all parts are the same; settings that change do not affect names."""
_SETTING_TYPES = (bool, int, float, str, type(None), tuple)


def version() -> int:
    """Return a number that is higher after any module's parts or settings have changed.

    The mode (``training``) does not count.
    """
    return _version


def settings_of(module: Module) -> dict[str, Any]:
    """Return the attributes of a module that are numbers, strings and the like: ``Dropout.p``."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, _SETTING_TYPES) and name not in ("training", "_called")
    }


class Parameter(Tensor):
    """A tensor that is learned: as an attribute of a module it is one of its parameters.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Parameter(tg.tensor([1.0, 2.0]))
        tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        parameter = super().__new__(cls)
        source = data if isinstance(data, Tensor) else tensor([] if data is None else data)
        parameter._data = source._data
        parameter._node = None
        parameter.requires_grad_(requires_grad)
        return parameter


class Module:
    """A function with parameters: subclass it, create its parts in ``__init__``, write ``forward``.

    Attributes that are ``Parameter``s or ``Module``s are registered automatically, in the order in
    which they were first set.

    Example:
        >>> import tinygrad_lab as tg
        >>> class Affine(tg.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.scale = tg.nn.Parameter([2.0])
        ...         self.linear = tg.nn.Linear(1, 1)
        ...     def forward(self, x):
        ...         return self.scale * self.linear(x)
        >>> [name for name, _ in Affine().named_parameters()]
        ['scale', 'linear.weight', 'linear.bias']
    """

    training: bool = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; a subclass must define it."""
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, ...)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outer = current()
        if outer.recording:
            touch("run", (self,))
        called = self.__dict__.get("_called")
        if called is None or called[0] is not outer or called[1] != _parts_version:
            called = (outer, _parts_version, self._context(outer))
            # A context with a recording refers to this module, and would live as long.
            if not outer.recording and outer.debugger is None:
                self.__dict__["_called"] = called
        token = enter(called[2])
        try:
            return self.forward(*args, **kwargs)
        finally:
            leave(token)

    def _context(self, outer: Context) -> Context:
        """Return the context for ``forward``: the outer one, with this module as its scope."""
        if outer.scope is None:
            path = ""
            for name, parameter in self.named_parameters():
                # A part that was called alone before has named its parameters by shorter paths.
                if not parameter.name or name.endswith(f".{parameter.name}"):
                    parameter.name = name
        else:
            name = outer.scope.names.get(id(self), type(self).__name__.lower())
            path = f"{outer.scope.path}.{name}" if outer.scope.path else name
        names = {id(module): name for name, module in self.named_modules() if name}
        return outer.with_changes(scope=Scope(path, type(self).__name__, names, outer.scope))

    def __setattr__(self, name: str, value: Any) -> None:
        global _version, _parts_version
        before = self.__dict__.get(name)
        if isinstance(before, Parameter) and not (value is None or isinstance(value, Parameter)):
            raise ArgumentTypeError(
                f"{type(self).__name__}.{name} is a Parameter; a {type(value).__name__} in its "
                f"place would not be learned. Set its values by module.{name}.data = ..., "
                "or assign another nn.Parameter(...)."
            )
        if isinstance(value, Module):
            path = next((path for path, module in value._paths() if module is self), None)
            if path is not None:
                raise _containing_itself(self, name, value, path)
        super().__setattr__(name, value)
        is_part = isinstance(value, Module | Parameter) or isinstance(before, Module | Parameter)
        kinds = _SETTING_TYPES
        is_setting = name != "training" and (isinstance(value, kinds) or isinstance(before, kinds))
        if is_part or (is_setting and value is not before):
            _version += 1
        if is_part:
            _parts_version = _version

    def __delattr__(self, name: str) -> None:
        global _version, _parts_version
        super().__delattr__(name)
        _version += 1
        _parts_version = _version

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_called"}

    # --- parts, parameters and buffers -------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules that are attributes of this one, with their names."""
        for name, value in self.__dict__.items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator[Module]:
        """Yield the modules that are attributes of this one."""
        return (module for _, module in self.named_children())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield this module (as "") and all modules inside it, with their paths; each once."""
        return _each_once(self._paths())

    def modules(self) -> Iterator[Module]:
        """Yield this module and all modules inside it, each once."""
        return (module for _, module in self.named_modules())

    def _paths(self) -> Iterator[tuple[str, Module]]:
        """Yield all modules with all their paths: a shared module has several.

        Raises:
            ArgumentError: for a module that contains itself, which ``__setattr__`` refuses, but
                ``object.__setattr__`` and ``vars(module)`` do not.
        """
        yield "", self
        # Without recursion: modules may be nested deeper than Python's calls.
        around = {id(self): ""}
        open_ones = [(self, "", self.named_children())]
        while open_ones:
            module, path, children = open_ones[-1]
            name, child = next(children, ("", None))
            if child is None:
                open_ones.pop()
                del around[id(module)]
            elif id(child) in around:
                inner = path[len(around[id(child)]) :].removeprefix(".")
                raise _containing_itself(module, name, child, inner)
            else:
                inner = _joined(path, name)
                yield inner, child
                around[id(child)] = inner
                open_ones.append((child, inner, child.named_children()))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield all parameters with their paths: a module's own, then its children's; each once."""
        return _each_once(
            (_joined(path, name), value)
            for path, module in self.named_modules()
            for name, value in module.__dict__.items()
            if isinstance(value, Parameter)
        )

    def parameters(self) -> Iterator[Parameter]:
        """Yield all parameters, in the order of ``named_parameters``."""
        return (parameter for _, parameter in self.named_parameters())

    def register_buffer(self, name: str, value: Tensor | None) -> None:
        """Add a tensor that is part of the state but not learned: a running mean, a mask."""
        self.__dict__.setdefault("_buffers", {})[name] = True
        setattr(self, name, value)

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Yield all buffers with their paths; each once."""
        return _each_once(
            (_joined(path, name), value)
            for path, module in self.named_modules()
            for name, value in module._own_buffers()
        )

    def buffers(self) -> Iterator[Tensor]:
        """Yield all buffers, in the order of ``named_buffers``."""
        return (buffer for _, buffer in self.named_buffers())

    def _own_buffers(self) -> Iterator[tuple[str, Tensor]]:
        for name in self.__dict__.get("_buffers", {}):
            value = getattr(self, name)
            if value is not None:
                yield name, value

    def _state(self) -> dict[str, Tensor]:
        """Return parameters and buffers by all their paths, module by module as PyTorch does."""
        state: dict[str, Tensor] = {}
        for path, module in self._paths():
            own = [(n, v) for n, v in module.__dict__.items() if isinstance(v, Parameter)]
            for name, value in (*own, *module._own_buffers()):
                state[_joined(path, name)] = value
        return state

    # --- modes -------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, where dropout is active, or with False to evaluation mode."""
        for module in list(self.modules()):
            touch("run", (module,))
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode, where dropout is inactive."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Make all parameters require a gradient, or none of them, which freezes the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Reset the gradients of all parameters to None."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, target: Any) -> Self:
        """Move all parameters and buffers to a device, or cast them to a dtype; return the module.

        Buffers of integers and booleans keep their dtype.
        """
        is_device = isinstance(target, str) and target not in np.sctypeDict
        for one in [*self.parameters(), *self.buffers()]:
            if one.dtype.kind != "f" and not is_device:
                continue
            moved = one.detach().to(target)
            one._rebind(moved._data)
            if isinstance(one.node, Leaf):
                one.node.show(moved._data)  # the leaf still has the form of the old data
            if one.grad is not None:
                one.grad._data = one.grad.to(target)._data
        return self

    # --- state -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """Return all parameters and buffers by their paths, detached, sharing the memory.

        A tensor that several modules share is listed under each of its paths.
        """
        return {path: one.detach() for path, one in self._state().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Set all parameters and buffers from tensors or arrays by their paths.

        Raises:
            StateDictError: before anything is changed, listing missing and unknown names and shapes
                that differ.
            ArgumentTypeError: for anything but a dict.
        """
        if not isinstance(state_dict, Mapping):
            raise ArgumentTypeError(
                "load_state_dict takes a dict, as another.state_dict() returns it; got "
                f"{type(state_dict).__name__}: {excerpt(state_dict)}."
            )
        own = self._state()
        problems = [f"missing: {name}" for name in own if name not in state_dict]
        problems += [f"not in this module: {name}" for name in state_dict if name not in own]
        problems += [
            f"{name}: expected shape {own[name].shape}, got {_shape_of(value)}"
            for name, value in state_dict.items()
            if name in own and _shape_of(value) != own[name].shape
        ]
        if problems:
            raise StateDictError(
                f"the state dict does not fit {type(self).__name__}:\n  " + "\n  ".join(problems)
            )
        loaded = {name: _converted(name, value, own[name]) for name, value in state_dict.items()}
        for name, array in loaded.items():
            own[name].data = array

    # --- text --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return the text between the parentheses of this module's ``repr``."""
        return ""

    @recursive_repr()
    def __repr__(self) -> str:
        children = [
            f"  ({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self.named_children()
        ]
        head = f"{type(self).__name__}({self.extra_repr()}"
        return head + ("\n" + "\n".join(children) + "\n)" if children else ")")


def _containing_itself(module: Module, name: str, part: Module, path: str) -> ArgumentError:
    """Return the error for a part that contains the module, at a path, whose part it is to be."""
    how = f"this {type(part).__name__} has it as {path!r}" if path else "it was assigned to itself"
    return ArgumentError(
        f"{type(module).__name__}.{name}: a module cannot contain itself; {how}. "
        f"To refer to a module that is not a part, keep it in a list: module.{name} = [other]."
    )


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _each_once(named: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield each object once, under its first name."""
    seen: set[int] = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


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


class _Indexed(Module):
    """A sequence of modules, named "0", "1", ... in paths."""

    def _extended(self, modules: Any) -> Self:
        for module in modules:
            self.append(module)
        return self

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        if not isinstance(module, Module):
            raise ArgumentTypeError(
                f"{type(self).__name__} holds modules, got {type(module).__name__}: "
                f"{excerpt(module)}."
            )
        setattr(self, str(len(self)), module)
        return self

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __getitem__(self, index: int | slice) -> Any:
        modules = list(self.children())
        if isinstance(index, slice):
            return type(self)()._extended(modules[index])
        if not -len(modules) <= index < len(modules):
            raise IndexingError(
                f"{type(self).__name__} holds {len(modules)} modules; there is no index {index}."
            )
        return modules[index]


class Sequential(_Indexed):
    """Modules applied one after the other.

    Example:
        >>> import tinygrad_lab as tg
        >>> net = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.ReLU(), tg.nn.Linear(3, 1))
        >>> net(tg.tensor([[1.0, 2.0]])).shape
        (1, 1)
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__()
        self._extended(modules)

    def forward(self, x: Any) -> Any:
        for module in self.__dict__.values():
            if isinstance(module, Module):
                x = module(x)
        return x


class ModuleList(_Indexed):
    """A list of modules, registered as parts of the module that holds the list."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self._extended(modules)
