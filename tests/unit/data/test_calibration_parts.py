"""What a calibration set must be, its two halves, and the cells that estimators are chosen on."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.data.calibration import FEWEST, halves, require_usable, selection_cells
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.split import Split, make_split
from allnet_edge.errors import DataError

BINARY = {"hem": 0, "all": 1}


def cells(label: str, sizes: list[int], *, known: bool = True) -> list[Sample]:
    """One patient for each of ``sizes``."""
    return [
        Sample(
            id=f"{label}/{patient:02}-{number:03}.png",
            sha256=f"{label}-{patient}-{number}",
            label=label,
            patient=f"{label}:{patient}" if known else None,
            part="all",
            order=number,
            width=64,
            height=64,
        )
        for patient, size in enumerate(sizes)
        for number in range(size)
    ]


def per_class(samples: tuple[Sample, ...]) -> Counter[str]:
    return Counter(sample.label for sample in samples)


class TestUsable:
    @pytest.mark.parametrize("count", [0, 1, FEWEST - 1])
    def test_too_few_are_refused(self, count):
        few = (cells("all", [20]) + cells("hem", [20]))[20 - count // 2 :][:count]
        with pytest.raises(DataError, match=f"{count} calibration images are too few") as caught:
            require_usable(few, BINARY)
        assert caught.value.exit_code == 9

    def test_one_class_is_refused(self):
        with pytest.raises(DataError, match="all 20 calibration images are of the class all"):
            require_usable(cells("all", [20]), BINARY)

    def test_names_that_the_network_folds_into_one_class_are_one_class(self):
        folded = cells("Early", [10]) + cells("Pro", [10])
        with pytest.raises(DataError, match="of the class Early"):
            require_usable(folded, {"Benign": 0, "Early": 1, "Pro": 1})

    def test_enough_of_both_are_taken(self):
        require_usable(cells("all", [4]) + cells("hem", [4]), BINARY)


class TestHalves:
    @given(
        sizes=st.tuples(
            st.lists(st.integers(1, 30), min_size=2, max_size=8),
            st.lists(st.integers(1, 30), min_size=2, max_size=8),
        )
    )
    def test_nothing_is_lost_and_no_patient_is_in_both(self, sizes):
        samples = cells("all", sizes[0]) + cells("hem", sizes[1])
        found = halves(samples, BINARY)
        assert sorted(s.id for s in (*found.first, *found.second)) == sorted(s.id for s in samples)
        assert not {s.patient for s in found.first} & {s.patient for s in found.second}
        assert found.patients_apart
        assert per_class(found.first).keys() == per_class(found.second).keys() == BINARY.keys()

    def test_patients_of_like_size_make_halves_of_like_size(self):
        found = halves(cells("all", [6] * 8) + cells("hem", [4] * 6), BINARY)
        assert per_class(found.first) == per_class(found.second) == {"all": 24, "hem": 12}

    def test_where_patients_are_unknown_single_images_are_dealt(self):
        found = halves(cells("all", [20], known=False) + cells("hem", [10], known=False), BINARY)
        assert per_class(found.first) == per_class(found.second) == {"all": 10, "hem": 5}
        assert not found.patients_apart

    def test_a_class_of_one_patient_is_cut_all_the_same_and_that_is_told(self):
        found = halves(cells("all", [10, 10]) + cells("hem", [10]), BINARY)
        assert per_class(found.first)["hem"] == per_class(found.second)["hem"] == 5
        assert not found.patients_apart

    def test_the_order_of_the_images_does_not_matter(self):
        samples = cells("all", [3, 9, 4]) + cells("hem", [7, 7])
        assert halves(samples, BINARY) == halves(samples[::-1], BINARY)


@pytest.fixture(scope="module")
def index() -> SampleIndex:
    both = cells("all", [30] * 10) + cells("hem", [8] * 10)
    return SampleIndex(Path("set"), "folders", tuple(sorted(both, key=lambda s: s.id)))


@pytest.fixture(scope="module")
def split(index: SampleIndex) -> Split:
    return make_split(index, "patient", seed=2)


class TestSelection:
    def test_all_are_validation_cells_and_different(self, index, split):
        found = selection_cells(split, index, 40, 0, BINARY)
        validation = {sample.id for sample in split.samples("validation", index)}
        assert len({sample.id for sample in found}) == 40
        assert {sample.id for sample in found} <= validation

    def test_every_beginning_is_stratified(self, index, split):
        found = selection_cells(split, index, 256, 0, BINARY)
        rare = per_class(found)["hem"]
        for count in range(2, 2 * rare, 2):
            assert per_class(found[:count]) == {"all": count // 2, "hem": count // 2}

    def test_a_rare_class_gives_all_that_it_has_and_the_other_fills_up(self, index, split):
        available = per_class(split.samples("validation", index))
        assert per_class(selection_cells(split, index, 60, 0, BINARY)) == {
            "hem": available["hem"], "all": 60 - available["hem"],
        }  # fmt: skip

    def test_the_seed_decides_and_nothing_else(self, index, split):
        assert selection_cells(split, index, 40, 1, BINARY) == selection_cells(
            split, index, 40, 1, BINARY
        )
        assert selection_cells(split, index, 40, 1, BINARY) != selection_cells(
            split, index, 40, 2, BINARY
        )

    def test_a_class_that_the_network_does_not_know_is_refused(self, index, split):
        with pytest.raises(DataError, match="not trained on the class hem"):
            selection_cells(split, index, 40, 0, {"all": 1})
