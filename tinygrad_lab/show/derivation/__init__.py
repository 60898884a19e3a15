"""Derivations: the chain rule in symbols, from an output back to a leaf, each line evaluated."""
