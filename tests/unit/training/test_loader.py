"""What Keras is handed, and that nothing of it is kept."""

import pickle

import keras
import numpy as np

from allnet_edge.data.batches import ImageBatches, shuffled
from allnet_edge.spec.network import Preprocess
from allnet_edge.training.loader import KerasBatches


def test_it_hands_the_batches_on_and_keeps_no_pixel(cells):
    paths, truth = cells.paths("train"), cells.truth("train")
    batches = ImageBatches(paths, truth, Preprocess(size=48), 8, order=shuffled(len(paths), (0, 1)))
    loader = KerasBatches(batches)
    assert len(loader) == len(batches) == -(-len(paths) // 8)
    before = len(pickle.dumps(batches))
    for number in range(len(loader)):
        pixels, labels = loader[number]
        expected_pixels, expected_labels = batches[number]
        np.testing.assert_array_equal(pixels, expected_pixels)
        np.testing.assert_array_equal(labels, expected_labels)
    names = sum(len(str(path)) for path in paths)
    assert len(pickle.dumps(batches)) == before < names + 200 * len(paths) + 1000
    assert before < pixels[0].nbytes, "less than one image"
    assert not [v for v in vars(loader).values() if isinstance(v, np.ndarray)]


def test_keras_sees_the_batches_in_their_order(cells):
    """Two workers decode ahead; the order of what the network sees stays that of the seed."""
    paths = cells.paths("train")
    batches = ImageBatches(
        paths, list(range(len(paths))), Preprocess(size=32), 4, order=shuffled(len(paths), (3, 2))
    )
    seen: list[np.ndarray] = []

    class Spy(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.weight = self.add_weight(name="weight", shape=())

        def call(self, images):
            return keras.ops.sum(images, axis=(1, 2, 3))[:, None] * self.weight

        def train_step(self, data):
            seen.append(np.asarray(data[1]).ravel())
            return {"loss": 0.0}

    model = Spy()
    model.compile(optimizer="sgd", run_eagerly=True)
    model.fit(KerasBatches(batches), epochs=1, shuffle=False, verbose=0)
    np.testing.assert_array_equal(np.concatenate(seen), shuffled(len(paths), (3, 2)))
