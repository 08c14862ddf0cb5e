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
import numpy.typing as npt

from allnet_edge import models
from allnet_edge.artifacts.files import write_bytes, write_json
from allnet_edge.data.batches import ImageBatches, shuffled
from allnet_edge.data.samples import LabelMap, Sample, SampleIndex
from allnet_edge.data.split import Split
from allnet_edge.errors import DataError, UsageError
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import FloatModel, TrainingRecord
from allnet_edge.models.storage.weights import arrays_of
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.network import NetworkSpec, Preprocess
from allnet_edge.spec.training import TrainSettings
from allnet_edge.training.backend import engine_version, make_deterministic
from allnet_edge.training.checkpoint import Epoch, Progressed, load_state, save_state
from allnet_edge.training.loader import KerasBatches
from allnet_edge.training.standardise import fit_standardisation

_LAST, _BEST = "checkpoint.safetensors", "best.safetensors"


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
        self.split_sha256 = hashlib.sha256(split.model_dump_json().encode()).hexdigest()

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
        return self._finish(spec, done)

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
        self.log.info("resumed after epoch %d", len(done.history))
        return done

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
            write_bytes(self.out / _BEST, float_model.dump(arrays_of(model)))
        self.log.info(
            "%s: loss %.4f accuracy %.4f validation loss %.4f accuracy %.4f (%.0f s)",
            title, loss, accuracy, val_loss, val_accuracy, epoch["seconds"],
        )  # fmt: skip
        self.progress(f"{title}: loss {loss:.3f}, validation accuracy {val_accuracy:.3f}", 1, 1)
        return Progressed(history, best)

    def _validate(self, model: keras.Model, spec: NetworkSpec) -> tuple[float, float]:
        batches = ImageBatches(
            self.validation.paths, self.validation.labels, spec.preprocess, self.settings.batch_size
        )
        scores = model.predict(KerasBatches(batches), verbose=0)
        return _loss_and_accuracy(scores, np.asarray(self.validation.labels))

    def _finish(self, spec: NetworkSpec, done: Progressed) -> FloatModel:
        best = done.history[done.best_epoch - 1]
        write_json(
            self.out / "metrics.json",
            {
                "validation": {
                    "n": len(self.validation.labels),
                    "accuracy": best["val_accuracy"],
                    "loss": best["val_loss"],
                    "epoch": best["epoch"],
                },
                "note": "the test part is not looked at by train; 'build' judges on it",
            },
        )
        write_bytes(self.out / "split.json", self.split.model_dump_json(indent=1).encode())
        settings, engine = self.settings.model_dump(mode="json"), keras.backend.backend()
        return float_model.save(
            self.out,
            float_model.undump((self.out / _BEST).read_bytes(), where=self.out / _BEST),
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


def _loss_and_accuracy(
    scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Cross-entropy and accuracy from probabilities [n, 1] or [n, classes]."""
    wide = np.concatenate([1 - scores, scores], axis=1) if scores.shape[1] == 1 else scores
    chosen = np.clip(wide[np.arange(len(labels)), labels], 1e-7, 1.0)
    return float(-np.log(chosen).mean()), float((wide.argmax(axis=1) == labels).mean())


def _log_to(path: Path) -> logging.Logger:
    log = logging.Logger(f"train:{path}", logging.INFO)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    return log
