"""What ops are given besides arrays, checked: axes, windows, conditions on matrices."""
