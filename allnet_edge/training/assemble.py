"""The models of a run: what is stored, what is trained, what predicts; one set of weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras

from allnet_edge import models
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.spec.network import NetworkSpec
from allnet_edge.spec.training import Precision, TrainSettings
from allnet_edge.training.augment import with_augmentation
from allnet_edge.training.backend import make_deterministic
from allnet_edge.training.distribute import Crew
from allnet_edge.training.freeze import freeze
from allnet_edge.training.initial import initialise
from allnet_edge.training.optimiser import make_optimiser


@dataclass(frozen=True, slots=True)
class Models:
    """One set of weights, seen three ways.

    Attributes:
        network: What is stored and exported.
        trained: The network behind its augmentation, compiled.
        judged: What predicts: the network, or a copy on one device beside a crew of several.
        came_from: Where the initial weights came from, for the record.
        frozen: Names of the layers that are not trained.
    """

    network: keras.Model
    trained: keras.Model
    judged: keras.Model
    came_from: dict[str, str]
    frozen: tuple[str, ...]

    def hand_over(self) -> None:
        """Give ``judged`` the weights as they are now."""
        if self.judged is not self.network:
            assign(self.judged, arrays_of(self.network))


def assemble(settings: TrainSettings, spec: NetworkSpec, crew: Crew, steps: int) -> Models:
    """Build, initialise and compile.

    Args:
        steps: Of an epoch.

    Raises:
        UsageError, EnvironmentMismatch, IntegrityError: The initial weights cannot be had.
        RecipeError: The recipe names layers that the network does not have.
    """
    make_deterministic(keras.backend.backend(), settings.seed)
    frozen: list[str] = []
    with computing_in(settings.precision), crew.together():
        network: keras.Model = models.build(keras, spec)
        came_from = initialise(network, spec, settings.weights)
        # Random filters that stay random would learn nothing.
        if settings.weights != "none" and settings.freeze is not None:
            frozen = freeze(network, settings.freeze)
        trained = with_augmentation(network, settings)
        trained.compile(
            optimizer=make_optimiser(settings, network, steps),
            loss="binary_crossentropy" if spec.units == 1 else "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    judged = network
    if crew.devices > 1:  # predicting would have to split every batch, the last one too
        with computing_in(settings.precision):
            judged = models.build(keras, spec)
    return Models(network, trained, judged, came_from, tuple(frozen))


@contextmanager
def computing_in(precision: Precision) -> Iterator[None]:
    """Layers made inside compute in this precision; their weights are float32 all the same."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
