"""DenseNet-121: Huang et al. 2016, arXiv 1608.06993; every layer reads all maps before it."""

from allnet_edge.roofline.networks.net import Map, Net

_GROWTH = 32


def build(size: int) -> Net:
    """The classifier of 1,000 classes."""
    net = Net("densenet121")
    x = net.pool(net.conv(net.image(size), 64, 7, 2), 3, 2, pad=1)
    for stage, layers in enumerate((6, 12, 24, 16)):
        if stage:
            x = net.conv(net.act(net.norm(x), "relu"), x.channels // 2, 1, act=None, norm=False)
            net.parameters -= x.channels  # this convolution has no bias
            x = net.pool(x, 2, 2, kind="Average")
        x = _block(net, x, layers)
    x = net.act(net.norm(x), "relu")
    net.output(net.dense(net.global_pool(x), 1000).name)
    return net


def _block(net: Net, x: Map, layers: int) -> Map:
    seen = [x]
    for _ in range(layers):
        joined = net.concat(*seen) if len(seen) > 1 else x
        y = net.conv(net.act(net.norm(joined), "relu"), 4 * _GROWTH, 1)
        y = net.conv(y, _GROWTH, 3, act=None, norm=False)
        net.parameters -= _GROWTH  # this convolution has no bias
        seen.append(y)
    return net.concat(*seen)
