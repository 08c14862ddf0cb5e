"""Filling the document of a search: every candidate, its place, and what the gate said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from allnet_edge.data.split import load_split
from allnet_edge.pipeline.candidates import Form, forms
from allnet_edge.pipeline.optimize_latency import Measured
from allnet_edge.pipeline.optimize_space import Search
from allnet_edge.pipeline.optimize_trial import Tried
from allnet_edge.pipeline.run import Outcome
from allnet_edge.pipeline.selected import Selected, SelectedForm
from allnet_edge.report.document import TargetFacts
from allnet_edge.report.pareto_document import (
    EstimatedLatency,
    GateOutcome,
    Host,
    HostLatency,
    OptimizeDocument,
    ParetoRow,
    RankBy,
    SearchedCells,
    Settings,
    TrialRow,
)
from allnet_edge.report.pareto_words import headline, target_latency
from allnet_edge.search.pareto import Candidate, Decision, Place, Status
from allnet_edge.search.selection import SHARE_OF_MARGIN

_ORDER: tuple[Status, ...] = (
    "winner", "slower", "dominated", "over-budget", "not-acceptable", "not-made",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One form of one trial, made or not."""

    tried: Tried
    form: Form
    found: SelectedForm | None

    @property
    def id(self) -> str:
        """Unique in the search."""
        return f"{self.tried.trial.name}/{self.form.id}"

    @property
    def refused(self) -> str | None:
        """Why it is not acceptable; None where it is."""
        if self.found is None:
            return self.tried.not_made[self.form.id]
        return self.found.judgement.why


@dataclass(frozen=True, slots=True)
class Latencies:
    """Every latency that is known of the forms.

    Attributes:
        rank_by: Which of them counts.
        estimates: By the file's SHA-256.
    """

    rank_by: RankBy
    measured: Measured
    estimates: Mapping[str, EstimatedLatency]

    def counted(self, sha256: str) -> float | None:
        """The one that counts, in milliseconds."""
        if self.rank_by == "host":
            return self.measured.of(sha256).p50
        one = self.estimates.get(sha256)
        return one.milliseconds if one else None


def entries(tried: Sequence[Tried]) -> list[Entry]:
    """Every form that was asked for, of every trial."""
    found = []
    for one in tried:
        there = {form.id: form for form in (one.selected.forms if one.selected else ())}
        found += [Entry(one, form, there.get(form.id)) for form in one.forms]
    return found


def candidates(found: Sequence[Entry], latencies: Latencies) -> list[Candidate]:
    """The same for the decision."""
    return [
        Candidate(
            id=entry.id,
            drop=entry.found.drop if entry.found else None,
            latency_ms=latencies.counted(entry.found.sha256) if entry.found else None,
            size=entry.found.size if entry.found else None,
            refused=entry.refused,
            made=entry.found is not None,
        )
        for entry in found
    ]


def document(
    search: Search,
    tried: Sequence[Tried],
    latencies: Latencies,
    decision: Decision,
    *,
    gated: tuple[Entry, Outcome] | None,
    looks: int,
) -> OptimizeDocument:
    """Put everything together.

    Args:
        gated: The winner and its finished build.
        looks: Different gates that have run in the folder of the search.
    """
    found = entries(tried)
    selected = next(one.selected for one in tried if one.selected)
    settings = _settings(search)
    rows = sorted(
        (_row(entry, decision.places[entry.id], latencies) for entry in found),
        key=lambda row: (
            _ORDER.index(row.status),
            row.ranked_ms(latencies.rank_by) or 0.0,
            row.id,
        ),
    )
    numbered = [row.model_copy(update={"number": at}) for at, row in enumerate(rows, start=1)]
    target = TargetFacts(
        name=search.target.name, title=search.target.title, kind=search.target.kind
    )
    cells = _cells(search, selected)
    outcome = _outcome(search, *gated, looks) if gated else None
    winner = next((row for row in numbered if row.id == decision.winner), None)
    return OptimizeDocument(
        title=f"{settings.networks[0]} for {target.title}",
        phantom=cells.layout == "phantom",
        headline=headline(winner, outcome, decision.closest, target, search.rank_by),
        target=target,
        target_latency=target_latency(target),
        settings=settings,
        host=_host(latencies.measured),
        cells=cells,
        limits={
            "sensitivity": SHARE_OF_MARGIN * settings.gate.sensitivity,
            "specificity": SHARE_OF_MARGIN * settings.gate.specificity,
        },
        trials=tuple(_trial(one) for one in tried),
        rows=tuple(numbered),
        winner=decision.winner,
        closest=decision.closest,
        gate=outcome,
        notes=tuple(_notes(search, cells, winner, outcome)),
    )


