"""Which outputs of a tf-keras network its int8 forms hold as integers, and which share a scale.

- Full-int8 TFLite holds every tensor that one of its operators writes. A convolution (or dense
  layer, or sum) with its batch norm and its ReLU is one operator, inside of which nothing is
  rounded (https://ai.google.dev/edge/litert/models/quantization_spec).
- ONNX with Q/DQ for TensorRT rounds some of these only: what a convolution, a dense layer, a
  concatenation or a max pool reads, and of the branches of a residual sum all but one that ends in
  a convolution (``convert/qdq_placement``).

Pools, concatenations and paddings do not change scales: what they read and write shares one. The
last dense layer and what follows it stay float.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias

import tf_keras

from allnet_edge.errors import ConversionError
from allnet_edge.models.towers.api import KerasModel, Layer

HEAD = "logits"
Form: TypeAlias = Literal["tflite", "onnx"]
_L = tf_keras.layers
_WEIGHTED = (_L.Conv2D, _L.DepthwiseConv2D, _L.Dense)
_VIEWS = (_L.Flatten, _L.Reshape, _L.Dropout, _L.ZeroPadding2D, _L.MaxPooling2D, _L.Concatenate)
_ROUNDED = (
    *_WEIGHTED, _L.BatchNormalization, _L.Add, _L.Multiply, _L.Activation, _L.ReLU, _L.Rescaling,
    _L.AveragePooling2D, _L.GlobalAveragePooling2D,
)  # fmt: skip
_RELU = ("relu", "relu6")


@dataclass(frozen=True, slots=True)
class QatPlacement:
    """What becomes an integer.

    Attributes:
        group: For every layer whose output is held as int8, the first layer of those that share
            its scale, in the order of the network.
        rounded: Those of them whose output the form rounds; that of the others consists of values
            that were, or stays float.
        kernels: Layers whose kernel is rounded.
        folded: For a convolution in front of a batch norm that norm: the deployed convolution
            writes what the norm does.
    """

    group: dict[str, str]
    rounded: tuple[str, ...]
    kernels: tuple[str, ...]
    folded: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Graph:
    """The layers in their order, who they read from, and how often each is read."""

    layers: dict[str, Layer]
    sources: dict[str, tuple[str, ...]]
    readers: dict[str, tuple[str, ...]]
    outputs: frozenset[str]

    def only_reader(self, name: str) -> Layer | None:
        readers = self.readers[name]
        return self.layers[readers[0]] if len(readers) == 1 and name not in self.outputs else None


def sources_of(model: KerasModel) -> dict[str, tuple[str, ...]]:
    """For every layer, in the order of the network, the layers whose outputs it reads.

    Raises:
        ConversionError: A layer is applied more than once.
    """
    for name, count in Counter(layer.name for layer in model.layers).items():
        if count > 1:
            raise ConversionError(f"two layers are called '{name}'")
    made = {id(layer.output): layer.name for layer in model.layers}
    found = {layer.name: _inputs(layer) for layer in model.layers}
    for name, inputs in found.items():
        if inputs is None or not all(id(tensor) in made for tensor in inputs):
            raise ConversionError(
                f"quantization-aware training does not know how '{name}' is wired",
                fix="apply every layer of the network once",
            )
    return {
        name: tuple(made[id(tensor)] for tensor in inputs or ()) for name, inputs in found.items()
    }


def place(model: KerasModel, form: Form = "tflite") -> QatPlacement:
    """Walk a network of the zoo.

    Args:
        form: ``tflite`` rounds all that ``onnx`` rounds, and more. Groups are the same.

    Raises:
        ConversionError: A layer of a kind that is not known here, or one that is applied twice.
    """
    graph = _graph(model)
    tail = _following(graph, HEAD)
    held = [name for name in graph.layers if name not in tail and _held(graph, name)]
    kernels = [
        name
        for name, layer in graph.layers.items()
        if name not in tail and isinstance(layer, _WEIGHTED)
    ]
    return QatPlacement(
        group=_groups(graph, held),
        rounded=tuple(
            name
            for name in held
            if isinstance(graph.layers[name], _ROUNDED)
            and (form == "tflite" or _read_as_int8(graph, name, tail))
        ),
        kernels=tuple(kernels),
        folded={name: norm.name for name in kernels if (norm := _norm_of(graph, name)) is not None},
    )


def _graph(model: KerasModel) -> _Graph:
    sources = sources_of(model)
    readers: dict[str, list[str]] = {name: [] for name in sources}
    for name, read in sources.items():
        for source in read:
            readers[source].append(name)
    ends = frozenset(name for name, found in readers.items() if not found)
    layers = {layer.name: layer for layer in model.layers}
    return _Graph(layers, sources, {name: tuple(all_) for name, all_ in readers.items()}, ends)


def _inputs(layer: Layer) -> list[object] | None:
    """What a layer reads; None where it is applied several times."""
    if isinstance(layer, _L.InputLayer):
        return []
    try:
        given = layer.input  # type: ignore[attr-defined]  # of a layer that was applied once
    except AttributeError:
        return None
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _following(graph: _Graph, start: str) -> set[str]:
    if start not in graph.layers:
        raise ConversionError(f"the network has no layer '{start}' to keep in float")
    found = {start}
    for name, sources in graph.sources.items():
        if found & set(sources):
            found.add(name)
    return found


def _held(graph: _Graph, name: str) -> bool:
    """Whether an int8 operator writes this output."""
    layer = graph.layers[name]
    if isinstance(layer, _L.InputLayer):
        return False
    if not isinstance(layer, (*_VIEWS, *_ROUNDED)):
        raise ConversionError(
            f"quantization-aware training does not know the layer '{name}' "
            f"({type(layer).__name__})",
            fix="use a network of the zoo, or quantize it without training",
        )
    if isinstance(layer, _L.Activation) and _activation(layer) not in (*_RELU, "sigmoid"):
        raise ConversionError(f"'{name}': int8 has no activation '{_activation(layer)}'")
    if isinstance(layer, _WEIGHTED) and _activation(layer) == "linear":
        return _norm_of(graph, name) is None and not _is_relu(graph.only_reader(name))
    if isinstance(layer, (_L.BatchNormalization, _L.Add)):
        return not _is_relu(graph.only_reader(name))
    return True


def _read_as_int8(graph: _Graph, name: str, tail: set[str]) -> bool:
    """Whether Q/DQ for TensorRT puts a pair on an output."""
    for reader in graph.readers[name]:
        layer = graph.layers[reader]
        if reader in tail:
            continue
        if isinstance(layer, (*_WEIGHTED, _L.Multiply, _L.MaxPooling2D, _L.Concatenate)):
            return True
        if isinstance(layer, _L.Add) and _branch_in_float(graph, reader) != name:
            return True
        passes = (*_VIEWS, _L.AveragePooling2D, _L.GlobalAveragePooling2D)
        if isinstance(layer, passes) and _read_as_int8(graph, reader, tail):
            return True
    return False


def _branch_in_float(graph: _Graph, add: str) -> str | None:
    """The branch of a sum that ends in a convolution; the deeper one of two."""
    depths = {
        source: _depth(graph, source)
        for source in graph.sources[add]
        if len(graph.readers[source]) == 1 and _ends_in_convolution(graph, source)
    }
    return max(depths, key=depths.__getitem__, default=None)


def _ends_in_convolution(graph: _Graph, name: str) -> bool:
    layer = graph.layers[name]
    if isinstance(layer, _L.BatchNormalization):
        (source,) = graph.sources[name]
        norm = _norm_of(graph, source)
        return norm is not None and norm.name == name and _ends_in_convolution(graph, source)
    return isinstance(layer, (_L.Conv2D, _L.DepthwiseConv2D)) and _activation(layer) == "linear"


def _depth(graph: _Graph, name: str) -> int:
    """Most convolutions and dense layers on any way from the pixels to an output."""
    known: dict[str, int] = {}
    for one, sources in graph.sources.items():
        before = max((known[source] for source in sources), default=0)
        known[one] = before + isinstance(graph.layers[one], _WEIGHTED)
        if one == name:
            break
    return known[name]


def _norm_of(graph: _Graph, name: str) -> Layer | None:
    """The batch norm that is folded into a layer."""
    reader, layer = graph.only_reader(name), graph.layers[name]
    fits = isinstance(reader, _L.BatchNormalization) and _activation(layer) == "linear"
    return reader if fits else None


def _is_relu(layer: Layer | None) -> bool:
    return isinstance(layer, _L.ReLU) or (
        isinstance(layer, _L.Activation) and _activation(layer) in _RELU
    )


def _activation(layer: Layer) -> str:
    return str(getattr(getattr(layer, "activation", None), "__name__", "linear"))


def _groups(graph: _Graph, held: list[str]) -> dict[str, str]:
    place = {name: number for number, name in enumerate(held)}
    leader = {name: name for name in held}

    def lead(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for name in held:
        if isinstance(graph.layers[name], (*_VIEWS, _L.AveragePooling2D)):
            for source in graph.sources[name]:
                if source in leader:
                    first, second = sorted((lead(name), lead(source)), key=place.__getitem__)
                    leader[second] = first
    return {name: lead(name) for name in held}
