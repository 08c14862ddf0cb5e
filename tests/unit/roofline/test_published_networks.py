"""The layer lists against the counts that their authors and reference codes publish."""

import onnx
import pytest

from allnet_edge.roofline.estimate import kernels_of
from allnet_edge.roofline.graph import read_graph
from allnet_edge.roofline.networks import BUILDERS, published_graph

# Parameters: torchvision's documentation (timm's for InceptionV4; without auxiliary heads), and
# "summary" of Ultralytics. Giga multiply-accumulates from the same; Ultralytics counts two for one.
PUBLISHED = {
    "resnet18": (224, 11_689_512, 1.81),
    "resnet50": (224, 25_557_032, 4.09),
    "resnet101": (224, 44_549_160, 7.80),
    "vgg16": (224, 138_357_544, 15.47),
    "vgg19": (224, 143_667_240, 19.63),
    "mobilenetv2": (224, 3_504_872, 0.30),
    "densenet121": (224, 7_978_856, 2.83),
    "squeezenet1.1": (224, 1_235_496, 0.35),
    "inceptionv1": (224, 6_624_904, 1.50),
    "inceptionv3": (299, 23_834_568, 5.71),
    "inceptionv4": (299, 42_679_816, 12.28),
    "yolov8n": (640, 3_157_200, 8.7 / 2),
    "yolo11n": (640, 2_624_080, 6.5 / 2),
    "yolo11s": (640, 9_458_752, 21.5 / 2),
    "yolo11m": (640, 20_114_688, 68.0 / 2),
    "yolo11l": (640, 25_372_160, 86.9 / 2),
    "yolo11x": (640, 56_966_176, 194.9 / 2),
}


def test_every_network_is_checked():
    assert set(PUBLISHED) == set(BUILDERS)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_multiplications_are_the_published_ones(name):
    size, parameters, giga_macs = PUBLISHED[name]
    net = BUILDERS[name](size)
    assert net.parameters == parameters
    assert net.macs / 1e9 == pytest.approx(giga_macs, rel=0.015)


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_multiplication_is_lost_on_the_way_to_kernels(name):
    """Counted twice: by the pen from what it is told, and from the shapes that ONNX infers."""
    size = PUBLISHED[name][0]
    net = BUILDERS[name](size)
    kernels = kernels_of(read_graph(net.model()), "fp16")
    decoding = 16 * 4 * 8400 if name.startswith("yolo") else 0  # without weights, so not told
    assert sum(one.macs for one in kernels) == net.macs + decoding


def test_the_graphs_are_legal_once_their_weights_have_data():
    model = onnx.shape_inference.infer_shapes(published_graph("squeezenet1.1", 64))
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.ClearField("data_location")
            tensor.ClearField("external_data")
            count = 1
            for dim in tensor.dims:
                count *= dim
            tensor.raw_data = bytes(4 * count)
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        ("resnet50", 53 + 2 + 1),  # convolutions, poolings, the dense layer: sums are joined
        ("vgg16", 13 + 5 + 3),
        ("mobilenetv2", 52 + 1 + 1),
        ("inceptionv3", 94 + 14 + 1),  # concatenations cost nothing
    ],
)
def test_a_network_runs_as_many_kernels_as_it_has_layers_with_weights_or_pools(name, kernels):
    size = PUBLISHED[name][0]
    assert len(kernels_of(read_graph(published_graph(name, size)), "fp16")) == kernels
