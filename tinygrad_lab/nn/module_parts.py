"""The parts of a module: modules, parameters and buffers among its attributes, by their paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    MissingAttributeError,
    excerpt,
)
from tinygrad_lab.nn.parameter import Parameter

__all__ = ["Parts", "containing_itself", "joined"]


class Parts:
    """What a module is made of, with the names and in the order in which it was assigned.

    The base of ``Module``. Parts are plain attributes: ``vars(module)`` holds them all.
    """

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """Yield the modules that are attributes of this one, with their names; each once."""
        return _each_once(self._named_parts())

    def children(self) -> Iterator[Any]:
        """Yield the modules that are attributes of this one, each once."""
        return (module for _, module in self.named_children())

    def _named_parts(self) -> Iterator[tuple[str, Any]]:
        """Yield the modules that are attributes, also those that are there twice."""
        for name, value in self.__dict__.items():
            if isinstance(value, Parts):
                yield name, value

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Yield this module (as "") and all modules inside it, with their paths.

        Args:
            memo: modules to leave out; those that are yielded are added to it.
            prefix: what paths begin with.
            remove_duplicate: yield a module that has several paths under the first of them alone.
        """
        seen: set[Any] = set() if memo is None else memo
        for path, module in self._paths():
            if remove_duplicate and module in seen:
                continue
            if remove_duplicate:
                seen.add(module)
            yield ".".join(filter(None, (prefix, path))), module

    def modules(self, remove_duplicate: bool = True) -> Iterator[Any]:
        """Yield this module and all modules inside it, each once."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def _paths(self) -> Iterator[tuple[str, Any]]:
        """Yield all modules with all their paths: a shared module has several.

        Raises:
            ArgumentError: for a module that contains itself, which ``__setattr__`` refuses, but
                ``object.__setattr__`` and ``vars(module)`` do not.
        """
        yield "", self
        # Without recursion: modules may be nested deeper than Python's calls.
        around = {id(self): ""}
        open_ones = [(self, "", self._named_parts())]
        while open_ones:
            module, path, children = open_ones[-1]
            name, child = next(children, ("", None))
            if child is None:
                open_ones.pop()
                del around[id(module)]
            elif id(child) in around:
                inner = path[len(around[id(child)]) :].removeprefix(".")
                raise containing_itself(module, name, child, inner)
            else:
                inner = joined(path, name)
                yield inner, child
                around[id(child)] = inner
                open_ones.append((child, inner, child._named_parts()))

    # --- parameters and buffers --------------------------------------------------------------

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield all parameters with their paths: a module's own, then its children's.

        Args:
            prefix: what paths begin with.
            recurse: without it, those of this module alone.
            remove_duplicate: yield a parameter that has several paths under the first alone.
        """
        for path, value in self._named(Parts._own_parameters, recurse, remove_duplicate):
            yield joined(prefix, path), value

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield all parameters, in the order of ``named_parameters``."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield all buffers with their paths; arguments as in ``named_parameters``."""
        for path, value in self._named(Parts._own_buffers, recurse, remove_duplicate):
            yield joined(prefix, path), value

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield all buffers, in the order of ``named_buffers``."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named(self, own: Any, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        modules = self.named_modules(remove_duplicate=once) if recurse else [("", self)]
        found = ((joined(path, name), one) for path, part in modules for name, one in own(part))
        return _each_once(found) if once else found

    def _own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        for name, value in self.__dict__.items():
            if isinstance(value, Parameter):
                yield name, value

    def _own_buffers(self, *, persistent: bool = False) -> Iterator[tuple[str, Tensor]]:
        """Yield this module's buffers; with ``persistent``, those that its state dict has."""
        for name, kept in self.__dict__.get("_buffers", {}).items():
            value = self.__dict__.get(name)
            if value is not None and (kept or not persistent):
                yield name, value

    # --- adding ------------------------------------------------------------------------------

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the state but not learned: a running mean, a mask.

        Args:
            name: of the attribute.
            tensor: its value; None for a buffer that may come later.
            persistent: whether ``state_dict`` has it.

        Raises:
            ArgumentError, ArgumentTypeError: for a name that is taken or no name, or no tensor.
        """
        buffers = self.__dict__.get("_buffers", {})
        if name not in buffers:
            self._check_name("register_buffer", name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise ArgumentTypeError(
                f"register_buffer({name!r}, ...) takes a Tensor or None, got "
                f"{type(tensor).__name__}: tg.tensor(data) makes one."
            )
        self.__dict__.setdefault("_buffers", {})[name] = persistent
        setattr(self, name, tensor)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name; None for one that there is not, like a left-out bias.

        Raises:
            ArgumentError, ArgumentTypeError: for a name that is taken or no name, or no Parameter.
        """
        self._check_name("register_parameter", name)
        if param is not None and not isinstance(param, Parameter):
            raise ArgumentTypeError(
                f"register_parameter({name!r}, ...) takes a Parameter or None, got "
                f"{type(param).__name__}: nn.Parameter(data) makes one."
            )
        setattr(self, name, param)

    def add_module(self, name: str, module: Any) -> None:
        """Add a module under a name; None for one that there is not.

        Raises:
            ArgumentError, ArgumentTypeError: for a name that is taken or no name, or no Module.
        """
        self._check_name("add_module", name)
        if module is not None and not isinstance(module, Parts):
            raise ArgumentTypeError(
                f"add_module({name!r}, ...) takes a Module or None, got "
                f"{type(module).__name__}: {excerpt(module)}."
            )
        setattr(self, name, module)

    def register_module(self, name: str, module: Any) -> None:
        """Add a module under a name, as ``add_module`` does."""
        self.add_module(name, module)

    def _check_name(self, method: str, name: Any) -> None:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"{method} takes a name, got {type(name).__name__}.")
        if not name or "." in name:
            raise ArgumentError(f"{method}: a name has letters and no dots, got {name!r}.")
        part = isinstance(self.__dict__.get(name), Parts | Parameter | None)
        if hasattr(self, name) and not (name in self.__dict__ and part):
            raise ArgumentError(
                f"{method}: {type(self).__name__} has an attribute {name!r} already; take another "
                "name."
            )

    # --- finding -----------------------------------------------------------------------------

    def get_submodule(self, target: str) -> Any:
        """Return the module at a path, as ``named_modules`` gives it; "" is this one.

        Raises:
            MissingAttributeError: where there is none; the message lists what is there.
        """
        found: Any = self
        for name in target.split(".") if target else ():
            inner = getattr(found, name, None)
            if not isinstance(inner, Parts):
                names = ", ".join(name for name, _ in found.named_children()) or "none"
                raise MissingAttributeError(
                    f"{type(self).__name__} has no module at {target!r}: "
                    f"{type(found).__name__} has no module {name!r}. Its modules: {names}."
                )
            found = inner
        return found

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at a path, as ``named_parameters`` gives it.

        Raises:
            MissingAttributeError: where there is none; the message lists what is there.
        """
        parameter: Parameter = self._at(target, "parameter", Parts._own_parameters)
        return parameter

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer at a path, as ``named_buffers`` gives it.

        Raises:
            MissingAttributeError: where there is none; the message lists what is there.
        """
        buffer: Tensor = self._at(target, "buffer", Parts._own_buffers)
        return buffer

    def _at(self, target: str, what: str, own: Any) -> Any:
        path, _, name = target.rpartition(".")
        found = dict(own(self.get_submodule(path)))
        if name not in found:
            raise MissingAttributeError(
                f"{type(self).__name__} has no {what} at {target!r}; there "
                f"{f'are {list(found)}' if found else 'is none'}."
            )
        return found[name]


def containing_itself(module: Any, name: str, part: Any, path: str) -> ArgumentError:
    """Return the error for a part that contains the module, at a path, whose part it is to be."""
    how = f"this {type(part).__name__} has it as {path!r}" if path else "it was assigned to itself"
    return ArgumentError(
        f"{type(module).__name__}.{name}: a module cannot contain itself; {how}. "
        f"To refer to a module that is not a part, keep it in a list: module.{name} = [other]."
    )


def joined(path: str, name: str) -> str:
    """Return the path of something inside of what is at a path."""
    return f"{path}.{name}" if path else name


def _each_once(named: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield each object once, under its first name."""
    seen: set[int] = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value
