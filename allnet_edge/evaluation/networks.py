"""What judging needs of a network, whatever runs it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.spec.network import Preprocess

BATCH = 32

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Network:
    """One that is open.

    Attributes:
        infer: From uint8 ``[n, size, size, 3]``, n at most ``BATCH``, to float32 ``[n]``,
            ``[n, 1]`` or ``[n, classes]``.
        preprocess: How an image becomes its input.
        engine: Runtime.
        versions: Packages that compute.
    """

    infer: Callable[[Images], Probabilities]
    preprocess: Preprocess
    engine: str
    versions: dict[str, str]
