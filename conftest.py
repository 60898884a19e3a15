"""Which modules the doctests cannot import here."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("llvmlite") else ["tinygrad_lab/compile/machine_code.py"]
