"""The training loop: one seeded pass an epoch, judged on validation cells, resumable."""

import hashlib
import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import keras
import numpy as np

from allnet_edge.artifacts.files import write_bytes, write_json
from allnet_edge.artifacts.manifest import DataOrigin
from allnet_edge.data.batches import ImageBatches, shuffled
from allnet_edge.data.samples import LabelMap, SampleIndex
from allnet_edge.data.split import Split, require_classes
from allnet_edge.errors import DataError, UsageError
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import FloatModel, TrainingRecord
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.network import NetworkSpec, Preprocess
from allnet_edge.spec.training import TrainRuntime, TrainSettings
from allnet_edge.training.assemble import Models, assemble
from allnet_edge.training.backend import engine_version
from allnet_edge.training.checkpoint import Epoch, Progressed
from allnet_edge.training.distil import require_same_field
from allnet_edge.training.distil_answers import (
    FILE,
    AnsweredBatches,
    Answers,
    answers_of,
    symmetries,
)
from allnet_edge.training.distribute import Crew
from allnet_edge.training.kept import Kept
from allnet_edge.training.loader import KerasBatches
from allnet_edge.training.rows import balanced, open_parts
from allnet_edge.training.standardise import fit_standardisation
from allnet_edge.training.teacher import Teacher, open_teacher
from allnet_edge.training.tensorboard import scalars_to
from allnet_edge.training.validation import (
    RunMetrics,
    Scores,
    ValidationFigures,
    auc_of_two,
    in_short,
)


