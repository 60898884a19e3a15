"""Transformations of functions: gradients of any order, gradient checks, checkpointing."""
