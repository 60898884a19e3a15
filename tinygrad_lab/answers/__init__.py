"""Answers in words: why a gradient is None, zero, NaN or large. A reader of the graph."""
