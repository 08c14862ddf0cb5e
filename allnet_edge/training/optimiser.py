"""Adam with the schedules and the learning rates by layer that the published systems use."""

import re
from collections.abc import Sequence
from typing import TypeAlias

import keras

from allnet_edge.errors import RecipeError
from allnet_edge.spec.training import LayerRate, TrainSettings

_Rate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule


def make_optimiser(
    settings: TrainSettings, network: keras.Model, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """Adam (Kingma & Ba 2014, arXiv 1412.6980) with Keras' other defaults.

    Raises:
        RecipeError: ``layer_rates`` names layers that the network does not have.
    """
    rate = _schedule(settings, steps_per_epoch)
    if not settings.layer_rates or settings.weights == "none":
        return keras.optimizers.Adam(rate)
    factors = _factors(network, settings.layer_rates, settings.learning_rate)
    return LayerwiseAdam(rate, factors)


class LayerwiseAdam(keras.optimizers.Adam):  # type: ignore[misc]  # keras ships no types
    """Adam whose steps are scaled by a factor of each variable.

    Scaling gradients would do nothing, since Adam divides by their size; the step itself is scaled.

    Args:
        factors: By the path of a variable; 1 where none is given.
    """

    def __init__(self, learning_rate: _Rate, factors: dict[str, float]) -> None:
        super().__init__(learning_rate)
        self.factors = factors

    def update_step(
        self, gradient: object, variable: keras.Variable, learning_rate: object
    ) -> None:
        """One step of one variable."""
        factor = self.factors.get(_path(variable), 1.0)
        rate = keras.ops.multiply(keras.ops.cast(learning_rate, variable.dtype), factor)
        super().update_step(gradient, variable, rate)


def _path(variable: keras.Variable) -> str:
    """Of a Keras variable; on TensorFlow of the one underneath, or of a device's copy of it."""
    path = getattr(variable, "path", None)
    return str(path) if path else re.sub(r"(/replica_\d+)?:\d+$", "", variable.name)


def _schedule(settings: TrainSettings, steps_per_epoch: int) -> _Rate:
    schedules, rate = keras.optimizers.schedules, settings.learning_rate
    if settings.schedule == "cosine":
        return schedules.CosineDecay(rate, steps_per_epoch * settings.epochs)
    if settings.schedule == "exponential":
        return schedules.ExponentialDecay(rate, settings.decay_every, settings.decay)
    if settings.schedule == "step":
        steps = settings.decay_every * steps_per_epoch
        return schedules.ExponentialDecay(rate, steps, settings.decay, staircase=True)
    return rate


def _factors(network: keras.Model, rates: Sequence[LayerRate], base: float) -> dict[str, float]:
    found: dict[str, float] = {}
    used: set[str] = set()
    for layer in network.layers:
        rate = next((r for r in rates if re.fullmatch(r.layers, layer.name)), None)
        if rate is None:
            continue
        used.add(rate.layers)
        found |= {v.path: rate.learning_rate / base for v in layer.trainable_variables}
    for rate in rates:
        if rate.layers not in used:
            raise RecipeError(
                f"layer_rates: no layer of {network.name} is called '{rate.layers}'",
                fix=f"its layers are: {', '.join(layer.name for layer in network.layers[:8])}, ...",
            )
    return found
