"""Batches for Keras 3: the next ones are decoded while the network computes."""

import keras

from allnet_edge.data.batches import ImageBatches, Labels, Pixels


class KerasBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """Hands ``ImageBatches`` to ``fit`` and ``predict``."""

    def __init__(self, batches: ImageBatches) -> None:
        super().__init__(workers=2, use_multiprocessing=False, max_queue_size=4)
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> tuple[Pixels, Labels]:
        return self._batches[number]
