"""All errors of the package: one hierarchy, whose classes also derive from built-in errors.

``except ValueError`` catches a ``ShapeError``; ``except TinygradLabError`` catches everything that
this library raises on purpose. A message says what was expected, what was given, for which op and
which tensors, on which line of the user's code, and how to fix it.
"""

import typing

import numpy as np

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "AxisError",
    "CompileError",
    "DTypeError",
    "DataError",
    "DeclarationError",
    "DeviceError",
    "DrawingError",
    "ExpressionError",
    "GradcheckError",
    "GradientError",
    "GraphFreedError",
    "IndexingError",
    "LinAlgError",
    "MissingAttributeError",
    "MissingDependencyError",
    "MissingNameError",
    "MutationError",
    "NonFiniteError",
    "ShapeError",
    "StateDictError",
    "TinygradLabError",
    "TransposeError",
    "UnknownNameError",
]


class TinygradLabError(Exception):
    """The base of all errors of the package.

    Where an op failed, ``.graph`` is the graph up to it and ``.draw()`` its picture; the room of
    pictures attaches both (``show/of_errors.py``).
    """

    failure: typing.Any = None
    """The op that failed and its inputs (``engine/failure.py``); None for other errors."""

    if typing.TYPE_CHECKING:

        @property
        def graph(self) -> typing.Any: ...

        def draw(self, **options: typing.Any) -> typing.Any: ...

    def __reduce__(self) -> tuple[typing.Any, ...]:
        # Another process has no use for the graph, and nodes cannot be pickled.
        state = {name: value for name, value in self.__dict__.items() if name != "failure"}
        return type(self), self.args, state


class ShapeError(TinygradLabError, ValueError):
    """Shapes that do not match, or an axis that an array does not have."""


class AxisError(ShapeError, IndexError):
    """An axis that an array does not have; derives from the same built-ins as NumPy's error."""


class DTypeError(TinygradLabError, TypeError):
    """A dtype that the operation does not support."""


class ArgumentError(TinygradLabError, ValueError):
    """An argument of the right type with an invalid value."""


class ArgumentTypeError(TinygradLabError, TypeError):
    """An argument of the wrong type."""


class IndexingError(TinygradLabError, IndexError):
    """An index out of bounds, or of a form that cannot index."""


class LinAlgError(TinygradLabError, np.linalg.LinAlgError):
    """A matrix without an inverse, or without the requested decomposition.

    Also a ``numpy.linalg.LinAlgError``, which is a ``ValueError``.
    """


class UnknownNameError(TinygradLabError, KeyError):
    """An unknown name."""

    # KeyError would show the message in quotes.
    __str__ = Exception.__str__


class MissingAttributeError(TinygradLabError, AttributeError):
    """A name that a Tensor or the package does not have; the message says the right one."""

    # Python sets these when the error leaves an attribute look-up, and then appends the most
    # similar name as a suggestion: 'solve' for `save`.
    name = property(lambda self: None, lambda self, value: None)
    obj = property(lambda self: None, lambda self, value: None)


class TransposeError(MissingAttributeError, ShapeError):
    """``.T`` of what is no matrix, or ``.mT`` of what holds none.

    An ``AttributeError``, so that ``hasattr(x, "T")`` is False there, and a ``ShapeError``.
    """


class DeviceError(TinygradLabError, RuntimeError):
    """Arrays on different devices in one operation, or a missing device."""


class GradientError(TinygradLabError, RuntimeError):
    """A gradient was requested that cannot be computed."""


class GraphFreedError(GradientError):
    """A backward pass through a graph whose arrays ``backward(free=True)`` has freed."""


class GradcheckError(TinygradLabError, AssertionError):
    """``tg.gradcheck()`` found a gradient that the values of the function contradict."""

    def __init__(
        self,
        message: str,
        *,
        input: str | None = None,
        element: tuple[int, ...] | None = None,
        found: float | None = None,
        expected: float | None = None,
        seed: int | None = None,
        snippet: str | None = None,
    ) -> None:
        super().__init__(message)
        self.input = input
        """The input that the gradient is with respect to."""
        self.element = element
        """The element of that input."""
        self.found = found
        """The derivative from the engine."""
        self.expected = expected
        """The derivative from differences of values."""
        self.seed = seed
        self.snippet = snippet
        """The source of a script that reproduces it."""


class MutationError(GradientError):
    """``tg.debug()`` found memory that was written to between forward and backward."""


class NonFiniteError(TinygradLabError, ArithmeticError):
    """``tg.debug()`` found the op that made the first NaN or infinity."""


class DeclarationError(TinygradLabError, TypeError):
    """An op whose declaration is inconsistent."""


class CompileError(TinygradLabError, RuntimeError):
    """A step that cannot be replayed: it depends on numbers that may change between calls."""


class StateDictError(TinygradLabError, ValueError):
    """A state dict whose names or shapes do not match the module or optimiser."""


class DataError(TinygradLabError, ValueError):
    """A data file that does not follow its format."""


class ExpressionError(TinygradLabError, ValueError):
    """A formula (of the command line) with invalid syntax."""


class DrawingError(TinygradLabError, RuntimeError):
    """A picture that cannot be drawn."""


class MissingNameError(TinygradLabError, ImportError):
    """A name that a module does not have, where it is imported; the message says the right one."""


class MissingDependencyError(TinygradLabError, ImportError):
    """An optional package or program is missing; the message says what to install."""


def excerpt(value: object, size: int = 60) -> str:
    """Return the start of a value's repr, for a message about it."""
    try:
        return repr(value)[:size]
    except RecursionError:
        return f"a {type(value).__name__} nested too deep to be shown"
