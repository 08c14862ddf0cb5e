"""The whole content of a search by ``optimize``, as data: ``optimize.json``, and what its page is
made of.

Nothing here is computed and nothing is formatted. What was not measured is None; NaN and infinity
are refused.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from allnet_edge.measure.gate_report import Check
from allnet_edge.measure.latency import Mode
from allnet_edge.measure.system import Machine
from allnet_edge.report.document import Amount, Count, Part, Share, TargetFacts
from allnet_edge.spec.gate import GateSpec, Verdict

Status = Literal["winner", "slower", "dominated", "over-budget", "not-acceptable", "not-made"]
"""``not-made``: there is no such file, because it was not needed or could not be made."""


RankBy = Literal["host", "estimate"]
"""The latency that the choice goes by: measured on this host, or estimated for the target's GPU."""


class SearchedCells(Part):
    """The cells that the choice was made on.

    Attributes:
        part: Of the split; never the gate's.
        layout: Of the data set: ``cnmc``, ``aria``, ``folders``, ``phantom``.
        split: How the split was dealt.
        leaking: Patients, or captures beside each other, may stand on both sides.
        patients: None where unknown.
    """

    part: str
    layout: str
    split: str
    leaking: bool
    n: Count
    positives: Count
    patients: Count | None


class Settings(Part):
    """What was searched.

    Attributes:
        networks: Names of the runs' folders; the first is what the others are judged against.
        channels: Shares of the multiply-accumulates to keep.
        precisions: That were asked for, as far as the target can use them.
        formats: Of the target.
        gate: The margins; the choice allows half of each.
        rank_by: Which latency counts, for the budget as for the choice.
        budget_ms: Longest time for one cell.
        budget_source: Where that figure comes from.
        images: Validation cells to judge forms on, at most.
    """

    networks: tuple[str, ...] = Field(min_length=1)
    channels: tuple[Share, ...]
    sparsities: tuple[str, ...]
    precisions: tuple[str, ...]
    formats: tuple[str, ...]
    gate: GateSpec
    rank_by: RankBy = "host"
    budget_ms: Amount
    budget_source: str
    images: Count


class HostLatency(Part):
    """Milliseconds of one cell, on the machine that searched.

    Attributes:
        p50: Median of the rounds' medians.
        low: Lowest of the rounds' medians.
        high: Highest of them.
        n: Measured queries of all rounds.
    """

    p50: Amount
    low: Amount
    high: Amount
    rounds: Count
    n: Count


class EstimatedLatency(Part):
    """Milliseconds of one cell on the target's GPU by a roofline (docs/latency_model.md).

    Attributes:
        label: It is never a measurement.
        error_median: Of the same model on published times of boards that it had not seen, as a
            share of the published time.
        error_p90: Likewise, of nine in ten.
        error_n: Published times.
    """

    label: Literal["estimate"] = "estimate"
    milliseconds: Amount
    error_median: Amount
    error_p90: Amount
    error_n: Count


class Host(Part):
    """How latency was measured.

    Attributes:
        machine: Its ``class`` is ``host-proxy`` on anything that is no device.
        threads: Of one inference; None is all usable cores.
        measured_at: When the rounds began.
        other_load: Largest share of all processors that other programs used in a round.
    """

    machine: Machine
    mode: Mode
    rounds: Count
    threads: Count | None
    measured_at: datetime
    other_load: Share | None


