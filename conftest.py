"""Which modules the doctests cannot import here."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("numba") else ["tinygrad_lab/compile/numba_support.py"]
