"""Steps of tinygrad_lab against NumPy written by hand and against its peers.

``python -m benchmarks`` measures eager steps and prints ratios and bars, ``python -m benchmarks
compiled`` those of compiled ones; ``--help`` lists the rest.
Nothing here runs under pytest: a timing is a measurement to read, not a test to pass.
"""
