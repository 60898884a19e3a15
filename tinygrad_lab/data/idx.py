"""IDX: the file format of MNIST, an array after a header of a few bytes."""

import gzip
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.errors import DataError

__all__ = ["read_idx"]

ELEMENT_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
MAGIC_BYTES = 4
GZIP_MAGIC = b"\x1f\x8b"
MOST_COMPRESSED = 1032
"""How many bytes gzip stores in one, at most."""
PIECE = 2**20


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read the array in an IDX file, gzip-compressed or plain.

    The compression is recognised by the file's first bytes, not by its name.

    Returns an array of the shape in the file's header, of dtype uint8, int8, int16, int32, float32
    or float64 in native byte order: MNIST's images are uint8 of shape (samples, 28, 28), its labels
    uint8 of shape (samples,). The array is writable.

    Raises ``DataError`` if the file is not IDX, is damaged, is shorter or longer than its header
    says, or has a shape that NumPy does not support; ``OSError`` if it cannot be read.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 0x08, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)

    Source: the format's description on the MNIST page by LeCun, Cortes and Burges.
    """
    with _opened(path) as file:
        element_type, num_axes = _parse_magic(path, file.read(MAGIC_BYTES))
        shape = _parse_shape(path, file.read(4 * num_axes), num_axes)
        expected = math.prod(shape) * element_type.itemsize
        _check_promise(file, path, expected)
        content, got = _read_counting(file, expected)
    if got != expected:
        raise DataError(
            f"{path}: {'truncated' if got < expected else 'trailing bytes'}: expected {expected} "
            f"bytes after the header, for shape {shape} of {element_type.name}; got {got}"
        )
    elements = np.frombuffer(content, dtype=element_type)
    try:
        array = elements.reshape(shape)
    except ValueError as error:
        raise DataError(f"{path}: expected a shape that NumPy supports; got {shape}") from error
    return array.astype(element_type.newbyteorder("="), copy=False)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file for reading, through gzip if its first bytes say so."""
    with open(path, "rb") as file:
        is_compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        try:
            yield gzip.GzipFile(fileobj=file) if is_compressed else file  # type: ignore[misc]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                f"{path}: expected a complete gzip file, as its first two bytes say; got {error}"
            ) from error


def _check_promise(file: IO[bytes], path: str | os.PathLike[str], expected: int) -> None:
    """Refuse a header that promises more than the file can hold, before anything is allocated."""
    size = os.path.getsize(path)
    is_compressed = isinstance(file, gzip.GzipFile)
    if expected > size * (MOST_COMPRESSED if is_compressed else 1):
        raise DataError(
            f"{path}: truncated: expected {expected} bytes after the header, as it says; got a "
            f"file of {size} bytes{' with gzip' if is_compressed else ''}"
        )


def _read_counting(file: IO[bytes], expected: int) -> tuple[bytearray, int]:
    """Read to the end; keep as many bytes as expected, and count all."""
    content, got = bytearray(), 0
    while piece := file.read(PIECE):
        content += piece[: max(expected - got, 0)]
        got += len(piece)
    return content, got


def _parse_magic(path: str | os.PathLike[str], magic: bytes) -> tuple[np.dtype[Any], int]:
    if len(magic) < MAGIC_BYTES:
        raise DataError(
            f"{path}: truncated: expected a magic number of {MAGIC_BYTES} bytes; got {len(magic)}"
        )
    zeros, type_code, num_axes = struct.unpack(">HBB", magic)
    if zeros:
        raise DataError(
            f"{path}: bad magic number: expected an IDX file, which starts with two zero bytes, "
            f"or a gzip file; got 0x{magic.hex()}"
        )
    if type_code not in ELEMENT_TYPES:
        known = ", ".join(f"0x{code:02x} ({kind.name})" for code, kind in ELEMENT_TYPES.items())
        raise DataError(
            f"{path}: unknown element type: expected one of {known}; got 0x{type_code:02x}"
        )
    return ELEMENT_TYPES[type_code], num_axes


def _parse_shape(path: str | os.PathLike[str], lengths: bytes, num_axes: int) -> tuple[int, ...]:
    if len(lengths) < 4 * num_axes:
        raise DataError(
            f"{path}: truncated: expected the lengths of {num_axes} axes in {4 * num_axes} bytes "
            f"after the magic number; got {len(lengths)}"
        )
    return struct.unpack(f">{num_axes}I", lengths)
