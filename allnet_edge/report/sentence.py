"""The first sentence of a report: the verdict, what was lost, how fast, where that was measured."""

from collections.abc import Sequence

from allnet_edge.measure.bench_report import BenchReport
from allnet_edge.measure.gate_report import Check
from allnet_edge.report import wording
from allnet_edge.report.document import Rung, TargetFacts
from allnet_edge.spec.gate import Verdict

_OUTCOME: dict[Verdict, str] = {
    "pass": "passes the gate",
    "fail": "fails the gate",
    "inconclusive": "leaves the gate inconclusive",
}
_NOTHING: dict[Verdict, str] = {
    "pass": "The gate is passed, but no network was chosen to run",
    "fail": "The gate fails, so no network may run",
    "inconclusive": "The gate is inconclusive, so no network may run yet",
}


def verdict_sentence(
    verdict: Verdict,
    ladder: Sequence[Rung],
    latency: BenchReport | None,
    target: TargetFacts,
) -> str:
    """Say the outcome as one would to a colleague.

    Args:
        verdict: Of the build.
        ladder: With the chosen rung marked, if one was chosen.
        latency: Of the benchmark, if one was run.
        target: The device that the build is for.
    """
    chosen = next((rung for rung in ladder if rung.chosen), None)
    if chosen is not None:
        cells = f"{wording.count(chosen.n)} held-out cells"
        speed = _speed(chosen, latency, target)
        return f"{chosen.id} {_OUTCOME[verdict]}: {_losses(chosen)}, on {cells}; {speed}."
    worst = _worst(ladder, verdict)
    reason = f": {worst[0].id} {_missed(worst[1])}" if worst else ""
    return f"{_NOTHING[verdict]} on {target.title}{reason}."


def _losses(rung: Rung) -> str:
    checks = [c for c in rung.checks if c.metric in ("sensitivity", "specificity")]
    if not checks:
        return "it was not compared with the float network"
    told = [f"{check.metric} changes by {_change(check)}" for check in checks]
    return f"against the float network {' and '.join(told)}"


def _change(check: Check) -> str:
    if check.delta is None:
        return wording.NOT_MEASURED
    if check.metric == "auc":
        return wording.signed(check.delta, 4)
    delta = f"{wording.signed(100 * check.delta, 2)} percentage points"
    if wording.by_point(check) or check.lower is None:
        return delta
    return f"{delta} (at worst {wording.signed(100 * check.lower, 2)})"


def _speed(rung: Rung, latency: BenchReport | None, target: TargetFacts) -> str:
    row = next((row for row in latency.rows if row.id == rung.id), None) if latency else None
    if latency is None or row is None or not latency.valid:
        return f"latency {wording.NOT_MEASURED}"
    speed = f"median {wording.milliseconds(row.latency_ms.p50)} a cell"
    if latency.device.device_class != "host-proxy":
        return f"{speed} on {latency.device.model}"
    return f"{speed} on this machine, {wording.NOT_MEASURED} on {target.title}"


def _worst(ladder: Sequence[Rung], verdict: Verdict) -> tuple[Rung, Check] | None:
    """The largest loss among the checks that share the verdict; one without a figure is largest."""
    found = [(rung, check) for rung in ladder for check in rung.checks if check.verdict == verdict]
    return min(found, key=lambda pair: _delta(pair[1]), default=None)


def _delta(check: Check) -> float:
    return -1 if check.delta is None else check.delta


def _missed(check: Check) -> str:
    if check.delta is None:
        return f"gave outputs from which no {check.metric} can be computed"
    change = f"changes {check.metric} by {_change(check)}"
    if check.verdict != "inconclusive":
        return f"{change}, beyond what the gate allows"
    told = f"{change}, and the cells are too few to tell whether the margin holds"
    if check.needed is None:
        return told
    return f"{told}; about {wording.count(check.needed)} of this class would decide"
