"""What is said about a slide."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allnet_edge.device.fields.counts import FieldCounts
from allnet_edge.device.fields.results import Reason
from allnet_edge.device.fields.summary import RESEARCH_USE, Drift, Share, summarise

CLASSES = ("hem", "all")


def field(hem: int = 0, all_: int = 0, **more: object) -> FieldCounts:
    return FieldCounts({"hem": hem, "all": all_}, **more)


class TestSentence:
    def test_a_whole_slide(self) -> None:
        fields = [field(9, n % 3, not_assessed={Reason.cut: 1}) for n in range(28)]
        summary = summarise(fields, "all", CLASSES)
        share = summary.classes["all"]
        assert (share.count, share.of, summary.assessed, summary.found) == (27, 279, 279, 307)
        assert summary.sentence == (
            "27 of 279 assessed cells (9.7 %, 95 % interval "
            f"{100 * share.lower:.1f}-{100 * share.upper:.1f} %, 28 fields) were classified as "
            f"'all'; 28 cells were not assessed. {RESEARCH_USE}"
        )

    def test_one_field_gives_no_interval(self) -> None:
        summary = summarise([field(3, 1)], "all", CLASSES)
        assert "25.0 %, one field: no interval can be given" in summary.sentence
        assert (summary.classes["all"].lower, summary.classes["all"].upper) == (0, 1)

    def test_no_cell_and_no_field(self) -> None:
        assert summarise([], "all", CLASSES).sentence == (
            f"No cell was assessed in 0 fields; 0 cells were not assessed. {RESEARCH_USE}"
        )
        lost = [field(not_assessed={Reason.blurred: 1}), field()]
        summary = summarise(lost, "all", CLASSES)
        assert summary.sentence.startswith(
            "No cell was assessed in 2 fields; 1 cell was not assessed."
        )
        assert summary.classes["all"].share is None
        assert summary.classes["all"].lower is None

    def test_more_than_two_classes_are_all_told(self) -> None:
        fields = [FieldCounts({"a": 1, "b": 2, "c": 1})] * 4
        told = summarise(fields, None, ("a", "b", "c")).sentence
        assert all(f"classified as '{name}'" in told for name in "abc")

    def test_notes_and_refused_fields_are_told(self) -> None:
        fields = [field(5, 1), field(4, 1), field(refused=Reason.damaged)]
        summary = summarise(fields, "all", CLASSES, notes=["Trained on phantom cells."])
        assert "1 of 3 fields were not assessed as a whole." in summary.sentence
        assert summary.sentence.endswith(f"Trained on phantom cells. {RESEARCH_USE}")
        assert summary.refused == {Reason.damaged: 1}

    @given(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 4)), max_size=20),
        st.sampled_from(["all", None]),
    )
    @settings(max_examples=60, deadline=None)
    def test_it_never_sounds_like_a_diagnosis(
        self, rows: list[tuple[int, int, int]], positive: str | None
    ) -> None:
        fields = [field(a, b, not_assessed={Reason.size: c}) for a, b, c in rows]
        summary = summarise(fields, positive, CLASSES)
        assert summary.sentence.endswith(RESEARCH_USE)
        told = summary.sentence.removesuffix(RESEARCH_USE).lower()
        assert not any(word in told for word in ("diagnos", "leuk", "patient", "suspic", "has "))
        json.dumps(summary.to_json(), allow_nan=False)

    def test_a_corrected_class_that_the_network_does_not_know_is_counted(self) -> None:
        summary = summarise([FieldCounts({"all": 1, "smudge": 2})] * 3, "all", CLASSES)
        assert list(summary.classes) == ["hem", "all", "smudge"]
        assert summary.classes["smudge"].count == 6
        assert summary.assessed == 9


class TestAbstention:
    def test_each_reason_has_its_rate_most_frequent_first(self) -> None:
        lost = {Reason.cut: 1, Reason.stain: 3}
        summary = summarise([field(4, 2, not_assessed=lost)] * 12, "all", CLASSES)
        assert list(summary.reasons) == [Reason.stain, Reason.cut]
        assert summary.reasons[Reason.stain].share == pytest.approx(0.3)
        assert summary.not_assessed.share == pytest.approx(0.4)
        assert summary.to_json()["reasons"]["stain"]["count"] == 36


class TestInterval:
    def test_fields_that_agree_give_wilsons_at_all_cells(self) -> None:
        share = Share.over([1] * 30, [10] * 30)
        assert share.upper - share.lower == pytest.approx(0.071, abs=0.005)

    def test_clumps_widen_it(self) -> None:
        even, clumped = Share.over([1] * 30, [10] * 30), Share.over([10] * 3 + [0] * 27, [10] * 30)
        assert even.share == clumped.share
        assert clumped.upper - clumped.lower > 2 * (even.upper - even.lower)

    def test_fields_without_cells_say_nothing(self) -> None:
        assert Share.over([1, 2, 0, 3], [9, 8, 7, 9]) == Share.over(
            [1, 0, 2, 0, 3], [9, 0, 8, 7, 9]
        )

    def test_nothing_found_is_not_nothing_there(self) -> None:
        share = Share.over([0] * 25, [8] * 25)
        assert share.lower == 0
        assert 0.01 < share.upper < 0.05

    @pytest.mark.parametrize("fields", [20, 60])
    @pytest.mark.parametrize(
        ("share", "likeness", "least"),
        [
            (0.03, 0.01, 0.93), (0.03, 0.1, 0.93), (0.1, 0.01, 0.93), (0.1, 0.1, 0.93),
            (0.1, 0.3, 0.93), (0.4, 0.01, 0.93), (0.4, 0.1, 0.93), (0.4, 0.3, 0.93),
            (0.03, 0.3, 0.9),  # rare and in clumps: a handful of fields carries it all
        ],
    )  # fmt: skip
    def test_it_covers_the_truth_in_95_of_100_slides(
        self, fields: int, share: float, likeness: float, least: float
    ) -> None:
        """Cells of a field are alike by ``likeness``, the intracluster correlation."""
        rng = np.random.default_rng(int(1000 * (share + likeness)) + fields)
        strength = (1 - likeness) / likeness
        slides = 1000
        held = 0
        for _ in range(slides):
            cells = rng.poisson(12, fields)
            rate = rng.beta(share * strength, (1 - share) * strength, fields)
            found = Share.over(rng.binomial(cells, rate).tolist(), cells.tolist())
            held += found.lower <= share <= found.upper
        # Two standard errors of 1000 slides are 0.014: the seed decides no more than that.
        assert held / slides >= least

    @given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30))
    @settings(max_examples=100, deadline=None)
    def test_it_holds_the_share_and_lies_in_0_to_1(self, rows: list[tuple[int, int]]) -> None:
        share = Share.over([a for a, _ in rows], [a + b for a, b in rows])
        if share.of == 0:
            assert share.share is None
        else:
            assert 0 <= share.lower <= share.share <= share.upper <= 1


class TestDrift:
    def test_few_fields_do_not_tell(self) -> None:
        drift = Drift.of([1.0, 2, 3, 4, 5, 6, 7, 8, 9])
        assert drift.direction == "unknown"
        assert drift.in_words.startswith("Too few fields to tell")

    def test_a_rise_is_told_with_its_figures(self) -> None:
        values = 2 + np.linspace(0, 3, 30) + np.random.default_rng(0).normal(0, 0.3, 30)
        fields = [field(5, stain_distance=float(one)) for one in values]
        summary = summarise([*fields, field(2)], "all", CLASSES)
        assert summary.drift.direction == "rose"
        assert summary.drift.fields == 30
        assert "The stain distance rose (from 2.5 to 4." in summary.sentence

    def test_a_fall_and_no_change(self) -> None:
        noise = np.random.default_rng(1).normal(0, 0.2, 40)
        assert Drift.of((4 - np.linspace(0, 2, 40) + noise).tolist()).direction == "fell"
        steady = Drift.of((3 + noise).tolist())
        assert steady.direction == "steady"
        assert "stayed as it was" in steady.in_words

    def test_a_sure_but_small_change_is_none(self) -> None:
        assert Drift.of(np.linspace(3, 3.2, 50).tolist()).direction == "steady"

    def test_the_order_of_the_fields_counts_and_refused_ones_do_not(self) -> None:
        fields = [field(5, stain_distance=float(one)) for one in np.linspace(1, 5, 20)]
        spoilt = [field(refused=Reason.dark, stain_distance=99.0), *fields]
        assert summarise(spoilt, "all", CLASSES).drift.direction == "rose"
        assert summarise(fields[::-1], "all", CLASSES).drift.direction == "fell"
