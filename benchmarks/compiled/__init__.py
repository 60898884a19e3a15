"""Compiled steps against hand-written NumPy with buffers, and against other compilers.

``python -m benchmarks compiled`` times steps, ``first-calls`` what compiling costs, ``scalars``
graphs of Python floats, ``step-memory`` what a step keeps and allocates, ``accuracy`` whole
trainings.
"""
