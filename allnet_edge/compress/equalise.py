"""Cross-layer equalisation: weights of like range in every channel, and the same function.

Nagel et al. 2019 (arXiv 1906.04721): ``relu(x / s) * s = relu(x)`` for any s > 0, so that what one
layer makes can be divided by s in a channel where the next one multiplies by s. With ``s = sqrt(r1
/ r2)``, where r1 and r2 are the largest absolute weights that make and that read the channel, both
become the same, and one scale for all channels loses the least. The scales are then rounded to
powers of two: a floating-point number times one of those is exact, so that the answers of the
equalised network are those of the first to the last bit, and r1 and r2 are within a factor of two.

It holds across ReLU, pooling, padding and flattening, where one layer alone reads what another
makes. It does not across ReLU6, whose limit is a number, nor across sums and concatenations, where
others read the same channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tf_keras

from allnet_edge.models.storage.weights import Arrays, arrays_of
from allnet_edge.models.towers.api import Layer

Scales = npt.NDArray[np.float64]
"""[channels]."""

_L = tf_keras.layers
_LINEAR = (
    _L.Dropout, _L.ZeroPadding2D, _L.MaxPooling2D, _L.AveragePooling2D, _L.GlobalAveragePooling2D,
    _L.Flatten,
)  # fmt: skip
_HOMOGENEOUS = ("relu", "linear")
_ROUNDS, _SETTLED = 40, 1e-4
# Beyond this a channel is as good as dead, and its weights would overflow an int8 bias.
_LARGEST = 1e3


@dataclass(frozen=True, slots=True)
class Pair:
    """Two layers with only a ReLU and the like between them.

    Attributes:
        maker: Convolution, depth-wise convolution or dense layer.
        norm: The batch norm behind it, if there is one.
        reader: The only layer that reads it.
        reader_norm: The batch norm behind that one: its scales are part of the weights.
        places: How often each channel is repeated on its way, by flattening a map.
    """

    maker: str
    norm: str | None
    reader: str
    reader_norm: str | None
    places: int


def equalise(model: tf_keras.Model) -> Arrays:
    """Equalise a trained network as it is used; training it afterwards would undo it in part.

    Args:
        model: Functional tf-keras network whose layers are each applied once; left as it was.

    Returns:
        Weights of the same network with which it gives the same answers. Where a batch norm lies
        between, its scale and shift are divided; one without a scale has its mean divided, with the
        kernel before it.
    """
    arrays = arrays_of(model)
    pairs = equalised_pairs(model)
    depthwise = {n.name for n in model.layers if isinstance(n, _L.DepthwiseConv2D)}
    for pair, scales in zip(pairs, _settled(model, pairs, arrays, depthwise), strict=True):
        rounded = np.exp2(np.rint(np.log2(scales)))
        _divide(pair, arrays, depthwise, rounded)
        _multiply(pair, arrays, rounded)
    return arrays


def _settled(
    model: tf_keras.Model, pairs: Sequence[Pair], arrays: Arrays, depthwise: set[str]
) -> list[Scales]:
    """For each pair the scales at which no range would change much further."""
    epsilons = {n.name: n.epsilon for n in model.layers if isinstance(n, _L.BatchNormalization)}
    trial: Arrays = {name: array.astype(np.float64) for name, array in arrays.items()}
    totals: list[Scales] = [np.ones(())] * len(pairs)
    for _ in range(_ROUNDS):
        largest = 0.0
        for place, pair in enumerate(pairs):
            scales = _scales(pair, trial, depthwise, epsilons)
            _divide(pair, trial, depthwise, scales)
            _multiply(pair, trial, scales)
            totals[place] = totals[place] * scales
            largest = max(largest, float(np.abs(np.log(scales)).max()))
        if largest < _SETTLED:
            break
    return totals


def equalised_pairs(model: tf_keras.Model) -> tuple[Pair, ...]:
    """All pairs of a network, in its order."""
    readers: dict[int, list[Layer]] = {}
    for layer in model.layers:
        for tensor in _inputs(layer):
            readers.setdefault(id(tensor), []).append(layer)
    outputs = {id(tensor) for tensor in model.outputs}

    def only_reader(layer: Layer) -> Layer | None:
        found = readers.get(id(layer.output), [])
        return found[0] if len(found) == 1 and id(layer.output) not in outputs else None

    return tuple(
        pair for layer in model.layers if _has_kernel(layer) if (pair := _pair(layer, only_reader))
    )


def _pair(maker: Layer, only_reader: Callable[[Layer], Layer | None]) -> Pair | None:
    norm, at = _norm_behind(maker, only_reader)
    places = 1
    passed = [maker] if norm is None else [maker, norm]
    reader = only_reader(at)
    while reader is not None and _passes(reader):
        if isinstance(reader, _L.Flatten):
            places = int(np.prod(reader.input.shape[1:-1]))
        passed.append(reader)
        reader = only_reader(reader)
    if reader is None or not _has_kernel(reader) or not all(map(_is_homogeneous, passed)):
        return None
    # Between a convolution and its batch norm an activation would not commute with the division.
    if norm is not None and _activation(maker) != "linear":
        return None
    reader_norm, _ = _norm_behind(reader, only_reader)
    if _activation(reader) != "linear":
        reader_norm = None
    return Pair(
        maker.name,
        None if norm is None else norm.name,
        reader.name,
        None if reader_norm is None else reader_norm.name,
        places,
    )


def _norm_behind(
    layer: Layer, only_reader: Callable[[Layer], Layer | None]
) -> tuple[Layer | None, Layer]:
    """The batch norm that alone reads a layer, and the layer after which the channel goes on."""
    behind = only_reader(layer)
    if isinstance(behind, _L.BatchNormalization):
        return behind, behind
    return None, layer


def _scales(pair: Pair, arrays: Arrays, depthwise: set[str], epsilons: dict[str, float]) -> Scales:
    made = _folded(pair.maker, pair.norm, arrays, depthwise, epsilons)
    r1 = np.abs(made).reshape(-1, made.shape[-1]).max(axis=0)
    reads = _folded(pair.reader, pair.reader_norm, arrays, depthwise, epsilons)
    if pair.reader in depthwise:
        r2 = np.abs(reads).reshape(-1, reads.shape[-1]).max(axis=0)
    else:
        across = tuple(axis for axis in range(reads.ndim) if axis != reads.ndim - 2)
        r2 = np.abs(reads).max(axis=across).reshape(pair.places, -1).max(axis=0)
    alive = (r1 > 0) & (r2 > 0)
    ratio = np.divide(r1, r2, out=np.ones_like(r1), where=alive)
    return np.asarray(np.sqrt(ratio).clip(1 / _LARGEST, _LARGEST), np.float64)


def _folded(
    name: str,
    norm: str | None,
    arrays: Arrays,
    depthwise: set[str],
    epsilons: dict[str, float],
) -> npt.NDArray[np.float64]:
    """A kernel with its output channels last, times the scale of the batch norm behind it."""
    kernel = arrays[f"{name}/kernel"].astype(np.float64)
    if name in depthwise:
        kernel = kernel[..., 0]
    if norm is None:
        return kernel
    variance = arrays[f"{norm}/moving_variance"].astype(np.float64)
    gamma = arrays.get(f"{norm}/gamma", np.ones(()))
    return np.asarray(kernel * (gamma / np.sqrt(variance + epsilons[norm])), np.float64)


def _divide(pair: Pair, arrays: Arrays, depthwise: set[str], scales: Scales) -> None:
    """Make each channel smaller by its scale."""
    if pair.norm is not None and f"{pair.norm}/gamma" in arrays:
        names = [f"{pair.norm}/gamma", f"{pair.norm}/beta"]
    else:
        names = [f"{pair.maker}/kernel", f"{pair.maker}/bias"]
        if pair.norm is not None:
            names += [f"{pair.norm}/moving_mean", f"{pair.norm}/beta"]
    for name in names:
        if name in arrays:
            kernel = name.endswith("/kernel") and pair.maker in depthwise
            by = scales[:, None] if kernel else scales
            arrays[name] = (arrays[name].astype(np.float64) / by).astype(arrays[name].dtype)


def _multiply(pair: Pair, arrays: Arrays, scales: Scales) -> None:
    """Let the reader take each channel as large as it was."""
    name = f"{pair.reader}/kernel"
    repeated = np.tile(scales, pair.places)[:, None]
    arrays[name] = (arrays[name].astype(np.float64) * repeated).astype(arrays[name].dtype)


def _inputs(layer: Layer) -> list[object]:
    given = getattr(layer, "input", None)
    if isinstance(layer, _L.InputLayer) or given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _has_kernel(layer: Layer) -> bool:
    """Grouped convolutions are left alone: an input channel is read by its own group only."""
    if isinstance(layer, _L.DepthwiseConv2D):
        return bool(layer.depth_multiplier == 1)
    if isinstance(layer, _L.Conv2D):
        return layer.groups == 1 and not isinstance(layer, _L.Conv2DTranspose)
    return isinstance(layer, _L.Dense)


def _activation(layer: Layer) -> str:
    return str(getattr(getattr(layer, "activation", None), "__name__", "linear"))


def _passes(layer: Layer) -> bool:
    return isinstance(layer, (*_LINEAR, _L.Activation, _L.ReLU))


def _is_homogeneous(layer: Layer) -> bool:
    """Whether f(x / s) = f(x) / s for every channel and s > 0."""
    if isinstance(layer, _L.ReLU):
        return layer.max_value is None and not layer.threshold
    return _activation(layer) in _HOMOGENEOUS
