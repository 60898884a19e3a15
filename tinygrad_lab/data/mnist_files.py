"""MNIST, and other sets in its form, from files that lie in a folder: nothing is fetched."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.data.idx import read_idx
from tinygrad_lab.engine.keywords import advise, explaining
from tinygrad_lab.errors import ArgumentTypeError, DataError, excerpt

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MNIST", "mnist"]

_PREFIXES = {"training": "train", "test": "t10k"}


@dataclass(frozen=True, eq=False)
class MNIST:
    """Images and labels for training and testing.

    ``x`` and ``x_test`` are the images, float32 of shape (samples, 28, 28), from 0 (background) to
    1; ``y`` and ``y_test`` the labels, int64 of shape (samples,). Of a half whose files are
    missing, they raise ``DataError``.
    """

    folder: Path
    training: tuple[NDArray[np.float32], NDArray[np.int64]] | None
    test: tuple[NDArray[np.float32], NDArray[np.int64]] | None

    @property
    def x(self) -> NDArray[np.float32]:
        return self._half("training")[0]

    @property
    def y(self) -> NDArray[np.int64]:
        return self._half("training")[1]

    @property
    def x_test(self) -> NDArray[np.float32]:
        return self._half("test")[0]

    @property
    def y_test(self) -> NDArray[np.int64]:
        return self._half("test")[1]

    def _half(self, half: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        found: tuple[Any, Any] | None = getattr(self, half)
        if found is None:
            raise DataError(f"mnist: {self.folder} has no files of the {half} set: {_wanted(half)}")
        return found

    def __repr__(self) -> str:
        halves = {half: getattr(self, half) for half in _PREFIXES}
        counts = [f"{half}: {len(pair[1])}" for half, pair in halves.items() if pair]
        return f"MNIST({str(self.folder)!r}, {', '.join(counts)})"


@explaining
def mnist(folder: str | os.PathLike[str]) -> MNIST:
    """Read MNIST, or a set in its form (Fashion-MNIST, KMNIST), from its files in a folder.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
    ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, also with ``mnist-`` before them or
    a dot before ``idx``, plain or gzip-compressed (``.gz``). One half, training or test, may be
    missing.

    Raises ``DataError``, with the file and the reason, if there are neither of the halves, or one
    file of a pair alone; if a file is not IDX, damaged, truncated, or longer than its header says;
    if images are not of shape (samples, height, width) of uint8, labels not uint8 of shape
    (samples,), or their numbers differ.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images, labels = bytes([0, 0, 8, 3]), bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])
    ...     images += bytes([0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255])
    ...     _ = Path(folder, "t10k-images-idx3-ubyte").write_bytes(images)
    ...     _ = Path(folder, "t10k-labels-idx1-ubyte").write_bytes(labels)
    ...     digits = mnist(folder)
    >>> digits.x_test.tolist(), digits.y_test.tolist()
    ([[[0.0, 1.0]]], [7])

    Source: LeCun, Bottou, Bengio & Haffner, "Gradient-Based Learning Applied to Document
    Recognition", Proceedings of the IEEE 86 (1998).
    """
    if not isinstance(folder, str | os.PathLike):
        raise ArgumentTypeError(f"mnist: expected the path of a folder; got {excerpt(folder)}")
    place = Path(folder)
    if not place.is_dir():
        raise DataError(
            f"mnist: expected a folder with the files of MNIST, e.g. {_wanted('test')}; "
            f"{place} {'is a file' if place.exists() else 'does not exist'}"
        )
    training, test = (_pair(place, half) for half in _PREFIXES)
    if training is None and test is None:
        raise DataError(
            f"mnist: {place} has none of the files of MNIST: {_wanted('training')}, "
            f"{_wanted('test')}, plain or with .gz"
        )
    return MNIST(place, training, test)


advise(
    "mnist",
    train="the result has both: .x and .y to train, .x_test and .y_test",
    download="nothing is fetched: put the files into the folder",
    transform="transform batches as they come: tg.data.transforms",
    target_transform="transform labels as they come",
    root="write folder=...",
)


def _wanted(half: str) -> str:
    return " and ".join(
        f"{_PREFIXES[half]}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")
    )


def _file(folder: Path, half: str, kind: str, axes: int) -> Path | None:
    """Return the path of a file under one of its names; a plain one before a compressed one."""
    stem = f"{_PREFIXES[half]}-{kind}"
    names = [
        f"{before}{stem}{dot}idx{axes}-ubyte{end}"
        for before in ("", "mnist-")
        for end in ("", ".gz")
        for dot in "-."
    ]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _pair(folder: Path, half: str) -> tuple[NDArray[np.float32], NDArray[np.int64]] | None:
    """Return the images and labels of one half; None if both files are missing."""
    images_path, labels_path = (
        _file(folder, half, "images", 3),
        _file(folder, half, "labels", 1),
    )
    if images_path is None and labels_path is None:
        return None
    if images_path is None or labels_path is None:
        there = images_path or labels_path
        raise DataError(f"mnist: {there} is alone; a set is {_wanted(half)}")
    images = _checked(images_path, 3, "images of shape (samples, height, width)")
    labels = _checked(labels_path, 1, "labels of shape (samples,)")
    if len(images) != len(labels):
        raise DataError(
            f"mnist: {images_path} has {len(images)} images, {labels_path} has {len(labels)} "
            "labels; expected one label an image"
        )
    return images.astype(np.float32) / np.float32(255), labels.astype(np.int64)


def _checked(path: Path, axes: int, what: str) -> NDArray[Any]:
    array = read_idx(path)
    if array.ndim != axes or array.dtype != np.uint8:
        raise DataError(
            f"{path}: expected {what}, uint8 (magic number 0x000008{axes:02x}); got shape "
            f"{array.shape} of {array.dtype}"
        )
    return array
