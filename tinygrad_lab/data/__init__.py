"""Training data: data sets, what makes batches of them, and what prepares them."""

from tinygrad_lab.data import signals as signals, transforms as transforms
from tinygrad_lab.data.collate import default_collate, default_convert
from tinygrad_lab.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
)
from tinygrad_lab.data.idx import read_idx
from tinygrad_lab.data.labels import with_label_noise
from tinygrad_lab.data.loader import DataLoader
from tinygrad_lab.data.mnist_1d import MNIST1D, mnist1d
from tinygrad_lab.data.mnist_files import MNIST, mnist
from tinygrad_lab.data.preprocess import Decorrelate, Standardize, Whiten
from tinygrad_lab.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tinygrad_lab.data.split import k_fold, random_split, stratified_split
from tinygrad_lab.data.toys import blobs, circles, gabor, gabor_model, moons, sine, spirals, xor

__all__ = [
    "MNIST",
    "MNIST1D",
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "Decorrelate",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Standardize",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "Whiten",
    "blobs",
    "circles",
    "default_collate",
    "default_convert",
    "gabor",
    "gabor_model",
    "k_fold",
    "mnist",
    "mnist1d",
    "moons",
    "random_split",
    "read_idx",
    "signals",
    "sine",
    "spirals",
    "stratified_split",
    "transforms",
    "with_label_noise",
    "xor",
]
