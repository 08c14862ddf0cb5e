"""What is used where the user did not say."""

from pathlib import Path

import pytest

from allnet_edge.data.choose import choose_labels, choose_split
from allnet_edge.data.samples import LabelMap, Sample, SampleIndex
from allnet_edge.data.split import make_split, save_split
from allnet_edge.errors import DataError, SplitError, UnknownNameError, UsageError


def index_of(*labels: str, patients: bool = True) -> SampleIndex:
    samples = [
        Sample(
            f"{label}/{n:03}.png", f"{label}{n}", label,
            f"{label}:{n % 9}" if patients else None, "all", n, 64, 64,
        )
        for label in labels
        for n in range(300)
    ]  # fmt: skip
    return SampleIndex(Path("set"), "folders", tuple(sorted(samples, key=lambda s: s.id)))


class TestLabels:
    @pytest.mark.parametrize("name", ["all", "ALL"])
    def test_all_is_positive_against_the_other_class(self, name):
        labels = choose_labels(index_of(name, "hem"), None)
        assert labels.classes == ("hem", name)
        assert labels.index == {name: 1, "hem": 0}

    def test_the_user_decides(self):
        labels = choose_labels(index_of("Benign", "Early", "Pre"), ["Pre", "Early"])
        assert labels.classes == ("Benign", "Early+Pre")
        assert labels.index == {"Benign": 0, "Early": 1, "Pre": 1}

    @pytest.mark.parametrize("names", [("Benign", "Early"), ("b", "a")])
    def test_where_the_names_do_not_say_it_asks(self, names):
        with pytest.raises(DataError, match="which classes are positive") as caught:
            choose_labels(index_of(*names), None)
        assert caught.value.exit_code == 9
        assert all(name in str(caught.value) for name in names)
        assert "--positive" in caught.value.fix

    @pytest.mark.parametrize(
        "names", [("Pro", "Benign", "Pre", "Early"), ("all", "hem", "other")], ids="-".join
    )
    def test_three_classes_and_more_are_a_class_each(self, names):
        labels = choose_labels(index_of(*names), None)
        assert labels.classes == tuple(sorted(names))
        assert [labels.index[name] for name in labels.classes] == list(range(len(names)))
        assert choose_labels(index_of(*names), [names[0]]).classes[1] == names[0]

    def test_multiclass_takes_each_label_once(self):
        labels = LabelMap.multiclass(iter(["b", "a", "b"]))
        assert (labels.classes, labels.index) == (("a", "b"), {"a": 0, "b": 1})
        for too_few in (["a", "a"], []):
            with pytest.raises(DataError, match="two classes or more"):
                LabelMap.multiclass(too_few)

    def test_an_unknown_class_is_refused(self):
        with pytest.raises(DataError, match="no class blast"):
            choose_labels(index_of("all", "hem"), ["blast"])

    def test_nothing_left_over_is_refused(self):
        with pytest.raises(DataError, match="every class is positive"):
            choose_labels(index_of("all", "hem"), ["all", "hem"])


class TestSplit:
    def test_by_patient_where_patients_are_known(self):
        split = choose_split(index_of("all", "hem"), None)
        assert (split.protocol, split.leaking) == ("patient", False)

    def test_by_block_where_none_is(self):
        split = choose_split(index_of("all", "hem", patients=False), None)
        assert (split.protocol, split.leaking) == ("block", False)

    @pytest.mark.parametrize("protocol", ["patient", "block", "random", "paper"])
    def test_by_the_protocol_that_is_asked_for(self, protocol):
        index = index_of("all", "hem", patients=protocol != "block")
        split = choose_split(index, None, protocol=protocol, seed=3)
        assert split == make_split(index, protocol, seed=3)
        assert (split.protocol, split.leaking) == (protocol, protocol in ("random", "paper"))

    def test_a_protocol_that_does_not_fit_is_no_other(self):
        with pytest.raises(SplitError, match="patient of 600 images is unknown"):
            choose_split(index_of("all", "hem", patients=False), None, protocol="patient")

    def test_an_unknown_protocol_is_refused(self):
        with pytest.raises(UnknownNameError, match="did you mean paper"):
            choose_split(index_of("all", "hem"), None, protocol="papers")

    def test_a_file_and_a_protocol_are_refused(self, tmp_path):
        index = index_of("all", "hem")
        save_split(make_split(index, "random"), tmp_path / "split.json")
        with pytest.raises(UsageError, match="both a split file") as caught:
            choose_split(index, tmp_path / "split.json", protocol="random")
        assert caught.value.exit_code == 2

    def test_the_seed_is_passed_on(self):
        index = index_of("all", "hem")
        assert choose_split(index, None, seed=1) != choose_split(index, None, seed=2)

    def test_a_file_is_used_as_it_is(self, tmp_path):
        index = index_of("all", "hem")
        split = make_split(index, "random", seed=9)
        save_split(split, tmp_path / "split.json")
        assert choose_split(index, tmp_path / "split.json") == split

    def test_a_file_of_another_data_set_is_refused(self, tmp_path):
        save_split(make_split(index_of("a", "b"), "random"), tmp_path / "split.json")
        with pytest.raises(SplitError, match="another data set"):
            choose_split(index_of("all", "hem"), tmp_path / "split.json")

    def test_an_absent_file_is_refused(self, tmp_path):
        with pytest.raises(SplitError, match="cannot read the split"):
            choose_split(index_of("all", "hem"), tmp_path / "absent.json")
