"""A pen for layer lists: writes an ONNX graph whose weights have shapes but no data."""

from dataclasses import dataclass, field

import onnx
from onnx import TensorProto, helper


@dataclass(frozen=True, slots=True)
class Map:
    """A feature map of batch 1, by the name of its tensor."""

    name: str
    channels: int
    height: int
    width: int


@dataclass
class Net:
    """One network that is being written.

    Attributes:
        parameters: As publications count them: a convolution with batch normalisation has two
            numbers a channel beside its weights, though the graph has the two folded into a bias.
        macs: Multiply-accumulates of convolutions and matrix products.
    """

    title: str
    parameters: int = 0
    macs: int = 0
    _nodes: list[onnx.NodeProto] = field(default_factory=list)
    _weights: list[onnx.TensorProto] = field(default_factory=list)
    _inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    _outputs: list[str] = field(default_factory=list)

    def image(self, size: int, channels: int = 3) -> Map:
        """The network's input, float32 NCHW."""
        shape = [1, channels, size, size]
        self._inputs.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, shape))
        return Map("image", channels, size, size)

    def conv(
        self,
        x: Map,
        channels: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        *,
        pad: int | tuple[int, int] | None = None,
        groups: int = 1,
        act: str | None = "relu",
        norm: bool = True,
    ) -> Map:
        """A convolution with its folded batch normalisation and its activation.

        Args:
            pad: On each side; None keeps the size of an odd kernel at stride 1.
            act: ``relu``, ``relu6``, ``silu`` or None.
            norm: Count batch normalisation instead of a bias.
        """
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        ph, pw = _pads(pad, kh, kw)
        height = (x.height + 2 * ph - kh) // stride + 1
        width = (x.width + 2 * pw - kw) // stride + 1
        shape = (channels, x.channels // groups, kh, kw)
        count = channels * shape[1] * kh * kw
        self.parameters += count + (2 if norm else 1) * channels
        self.macs += count * height * width
        out = self._node(
            "Conv",
            (x.name, self.weight(shape), self.weight((channels,))),
            kernel_shape=[kh, kw],
            strides=[stride, stride],
            pads=[ph, pw, ph, pw],
            group=groups,
        )
        return self.act(Map(out, channels, height, width), act)

    def act(self, x: Map, kind: str | None) -> Map:
        """The activation, by its name; None leaves the map as it is."""
        if kind is None:
            return x
        if kind == "silu":
            gate = self._node("Sigmoid", (x.name,))
            return self._like(x, self._node("Mul", (x.name, gate)))
        if kind == "relu6":
            bounds = (self.number(0.0), self.number(6.0))
            return self._like(x, self._node("Clip", (x.name, *bounds)))
        return self._like(x, self._node({"relu": "Relu", "sigmoid": "Sigmoid"}[kind], (x.name,)))

    def norm(self, x: Map) -> Map:
        """A batch normalisation that stands before its activation, so that it cannot be folded."""
        self.parameters += 2 * x.channels
        four = [self.weight((x.channels,)) for _ in range(4)]
        return self._like(x, self._node("BatchNormalization", (x.name, *four)))

    def add(self, a: Map, b: Map) -> Map:
        """The sum of two maps of one shape."""
        return self._like(a, self._node("Add", (a.name, b.name)))

    def concat(self, *maps: Map) -> Map:
        """Maps of one size, one after another along the channels."""
        out = self._node("Concat", tuple(one.name for one in maps), axis=1)
        return Map(out, sum(one.channels for one in maps), maps[0].height, maps[0].width)

    def halves(self, x: Map) -> tuple[Map, Map]:
        """The first and the second half of the channels."""
        half = x.channels // 2
        names = [f"{x.name}_first", f"{x.name}_second"]
        self.split(x.name, names, (half, half), axis=1)
        first, second = (Map(name, half, x.height, x.width) for name in names)
        return first, second

    def pool(
        self, x: Map, kernel: int, stride: int, *, pad: int = 0, kind: str = "Max", up: bool = False
    ) -> Map:
        """A pooling; ``up`` rounds the size up, as Caffe's networks do."""
        sizes = []
        for side in (x.height, x.width):
            room = side + 2 * pad - kernel
            sizes.append((-(-room // stride) if up else room // stride) + 1)
        out = self._node(
            f"{kind}Pool",
            (x.name,),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[pad] * 4,
            ceil_mode=int(up),
        )
        return Map(out, x.channels, *sizes)

    def global_pool(self, x: Map) -> Map:
        """The mean of each channel."""
        return Map(self._node("GlobalAveragePool", (x.name,)), x.channels, 1, 1)

    def dense(self, x: Map, units: int, act: str | None = None) -> Map:
        """A fully connected layer over everything in the map."""
        count = x.channels * x.height * x.width
        flat = self._node("Flatten", (x.name,), axis=1)
        self.parameters += count * units + units
        self.macs += count * units
        weights = (self.weight((count, units)), self.weight((units,)))
        return self.act(Map(self._node("Gemm", (flat, *weights)), units, 1, 1), act)

    def softmax(self, x: Map, axis: int = 1) -> Map:
        """Softmax along an axis."""
        return self._like(x, self._node("Softmax", (x.name,), axis=axis))

    def double(self, x: Map) -> Map:
        """Nearest neighbour, twice as high and wide."""
        scales = self._constant(TensorProto.FLOAT, (1.0, 1.0, 2.0, 2.0), (4,))
        out = self._node("Resize", (x.name, "", scales), mode="nearest")
        return Map(out, x.channels, 2 * x.height, 2 * x.width)

    def split(self, name: str, parts: list[str], sizes: tuple[int, ...], axis: int) -> None:
        """Cut a tensor into named parts."""
        inputs = [name, self.numbers(sizes)]
        node = helper.make_node("Split", inputs, parts, name=f"Split_{len(self._nodes)}", axis=axis)
        self._nodes.append(node)

    def product(self, a: str, b: str, macs: int) -> str:
        """A matrix product of two computed tensors."""
        self.macs += macs
        return self._node("MatMul", (a, b))

    def op(self, kind: str, *names: str, **attributes: object) -> str:
        """Any other node with one output; its tensor's name."""
        return self._node(kind, names, **attributes)

    def number(self, value: float) -> str:
        """A scalar constant."""
        return self._constant(TensorProto.FLOAT, (value,), ())

    def numbers(self, values: tuple[int, ...]) -> str:
        """A list of whole numbers, such as a shape."""
        return self._constant(TensorProto.INT64, values, (len(values),))

    def output(self, name: str) -> None:
        """Declare a tensor an output of the network."""
        self._outputs.append(name)

    def model(self) -> onnx.ModelProto:
        """The graph, of opset 17."""
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self._outputs
        ]
        graph = helper.make_graph(self._nodes, self.title, self._inputs, outputs, self._weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])

    def _node(self, kind: str, names: tuple[str, ...], **attributes: object) -> str:
        out = f"t{len(self._nodes)}"
        node = helper.make_node(kind, names, [out], name=f"{kind}_{len(self._nodes)}", **attributes)
        self._nodes.append(node)
        return out

    def _like(self, x: Map, name: str) -> Map:
        return Map(name, x.channels, x.height, x.width)

    def weight(self, shape: tuple[int, ...]) -> str:
        """A constant of this shape whose data is said to lie in a file that does not exist."""
        tensor = TensorProto(name=f"w{len(self._weights)}", data_type=TensorProto.FLOAT, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="absent")
        self._weights.append(tensor)
        return str(tensor.name)

    def _constant(self, kind: int, values: tuple[float, ...], shape: tuple[int, ...]) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(helper.make_tensor(name, kind, shape, values))
        return name


def _pads(pad: int | tuple[int, int] | None, kh: int, kw: int) -> tuple[int, int]:
    if pad is None:
        return kh // 2, kw // 2
    return (pad, pad) if isinstance(pad, int) else pad
