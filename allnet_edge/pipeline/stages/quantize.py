"""Both float graphs to int8, on one pinned set of calibration images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts import files
from allnet_edge.artifacts.files import write_bytes, write_json
from allnet_edge.convert.choose_estimator import Row, Trial, choose
from allnet_edge.convert.estimators import ESTIMATORS, Estimator, estimate_all
from allnet_edge.convert.int8_from_tflite import int8_from_tflite
from allnet_edge.convert.observe_onnx import OnnxObserver
from allnet_edge.convert.observe_tflite import TfliteObserver
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.range_stability import compare_halves
from allnet_edge.convert.ranges import ChannelMeans, Observation, Range, Ranges, write_ranges
from allnet_edge.convert.tflite_graph import int8_operators, read_graph
from allnet_edge.data.calibration import (
    Halves,
    halves,
    read_pinned,
    require_usable,
    select,
    selection_cells,
)
from allnet_edge.data.images import iter_batches
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.engines.base import usable_cores
from allnet_edge.engines.opening import open_file
from allnet_edge.errors import ConversionError
from allnet_edge.measure.agreement import Agreement, compare
from allnet_edge.measure.thresholds import fit_threshold
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.graph_rules import require_qdq_rules, require_sparsity
from allnet_edge.pipeline.stages.scoring import Probabilities, score
from allnet_edge.progress import Progress
from allnet_edge.spec.network import Preprocess
from allnet_edge.spec.recipe import CalibrationSpec, PruneSpec

_Images = npt.NDArray[np.uint8]


def run(work: Work) -> None:
    """Write ``model.int8.onnx`` and ``model.int8.tflite``, with ``ranges_onnx.json`` and
    ``ranges_tflite.json`` for whoever quantizes again, and ``calibration.json``: the images, what
    was tried and what was chosen.

    Raises:
        SplitError: A pinned list holds validation or test cells.
        DataError: The calibration images are too few, or of one class.
        ConversionError: A graph that was written breaks a rule of Q/DQ placement, or has lost its
            2:4 zeros.
    """
    index, split = work.sources.load(work.progress)
    settings, model = work.recipe.calibration, work.sources.model()
    chosen = (
        select(split, index, settings.images, settings.seed, model.label_index)
        if settings.pinned is None
        else read_pinned(settings.pinned, split, index)
    )
    require_usable(chosen, model.label_index)
    cells = selection_cells(split, index, settings.selection, settings.seed, model.label_index)
    pictures = _Pictures(index, model.spec.preprocess, work.progress)
    parts = halves(chosen, model.label_index)
    judge = _Judge(pictures, cells, np.array([model.label_index[c.label] == 1 for c in cells]))
    methods = {
        form.format: _quantize(work, form, parts, pictures, judge)
        for form in (_Onnx(work), _Tflite(work))
        if form.export in work.stages
    }
    write_json(
        work.folder / "calibration.json",
        {
            "seed": settings.seed,
            "part": "train",
            "images": [{"id": s.id, "sha256": s.sha256, "label": s.label} for s in chosen],
            "halves": {
                "sizes": [len(parts.first), len(parts.second)],
                "patients_apart": parts.patients_apart,
            },
            "selection": {"part": "validation", "cells": len(cells)},
            "formats": methods,
        },
    )


class _Form(Protocol):
    """One format: how it is observed, and how it is quantized."""

    format: str
    export: str
    symmetric: bool

    @property
    def source(self) -> Path:
        """The float graph."""

    def observe(self, images: Iterator[_Images], progress: Progress) -> Observation: ...

    def write(
        self, target: Path, ranges: Mapping[str, Range], means: ChannelMeans | None
    ) -> None: ...


class _Onnx:
    """Symmetric, for TensorRT and onnxruntime."""

    format, export, symmetric = "onnx", "export_onnx", True

    def __init__(self, work: Work) -> None:
        self._stages = work.stages

    @property
    def source(self) -> Path:
        return self._stages[self.export] / "model.fp32.onnx"

    def observe(self, images: Iterator[_Images], progress: Progress) -> Observation:
        return OnnxObserver(self.source, threads=usable_cores()).observe(images, progress=progress)

    def write(self, target: Path, ranges: Mapping[str, Range], means: ChannelMeans | None) -> None:
        qdq_from_onnx(self.source, target, ranges, channel_means=means)


class _Tflite:
    """With zero points, for LiteRT."""

    format, export, symmetric = "tflite", "export_tflite", False

    def __init__(self, work: Work) -> None:
        self._stages = work.stages

    @property
    def source(self) -> Path:
        return self._stages[self.export] / "model.fp32.tflite"

    def observe(self, images: Iterator[_Images], progress: Progress) -> Observation:
        observer = TfliteObserver(self.source, threads=usable_cores())
        return observer.observe(images, progress=progress)

    def write(self, target: Path, ranges: Mapping[str, Range], means: ChannelMeans | None) -> None:
        write_bytes(target, int8_from_tflite(self.source, ranges, channel_means=means))


@dataclass(frozen=True, slots=True)
class _Pictures:
    """Reads the cells' images."""

    index: SampleIndex
    preprocess: Preprocess
    progress: Progress

    def paths(self, samples: Sequence[Sample]) -> tuple[Path, ...]:
        return tuple(self.index.path(sample) for sample in samples)

    def of(self, samples: Sequence[Sample]) -> Iterator[_Images]:
        for batch in iter_batches(self.paths(samples), self.preprocess, batch_size=16):
            yield from batch

    def counting(self, before: int, total: int) -> Progress:
        """Progress of a part of several."""
        return lambda what, done, _: self.progress(what, before + done, total)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Answers of graphs on the selection cells."""

    pictures: _Pictures
    cells: tuple[Sample, ...]
    labels: npt.NDArray[np.bool_]

    def answers(self, file: Path, what: str, cells: int) -> Probabilities:
        with open_file(file, usable_cores()) as runner:
            return score(
                runner.infer,
                self.pictures.paths(self.cells[:cells]),
                self.pictures.preprocess,
                what,
                self.pictures.progress,
            )

    def against(self, reference: Probabilities, file: Path, what: str, cells: int) -> Agreement:
        """Raises ConversionError where an answer is not finite."""
        found = self.answers(file, what, cells)
        if not np.isfinite(found).all():
            raise ConversionError(f"{what}: an answer is NaN or infinite", where=file)
        threshold = fit_threshold(self.labels, reference)
        return compare(reference[:cells], found, threshold=threshold)


def _quantize(
    work: Work, form: _Form, parts: Halves, pictures: _Pictures, judge: _Judge
) -> dict[str, object]:
    """Observe, choose, and write one format; returns what ``calibration.json`` says of it."""
    total = len(parts.first) + len(parts.second)
    first = _observed(form, parts.first, pictures, 0, total)
    second = _observed(form, parts.second, pictures, len(parts.first), total)
    both = first.merged(second)
    means = both.channel_means()
    estimators, corrections = _allowed(work.recipe.calibration)
    ranges = {e: estimate_all(both, e, symmetric=form.symmetric) for e in estimators}
    stabilities = {
        e: compare_halves(first, second, e, symmetric=form.symmetric) for e in estimators
    }
    reference = judge.answers(form.source, f"{form.format} float", len(judge.cells))
    file = work.partial / f"trial{form.source.suffix}"

    def attempt(trial: Trial, cells: int) -> Agreement:
        form.write(file, ranges[trial.estimator], means if trial.bias_correction else None)
        corrected = ", biases corrected" if trial.bias_correction else ""
        what = f"{form.format} int8 by {trial.estimator}{corrected}"
        return judge.against(reference, file, what, cells)

    chosen, rows = choose(ranges, stabilities, corrections, len(judge.cells), attempt)
    files.remove(file)
    kept = Ranges(chosen.estimator, ranges[chosen.estimator], means, chosen.bias_correction)
    write_ranges(work.folder / f"ranges_{form.format}.json", kept)
    target = work.folder / f"model.int8{form.source.suffix}"
    form.write(target, kept.by_tensor, kept.means_to_use)
    checked = _checked(target, work.recipe.prune) if form.format == "onnx" else ()
    operators = int8_operators(read_graph(target)) if form.format == "tflite" else None
    _tell(work, form.format, chosen, rows)
    constant = sorted(name for name, one in both.histograms.items() if one.constant)
    same = (f"'{name}' is the same on every image" for name in constant)
    for sentence in (*checked, *filter(None, [operators]), *same):
        work.log.info("%s: %s", form.format, sentence)
    return {
        "estimator": chosen.estimator,
        "bias_correction": chosen.bias_correction,
        "stability": stabilities[chosen.estimator].to_json(),
        "checked": checked,
        "operators": operators,
        "constant": constant,
        "tried": [row.to_json() for row in rows],
    }


def _observed(
    form: _Form, samples: Sequence[Sample], pictures: _Pictures, before: int, total: int
) -> Observation:
    """Ranges of some images; what goes wrong on one names its file."""
    seen: list[Sample] = []

    def images() -> Iterator[_Images]:
        for sample, image in zip(samples, pictures.of(samples), strict=True):
            seen.append(sample)
            yield image

    try:
        return form.observe(images(), pictures.counting(before, total))
    except ConversionError as error:
        if not seen:
            raise
        at = pictures.index.path(seen[-1])
        raise ConversionError(error.what, where=at, fix=error.fix) from error


def _checked(target: Path, pruning: PruneSpec) -> tuple[str, ...]:
    """What holds of the graph that was written, in sentences; raises ConversionError."""
    found = require_qdq_rules(target), require_sparsity(target, pruning)
    return tuple(sentence for sentence in found if sentence)


def _allowed(settings: CalibrationSpec) -> tuple[tuple[Estimator, ...], tuple[bool, ...]]:
    estimators = ESTIMATORS if settings.estimator == "auto" else (settings.estimator,)
    corrected = settings.bias_correction
    return estimators, ((False, True) if corrected == "auto" else (corrected,))


def _tell(work: Work, form: str, chosen: Trial, rows: Sequence[Row]) -> None:
    for row in rows:
        found = row.agreement
        work.log.info(
            "%s %s%s: %s; %s",
            form,
            row.trial.estimator,
            " + bias correction" if row.trial.bias_correction else "",
            "not tried"
            if found is None
            else f"logit SNR {found.logit_snr_db} dB, {found.flips} flips on {found.n} cells",
            row.why,
        )
    stability = next(row.stability for row in rows if row.trial == chosen)
    if not stability.stable:
        work.log.warning(
            "%s: two halves of the calibration images give ranges that differ by %.0f %% (median); "
            "%.0f %% of the tensors by more than half: more images would help",
            form,
            100 * stability.median,
            100 * stability.share_apart,
        )
