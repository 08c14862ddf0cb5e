"""Which frames of a live camera are new fields: still, and not what was captured before."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from allnet_edge.segmentation.cell import Field

Choice = Literal["new", "repeated", "moving"]
Grey = NDArray[np.float32]


class FieldChooser:
    """Sees every frame of a camera, in order, and says which is a new field."""

    def look(self, rgb: Field) -> Choice:
        """Judge the next frame; one that is ``new`` counts as captured from then on."""
        self._seen = rgb.shape
        return "new"

    def forget(self) -> None:
        """A new slide begins: nothing was captured yet."""
