"""A run with a teacher: what it leaves behind, how it goes on, and which teachers it refuses."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file
from training_support import SETTINGS

from allnet_edge.cli.main import main
from allnet_edge.data.images import load_batch
from allnet_edge.data.samples import LabelMap
from allnet_edge.data.split import Split, make_split
from allnet_edge.errors import SplitError, UsageError
from allnet_edge.models.storage import float_model
from allnet_edge.spec.training import Distil
from allnet_edge.training import distil, distil_answers, fit
from allnet_edge.training.augment import RandomSymmetry
from allnet_edge.training.distil_answers import symmetric, symmetry_number
from allnet_edge.training.fit import train

pytestmark = pytest.mark.xdist_group("training")
# The teacher is `finished`: mini at 32 pixels.
TAUGHT = SETTINGS.model_copy(
    update={"model": "plain", "input_size": 48, "distil": Distil(), "epochs": 2}
)
ANSWERS, CHECKPOINT = "teacher.safetensors", "checkpoint.safetensors"


@pytest.fixture
def learn(cells, finished):
    def run(out: Path, *, resume: bool = False, **changed: object) -> float_model.FloatModel:
        settings = TAUGHT.model_copy(update=changed)
        return train(
            settings, cells.index, cells.split, cells.labels, out,
            teacher=finished.folder, resume=resume,
        )  # fmt: skip

    return run


def test_the_description_names_the_teacher_and_the_folder_holds_a_plain_network(
    learn, finished, tmp_path
):
    model = learn(tmp_path)
    assert (model.record.how, model.record.parents) == ("distil", (finished.model.weights_sha256,))
    assert model.record.settings["teacher"] == "mini"
    assert json.loads(model.record.settings["distil"])["temperature"] == 4.0
    again, network = float_model.instantiate(keras, tmp_path)
    assert again == model
    assert network.output_shape == (None, 1)
    rows = json.loads((tmp_path / "history.json").read_text())
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert 0 <= rows[-1]["accuracy"] <= 1


def test_stored_answers_are_the_teachers_to_its_own_pixels_in_the_eight_symmetries(
    learn, finished, cells, tmp_path
):
    learn(tmp_path, epochs=1)
    stored = load_file(tmp_path / ANSWERS)["answers"]
    description, teacher = float_model.instantiate(keras, finished.folder)
    images = load_batch(cells.paths("train"), description.spec.preprocess).astype(np.float32)
    turned = [images, images[:, ::-1], images[:, :, ::-1], images[:, ::-1, ::-1]]
    turned += [one.transpose(0, 2, 1, 3) for one in turned]
    inner = keras.Model(teacher.inputs, teacher.get_layer("logits").output)
    expected = np.stack([inner.predict(one, verbose=0) for one in turned], axis=1)
    np.testing.assert_allclose(stored, expected, atol=1e-4)
    assert expected.std(axis=1).max() > 1e-3, "symmetries that all answer alike would prove nothing"


def test_the_number_of_a_symmetry_is_that_of_the_stored_answer():
    image = np.random.default_rng(0).integers(0, 256, (1, 7, 7, 3)).astype(np.float32)
    turned, draws = RandomSymmetry(2).turned(keras.ops.repeat(image, 64, axis=0))
    numbers = keras.ops.convert_to_numpy(symmetry_number(draws))[:, 0].astype(int)
    assert set(numbers) == set(range(8))
    for number, one in zip(numbers, keras.ops.convert_to_numpy(turned), strict=True):
        np.testing.assert_array_equal(symmetric(image, number)[0], one)


def test_stored_answers_teach_what_the_teacher_in_the_step_teaches(learn, tmp_path, monkeypatch):
    """With one input size for both they are the same answers."""
    learn(tmp_path / "stored", input_size=32)
    for module in (distil, distil_answers, fit):
        monkeypatch.setattr(module, "symmetries", lambda _: 0)
    learn(tmp_path / "in the step", input_size=32)
    assert not (tmp_path / "in the step" / ANSWERS).exists()
    stored, fresh = (load_file(tmp_path / f / CHECKPOINT) for f in ("stored", "in the step"))
    for name in fresh:
        np.testing.assert_allclose(stored[name], fresh[name], atol=1e-4, err_msg=name)


def test_the_teacher_moves_the_student(learn, cells, tmp_path):
    taught = learn(tmp_path / "taught")
    alone = TAUGHT.model_copy(update={"distil": None})
    train(alone, cells.index, cells.split, cells.labels, tmp_path / "alone")
    assert taught.weights_sha256 != float_model.read(tmp_path / "alone").weights_sha256


class TestResumed:
    @pytest.mark.parametrize(
        "how",
        [
            {"augment": "none"},
            {"augment": "dihedral"},
            {"augment": "affine", "translation": 0.2},
            {"augment": "dihedral", "model": "mini", "distil": Distil(hints="auto")},
            {"augment": "none", "oversample": "smote"},
        ],
        ids=["none", "dihedral", "affine", "hints", "smote"],
    )
    def test_it_ends_as_if_nothing_had_happened(self, learn, tmp_path, how):
        whole = learn(tmp_path / "whole", **how)
        for epochs in (1, 2):
            parts = learn(tmp_path / "parts", resume=True, epochs=epochs, **how)
        assert parts.weights_sha256 == whole.weights_sha256
        ours, theirs = (load_file(tmp_path / folder / CHECKPOINT) for folder in ("parts", "whole"))
        assert ours.keys() == theirs.keys()
        for name, array in theirs.items():
            np.testing.assert_array_equal(ours[name], array, err_msg=name)
        assert not [name for name in theirs if name.startswith("teacher/")]
        hints = [name for name in theirs if name.startswith("hint_")]
        assert bool(hints) == ("distil" in how)
        stored = load_file(tmp_path / "whole" / "model.safetensors")
        assert not [name for name in stored if name.startswith(("hint_", "teacher"))]
        assert (tmp_path / "whole" / ANSWERS).exists() == (
            how["augment"] != "affine" and "distil" not in how
        )

    def test_the_teacher_is_asked_once(self, learn, tmp_path, monkeypatch):
        learn(tmp_path, epochs=1)
        monkeypatch.setattr(distil_answers, "FrozenNetwork", None)  # would fail if it were asked
        learn(tmp_path, epochs=2, resume=True)

    def test_damaged_answers_are_asked_for_again(self, learn, tmp_path):
        whole = learn(tmp_path / "whole")
        learn(tmp_path / "parts", epochs=1)
        path = tmp_path / "parts" / ANSWERS
        path.write_bytes(path.read_bytes()[:-7])
        assert learn(tmp_path / "parts", resume=True).weights_sha256 == whole.weights_sha256

    def test_another_teacher_is_another_run(self, learn, cells, tmp_path):
        learn(tmp_path / "student", epochs=1)
        train(
            SETTINGS.model_copy(update={"epochs": 1, "seed": 9}),
            cells.index, cells.split, cells.labels, tmp_path / "other",
        )  # fmt: skip
        with pytest.raises(UsageError, match="other settings or other data"):
            train(
                TAUGHT, cells.index, cells.split, cells.labels, tmp_path / "student",
                teacher=tmp_path / "other", resume=True,
            )  # fmt: skip


class TestRefused:
    def test_a_teacher_of_another_split(self, cells, finished, tmp_path):
        other = make_split(cells.index, "patient", official=False, seed=7)
        with pytest.raises(SplitError, match="may have seen this one's test cells") as caught:
            train(
                TAUGHT, cells.index, other, cells.labels, tmp_path / "run", teacher=finished.folder
            )
        assert str(finished.folder / "split.json") in (caught.value.fix or "")
        assert not (tmp_path / "run").exists()

    def test_the_same_parts_under_another_hash(self, cells, finished, tmp_path):
        other = Split.model_validate(cells.split.model_dump() | {"why": "another one"})
        with pytest.raises(SplitError, match="another split"):
            train(TAUGHT, cells.index, other, cells.labels, tmp_path, teacher=finished.folder)

    def test_a_teacher_of_other_classes(self, cells, finished, tmp_path):
        turned = LabelMap.binary(cells.index.labels, ["hem"])
        with pytest.raises(UsageError, match="hem, all apart, not all, hem") as caught:
            train(TAUGHT, cells.index, cells.split, turned, tmp_path, teacher=finished.folder)
        assert "--positive all" in (caught.value.fix or "")

    def test_a_teacher_that_nobody_listens_to_and_a_lesson_without_one(
        self, cells, finished, tmp_path
    ):
        deaf = TAUGHT.model_copy(update={"distil": None})
        for settings, teacher in ((deaf, finished.folder), (TAUGHT, None)):
            with pytest.raises(UsageError, match="give --teacher RUN") as caught:
                train(settings, cells.index, cells.split, cells.labels, tmp_path, teacher=teacher)
            assert caught.value.exit_code == 2

    @pytest.mark.parametrize("how", [{"augment": "affine"}, {"oversample": "smote"}])
    def test_another_crop_where_the_teacher_sees_the_students_pixels(self, learn, tmp_path, how):
        with pytest.raises(UsageError, match="the teacher knows the whole image") as caught:
            learn(tmp_path, crop=40, **how)
        assert caught.value.fix == "give --crop 0"
        learn(tmp_path, crop=40, epochs=1)


class TestVerb:
    @pytest.fixture
    def run(self, cells, tmp_path, capsys):
        def call(*extra: object) -> tuple[int, str, dict]:
            code = main(
                ["train", "--model", "custom_cnn", "--data", str(cells.root), "--width", "0.125",
                 "--input-size", "32", "--batch-size", "16", "--epochs", "1",
                 "-o", str(tmp_path / "run"), *map(str, extra)]
            )  # fmt: skip
            path = tmp_path / "run" / "model.json"
            told = json.loads(path.read_text()) if path.exists() else {}
            return code, capsys.readouterr().err, told

        return call

    def test_the_teachers_own_split_and_the_settings_given(self, run, finished):
        code, said, told = run(
            "--teacher", finished.folder, "--temperature", 3, "--distil-weight", 0.5,
            "--hints", "conv1_pool=stem_relu, conv2_pool = head_conv_relu",
        )  # fmt: skip
        assert code == 0, said
        assert told["split_sha256"] == finished.model.split_sha256
        distilled = json.loads(told["record"]["settings"]["distil"])
        assert distilled == {
            "temperature": 3.0, "weight": 0.5, "hint_weight": 1.0,
            "hints": [
                {"student": "conv1_pool", "teacher": "stem_relu"},
                {"student": "conv2_pool", "teacher": "head_conv_relu"},
            ],
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("extra", "code", "said"),
        [
            (["--temperature", "3"], 2, "who is the teacher?"),
            (["--hints", "auto"], 2, "who is the teacher?"),
            (["--teacher", "absent"], 9, "cannot read the split"),
            (["--teacher", "{}", "--temperature", "0"], 2, "distil.temperature"),
            (["--teacher", "{}", "--hints", "a=b=c"], 2, "no pair of layers"),
            (["--teacher", "{}", "--hints", "a=stem_relu"], 2, "unknown layer of custom_cnn"),
            (["--teacher", "{}", "--protocol", "random"], 9, "another split"),
            (["--teacher", "{}", "--positive", "hem"], 2, "--positive all"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else None,
    )
    def test_what_cannot_be_is_said(self, run, finished, extra, code, said):
        found, told, made = run(*(one.replace("{}", str(finished.folder)) for one in extra))
        assert (found, said in told, made) == (code, True, {}), told
        assert "Traceback" not in told
