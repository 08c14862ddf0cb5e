"""Small pictures of cells that travel inside the report."""

import base64
import io
from pathlib import Path

from PIL import Image

from allnet_edge.data.images import decode

SIDE = 96
"""Largest side of a thumbnail in pixels."""

_QUALITY = 88


def thumbnail(path: Path, side: int = SIDE) -> str:
    """A JPEG data URI of an image file, at most ``side`` pixels a side, aspect kept.

    The file goes through the one decoder of the package, so the picture shows what the network
    saw before its crop and resize. The pure black that surrounds a segmented cell is cut off, so
    that the cell is seen at all.

    Args:
        path: An image file.
        side: Pixels, 1..96.

    Raises:
        ImageError: The file cannot be decoded or is refused.
    """
    picture = decode(path)
    picture = picture.crop(picture.getbbox())  # None, an image that is black all over, keeps it
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
