"""Optimisers, with PyTorch's names and defaults."""

from tinygrad_lab.optim import lr_scheduler
from tinygrad_lab.optim.adam import Adam, AdamW
from tinygrad_lab.optim.optimizer import Optimizer
from tinygrad_lab.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
