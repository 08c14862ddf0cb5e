"""MobileNetV2, width 1: Sandler et al. 2018, arXiv 1801.04381."""

from allnet_edge.roofline.networks.net import Map, Net

# Expansion, channels, repeats, stride of the first: table 2 of the paper.
_ROWS = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


def build(size: int) -> Net:
    """The classifier of 1,000 classes."""
    net = Net("mobilenetv2")
    x = net.conv(net.image(size), 32, 3, 2, act="relu6")
    for expansion, channels, repeats, first in _ROWS:
        for index in range(repeats):
            x = _block(net, x, expansion, channels, 1 if index else first)
    x = net.conv(x, 1280, 1, act="relu6")
    net.output(net.dense(net.global_pool(x), 1000).name)
    return net


def _block(net: Net, x: Map, expansion: int, channels: int, stride: int) -> Map:
    y = x if expansion == 1 else net.conv(x, expansion * x.channels, 1, act="relu6")
    y = net.conv(y, y.channels, 3, stride, groups=y.channels, act="relu6")
    y = net.conv(y, channels, 1, act=None)
    return net.add(x, y) if stride == 1 and channels == x.channels else y
