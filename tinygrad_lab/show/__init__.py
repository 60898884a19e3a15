"""Readers of the graph for people: pictures, and formulas to draw one from."""
