"""tinygrad_lab: reverse-mode autograd whose computation graph you can see."""

from tinygrad_lab import autograd, errors
from tinygrad_lab.context import no_grad, record
from tinygrad_lab.graph import Graph, graph
from tinygrad_lab.ops import *  # noqa: F403
from tinygrad_lab.ops import op
from tinygrad_lab.tensor import Tensor, get_default_dtype, scalar, set_default_dtype, tensor
from tinygrad_lab.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