class ParetoRow(Part):
    """One candidate: a form of a network pruned in one way.

    Attributes:
        number: By which plot and table name it, from 1.
        id: ``trial/form``.
        sha256: Of its file; None where there is none.
        size: Of its file, bytes.
        checks: On the selection cells, beside the network that it is judged against.
        auc_drop: Of the network that it was made from, like ``flips``.
        drop: The larger loss of sensitivity and specificity; a gain counts as no loss.
        acceptable: Whether it may go on to the gate.
        latency: On this host; None where not measured.
        estimate: For the target's GPU; None where the model knows none or the form does not run
            on it.
        target_ms: On the device itself; None where not measured.
        front: Whether it is on the Pareto front (drop, latency, size) of all candidates.
        dominated_by: Another candidate's id.
        why: One sentence about ``status``.
    """

    number: Count
    id: str
    trial: str
    network: str
    student: bool
    channels: Share
    sparsity: str
    form: str
    engine: str
    precision: str
    sha256: str | None = None
    size: Count | None = None
    checks: tuple[Check, ...] = ()
    auc_drop: float | None = None
    flips: Count | None = None
    drop: Amount | None = None
    acceptable: bool
    latency: HostLatency | None = None
    estimate: EstimatedLatency | None = None
    target_ms: Amount | None = None
    status: Status
    front: bool
    dominated_by: str | None = None
    why: str

    def ranked_ms(self, by: RankBy) -> float | None:
        """The latency that the choice goes by; None where there is none."""
        if by == "estimate":
            return self.estimate.milliseconds if self.estimate else None
        return self.latency.p50 if self.latency else None

    def check(self, metric: str) -> Check | None:
        """The check of one metric, if there is one."""
        return next((check for check in self.checks if check.metric == metric), None)


class TrialRow(Part):
    """One network pruned in one way.

    Attributes:
        seconds: What its finished stages took when they were made.
        refused: Why it has no forms; None where it has.
    """

    name: str
    network: str
    student: bool
    channels: Share
    sparsity: str
    seconds: Amount
    refused: str | None = None


class GateOutcome(Part):
    """The one look at the gate's cells, after the choice.

    Attributes:
        verdict: Of the winner; it is the exit code.
        reason: Why the winner fails whatever its checks say.
        checks: Of the winner.
        n: The gate's cells.
        build_verdict: The best of the winner's build, which holds its other forms as well.
        deployed: The form that the bundle starts with, which its build chose; None without one.
        looks: Different gates that have run in this folder, this one included, of other forms or
            by other margins: every further one is another look at the same cells.
        report: Path of the build's report, relative to this document.
        bundle: Likewise; None where every candidate failed.
    """

    verdict: Verdict
    reason: str | None = None
    checks: tuple[Check, ...]
    n: Count
    patients: Count | None
    build_verdict: Verdict
    deployed: str | None
    looks: Count
    report: str
    bundle: str | None


class OptimizeDocument(Part):
    """``optimize.json``.

    Attributes:
        phantom: The cells are synthetic: the figures say nothing about patients.
        headline: The answer in one sentence.
        target_latency: What is known of the device's own latency, in words.
        limits: Largest drop that the choice allows, by metric, 0..1.
        rows: Every candidate; the winner first, then by status and latency.
        winner: Id; None where none is acceptable within the budget.
        closest: What came closest, where there is no winner.
        gate: None where there is no winner.
        notes: What the reader has to know before relying on a figure.
    """

    schema_version: Literal[1] = 1
    research_use_only: Literal[True] = True
    title: str
    phantom: bool
    headline: str
    target: TargetFacts
    target_latency: str
    settings: Settings
    host: Host
    cells: SearchedCells
    limits: dict[str, Share]
    trials: tuple[TrialRow, ...] = Field(min_length=1)
    rows: tuple[ParetoRow, ...] = Field(min_length=1)
    winner: str | None
    closest: str | None = None
    gate: GateOutcome | None = None
    notes: tuple[str, ...] = ()

    @property
    def front(self) -> tuple[str, ...]:
        """Ids on the Pareto front."""
        return tuple(row.id for row in self.rows if row.front)

    @property
    def an_estimate(self) -> EstimatedLatency | None:
        """Any row's: the model's error is the same for all; None where nothing was estimated."""
        return next((row.estimate for row in self.rows if row.estimate), None)

    @property
    def best(self) -> ParetoRow | None:
        """The winner's row."""
        return next((row for row in self.rows if row.id == self.winner), None)

    def to_json(self) -> str:
        """The text of ``optimize.json``."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, content: str) -> "OptimizeDocument":
        """Read ``optimize.json``; raises pydantic's ValidationError."""
        return cls.model_validate_json(content)
