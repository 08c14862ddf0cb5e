"""From scores to everything that an evaluation says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from allnet_edge import __version__
from allnet_edge.data.split import Split
from allnet_edge.evaluation.cells import Cells, Options
from allnet_edge.evaluation.curves import curves
from allnet_edge.evaluation.exposure import Knowledge
from allnet_edge.evaluation.patients import patient_rows
from allnet_edge.evaluation.probes import Probe
from allnet_edge.evaluation.rule import Rule
from allnet_edge.measure.performance import Figure, Performance, performance
from allnet_edge.measure.reliability import reliability
from allnet_edge.measure.scored import Floats, Scored
from allnet_edge.measure.system import package_version
from allnet_edge.report.evaluation_document import (
    EvaluatedCells,
    EvaluatedNetwork,
    EvaluationDocument,
)
from allnet_edge.report.evaluation_words import headline, probe_sentence

OF_DECISIONS = (
    "accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv",
    "ppv_at_prevalence", "npv_at_prevalence", "f1", "weighted_f1",
)  # fmt: skip
"""Figures that the threshold changes."""

_FEW_PATIENTS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A document with what it was made from, cell by cell.

    Attributes:
        document: Everything that is said.
        ids: Of the samples.
        sha256s: Of their files.
        labels: Their classes, as the data set has them.
        scored: With what the network said.
        probes: What each measured probe said, by name.
    """

    document: EvaluationDocument
    ids: tuple[str, ...]
    sha256s: tuple[str, ...]
    labels: tuple[str, ...]
    scored: Scored
    probes: Mapping[str, Scored]


def conclude(
    network: EvaluatedNetwork,
    cells: Cells,
    *,
    knowledge: Knowledge,
    scored: Scored,
    rule: Rule,
    found: Performance,
    probes: Sequence[Probe],
    options: Options,
    at_half: Floats | None = None,
    versions: Mapping[str, str],
    notes: Sequence[str] = (),
) -> Evaluation:
    """Put an evaluation together.

    Args:
        network: That was judged.
        cells: It was judged on.
        knowledge: What it had seen of them.
        scored: What it said about them.
        rule: How it decided.
        found: Its figures.
        probes: Shortcuts judged beside it.
        options: As told.
        at_half: Scores float64 ``(n,)`` to be decided at 0.5, too; None where that is not asked.
        versions: Packages that computed.
        notes: More that the reader has to know.
    """
    labels = tuple(sample.label for sample in cells.samples)
    facts = facts_of(cells, knowledge)
    results = tuple(one.result for one in probes)
    document = EvaluationDocument(
        title=f"{network.network}: {_which(facts)} of {facts.layout}",
        created=datetime.now(timezone.utc).replace(microsecond=0),
        headline=headline(network, facts, found),
        phantom=facts.layout == "phantom",
        network=network,
        cells=facts,
        operating_point=rule.to_document(),
        performance=found,
        at_half=None if at_half is None else _at_half(cells, at_half, options),
        curves=curves(scored, network.classes),
        reliability=reliability(scored),
        probes=results,
        patients=patient_rows(labels, scored),
        warnings=(
            *warnings(facts),
            *notes,
            *([f"the network has {rule.note}"] if rule.note.startswith("collapsed") else ()),
            *(probe_sentence(one, found) for one in results if one.within),
        ),
        versions=all_versions(versions),
    )
    return Evaluation(
        document=document,
        ids=tuple(sample.id for sample in cells.samples),
        sha256s=tuple(sample.sha256 for sample in cells.samples),
        labels=labels,
        scored=scored,
        probes={one.result.name: one.scored for one in probes if one.scored is not None},
    )


def _which(cells: EvaluatedCells) -> str:
    return "every image" if cells.protocol is None else f"{cells.part} part"


def facts_of(cells: Cells, knowledge: Knowledge) -> EvaluatedCells:
    """The cells as the document has them."""
    split: Split | None = cells.split
    patients = cells.patients
    return EvaluatedCells(
        layout=cells.index.layout,
        index_sha256=cells.index.sha256,
        part=cells.part,
        protocol=None if split is None else split.protocol,
        leaking=knowledge.leaking,
        why="every usable image, without a split" if split is None else split.why,
        exposure=knowledge.exposure,
        proven=knowledge.proven,
        not_proven=knowledge.not_proven,
        n=len(cells.samples),
        patients=None if patients is None else len(set(patients)),
        of_class=cells.of_class,
        parts={} if split is None else {name: len(held) for name, held in split.parts.items()},
    )


def warnings(cells: EvaluatedCells) -> tuple[str, ...]:
    """What the reader has to know of the cells before relying on a figure."""
    found = list(cells.not_proven)
    if cells.patients is None:
        found.append(
            "the intervals take the cells as independent; cells of one patient are not, so that "
            "they are too narrow by an unknown amount"
        )
    elif cells.patients < _FEW_PATIENTS:
        found.append(f"only {cells.patients} patients: the intervals are wide, and rough")
    return tuple(dict.fromkeys(found))


def all_versions(versions: Mapping[str, str]) -> dict[str, str]:
    """With those of what computes every evaluation."""
    ours = {name: package_version(name) for name in ("numpy", "pillow", "scikit-learn")}
    known = {name: version for name, version in ours.items() if version is not None}
    return {"allnet-edge": __version__, **versions, **known}


def _at_half(cells: Cells, scores: Floats, options: Options) -> dict[str, Figure]:
    found = performance(
        Scored.by_threshold(cells.truth == 1, scores, 0.5, cells.patients),
        cells.labels.classes,
        prevalence=options.prevalence,
        resamples=options.resamples,
        seed=options.seed,
    ).figures
    return {name: found[name] for name in OF_DECISIONS if name in found}
