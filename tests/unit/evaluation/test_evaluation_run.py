"""Judging a run: its own cells, its own threshold, and the refusal of what it has seen."""

import json
import shutil

import numpy as np
import pytest
from evaluation_support import QUICK, Ground, folder_of_classes, make_run
from PIL import Image

from allnet_edge.data.images import load_batch
from allnet_edge.data.samples import LabelMap
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import Split, make_split, save_split
from allnet_edge.errors import DataError, IntegrityError, SplitError, UnknownNameError, UsageError
from allnet_edge.evaluation.cells import Options
from allnet_edge.evaluation.from_run import evaluate_run
from allnet_edge.measure.metrics import confusion
from allnet_edge.measure.thresholds import fit_threshold
from allnet_edge.models.storage import float_model


def by_keras(ground: Ground, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities by the shortest way there is."""
    import keras

    model, network = float_model.instantiate(keras, ground.run)
    samples = ground.split.samples(part, ground.index)
    images = load_batch([ground.index.path(one) for one in samples], model.spec.preprocess)
    scores = network.predict(images.astype(np.float32), verbose=0)[:, 0]
    return np.array([one.label == "all" for one in samples]), scores


class TestOwnSplit:
    def test_scores_threshold_and_counts_are_those_of_keras(self, ground, judged):
        threshold = fit_threshold(*by_keras(ground, "validation"))
        labels, scores = by_keras(ground, "test")
        np.testing.assert_allclose(judged.scored.scores[:, 1], scores, atol=1e-5)
        point = judged.document.operating_point
        assert point.threshold == pytest.approx(threshold, abs=1e-5)
        assert point.n == len(ground.split.parts["validation"])
        counts = confusion(labels, scores, threshold)
        assert judged.document.performance.confusion == (
            (counts.tn, counts.fp),
            (counts.fn, counts.tp),
        )

    def test_figures_at_half_stand_beside(self, ground, judged):
        labels, scores = by_keras(ground, "test")
        expected = confusion(labels, scores, 0.5)
        found = judged.document.at_half
        assert found["sensitivity"].value == pytest.approx(expected.sensitivity)
        assert "roc_auc" not in found
        assert found["ppv_at_prevalence"].n == len(labels)

    def test_unseen_patients_are_proven(self, ground, judged):
        cells = judged.document.cells
        assert cells.exposure == "unseen"
        assert not cells.not_proven
        assert "none of the" in cells.proven[0]
        assert f"none of the {cells.patients} patients" in cells.proven[1]
        assert cells.n == len(ground.split.parts["test"])
        assert cells.parts == {name: len(held) for name, held in ground.split.parts.items()}

    def test_phantoms_are_named(self, judged):
        assert judged.document.phantom
        assert "phantom (synthetic) cells" in judged.document.headline

    def test_what_went_in_is_hashed(self, ground, judged):
        description = float_model.read(ground.run)
        hashes = judged.document.network.hashes
        assert hashes["model.safetensors"] == description.weights_sha256
        assert hashes["split"] == hashes["split of the training"] == ground.split.sha256
        assert hashes["index"] == ground.index.sha256
        assert judged.document.network.turns == 1

    def test_each_patient_has_a_row(self, ground, judged):
        samples = ground.split.samples("test", ground.index)
        rows = judged.document.patients
        assert {row.patient for row in rows} == {one.patient for one in samples}
        assert sum(row.n for row in rows) == len(samples)
        assert [row.accuracy for row in rows] == sorted(row.accuracy for row in rows)
        first = rows[0]
        own = np.array([one.patient == first.patient for one in samples])
        assert first.right == judged.scored.right[own].sum()
        assert first.score == pytest.approx(judged.scored.scores[own, 1].mean())
        assert {first.label} == {one.label for one, its in zip(samples, own, strict=True) if its}

    def test_a_probe_stands_beside_the_network(self, judged):
        size, background = judged.document.probes
        assert size.status == "measured"
        assert size.performance.n == judged.document.performance.n
        assert set(size.performance.figures) == set(judged.document.performance.figures)
        assert background.status == "not applicable"
        assert "cells on black" in background.why

    @pytest.mark.parametrize(
        ("part", "exposure"), [("validation", "validation"), ("train", "train")]
    )
    def test_seen_parts_are_judged_and_named(self, ground, part, exposure):
        found = evaluate_run(ground.run, ground.data, Options(part=part, resamples=20)).document
        assert found.cells.exposure == exposure
        assert found.cells.part == part
        assert f"({part}," in found.headline
        assert found.cells.not_proven[0] in found.warnings

    def test_turns_are_those_that_the_run_was_trained_for(self, ground, tmp_path):
        run = make_run(tmp_path / "run", ground.split, ground.labels, turns=4)
        found = evaluate_run(run, ground.data, QUICK)
        assert found.document.network.turns == 4
        plain = evaluate_run(run, ground.data, Options(turns=1, resamples=20))
        assert plain.document.network.turns == 1
        assert np.abs(found.scored.scores - plain.scored.scores).max() > 1e-4


class TestCollapsed:
    def test_a_network_that_says_the_same_of_every_cell_is_judged_and_named(self, ground, tmp_path):
        """As the Inception baseline of the ALLNet paper: a result, no error."""
        run = make_run(tmp_path / "run", ground.split, ground.labels, collapsed=True)
        document = evaluate_run(run, ground.data, QUICK).document
        assert document.operating_point.threshold == 0.5
        assert "no threshold can be fitted" in document.operating_point.fitted_on
        assert any("collapsed" in warning for warning in document.warnings)
        figures = document.performance.figures
        assert figures["roc_auc"].value == 0.5
        assert figures["sensitivity"].value == 1
        assert figures["specificity"].value == 0
        assert figures["npv"].value is None


class TestAnotherSplit:
    def saved(self, split: Split, folder) -> object:
        path = folder / "other.json"
        save_split(split, path)
        return path

    def test_a_split_whose_test_part_was_trained_on_is_refused(self, ground, tmp_path):
        other = make_split(ground.index, "patient", seed=7, official=False)
        path = self.saved(other, tmp_path)
        with pytest.raises(SplitError, match="trained or chosen on") as caught:
            evaluate_run(ground.run, ground.data, Options(split=path, resamples=20))
        assert caught.value.where == str(path)

    def test_its_training_part_may_be_judged_on_and_is_named(self, ground, tmp_path):
        parts = dict(ground.split.parts)
        moved = ground.split.model_copy(
            update={"parts": parts | {"train": parts["test"], "test": parts["train"]}}
        )
        path = self.saved(moved, tmp_path)
        with pytest.raises(SplitError, match="trained or chosen on"):
            evaluate_run(ground.run, ground.data, Options(split=path, resamples=20))
        options = Options(split=path, part="train", resamples=20)
        assert evaluate_run(ground.run, ground.data, options).document.cells.exposure == "unseen"

    def test_a_threshold_is_never_fitted_on_training_cells(self, ground, tmp_path):
        parts = dict(ground.split.parts)
        moved = ground.split.model_copy(
            update={"parts": parts | {"validation": parts["train"], "train": parts["validation"]}}
        )
        path = self.saved(moved, tmp_path)
        with pytest.raises(SplitError, match="the validation part holds"):
            evaluate_run(ground.run, ground.data, Options(split=path, resamples=20))

    def test_a_patient_on_both_sides_is_refused(self, ground, tmp_path):
        parts = {name: list(held) for name, held in ground.split.parts.items()}
        parts["train"].append(parts["test"].pop(0))
        torn = ground.split.model_copy(
            update={"parts": {name: tuple(held) for name, held in parts.items()}}
        )
        with pytest.raises(SplitError, match="patients stand in two parts"):
            evaluate_run(
                ground.run, ground.data, Options(split=self.saved(torn, tmp_path), resamples=20)
            )

    def test_another_data_set_is_refused(self, ground, tmp_path):
        from allnet_edge.data.phantom import write_dataset

        other = tmp_path / "other"
        write_dataset(other, images=30, patients=8, seed=9, size=48)
        with pytest.raises(SplitError, match="another data set"):
            evaluate_run(ground.run, other, QUICK)

    def test_a_class_that_the_part_lacks_is_refused(self, ground, tmp_path):
        parts = dict(ground.split.parts)
        poor = tuple(one for one in parts["test"] if one.label == "all")
        split = ground.split.model_copy(update={"parts": parts | {"test": poor}})
        run = make_run(tmp_path / "run", split, ground.labels)
        with pytest.raises(SplitError, match="test holds no image of class hem"):
            evaluate_run(run, ground.data, QUICK)

    def test_a_leaking_split_is_judged_and_named_everywhere(self, ground, tmp_path):
        split = make_split(ground.index, "random", seed=1)
        run = make_run(tmp_path / "run", split, ground.labels)
        document = evaluate_run(run, ground.data, QUICK).document
        assert document.cells.leaking
        assert document.cells.exposure == "leaking"
        assert "LEAKING" in document.headline
        assert any("LEAKS" in warning for warning in document.warnings)
        assert "patients stand on both sides" in document.cells.not_proven[0]


class TestBadInput:
    def copied(self, ground: Ground, folder) -> object:
        return shutil.copytree(ground.data, folder / "copy")

    def test_a_changed_file_is_refused(self, ground, tmp_path):
        data = self.copied(ground, tmp_path)
        victim = data / ground.split.parts["test"][0].id
        Image.new("RGB", (48, 48), (9, 9, 9)).save(victim)
        with pytest.raises(SplitError, match="changed since the split was made"):
            evaluate_run(ground.run, data, QUICK)

    def test_a_file_that_changes_behind_the_index_is_refused(self, ground, tmp_path):
        data = self.copied(ground, tmp_path)
        victim = data / ground.split.parts["test"][3].id

        def strike(what: str, done: int, total: int) -> None:
            if what == "validation cells":
                Image.new("RGB", (48, 48), (9, 9, 9)).save(victim)

        with pytest.raises(IntegrityError, match="changed after it was indexed") as caught:
            evaluate_run(ground.run, data, QUICK, progress=strike)
        assert caught.value.where == str(victim)

    @pytest.mark.parametrize("name", ["split.json", "model.safetensors"])
    def test_a_run_that_was_changed_is_refused(self, ground, tmp_path, name):
        run = shutil.copytree(ground.run, tmp_path / "run")
        if name == "split.json":
            content = json.loads((run / name).read_text())
            content["seed"] = 99
            (run / name).write_text(json.dumps(content))
        else:
            data = bytearray((run / name).read_bytes())
            data[-1] ^= 1
            (run / name).write_bytes(bytes(data))
        with pytest.raises(IntegrityError, match="changed after training"):
            evaluate_run(run, ground.data, QUICK)

    def test_a_class_that_the_network_does_not_know_is_refused(self, tmp_path):
        data = folder_of_classes(tmp_path / "data", ["a", "b", "c"])
        index = load_index(data)
        split = make_split(index, "random")
        labels = LabelMap(("a", "b"), {"a": 0, "b": 1})
        run = make_run(tmp_path / "run", split, labels)
        with pytest.raises(DataError, match="class c"):
            evaluate_run(run, data, QUICK)

    @pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, 1.5])
    def test_a_prevalence_outside_of_0_to_1_is_refused(self, prevalence):
        with pytest.raises(UsageError, match="prevalence"):
            Options(prevalence=prevalence)

    def test_an_unknown_part_names_the_nearest(self):
        with pytest.raises(UnknownNameError) as caught:
            Options(part="tests")
        assert "did you mean test?" in caught.value.fix

    @pytest.mark.parametrize("turns", [0, -3, 361])
    def test_a_senseless_number_of_turns_is_refused(self, turns):
        with pytest.raises(UsageError, match="rotations"):
            Options(turns=turns)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A run of three classes, its data and its evaluation."""
    root = tmp_path_factory.mktemp("several")
    data = folder_of_classes(root / "data", ["Benign", "Early", "Pre"], images=15)
    index = load_index(data)
    split = make_split(index, "random")
    run = make_run(root / "run", split, LabelMap.multiclass(index.labels))
    return run, data, evaluate_run(run, data, QUICK)


class TestSeveralClasses:
    def test_the_most_probable_class_is_decided_for(self, found):
        _, _, judged = found
        document = judged.document
        assert document.operating_point.rule == "argmax"
        assert document.at_half is None
        assert (judged.scored.decisions == judged.scored.scores.argmax(axis=1)).all()
        np.testing.assert_allclose(judged.scored.scores.sum(axis=1), 1, atol=1e-5)
        assert set(document.performance.per_class) == {"Benign", "Early", "Pre"}
        assert document.cells.patients is None
        assert not document.patients
        assert len(document.curves) == 3

    def test_the_background_of_fields_is_probed(self, found):
        """Noise that is brighter from class to class: both shortcuts see all there is to see."""
        for probe in found[2].document.probes:
            assert probe.status == "measured"
            assert probe.performance.figures["accuracy"].value > 0.9
            assert "balanced_accuracy" in probe.within

    def test_a_prevalence_is_refused(self, found):
        run, data, _ = found
        with pytest.raises(UsageError, match="one positive class"):
            evaluate_run(run, data, Options(prevalence=0.1))
