"""What a run keeps on disk while it goes on: the last state, and the weights of the best epoch."""

import logging
from dataclasses import dataclass
from pathlib import Path

import keras

from allnet_edge.artifacts.files import sha256_file, write_bytes, write_json
from allnet_edge.errors import IntegrityError, UsageError
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.weights import Arrays
from allnet_edge.training.checkpoint import Progressed, load_state, save_state

_LAST, _BESTS = "checkpoint.safetensors", "best-*.safetensors"


@dataclass(frozen=True, slots=True)
class Kept:
    """The checkpoints of one run.

    Attributes:
        folder: Of the run.
        identity: Hash of everything that a resumed run has to have in common with the first.
        leads: Whether this process writes; the others only read.
    """

    folder: Path
    identity: str
    leads: bool

    def restore(self, model: keras.Model, log: logging.Logger, *, resume: bool) -> Progressed:
        """Take up a killed run, or start.

        Raises:
            UsageError: There is a run, and ``resume`` was not given or it is another one.
            IntegrityError: The checkpoint is damaged, or the best weights are gone.
        """
        path = self.folder / _LAST
        if not path.exists():
            return Progressed((), 0)
        if not resume:
            raise UsageError(
                "this folder already holds a run",
                where=self.folder,
                fix="add --resume to continue it, or choose another output folder",
            )
        done = load_state(path, model, self.identity)
        if not self._best_weights(done.best_epoch).is_file():
            raise IntegrityError(
                f"the weights of epoch {done.best_epoch}, the best one so far, are missing",
                where=self._best_weights(done.best_epoch),
                fix=f"remove {_LAST} to train from the start, or choose another output folder",
            )
        self._forget_all_but(done.best_epoch)
        log.info("resumed after epoch %d", len(done.history))
        return done

    def digest(self) -> str:
        """Hash of the last state; empty where there is none."""
        path = self.folder / _LAST
        return sha256_file(path) if path.exists() else ""

    def save_best(self, epoch: int, arrays: Arrays) -> None:
        """Keep the weights of an epoch that is the best so far."""
        if self.leads:
            write_bytes(self._best_weights(epoch), float_model.dump(arrays))

    def best(self, epoch: int) -> Arrays:
        """The weights of the best epoch; raises IntegrityError."""
        path = self._best_weights(epoch)
        return float_model.undump(path.read_bytes(), where=path)

    def save(self, model: keras.Model, done: Progressed) -> None:
        """Keep the whole state after an epoch."""
        if not self.leads:
            return
        save_state(self.folder / _LAST, model, done, self.identity)
        write_json(self.folder / "history.json", list(done.history))
        self._forget_all_but(done.best_epoch)

    def _best_weights(self, epoch: int) -> Path:
        # Each has a name of its own, so that a kill before the checkpoint is written leaves the
        # checkpoint beside the weights that it names.
        return self.folder / _BESTS.replace("*", str(epoch))

    def _forget_all_but(self, epoch: int) -> None:
        if not self.leads:
            return
        for path in self.folder.glob(_BESTS):
            if path != self._best_weights(epoch):
                path.unlink()
