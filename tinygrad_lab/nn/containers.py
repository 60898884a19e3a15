"""Containers: modules and parameters in lists and dicts, as parts of the module that holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Self

from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    IndexingError,
    UnknownNameError,
    excerpt,
)
from tinygrad_lab.nn.module import Module, Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


# --- lists ----------------------------------------------------------------------------------------


class _Listed(Module):
    """Parts in an order: the attributes "0", "1", ... of this module."""

    def _as_part(self, value: Any) -> Any:
        """Return what is held for a value; raise for one that cannot be."""
        if not isinstance(value, Module):
            kind = type(self).__name__
            is_packed = isinstance(self, Sequential) and isinstance(value, list)
            unpack = " Unpack the list: Sequential(*layers)." if is_packed else ""
            raise ArgumentTypeError(
                f"{kind} holds modules, got {type(value).__name__}: {excerpt(value)}.{unpack}"
            )
        return value

    def _items(self) -> list[tuple[str, Any]]:
        parts = (Module, Tensor)
        return [(name, one) for name, one in self.__dict__.items() if isinstance(one, parts)]

    def _values(self) -> list[Any]:
        return [value for _, value in self._items()]

    def _set_values(self, values: Iterable[Any]) -> None:
        """Hold other values, under names that count them."""
        new = [self._as_part(value) for value in values]
        for name, _ in self._items():
            delattr(self, name)
        for place, value in enumerate(new):
            setattr(self, str(place), value)

    def append(self, module: Any) -> Self:
        """Add one at the end."""
        name = str(len(self))
        setattr(self, name, self._as_part(module))
        return self

    def extend(self, modules: Iterable[Any]) -> Self:
        """Add several at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Any) -> None:
        """Add one before a place."""
        values = self._values()
        values.insert(index, self._as_part(module))
        self._set_values(values)

    def pop(self, key: int = -1) -> Any:
        """Remove the one at a place, and return it."""
        found = self[key]
        del self[key]
        return found

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values())

    def __contains__(self, value: object) -> bool:
        return any(value is one for one in self._values())

    def __getitem__(self, index: int | slice) -> Any:
        values = self._values()
        if isinstance(index, slice):
            return type(self)._of(values[index])
        return values[self._place(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        names = [name for name, _ in self._items()]
        setattr(self, names[self._place(index)], self._as_part(value))

    def __delitem__(self, index: int | slice) -> None:
        values = self._values()
        del values[index if isinstance(index, slice) else self._place(index)]
        self._set_values(values)

    def __add__(self, other: Iterable[Any]) -> Self:
        return type(self)._of([*self, *other])

    def __iadd__(self, other: Iterable[Any]) -> Self:
        return self.extend(other)

    @classmethod
    def _of(cls, values: list[Any]) -> Self:
        return cls(values)  # type: ignore[call-arg]

    def _place(self, index: int) -> int:
        count = len(self)
        if not isinstance(index, int):
            raise ArgumentTypeError(
                f"{type(self).__name__} is indexed by integers and slices, got "
                f"{type(index).__name__}: {excerpt(index)}."
            )
        if not -count <= index < count:
            what = "parameters" if isinstance(self, ParameterList) else "modules"
            raise IndexingError(
                f"{type(self).__name__} holds {count} {what}; there is no index {index}."
            )
        return index % count


class Sequential(_Listed):
    """Modules applied one after the other: several of them, or one dict from names to modules.

    Example:
        >>> import tinygrad_lab as tg
        >>> net = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.ReLU(), tg.nn.Linear(3, 1))
        >>> net(tg.tensor([[1.0, 2.0]])).shape
        (1, 1)
        >>> tg.nn.Sequential({"first": tg.nn.Linear(2, 3), "act": tg.nn.ReLU()}).act
        ReLU()
    """

    def __init__(self, *args: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.add_module(name, self._as_part(module))
        else:
            self.extend(args)

    def forward(self, x: Any) -> Any:
        for module in self.__dict__.values():
            if isinstance(module, Module):
                x = module(x)
        return x

    def _set_values(self, values: Iterable[Any]) -> None:
        """Hold other values; those that have a name of their own keep it."""
        names = {id(one): name for name, one in self._items() if not name.isdigit()}
        new = [self._as_part(value) for value in values]
        for name, _ in self._items():
            delattr(self, name)
        for place, value in enumerate(new):
            setattr(self, names.pop(id(value), str(place)), value)

    @classmethod
    def _of(cls, values: list[Any]) -> Self:
        return cls(*values)


class ModuleList(_Listed):
    """A list of modules, registered as parts of the module that holds the list."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    def _child_lines(self) -> list[str]:
        """Write modules in a row that look the same once: ``(0-2): 3 x ReLU()``."""
        lines = []
        for text, group in groupby(enumerate(map(repr, self)), key=lambda pair: pair[1]):
            places = [place for place, _ in group]
            first, last = places[0], places[-1]
            one = text.replace("\n", "\n  ")
            lines.append(
                f"({first}): {one}" if first == last else f"({first}-{last}): {len(places)} x {one}"
            )
        return lines


class ParameterList(_Listed):
    """A list of parameters, registered as those of the module that holds the list.

    Tensors become parameters.

    Example:
        >>> import tinygrad_lab as tg
        >>> factors = tg.nn.ParameterList([tg.tensor([1.0]), tg.tensor([2.0])])
        >>> [name for name, _ in factors.named_parameters()]
        ['0', '1']
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(() if values is None else values)

    def _as_part(self, value: Any) -> Parameter:
        return _as_parameter(self, value)

    def _child_lines(self) -> list[str]:
        return [f"({place}): {_described(one)}" for place, one in enumerate(self)]


def _as_parameter(holder: Module, value: Any) -> Parameter:
    if isinstance(value, Parameter):
        return value
    if isinstance(value, Tensor):
        return Parameter(value)
    raise ArgumentTypeError(
        f"{type(holder).__name__} holds parameters, got {type(value).__name__}: {excerpt(value)}. "
        "nn.Parameter(data) makes one."
    )


def _described(parameter: Parameter) -> str:
    size = "x".join(map(str, parameter.shape))
    return f"Parameter containing: [{parameter.dtype} of size {size}]"


# --- dicts ----------------------------------------------------------------------------------------


class _Keyed(Module):
    """Parts by names: the attributes of this module under these very names."""

    def __init__(self, values: Any = None) -> None:
        super().__init__()
        if values is not None:
            self.update(values)

    def _as_part(self, value: Any) -> Any:
        if not isinstance(value, Module):
            raise ArgumentTypeError(
                f"{type(self).__name__} holds modules, got {type(value).__name__}: "
                f"{excerpt(value)}."
            )
        return value

    def _items(self) -> dict[str, Any]:
        parts = (Module, Tensor)
        return {name: one for name, one in self.__dict__.items() if isinstance(one, parts)}

    def update(self, values: Any) -> None:
        """Add those of a mapping, or of pairs of a name and a value."""
        pairs = values.items() if hasattr(values, "items") else values
        for name, value in pairs:
            self[name] = value

    def keys(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._items())

    def values(self) -> Iterator[Any]:
        """Yield the values."""
        return iter(self._items().values())

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield names with their values."""
        return iter(self._items().items())

    def pop(self, key: str) -> Any:
        """Remove one, and return it."""
        found = self[key]
        del self[key]
        return found

    def clear(self) -> None:
        """Remove all."""
        for name in list(self._items()):
            delattr(self, name)

    def __getitem__(self, key: str) -> Any:
        found = self._items()
        if key not in found:
            names = ", ".join(found) or "nothing"
            raise UnknownNameError(f"{type(self).__name__} has no {key!r}; it holds {names}.")
        return found[key]

    def __setitem__(self, key: str, value: Any) -> None:
        value = self._as_part(value)
        if key in self._items():
            setattr(self, key, value)
            return
        if isinstance(key, str) and hasattr(type(self), key):
            raise ArgumentError(
                f"{type(self).__name__}: {key!r} is the name of a method; take another."
            )
        self._check_name(f"{type(self).__name__}[...] = ", key)
        setattr(self, key, value)

    def __delitem__(self, key: str) -> None:
        self[key]  # raises where there is none
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __contains__(self, key: object) -> bool:
        return key in self._items()


class ModuleDict(_Keyed):
    """Modules by names, registered as parts of the module that holds the dict.

    Example:
        >>> import tinygrad_lab as tg
        >>> heads = tg.nn.ModuleDict({"cat": tg.nn.Linear(3, 1), "dog": tg.nn.Linear(3, 1)})
        >>> heads["cat"](tg.tensor([[1.0, 2.0, 3.0]])).shape
        (1, 1)
        >>> [name for name, _ in heads.named_parameters()][:2]
        ['cat.weight', 'cat.bias']
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__(modules)


class ParameterDict(_Keyed):
    """Parameters by names, registered as those of the module that holds the dict.

    Tensors become parameters.

    Example:
        >>> import tinygrad_lab as tg
        >>> scales = tg.nn.ParameterDict({"low": tg.tensor([1.0]), "high": tg.tensor([9.0])})
        >>> sorted(scales), scales["high"].tolist()
        (['high', 'low'], [9.0])
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__(parameters)

    def _as_part(self, value: Any) -> Parameter:
        return _as_parameter(self, value)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the parameter of a name, or ``default`` where there is none."""
        return self._items().get(key, default)

    def _child_lines(self) -> list[str]:
        return [f"({name}): {_described(one)}" for name, one in self.items()]
