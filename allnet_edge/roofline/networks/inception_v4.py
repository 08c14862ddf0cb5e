"""InceptionV4: Szegedy et al. 2016, arXiv 1602.07261, figures 3 to 9."""

from allnet_edge.roofline.networks.net import Map, Net


def build(size: int) -> Net:
    """The classifier of 1,000 classes."""
    net = Net("inceptionv4")
    x = _stem(net, net.image(size))
    for _ in range(4):
        x = _a(net, x)
    x = _shrink_a(net, x)
    for _ in range(7):
        x = _b(net, x)
    x = _shrink_b(net, x)
    for _ in range(3):
        x = _c(net, x)
    net.output(net.dense(net.global_pool(x), 1000).name)
    return net


def _stem(net: Net, x: Map) -> Map:
    x = net.conv(net.conv(net.conv(x, 32, 3, 2, pad=0), 32, 3, pad=0), 64, 3)
    x = net.concat(net.pool(x, 3, 2), net.conv(x, 96, 3, 2, pad=0))
    short = net.conv(net.conv(x, 64, 1), 96, 3, pad=0)
    long = net.conv(net.conv(net.conv(x, 64, 1), 64, (1, 7)), 64, (7, 1))
    x = net.concat(short, net.conv(long, 96, 3, pad=0))
    return net.concat(net.conv(x, 192, 3, 2, pad=0), net.pool(x, 3, 2))


def _a(net: Net, x: Map) -> Map:
    return net.concat(
        net.conv(x, 96, 1),
        net.conv(net.conv(x, 64, 1), 96, 3),
        net.conv(net.conv(net.conv(x, 64, 1), 96, 3), 96, 3),
        net.conv(net.pool(x, 3, 1, pad=1, kind="Average"), 96, 1),
    )


def _shrink_a(net: Net, x: Map) -> Map:
    double = net.conv(net.conv(net.conv(x, 192, 1), 224, 3), 256, 3, 2, pad=0)
    return net.concat(net.conv(x, 384, 3, 2, pad=0), double, net.pool(x, 3, 2))


def _b(net: Net, x: Map) -> Map:
    seven = net.conv(net.conv(net.conv(x, 192, 1), 224, (1, 7)), 256, (7, 1))
    double = net.conv(net.conv(net.conv(x, 192, 1), 192, (7, 1)), 224, (1, 7))
    double = net.conv(net.conv(double, 224, (7, 1)), 256, (1, 7))
    pooled = net.conv(net.pool(x, 3, 1, pad=1, kind="Average"), 128, 1)
    return net.concat(net.conv(x, 384, 1), seven, double, pooled)


def _shrink_b(net: Net, x: Map) -> Map:
    three = net.conv(net.conv(x, 192, 1), 192, 3, 2, pad=0)
    seven = net.conv(net.conv(net.conv(x, 256, 1), 256, (1, 7)), 320, (7, 1))
    return net.concat(three, net.conv(seven, 320, 3, 2, pad=0), net.pool(x, 3, 2))


def _c(net: Net, x: Map) -> Map:
    three = net.conv(x, 384, 1)
    double = net.conv(net.conv(net.conv(x, 384, 1), 448, (3, 1)), 512, (1, 3))
    pooled = net.conv(net.pool(x, 3, 1, pad=1, kind="Average"), 256, 1)
    return net.concat(
        net.conv(x, 256, 1),
        net.conv(three, 256, (1, 3)),
        net.conv(three, 256, (3, 1)),
        net.conv(double, 256, (1, 3)),
        net.conv(double, 256, (3, 1)),
        pooled,
    )
