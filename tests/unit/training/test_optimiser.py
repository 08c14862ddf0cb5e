"""Schedules against their closed forms; Adam with a rate of its own for each layer."""

import math

import keras
import numpy as np
import pytest

from allnet_edge.errors import RecipeError
from allnet_edge.spec.training import LayerRate, TrainSettings
from allnet_edge.training.optimiser import LayerwiseAdam, make_optimiser

STEPS = 10


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((6,))
    x = keras.layers.Dense(5, activation="tanh", name="stem_dense")(pixels)
    x = keras.layers.Dense(4, activation="tanh", name="middle")(x)
    return keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid", name="logits")(x))


def settings(**more: object) -> TrainSettings:
    return TrainSettings(model="tiny", epochs=4, learning_rate=0.01, **more)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, lambda _: 0.01),
        ({"schedule": "cosine"}, lambda step: 0.005 * (1 + math.cos(math.pi * step / 40))),
        (
            {"schedule": "step", "decay": 0.1, "decay_every": 2},
            lambda step: 0.01 * 0.1 ** (step // 20),
        ),
        (
            {"schedule": "exponential", "decay": 0.96, "decay_every": 7},
            lambda step: 0.01 * 0.96 ** (step / 7),
        ),
    ],
    ids=["constant", "cosine", "step", "exponential"],
)
def test_schedules(more, expected):
    optimiser = make_optimiser(settings(**more), network(), STEPS)
    for step in (0, 1, 19, 20, 39):
        optimiser.iterations.assign(step)
        rate = float(keras.ops.convert_to_numpy(optimiser.learning_rate))
        assert rate == pytest.approx(expected(step), rel=1e-5, abs=1e-8), step


def trained(optimiser: keras.optimizers.Optimizer, model: keras.Model, steps: int) -> keras.Model:
    rng = np.random.default_rng(1)
    model.compile(optimizer=optimiser, loss="binary_crossentropy")
    pixels, truth = rng.normal(size=(16, 6)), rng.integers(0, 2, (16, 1))
    for _ in range(steps):
        model.train_on_batch(pixels.astype(np.float32), truth.astype(np.float32))
    return model


def test_one_step_of_a_layer_is_scaled_by_its_factor():
    start = network().get_weights()
    factors = {v.path: 0.25 for v in network().get_layer("stem_dense").trainable_variables}
    plain = trained(keras.optimizers.Adam(0.01), network(), 1).get_weights()
    scaled = trained(LayerwiseAdam(0.01, factors), network(), 1).get_weights()
    for number, (before, one, other) in enumerate(zip(start, plain, scaled, strict=True)):
        factor = 0.25 if number < 2 else 1.0
        assert np.abs(one - before).max() > 0.005  # Adam's first step is the rate itself
        np.testing.assert_allclose(other - before, factor * (one - before), rtol=1e-3, atol=1e-7)


RATES = (
    LayerRate(layers="stem.*", learning_rate=1e-6),
    LayerRate(layers="logits", learning_rate=0.1),
)


def test_layer_rates_are_for_weights_that_came_from_elsewhere():
    fresh = make_optimiser(settings(layer_rates=RATES), network(), STEPS)
    assert not isinstance(fresh, LayerwiseAdam)
    given = make_optimiser(settings(layer_rates=RATES, weights="some.h5"), network(), STEPS)
    assert sorted(given.factors.values()) == pytest.approx([1e-4, 1e-4, 10, 10])


def test_the_schedule_acts_on_all_of_them():
    told = settings(layer_rates=RATES, weights="some.h5", schedule="step", decay_every=1)
    before = network().get_weights()
    optimiser = make_optimiser(told, network(), steps_per_epoch=1)
    after = trained(optimiser, network(), 1).get_weights()
    assert np.abs(after[0] - before[0]).max() == pytest.approx(1e-6, rel=0.3)
    assert np.abs(after[4] - before[4]).max() == pytest.approx(0.1, rel=0.01)


def test_layers_that_are_not_there_are_named():
    rates = (LayerRate(layers="layer9", learning_rate=1e-3),)
    with pytest.raises(RecipeError, match="'layer9'") as caught:
        make_optimiser(settings(layer_rates=rates, weights="some.h5"), network(), STEPS)
    assert "stem_dense" in caught.value.fix
