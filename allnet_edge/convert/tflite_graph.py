"""The main graph of a TFLite flatbuffer: its operators, their tensors and their names."""

import re
import struct
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer.utils import tfl_flatbuffer_utils

from allnet_edge.errors import ConversionError

WEIGHTED = frozenset(
    {
        schema.BuiltinOperator.CONV_2D,
        schema.BuiltinOperator.DEPTHWISE_CONV_2D,
        schema.BuiltinOperator.FULLY_CONNECTED,
    }
)


class Quantization(Protocol):
    """What the schema says of a quantized tensor."""

    scale: npt.NDArray[np.float32] | None


class Tensor(Protocol):
    """A tensor of the schema."""

    name: bytes | None
    shape: npt.NDArray[np.int32]
    type: int
    buffer: int
    quantization: Quantization | None


class Operator(Protocol):
    """An operator of the schema; tensors go by their place, -1 is none."""

    opcodeIndex: int  # noqa: N815 - the schema's name
    inputs: npt.NDArray[np.int32]
    outputs: npt.NDArray[np.int32]
    builtinOptions: object  # noqa: N815


Model: TypeAlias = schema.ModelT


class Graph:
    """The first subgraph of a model; ours have no other.

    Attributes:
        model: As the schema has it.
        operators: In order.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._tensors: list[Tensor] = model.subgraphs[0].tensors
        self.operators: list[Operator] = [
            operator
            for operator in model.subgraphs[0].operators
            if hasattr(operator, "opcodeIndex")
        ]

    def tensor(self, at: int) -> Tensor:
        """One tensor."""
        return self._tensors[at]

    def add_constant(self, values: npt.NDArray[np.float32], name: str) -> int:
        """Add a float constant; returns its place among the tensors."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor = schema.TensorT()
        tensor.shape = np.array(values.shape, np.int32)
        tensor.type = schema.TensorType.FLOAT32
        tensor.buffer = len(self.model.buffers) - 1
        tensor.name = name.encode()
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def name(self, at: int) -> str:
        """Its name."""
        name = self._tensors[at].name
        return name.decode(errors="replace") if name is not None else ""

    def kind(self, operator: Operator) -> int:
        """Its ``schema.BuiltinOperator``."""
        return int(self.model.operatorCodes[operator.opcodeIndex].builtinCode)

    def weighted(self) -> Iterator[tuple[Operator, npt.NDArray[np.float32]]]:
        """Convolutions and dense layers whose kernel is a constant, with it."""
        for operator in self.operators:
            if self.kind(operator) in WEIGHTED:
                kernel = self.constant(int(operator.inputs[1]))
                if kernel is not None:
                    yield operator, kernel

    def data_of(self, operator: Operator) -> int:
        """The tensor that a convolution or a dense layer reads."""
        return int(operator.inputs[0])

    def constant(self, at: int) -> npt.NDArray[np.float32] | None:
        """The values of a float constant; None where it is an activation or absent."""
        if at < 0:
            return None
        tensor = self._tensors[at]
        data = self.model.buffers[tensor.buffer].data
        if data is None or not len(data) or tensor.type != schema.TensorType.FLOAT32:
            return None
        values: npt.NDArray[np.float32] = np.frombuffer(bytes(data), np.float32)
        return values.reshape(tuple(tensor.shape))

    def activations(self) -> tuple[int, ...]:
        """Float tensors that depend on the pixels, the pixels first, each once."""
        inputs = [int(at) for at in self.model.subgraphs[0].inputs]
        made = [int(at) for operator in self.operators for at in operator.outputs]
        return tuple(
            at
            for at in dict.fromkeys([*inputs, *made])
            if self._tensors[at].type == schema.TensorType.FLOAT32
        )

    def scope(self, operator: Operator) -> str:
        """The name that recipes of ai-edge-quantizer know an operator by."""
        scope: str = tfl_flatbuffer_utils.get_op_scope(operator, self._tensors)
        return scope

    def scopes_named(self, name: str) -> tuple[str, ...]:
        """Scopes of the operators that a name means.

        The converter fuses layers: the scope of an operator lists the tensors of all that went into
        it, as ``net/conv1_relu/Relu;net/conv1/Conv2D;``.

        Args:
            name: A layer's (``conv1``), or a tensor's or a node's of the ONNX graph
                (``net/conv1/Conv2D``), where a number that the converter appended may be left out.

        Raises:
            ConversionError: No operator is meant.
        """
        number = r"\d*" if "/" in name else ""
        part = re.compile(rf"(^|[/;]){re.escape(name)}{number}($|[/;])")
        found = tuple(
            dict.fromkeys(scope for scope in map(self.scope, self.operators) if part.search(scope))
        )
        if not found:
            parts = {
                one for operator in self.operators for one in re.split("[/;]", self.scope(operator))
            }
            near = get_close_matches(name, parts, n=1)
            raise ConversionError(
                f"keep_float: no operator of the TFLite graph is called '{name}'",
                fix=f"did you mean {near[0]}?" if near else "names are those of the layers",
            )
        return found


def int8_operators(graph: Graph) -> str:
    """How many operators of a quantized graph compute in int8, in a sentence that names the rest.

    What the quantizer cannot do it leaves in float and says nothing.
    """
    converting = (schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.DEQUANTIZE)
    working = [one for one in graph.operators if graph.kind(one) not in converting]
    rest = [
        graph.name(int(one.outputs[0]))
        for one in working
        if graph.tensor(int(one.outputs[0])).type != schema.TensorType.INT8
    ]
    count = f"{len(working) - len(rest)} of {len(working)} operators compute in int8"
    return f"{count}; in float: {', '.join(rest)}" if rest else count


def write_graph(graph: Graph) -> bytes:
    """The bytes of a flatbuffer."""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(graph.model))


def read_graph(source: Path | bytes) -> Graph:
    """From a file, or from the bytes of one.

    Raises:
        ConversionError: It is no TFLite model.
    """
    try:
        return Graph(
            tfl_flatbuffer_utils.read_model(str(source) if isinstance(source, Path) else source)
        )
    except (OSError, ValueError, TypeError, IndexError, struct.error) as error:
        raise ConversionError(
            "the TFLite graph cannot be read", where=source if isinstance(source, Path) else None
        ) from error
