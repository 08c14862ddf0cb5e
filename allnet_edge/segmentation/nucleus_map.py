"""How much a pixel looks like a stained nucleus.

Source: Tavakoli, Ghaffari, Kouzehkanan & Hosseini 2021, "New segmentation and feature extraction
algorithm for classification of white blood cells in peripheral smear images", Scientific Reports
11:19428: grey-world balance, then min(M, S) - max(K - M, 0) with M and K of CMYK and S of HLS,
smoothed by a Gaussian of 5x5. Nuclei are magenta and saturated; what is dark without being magenta
(dirt, a scale bar) is taken off by K.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from allnet_edge.segmentation.cell import Field

Grey = NDArray[np.uint8]


def grey_world(rgb: Field) -> Field:
    """The field with its three channels scaled to one mean, so that the light's colour goes.

    Args:
        rgb: uint8 ``[height, width, 3]``.

    Returns:
        The same shape and type; a channel that is 0 everywhere stays so.
    """
    means = cv2.mean(rgb)[:3]
    grey = sum(means) / 3
    levels = np.arange(256)
    table = np.stack([np.minimum(levels * (grey / max(mean, 1.0)), 255) for mean in means], axis=-1)
    return np.asarray(cv2.LUT(rgb, table.astype(np.uint8)[np.newaxis]), dtype=np.uint8)


def nucleus_map(balanced: Field) -> Grey:
    """The soft map of a field that was balanced.

    Args:
        balanced: uint8 ``[height, width, 3]``, as of `grey_world`.

    Returns:
        uint8 ``[height, width]``: 0 for background and red cells, the higher the more a pixel is
        like a nucleus.
    """
    red, green, blue = cv2.split(balanced)
    value = cv2.max(cv2.max(red, green), blue)
    black = cv2.bitwise_not(value)
    magenta = cv2.divide(cv2.subtract(value, green), value, scale=255)
    saturation = cv2.extractChannel(cv2.cvtColor(balanced, cv2.COLOR_RGB2HLS), 2)
    soft = cv2.subtract(cv2.min(magenta, saturation), cv2.subtract(black, magenta))
    return np.asarray(cv2.GaussianBlur(soft, (5, 5), 0), dtype=np.uint8)
