"""Training data: MNIST-1D, generated on demand, MNIST from its files, and a loader for batches."""

from tinygrad_lab.data.idx import read_idx
from tinygrad_lab.data.loader import DataLoader
from tinygrad_lab.data.mnist_1d import MNIST1D, mnist1d

__all__ = ["MNIST1D", "DataLoader", "mnist1d", "read_idx"]
