"""Searches made of invented figures, for the tests of their page and their plot."""

from datetime import datetime, timezone

from allnet_edge.measure.gate_report import Check
from allnet_edge.measure.system import Machine
from allnet_edge.report.document import TargetFacts
from allnet_edge.report.pareto_document import (
    GateOutcome,
    Host,
    HostLatency,
    OptimizeDocument,
    ParetoRow,
    SearchedCells,
    Settings,
    TrialRow,
)
from allnet_edge.report.pareto_words import headline, target_latency
from allnet_edge.spec.gate import GateSpec

TARGET = TargetFacts(name="jetson-orin-nano-super", title="Jetson Orin Nano Super", kind="jetson")
MACHINE = Machine(
    device_class="host-proxy", model="x86_64", cpu="a processor", cores=2, usable_cores=2,
    memory_mb=8000, available_mb=4000, os="Linux", kernel="6.1", l4t=None, governor=None,
    load_1min=0.1, python="3.11.9", packages={"numpy": "2.0"},
)  # fmt: skip
FIGURES = (  # form, status, ms, bytes, drop, front, why
    ("litert-int8", "winner", 2.5, 400_000, 0.005, True, "the fastest acceptable form"),
    ("litert-fp32", "dominated", 9.0, 1_600_000, 0.0051, False, "dominated by net/litert-int8"),
    ("onnx-fp32", "over-budget", 12.0, 1_600_000, 0.0, True, "over the budget by 2 ms (20%)"),
    ("onnx-int8", "not-acceptable", 2.4, 420_000, 0.3, True, "not acceptable: auc -9.0 points"),
    ("onnx-mixed", "not-made", None, None, None, False, "not made: int8 alone is acceptable"),
)


def check(metric: str, delta: float, margin: float = 0.02, verdict: str = "pass") -> Check:
    return Check(
        metric=metric, n=150, patients=12, float=0.95, edge=0.95 + delta, delta=delta,
        lower=delta - 0.01, upper=delta + 0.01, margin=margin, verdict=verdict,
    )  # fmt: skip


def rows(network: str = "net") -> tuple[ParetoRow, ...]:
    return tuple(
        ParetoRow(
            number=at,
            id=f"{network}/{form}",
            trial=network,
            network=network,
            student=False,
            channels=0.5,
            sparsity="2:4",
            form=form,
            engine=form.partition("-")[0],
            precision=form.partition("-")[2],
            sha256="ab" * 32 if ms else None,
            size=size,
            checks=(check("sensitivity", -(drop or 0.0)), check("specificity", 0.0)) if ms else (),
            auc_drop=0.001 if ms else None,
            flips=3 if ms else None,
            drop=drop,
            acceptable=status in ("winner", "dominated", "over-budget"),
            latency=HostLatency(p50=ms, low=ms * 0.98, high=ms * 1.1, rounds=5, n=300)
            if ms
            else None,
            status=status,
            front=front,
            dominated_by=None if front or not ms else f"{network}/litert-int8",
            why=why,
        )
        for at, (form, status, ms, size, drop, front, why) in enumerate(FIGURES, start=1)
    )


def document(
    *, won: bool = True, network: str = "net", specificity: float = 0.02, leaking: bool = False
) -> OptimizeDocument:
    gate = GateOutcome(
        verdict="pass", checks=(check("sensitivity", -0.004), check("specificity", 0.001)), n=300,
        patients=20, build_verdict="pass", deployed="litert-int8", looks=1,
        report="trials/net/report.html", bundle="trials/net/bundle",
    )  # fmt: skip
    several = rows(network)
    if not won:
        first = several[0].model_copy(update={"status": "not-acceptable", "acceptable": False})
        several = (first, *several[1:])
    closest = None if won else f"{network}/litert-int8 comes closest, but is not acceptable"
    return OptimizeDocument(
        title=f"{network} for {TARGET.title}",
        phantom=True,
        headline=headline(several[0] if won else None, gate if won else None, closest, TARGET),
        target=TARGET,
        target_latency=target_latency(TARGET),
        settings=Settings(
            networks=(network,), channels=(1.0, 0.5), sparsities=("none", "2:4"),
            precisions=("fp32", "int8", "mixed"), formats=("onnx",),
            gate=GateSpec(specificity=specificity), budget_ms=10, budget_source="--budget-ms",
            images=256,
        ),
        host=Host(
            machine=MACHINE, mode="quick", rounds=5, threads=None, other_load=0.25,
            measured_at=datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc),
        ),
        cells=SearchedCells(
            part="validation", layout="phantom", split="patient", leaking=leaking, n=256,
            positives=128, patients=14,
        ),
        limits={"sensitivity": 0.01, "specificity": specificity / 2},
        trials=(
            TrialRow(name=network, network=network, student=False, channels=0.5, sparsity="2:4",
                     seconds=75.0),
            TrialRow(name="other", network="other", student=True, channels=1, sparsity="none",
                     seconds=3.0, refused="the fewest that pruning can leave are 61.0%"),
        ),
        rows=several,
        winner=several[0].id if won else None,
        closest=closest,
        gate=gate if won else None,
        notes=("a note to be read",) if won else (),
    )  # fmt: skip
