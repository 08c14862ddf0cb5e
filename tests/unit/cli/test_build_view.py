"""What ``build`` prints: made cells are named wherever a figure stands."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import rich.console

from allnet_edge.cli.views.build import is_phantom, result_json, summary
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.split import make_split, save_split
from allnet_edge.measure.gate_report import Check, FlipCounts, GateCandidate, GateReport, Pair
from allnet_edge.pipeline.plan import make_plan
from allnet_edge.pipeline.run import Outcome
from allnet_edge.spec.gate import GateSpec


@pytest.fixture
def outcome() -> Outcome:
    gate = GateReport(
        verdict="inconclusive", n=90, positives=60, patients=9, method="a test", split="random",
        leaking=True, margins=GateSpec(), candidates=(),
    )  # fmt: skip
    return Outcome(
        verdict="inconclusive", gate=gate, chosen="onnx-fp32", bundle=Path("out/bundle"),
        report=Path("out/report.html"), ran=("gate",), skipped=(),
    )  # fmt: skip


def printed(outcome: Outcome, *, phantom: bool) -> str:
    stream = io.StringIO()
    rich.console.Console(file=stream, width=160).print(summary(outcome, phantom=phantom))
    return stream.getvalue()


def test_phantom_cells_are_named_at_the_table_and_below_it(outcome: Outcome) -> None:
    text = printed(outcome, phantom=True)
    assert "gate on 90 phantom (synthetic) cells, 9 patients, split by random (LEAKING)" in text
    assert "it knows nothing about real ones" in text
    assert "phantom" not in printed(outcome, phantom=False)


def test_an_undecided_gate_says_on_the_terminal_how_many_cells_would_decide(
    outcome: Outcome,
) -> None:
    check = Check(
        metric="specificity", n=57, float=0.9, edge=0.9, delta=0.0, lower=-0.045, upper=0.045,
        margin=0.02, verdict="inconclusive", needed=133,
    )  # fmt: skip
    candidate = GateCandidate(
        id="litert-int8", engine="litert", precision="int8", verdict="inconclusive",
        checks=(check,), flips=FlipCounts(), auc=Pair(float=0.9), threshold=Pair(float=0.5),
    )  # fmt: skip
    gate = outcome.gate.model_copy(update={"candidates": (candidate,)})
    text = " ".join(printed(replace(outcome, gate=gate), phantom=False).split())
    assert "litert-int8: specificity 0.9000 -> 0.9000" in text
    assert "what to do: hold out more cells: about 133 cells for specificity (now 57)" in text


def test_the_json_says_so_too(outcome: Outcome) -> None:
    assert result_json(outcome, phantom=True)["phantom"] is True
    assert result_json(outcome, phantom=False)["phantom"] is False


@pytest.mark.parametrize("layout", ["phantom", "cnmc"])
def test_what_was_judged_on_is_read_from_the_split_that_counts(tmp_path: Path, layout: str) -> None:
    samples = tuple(
        Sample(f"{label}/{n}.png", f"{label}{n}", label, None, "all", None, 8, 8)
        for label in ("all", "hem")
        for n in range(9)
    )
    plan = make_plan(tmp_path, "pi")
    path = tmp_path / "split.json"
    save_split(make_split(SampleIndex(tmp_path, layout, samples), "random"), path)
    plan = replace(plan, sources=replace(plan.sources, split=path))
    assert is_phantom(plan) == (layout == "phantom")
