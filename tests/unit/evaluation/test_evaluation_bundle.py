"""Judging a bundle: in its own runtime, by its own threshold, claiming what it can prove."""

import json
import shutil

import numpy as np
import pytest
from evaluation_support import QUICK, SIZE, Ground, folder_of_classes, make_run

from allnet_edge.artifacts.files import sha256_file
from allnet_edge.artifacts.manifest import DataOrigin, Source
from allnet_edge.data.images import load_batch
from allnet_edge.data.samples import LabelMap
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import make_split, save_split
from allnet_edge.errors import DataError, IntegrityError, SplitError, UnknownNameError, UsageError
from allnet_edge.evaluation.cells import Options, labels_of
from allnet_edge.evaluation.from_bundle import evaluate_bundle
from allnet_edge.spec.network import Preprocess


@pytest.fixture
def split_file(ground: Ground, tmp_path):
    path = tmp_path / "given.json"
    save_split(ground.split, path)
    return path


def listed(samples: object) -> bytes:
    """A calibration list of these images."""
    return json.dumps({"images": [{"id": s.id, "sha256": s.sha256} for s in samples]}).encode()


class TestEveryImage:
    def test_probabilities_are_those_of_the_network(self, make_bundle, model_files, ground):
        found = evaluate_bundle(make_bundle(chosen="onnx.fp32"), ground.data, QUICK)
        paths = [ground.index.path(one) for one in ground.index.samples]
        images = load_batch(paths, Preprocess(size=SIZE))
        expected = model_files["onnx.uint8.1"].weights.probabilities(images)
        np.testing.assert_allclose(found.scored.scores[:, 1], expected, atol=1e-4)
        assert found.ids == tuple(one.id for one in ground.index.samples)

    def test_nothing_is_claimed_about_what_it_saw(self, make_bundle, ground):
        document = evaluate_bundle(make_bundle(), ground.data, QUICK).document
        assert document.cells.part == "all"
        assert document.cells.protocol is None
        assert document.cells.exposure == "not-proven"
        assert "does not list its training images" in document.cells.not_proven[0]
        assert "no split" in document.headline
        assert document.at_half is None
        for probe in document.probes:
            assert probe.status == "not measured"
            assert "no training part" in probe.why

    def test_the_threshold_is_the_one_of_the_bundle(self, make_bundle, ground):
        point = evaluate_bundle(make_bundle(), ground.data, QUICK).document.operating_point
        assert point.threshold == 0.5
        assert "stored in the bundle" in point.fitted_on
        assert "abstains from 0.400 to 0.600" in point.note

    def test_a_threshold_of_images_that_were_not_turned_is_called_so(self, make_bundle, ground):
        options = Options(turns=4, resamples=20)
        document = evaluate_bundle(make_bundle(), ground.data, options).document
        assert document.network.turns == 4
        assert "not turned" in document.operating_point.note

    def test_a_candidate_can_be_named(self, make_bundle, ground):
        bundle = make_bundle(verdicts={"litert.fp32": "inconclusive"})
        found = evaluate_bundle(bundle, ground.data, QUICK, candidate="litert.fp32").document
        assert found.network.candidate == "litert.fp32"
        assert found.network.verdict == "inconclusive"
        assert any("did not pass its gate" in warning for warning in found.warnings)
        with pytest.raises(UnknownNameError):
            evaluate_bundle(bundle, ground.data, QUICK, candidate="litert.fp23")

    def test_a_part_needs_a_split(self, make_bundle, ground):
        with pytest.raises(UsageError, match="no part 'test'"):
            evaluate_bundle(make_bundle(), ground.data, Options(part="test"))


