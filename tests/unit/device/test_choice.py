"""The decision among candidates: verdict before speed, and a reason for every one that lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.artifacts.device_files import is_device_file
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.device.choice import Contender, decide
from allnet_edge.measure.percentiles import LatencySummary


def contender(name: str, verdict: str | None, ms: float | None, lost: str = "") -> Contender:
    candidate = Candidate(id=name, engine="onnx", precision="fp32", file="m", verdict=verdict)
    latency = None if ms is None else LatencySummary.of(np.array([ms, ms]))
    return Contender(candidate, lost, latency=latency)


def test_the_fastest_that_passed_wins():
    found = decide([contender("slow", "pass", 9), contender("fast", "pass", 3)])
    assert (found.chosen, found.order) == ("fast", ("fast", "slow"))
    whys = {row.id: row.why for row in found.rows}
    assert whys["fast"].startswith("chosen: the fastest here (3 ms median)")
    assert "slower here than fast (3 ms median): 9 ms median" in whys["slow"]


def test_a_verdict_counts_before_speed():
    found = decide([contender("open", "inconclusive", 1), contender("sure", "pass", 50)])
    assert found.order == ("sure", "open")
    assert "too few cells to decide, and sure passed" in found.rows[1].why


def test_one_that_failed_is_never_used():
    found = decide([contender("bad", "fail", 1)])
    assert (found.chosen, found.order) == (None, ())
    assert found.rows[0].why == "failed the gate at the build"


def test_one_that_lost_beforehand_keeps_its_reason():
    found = decide([contender("gone", "pass", None, lost="not built: no such operator")])
    assert found.chosen is None
    assert found.rows[0].why == "not built: no such operator"


def test_an_engine_that_no_gate_judged_waits_for_a_person():
    engine, graph = contender("engine", None, 1), contender("graph", "pass", 5)
    found = decide([engine, graph])
    assert found.order == ("graph",)
    assert "compile again with --data" in found.rows[1].why
    accepted = decide([engine, graph], accept_golden=True)
    assert accepted.order == ("engine", "graph")
    assert accepted.rows[0].verdict == "golden-only"
    assert "no gate was asked, as was wished" in accepted.rows[0].why


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pass", "fail", "inconclusive", None]),
            st.floats(0.01, 1000),
            st.sampled_from(["", "lost"]),
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_every_one_has_a_row_and_a_reason_and_nothing_that_failed_is_used(rows, accept):
    given_ = [contender(f"c{n}", verdict, ms, lost) for n, (verdict, ms, lost) in enumerate(rows)]
    found = decide(given_, accept_golden=accept)
    assert {row.id for row in found.rows} == {one.candidate.id for one in given_}
    assert all(row.why for row in found.rows)
    by_id = {one.candidate.id: one for one in given_}
    for name in found.order:
        assert not by_id[name].lost
        assert by_id[name].verdict in ("pass", "inconclusive", *(["golden-only"] if accept else []))
    assert found.chosen == (found.order[0] if found.order else None)
    if any(one.verdict == "pass" and not one.lost for one in given_):
        assert by_id[found.chosen].verdict in ("pass", *(["golden-only"] if accept else []))


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("engine/a.engine", True), ("engine/a.json", True), ("engine/timing.cache", True),
        ("engine/a.engine.tmp-31", True), ("engine/run.sh", False), ("engine/x/a.engine", False),
        ("a.engine", False), ("model/a.engine", False), ("engine/../a.engine", False),
    ],
)  # fmt: skip
def test_only_some_files_of_one_folder_are_the_device_s(name, ours):
    assert is_device_file(name) is ours
