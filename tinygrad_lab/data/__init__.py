"""Data to train on: MNIST-1D made on the spot, MNIST's own files read, both served in batches."""

from tinygrad_lab.data.idx import read_idx
from tinygrad_lab.data.loader import DataLoader
from tinygrad_lab.data.mnist_1d import MNIST1D, mnist1d

__all__ = ["MNIST1D", "DataLoader", "mnist1d", "read_idx"]
