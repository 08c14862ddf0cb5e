"""A gate.json for the bundles of ``device_models``, so that they may be measured."""

from allnet_edge.measure.gate_report import FlipCounts, GateCandidate, GateReport, Pair
from allnet_edge.spec.gate import GateSpec, Verdict

GATE = "reports/gate.json"
IDS = ("litert.int8", "litert.fp32", "onnx.fp32")


def gate_json(verdicts: dict[str, Verdict] | None = None, ids: tuple[str, ...] = IDS) -> bytes:
    """The document; every candidate passed unless said otherwise."""
    said = dict.fromkeys(ids, "pass") | (verdicts or {})
    report = GateReport(
        verdict="pass", n=100, positives=50, patients=None, method="a test", split="random",
        leaking=False, margins=GateSpec(), candidates=tuple(
            GateCandidate(
                id=one, engine=one.partition(".")[0], precision=one.partition(".")[2],
                verdict=said[one], checks=(), flips=FlipCounts(), auc=Pair(float=0.9),
                threshold=Pair(float=0.5, edge=0.5),
            )
            for one in ids
        ),
    )  # fmt: skip
    return report.model_dump_json().encode()
