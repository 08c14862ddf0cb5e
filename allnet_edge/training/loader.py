"""Batches for Keras 3: the next ones are decoded while the network computes."""

import threading

import keras

from allnet_edge.data.batches import Ahead, ImageBatches, Labels, Weights
from allnet_edge.data.pixels import Pixels
from allnet_edge.errors import AllnetEdgeError

# With TensorFlow, Keras looks at this many batches for their shapes and then begins again.
_LOOKED_AT_TWICE = 2


class KerasBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """Hands ``ImageBatches`` to ``fit``, ``evaluate`` and ``predict``; a context manager.

    The source's own threads or processes read ahead, so that Keras needs none of its own: on JAX
    the training loop itself takes the finished batch, on TensorFlow one thread of ``tf.data``.
    Leaving the block drops what is under way, and what the source raised comes out as it was:
    TensorFlow would wrap it in pages of its own.

    Args:
        depth: Batches under way behind the one that the network computes.
    """

    def __init__(self, batches: ImageBatches, depth: int = 4) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._batches = batches
        self._ahead = Ahead(batches, depth, kept=_LOOKED_AT_TWICE)
        self._one_at_a_time = threading.Lock()
        self._failure: AllnetEdgeError | None = None

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> tuple[Pixels, Labels] | tuple[Pixels, Labels, Weights]:
        """As `Batch`, for Keras: without the weights where there are none."""
        try:
            with self._one_at_a_time:
                batch = self._ahead.take(number)
        except AllnetEdgeError as error:
            self._failure = error
            raise
        if batch.weights is None:
            return batch.pixels, batch.labels
        return batch.pixels, batch.labels, batch.weights

    def __enter__(self) -> "KerasBatches":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._one_at_a_time:
            self._ahead.close()
        if self._failure is not None and kind is not None and issubclass(kind, Exception):
            raise self._failure from None
