"""Replaying a recording: bound to memory, to tensors and to optimisers."""