class TestSplit:
    def test_it_may_be_any_and_then_little_is_proven(self, make_bundle, ground, split_file):
        options = Options(split=split_file, resamples=20)
        document = evaluate_bundle(make_bundle(), ground.data, options).document
        assert document.cells.part == "test"
        assert document.cells.n == len(ground.split.parts["test"])
        assert document.cells.exposure == "not-proven"
        assert document.probes[0].status == "measured"

    def test_the_one_beside_the_run_proves_what_the_run_does(self, make_bundle, ground):
        source = Source(run_sha256=sha256_file(ground.run / "model.json"), float_sha256="ab" * 32)
        options = Options(split=ground.run / "split.json", resamples=20)
        document = evaluate_bundle(make_bundle(source=source), ground.data, options).document
        assert document.cells.exposure == "unseen"
        assert "the split is the one that the network was trained on" in document.cells.proven
        assert not document.cells.not_proven

    def test_the_one_of_another_run_does_not(self, make_bundle, ground, tmp_path):
        run = make_run(tmp_path / "other", ground.split, ground.labels, seed=3)
        source = Source(run_sha256=sha256_file(ground.run / "model.json"), float_sha256="ab" * 32)
        options = Options(split=run / "split.json", resamples=20)
        document = evaluate_bundle(make_bundle(source=source), ground.data, options).document
        assert document.cells.exposure == "not-proven"

    def test_another_split_put_beside_the_run_does_not(self, make_bundle, ground, tmp_path):
        run = shutil.copytree(ground.run, tmp_path / "run")
        other = make_split(ground.index, "patient", seed=7, official=False)
        (run / "split.json").write_text(other.model_dump_json())
        source = Source(run_sha256=sha256_file(run / "model.json"), float_sha256="ab" * 32)
        options = Options(split=run / "split.json", resamples=20)
        document = evaluate_bundle(make_bundle(source=source), ground.data, options).document
        assert document.cells.exposure == "not-proven"

    @pytest.mark.parametrize("part", ["train", "validation"])
    def test_parts_that_make_a_network_are_named_as_seen(
        self, make_bundle, ground, split_file, part
    ):
        options = Options(split=split_file, part=part, resamples=20)
        document = evaluate_bundle(make_bundle(), ground.data, options).document
        assert document.cells.exposure == part

    def test_a_leaking_split_is_named(self, make_bundle, ground, tmp_path):
        path = tmp_path / "random.json"
        save_split(make_split(ground.index, "random"), path)
        document = evaluate_bundle(
            make_bundle(), ground.data, Options(split=path, resamples=20)
        ).document
        assert document.cells.leaking
        assert "LEAKING" in document.headline

    def test_a_network_of_a_leaking_split_leaks_into_a_clean_one(
        self, make_bundle, ground, split_file
    ):
        origin = DataOrigin(layout="phantom", split="paper", leaking=True)
        options = Options(split=split_file, resamples=20)
        document = evaluate_bundle(make_bundle(data=origin), ground.data, options).document
        assert document.cells.leaking
        assert any("'paper' split of phantom" in text for text in document.cells.not_proven)


class TestCalibration:
    def test_images_that_it_was_calibrated_with_are_refused(self, make_bundle, ground, split_file):
        used = ground.split.samples("test", ground.index)[:2]
        bundle = make_bundle(contents=self.contents(make_bundle, listed(used)))
        options = Options(split=split_file, resamples=20)
        with pytest.raises(SplitError, match="used for calibration"):
            evaluate_bundle(bundle, ground.data, options)

    def test_so_are_other_images_of_their_patients(self, make_bundle, ground, tmp_path):
        test = ground.split.samples("test", ground.index)
        used = [one for one in test if one.patient == test[0].patient][:1]
        parts = dict(ground.split.parts)
        rest = tuple(one for one in parts["test"] if one.id != used[0].id)
        path = tmp_path / "without.json"
        save_split(ground.split.model_copy(update={"parts": parts | {"test": rest}}), path)
        bundle = make_bundle(contents=self.contents(make_bundle, listed(used)))
        with pytest.raises(SplitError, match="or their patients, were used for calibration"):
            evaluate_bundle(bundle, ground.data, Options(split=path, resamples=20))

    def test_those_of_the_training_part_prove_something(self, make_bundle, ground, split_file):
        used = ground.split.samples("train", ground.index)[:9]
        bundle = make_bundle(contents=self.contents(make_bundle, listed(used)))
        options = Options(split=split_file, resamples=20)
        proven = evaluate_bundle(bundle, ground.data, options).document.cells.proven
        assert any("none of the 9 calibration images" in text for text in proven)

    @staticmethod
    def contents(make_bundle, calibration: bytes) -> dict[str, object]:
        """What a bundle holds, and the list."""
        bundle = make_bundle()
        names = [p.relative_to(bundle).as_posix() for p in (bundle / "model").iterdir()]
        kept = {name: (bundle / name).read_bytes() for name in names}
        return kept | {"docs/model_card.md": b"# a test\n", "calibration.json": calibration}


class TestBadInput:
    def test_a_changed_bundle_is_refused(self, make_bundle, ground):
        bundle = make_bundle()
        (bundle / "threshold.json").write_text("{}")
        with pytest.raises(IntegrityError, match=r"threshold\.json has changed"):
            evaluate_bundle(bundle, ground.data, QUICK)

    def test_classes_are_found_by_their_folded_names(self, tmp_path):
        index = load_index(folder_of_classes(tmp_path / "d", ["Benign", "Early", "Pro"]))
        labels = labels_of(("Benign", "Early+Pre+Pro"), index)
        assert labels == LabelMap(("Benign", "Early+Pre+Pro"), {"Benign": 0, "Early": 1, "Pro": 1})
        with pytest.raises(DataError, match="class Pro"):
            labels_of(("Benign", "Early+Pre"), index)
        with pytest.raises(DataError, match="no image of class Gone"):
            labels_of(("Benign+Early+Pro", "Gone"), index)

    def test_another_data_set_is_refused(self, make_bundle, split_file, tmp_path):
        data = folder_of_classes(tmp_path / "d", ["hem", "all"])
        with pytest.raises(SplitError, match="another data set"):
            evaluate_bundle(make_bundle(), data, Options(split=split_file))
