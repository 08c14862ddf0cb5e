"""The training loop: one seeded pass an epoch, judged on validation cells, resumable."""

import hashlib
import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from allnet_edge import models
from allnet_edge.artifacts.files import write_bytes, write_json
from allnet_edge.artifacts.manifest import DataOrigin
from allnet_edge.data.batches import ImageBatches, shuffled
from allnet_edge.data.samples import LabelMap, Sample, SampleIndex
from allnet_edge.data.split import Split
from allnet_edge.errors import DataError, IntegrityError, UsageError
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import FloatModel, TrainingRecord
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.network import NetworkSpec, Preprocess
from allnet_edge.spec.training import TrainSettings
from allnet_edge.training.backend import engine_version, make_deterministic
from allnet_edge.training.checkpoint import Epoch, Progressed, load_state, save_state
from allnet_edge.training.loader import KerasBatches
from allnet_edge.training.standardise import fit_standardisation
from allnet_edge.training.validation import (
    RunMetrics,
    Scores,
    ValidationFigures,
    loss_and_accuracy,
)

_LAST, _BESTS = "checkpoint.safetensors", "best-*.safetensors"


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of the split, as the loader wants it."""

    paths: list[Path]
    labels: list[int]


def train(
    settings: TrainSettings,
    index: SampleIndex,
    split: Split,
    labels: LabelMap,
    out: Path,
    *,
    resume: bool = False,
    progress: Progress = silent,
) -> FloatModel:
    """Train a network and leave a RUN folder behind.

    Every finished epoch is on disk before the next one starts; with ``resume`` a killed run
    continues there, with the same batches that an undisturbed run would have seen.

    Args:
        split: Its parts ``train`` and ``validation`` are used; ``test`` is not looked at.
        out: Folder of the run, made if absent.

    Raises:
        SplitError: The split does not fit the data or leaks.
        UsageError: ``out`` holds another run, or ``resume`` was not given.
        DataError: The loss became NaN; the last good checkpoint stays.
    """
    split.verify(index)
    out.mkdir(parents=True, exist_ok=True)
    log = _log_to(out / "train.log")
    try:
        run = _Run(settings, index, split, labels, out=out, log=log, progress=progress)
        return run.go(resume=resume)
    finally:
        for handler in list(log.handlers):
            handler.close()
            log.removeHandler(handler)


class _Run:
    def __init__(
        self,
        settings: TrainSettings,
        index: SampleIndex,
        split: Split,
        labels: LabelMap,
        *,
        out: Path,
        log: logging.Logger,
        progress: Progress,
    ) -> None:
        self.settings, self.split, self.labels, self.out = settings, split, labels, out
        self.log, self.progress = log, progress
        self.train = self._part(index, split.samples("train", index))
        self.validation = self._part(index, split.samples("validation", index))
        self.split_sha256 = split.sha256
        self.origin = DataOrigin(layout=index.layout, split=split.protocol, leaking=split.leaking)

    def _part(self, index: SampleIndex, samples: tuple[Sample, ...]) -> _Part:
        return _Part(
            [index.path(sample) for sample in samples],
            [self.labels.index[sample.label] for sample in samples],
        )

    def go(self, *, resume: bool) -> FloatModel:
        spec = self._spec()
        identity = self._identity(spec)
        make_deterministic(keras.backend.backend(), self.settings.seed)
        model: keras.Model = models.build(keras, spec)
        model.compile(
            optimizer=keras.optimizers.Adam(self._learning_rate()),
            loss="binary_crossentropy" if spec.units == 1 else "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        done = self._restore(model, identity, resume=resume)
        while len(done.history) < self.settings.epochs:
            done = self._epoch(model, spec, done)
            save_state(self.out / _LAST, model, done, identity)
            write_json(self.out / "history.json", list(done.history))
            self._forget_all_but(done.best_epoch)
        return self._finish(model, spec, done)

    def _spec(self) -> NetworkSpec:
        plain = Preprocess(size=self.settings.input_size, crop=self.settings.crop)
        preprocess = fit_standardisation(
            self.train.paths,
            plain,
            per_channel=self.settings.per_channel,
            progress=self.progress,
        )
        return NetworkSpec(
            network=self.settings.model,
            preprocess=preprocess,
            classes=self.labels.classes,
            width=self.settings.width,
            bn_momentum=_bn_momentum(len(self.train.paths), self.settings.batch_size),
        )

    def _learning_rate(self) -> float | keras.optimizers.schedules.LearningRateSchedule:
        if self.settings.schedule == "constant":
            return self.settings.learning_rate
        steps = math.ceil(len(self.train.paths) / self.settings.batch_size) * self.settings.epochs
        return keras.optimizers.schedules.CosineDecay(self.settings.learning_rate, steps)

    def _identity(self, spec: NetworkSpec) -> str:
        # More epochs of the same run are a continuation, unless the schedule depends on them.
        free = {"epochs"} if self.settings.schedule == "constant" else set()
        told = self.settings.model_dump(mode="json", exclude=free)
        known = [told, spec.model_dump(mode="json"), self.split_sha256, self.labels.to_json()]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    def _restore(self, model: keras.Model, identity: str, *, resume: bool) -> Progressed:
        path = self.out / _LAST
        if not path.exists():
            return Progressed((), 0)
        if not resume:
            raise UsageError(
                "this folder already holds a run",
                where=self.out,
                fix="add --resume to continue it, or choose another output folder",
            )
        done = load_state(path, model, identity)
        if not self._best_weights(done.best_epoch).is_file():
            raise IntegrityError(
                f"the weights of epoch {done.best_epoch}, the best one so far, are missing",
                where=self._best_weights(done.best_epoch),
                fix=f"remove {_LAST} to train from the start, or choose another output folder",
            )
        self._forget_all_but(done.best_epoch)
        self.log.info("resumed after epoch %d", len(done.history))
        return done

    def _best_weights(self, epoch: int) -> Path:
        """The weights of an epoch that was the best so far.

        Each has a name of its own, so that a kill before the checkpoint is written leaves the
        checkpoint beside the weights that it names.
        """
        return self.out / _BESTS.replace("*", str(epoch))

    def _forget_all_but(self, epoch: int) -> None:
        for path in self.out.glob(_BESTS):
            if path != self._best_weights(epoch):
                path.unlink()

    def _epoch(self, model: keras.Model, spec: NetworkSpec, done: Progressed) -> Progressed:
        number = len(done.history) + 1
        started = time.monotonic()
        seed = (self.settings.seed, number)
        batches = ImageBatches(
            self.train.paths,
            self.train.labels,
            spec.preprocess,
            self.settings.batch_size,
            order=shuffled(len(self.train.paths), seed),
            augment=self.settings.augment,
            seed=seed,
        )
        title = f"epoch {number}/{self.settings.epochs}"
        watcher = _Watcher(self.progress, title, len(batches))
        fitted = model.fit(
            KerasBatches(batches), epochs=1, shuffle=False, verbose=0, callbacks=[watcher]
        )
        loss, accuracy = (float(fitted.history[name][0]) for name in ("loss", "accuracy"))
        val_loss, val_accuracy = self._validate(model, spec)
        # The last step of an epoch shows in the validation only.
        if not (math.isfinite(loss) and math.isfinite(val_loss)):
            raise DataError(
                f"the loss became {loss} (validation {val_loss}) in epoch {number}; "
                f"the checkpoint of epoch {number - 1} is kept",
                where=self.out,
                fix="train again with a smaller --learning-rate",
            )
        epoch = Epoch(
            epoch=number,
            loss=loss,
            accuracy=accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            seconds=round(time.monotonic() - started, 2),
        )
        history = (*done.history, epoch)
        best = _best(history)
        if best == number:
            write_bytes(self._best_weights(number), float_model.dump(arrays_of(model)))
        self.log.info(
            "%s: loss %.4f accuracy %.4f validation loss %.4f accuracy %.4f (%.0f s)",
            title, loss, accuracy, val_loss, val_accuracy, epoch["seconds"],
        )  # fmt: skip
        self.progress(f"{title}: loss {loss:.3f}, validation accuracy {val_accuracy:.3f}", 1, 1)
        return Progressed(history, best)

    def _validate(self, model: keras.Model, spec: NetworkSpec) -> tuple[float, float]:
        return loss_and_accuracy(self._scores(model, spec), np.asarray(self.validation.labels))

    def _scores(self, model: keras.Model, spec: NetworkSpec) -> Scores:
        batches = ImageBatches(
            self.validation.paths, self.validation.labels, spec.preprocess, self.settings.batch_size
        )
        return np.asarray(model.predict(KerasBatches(batches), verbose=0), np.float32)

    def _finish(self, model: keras.Model, spec: NetworkSpec, done: Progressed) -> FloatModel:
        # Without its description this is no finished run: a kill below pairs no weights with the
        # figures of others.
        (self.out / float_model.DESCRIPTION).unlink(missing_ok=True)
        path = self._best_weights(done.best_epoch)
        arrays = float_model.undump(path.read_bytes(), where=path)
        assign(model, arrays)
        labels = np.asarray(self.validation.labels)
        figures = ValidationFigures.of(self._scores(model, spec), labels, done.best_epoch)
        metrics = RunMetrics.of(figures, self.origin, len(done.history))
        write_json(self.out / "metrics.json", metrics.model_dump(mode="json"))
        write_bytes(self.out / "split.json", self.split.model_dump_json(indent=1).encode())
        settings, engine = self.settings.model_dump(mode="json"), keras.backend.backend()
        return float_model.save(
            self.out,
            arrays,
            spec,
            label_index=self.labels.index,
            split_sha256=self.split_sha256,
            record=TrainingRecord(
                how="train",
                settings={**settings, "best_epoch": done.best_epoch},
                versions={"keras": keras.__version__, engine: engine_version(engine)},
            ),
        )


class _Watcher(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Passes Keras' batches on as progress."""

    def __init__(self, progress: Progress, title: str, batches: int) -> None:
        super().__init__()
        self._progress, self._title, self._batches = progress, title, batches

    def on_train_batch_end(
        self,
        batch: int,
        logs: dict[str, float] | None = None,  # noqa: ARG002 - Keras passes it by name
    ) -> None:
        self._progress(self._title, batch + 1, self._batches)


def _bn_momentum(images: int, batch_size: int) -> float:
    """Averages that settle within a quarter of an epoch, at most Keras' own 0.99.

    With 0.99 on a few hundred steps the moving statistics lag behind the weights: seen as a
    training accuracy of 0.98 beside a validation accuracy of chance.
    """
    steps = max(1, images // batch_size)
    return round(min(0.99, max(0.8, 1 - 4 / steps)), 4)


def _best(history: tuple[Epoch, ...]) -> int:
    """The epoch (from 1) of the best validation accuracy; among equals the lowest loss."""
    best = max(history, key=lambda e: (e["val_accuracy"], -e["val_loss"]))
    return best["epoch"]


def _log_to(path: Path) -> logging.Logger:
    log = logging.Logger(f"train:{path}", logging.INFO)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    return log
