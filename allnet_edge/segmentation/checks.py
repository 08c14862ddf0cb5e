"""What a field of view must be before anything is looked for in it."""

import numpy as np

from allnet_edge.segmentation.cell import Field

MIN_SIDE = 16
MAX_PIXELS = 64_000_000


def check_field(rgb: Field) -> None:
    """Refuse what is no field of view.

    Raises:
        ValueError: It is no uint8 array ``[height, width, 3]``, a side is under `MIN_SIDE` px, or
            it has more than `MAX_PIXELS`.
    """
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = rgb.dtype if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise ValueError(f"a field must be an array of uint8 (0..255), not of {kind}")
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"a field must have the shape [height, width, 3], not {list(rgb.shape)}")
    height, width = rgb.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise ValueError(f"a field of {width}x{height} px is too small: a side is under {MIN_SIDE}")
    if height * width > MAX_PIXELS:
        raise ValueError(
            f"a field of {width}x{height} px is too large: at most {MAX_PIXELS:,} px in all"
        )
