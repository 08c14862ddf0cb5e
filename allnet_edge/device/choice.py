"""Which candidate this device uses, measured here, and why every other one lost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from allnet_edge.artifacts.device_files import ChoiceRow, DeviceVerdict, GoldenCheck
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.measure.gate_report import GateCandidate
from allnet_edge.measure.percentiles import LatencySummary

_RANK: dict[DeviceVerdict, int] = {"pass": 0, "inconclusive": 1, "golden-only": 2, "fail": 3}


@dataclass(frozen=True, slots=True)
class Contender:
    """One candidate on this device.

    Attributes:
        lost: Why it is out of the question whatever its speed: TensorRT refused the graph, its
            runtime is not here, its golden tensors differ. Empty otherwise.
        golden: Its golden tensors on this device.
        gate: Its verdict on this device; None where no cells were given.
        latency: On this device; None where it was not measured.
    """

    candidate: Candidate
    lost: str = ""
    golden: GoldenCheck = GoldenCheck(status="not run")  # noqa: RUF009 - frozen
    gate: GateCandidate | None = None
    latency: LatencySummary | None = None

    @property
    def verdict(self) -> DeviceVerdict:
        """Of the gate here; else, of the very same file, of the gate at the build."""
        if self.gate is not None:
            return self.gate.verdict
        return self.candidate.verdict or "golden-only"

    @property
    def judged(self) -> Literal["on this device", "at the build", "not judged"]:
        """Where the verdict comes from."""
        if self.gate is not None:
            return "on this device"
        return "at the build" if self.candidate.verdict else "not judged"

    @property
    def p50_ms(self) -> float | None:
        """Median of one query."""
        return None if self.latency is None else self.latency.p50

    def losing(self, why: str) -> "Contender":
        """The same, out of the question."""
        return replace(self, lost=why)


@dataclass(frozen=True, slots=True)
class Decision:
    """Attributes:
    chosen: Id; None where no candidate may be used.
    order: Ids of all that may be used, the chosen one first.
    rows: One for each contender, in the order of their rank.
    """

    chosen: str | None
    order: tuple[str, ...]
    rows: tuple[ChoiceRow, ...]


def decide(contenders: Sequence[Contender], *, accept_golden: bool = False) -> Decision:
    """The fastest here among those with the best verdict; a failed one never.

    Args:
        contenders: All candidates of the bundle and all engines.
        accept_golden: Take engines of which only the golden tensors were checked for passed: a
            person's decision.
    """
    ranked = sorted(contenders, key=lambda one: _key(one, accept_golden))
    usable = [one for one in ranked if _usable(one, accept_golden)]
    best = usable[0] if usable else None
    return Decision(
        chosen=best.candidate.id if best else None,
        order=tuple(one.candidate.id for one in usable),
        rows=tuple(_row(one, best, accept_golden) for one in ranked),
    )


def _rank(one: Contender, accept_golden: bool) -> int:
    return 0 if accept_golden and one.verdict == "golden-only" else _RANK[one.verdict]


def _key(one: Contender, accept_golden: bool) -> tuple[bool, int, float, str]:
    speed = float("inf") if one.p50_ms is None else one.p50_ms
    return (bool(one.lost), _rank(one, accept_golden), speed, one.candidate.id)


def _usable(one: Contender, accept_golden: bool) -> bool:
    judged = one.verdict in {"pass", "inconclusive"}
    return not one.lost and (judged or (accept_golden and one.verdict == "golden-only"))


def _row(one: Contender, best: Contender | None, accept_golden: bool) -> ChoiceRow:
    return ChoiceRow(
        id=one.candidate.id,
        engine=one.candidate.engine,
        precision=one.candidate.precision,
        golden=one.golden,
        verdict=one.verdict,
        judged=one.judged,
        p50_ms=one.p50_ms,
        why=_why(one, best, accept_golden),
    )


def _why(one: Contender, best: Contender | None, accept_golden: bool) -> str:
    if one.lost or one.verdict == "fail":
        return one.lost or _failed(one.gate)
    if one is best:
        return f"chosen: the fastest here ({_speed(one)}) {_merit(one)}"
    if best is None or not _usable(one, accept_golden):
        return "not judged: only its golden tensors were checked; compile again with --data"
    if _rank(one, accept_golden) > _rank(best, accept_golden):
        return f"too few cells to decide, and {best.candidate.id} passed ({_speed(one)})"
    slower = f"slower here than {best.candidate.id} ({_speed(best)})"
    return f"{_merit(one).removeprefix('that ')}, but {slower}: {_speed(one)}"


def _merit(one: Contender) -> str:
    if one.verdict == "golden-only":
        return "that gives the golden tensors; no gate was asked, as was wished"
    if one.verdict == "inconclusive":
        return f"that did not fail the gate ({one.judged})"
    return f"that passed the gate ({one.judged})"


def _speed(one: Contender) -> str:
    return "not measured" if one.p50_ms is None else f"{one.p50_ms:.3g} ms median"


def _failed(gate: GateCandidate | None) -> str:
    if gate is None:
        return "failed the gate at the build"
    failed = [check.sentence() for check in gate.checks if check.verdict == "fail"]
    return gate.reason or "failed the gate: " + "; ".join(failed)
