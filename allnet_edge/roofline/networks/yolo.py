"""YOLOv8n and YOLO11 n to x: the detectors of Ultralytics, 80 classes, as exported to ONNX.

Written from their model descriptions (yolov8.yaml, yolo11.yaml) and the blocks those name.
"""

from collections.abc import Callable
from functools import partial

from allnet_edge.roofline.networks.net import Map, Net
from allnet_edge.roofline.networks.yolo_blocks import Attention, c2f, detect, silu, sppf

# Depth, width, most channels.
_SCALES = {
    "n": (0.5, 0.25, 1024), "s": (0.5, 0.5, 1024), "m": (0.5, 1.0, 512), "l": (1.0, 1.0, 512),
    "x": (1.0, 1.5, 512),
}  # fmt: skip


def builder_of_11(scale: str) -> Callable[[int], Net]:
    """What builds YOLO11 of this scale at a given size."""
    return partial(_build_11, scale)


def _build_11(scale: str, size: int) -> Net:
    depth, width, most = _SCALES[scale]
    deep = scale in "mlx"  # there every block has the nested form
    count = max(round(2 * depth), 1)

    def ch(channels: int) -> int:
        return _eights(min(channels, most) * width)

    def block(x: Map, channels: int, nested: bool, ratio: float = 0.5) -> Map:
        return c2f(net, x, ch(channels), count, ratio=ratio, nested=nested or deep, inner=0.5)

    net = Net(f"yolo11{scale}")
    x = silu(net, silu(net, net.image(size), ch(64), 3, 2), ch(128), 3, 2)
    x = silu(net, block(x, 256, False, 0.25), ch(256), 3, 2)
    p3 = block(x, 512, False, 0.25)
    p4 = block(silu(net, p3, ch(512), 3, 2), 512, True)
    x = block(silu(net, p4, ch(1024), 3, 2), 1024, True)
    p5 = Attention(net).c2psa(sppf(net, x, ch(1024)), count)
    up4 = block(net.concat(net.double(p5), p4), 512, False)
    out3 = block(net.concat(net.double(up4), p3), 256, False)
    out4 = block(net.concat(silu(net, out3, ch(256), 3, 2), up4), 512, False)
    out5 = block(net.concat(silu(net, out4, ch(512), 3, 2), p5), 1024, True)
    detect(net, (out3, out4, out5), depthwise=True)
    return net


def build_v8n(size: int) -> Net:
    """YOLOv8n."""
    net = Net("yolov8n")

    def block(x: Map, channels: int, count: int, shortcut: bool = True) -> Map:
        return c2f(net, x, channels, count, shortcut=shortcut)

    x = silu(net, silu(net, net.image(size), 16, 3, 2), 32, 3, 2)
    p3 = block(silu(net, block(x, 32, 1), 64, 3, 2), 64, 2)
    p4 = block(silu(net, p3, 128, 3, 2), 128, 2)
    p5 = sppf(net, block(silu(net, p4, 256, 3, 2), 256, 1), 256)
    up4 = block(net.concat(net.double(p5), p4), 128, 1, shortcut=False)
    out3 = block(net.concat(net.double(up4), p3), 64, 1, shortcut=False)
    out4 = block(net.concat(silu(net, out3, 64, 3, 2), up4), 128, 1, shortcut=False)
    out5 = block(net.concat(silu(net, out4, 128, 3, 2), p5), 256, 1, shortcut=False)
    detect(net, (out3, out4, out5), depthwise=False)
    return net


def _eights(channels: float) -> int:
    return -(-int(channels) // 8) * 8
