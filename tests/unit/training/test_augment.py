"""Augmentation layers: what they draw, and that they are no part of the network."""

import keras
import numpy as np
import pytest

from allnet_edge import models
from allnet_edge.models.storage.weights import arrays_of
from allnet_edge.spec.network import NetworkSpec, Preprocess
from allnet_edge.spec.training import TrainSettings
from allnet_edge.training.augment import RandomAffine, RandomSymmetry, with_augmentation


def drawn(layer: keras.layers.Layer, image: np.ndarray, count: int) -> np.ndarray:
    images = np.repeat(image[None].astype(np.float32), count, axis=0)
    return keras.ops.convert_to_numpy(layer(images, training=True))


def symmetries(image: np.ndarray) -> list[np.ndarray]:
    turns = [np.rot90(image, k) for k in range(4)]
    return turns + [turn[:, ::-1] for turn in turns]


class TestSymmetry:
    def test_all_eight_and_nothing_else_with_even_chances(self):
        image = np.random.default_rng(0).integers(0, 256, (9, 9, 3))
        known = symmetries(image)
        seen = [
            [np.array_equal(one, other) for other in known].index(True)
            for one in drawn(RandomSymmetry(1), image, 800)
        ]
        counts = np.bincount(seen, minlength=8)
        assert counts.min() > 60, counts  # 100 each, sd 9.4
        assert counts.max() < 140, counts

    def test_the_same_seed_draws_the_same_and_goes_on(self):
        image = np.random.default_rng(0).integers(0, 256, (9, 9, 3))
        one, other = RandomSymmetry(3), RandomSymmetry(3)
        first = drawn(one, image, 32)
        np.testing.assert_array_equal(first, drawn(other, image, 32))
        assert (first != drawn(one, image, 32)).any()


def blob(side: int, row: float, column: float) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    spot = 255 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 4)
    return np.repeat(spot[..., None], 3, axis=2)


def centres(images: np.ndarray) -> np.ndarray:
    """Centre of mass of each, from the image's centre."""
    side = images.shape[1]
    at = np.arange(side) - (side - 1) / 2
    mass = images[..., 0].sum(axis=(1, 2))
    rows = (images[..., 0].sum(axis=2) * at).sum(axis=1) / mass
    columns = (images[..., 0].sum(axis=1) * at).sum(axis=1) / mass
    return np.stack([rows, columns], axis=1)


class TestAffine:
    def test_a_turn_keeps_the_distance_from_the_centre_and_reaches_every_angle(self):
        found = centres(drawn(RandomAffine(360, 0, 1), blob(41, 20, 30), 300))
        np.testing.assert_allclose(np.hypot(*found.T), 10, atol=0.3)
        octants = np.histogram(np.arctan2(*found.T), 8, (-np.pi, np.pi))[0]
        assert octants.min() > 15, octants  # 37 each

    def test_a_shift_stays_within_its_share_and_uses_it(self):
        found = centres(drawn(RandomAffine(0, 0.2, 1), blob(41, 20, 20), 300))
        assert np.abs(found).max() <= 0.2 * 41 + 0.1
        assert np.abs(found).max(axis=0).min() > 0.17 * 41

    def test_without_turn_and_shift_there_are_the_four_flips(self):
        image = np.random.default_rng(0).integers(0, 256, (9, 9, 3))
        flips = [image, image[::-1], image[:, ::-1], image[::-1, ::-1]]
        seen = {
            next(k for k, flip in enumerate(flips) if np.abs(one - flip).max() < 1e-3)
            for one in drawn(RandomAffine(0, 0, 1), image, 60)
        }
        assert seen == {0, 1, 2, 3}

    def test_outside_is_black(self):
        white = np.full((21, 21, 3), 255.0)
        found = drawn(RandomAffine(0, 0.4, 1), white, 40)
        assert found.min() == 0
        assert found.max() == pytest.approx(255, abs=1e-3)


@pytest.mark.parametrize("layer", [RandomSymmetry(1), RandomAffine(360, 0.2, 1)], ids=type)
def test_outside_training_nothing_changes(layer):
    images = np.random.default_rng(0).uniform(0, 255, (3, 9, 9, 3)).astype(np.float32)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(images)), images)


@pytest.mark.parametrize("how", ["none", "dihedral", "affine"])
def test_the_network_alone_is_what_is_stored(how):
    spec = NetworkSpec(
        network="custom_cnn", preprocess=Preprocess(size=32), classes=("hem", "all"), width=0.125
    )
    network = models.build(keras, spec)
    names = arrays_of(network).keys()
    settings = TrainSettings(model="custom_cnn", input_size=32, augment=how, translation=0.1)
    trained = with_augmentation(network, settings)
    assert (trained is network) == (how == "none")
    assert arrays_of(network).keys() == names
    assert not [name for name in names if "random" in name]
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        trained.predict(images, verbose=0), network.predict(images, verbose=0)
    )
