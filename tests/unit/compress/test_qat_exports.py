"""Both exports of a network that learned to be rounded answer as the network that was trained."""

from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import tf_keras
from in_memory_pixels import InMemory
from living import living
from qat_support import Exported, logits_of
from zoo import tiny

from allnet_edge.compress.finetune import FineTuning
from allnet_edge.compress.qat import QatResult, as_rounded, train_quantized
from allnet_edge.compress.qat_placement import place
from allnet_edge.compress.turned import LabelledImages
from allnet_edge.convert import qdq_placement
from allnet_edge.convert.names_of_layers import onnx_ranges
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.convert.onnx_wiring import Wiring
from allnet_edge.data.phantom import generate
from allnet_edge.models.storage.weights import assign

pytestmark = pytest.mark.xdist_group("qat_exports")


@dataclass(frozen=True)
class Trained:
    plain: tf_keras.Model  # float, with the weights that were learned under rounding
    float_answers: np.ndarray  # logits before it
    images: np.ndarray
    result: QatResult
    files: Exported

    def rounded(self, form: str) -> np.ndarray:
        model = as_rounded(self.plain, self.result.ranges, form)
        return logits_of(model.predict(self.images.astype(np.float32), verbose=0))

    @property
    def step(self) -> float:
        """What one step of every value that the head reads makes of a logit, at most."""
        kernel = self.plain.get_layer("logits").get_weights()[0]
        return self.result.ranges["head_dense"].high / 127 * float(np.abs(kernel).sum())


@pytest.fixture(scope="module")
def trained(spec, tmp_path_factory) -> Trained:
    """A residual sum, branches that are concatenated, pools and a dense layer."""
    cells = generate(160, patients=20, seed=4, size=32)
    pixels, truth = cells.images, np.array([label == "all" for label in cells.labels], np.float32)
    tf_keras.utils.set_random_seed(1)
    model = tiny.build(tf_keras, spec)
    model.compile(tf_keras.optimizers.Adam(3e-3), "binary_crossentropy")
    model.fit(pixels.astype(np.float32), truth, epochs=6, batch_size=16, verbose=0)
    before = logits_of(model.predict(pixels.astype(np.float32), verbose=0))
    result = train_quantized(
        model,
        LabelledImages(InMemory(pixels), truth.astype(int).tolist()),
        FineTuning(epochs=2, learning_rate=1e-4, distil=1.0, batch_size=16),
    )
    assign(model, result.arrays)
    files = Exported.of(model, result.ranges, tmp_path_factory.mktemp("qat"))
    return Trained(model, before, pixels, result, files)


def test_the_network_decides_at_all(trained):
    called = trained.float_answers > 0
    assert 0.2 < called.mean() < 0.8
    assert trained.float_answers.std() > 1


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_what_a_device_runs_is_within_one_step_of_what_was_trained_and_decides_the_same(
    trained, form
):
    """One step of the last int8 tensor, times the head's weights. A runtime decides a tie between
    two steps in its own way, which now and then lasts to the end: hence two steps for a few.
    """
    expected, found = trained.rounded(form), trained.files.logits(f"int8.{form}", trained.images)
    error = np.abs(found - expected)
    assert (error <= trained.step).mean() >= 0.97, np.sort(error)[-5:] / trained.step
    assert error.max() <= 2 * trained.step
    sure = np.abs(expected) > trained.step
    assert sure.mean() > 0.8
    np.testing.assert_array_equal((found > 0)[sure], (expected > 0)[sure])


def test_both_forms_decide_the_same(trained):
    tflite, onnx_form = trained.rounded("tflite"), trained.rounded("onnx")
    sure = np.abs(tflite) > trained.step
    np.testing.assert_array_equal((tflite > 0)[sure], (onnx_form > 0)[sure])


def test_the_onnx_graph_as_written_is_the_rounded_network_of_that_form(trained):
    expected = trained.rounded("onnx")
    # A mean of four whole steps may be a tie, which the last bit of a float decides.
    np.testing.assert_allclose(
        trained.files.as_written(trained.images), expected, atol=trained.step, rtol=0
    )


def test_rounding_was_not_free_and_the_float_answers_are_kept(trained):
    """Were the ranges never used, both would be the float network's."""
    rounded = trained.rounded("tflite")
    assert np.abs(rounded - trained.float_answers).max() > 1e-3
    assert ((rounded > 0) == (trained.float_answers > 0)).mean() > 0.95


def test_residual_sums_and_depthwise_layers_agree_but_for_a_tie(tmp_path):
    """MobileNetV2, of random weights and calibrated only: rounding moves its logits by whole units,
    so that one tensor on another grid would show.
    """
    model, _, images = living("mobilenetv2", 0.25)
    pixels = images.astype(np.uint8)
    result = calibrated(model, pixels)
    files = Exported.of(model, result.ranges, tmp_path)
    own = as_rounded(model, result.ranges, "onnx").predict(pixels.astype(np.float32), verbose=0)
    error = np.abs(files.as_written(pixels) - logits_of(own))
    assert np.median(error) < 1e-4, error
    assert error.max() < 0.1
    exact = logits_of(model.predict(pixels.astype(np.float32), verbose=0))
    assert np.abs(logits_of(own) - exact).max() > 0.5


@pytest.mark.parametrize("network", ["resnet50", "inceptionv3", "allnet"])
def test_the_scales_of_the_onnx_graph_are_those_that_were_trained(network, tmp_path):
    """Every tensor with a pair is one that the network rounds, and shares its scale with the very
    same ones: residual sums, concatenations, and ALLNet's three towers.
    """
    model, spec, _ = living(network, 0.125)
    onnx.save(onnx_from_keras(model, spec.input_size), tmp_path / "float.onnx")
    placement = place(model, "onnx")
    wiring = Wiring(onnx.load(tmp_path / "float.onnx").graph)
    # Each group gets a range of its own, so that equal ranges mean one group.
    number = {
        leader: float(n) for n, leader in enumerate(dict.fromkeys(placement.group.values()), 1)
    }
    by_layer = {name: (-number[leader], number[leader]) for name, leader in placement.group.items()}
    by_layer |= {c: by_layer[norm] for c, norm in placement.folded.items() if norm in by_layer}
    found = onnx_ranges(tmp_path / "float.onnx", by_layer)
    groups = qdq_placement.place(wiring).groups
    assert set(groups) <= set(found)
    for members in groups.values():
        assert len({found[member] for member in members}) == 1, members
    paired = {found[tensor].high for tensor in groups}
    assert paired == {number[placement.group[name]] for name in placement.rounded}


def calibrated(model: tf_keras.Model, pixels: np.ndarray) -> QatResult:
    images = LabelledImages(InMemory(pixels), [0] * len(pixels))
    return train_quantized(
        model, images, FineTuning(epochs=0, learning_rate=1e-4, distil=1.0, batch_size=len(pixels))
    )
