"""Published networks as ONNX graphs without weights, to check the latency model against.

Each file holds the layer list of one family, written from its paper or its reference code; tests
compare parameters and multiply-accumulates with the published counts.
"""

from collections.abc import Callable

import onnx

from allnet_edge.roofline.networks import (
    densenet,
    inception_v1,
    inception_v3,
    inception_v4,
    mobilenet,
    resnet,
    squeezenet,
    vgg,
    yolo,
)
from allnet_edge.roofline.networks.net import Net

BUILDERS: dict[str, Callable[[int], Net]] = {
    "resnet18": lambda size: resnet.build(18, size),
    "resnet50": lambda size: resnet.build(50, size),
    "resnet101": lambda size: resnet.build(101, size),
    "vgg16": lambda size: vgg.build(16, size),
    "vgg19": lambda size: vgg.build(19, size),
    "mobilenetv2": mobilenet.build,
    "densenet121": densenet.build,
    "squeezenet1.1": squeezenet.build,
    "inceptionv1": inception_v1.build,
    "inceptionv3": inception_v3.build,
    "inceptionv4": inception_v4.build,
    "yolov8n": yolo.build_v8n,
    **{f"yolo11{scale}": yolo.builder_of_11(scale) for scale in "nsmlx"},
}


def published_graph(name: str, size: int) -> onnx.ModelProto:
    """The ONNX graph of a published network at ``size`` x ``size`` pixels, batch 1."""
    return BUILDERS[name](size).model()
