"""The float model on disk: whole, proven by its hash, or refused with exit code 7."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tf_keras

from allnet_edge.errors import IntegrityError
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import DESCRIPTION, WEIGHTS, TrainingRecord
from allnet_edge.models.storage.weights import arrays_of


@pytest.fixture
def stored(tmp_path: Path, make_spec, build_trained):
    spec = make_spec("custom_cnn")
    network = build_trained(keras, spec)
    model = float_model.save(
        tmp_path,
        arrays_of(network),
        spec,
        label_index={"hem": 0, "all": 1},
        split_sha256="5" * 64,
        record=TrainingRecord(how="train", settings={"epochs": 3}, versions={"keras": "3"}),
    )
    return model, network


def describe(folder: Path, **changed: object) -> None:
    raw = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps(raw | changed))


def test_what_was_saved_is_read_back(stored, tmp_path):
    model, network = stored
    again, arrays = float_model.load(tmp_path)
    assert again == model == float_model.read(tmp_path)
    assert again.positive == "all"
    assert again.schema_version == 1
    for name, array in arrays_of(network).items():
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize("other", [keras, tf_keras], ids=["keras3", "tf_keras"])
def test_it_comes_to_life_in_either_keras(stored, other, tmp_path, pixels):
    _, network = stored
    _, again = float_model.instantiate(other, tmp_path)
    images = pixels(3, 96)
    np.testing.assert_allclose(
        again.predict(images, verbose=0), network.predict(images, verbose=0), atol=1e-5
    )


def test_the_same_weights_give_the_same_hash(stored, tmp_path, make_spec):
    model, network = stored
    (tmp_path / "again").mkdir()
    again = float_model.save(
        tmp_path / "again", arrays_of(network), make_spec("custom_cnn"), label_index={},
        split_sha256="", record=TrainingRecord(how="prune", parents=(model.weights_sha256,)),
    )  # fmt: skip
    assert again.weights_sha256 == model.weights_sha256


def refusal(folder: Path) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught:
        float_model.load(folder)
    assert caught.value.exit_code == 7
    return caught.value


def test_one_flipped_bit_of_the_weights_is_refused(stored, tmp_path):
    data = bytearray((tmp_path / WEIGHTS).read_bytes())
    data[-5] ^= 1
    (tmp_path / WEIGHTS).write_bytes(data)
    error = refusal(tmp_path)
    assert "changed after training" in error.what
    assert error.where == str(tmp_path / WEIGHTS)


def test_missing_weights_are_refused(stored, tmp_path):
    (tmp_path / WEIGHTS).unlink()
    assert "weight file is missing" in refusal(tmp_path).what


@pytest.mark.parametrize("version", [0, 2, None, "1"])
def test_another_schema_version_is_refused_with_both(stored, tmp_path, version):
    describe(tmp_path, schema_version=version)
    error = refusal(tmp_path)
    assert f"schema version {version}" in error.what
    assert "reads 1" in error.what
    assert "train again" in error.fix


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"schema_version": 1}', b"\xff"])
def test_a_damaged_description_is_refused(stored, tmp_path, data):
    (tmp_path / DESCRIPTION).write_bytes(data)
    refusal(tmp_path)


def test_an_unknown_key_is_refused(stored, tmp_path):
    describe(tmp_path, colour="red")
    assert "colour" in refusal(tmp_path).what


@pytest.mark.parametrize("folder", ["absent", "empty"])
def test_a_folder_without_a_model_is_refused_with_what_to_do(tmp_path, folder):
    if folder == "empty":
        (tmp_path / folder).mkdir()
    error = refusal(tmp_path / folder)
    assert "no readable float model" in error.what
    assert "allnet-edge train" in error.fix


def test_weights_that_are_no_safetensors_are_refused():
    with pytest.raises(IntegrityError, match="no safetensors"):
        float_model.undump(b"\x80\x04pickle", where="x")


def test_a_killed_save_leaves_no_description_of_other_weights(stored, tmp_path, monkeypatch):
    _, network = stored

    def killed(path: Path, data: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(float_model, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        float_model.save(
            tmp_path, arrays_of(network), stored[0].spec, label_index={}, split_sha256="",
            record=TrainingRecord(how="train"),
        )  # fmt: skip
    assert "no readable float model" in refusal(tmp_path).what
