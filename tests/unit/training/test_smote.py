"""SMOTE: which blends are planned, against scikit-learn's neighbours."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from allnet_edge.training.smote import plan_blends, thumbnail


@pytest.fixture
def cells() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [40, 17, 9])
    return rng.normal(size=(66, 12)).astype(np.float32), rng.permutation(labels)


def test_every_class_is_filled_up_to_the_largest(cells):
    vectors, labels = cells
    blends = plan_blends(vectors, labels, seed=1)
    counts = np.bincount(np.concatenate([labels, blends.labels]))
    assert counts.tolist() == [40, 40, 40]
    assert blends.pairs.shape == (len(blends.labels), 2) == (54, 2)


def test_a_blend_lies_between_a_cell_and_one_of_its_five_nearest_of_the_same_class(cells):
    vectors, labels = cells
    blends = plan_blends(vectors, labels, seed=1)
    for (first, second), label in zip(blends.pairs, blends.labels, strict=True):
        members = np.flatnonzero(labels == label)
        tree = NearestNeighbors(n_neighbors=6).fit(vectors[members])
        near = members[tree.kneighbors(vectors[[first]], return_distance=False)[0]]
        assert first in members
        assert second in set(near) - {first}
    assert blends.shares.min() >= 0
    assert blends.shares.max() < 1
    assert blends.shares.std() > 0.2  # uniform: 0.29


def test_the_seed_decides(cells):
    vectors, labels = cells
    one, again, other = (plan_blends(vectors, labels, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.pairs, again.pairs)
    np.testing.assert_array_equal(one.shares, again.shares)
    assert (one.shares != other.shares).any()


def test_one_cell_of_a_class_is_blended_with_itself():
    blends = plan_blends(np.eye(4, dtype=np.float32), np.array([0, 0, 0, 1]), seed=0)
    assert blends.pairs.tolist() == [[3, 3], [3, 3]]


def test_equal_classes_need_nothing():
    blends = plan_blends(np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1]), seed=0)
    assert blends.pairs.shape == (0, 2)


@pytest.mark.parametrize("side", [16, 32, 50, 9])
def test_a_thumbnail_is_the_mean_of_each_field_of_a_grid(side):
    images = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
    found = thumbnail(images).reshape(3, min(16, side), min(16, side), 3)
    edges = np.linspace(0, side, min(16, side) + 1).round().astype(int)
    for row, column in ((0, 0), (3, 7), (-1, -1)):
        rows, columns = (
            slice(edges[k], edges[k + 1]) if k >= 0 else slice(edges[-2], edges[-1])
            for k in (row, column)
        )
        expected = images[:, rows, columns].astype(float).mean(axis=(1, 2))
        np.testing.assert_allclose(found[:, row, column], expected, rtol=1e-5)
