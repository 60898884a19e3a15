"""The numba target: loops, as machine code."""
