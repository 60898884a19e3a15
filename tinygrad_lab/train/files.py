"""Files that are whole or not there, and a folder for each run."""

import os
from pathlib import Path

from tinygrad_lab.errors import ArgumentError

__all__ = ["make_run_folder", "next_run_folder", "write_atomically"]


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file so that at any moment it holds its old or its new content, and nothing between.

    The content goes into a file beside it first, which then takes its place. A process that is
    killed loses nothing that was there; against a power failure one would also need ``fsync``,
    which takes longer than many a training step. Text is written as UTF-8.

    Raises ``OSError`` where it cannot be written; the old file stays then.
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
    """Make ``parent/name``, or ``name-2``, ``name-3`` ... where earlier runs have those.

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
            # Made and not only looked for: two runs that start together get two folders.
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def make_run_folder(folder: Path, *, overwrite: bool = False) -> Path:
    """Make the folder that the user asked for, or take it if it is empty or may be overwritten.

    Raises ``ArgumentError`` where something is in it, ``OSError`` where it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not overwrite and any(folder.iterdir()):
        raise ArgumentError(
            f"the folder {folder} is not empty: choose another with --out, or let files of the "
            "same names be replaced with --overwrite"
        )
    return folder
