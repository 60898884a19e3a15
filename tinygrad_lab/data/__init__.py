"""Training data: data sets, what makes batches of them, and what prepares them."""

from tinygrad_lab.data.collate import default_collate, default_convert
from tinygrad_lab.data.dataset import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
)
from tinygrad_lab.data.idx import read_idx
from tinygrad_lab.data.loader import DataLoader
from tinygrad_lab.data.mnist_1d import MNIST1D, mnist1d
from tinygrad_lab.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tinygrad_lab.data.split import k_fold, random_split, stratified_split

__all__ = [
    "MNIST1D",
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "default_convert",
    "k_fold",
    "mnist1d",
    "random_split",
    "read_idx",
    "stratified_split",
]
