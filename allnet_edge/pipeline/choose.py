"""Which candidate goes to the device, and why each of the others does not."""

from collections.abc import Sequence
from dataclasses import dataclass

from allnet_edge.measure.bench_report import BenchReport
from allnet_edge.measure.gate_report import GateCandidate, GateReport
from allnet_edge.spec.gate import Verdict

_RANK: dict[Verdict, int] = {"pass": 0, "inconclusive": 1, "fail": 2}


@dataclass(frozen=True, slots=True)
class Choice:
    """The decision about all candidates.

    Attributes:
        chosen: Id; None where every candidate failed.
        order: Ids in the order in which a device should try them; failed ones are left out.
        why: For every candidate, one sentence.
    """

    chosen: str | None
    order: tuple[str, ...]
    why: dict[str, str]


def choose(gate: GateReport, bench: BenchReport) -> Choice:
    """The fastest candidate among those with the best verdict.

    Speed is the median on the machine that built; on the device ``allnet-edge compile`` measures
    and chooses anew.
    """
    medians = {row.id: row.latency_ms.p50 for row in bench.rows}
    ranked = sorted(
        gate.candidates,
        key=lambda c: (_RANK[c.verdict], medians.get(c.id, float("inf")), c.id),
    )
    usable = tuple(c.id for c in ranked if c.verdict != "fail")
    chosen = usable[0] if usable else None
    return Choice(chosen, usable, {c.id: _why(c, ranked, medians) for c in ranked})


def _why(
    candidate: GateCandidate, ranked: Sequence[GateCandidate], medians: dict[str, float]
) -> str:
    best = ranked[0]
    speed = medians.get(candidate.id)
    shown = f"{speed:.2f} ms" if speed is not None else "not measured"
    if candidate.verdict == "fail":
        failed = [check.sentence() for check in candidate.checks if check.verdict == "fail"]
        return candidate.reason or "failed the gate: " + "; ".join(failed)
    if candidate.id == best.id:
        judged = "passed the gate" if candidate.verdict == "pass" else "did not fail the gate"
        return f"chosen: the fastest here ({shown} median on the build machine) that {judged}"
    if candidate.verdict == "inconclusive":
        open_ = [c.sentence() for c in candidate.checks if c.verdict == "inconclusive"]
        return "too few cells to decide: " + "; ".join(open_)
    return f"passed the gate, but slower here than {best.id}: {shown} median on the build machine"
