"""The network that is trained: every layer once more, with fake quantization between them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from allnet_edge.compress.qat_placement import QatPlacement, sources_of
from allnet_edge.compress.qat_quantizers import FakeQuantized, KernelOnly, NormUntil
from allnet_edge.models.storage.weights import Arrays, arrays_of
from allnet_edge.models.towers.api import KerasModel, Layer


@dataclass(frozen=True, slots=True)
class QatNetwork:
    """A network with fake quantization, and the way back to the plain one.

    Attributes:
        model: From pixels to probabilities, as the plain network; not compiled.
        steps: By the leader of a group of tensors what rounds them.
        plain: By the name in the plain network the variables of this one, in its order.
    """

    model: tf_keras.Model
    steps: Mapping[str, FakeQuantized]
    plain: Mapping[str, tf.Variable]

    def freeze_norms(self) -> None:
        """Let batch norms use their averages while training too, from the next step on."""
        for layer in self.model.layers:
            if isinstance(layer, NormUntil):
                layer.frozen = True
        self.model.make_train_function(force=True)

    def arrays(self) -> Arrays:
        """The float weights as they are now, named as in the plain network."""
        return {name: np.asarray(variable.numpy()) for name, variable in self.plain.items()}


def qat_network(
    model: KerasModel, placement: QatPlacement, largest: Mapping[str, float]
) -> QatNetwork:
    """Build it from a plain network, with its weights and without its dropout.

    tfmot's own ``quantize_apply`` is not used: it does not take layers inside of one another and
    moves layers that it thinks it knows. Its wrapper and interfaces are.

    Args:
        model: Functional tf-keras network; left as it is.
        largest: Magnitude of the leader of each group of tensors, over all of the group.
    """
    steps = {
        leader: FakeQuantized(largest[leader], name=f"int8_{leader}")
        for leader in dict.fromkeys(placement.group.values())
    }
    made: dict[str, object] = {}
    plain: dict[str, tf.Variable] = {}
    sources = sources_of(model)
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.InputLayer):
            made[layer.name] = tf_keras.Input(layer.input_shape[0][1:], name=layer.name)
            continue
        if isinstance(layer, tf_keras.layers.Dropout):
            # On top of the rounding it would pull all answers towards their mean.
            made[layer.name] = made[sources[layer.name][0]]
            continue
        copy = _copied(layer)
        plain |= dict(zip(_names(layer), copy.weights, strict=True))
        inputs = [made[name] for name in sources[layer.name]]
        apply = _wrapped(copy, rounds=layer.name in placement.kernels)
        x = apply(inputs if len(inputs) > 1 else inputs[0])  # type: ignore[operator]
        if layer.name in placement.rounded:
            x = steps[placement.group[layer.name]](x)
        made[layer.name] = x
    first, last = model.layers[0].name, model.layers[-1].name
    trained = tf_keras.Model(made[first], made[last], name=f"{first}_int8")
    return QatNetwork(trained, steps, {name: plain[name] for name in arrays_of(model)})


def _copied(layer: Layer) -> Layer:
    kind: type = type(layer)
    copy: Layer = kind.from_config(layer.get_config())  # type: ignore[attr-defined]
    copy.build(layer.input_shape)  # type: ignore[attr-defined]
    for variable, own in zip(copy.weights, layer.weights, strict=True):
        variable.assign(own.numpy())
    return copy


def _names(layer: Layer) -> list[str]:
    """As the plain network calls the weights of a layer."""

    class _Alone:
        layers = (layer,)

    return list(arrays_of(_Alone()))  # type: ignore[arg-type]


def _wrapped(copy: Layer, *, rounds: bool) -> Layer:
    if rounds:
        wrapped: Layer = tfmot.quantization.keras.QuantizeWrapperV2(copy, KernelOnly())
        return wrapped
    if isinstance(copy, tf_keras.layers.BatchNormalization):
        return NormUntil(copy)
    return copy
