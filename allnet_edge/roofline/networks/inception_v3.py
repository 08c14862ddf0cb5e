"""InceptionV3: Szegedy et al. 2015, arXiv 1512.00567, as in torchvision, no auxiliary head."""

from allnet_edge.roofline.networks.net import Map, Net


def build(size: int) -> Net:
    """The classifier of 1,000 classes."""
    net = Net("inceptionv3")
    x = net.conv(net.image(size), 32, 3, 2, pad=0)
    x = net.pool(net.conv(net.conv(x, 32, 3, pad=0), 64, 3), 3, 2)
    x = net.pool(net.conv(net.conv(x, 80, 1), 192, 3, pad=0), 3, 2)
    for pooled in (32, 64, 64):
        x = _a(net, x, pooled)
    x = _shrink_a(net, x)
    for width in (128, 160, 160, 192):
        x = _b(net, x, width)
    x = _shrink_b(net, x)
    for _ in range(2):
        x = _c(net, x)
    net.output(net.dense(net.global_pool(x), 1000).name)
    return net


def _a(net: Net, x: Map, pooled: int) -> Map:
    return net.concat(
        net.conv(x, 64, 1),
        net.conv(net.conv(x, 48, 1), 64, 5),
        net.conv(net.conv(net.conv(x, 64, 1), 96, 3), 96, 3),
        net.conv(net.pool(x, 3, 1, pad=1, kind="Average"), pooled, 1),
    )


def _shrink_a(net: Net, x: Map) -> Map:
    double = net.conv(net.conv(net.conv(x, 64, 1), 96, 3), 96, 3, 2, pad=0)
    return net.concat(net.conv(x, 384, 3, 2, pad=0), double, net.pool(x, 3, 2))


def _b(net: Net, x: Map, width: int) -> Map:
    seven = net.conv(net.conv(net.conv(x, width, 1), width, (1, 7)), 192, (7, 1))
    double = net.conv(net.conv(net.conv(x, width, 1), width, (7, 1)), width, (1, 7))
    double = net.conv(net.conv(double, width, (7, 1)), 192, (1, 7))
    pooled = net.conv(net.pool(x, 3, 1, pad=1, kind="Average"), 192, 1)
    return net.concat(net.conv(x, 192, 1), seven, double, pooled)


def _shrink_b(net: Net, x: Map) -> Map:
    three = net.conv(net.conv(x, 192, 1), 320, 3, 2, pad=0)
    seven = net.conv(net.conv(net.conv(x, 192, 1), 192, (1, 7)), 192, (7, 1))
    return net.concat(three, net.conv(seven, 192, 3, 2, pad=0), net.pool(x, 3, 2))


def _c(net: Net, x: Map) -> Map:
    three = net.conv(x, 384, 1)
    double = net.conv(net.conv(x, 448, 1), 384, 3)
    pooled = net.conv(net.pool(x, 3, 1, pad=1, kind="Average"), 192, 1)
    return net.concat(
        net.conv(x, 320, 1),
        net.conv(three, 384, (1, 3)),
        net.conv(three, 384, (3, 1)),
        net.conv(double, 384, (1, 3)),
        net.conv(double, 384, (3, 1)),
        pooled,
    )
