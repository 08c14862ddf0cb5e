"""A recipe's pruning, end to end on a small network: what comes out, and that it lives on."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tf_keras

from allnet_edge import models
from allnet_edge.compress.pruning import LabelledFiles, apply_pruning
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.errors import RecipeError
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import TrainingRecord
from allnet_edge.models.storage.size import macs_of, parameters_of
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.spec.recipe import PruneSpec

pytestmark = pytest.mark.xdist_group("channels")
ZOO = Path(__file__).resolve().parents[2] / "zoo"


@pytest.fixture(autouse=True)
def _zoo(monkeypatch):
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(ZOO)])


@pytest.fixture(scope="module")
def done(network, spec, files):
    settings = PruneSpec(
        kind="channels", macs=0.5, two_of_four=True, epochs=2, steps=2, learning_rate=3e-3
    )
    told = []
    half = LabelledFiles(files.paths[:12], files.labels[:12])
    result = apply_pruning(
        network, spec, settings, files, half, batch_size=8, progress=lambda *args: told.append(args)
    )
    return result, told


def test_the_smaller_network_is_described_by_its_spec(done, network, spec):
    result, _ = done
    small = models.build(tf_keras, result.spec)
    assign(small, result.arrays)
    assert result.channels.macs == (macs_of(network), macs_of(small))
    assert result.channels.parameters == (parameters_of(network), parameters_of(small))
    assert macs_of(small) <= 0.5 * macs_of(network)
    assert result.spec.model_copy(update={"channels": {}}) == spec
    assert result.spec.channels == {n: after for n, (_, after) in result.channels.channels.items()}
    for name, count in result.spec.channels.items():
        assert result.arrays[f"{name}/kernel"].shape[-1] == count


def test_the_given_network_is_left_as_it_was(network, spec, files):
    before = {name: array.copy() for name, array in arrays_of(network).items()}
    apply_pruning(network, spec, PruneSpec(kind="channels", epochs=1), files, batch_size=8)
    for name, array in arrays_of(network).items():
        np.testing.assert_array_equal(array, before[name])


def test_what_is_left_is_2_4_sparse_where_it_is_asked_for(done):
    result, _ = done
    shares = {name: one["valid_2_4"] for name, one in result.kernels.items()}
    eligible = {name: share for name, share in shares.items() if share is not None}
    assert len(eligible) >= 3
    assert set(eligible.values()) == {1.0}


def test_every_step_and_epoch_is_told(done):
    result, told = done
    titles = [title.split(":")[0] for title, _, _ in told]
    assert {"sliced, step 1/2", "sliced, step 2/2", "importance of channels"} <= set(titles)
    # An epoch between the steps, two behind the last, two for the zeros.
    assert [epoch.epoch for epoch in result.channels.epochs] == [1, 1, 2]
    assert [epoch.epoch for epoch in result.epochs] == [1, 2]
    plain = json.loads(json.dumps(result.to_json()))
    assert plain["channels"]["left"] == {"logits": "it is the network's output"}
    for epoch in plain["channels"]["epochs"]:
        assert 0 <= epoch["agreement"] <= 1
        assert epoch["loss"] > 0


def test_it_is_stored_and_comes_to_life_in_either_keras_and_in_onnx(done, tmp_path, images):
    result, _ = done
    float_model.save(
        tmp_path, result.arrays, result.spec, label_index={"hem": 0, "all": 1},
        split_sha256="5" * 64, record=TrainingRecord(how="prune"),
    )  # fmt: skip
    assert json.loads((tmp_path / "model.json").read_text())["spec"]["channels"]
    pixels = images.source.rows(np.arange(4)).astype(np.float32)
    answers = []
    for kind in (keras, tf_keras):
        described, twin = float_model.instantiate(kind, tmp_path)
        assert described.spec == result.spec
        answers.append(twin.predict(pixels, verbose=0))
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)
    graph = onnx_from_keras(twin, result.spec.input_size).graph
    assert graph.output[0].name == "probability"


def test_the_same_seed_gives_the_same_bytes(network, spec, files):
    settings = PruneSpec(kind="channels", macs=0.6, epochs=1)
    one, other = (apply_pruning(network, spec, settings, files, batch_size=8) for _ in "ab")
    assert one.spec == other.spec
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name])


def test_fine_tuning_wins_back_what_slicing_lost(network, spec, files):
    """On the images that it is tuned on: the answers come nearer to the float network's."""
    settings = PruneSpec(kind="channels", macs=0.4, epochs=8, learning_rate=3e-3)
    result = apply_pruning(network, spec, settings, files, files, batch_size=8)
    differences = [epoch.mean_difference for epoch in result.channels.epochs]
    assert differences[-1] < 0.8 * result.channels.before_tuning["mean_difference"]


def test_bn_scale_prunes_the_layers_that_have_one_and_names_the_others(network, spec, files):
    settings = PruneSpec(kind="channels", macs=0.9, importance="bn-scale", epochs=1)
    told = apply_pruning(network, spec, settings, files, batch_size=8).channels
    assert set(told.channels) <= {"stem_conv", "block_1_conv", "block_2_conv", "right_conv"}
    assert set(told.left) == {"left", "head_conv", "head_dense", "logits"}


def test_a_budget_that_cannot_be_met_is_an_error(network, spec, files):
    settings = PruneSpec(kind="channels", macs=0.001)
    with pytest.raises(RecipeError, match="cannot be kept"):
        apply_pruning(network, spec, settings, files)


def test_the_kinds_without_channels_leave_the_spec_alone(network, spec, files):
    result = apply_pruning(network, spec, PruneSpec(kind="2:4", epochs=1), files, batch_size=8)
    assert result.spec == spec
    assert result.channels is None
    assert result.kernels["head_dense/kernel"]["valid_2_4"] == 1.0
