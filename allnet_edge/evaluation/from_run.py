"""Judging a run: its float network in Keras 3, against the split that it was trained on."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from allnet_edge.artifacts.files import sha256_file
from allnet_edge.data.deal import Part
from allnet_edge.data.samples import LabelMap
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import Split, load_split, require_classes
from allnet_edge.evaluation.cells import Cells, Options
from allnet_edge.evaluation.corners import corner_notes
from allnet_edge.evaluation.exposure import against
from allnet_edge.evaluation.judged import Evaluation, conclude
from allnet_edge.evaluation.networks import BATCH, Images, Network, Probabilities
from allnet_edge.evaluation.probes import probe
from allnet_edge.evaluation.rule import Rule
from allnet_edge.evaluation.scoring import score
from allnet_edge.evaluation.seen import USED, own_split, refuse_seen
from allnet_edge.measure.performance import performance
from allnet_edge.measure.scored import Floats
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import FloatModel
from allnet_edge.progress import Progress, silent
from allnet_edge.report.evaluation_document import EvaluatedNetwork
from allnet_edge.training.backend import choose_backend, engine_version


def evaluate_run(
    run: Path, data: Path, options: Options | None = None, *, progress: Progress = silent
) -> Evaluation:
    """Judge a run on one part of a split of a data set.

    The threshold is fitted on the validation part of the split in use. Beside the figures at it
    stand those at 0.5.

    Args:
        run: Its folder.
        data: Root of the data set.
        options: What else was told.
        progress: Told as it goes on.

    Raises:
        IntegrityError: The run was changed after training, or a file after it was indexed.
        SplitError: The split is of another data set, has a patient or an image on both sides,
            lacks a class, or its test part was seen by the network.
        DataError: A class that the network does not know, or scores that are not usable.
        UsageError: A prevalence for more than two classes.
        MissingDependencyError: Keras or its engine is not installed.
    """
    told = options or Options()
    model = float_model.read(run)
    told.require_binary_for_prevalence(model.spec.classes)
    own = own_split(run, model.split_sha256)
    index = load_index(data, progress=progress)
    split = own if told.split is None else load_split(told.split)
    split.verify(index)
    part = told.wanted
    if told.split is not None:
        _refuse_other(split, part, own, told.split)
    labels = LabelMap(model.spec.classes, model.label_index)
    two = len(labels.classes) == 2
    require_classes(split, labels, dict.fromkeys(("validation", part) if two else (part,)))
    judged, train, validation = (
        Cells.of(name, index, split, labels) for name in (part, "train", "validation")
    )
    turns = told.turns or _turns(model)
    with open_run(run) as network:

        def scores_of(cells: Cells) -> Floats:
            what = f"{cells.part} cells"
            return score(network, cells.samples, index, turns=turns, what=what, progress=progress)

        fitted = scores_of(validation) if two else None
        scores = fitted if fitted is not None and part == "validation" else scores_of(judged)
    rule = Rule.argmax() if fitted is None else Rule.fitted(validation, fitted)
    scored = rule.decide(judged, scores)
    found = performance(
        scored, model.spec.classes, prevalence=told.prevalence, resamples=told.resamples,
        seed=told.seed,
    )  # fmt: skip
    return conclude(
        EvaluatedNetwork(
            kind="run",
            name=run.resolve().name,
            network=model.spec.network,
            classes=model.spec.classes,
            engine=network.engine,
            turns=turns,
            hashes={
                "model.json": sha256_file(run / float_model.DESCRIPTION),
                "model.safetensors": model.weights_sha256,
                "split": split.sha256,
                "split of the training": own.sha256,
                "index": index.sha256,
            },
        ),
        judged,
        knowledge=against(own, judged, threshold_here=two and part == "validation"),
        scored=scored,
        rule=rule,
        found=found,
        probes=probe(train, validation, judged, found, progress=progress),
        options=told,
        at_half=scores if two else None,
        versions=network.versions,
        notes=corner_notes(judged, model.spec.preprocess, turns),
    )


@contextmanager
def open_run(run: Path) -> Iterator[Network]:
    """The float network of a run, on the Keras backend of the user.

    Raises:
        IntegrityError: The weights were changed after training.
        MissingDependencyError: Keras or its engine is not installed.
    """
    engine = choose_backend()
    keras = importlib.import_module("keras")
    model, network = float_model.instantiate(keras, run)

    def infer(pixels: Images) -> Probabilities:
        # Engines compile once for each shape: the last batch is filled up.
        full = np.zeros((BATCH, *pixels.shape[1:]), np.float32)
        full[: len(pixels)] = pixels
        return np.asarray(network.predict_on_batch(full), np.float32)[: len(pixels)]

    yield Network(
        infer,
        model.spec.preprocess,
        f"Keras on {engine}",
        {"keras": str(keras.__version__), engine: engine_version(engine)},
    )


def _refuse_other(split: Split, part: Part, own: Split, where: Path) -> None:
    """The threshold must not be fitted on what trained the network, nor test be what it saw."""
    refuse_seen(split, "validation", own, ("train",), where=where)
    if part == "test":
        refuse_seen(split, "test", own, USED, where=where)


def _turns(model: FloatModel) -> int:
    """As many as the network was trained to be judged by."""
    told = model.record.settings.get("tta_rotations")
    return int(told) if told is not None else 1
