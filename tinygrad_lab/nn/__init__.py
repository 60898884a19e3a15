"""Layers with parameters, under PyTorch's names and with its layouts and initialisations."""

from tinygrad_lab.engine.keywords import advise as _advise, explaining_class as _explaining_class
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
from tinygrad_lab.nn.convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from tinygrad_lab.nn.layers import CrossEntropyLoss, Dropout, Embedding, Flatten, Linear, MSELoss
from tinygrad_lab.nn.module import Module, ModuleList, Parameter, Sequential
from tinygrad_lab.nn.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from tinygrad_lab.nn.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    MaxPool1d,
    MaxPool2d,
)
from tinygrad_lab.nn.recurrent import GRU

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
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

for _kind in (
    ELU,
    GELU,
    GRU,
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    CrossEntropyLoss,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    LeakyReLU,
    Linear,
    MSELoss,
    MaxPool1d,
    MaxPool2d,
    ModuleList,
    ReLU,
    SiLU,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
):
    _explaining_class(_kind)
    _advise(
        _kind.__name__,
        dtype="tg.set_default_dtype(dtype) comes first",
        device="with tg.default_device(device): around it",
        reduction="the result is the mean: multiply it by the number of samples for the sum",
    )
