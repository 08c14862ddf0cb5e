"""How an evaluation is put into words: its stamp, its sentence, the names of its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from allnet_edge.measure.performance import Figure, Performance
from allnet_edge.report import wording
from allnet_edge.report.document import Estimate
from allnet_edge.report.evaluation_document import (
    EvaluatedCells,
    EvaluatedNetwork,
    Exposure,
    ProbeResult,
)
from allnet_edge.spec.gate import Verdict

PROBES = {"size-and-brightness": "size and brightness only", "background": "background only"}

_TITLES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "ppv_at_prevalence": "PPV",
    "npv_at_prevalence": "NPV",
    "f1": "F1",
    "weighted_f1": "Weighted F1",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
}
_REMARKS = {
    "ppv": "at the prevalence of these cells",
    "npv": "at the prevalence of these cells",
    "pr_auc": "average precision",
    "brier": "0 is best",
    "ece": "15 bins of equal width; 0 is best",
}
_PER_CENT = {"accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv"}


@dataclass(frozen=True, slots=True)
class Stamp:
    """How far figures can be trusted, at a glance.

    Attributes:
        tone: Colour, and shape, of the verdicts of a build.
        text: In a few words.
    """

    tone: Verdict
    text: str


_STAMPS: dict[Exposure, Stamp] = {
    "unseen": Stamp("pass", "Unseen patients"),
    "patients-unknown": Stamp("inconclusive", "Unseen images, patients unknown"),
    "not-proven": Stamp("inconclusive", "Not shown to be unseen"),
    "leaking": Stamp("fail", "LEAKING split: too good"),
    "validation": Stamp("fail", "Seen: chosen on these cells"),
    "train": Stamp("fail", "Seen: trained on these cells"),
}


def stamp(cells: EvaluatedCells, probes: Sequence[ProbeResult]) -> Stamp:
    """Of an evaluation.

    A seen part of a leaking split says both. Clean cells on which a shortcut does as well are no
    success, and not stamped as one.
    """
    found = _STAMPS[cells.exposure]
    if cells.leaking and cells.exposure != "leaking":
        return Stamp("fail", f"{found.text}; LEAKING split")
    if found.tone == "pass" and any(probe.within for probe in probes):
        return Stamp("inconclusive", f"{found.text}, but no better than a shortcut")
    return found


def title_of(name: str) -> str:
    """Of a figure: ``Macro F1``."""
    for kind in ("macro", "weighted"):
        inner = name.removeprefix(f"{kind}_")
        if inner != name and name not in _TITLES:
            return f"{kind.capitalize()} {_plain(_TITLES[inner])}"
    return _TITLES[name]


def remark_on(name: str, performance: Performance) -> str:
    """What has to stand beside a figure's name; often nothing."""
    if name.endswith("_at_prevalence"):
        return f"at a prevalence of {wording.percent(performance.prevalence)}"
    if name == "balanced_accuracy" and len(performance.classes) > 2:
        return "mean sensitivity of the classes"
    if name == "brier" and len(performance.classes) > 2:
        return "sum over the classes, 0 to 2; 0 is best"
    return _REMARKS.get(name.removeprefix("macro_").removeprefix("weighted_"), "")


def value(name: str, figure: Figure) -> str:
    """A figure in its own unit; ``undefined`` where it has no value."""
    if figure.value is None:
        return "undefined"
    return wording.percent(figure.value) if _per_cent(name) else wording.area(figure.value)


def interval(name: str, figure: Figure) -> str:
    """Its two-sided interval; empty where it has no value."""
    if figure.value is None or figure.lower is None or figure.upper is None:
        return ""
    if _per_cent(name):
        share = Estimate(value=figure.value, lower=figure.lower, upper=figure.upper)
        return wording.percent_interval(share)
    return f"{figure.lower:.3f}\N{EN DASH}{figure.upper:.3f}"


def told(name: str, figures: Mapping[str, Figure]) -> str:
    """``balanced accuracy 93.1 % (90.2-95.3 %)``, for a sentence."""
    figure = figures[name]
    bounds = interval(name, figure)
    return f"{_plain(title_of(name))} {value(name, figure)}" + (f" ({bounds})" if bounds else "")


def main_figures(performance: Performance) -> tuple[str, ...]:
    """The figures of a headline."""
    if len(performance.classes) == 2:
        return "balanced_accuracy", "sensitivity", "specificity", "roc_auc"
    return "accuracy", "balanced_accuracy", "macro_f1", "macro_roc_auc"


def headline(network: EvaluatedNetwork, cells: EvaluatedCells, performance: Performance) -> str:
    """The answer in one sentence, with n, the kind of split and the intervals."""
    patients = (
        "patients unknown"
        if cells.patients is None
        else f"{wording.count(cells.patients)} patients"
    )
    figures = [told(name, performance.figures) for name in main_figures(performance)]
    split = f"split by {cells.split_in_words}" if cells.protocol else "no split"
    kind = "phantom (synthetic) cells" if cells.layout == "phantom" else "images"
    where = f"{wording.count(cells.n)} {kind} ({cells.part}, {patients}, {split})"
    return f"{network.network} on {where}: {', '.join(figures)}."


def probe_sentence(probe: ProbeResult, performance: Performance) -> str:
    """What a shortcut says about the network."""
    name = PROBES[probe.name]
    if probe.performance is None:
        return f"Probe, {name}: {probe.status}: {probe.why}."
    compared = [
        one
        for one in ("balanced_accuracy", "roc_auc", "macro_roc_auc")
        if one in probe.performance.figures
    ]
    reached = ", ".join(told(one, probe.performance.figures) for one in compared)
    if not probe.within:
        return f"Probe, {name}: {reached}; below the network's interval in both."
    where = " and ".join(
        f"{_plain(title_of(one))} ({interval(one, performance.figures[one])})"
        for one in probe.within
    )
    return (
        f"Probe, {name}: {reached}. This lies within the network's interval, or above it, in "
        f"{where}: the network is not shown to see more than this shortcut."
    )


def methods(tables: Sequence[Mapping[str, Figure]]) -> tuple[str, ...]:
    """Each way in which an interval was found, once, in the order of their first use."""
    return tuple(dict.fromkeys(one.method for table in tables for one in table.values()))


def _per_cent(name: str) -> bool:
    plain = name.removeprefix("macro_").removesuffix("_at_prevalence")
    return plain in _PER_CENT or (
        name.startswith("weighted_") and name.removeprefix("weighted_") in _PER_CENT
    )


def _plain(title: str) -> str:
    """A title inside a sentence; an abbreviation keeps its capitals."""
    return title if title[1:2].isupper() or title[1:2].isdigit() else title[0].lower() + title[1:]
