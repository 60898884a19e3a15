"""Every error the project raises: one tree, each branch also a built-in that fits.

Whoever catches ``ValueError`` catches a ``ShapeError``; whoever catches ``TinygradLabError``
catches everything that this library raises on purpose. A message says what was expected, what
came, for which op and which tensors, on which line of the user's code, and how to do it right.
"""

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
    "MissingDependencyError",
    "MutationError",
    "NonFiniteError",
    "ShapeError",
    "StateDictError",
    "TinygradLabError",
    "UnknownNameError",
]


class TinygradLabError(Exception):
    """The root of the tree."""


class ShapeError(TinygradLabError, ValueError):
    """Shapes that do not go together, or an axis that an array does not have."""


class AxisError(ShapeError, IndexError):
    """An axis that an array does not have; both built-ins that NumPy's own error is."""


class DTypeError(TinygradLabError, TypeError):
    """A dtype that the operation does not take."""


class ArgumentError(TinygradLabError, ValueError):
    """An argument of the right type with a value that makes no sense."""


class ArgumentTypeError(TinygradLabError, TypeError):
    """An argument of the wrong type."""


class IndexingError(TinygradLabError, IndexError):
    """An index out of bounds, or of a form that cannot index."""


class LinAlgError(TinygradLabError, np.linalg.LinAlgError):
    """A matrix that has no inverse, or not the decomposition that was asked for.

    Also a ``numpy.linalg.LinAlgError``, which is a ``ValueError``.
    """


class UnknownNameError(TinygradLabError, KeyError):
    """A name that nothing here has."""

    # KeyError shows its message as a quoted string.
    __str__ = Exception.__str__


class DeviceError(TinygradLabError, RuntimeError):
    """Arrays on different devices in one operation, or a device that is not there."""


class GradientError(TinygradLabError, RuntimeError):
    """A gradient was asked for where none can be given."""


class GraphFreedError(GradientError):
    """A backward pass through a graph whose arrays ``backward(free=True)`` has dropped."""


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
        """Which input the gradient is by."""
        self.element = element
        """Which element of it."""
        self.found = found
        """The derivative that the engine gave."""
        self.expected = expected
        """The derivative that differences of values give."""
        self.seed = seed
        self.snippet = snippet
        """The source of a script that shows it again."""


class MutationError(GradientError):
    """``tg.debug()`` found memory that was written to between forward and backward."""


class NonFiniteError(TinygradLabError, ArithmeticError):
    """``tg.debug()`` found the op that made the first NaN or infinity."""


class DeclarationError(TinygradLabError, TypeError):
    """An op whose declaration does not fit together."""


class CompileError(TinygradLabError, RuntimeError):
    """A step that cannot be replayed: it depends on numbers that may differ from call to call."""


class StateDictError(TinygradLabError, ValueError):
    """A state dict whose names or shapes are not those of the module or optimiser."""


class DataError(TinygradLabError, ValueError):
    """A data file that is not what its format says."""


class ExpressionError(TinygradLabError, ValueError):
    """A formula (of the command line) that is not in the small language that is understood."""


class DrawingError(TinygradLabError, RuntimeError):
    """A picture that cannot be made here."""


class MissingDependencyError(TinygradLabError, ImportError):
    """An optional package or program is needed; the message says what to install."""