def train(
    settings: TrainSettings,
    index: SampleIndex,
    split: Split,
    labels: LabelMap,
    out: Path,
    *,
    runtime: TrainRuntime = TrainRuntime(),  # noqa: B008 - frozen
    crew: Crew = Crew(),  # noqa: B008 - frozen
    teacher: Path | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> FloatModel | None:
    """Train a network and leave a RUN folder behind.

    Every finished epoch is on disk before the next one starts; with ``resume`` a killed run
    continues there, with the same batches that an undisturbed run would have seen.

    Args:
        split: Its parts ``train`` and ``validation`` are used; ``test`` is not looked at.
        out: Folder of the run, made if absent; with several processes they all have to see it.
        crew: Who trains together, from `distribute.gather`.
        teacher: Folder of a finished run on the same split, for settings that distil.

    Returns:
        The model; None in a process that does not lead its crew.

    Raises:
        SplitError: The split does not fit the data, leaks, or has a part without a class; or the
            teacher was trained on another one.
        UsageError: ``out`` holds another run, or ``resume`` was not given; the settings distil and
            no teacher is given, or the other way round; the teacher has other classes; the epoch is
            to be selected by the AUC of more than two classes.
        DataError: The loss became NaN; the last good checkpoint stays.
        EnvironmentMismatch: ImageNet's weights cannot be had, or a worker process was killed.
    """
    _require_two_for_auc(settings, labels)
    split.verify(index)
    require_classes(split, labels, ("train", "validation"))
    crew.require_batch(settings.batch_size)
    taught_by = _teacher(settings, teacher, split, labels)
    out.mkdir(parents=True, exist_ok=True)
    with _log_to(out / "train.log" if crew.leads else None) as log, ExitStack() as held:
        run = _Run(
            settings, index, split, labels, taught_by,
            out=out, runtime=runtime, crew=crew, log=log, progress=progress, held=held,
        )  # fmt: skip
        return run.go(resume=resume)


class _Run:
    def __init__(
        self,
        settings: TrainSettings,
        index: SampleIndex,
        split: Split,
        labels: LabelMap,
        teacher: Teacher | None,
        *,
        out: Path,
        runtime: TrainRuntime,
        crew: Crew,
        log: logging.Logger,
        progress: Progress,
        held: ExitStack,
    ) -> None:
        self.settings, self.split, self.labels, self.out = settings, split, labels, out
        self.crew, self.log, self.progress, self.held = crew, log, progress, held
        self.runtime, self.teacher, self.index = runtime, teacher, index
        self.answers: Answers | None = None
        pixels = Preprocess(size=settings.input_size, crop=settings.crop)
        parts = [split.samples(part, index) for part in ("train", "validation")]
        self.train, self.validation = held.enter_context(
            open_parts(parts, index, labels, pixels, runtime=runtime, progress=progress)
        )
        self.spec = self._spec(pixels)
        self.train = balanced(self.train, len(labels.classes), settings, progress)
        held.enter_context(self.train.source)  # blends have a thread of their own
        self.origin = DataOrigin(layout=index.layout, split=split.protocol, leaking=split.leaking)

    def go(self, *, resume: bool) -> FloatModel | None:
        identity = self._identity()
        kept = Kept(self.out, identity, self.crew.leads)
        if self.crew.processes > 1:
            self.crew.require_same(f"{identity} {self.settings.epochs} {kept.digest()}")
        used = assemble(self.settings, self.spec, self.crew, self._steps(), self.teacher)
        if used.frozen:
            self.log.info("frozen: %d layers", len(used.frozen))
        with self.crew.together():
            done = kept.restore(used.trained, self.log, resume=resume)
        if self.teacher is not None and len(done.history) < self.settings.epochs:
            self.answers = self._answers(self.teacher, identity)
        board = self.out / "tensorboard" if self.runtime.tensorboard and self.crew.leads else None
        note = self.held.enter_context(scalars_to(board, len(done.history)))
        while len(done.history) < self.settings.epochs:
            epoch = self._epoch(used, len(done.history) + 1)
            history = (*done.history, epoch)
            done = Progressed(history, _best(history, self.settings))
            if done.best_epoch == epoch["epoch"]:
                kept.save_best(done.best_epoch, arrays_of(used.judged))
            kept.save(used.trained, done)
            note(_scalars(epoch, used.trained, len(self.train)), epoch["epoch"])
        return self._finish(used, kept, done) if self.crew.leads else None

    def _spec(self, plain: Preprocess) -> NetworkSpec:
        settings = self.settings
        if settings.standardise == "unit":
            preprocess = plain.model_copy(update={"mean": (0.0,), "sd": (255.0,)})
        else:
            preprocess = fit_standardisation(
                self.train.source, plain, per_channel=settings.per_channel, progress=self.progress
            )
        steps = max(1, len(self.train) // settings.batch_size)
        return NetworkSpec(
            network=settings.model,
            preprocess=preprocess,
            classes=self.labels.classes,
            width=settings.width,
            bn_momentum=settings.bn_momentum or _bn_momentum(steps),
        )

    def _answers(self, teacher: Teacher, identity: str) -> Answers | None:
        """The teacher's answers to the training rows, where they can be stored."""
        count = symmetries(self.settings)
        if not count:
            return None
        with ExitStack() as held:
            source = self.train.source
            # A blend is known in the student's pixels alone.
            if self.settings.oversample == "none":
                parts = [self.split.samples("train", self.index)]
                preprocess = teacher.model.spec.preprocess
                rows = held.enter_context(
                    open_parts(
                        parts, self.index, self.labels, preprocess,
                        runtime=self.runtime, progress=self.progress,
                    )
                )  # fmt: skip
                source = rows[0].source
            return answers_of(
                teacher,
                source,
                count,
                batch_size=self.settings.batch_size,
                kept=self.out / FILE,
                identity=identity,
                writes=self.crew.leads,
                progress=self.progress,
            )

    def _steps(self) -> int:
        return math.ceil(len(self.train) / self.settings.batch_size)

    def _identity(self) -> str:
        # More epochs of the same run are a continuation, unless the schedule depends on them.
        free = {"epochs"} if self.settings.schedule != "cosine" else set()
        told = self.settings.model_dump(mode="json", exclude=free)
        spec = self.spec.model_dump(mode="json")
        known = [told, spec, self.split.sha256, self.labels.to_json()]
        if self.teacher is not None:
            known.append(self.teacher.model.weights_sha256)
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    def _epoch(self, used: Models, number: int) -> Epoch:
        started = time.monotonic()
        title = f"epoch {number}/{self.settings.epochs}"
        loss, accuracy = self._pass(used.trained, number, title)
        self._require_finite("loss", loss, number)
        used.hand_over()
        scores = self._scores(used)
        val_loss, val_accuracy, val_f1 = in_short(scores, self.validation.labels)
        # The last step of an epoch shows in the validation only.
        self._require_finite("validation loss", val_loss, number)
        epoch = Epoch(
            epoch=number,
            loss=loss,
            accuracy=accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            val_weighted_f1=val_f1,
            val_auc=auc_of_two(scores, self.validation.labels),
            seconds=round(time.monotonic() - started, 2),
        )
        self.log.info(
            "%s: loss %.4f accuracy %.4f validation loss %.4f accuracy %.4f%s (%.0f s)",
            title, loss, accuracy, val_loss, val_accuracy,
            "" if epoch["val_auc"] is None else f" AUC {epoch['val_auc']:.4f}", epoch["seconds"],
        )  # fmt: skip
        self.progress(f"{title}: loss {loss:.3f}, validation accuracy {val_accuracy:.3f}", 1, 1)
        return epoch

    def _pass(self, trained: keras.Model, number: int, title: str) -> tuple[float, float]:
        """One pass over the training rows; mean loss and accuracy of its steps."""
        order = shuffled(len(self.train), (self.settings.seed, number))
        rows, size = self.train, self.settings.batch_size // self.crew.processes
        share = self.crew.share(order, self.settings.batch_size)
        if self.answers is None:
            batches = ImageBatches(
                rows.source, rows.labels, size, order=share, weights=rows.weights
            )
        else:
            batches = AnsweredBatches(
                rows.source, rows.labels, size,
                order=share, weights=rows.weights, answers=self.answers,
            )  # fmt: skip
        watcher = _Watcher(self.progress, title, len(batches))
        with self.crew.together(), KerasBatches(batches) as data:
            fitted = trained.fit(data, epochs=1, shuffle=False, verbose=0, callbacks=[watcher])
        return float(fitted.history["loss"][0]), float(fitted.history["accuracy"][0])

    def _require_finite(self, name: str, value: float, number: int) -> None:
        if math.isfinite(value):
            return
        kept = f"the checkpoint of epoch {number - 1} is kept" if number > 1 else "nothing is kept"
        raise DataError(
            f"the {name} became {value} in epoch {number}; {kept}",
            where=self.out,
            fix="train again with a smaller --learning-rate",
        )

    def _scores(self, used: Models) -> Scores:
        rows, size = self.validation, self.settings.batch_size
        with KerasBatches(ImageBatches(rows.source, rows.labels, size)) as data:
            return np.asarray(used.judged.predict(data, verbose=0), np.float32)

    def _finish(self, used: Models, kept: Kept, done: Progressed) -> FloatModel:
        # Without its description this is no finished run: a kill below pairs no weights with the
        # figures of others.
        (self.out / float_model.DESCRIPTION).unlink(missing_ok=True)
        arrays = kept.best(done.best_epoch)
        assign(used.judged, arrays)
        figures = ValidationFigures.of(self._scores(used), self.validation.labels, done.best_epoch)
        metrics = RunMetrics.of(figures, self.origin, len(done.history))
        write_json(self.out / "metrics.json", metrics.model_dump(mode="json"))
        write_bytes(self.out / "split.json", self.split.model_dump_json(indent=1).encode())
        engine = keras.backend.backend()
        return float_model.save(
            self.out,
            arrays,
            self.spec,
            label_index=self.labels.index,
            split_sha256=self.split.sha256,
            record=TrainingRecord(
                how="train" if self.teacher is None else "distil",
                parents=() if self.teacher is None else (self.teacher.model.weights_sha256,),
                settings={
                    **_flat(self.settings),
                    **used.came_from,
                    **({} if self.teacher is None else self.teacher.told),
                    "best_epoch": done.best_epoch,
                },
                versions={"keras": keras.__version__, engine: engine_version(engine)},
            ),
        )


def _teacher(
    settings: TrainSettings, run: Path | None, split: Split, labels: LabelMap
) -> Teacher | None:
    if (settings.distil is None) != (run is None):
        raise UsageError(
            "the settings distil, but there is no teacher"
            if run is None
            else "there is a teacher, but the settings do not distil",
            fix="give --teacher RUN, or leave [train.distil] out of the recipe",
        )
    if run is None:
        return None
    teacher = open_teacher(run, split, labels)
    if not symmetries(settings) or settings.oversample != "none":
        require_same_field(settings, teacher.model.spec.preprocess)
    return teacher


class _Watcher(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Passes Keras' batches on as progress, and ends a pass whose loss is no number any more."""

    def __init__(self, progress: Progress, title: str, batches: int) -> None:
        super().__init__()
        self._progress, self._title, self._batches = progress, title, batches

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._progress(self._title, batch + 1, self._batches)
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True


def _bn_momentum(steps: int) -> float:
    """Averages that settle within a quarter of an epoch of so many steps, at most Keras' own 0.99.

    With 0.99 on a few hundred steps the moving statistics lag behind the weights: seen as a
    training accuracy of 0.98 beside a validation accuracy of chance.
    """
    return round(min(0.99, max(0.8, 1 - 4 / steps)), 4)


def _require_two_for_auc(settings: TrainSettings, labels: LabelMap) -> None:
    if settings.select == "auc" and len(labels.classes) != 2:
        raise UsageError(
            f"an epoch cannot be selected by the AUC of {len(labels.classes)} classes",
            fix="select by accuracy or weighted_f1, or fold the classes into two with --positive",
        )


def _best(history: tuple[Epoch, ...], settings: TrainSettings) -> int:
    """The epoch (from 1) of the best validation value; among equals the lowest loss."""
    key = f"val_{settings.select}"
    best = max(history, key=lambda e: (e[key], -e["val_loss"]))  # type: ignore[literal-required]
    return best["epoch"]


def _scalars(epoch: Epoch, trained: keras.Model, images: int) -> dict[str, float]:
    """What TensorBoard shows of an epoch; the rate is that of the next step."""
    return {
        "loss/train": epoch["loss"],
        "loss/validation": epoch["val_loss"],
        "accuracy/train": epoch["accuracy"],
        "accuracy/validation": epoch["val_accuracy"],
        "weighted_f1/validation": epoch["val_weighted_f1"],
        **({} if epoch["val_auc"] is None else {"auc/validation": epoch["val_auc"]}),
        "learning_rate": float(keras.ops.convert_to_numpy(trained.optimizer.learning_rate)),
        "images_per_second": images / max(epoch["seconds"], 1e-9),
    }


def _flat(settings: TrainSettings) -> dict[str, str | int | float | bool | None]:
    """Settings as plain values; what is nested becomes its JSON."""
    return {
        name: value if value is None or isinstance(value, str | int | float) else json.dumps(value)
        for name, value in settings.model_dump(mode="json").items()
    }


@contextmanager
def _log_to(path: Path | None) -> Iterator[logging.Logger]:
    """A logger of its own, into the file alone; without a file it keeps silent."""
    log = logging.Logger(f"train:{path}", logging.INFO)
    handler = logging.NullHandler() if path is None else logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    try:
        yield log
    finally:
        handler.close()
