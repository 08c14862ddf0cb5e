"""Calibration images: of the training part, stratified, and of nothing that is judged on."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.data.calibration import read_pinned, select
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.split import Split, make_split
from allnet_edge.errors import DataError, IntegrityError, SplitError

BINARY = {"hem": 0, "all": 1}


def index_of(per_class: dict[str, int], *, patients: bool = True) -> SampleIndex:
    """Ten patients a class, in turn; captures in order."""
    samples = [
        Sample(
            id=f"{label}/{number:04}.png",
            sha256=f"{label}-{number}",
            label=label,
            patient=f"{label}:{number % 10}" if patients else None,
            part="all",
            order=number,
            width=64,
            height=64,
        )
        for label, count in per_class.items()
        for number in range(count)
    ]
    return SampleIndex(Path("set"), "folders", tuple(sorted(samples, key=lambda s: s.id)))


@pytest.fixture(scope="module")
def index() -> SampleIndex:
    return index_of({"all": 200, "hem": 80})


@pytest.fixture(scope="module")
def split(index: SampleIndex) -> Split:
    return make_split(index, "patient", seed=2)


def by_label(samples: tuple[Sample, ...]) -> Counter[str]:
    return Counter(sample.label for sample in samples)


class TestSelect:
    def test_both_classes_give_as_many(self, split, index):
        assert by_label(select(split, index, 40, 0, BINARY)) == {"all": 20, "hem": 20}

    def test_classes_that_the_network_folds_into_one_share_one_half(self):
        """Aria: Benign against Early, Pre and Pro; a quarter each would be 1 to 3."""
        aria = index_of({"Benign": 100, "Early": 150, "Pre": 150, "Pro": 120})
        dealt = make_split(aria, "patient", seed=2)
        folded = {"Benign": 0, "Early": 1, "Pre": 1, "Pro": 1}
        chosen = by_label(select(dealt, aria, 80, 0, folded))
        assert chosen["Benign"] == 40
        assert chosen.total() == 80
        assert all(chosen[name] > 0 for name in ("Early", "Pre", "Pro"))

    def test_a_class_that_the_network_does_not_know_is_refused(self, split, index):
        with pytest.raises(DataError, match="not trained on the class hem") as caught:
            select(split, index, 40, 0, {"all": 1})
        assert caught.value.exit_code == 9

    def test_all_are_training_cells_sorted_and_different(self, split, index):
        chosen = select(split, index, 60, 0, BINARY)
        training = {sample.id for sample in split.samples("train", index)}
        ids = [sample.id for sample in chosen]
        assert set(ids) <= training
        assert ids == sorted(set(ids))

    def test_what_a_small_class_cannot_give_the_others_do(self, split, index):
        available = by_label(split.samples("train", index))
        assert available["hem"] < 60
        chosen = by_label(select(split, index, 120, 0, BINARY))
        assert chosen == {"hem": available["hem"], "all": 120 - available["hem"]}

    def test_never_more_than_there_are(self, split, index):
        assert select(split, index, 10_000, 0, BINARY) == split.samples("train", index)

    def test_an_odd_number_is_kept_to(self, split, index):
        assert len(select(split, index, 41, 0, BINARY)) == 41

    def test_the_seed_decides_and_nothing_else(self, split, index):
        assert select(split, index, 30, 4, BINARY) == select(split, index, 30, 4, BINARY)
        assert select(split, index, 30, 4, BINARY) != select(split, index, 30, 5, BINARY)

    @given(
        counts=st.dictionaries(
            st.sampled_from(["a", "b", "c", "d"]), st.integers(30, 80), min_size=2
        ),
        images=st.integers(8, 120),
    )
    def test_no_class_gives_fewer_than_another_unless_it_has_no_more(self, counts, images):
        some = index_of(counts)
        dealt = make_split(some, "random")
        available = by_label(dealt.samples("train", some))
        own = {label: at for at, label in enumerate(some.labels)}
        chosen = by_label(select(dealt, some, images, 1, own))
        assert chosen.total() == min(images, available.total())
        fullest = max(chosen.values())
        for label, count in available.items():
            assert chosen[label] == count or chosen[label] >= fullest - 1


@pytest.fixture
def write(tmp_path):
    """``write(samples)``: a list as a build writes it."""

    def pin(samples: tuple[Sample, ...] | list[Sample]) -> Path:
        rows = [{"id": s.id, "sha256": s.sha256, "label": s.label} for s in samples]
        path = tmp_path / "calibration.json"
        path.write_text(json.dumps({"method": "minimum and maximum", "seed": 0, "images": rows}))
        return path

    return pin


class TestPinned:
    def test_a_list_gives_back_its_very_images(self, split, index, write):
        chosen = select(split, index, 30, 3, BINARY)
        assert read_pinned(write(chosen), split, index) == chosen

    def test_files_are_known_by_their_bytes_and_not_by_their_names(self, split, index, write):
        chosen = select(split, index, 10, 3, BINARY)
        renamed = [replace(sample, id=f"moved/{sample.id}") for sample in chosen]
        assert read_pinned(write(renamed), split, index) == chosen

    def test_an_image_that_is_listed_twice_counts_once(self, split, index, write):
        chosen = select(split, index, 10, 3, BINARY)
        assert read_pinned(write([*chosen, *chosen]), split, index) == chosen

    @pytest.mark.parametrize("part", ["validation", "test"])
    def test_an_image_of_another_part_is_refused(self, split, index, write, part):
        judged = split.samples(part, index)[0]
        path = write([*select(split, index, 10, 0, BINARY), judged])
        with pytest.raises(SplitError, match=f"overlaps the {part} part: {judged.id}") as caught:
            read_pinned(path, split, index)
        assert caught.value.exit_code == 9
        assert caught.value.where == str(path)

    @pytest.mark.parametrize("part", ["validation", "test"])
    def test_a_patient_of_another_part_is_refused(self, split, index, write, part):
        """Its image is in no part, but the patient is judged on."""
        judged = split.samples(part, index)[0]
        left_out = replace(judged, id="all/9999.png", sha256="another file")
        larger = replace(index, samples=(*index.samples, left_out))
        path = write([*select(split, index, 10, 0, BINARY), left_out])
        with pytest.raises(SplitError, match=f"overlaps the {part} part: all/9999.png"):
            read_pinned(path, split, larger)

    def test_where_a_split_leaks_patients_only_images_are_compared(self, index, write):
        leaking = make_split(index, "random", seed=1)
        assert leaking.leaking
        chosen = select(leaking, index, 20, 0, BINARY)
        assert read_pinned(write(chosen), leaking, index) == chosen

    def test_an_image_between_the_parts_is_refused(self, write):
        """The embargo of a block split holds neighbours of what is judged on."""
        unknown = index_of({"all": 400, "hem": 400}, patients=False)
        blocks = make_split(unknown, "block")
        outside = {row.id for row in blocks.left_out}
        neighbour = next(sample for sample in unknown.samples if sample.id in outside)
        with pytest.raises(SplitError, match=f"an image of no part: {neighbour.id}") as caught:
            read_pinned(write([neighbour]), blocks, unknown)
        assert caught.value.exit_code == 9

    def test_a_list_of_another_data_set_is_refused_with_how_many(self, split, index, write):
        chosen = select(split, index, 10, 0, BINARY)
        foreign = [replace(sample, sha256=f"other {sample.id}") for sample in chosen[:7]]
        with pytest.raises(DataError, match="7 of 10 calibration images are not in the data set"):
            read_pinned(write([*foreign, *chosen[7:]]), split, index)

    def test_an_empty_list_is_refused(self, split, index, write):
        with pytest.raises(DataError, match="0 of 0"):
            read_pinned(write([]), split, index)

    @pytest.mark.parametrize(
        "text",
        ["[]", "{}", '{"images": 3}', '{"images": [1]}', '{"images": [{"id": "a"}]}', "not json"],
    )
    def test_another_file_is_refused(self, split, index, tmp_path, text):
        path = tmp_path / "list.json"
        path.write_text(text)
        with pytest.raises(IntegrityError) as caught:
            read_pinned(path, split, index)
        assert caught.value.exit_code == 7

    def test_an_absent_file_is_refused(self, split, index, tmp_path):
        with pytest.raises(IntegrityError, match="cannot read"):
            read_pinned(tmp_path / "absent.json", split, index)
