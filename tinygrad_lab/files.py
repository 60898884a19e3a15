"""Atomic writes: everything in the package that writes a file writes it with these functions."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EISDIR
from itertools import count
from pathlib import Path

from tinygrad_lab.errors import ArgumentError

if sys.platform != "win32":
    import fcntl

__all__ = ["write_all_atomically", "write_atomically"]


def write_atomically(path: Path, content: bytes | str, *, durable: bool = False) -> None:
    """Write a file so that at any moment it holds either its old or its new content.

    The content is written to a temporary file beside it, which then replaces it. If the process is
    killed, the old file remains, and perhaps the temporary one (``.name.0.tinygrad_lab.tmp``),
    which the next write of this file removes. ``durable`` holds this also against a power failure:
    the content is on the disk (``fsync``) before it replaces the old one, which takes longer than
    many training steps. Text is written as UTF-8. A symbolic link is followed, permissions are
    kept, and a device or a pipe is written to directly.

    Raises:
        OSError: with the file's name, if it cannot be written; the old file then remains.
        ArgumentError: if no file can have this name.
    """
    write_all_atomically({path: content}, durable=durable)


def write_all_atomically(contents: Mapping[Path, bytes | str], *, durable: bool = False) -> None:
    """Write files that belong together: none is replaced before all new ones are on disk.

    Raises the errors of ``write_atomically``.
    """
    written: dict[Path, tuple[_Temporary, Path]] = {}
    try:
        for path, content in contents.items():
            with _errors_about(path):
                target = Path(os.path.realpath(path))
                data = content if isinstance(content, bytes) else _encoded(content)
                if _is_special(target):
                    target.write_bytes(data)
                    continue
                _refuse_if_read_only(target)
                temporary = _Temporary(target)
                written[path] = temporary, target
                temporary.write(data, durable)
        for path, (temporary, target) in written.items():
            with _errors_about(path):
                os.replace(temporary.path, target)
                if durable:
                    _sync_folder(target.parent)
    except BaseException:
        for temporary, _ in written.values():
            with suppress(OSError):
                temporary.path.unlink(missing_ok=True)
        raise
    finally:
        for temporary, _ in written.values():
            temporary.unlock()


def _sync_folder(folder: Path) -> None:
    """Bring the names of a folder's files to the disk, where the system can."""
    if sys.platform == "win32":  # folders cannot be opened
        return
    with suppress(PermissionError):  # a folder that may be written to, but not read
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _encoded(text: str) -> bytes:
    # A name from the command line or the file system may hold bytes that are not UTF-8.
    return text.encode("utf-8", "surrogateescape")


def _is_special(target: Path) -> bool:
    """Return whether a file exists and holds no content that could be lost: a pipe, a device."""
    if target.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    return target.exists() and not target.is_file()


def _refuse_if_read_only(target: Path) -> None:
    # Renaming would replace a read-only file, too.
    if target.exists():
        os.close(os.open(target, os.O_WRONLY))


class _Temporary:
    """A new file beside another one, locked as long as it is in use.

    The system unlocks the files of a process that ends, however it ends: what is there and not
    locked was left by a process that was killed.
    """

    def __init__(self, target: Path) -> None:
        """Take the first free name, after removing what was left behind under it or the next."""
        self._target = target
        for number in count():
            self.path = _numbered(target, number)
            _remove_if_abandoned(self.path)
            with suppress(FileExistsError):
                self._file = os.open(self.path, _CREATE, 0o666)
                # Another process may have taken it for abandoned before it was locked.
                if _lock(self._file) is not False and _is_at(self._file, self.path):
                    break
                os.close(self._file)
        _remove_if_abandoned(_numbered(target, number + 1))

    def write(self, data: bytes, durable: bool) -> None:
        """Write the content, and set the permissions of the file that it is to replace."""
        with open(self._file, "wb", closefd=False) as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(self._file)
        if self._target.exists():
            self.path.chmod(stat.S_IMODE(self._target.stat().st_mode))

    def unlock(self) -> None:
        os.close(self._file)


_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def _numbered(target: Path, number: int) -> Path:
    # Cut, as a name has at most 255 bytes. Files with the same start take turns at the numbers.
    return target.with_name(f".{target.name[:40]}.{number}.tinygrad_lab.tmp")


def _remove_if_abandoned(temporary: Path) -> None:
    """Remove a temporary file if the process that wrote it has ended."""
    if sys.platform == "win32":  # without locks, nobody knows whether a file is in use
        return
    with suppress(OSError):  # there is none, as a rule; or it is not ours to open or to remove
        file = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            is_a_file = stat.S_ISREG(os.fstat(file).st_mode)
            if is_a_file and _lock(file) and _is_at(file, temporary):
                temporary.unlink()
        finally:
            os.close(file)


def _lock(file: int) -> bool | None:
    """Lock an open file until it is closed; return whether it could be, None if nothing can."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the file system has no locks
        return None
    return True


def _is_at(file: int, path: Path) -> bool:
    """Return whether an open file still has its name: it may have been removed since."""
    try:
        return os.path.samestat(os.fstat(file), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


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
