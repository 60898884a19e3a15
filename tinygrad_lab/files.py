"""Atomic writes: everything in the package that writes a file writes it with these functions."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path

from tinygrad_lab.errors import ArgumentError

__all__ = ["write_all_atomically", "write_atomically"]


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file so that at any moment it holds either its old or its new content.

    The content is written to a temporary file beside it, which then replaces it. If the process is
    killed, the old file remains, and perhaps the temporary one (``.name.….tmp``); safety against a
    power failure would need ``fsync``, which takes longer than many training steps. Text is written
    as UTF-8. A symbolic link is followed, permissions are kept, and a device or a pipe is written
    to directly.

    Raises:
        OSError: with the file's name, if it cannot be written; the old file then remains.
        ArgumentError: if no file can have this name.
    """
    write_all_atomically({path: content})


def write_all_atomically(contents: Mapping[Path, bytes | str]) -> None:
    """Write files that belong together: none is replaced before all new ones are on disk.

    Raises the errors of ``write_atomically``.
    """
    written: dict[Path, tuple[Path, Path]] = {}
    try:
        for path, content in contents.items():
            with _errors_about(path):
                target = Path(os.path.realpath(path))
                data = content if isinstance(content, bytes) else _encoded(content)
                if _is_special(target):
                    target.write_bytes(data)
                else:
                    temporary = _temporary_beside(target)
                    written[path] = temporary, target
                    _write_new(temporary, data, target)
        for path, (temporary, target) in written.items():
            with _errors_about(path):
                os.replace(temporary, target)
    except BaseException:
        for temporary, _ in written.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise


def _encoded(text: str) -> bytes:
    # A name from the command line or the file system may hold bytes that are not UTF-8.
    return text.encode("utf-8", "surrogateescape")


def _is_special(target: Path) -> bool:
    """Return whether a file exists and holds no content that could be lost: a pipe, a device."""
    if target.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    return target.exists() and not target.is_file()


def _temporary_beside(target: Path) -> Path:
    # Random: threads and machines may write the same file. Cut: a name has at most 255 bytes.
    return target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.tmp")


def _write_new(temporary: Path, data: bytes, target: Path) -> None:
    """Write a temporary file with the permissions of the file that it is to replace."""
    if target.exists():
        # Renaming would replace a read-only file, too.
        os.close(os.open(target, os.O_WRONLY))
    with open(temporary, "xb") as file:
        file.write(data)
    if target.exists():
        temporary.chmod(stat.S_IMODE(target.stat().st_mode))


@contextmanager
def _errors_about(path: Path) -> Iterator[None]:
    """Let errors name the file that the user asked for, not the temporary one."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
    except ValueError as error:
        raise ArgumentError(f"{str(path)!r} cannot be the name of a file: {error}.") from error
