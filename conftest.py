"""What the doctests cannot import here, and the page about what the plain engine does not have."""

from importlib.util import find_spec
from os import environ

collect_ignore = [] if find_spec("llvmlite") else ["tinygrad_lab/compiler/loops/machine_code.py"]
if environ.get("TINYGRAD_LAB_PLAIN", "") not in ("", "0"):
    collect_ignore.append("docs/fast.md")
