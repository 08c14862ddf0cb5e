"""The blocks that YOLOv8 and YOLO11 are made of (ultralytics.nn.modules), in their terms."""

from allnet_edge.roofline.networks.net import Map, Net

_CLASSES = 80
_BINS = 16


def silu(
    net: Net, x: Map, channels: int, kernel: int = 1, stride: int = 1, *, groups: int = 1
) -> Map:
    """``Conv``: convolution, batch normalisation, SiLU."""
    return net.conv(x, channels, kernel, stride, groups=groups, act="silu")


def c2f(
    net: Net,
    x: Map,
    channels: int,
    count: int,
    *,
    ratio: float = 0.5,
    shortcut: bool = True,
    nested: bool = False,
    inner: float = 1.0,
) -> Map:
    """``C2f`` (``inner`` 1) and ``C3k2`` (``inner`` 0.5; ``nested``: with ``C3k`` inside)."""
    width = int(channels * ratio)
    kept = list(net.halves(silu(net, x, 2 * width)))
    for _ in range(count):
        last = kept[-1]
        kept.append(
            _c3k(net, last, shortcut) if nested else _bottleneck(net, last, inner, shortcut)
        )
    return silu(net, net.concat(*kept), channels)


def sppf(net: Net, x: Map, channels: int) -> Map:
    """``SPPF``: three poolings of 5x5, one after another."""
    kept = [silu(net, x, x.channels // 2)]
    for _ in range(3):
        kept.append(net.pool(kept[-1], 5, 1, pad=2))
    return silu(net, net.concat(*kept), channels)


def _bottleneck(net: Net, x: Map, ratio: float, shortcut: bool) -> Map:
    y = silu(net, silu(net, x, int(x.channels * ratio), 3), x.channels, 3)
    return net.add(x, y) if shortcut else y


def _c3k(net: Net, x: Map, shortcut: bool) -> Map:
    y = silu(net, x, x.channels // 2)
    beside = silu(net, x, x.channels // 2)
    for _ in range(2):
        y = _bottleneck(net, y, 1.0, shortcut)
    return silu(net, net.concat(y, beside), x.channels)


class Attention:
    """``C2PSA`` of YOLO11, with its position-sensitive attention."""

    def __init__(self, net: Net) -> None:
        self._net = net

    def c2psa(self, x: Map, count: int) -> Map:
        """The whole block; channels stay."""
        net = self._net
        kept, y = net.halves(silu(net, x, x.channels))
        for _ in range(count):
            y = net.add(y, self._attend(y))
            z = net.conv(silu(net, y, 2 * y.channels), y.channels, 1, act=None)
            y = net.add(y, z)
        return silu(net, net.concat(kept, y), x.channels)

    def _attend(self, x: Map) -> Map:
        net, heads = self._net, x.channels // 64
        head, key, places = 64, 32, x.height * x.width
        qkv = net.conv(x, x.channels + 2 * key * heads, 1, act=None)
        shape = net.numbers((1, heads, 2 * key + head, places))
        flat = net.op("Reshape", qkv.name, shape)
        parts = [f"{flat}_{part}" for part in "qkv"]
        net.split(flat, parts, (key, key, head), axis=2)
        turned = net.op("Transpose", parts[0], perm=[0, 1, 3, 2])
        scores = net.product(turned, parts[1], heads * places * places * key)
        scaled = net.op("Mul", scores, net.number(key**-0.5))
        weights = net.op("Transpose", net.op("Softmax", scaled, axis=-1), perm=[0, 1, 3, 2])
        mixed = net.product(parts[2], weights, heads * places * places * head)
        back = net.numbers((1, x.channels, x.height, x.width))
        seen = Map(net.op("Reshape", mixed, back), x.channels, x.height, x.width)
        values = Map(net.op("Reshape", parts[2], back), x.channels, x.height, x.width)
        place = net.conv(values, x.channels, 3, groups=x.channels, act=None)
        return net.conv(net.add(seen, place), x.channels, 1, act=None)


def detect(net: Net, maps: tuple[Map, Map, Map], *, depthwise: bool) -> None:
    """``Detect``: boxes and classes of three scales, decoded in the graph as the export does."""
    boxes_width = max(16, maps[0].channels // 4, 4 * _BINS)
    class_width = max(maps[0].channels, min(_CLASSES, 100))
    rows, places = [], 0
    for x in maps:
        box = silu(net, silu(net, x, boxes_width, 3), boxes_width, 3)
        box = net.conv(box, 4 * _BINS, 1, act=None, norm=False)
        if depthwise:
            y = silu(net, silu(net, x, x.channels, 3, groups=x.channels), class_width)
            y = silu(net, silu(net, y, class_width, 3, groups=class_width), class_width)
        else:
            y = silu(net, silu(net, x, class_width, 3), class_width, 3)
        y = net.conv(y, _CLASSES, 1, act=None, norm=False)
        both = net.concat(box, y)
        shape = net.numbers((1, both.channels, x.height * x.width))
        rows.append(net.op("Reshape", both.name, shape))
        places += x.height * x.width
    _decode(net, net.op("Concat", *rows, axis=2), places)


def _decode(net: Net, rows: str, places: int) -> None:
    net.split(rows, ["boxes", "classes"], (4 * _BINS, _CLASSES), axis=1)
    bins = net.op("Reshape", "boxes", net.numbers((1, 4, _BINS, places)))
    likely = net.op("Softmax", net.op("Transpose", bins, perm=[0, 2, 1, 3]), axis=1)
    net.parameters += _BINS
    sides = net.op("Conv", likely, net.weight((1, _BINS, 1, 1)), kernel_shape=[1, 1])
    flat = net.op("Reshape", sides, net.numbers((1, 4, places)))
    net.split(flat, ["near", "far"], (2, 2), axis=1)
    low = net.op("Sub", net.weight((1, 2, places)), "near")
    high = net.op("Add", net.weight((1, 2, places)), "far")
    middle = net.op("Div", net.op("Add", low, high), net.number(2.0))
    box = net.op("Concat", middle, net.op("Sub", high, low), axis=1)
    scaled = net.op("Mul", box, net.weight((1, places)))
    net.output(net.op("Concat", scaled, net.op("Sigmoid", "classes"), axis=1))
