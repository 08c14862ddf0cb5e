"""What a search by ``optimize`` says in sentences."""

from types import MappingProxyType

from allnet_edge.report import wording
from allnet_edge.report.document import TargetFacts
from allnet_edge.report.pareto_document import (
    EstimatedLatency,
    GateOutcome,
    ParetoRow,
    RankBy,
    Status,
)
from allnet_edge.spec.gate import Verdict

HOST = "host-proxy: measured on the machine that searched, never on the device"
GATE_ONCE = (
    "The choice was made on validation cells alone. The gate then ran once, on test cells that no "
    "choice had seen."
)
COUNTED = MappingProxyType[RankBy, str](
    {"host": "measured on this host", "estimate": "estimated for the target's GPU, not measured"}
)
STATUS = MappingProxyType[Status, str](
    {
        "winner": "winner",
        "slower": "slower",
        "dominated": "dominated",
        "over-budget": "over budget",
        "not-acceptable": "not acceptable",
        "not-made": "not made",
    }
)
_VERDICT: dict[Verdict, str] = {
    "pass": "passes the gate",
    "fail": "fails the gate",
    "inconclusive": "leaves the gate inconclusive",
}


def target_latency(target: TargetFacts) -> str:
    """What is known of the device's own latency: nothing, until it is measured there."""
    return f"latency on {target.title}: {wording.NOT_MEASURED}"


def headline(
    winner: ParetoRow | None,
    gate: GateOutcome | None,
    closest: str | None,
    target: TargetFacts,
    rank_by: RankBy = "host",
) -> str:
    """The answer in one sentence."""
    if winner is None or gate is None or winner.latency is None:
        return (
            "No candidate is acceptable within the budget, so no gate was run and nothing may run "
            f"on {target.title}. {closest or ''}".rstrip()
        )
    time = f"{wording.milliseconds(winner.latency.p50)} a cell on this host"
    by = ""
    if rank_by == "estimate":
        by = " by estimate"
        time = f"{estimated(winner)} a cell on {target.title}, {time}"
    return (
        f"{winner.id} is the fastest acceptable form{by} and {_VERDICT[gate.verdict]} on "
        f"{wording.count(gate.n)} test cells: {time}, {wording.size(winner.size)}."
    )


def estimated(row: ParetoRow) -> str:
    """The estimate with its error; empty where there is none."""
    if row.estimate is None:
        return ""
    time = wording.milliseconds(row.estimate.milliseconds)
    return f"{time} by estimate ({_off(row.estimate)})"


def of_estimates(one: EstimatedLatency) -> str:
    """What all estimates of a search have in common."""
    return (
        "a roofline of the target's GPU at its highest clock, without the host's share, never "
        f"measured; {_off(one)} (n {one.error_n})"
    )


def _off(one: EstimatedLatency) -> str:
    return (
        f"on boards unseen off by {one.error_median:.0%} in the middle case, {one.error_p90:.0%} "
        "in nine of ten"
    )


def gate_told(gate: GateOutcome) -> str:
    """How often the gate's cells were looked at, and when."""
    if gate.looks == 1:
        return GATE_ONCE
    return (
        "The choice was made on validation cells alone, and the gate ran after it; of this folder "
        f"it is look number {gate.looks} at the test cells."
    )


def pruning(row: ParetoRow) -> str:
    """How the network was pruned."""
    parts = [] if row.channels == 1 else [f"{row.channels:.0%} of the MACs"]
    parts += [] if row.sparsity == "none" else [row.sparsity]
    return ", ".join(parts) or "none"


def loss(row: ParetoRow) -> str:
    """The drop that counts, in percentage points."""
    return wording.NOT_MEASURED if row.drop is None else f"{100 * row.drop:.2f} pp"


def spread(row: ParetoRow) -> str:
    """The lowest and the highest median of a round."""
    if row.latency is None:
        return ""
    low, high = (wording.milliseconds(at) for at in (row.latency.low, row.latency.high))
    return f"{low} to {high}"


def rate(row: ParetoRow, metric: str) -> str:
    """A figure of the candidate."""
    check = row.check(metric)
    return wording.NOT_MEASURED if check is None else wording.check_value(check, check.edge)


def change(row: ParetoRow, metric: str) -> str:
    """Its difference from the network that it is judged against."""
    check = row.check(metric)
    return "" if check is None else wording.check_change(check, check.delta)
