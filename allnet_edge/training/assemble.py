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
from allnet_edge.training.distil import lesson
from allnet_edge.training.distribute import Crew
from allnet_edge.training.freeze import freeze
from allnet_edge.training.initial import initialise
from allnet_edge.training.optimiser import make_optimiser
from allnet_edge.training.teacher import Teacher


@dataclass(frozen=True, slots=True)
class Models:
    """One set of weights, seen three ways.

    Attributes:
        network: What is stored and exported.
        trained: The network behind its augmentation, with its teacher if it has one, compiled.
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


def assemble(
    settings: TrainSettings,
    spec: NetworkSpec,
    crew: Crew,
    steps: int,
    teacher: Teacher | None = None,
) -> Models:
    """Build, initialise and compile.

    Args:
        steps: Of an epoch.
        teacher: Where the settings distil.

    Raises:
        UsageError, EnvironmentMismatch, IntegrityError: The initial weights cannot be had.
        RecipeError: The recipe names layers that the network or its teacher does not have.
    """
    make_deterministic(keras.backend.backend(), settings.seed)
    frozen: list[str] = []
    with computing_in(settings.precision), crew.together():
        network: keras.Model = models.build(keras, spec)
        came_from = initialise(network, spec, settings.weights)
        # Random filters that stay random would learn nothing.
        if settings.weights != "none" and settings.freeze is not None:
            frozen = freeze(network, settings.freeze)
        trained = _compiled(settings, spec, network, steps, teacher)
    judged = network
    if crew.devices > 1:  # predicting would have to split every batch, the last one too
        with computing_in(settings.precision):
            judged = models.build(keras, spec)
    return Models(network, trained, judged, came_from, tuple(frozen))


def _compiled(
    settings: TrainSettings,
    spec: NetworkSpec,
    network: keras.Model,
    steps: int,
    teacher: Teacher | None,
) -> keras.Model:
    optimiser = make_optimiser(settings, network, steps)
    if teacher is not None and settings.distil is not None:
        taught = lesson(network, settings, settings.distil, teacher)
        accuracy = keras.metrics.MeanMetricWrapper(taught.told.accuracy, name="accuracy")
        taught.model.compile(optimizer=optimiser, loss=taught.loss, metrics=[accuracy])
        return taught.model
    trained = with_augmentation(network, settings)
    trained.compile(
        optimizer=optimiser,
        loss="binary_crossentropy" if spec.units == 1 else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return trained


@contextmanager
def computing_in(precision: Precision) -> Iterator[None]:
    """Layers made inside compute in this precision; their weights are float32 all the same."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
