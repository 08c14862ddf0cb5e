"""Shortcut probes: what a classifier reaches that sees size and brightness, or the background.

Each is a logistic regression on standardised features with classes weighted equally, fitted on the
training part, with its threshold fitted on the validation part, as the network's is. A network that
is no better has not been shown to have learnt more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from allnet_edge.data.samples import SampleIndex
from allnet_edge.errors import DataError
from allnet_edge.evaluation import features
from allnet_edge.evaluation.cells import Cells
from allnet_edge.evaluation.curves import roc_points
from allnet_edge.evaluation.features import Glance, glance
from allnet_edge.evaluation.pictures import decoded, each
from allnet_edge.evaluation.rule import Rule
from allnet_edge.measure.performance import Performance, performance
from allnet_edge.measure.scored import Floats, Scored
from allnet_edge.progress import Progress, silent
from allnet_edge.report.evaluation_document import ProbeResult

SIZE, BACKGROUND = "size-and-brightness", "background"
NAMES = (SIZE, BACKGROUND)
_FEATURES = {SIZE: features.SIZE_AND_BRIGHTNESS, BACKGROUND: features.BACKGROUND}
_MOSTLY = 0.5
_COMPARED = ("balanced_accuracy", "roc_auc", "macro_roc_auc")


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A probe with its decisions, None where it was not measured."""

    result: ProbeResult
    scored: Scored | None = None


def not_measured(why: str) -> tuple[Probe, ...]:
    """Both probes, with the reason why there is none."""
    return tuple(Probe(ProbeResult(name=name, status="not measured", why=why)) for name in NAMES)


def probe(
    train: Cells,
    validation: Cells,
    judged: Cells,
    network: Performance,
    *,
    progress: Progress = silent,
) -> tuple[Probe, ...]:
    """Fit and judge both probes.

    Args:
        train: Cells they are fitted on.
        validation: Cells their thresholds are fitted on.
        judged: Cells they are judged on: the network's.
        network: What the network reached there, with the settings of its intervals.
        progress: Told as it goes on.
    """
    try:
        import sklearn  # noqa: F401, PLC0415 - a device has none, and can do without probes
    except ImportError:
        return not_measured("scikit-learn is not installed (extra 'train')")
    seen = _glances((train, validation, judged), progress)
    cut_out = float(np.mean([seen[sample.id].cut_out for sample in train.samples]))
    return tuple(
        Probe(
            ProbeResult(
                name=name,
                status="not applicable",
                why=f"{cut_out:.0%} of the training images are cells on black: no background",
            )
        )
        if name == BACKGROUND and cut_out >= _MOSTLY
        else _judged(name, (train, validation, judged), seen, network)
        for name in NAMES
    )


def _glances(parts: Sequence[Cells], progress: Progress) -> Mapping[str, Glance]:
    index: SampleIndex = parts[0].index
    samples = {sample.id: sample for cells in parts for sample in cells.samples}
    found = each(lambda one: glance(np.asarray(decoded(index, one))), list(samples.values()))
    seen: dict[str, Glance] = {}
    for done, (name, one) in enumerate(zip(samples, found, strict=True), start=1):
        seen[name] = one
        progress("shortcut probes", done, len(samples))
    return seen


def _judged(
    name: str, parts: tuple[Cells, Cells, Cells], seen: Mapping[str, Glance], network: Performance
) -> Probe:
    train, validation, judged = parts
    tables = [_table(name, cells, seen) for cells in parts]
    missing = set(range(len(train.labels.classes))) - set(train.truth.tolist())
    if missing:
        return Probe(
            ProbeResult(
                name=name, status="not measured", why="the training part lacks a class to fit on"
            )
        )
    try:
        scores = [_fit(tables[0], train, table) for table in tables[1:]]
        rule = Rule.fitted(validation, scores[0])
        scored = rule.decide(judged, scores[1])
    except DataError as error:
        return Probe(ProbeResult(name=name, status="not measured", why=error.what))
    found = performance(
        scored,
        judged.labels.classes,
        prevalence=network.prevalence,
        resamples=network.resamples,
        seed=network.seed,
    )
    return Probe(
        ProbeResult(
            name=name,
            status="measured",
            features=_FEATURES[name],
            trained_on=len(train.samples),
            threshold=rule.threshold,
            performance=found,
            roc=roc_points(scored.side(1)) if scored.binary else (),
            within=within(found, network),
        ),
        scored,
    )


def within(found: Performance, network: Performance) -> tuple[str, ...]:
    """Figures in which a probe reaches the interval of the network, or surpasses it."""
    reached = []
    for name in _COMPARED:
        own, other = network.figures.get(name), found.figures.get(name)
        if own is None or other is None or own.lower is None or other.value is None:
            continue
        if other.value >= own.lower:
            reached.append(name)
    return tuple(reached)


def _table(name: str, cells: Cells, seen: Mapping[str, Glance]) -> Floats:
    rows = [seen[sample.id] for sample in cells.samples]
    return np.stack([row.background if name == BACKGROUND else row.size_and_brightness
                     for row in rows])  # fmt: skip


def _fit(table: Floats, train: Cells, wanted: Floats) -> Floats:
    """Probabilities of ``wanted``: of the positive class of two, or of every one of several."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    regression = LogisticRegression(class_weight="balanced", max_iter=2000)
    model = make_pipeline(StandardScaler(), regression).fit(table, train.truth)
    found = np.asarray(model.predict_proba(wanted), np.float64)
    return found[:, 1] if found.shape[1] == 2 else found
