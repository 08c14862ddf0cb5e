"""What one pass over images records, in both formats."""

import numpy as np
import onnx
import onnxruntime
import pytest
from convert_support import constants, model_of, observed, of_type
from onnx import helper, numpy_helper

from allnet_edge.convert.observe_onnx import OnnxObserver, observe_onnx
from allnet_edge.convert.observe_tflite import TfliteObserver, observe_tflite
from allnet_edge.convert.tflite_from_keras import tflite_from_keras
from allnet_edge.errors import ConversionError

pytestmark = pytest.mark.xdist_group("convert")


def values_of(path, names: list[str], images: np.ndarray) -> dict[str, np.ndarray]:
    model = onnx.load(path)
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rows = [session.run(names, {"pixels": image[None]}) for image in images]
    return {name: np.concatenate([row[n] for row in rows]) for n, name in enumerate(names)}


def test_every_tensor_has_the_ends_and_the_means_that_it_really_has(small):
    seen = observed(small)
    truth = values_of(small.onnx, list(seen.histograms), small.calibration)
    assert len(truth) > 10
    for name, found in seen.histograms.items():
        assert found.low == pytest.approx(truth[name].min(), abs=1e-5)
        assert found.high == pytest.approx(truth[name].max(), abs=1e-5)
    for name, means in seen.channel_means().items():
        others = (0, 2, 3) if truth[name].ndim == 4 else (0,)
        np.testing.assert_allclose(means, truth[name].mean(axis=others), atol=1e-5)


def test_both_formats_see_the_same(small):
    """The layers between the standardised pixels and the head, by their extremes."""
    first, second = observed(small), observed(small, kind="tflite")
    pairs = 0
    for name, found in first.histograms.items():
        layer = name.split("/")[1]
        same = [key for key in second.histograms if layer in key.split(";")[0].split("/")]
        for key in same[-1:]:
            assert second.histograms[key].high == pytest.approx(found.high, rel=1e-3), key
            pairs += 1
    assert pairs >= 8


def test_kernels_have_means_of_what_they_read_and_nothing_else_has(small):
    means = observed(small).channel_means()
    graph = small.graph()
    *layers, _ = of_type(graph, "Conv", "MatMul", "Gemm")
    assert set(means) == {layer.input[0] for layer in layers}
    for layer in layers:
        kernel = constants(graph)[layer.input[1]]
        assert len(means[layer.input[0]]) == kernel.shape[1 if layer.op_type == "Conv" else 0]


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
class TestBoth:
    def test_parts_add_up_to_the_whole(self, small, kind):
        whole = observed(small, kind=kind)
        first, second = (
            observed(small, part, kind=kind)
            for part in (small.calibration[:7], small.calibration[7:])
        )
        both = first.merged(second)
        assert both.images == whole.images == 24
        for name, one in both.histograms.items():
            np.testing.assert_array_equal(one.counts, whole.histograms[name].counts)
        for name, means in both.channel_means().items():
            np.testing.assert_allclose(means, whole.channel_means()[name], rtol=1e-12)

    def test_no_image_is_refused(self, small, kind):
        with pytest.raises(ConversionError, match="no calibration images") as caught:
            observed(small, small.calibration[:0], kind=kind)
        assert caught.value.exit_code == 4

    def test_progress_counts_the_images(self, small, kind):
        told = []
        observer = OnnxObserver(small.onnx) if kind == "onnx" else TfliteObserver(small.tflite)
        observer.observe(small.calibration[:3], progress=lambda *args: told.append(args))
        what = {"onnx": "ONNX", "tflite": "TFLite"}[kind]
        assert told == [(f"{what} ranges", number, 0) for number in (1, 2, 3)]

    def test_nan_is_refused_with_the_tensor(self, small, kind, tmp_path, spec):
        """A broken weight in the middle of the network: what it makes is named first."""
        if kind == "onnx":
            path = tmp_path / "nan.onnx"
            model = onnx.load(small.onnx)
            conv = of_type(model.graph, "Conv")[1]
            tensor = next(t for t in model.graph.initializer if t.name == conv.input[1])
            broken = numpy_helper.to_array(tensor).copy()
            broken[0] = np.nan
            tensor.CopyFrom(numpy_helper.from_array(broken, tensor.name))
            onnx.save(model, path)
            observe = observe_onnx
        else:
            path = tmp_path / "nan.tflite"
            layer = small.network.get_layer("block_1_conv")
            kernel = layer.get_weights()[0]
            broken = kernel.copy()
            broken[..., 0] = np.nan
            layer.set_weights([broken])
            path.write_bytes(tflite_from_keras(small.network, spec.input_size))
            layer.set_weights([kernel])
            observe = observe_tflite
        with pytest.raises(
            ConversionError, match=r"block_.* is NaN or infinite on a calibration image"
        ):
            observe(path, small.calibration)


def test_a_graph_that_onnxruntime_cannot_run_is_refused(tmp_path):
    nodes = [
        helper.make_node("Blast", ["pixels"], ["m"], domain="lab"),
        helper.make_node("MatMul", ["m", "w"], ["h"], name="one"),
        helper.make_node("MatMul", ["h", "v"], ["y"], name="head"),
    ]
    weights = {"w": np.ones((4, 4), np.float32), "v": np.ones((4, 1), np.float32)}
    path = tmp_path / "strange.onnx"
    onnx.save(model_of(nodes, {"pixels": [1, 4]}, {"y": [1, 1]}, weights), path)
    with pytest.raises(ConversionError, match="cannot be run") as caught:
        OnnxObserver(path)
    assert caught.value.where == str(path)
