"""Optimisers, with PyTorch's names and defaults."""

from tinygrad_lab.engine.keywords import explaining_class as _explaining_class
from tinygrad_lab.optim import lr_scheduler
from tinygrad_lab.optim.adagrad import Adadelta, Adagrad, RMSprop
from tinygrad_lab.optim.adam import Adam, AdamW
from tinygrad_lab.optim.lbfgs import LBFGS
from tinygrad_lab.optim.nadam import NAdam, RAdam
from tinygrad_lab.optim.optimizer import Optimizer
from tinygrad_lab.optim.rprop import Rprop
from tinygrad_lab.optim.sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
]

for _kind in (SGD, Adagrad, RMSprop, Adadelta, Adam, AdamW, NAdam, RAdam, Rprop, LBFGS):
    _explaining_class(_kind)
