"""The float model on disk: ``model.safetensors`` and ``model.json`` in one folder."""

import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Final, Literal

import numpy as np
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as dump_arrays

from allnet_edge import models
from allnet_edge.artifacts.files import sha256_file, write_bytes, write_json
from allnet_edge.errors import IntegrityError
from allnet_edge.models.storage.weights import Arrays, assign
from allnet_edge.models.towers.api import KerasModel
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.network import NetworkSpec

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
SCHEMA_VERSION: Final = 1


class TrainingRecord(Frozen):
    """How the weights came to be.

    Attributes:
        how: ``train``, ``prune``...
        parents: sha256 of the weights that these were derived from.
        settings: What the step was told, as plain values.
        versions: Packages that did it.
    """

    how: str
    parents: tuple[str, ...] = ()
    settings: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)


class FloatModel(Frozen):
    """A network with trained weights, free of any framework.

    Attributes:
        label_index: For each class name of the data set, its position in ``spec.classes``.
        weights_sha256: Of the bytes of ``model.safetensors``.
        split_sha256: Of the split that it was trained on.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    spec: NetworkSpec
    label_index: dict[str, int]
    weights_sha256: str
    split_sha256: str
    record: TrainingRecord

    @property
    def positive(self) -> str:
        """The class whose probability a binary network puts out."""
        return self.spec.classes[1]


def save(
    folder: Path,
    arrays: Arrays,
    spec: NetworkSpec,
    *,
    label_index: dict[str, int],
    split_sha256: str,
    record: TrainingRecord,
) -> FloatModel:
    """Write weights, then description; a killed save leaves no readable description behind."""
    data = dump(arrays)
    model = FloatModel(
        spec=spec,
        label_index=label_index,
        weights_sha256=hashlib.sha256(data).hexdigest(),
        split_sha256=split_sha256,
        record=record,
    )
    (folder / DESCRIPTION).unlink(missing_ok=True)
    write_bytes(folder / WEIGHTS, data)
    write_json(folder / DESCRIPTION, model.model_dump(mode="json"))
    return model


def read(folder: Path) -> FloatModel:
    """Read the description alone.

    Raises:
        IntegrityError: No float model there, unreadable, or of another schema version.
    """
    path = folder / DESCRIPTION
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IntegrityError(
            "no readable float model in this folder",
            where=path,
            fix="give a RUN folder written by 'allnet-edge train' that has finished",
        ) from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise IntegrityError(
            f"the float model has schema version {version}, this program reads {SCHEMA_VERSION}",
            where=path,
            fix="train again, or use the release of allnet-edge that wrote it",
        )
    try:
        return FloatModel.model_validate(raw)
    except ValidationError as error:
        raise IntegrityError(f"damaged description: {error}", where=path) from error


def load(folder: Path) -> tuple[FloatModel, Arrays]:
    """Read description and weights.

    Raises:
        IntegrityError: As ``read``, or the weight file is missing or was changed.
    """
    model = read(folder)
    path = folder / WEIGHTS
    data = _read_weights(path)
    _require_hash(hashlib.sha256(data).hexdigest(), model, path)
    return model, undump(data, where=path)


def require_unchanged(folder: Path) -> None:
    """Check the weights against the description without loading them.

    Raises:
        IntegrityError: As ``load``.
    """
    path = folder / WEIGHTS
    model = read(folder)
    if not path.is_file():
        _read_weights(path)
    _require_hash(sha256_file(path), model, path)


def _read_weights(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError("the weight file is missing", where=path) from error


def _require_hash(found: str, model: FloatModel, path: Path) -> None:
    if found != model.weights_sha256:
        raise IntegrityError(
            "the weight file was changed after training: its hash differs from model.json",
            where=path,
            fix="restore the file, or train again",
        )


def dump(arrays: Arrays) -> bytes:
    """Weights as the bytes of a safetensors file."""
    return bytes(
        dump_arrays({name: np.asarray(value, order="C") for name, value in arrays.items()})
    )


def undump(data: bytes, *, where: object) -> Arrays:
    """Weights from the bytes of a safetensors file.

    Raises:
        IntegrityError: They are none.
    """
    try:
        return dict(load_arrays(data))
    except SafetensorError as error:
        raise IntegrityError(f"this is no safetensors file: {error}", where=where) from error


def instantiate(keras: ModuleType, folder: Path) -> tuple[FloatModel, KerasModel]:
    """Build the network in the given Keras and give it the stored weights."""
    model, arrays = load(folder)
    network = models.build(keras, model.spec)
    assign(network, arrays)
    return model, network
