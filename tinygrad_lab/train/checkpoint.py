"""Checkpoints: a model's parameters as safetensors, with metadata to rebuild the model.

Safetensors, not pickle, because reading a pickle runs any code in it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.errors import DataError
from tinygrad_lab.files import write_atomically
from tinygrad_lab.nn import Module
from tinygrad_lab.train.models import MODELS, make_model
from tinygrad_lab.train.settings import Settings

__all__ = ["Checkpoint", "load_checkpoint", "load_model", "save_checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """The metadata of a checkpoint.

    ``model`` is a key of ``MODELS``, ``step`` the number of updates so far.
    """

    model: str
    step: int
    seed: int
    shuffle_seq: bool
    settings: Settings


def save_checkpoint(path: Path, model: Module, about: Checkpoint) -> None:
    """Write a model's state and metadata; an existing file stays intact until replaced.

    Raises ``OSError`` if it cannot be written.
    """
    from safetensors.numpy import save

    # Safetensors writes the bytes in memory order, and after a step a matrix may be stored column
    # by column.
    arrays = {
        name: np.ascontiguousarray(value.to("cpu").numpy())
        for name, value in model.state_dict().items()
    }
    metadata = {"tinygrad_lab": json.dumps(asdict(about))}
    write_atomically(path, save(arrays, metadata=metadata))


def load_checkpoint(path: Path, model: Module) -> Checkpoint:
    """Load the state of a checkpoint into a model, and return its metadata.

    Raises ``DataError`` if the file is not such a checkpoint, ``StateDictError`` if it is of
    another model, ``OSError`` if it cannot be read.
    """
    arrays, about = _read(path)
    model.load_state_dict(arrays)
    return about


def load_model(path: Path) -> tuple[Module, Checkpoint]:
    """Build the model of a checkpoint on the CPU and load its state.

    Raises the errors of ``load_checkpoint``.
    """
    arrays, about = _read(path)
    if about.model not in MODELS:
        raise DataError(
            f"{path}: expected a checkpoint of one of {', '.join(MODELS)}; got {about.model!r}"
        )
    model = make_model(about.model)
    model.load_state_dict(arrays)
    return model, about


def _read(path: Path) -> tuple[dict[str, NDArray[Any]], Checkpoint]:
    from safetensors import SafetensorError, safe_open

    # The message of safetensors for a missing file or a folder does not name it.
    path.open("rb").close()
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise DataError(f"{path}: expected a safetensors file; {error}") from error
    return arrays, _about(path, metadata)


def _about(path: Path, metadata: Mapping[str, str]) -> Checkpoint:
    try:
        fields = json.loads(metadata["tinygrad_lab"])
        return Checkpoint(**{**fields, "settings": Settings(**fields["settings"])})
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: expected a checkpoint that `tinygrad-lab train` wrote; its metadata do not "
            f"name its model and settings: {error!r}"
        ) from error
