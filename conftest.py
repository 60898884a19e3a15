"""Which modules the doctests cannot import here."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("llvmlite") else ["tinygrad_lab/compiler/machine_code.py"]
