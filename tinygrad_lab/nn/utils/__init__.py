"""What is done to the parameters and gradients of modules: clipping, pruning, weight norm."""

from tinygrad_lab.nn.utils import prune
from tinygrad_lab.nn.utils.clipping import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from tinygrad_lab.nn.utils.vectors import parameters_to_vector, vector_to_parameters
from tinygrad_lab.nn.utils.weight_normalization import remove_weight_norm, weight_norm

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "prune",
    "remove_weight_norm",
    "vector_to_parameters",
    "weight_norm",
]
