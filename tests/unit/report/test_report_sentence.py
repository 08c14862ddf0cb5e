import pytest
from report_example import latency, plain

from allnet_edge.report.sentence import verdict_sentence


def said(verdict, ladder, bench, target):
    return plain(verdict_sentence(verdict, ladder, bench, target))


@pytest.fixture
def unchosen(document):
    return tuple(rung.model_copy(update={"chosen": False}) for rung in document.ladder)


def test_pass_says_what_was_lost_how_fast_and_where(document):
    text = said("pass", document.ladder, document.latency, document.target)
    assert text.startswith("onnx-int8 passes the gate: against the float network sensitivity")
    assert "-0.47 percentage points (at worst -1.17)" in text
    assert "642 held-out cells" in text
    assert text.endswith("6.31 ms a cell on this machine, not measured on Jetson Orin Nano 8 GB.")


def test_fail_names_the_worst_check(unchosen, document):
    text = said("fail", unchosen, document.latency, document.target)
    assert text.startswith("The gate fails, so no network may run on Jetson Orin Nano 8 GB")
    assert "tflite-int8 changes sensitivity by -6.05 percentage points" in text


def test_inconclusive_says_how_many_cells_would_decide(unchosen, document):
    text = said("inconclusive", unchosen, document.latency, document.target)
    assert "onnx-int8-2to4 changes specificity" in text
    assert text.endswith("about 2,900 of this class would decide.")


def test_a_check_that_could_not_be_computed_is_the_worst(unchosen, document):
    broken = (
        unchosen[3]
        .checks[1]
        .model_copy(
            update={"verdict": "fail", "edge": None, "delta": None, "lower": None, "upper": None}
        )
    )
    ladder = (*unchosen[:3], unchosen[3].model_copy(update={"checks": (broken,)}), *unchosen[4:])
    text = said("fail", ladder, None, document.target)
    assert text.endswith("onnx-int8 gave outputs from which no sensitivity can be computed.")


def test_an_invalid_or_absent_benchmark_gives_no_speed(document):
    for bench in (None, latency(valid=False)):
        text = said("pass", document.ladder, bench, document.target)
        assert text.endswith("; latency not measured.")


def test_a_measured_device_is_named(document):
    device = document.latency.device.model_copy(
        update={"device_class": "jetson", "model": "Orin Nano Developer Kit"}
    )
    bench = document.latency.model_copy(update={"device": device})
    text = said("pass", document.ladder, bench, document.target)
    assert text.endswith("6.31 ms a cell on Orin Nano Developer Kit.")
