"""Images as they are judged: the very bytes that were indexed, decoded, turned, cropped."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from allnet_edge.data import images
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.errors import ImageError, IntegrityError
from allnet_edge.spec.network import Preprocess

Turned = npt.NDArray[np.uint8]
"""[turns, size, size, 3], RGB, 0..255."""

_Made = TypeVar("_Made")


def decoded(index: SampleIndex, sample: Sample) -> Image.Image:
    """The image of a sample, RGB.

    Raises:
        ImageError: It cannot be decoded.
        IntegrityError: The file is not the one that was indexed.
    """
    path = index.path(sample)
    data = images.read_bytes(path)
    if hashlib.sha256(data).hexdigest() != sample.sha256:
        raise IntegrityError(
            "the file changed after it was indexed",
            where=path,
            fix="restore it, or start again: the data set is then read anew",
        )
    try:
        return images.decode(data)
    except ImageError as error:  # bytes have no name
        raise ImageError(error.what, where=path, fix=error.fix) from error


def turned(image: Image.Image, preprocess: Preprocess, turns: int) -> Turned:
    """The network's input at ``turns`` rotations of 360 / turns degrees, the first of them 0.

    OUR READING: Prellberg & Kramer 2019 turn the cropped image. Here the WHOLE image is turned
    about its centre (Pillow, bilinear, black outside), then cropped, then resized: where the crop
    is smaller than the image by the square root of 2 or more (300 of 450), its corners are filled
    by pixels of the image and not by black. Without a crop the corners turn black, which is the
    background of C-NMC's cells, but nothing that a network for fields was trained on.

    Args:
        image: RGB.
        preprocess: Crop and size.
        turns: At least 1.
    """
    return np.stack(
        [images.fit(_rotated(image, 360 * turn / turns), preprocess) for turn in range(turns)]
    )


def each(
    make: Callable[[Sample], _Made], samples: Sequence[Sample], ahead: int = 32
) -> Iterator[_Made]:
    """What ``make`` gives for each sample, in order, made in threads a little ahead of its use."""
    remaining = iter(samples)
    with images.decoding_threads() as pool:
        waiting: deque[Future[_Made]] = deque(
            pool.submit(make, sample) for sample in islice(remaining, ahead)
        )
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(make, sample) for sample in islice(remaining, 1))


def _rotated(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BILINEAR) if degrees else image
