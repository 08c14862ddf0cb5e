"""The whole state of a run in one file, so that a kill at any moment leaves a usable one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as dump_arrays

from allnet_edge.artifacts.files import write_bytes
from allnet_edge.errors import IntegrityError, UsageError
from allnet_edge.models.storage.weights import Arrays


class Epoch(TypedDict):
    """One line of a run's history; ``val_auc`` is None with more than two classes.

    ``seconds`` includes the validation.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    val_weighted_f1: float
    val_auc: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far a run has come: every finished epoch, and the best one (counted from 1)."""

    history: tuple[Epoch, ...]
    best_epoch: int


def save_state(path: Path, model: keras.Model, progressed: Progressed, identity: str) -> None:
    """Write weights, optimiser, random generators and history as one atomic file."""
    meta = {
        "identity": identity,
        "best_epoch": str(progressed.best_epoch),
        "history": json.dumps(progressed.history),
    }
    write_bytes(path, dump_arrays(_state(model), metadata=meta))


def load_state(path: Path, model: keras.Model, identity: str) -> Progressed:
    """Restore a compiled model in place.

    Raises:
        UsageError: The checkpoint belongs to a run with other settings or other data.
        IntegrityError: The file is damaged.
    """
    try:
        with safe_open(path, framework="np") as stored:
            meta = stored.metadata() or {}
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error
    if meta.get("identity") != identity:
        raise UsageError(
            "this folder holds a run with other settings or other data",
            where=path.parent,
            fix="repeat the command of the first run, or choose another output folder",
        )
    model.optimizer.build(model.trainable_variables)
    variables = _variables(model)
    if arrays.keys() != variables.keys():
        odd = min(arrays.keys() ^ variables.keys())
        raise _unreadable(path, f"'{odd}' is not in both; another version of Keras wrote it")
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return Progressed(tuple(json.loads(meta["history"])), int(meta["best_epoch"]))


def _unreadable(path: Path, why: object) -> IntegrityError:
    return IntegrityError(
        f"the checkpoint cannot be read: {why}",
        where=path,
        fix="remove it to train from the start, or choose another output folder",
    )


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    # layer.variables, unlike layer.weights, has the seed states of dropout too.
    found = {
        f"{layer.name}/{number}": variable
        for layer in model.layers
        if not getattr(layer, "stored_elsewhere", False)  # a teacher, which never changes
        for number, variable in enumerate(layer.variables)
    }
    for number, variable in enumerate(model.optimizer.variables):
        found[f"optimizer/{number:05d}"] = variable
    return found


def _state(model: keras.Model) -> Arrays:
    # asarray, unlike ascontiguousarray, leaves a scalar (the optimiser's step) without a side.
    return {
        name: np.asarray(keras.ops.convert_to_numpy(variable), order="C")
        for name, variable in _variables(model).items()
    }
