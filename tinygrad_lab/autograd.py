"""``tg.autograd.grad``: the gradient of given tensors, as in PyTorch."""

from tinygrad_lab.calculus.transforms import gradients_of as grad

__all__ = ["grad"]
