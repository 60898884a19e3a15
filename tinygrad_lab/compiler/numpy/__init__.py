"""The NumPy target: straight-line calls that write into planned memory."""
