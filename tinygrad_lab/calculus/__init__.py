"""Functions into functions: gradients of any order, checks of gradients, checkpoints."""
