"""SqueezeNet 1.1: Iandola et al. 2016, arXiv 1602.07360, and the authors' version 1.1."""

from allnet_edge.roofline.networks.net import Map, Net


def build(size: int) -> Net:
    """The classifier of 1,000 classes."""
    net = Net("squeezenet1.1")
    x = net.conv(net.image(size), 64, 3, 2, pad=0, norm=False)
    for squeezes, width in (((16, 16), 64), ((32, 32), 128)):
        x = net.pool(x, 3, 2, up=True)
        for squeeze in squeezes:
            x = _fire(net, x, squeeze, width)
    x = net.pool(x, 3, 2, up=True)
    for squeeze, width in ((48, 192), (48, 192), (64, 256), (64, 256)):
        x = _fire(net, x, squeeze, width)
    x = net.conv(x, 1000, 1, norm=False)
    net.output(net.global_pool(x).name)
    return net


def _fire(net: Net, x: Map, squeeze: int, width: int) -> Map:
    y = net.conv(x, squeeze, 1, norm=False)
    return net.concat(net.conv(y, width, 1, norm=False), net.conv(y, width, 3, norm=False))
