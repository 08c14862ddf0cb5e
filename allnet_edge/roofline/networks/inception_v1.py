"""InceptionV1 with batch normalisation: Szegedy et al. 2014, arXiv 1409.4842.

The branch that the paper calls 5x5 is a 3x3, as in both TensorFlow-Slim and torchvision.
"""

from allnet_edge.roofline.networks.net import Map, Net

# 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; pooled. None: pool to half.
_ROWS: tuple[tuple[int, int, int, int, int, int] | None, ...] = (
    (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), None,
    (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128), None,
    (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
)  # fmt: skip


def build(size: int) -> Net:
    """The classifier of 1,000 classes, without the auxiliary heads."""
    net = Net("inceptionv1")
    x = net.pool(net.conv(net.image(size), 64, 7, 2), 3, 2, up=True)
    x = net.pool(net.conv(net.conv(x, 64, 1), 192, 3), 3, 2, up=True)
    halvings = 0
    for row in _ROWS:
        if row is None:
            # The second one is a 2x2 in both codes.
            x = net.pool(x, 2 if halvings else 3, 2, up=True)
            halvings += 1
        else:
            x = _mixed(net, x, row)
    net.output(net.dense(net.global_pool(x), 1000).name)
    return net


def _mixed(net: Net, x: Map, row: tuple[int, int, int, int, int, int]) -> Map:
    one, r3, three, r5, five, pooled = row
    return net.concat(
        net.conv(x, one, 1),
        net.conv(net.conv(x, r3, 1), three, 3),
        net.conv(net.conv(x, r5, 1), five, 3),
        net.conv(net.pool(x, 3, 1, pad=1), pooled, 1),
    )
