"""Layers with parameters, under PyTorch's names and with its layouts and initialisations."""

from tinygrad_lab.nn import functional, init
from tinygrad_lab.nn.activation import (
    ELU,
    GELU,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tinygrad_lab.nn.layers import Conv1d, CrossEntropyLoss, Dropout, Flatten, Linear, MSELoss
from tinygrad_lab.nn.module import Module, ModuleList, Parameter, Sequential
from tinygrad_lab.nn.recurrent import GRU

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "Conv1d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "Module",
    "ModuleList",
    "Parameter",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "functional",
    "init",
]
