"""Module: a function with parameters, which are those of its attributes that are a Parameter."""

from __future__ import annotations

from collections.abc import Callable
from reprlib import recursive_repr
from typing import Any, Self

from tinygrad_lab.context import Context, Scope, current, enter, leave, touch
from tinygrad_lab.errors import ArgumentTypeError, MissingAttributeError
from tinygrad_lab.nn.module_hooks import Hooked, called_with_hooks
from tinygrad_lab.nn.module_moves import Moved
from tinygrad_lab.nn.module_parts import containing_itself
from tinygrad_lab.nn.module_state import Stateful
from tinygrad_lab.nn.other_methods import INSTEAD
from tinygrad_lab.nn.parameter import Parameter

__all__ = ["Module", "Parameter", "settings_of", "version"]

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


class Module(Moved, Stateful, Hooked):
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

    training: bool

    def __init__(self) -> None:
        self.__dict__["training"] = True

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
            if self._hooks:
                return called_with_hooks(self, args, kwargs)
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
        self._check_assigned(name, value)
        super().__setattr__(name, value)
        is_part = isinstance(value, Module | Parameter) or isinstance(before, Module | Parameter)
        kinds = _SETTING_TYPES
        is_setting = name != "training" and (isinstance(value, kinds) or isinstance(before, kinds))
        if is_part or (is_setting and value is not before):
            _version += 1
        if is_part:
            _parts_version = _version

    def _check_assigned(self, name: str, value: Any) -> None:
        """Raise if an attribute cannot be set to a value."""
        own, kind = self.__dict__, type(self).__name__
        before = own.get(name)
        if isinstance(before, Parameter) and not (value is None or isinstance(value, Parameter)):
            raise ArgumentTypeError(
                f"{kind}.{name} is a Parameter; a {type(value).__name__} in its "
                f"place would not be learned. Set its values by module.{name}.data = ..., "
                "or assign another nn.Parameter(...)."
            )
        if name in own.get("_computed", ()):
            raise ArgumentTypeError(f"{kind}.{name} is computed: {own['_computed'][name]}.")
        if not isinstance(value, Module | Parameter):
            return
        if "training" not in own:
            raise MissingAttributeError(
                f"{kind}.{name} was assigned before Module.__init__(): call super().__init__() "
                f"first in {kind}.__init__."
            )
        if isinstance(value, Module):
            path = next((path for path, module in value._paths() if module is self), None)
            if path is not None:
                raise containing_itself(self, name, value, path)

    def __getattr__(self, name: str) -> Any:
        """Compute an attribute that is a function of parameters; raise for one that is not there.

        ``nn.utils`` puts objects there that compute a pruned or normalised weight.
        """
        own = self.__dict__
        if name in own.get("_computed", ()):
            return own["_computed"][name](self)
        if name == "training":
            return True  # before __init__, which may not have been called at all
        instead = f": {INSTEAD[name]}" if name in INSTEAD else ""
        raise MissingAttributeError(f"{type(self).__name__} has no attribute {name!r}{instead}.")

    def __delattr__(self, name: str) -> None:
        global _version, _parts_version
        super().__delattr__(name)
        _version += 1
        _parts_version = _version

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_called"}

    # --- all modules at once -----------------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call a function with each module inside this one, and then with this one.

        Example:
            >>> import tinygrad_lab as tg
            >>> def fill(module):
            ...     if isinstance(module, tg.nn.Linear):
            ...         tg.nn.init.ones_(module.weight)
            >>> tg.nn.Sequential(tg.nn.Linear(2, 1)).apply(fill)[0].weight.tolist()
            [[1.0, 1.0]]
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, where dropout is active, or with False to evaluation mode."""
        if not isinstance(mode, bool):
            raise ArgumentTypeError(f"train() takes True or False, got {type(mode).__name__}.")
        for module in list(self.modules()):
            touch("run", (module,))
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode, where dropout is inactive."""
        return self.train(False)

    # --- text --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return the text between the parentheses of this module's ``repr``."""
        return ""

    @recursive_repr()
    def __repr__(self) -> str:
        inner = self.extra_repr()
        lines = inner.split("\n") if inner else []
        children = self._child_lines()
        if len(lines) == 1 and not children:
            return f"{type(self).__name__}({inner})"
        text = "\n  ".join([*lines, *children])
        inside = f"\n  {text}\n" if text else ""
        return f"{type(self).__name__}({inside})"

    def _child_lines(self) -> list[str]:
        return [f"({name}): " + _indented(repr(child)) for name, child in self._named_parts()]


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
