"""A folder for each run."""

from pathlib import Path

from tinygrad_lab.errors import ArgumentError

__all__ = ["make_run_folder", "next_run_folder"]


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
