"""The answers of the network that another one is fine-tuned towards."""

import numpy as np
import numpy.typing as npt

from allnet_edge.compress.turned import SYMMETRIES, TurnedBatch
from allnet_edge.models.towers.api import KerasModel


class Teacher:
    """Asks a network about each image in each symmetry once.

    Args:
        model: Left as it is.
        images: How many there are.
        units: Outputs of the network.
    """

    def __init__(self, model: KerasModel, images: int, units: int) -> None:
        self._model = model
        self._known = np.full((images, SYMMETRIES, units), np.nan, np.float32)

    def answers(self, batch: TurnedBatch) -> npt.NDArray[np.float32]:
        """Probabilities float32 [b, units]."""
        unknown = np.isnan(self._known[batch.rows, batch.symmetries]).any(axis=1)
        if unknown.any():
            asked = self._model.predict_on_batch(batch.pixels[unknown])
            self._known[batch.rows[unknown], batch.symmetries[unknown]] = asked
        found: npt.NDArray[np.float32] = self._known[batch.rows, batch.symmetries]
        return found
