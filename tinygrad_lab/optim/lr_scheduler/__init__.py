"""Schedules for the learning rate, with PyTorch's names: ``step()`` after each optimiser's step.

Most compute the next rate from the last, as PyTorch's do: two schedules on one optimiser multiply,
and a rate that was set by hand goes on from there.
"""

from tinygrad_lab.engine.keywords import explaining_class as _explaining_class
from tinygrad_lab.optim.lr_scheduler.base import LRScheduler
from tinygrad_lab.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from tinygrad_lab.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from tinygrad_lab.optim.lr_scheduler.cycles import CyclicLR, OneCycleLR
from tinygrad_lab.optim.lr_scheduler.factors import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from tinygrad_lab.optim.lr_scheduler.plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

for _kind in (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LRScheduler,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    MultiplicativeLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
):
    _explaining_class(_kind)
