"""Batches are fixed by their seed alone, and hold file names and labels only."""

import itertools

import numpy as np
import pytest

from allnet_edge.data.batches import ImageBatches, shuffled
from allnet_edge.data.images import load_batch
from allnet_edge.spec.network import Preprocess

PREPROCESS = Preprocess(size=32)


@pytest.fixture
def paths(tmp_path, texture):
    names = [tmp_path / f"{number}.png" for number in range(10)]
    for number, path in enumerate(names):
        texture(number, 32).save(path)
    return names


def batches(paths, **options: object) -> ImageBatches:
    return ImageBatches(paths, list(range(len(paths))), PREPROCESS, 4, **options)


def symmetries(image: np.ndarray) -> list[np.ndarray]:
    turned = [np.rot90(image, quarters) for quarters in range(4)]
    return [*turned, *(one[:, ::-1] for one in turned)]


def test_every_image_comes_once_with_its_label_as_float32_in_0_255(paths):
    made = [batches(paths)[number] for number in range(3)]
    assert len(batches(paths)) == 3
    assert [len(pixels) for pixels, _ in made] == [4, 4, 2]
    pixels, labels = (np.concatenate(parts) for parts in zip(*made, strict=True))
    np.testing.assert_array_equal(pixels, load_batch(paths, PREPROCESS))
    np.testing.assert_array_equal(labels, np.arange(10)[:, None])
    assert pixels.dtype == labels.dtype == np.float32


def test_an_order_is_followed(paths):
    order = shuffled(10, (3, 1))
    made = batches(paths, order=order)
    labels = np.concatenate([made[number][1] for number in range(3)])
    np.testing.assert_array_equal(labels.ravel(), order)


def test_the_order_depends_on_seed_and_epoch_only():
    orders = {seed: shuffled(50, seed) for seed in itertools.product((0, 1), (1, 2, 3))}
    for seed, order in orders.items():
        assert sorted(order) == list(range(50))
        np.testing.assert_array_equal(order, shuffled(50, seed))
    for one, other in itertools.combinations(orders.values(), 2):
        assert (one != other).any()


def test_an_augmented_batch_does_not_depend_on_those_before_it(paths):
    """Batches are decoded in parallel, and a resumed run starts in a new process."""
    first = [batches(paths, augment="dihedral", seed=(1, 2))[number][0] for number in (0, 1, 2)]
    again = batches(paths, augment="dihedral", seed=(1, 2))
    for number in (2, 0, 1, 0):
        np.testing.assert_array_equal(again[number][0], first[number])


@pytest.mark.parametrize("seed", [(1, 3), (2, 2)])
def test_another_epoch_or_seed_augments_otherwise(paths, seed):
    first = batches(paths, augment="dihedral", seed=(1, 2))[0][0]
    assert (batches(paths, augment="dihedral", seed=seed)[0][0] != first).any()


def test_augmentation_gives_each_of_the_eight_symmetries_and_nothing_else(paths):
    plain = load_batch(paths[:4], PREPROCESS)
    seen = set()
    for epoch in range(40):
        images, labels = batches(paths, augment="dihedral", seed=(0, epoch))[0]
        np.testing.assert_array_equal(labels.ravel(), np.arange(4))
        for image, original in zip(images, plain, strict=True):
            matches = [n for n, one in enumerate(symmetries(original)) if (one == image).all()]
            assert len(matches) == 1
            seen.update(matches)
    assert seen == set(range(8))
