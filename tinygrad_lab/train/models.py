"""The four nets of the MNIST-1D paper: from signals of 40 points to the logits of ten digits.

Source: Greydanus & Kobak, "Scaling Down Deep Learning with MNIST-1D" (2020; ICML 2024),
arXiv:2011.14439, and the code published with it.
"""

from collections.abc import Callable, Mapping

from tinygrad_lab import nn
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import is_library
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.nn.functional import relu

# Users read these nets, and the lines of their nodes, as they would read nets of their own.
is_library[__file__] = False

__all__ = ["CNN", "GRU", "MLP", "MODELS", "Logistic", "make_model"]

SIGNAL_LENGTH = 40
NUM_DIGITS = 10


class Logistic(nn.Module):
    """Logistic regression: one linear layer. 410 parameters.

    Maps signals of shape (N, 40) to logits of shape (N, 10).
    """

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(SIGNAL_LENGTH, NUM_DIGITS)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x)
        return logits


class MLP(nn.Module):
    """Three linear layers with ReLU, and a residual around the second. 15,210 parameters.

    Maps signals of shape (N, 40) to logits of shape (N, 10).
    """

    def __init__(self, hidden_features: int = 100) -> None:
        super().__init__()
        self.linear1 = nn.Linear(SIGNAL_LENGTH, hidden_features)
        self.linear2 = nn.Linear(hidden_features, hidden_features)
        self.linear3 = nn.Linear(hidden_features, NUM_DIGITS)

    def forward(self, x: Tensor) -> Tensor:
        hidden = relu(self.linear1(x))
        hidden = hidden + relu(self.linear2(hidden))
        logits: Tensor = self.linear3(hidden)
        return logits


class CNN(nn.Module):
    """Three convolutions with ReLU, each halving the length, and a linear layer. 5,210 parameters.

    Maps signals of shape (N, 40) to logits of shape (N, 10). The length of the signals goes from 40
    via 19 and 10 to 5: (length + 2 · padding - kernel) // 2 + 1.
    """

    def __init__(self, channels: int = 25) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, channels, 5, stride=2, padding=1)
        self.conv2 = nn.Conv1d(channels, channels, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(channels, channels, 3, stride=2, padding=1)
        self.linear = nn.Linear(5 * channels, NUM_DIGITS)

    def forward(self, x: Tensor) -> Tensor:
        hidden = x.reshape(-1, 1, SIGNAL_LENGTH)
        hidden = relu(self.conv1(hidden))
        hidden = relu(self.conv2(hidden))
        hidden = relu(self.conv3(hidden))
        logits: Tensor = self.linear(hidden.reshape(x.shape[0], -1))
        return logits


class GRU(nn.Module):
    """A bidirectional GRU that reads point by point, and a linear layer. 5,134 parameters.

    Maps signals of shape (N, 40) to logits of shape (N, 10). The linear layer sees
    the hidden states of all steps, not only of the last: 40 steps of 2 · 6 numbers.
    """

    def __init__(self, hidden_size: int = 6) -> None:
        super().__init__()
        self.gru = nn.GRU(1, hidden_size, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(SIGNAL_LENGTH * 2 * hidden_size, NUM_DIGITS)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.gru(x.reshape(-1, SIGNAL_LENGTH, 1))
        logits: Tensor = self.linear(states.reshape(x.shape[0], -1))
        return logits


MODELS: Mapping[str, Callable[[], nn.Module]] = {
    "logistic": Logistic,
    "mlp": MLP,
    "cnn": CNN,
    "gru": GRU,
}
"""The models by their names on the command line."""


def make_model(name: str) -> nn.Module:
    """Build one of the paper's models, initialised by the generator that ``tg.seed`` sets.

    Raises ``ArgumentError`` for a name that is not in ``MODELS``.

    >>> sum(parameter.size for parameter in make_model("mlp").parameters())
    15210
    """
    if name not in MODELS:
        raise ArgumentError(f"make_model: expected one of {', '.join(MODELS)}; got {name!r}")
    return MODELS[name]()
