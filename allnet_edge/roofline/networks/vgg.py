"""VGG-16 and -19: Simonyan & Zisserman 2014, arXiv 1409.1556."""

from allnet_edge.roofline.networks.net import Net

_CONVS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def build(depth: int, size: int) -> Net:
    """The classifier of 1,000 classes with this many layers."""
    net = Net(f"vgg{depth}")
    x = net.image(size)
    for count, width in zip(_CONVS[depth], (64, 128, 256, 512, 512), strict=True):
        for _ in range(count):
            x = net.conv(x, width, 3, norm=False)
        x = net.pool(x, 2, 2)
    x = net.dense(net.dense(x, 4096, "relu"), 4096, "relu")
    net.output(net.dense(x, 1000).name)
    return net
