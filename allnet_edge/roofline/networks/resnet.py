"""ResNet-18, -50, -101: He et al. 2015, arXiv 1512.03385; stride in the 3x3 as in torchvision."""

from allnet_edge.roofline.networks.net import Map, Net

_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def build(depth: int, size: int) -> Net:
    """The classifier of 1,000 classes with this many layers."""
    net = Net(f"resnet{depth}")
    x = net.pool(net.conv(net.image(size), 64, 7, 2), 3, 2, pad=1)
    for stage, count in enumerate(_BLOCKS[depth]):
        for index in range(count):
            stride = 2 if stage and not index else 1
            block = _basic if depth == 18 else _bottleneck
            x = block(net, x, 64 * 2**stage, stride)
    net.output(net.dense(net.global_pool(x), 1000).name)
    return net


def _basic(net: Net, x: Map, width: int, stride: int) -> Map:
    shortcut = x
    if stride != 1 or x.channels != width:
        shortcut = net.conv(x, width, 1, stride, act=None)
    y = net.conv(net.conv(x, width, 3, stride), width, 3, act=None)
    return net.act(net.add(y, shortcut), "relu")


def _bottleneck(net: Net, x: Map, width: int, stride: int) -> Map:
    shortcut = x
    if x.channels != 4 * width:
        shortcut = net.conv(x, 4 * width, 1, stride, act=None)
    y = net.conv(net.conv(x, width, 1), width, 3, stride)
    y = net.conv(y, 4 * width, 1, act=None)
    return net.act(net.add(y, shortcut), "relu")
