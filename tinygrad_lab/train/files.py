"""Atomic writes, and a folder for each run."""

import os
from pathlib import Path

from tinygrad_lab.errors import ArgumentError

__all__ = ["make_run_folder", "next_run_folder", "write_atomically"]


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file so that at any moment it holds either its old or its new content.

    The content is written to a temporary file beside it, which then replaces it. If the process is
    killed, nothing is lost; safety against a power failure would need ``fsync``, which takes longer
    than many training steps. Text is written as UTF-8.

    Raises ``OSError`` if it cannot be written; the old file then remains.
    """
    if isinstance(content, str):
        content = content.encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def next_run_folder(parent: Path, name: str) -> Path:
    """Create ``parent/name``, or ``name-2``, ``name-3`` ... if earlier runs have taken those.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     [next_run_folder(Path(parent, "runs"), "mlp-seed0").name for run in range(3)]
    ['mlp-seed0', 'mlp-seed0-2', 'mlp-seed0-3']
    """
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            # Create the folder instead of testing for it: two runs that start together get two
            # folders.
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def make_run_folder(folder: Path, *, overwrite: bool = False) -> Path:
    """Create the folder, or use an existing one that is empty or may be overwritten.

    Raises ``ArgumentError`` if it is not empty, ``OSError`` if it cannot be created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not overwrite and any(folder.iterdir()):
        raise ArgumentError(
            f"the folder {folder} is not empty: choose another with --out, or replace files of the "
            "same names with --overwrite"
        )
    return folder
