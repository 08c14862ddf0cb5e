"""What the networks are asked: the bundle's golden phantoms, or images of a person's own."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.data.images import decode, load_batch
from allnet_edge.device.session import image_files
from allnet_edge.engines.base import Images
from allnet_edge.errors import DataError
from allnet_edge.measure.bench_report import Input
from allnet_edge.measure.queries import Workload

MOST_IMAGES = 32
"""Taken in turn: enough that no cache holds one answer, few enough to hold them all in memory."""

GOLDEN = "golden phantom cells of the bundle (synthetic), as bitmaps in memory"


def find_images(folder: Path) -> tuple[Path, ...]:
    """The first images of a folder, sorted by name.

    Raises:
        UsageError: No such folder, or one without an image.
    """
    return tuple(path.resolve() for path in image_files([folder])[:MOST_IMAGES])


def workload(bundle: Bundle, images: Sequence[Path] | None) -> Workload:
    """What one process asks.

    Args:
        bundle: Whose preprocessing counts.
        images: Files; None for the golden phantoms.

    Raises:
        ImageError: An image that cannot be used.
        DataError: All of them are black: zeros are quicker than any image.
    """
    if images is not None:
        paths = tuple(images)
        asked = Workload(load_batch(paths, bundle.preprocess), paths, bundle.preprocess)
    else:
        pixels = bundle.golden().images[:MOST_IMAGES]
        plain = bundle.preprocess.model_copy(update={"crop": None})  # they are cropped already
        asked = Workload(pixels, tuple(_bitmap(one) for one in pixels), plain)
    if not asked.images.any():
        raise DataError(
            "every image is black, and zeros are quicker than any image",
            fix="give --images a folder of real cells",
        )
    return asked


def describe_input(asked: Workload, images: Sequence[Path] | None) -> Input:
    """What bench.json says about it; no name of a file, which may name a person."""
    sizes = {decode(source).size for source in asked.sources}
    return Input(
        source=GOLDEN if images is None else "image files given with --images",
        images=len(asked.images),
        sha256=pixels_sha256(asked.images),
        pixels=", ".join(f"{width}x{height}" for width, height in sorted(sizes)),
    )


def pixels_sha256(images: Images) -> str:
    """Of the shape and all pixels, in order: equal hashes are equal questions."""
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    return digest.hexdigest()


def _bitmap(pixels: Images) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="BMP")
    return stream.getvalue()
