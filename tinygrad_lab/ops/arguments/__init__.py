"""Checks of the arguments of ops: axes, windows, conditions on matrices."""
