import pytest
from pydantic import ValidationError
from report_example import example

from allnet_edge.measure.gate_report import GateReport
from allnet_edge.report.document import (
    Epoch,
    Estimate,
    Flip,
    GateFacts,
    ReportDocument,
    Summary,
)
from allnet_edge.spec.gate import GateSpec


def test_json_round_trip_keeps_everything(document):
    assert ReportDocument.from_json(document.to_json()) == document


def test_json_uses_the_keys_of_the_contract(document):
    text = document.to_json()
    for key in ('"class": "host-proxy"', '"float":', '"positive_to_negative":', '"needed": 2900'):
        assert key in text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_an_estimate_is_a_share(value):
    with pytest.raises(ValidationError):
        Estimate(value=value)


def test_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="extra"):
        Summary(verdict="pass", sentence="x", chosen_one="y")


def test_training_records_may_know_more():
    assert Epoch.model_validate({"epoch": 1, "loss": 0.5, "seconds": 3.0}).loss == 0.5


@pytest.mark.parametrize(
    "uri",
    [
        "https://example.org/cell.png",
        "data:text/html;base64,PHA+",
        'data:image/png;base64,AAAA" onload="x',
        "data:image/svg+xml;base64,AAAA",
    ],
)
def test_a_thumbnail_is_an_inline_picture(uri):
    with pytest.raises(ValidationError):
        Flip(
            id="a",
            label="ALL",
            float_score=0.6,
            edge_score=0.4,
            candidate="onnx-int8",
            direction="positive_to_negative",
            thumbnail=uri,
        )


def test_the_chosen_network_is_marked_in_the_ladder():
    with pytest.raises(ValidationError, match="ladder marks"):
        example(verdict=Summary(verdict="pass", sentence="x", chosen="tflite-int8"))


def test_ids_are_unique(document):
    with pytest.raises(ValidationError, match="one id"):
        example(ladder=(*document.ladder, document.ladder[0]))


def test_flips_belong_to_the_ladder(document):
    stranger = document.flips[0].model_copy(update={"candidate": "elsewhere"})
    with pytest.raises(ValidationError, match="elsewhere"):
        example(flips=(stranger,))


def test_latencies_belong_to_the_ladder(document):
    rows = (document.latency.rows[0].model_copy(update={"id": "elsewhere"}),)
    with pytest.raises(ValidationError, match="elsewhere"):
        example(latency=document.latency.model_copy(update={"rows": rows}))


def test_gate_facts_come_from_gate_json():
    gate = GateReport(
        verdict="pass",
        n=642,
        positives=430,
        patients=None,
        method="Tango",
        split="block",
        leaking=False,
        margins=GateSpec(confidence=0.9),
        candidates=(),
    )
    facts = GateFacts.of(gate, "Wilson")
    assert (facts.n, facts.patients, facts.confidence) == (642, None, 0.9)
    assert facts.interval_method == "Wilson"