def _row(entry: Entry, place: Place, latencies: Latencies) -> ParetoRow:
    trial, found = entry.tried.trial, entry.found
    cost = found.judgement.cost if found else None
    latency = latencies.measured.of(found.sha256) if found else None
    return ParetoRow(
        number=0,
        id=entry.id,
        trial=trial.name,
        network=trial.network,
        student=trial.student,
        channels=trial.channels,
        sparsity=trial.sparsity,
        form=entry.form.id,
        engine=entry.form.engine,
        precision=entry.form.precision,
        sha256=found.sha256 if found else None,
        size=found.size if found else None,
        checks=found.checks if found else (),
        auc_drop=cost.auc_drop if cost else None,
        flips=cost.flips if cost else None,
        drop=found.drop if found else None,
        acceptable=entry.refused is None,
        latency=HostLatency(**latency.model_dump()) if latency else None,
        estimate=latencies.estimates.get(found.sha256) if found else None,
        status=place.status,
        front=place.front,
        dominated_by=place.dominated_by,
        why=place.why,
    )


def _trial(tried: Tried) -> TrialRow:
    trial = tried.trial
    return TrialRow(
        name=trial.name,
        network=trial.network,
        student=trial.student,
        channels=trial.channels,
        sparsity=trial.sparsity,
        seconds=tried.seconds,
        refused=tried.error.what if tried.error else None,
    )


def _settings(search: Search) -> Settings:
    plan, trials = search.trials[0].plan, search.trials
    wanted = {form.precision for form in forms(plan.recipe, plan.target)}
    return Settings(
        networks=tuple(dict.fromkeys(trial.network for trial in trials)),
        channels=tuple(dict.fromkeys(trial.channels for trial in trials)),
        sparsities=tuple(dict.fromkeys(trial.sparsity for trial in trials)),
        precisions=tuple(name for name in plan.recipe.precisions if name in wanted),
        formats=plan.target.formats,
        gate=plan.recipe.gate,
        rank_by=search.rank_by,
        budget_ms=search.budget_ms,
        budget_source=search.budget_source,
        images=plan.recipe.mixed.images,
    )


def _cells(search: Search, selected: Selected) -> SearchedCells:
    split = load_split(search.trials[0].plan.sources.split_path)
    return SearchedCells(
        part=selected.part,
        layout=split.layout,
        split=split.protocol,
        leaking=split.leaking,
        n=selected.n,
        positives=selected.positives,
        patients=selected.patients,
    )


def _host(measured: Measured) -> Host:
    loads = [load for load in measured.other_load if load is not None]
    return Host(
        machine=measured.machine,
        mode=measured.mode,
        rounds=len(measured.rounds),
        threads=measured.threads,
        measured_at=measured.began,
        other_load=min(1.0, max(loads)) if loads else None,
    )


def _outcome(search: Search, winner: Entry, outcome: Outcome, looks: int) -> GateOutcome:
    judged = next(c for c in outcome.gate.candidates if c.id == winner.form.id)
    bundle = outcome.bundle.relative_to(search.out).as_posix() if outcome.bundle else None
    return GateOutcome(
        verdict=judged.verdict,
        reason=judged.reason,
        checks=judged.checks,
        n=outcome.gate.n,
        patients=outcome.gate.patients,
        build_verdict=outcome.verdict,
        deployed=outcome.chosen,
        looks=looks,
        report=outcome.report.relative_to(search.out).as_posix(),
        bundle=bundle,
    )


def _notes(
    search: Search,
    cells: SearchedCells,
    winner: ParetoRow | None,
    gate: GateOutcome | None,
) -> list[str]:
    """What the reader has to know."""
    notes = []
    if cells.leaking:
        notes.append(
            "The split LEAKS: cells of one patient may stand in training and test. Every figure "
            "here is for comparison only."
        )
    if search.rank_by == "estimate":
        notes.append(
            "The choice goes by an ESTIMATE of the latency on the target's GPU, not by a "
            "measurement, and without the host's share, which the budget has in it: two forms that "
            "lie nearer to each other than its error may stand in the other order there. 2:4 zeros "
            "are taken as if they were dense. Forms for LiteRT, which do not run on that GPU, were "
            "not made."
        )
    elif "tensorrt" in search.target.runtimes:
        notes.append(
            f"{search.target.title} computes with TensorRT, this host with onnxruntime on its "
            "processor: which precision is the fastest here says little about the device. The "
            "bundle holds every form of the winner's trial that did not fail, to be timed there; "
            "--rank-by estimate goes by an estimate for its GPU instead."
        )
    if gate and winner and gate.deployed not in (None, winner.form):
        notes.append(
            f"The bundle starts with {gate.deployed}, not with the winner {winner.form}: the build "
            "chooses the fastest of those with the best verdict by a measurement of its own."
        )
    if gate and gate.looks > 1:
        notes.append(
            f"The gate's cells were looked at {gate.looks} times in this folder, for other choices "
            "or by other margins: the more looks, the easier one of them passes by luck. Judge a "
            "last choice on cells that were never used."
        )
    return notes
