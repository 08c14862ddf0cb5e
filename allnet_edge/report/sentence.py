"""The first sentence of a report: the verdict, what was lost, how fast, where that was measured."""

from collections.abc import Sequence

from allnet_edge.report import wording
from allnet_edge.report.document import Check, Latency, Rung, TargetFacts
from allnet_edge.spec.gate import Verdict


def verdict_sentence(
    verdict: Verdict,
    ladder: Sequence[Rung],
    latency: Latency | None,
    target: TargetFacts,
) -> str:
    """Say the outcome as one would to a colleague.

    Args:
        verdict: Of the build.
        ladder: With the chosen rung marked, if one was chosen.
        latency: Of the benchmark, if one was run.
        target: The device that the build is for.
    """
    opening = verdict.capitalize()
    chosen = next((rung for rung in ladder if rung.chosen), None)
    if chosen is not None:
        cells = f"{wording.count(chosen.n)} held-out cells"
        speed = _speed(chosen, latency, target)
        return f"{opening}: {chosen.id} {_losses(chosen)} on {cells}; {speed}."
    worst = _worst(ladder, verdict)
    reason = f" {worst[0].id} {_missed(worst[1])}." if worst else ""
    return f"{opening}: no network may go to {target.title}.{reason}"


def _losses(rung: Rung) -> str:
    told = [
        f"{check.metric} by {wording.points(check.delta)} (at worst {wording.bound_text(check)})"
        for check in rung.checks
        if check.metric in ("sensitivity", "specificity")
    ]
    if not told:
        return "was not compared with the float network"
    return f"changes {' and '.join(told)} against the float network"


def _speed(rung: Rung, latency: Latency | None, target: TargetFacts) -> str:
    row = next((row for row in latency.rows if row.id == rung.id), None) if latency else None
    if latency is None or row is None or row.latency_ms.p50 is None or not latency.valid:
        return f"latency {wording.NOT_MEASURED}"
    speed = f"median {wording.milliseconds(row.latency_ms.p50)} a cell"
    if latency.device.device_class != "host-proxy":
        return f"{speed} on {latency.device.model or latency.device.device_class}"
    return f"{speed} on this machine, {wording.NOT_MEASURED} on {target.title}"


def _worst(ladder: Sequence[Rung], verdict: Verdict) -> tuple[Rung, Check] | None:
    """The largest loss among the checks that share the verdict."""
    found = [(rung, check) for rung in ladder for check in rung.checks if check.verdict == verdict]
    return min(found, key=lambda pair: pair[1].delta, default=None)


def _missed(check: Check) -> str:
    change = f"changes {check.metric} by {wording.check_change(check, check.delta)}"
    if check.verdict != "inconclusive":
        return f"{change}, beyond what the gate allows"
    told = f"{change}, and the cells are too few to tell whether the margin holds"
    if check.cells_to_decide is None:
        return told
    return f"{told}; about {wording.count(check.cells_to_decide)} would do"
