"""The verdicts of ``make test-arm``: what turns it red."""

import numpy as np
import pytest
from arm import counts, judge

from allnet_edge.errors import BenchmarkInvalid


def answers(**changes: object) -> judge.Answers:
    rng = np.random.default_rng(3)
    arrays = {
        "pixels": rng.integers(0, 256, (2, 4, 4, 3), np.uint8),
        "raw 0": rng.integers(-128, 128, (2, 60)).astype(np.int8),
        **{name: np.array([0.25, 0.75], np.float32) for name in judge.ALLOWED},
    }
    return judge.Answers(
        {**arrays, **changes.get("arrays", {})},
        changes.get("delegated", {"litert-int8": True}),
        changes.get("versions", {"ai-edge-litert": "2.3.0"}),
    )


def test_equal_answers_pass():
    assert judge.differences(answers(), answers()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"delegated": {"litert-int8": False}}, "XNNPACK did not take"),
        ({"delegated": {}}, "no LiteRT candidate ran"),
        ({"versions": {"ai-edge-litert": "2.4.0"}}, "2.3.0 on x86 and 2.4.0"),
        ({"arrays": {"onnx-fp32": np.array([0.25, 0.7501], np.float32)}}, "onnx-fp32"),
        ({"arrays": {"litert-fp32": np.array([0.25, np.nan], np.float32)}}, "litert-fp32"),
        ({"arrays": {"pixels": np.zeros((2, 4, 4, 3), np.uint8)}}, "pixels differ"),
    ],
)
def test_every_other_answer_is_noticed(change, words):
    found = judge.differences(answers(), answers(**change))
    assert len(found) == 1
    assert words in found[0]


def test_one_int8_value_is_noticed():
    raw = answers().arrays["raw 0"].copy()
    raw[1, 7] ^= 1
    [found] = judge.differences(answers(), answers(arrays={"raw 0": raw}))
    assert found.startswith("1 of 120 int8 values differ")


def test_values_that_prove_nothing_are_refused():
    flat = {"raw 0": np.zeros((2, 60), np.int8)}
    [found] = judge.differences(answers(arrays=flat), answers(arrays=flat))
    assert "equality proves little" in found


def committed(n: int) -> counts.Counts:
    return {"Pi": {"net litert-int8": {"instructions": n, "dot_products": 0}}}


@pytest.mark.parametrize("now", [1_001_000, 999_000, 1_000_000])
def test_a_tenth_of_a_percent_is_noise(now):
    assert counts.judge(committed(now), committed(1_000_000)).holds


def test_the_int8_path_of_onnx_runtime_has_more_room_but_not_without_end():
    def of(n: int) -> counts.Counts:
        return {"Pi": {"net onnx-int8": {"instructions": n, "dot_products": 0}}}

    assert counts.judge(of(1_004_900), of(1_000_000)).holds
    assert counts.judge(of(1_005_100), of(1_000_000)).risen


def test_a_rise_names_both_numbers():
    judged = counts.judge(committed(1_001_100), committed(1_000_000))
    assert not judged.holds
    [line] = judged.risen
    assert "1,000,000" in line
    assert "1,001,100" in line


def test_a_fall_and_a_new_candidate_are_no_silent_change():
    assert counts.judge(committed(998_900), committed(1_000_000)).fallen
    assert counts.judge(committed(1), {}).changed
    assert counts.judge({}, committed(1)).changed


def test_marks_become_the_smallest_repeat():
    lines = ["0 0", "1005 9", "2000 9", "3000 18", "4000 18", "5000 27"]
    found = counts.from_marks("\n".join(lines), ["a"], 3)
    assert found == {"a": {"instructions": 1000, "dot_products": 9}}


def test_repeats_that_disagree_and_lost_marks_are_refused():
    lines = ["0 0", "1000 0", "2000 0", "3100 0", "4000 0", "5200 0"]
    with pytest.raises(BenchmarkInvalid, match="at best"):
        counts.from_marks("\n".join(lines), ["a"], 3)
    with pytest.raises(BenchmarkInvalid, match="marks"):
        counts.from_marks("\n".join(lines[:5]), ["a"], 3)
