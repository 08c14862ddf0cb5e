"""The ONLY preprocessing: from an image file to the uint8 tensor that every runtime is handed.

What is accepted: BMP, JPEG, PNG and TIFF with one frame and 8 bits a channel, in RGB, grey,
bilevel, palette or YCbCr. What is changed on the way, and how:

- the EXIF orientation is applied, so that a cell lies as it was seen;
- transparency is composited on black, the background of C-NMC cells;
- an embedded colour profile is ignored: pixel values are taken as they stand.

What is refused by name (`ImageError`): 16 bits a channel and deeper (scaling would be a guess),
CMYK and Lab (their colours depend on a profile), several frames, a side under `MIN_SIDE`, and
more than `MAX_PIXELS`, which is read from the header before anything is decoded.
"""

import io
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from allnet_edge.errors import ImageError
from allnet_edge.spec.network import Preprocess

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")
MIN_SIDE = 16
MAX_PIXELS = 64_000_000
# A bitmap of MAX_PIXELS with four bytes a pixel, and room for its header.
MAX_BYTES = 4 * MAX_PIXELS + 1_000_000
# Of the pixels that `load` gives: raised with every change here that alters a pixel of any image,
# so that no pixel decoded in another way is taken from a cache.
DECODE_VERSION = 1

_FORMATS = ("BMP", "JPEG", "PNG", "TIFF")
_PLAIN = frozenset({"1", "L", "RGB", "YCbCr", "P", "PA", "LA", "La", "RGBA", "RGBa", "RGBX"})
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_BIT_DEPTH_AT = 24
_TIFF_BITS_PER_SAMPLE = 258

Tensor = npt.NDArray[np.uint8]


@contextmanager
def decoding_threads(workers: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """Threads for decoding, by default one a core and at most eight.

    Work that still waits when the block is left is dropped, so that Ctrl-C or the first bad image
    ends at once.
    """
    pool = ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def read_bytes(path: Path) -> bytes:
    """Read an image file without trusting its size.

    Raises:
        ImageError: The file cannot be read, is empty, or is larger than any accepted image.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ImageError(
                f"file too large: {size:,} bytes, at most {MAX_BYTES:,}",
                where=path,
                fix="cut the cells or fields out of it first",
            )
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"unreadable: {error.strerror}", where=path) from error
    if not data:
        raise ImageError("zero-byte file", where=path, fix="copy the image again, or remove it")
    return data


def decode(source: Path | bytes) -> Image.Image:
    """Decode one image completely.

    Args:
        source: A file, or the bytes of one.

    Returns:
        The image in mode RGB, 8 bits a channel, upright, without transparency.

    Raises:
        ImageError: The image is damaged or refused; the reason is named.
    """
    where = source if isinstance(source, Path) else None
    data = read_bytes(source) if isinstance(source, Path) else source
    if not data:
        raise ImageError("zero bytes", where=where)
    image = _open(data, where)
    _check_header(image, data, where)
    try:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _on_black(image)
    # A decoder fed with damaged bytes may raise nearly anything; all of it means the same here.
    except Exception as error:
        raise ImageError(
            f"truncated or damaged {image.format} data: {error}",
            where=where,
            fix="copy the image again, or remove it",
        ) from error


def load(source: Path | bytes, preprocess: Preprocess, out: Tensor | None = None) -> Tensor:
    """Decode, crop and resize one image.

    The centre crop comes first, then Pillow's bilinear filter (antialiased when it shrinks). An
    image that already has the wanted size is not resampled. Without a crop an image that is not
    square is stretched.

    Args:
        source: A file, or the bytes of one.
        preprocess: Crop and size in pixels; its mean and sd are not applied here, since
            standardisation lies inside the network.
        out: Written and returned; None makes an array.

    Returns:
        uint8 ``[size, size, 3]``, RGB, 0..255.

    Raises:
        ImageError: As `decode`, or the image is smaller than the crop.
    """
    where = source if isinstance(source, Path) else None
    return fit(decode(source), preprocess, where=where, out=out)


def fit(
    image: Image.Image,
    preprocess: Preprocess,
    *,
    where: Path | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The second half of `load`: crop and resize an image that `decode` gave.

    Args:
        image: RGB, 8 bits a channel.
        preprocess: As for `load`.
        where: Its file, for the error.
        out: Written and returned; None makes an array.

    Raises:
        ImageError: The image is smaller than the crop.
    """
    if preprocess.crop is not None:
        image = _centre_crop(image, preprocess.crop, where)
    size = (preprocess.size, preprocess.size)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    if out is None:
        return np.array(image, dtype=np.uint8)
    out[...] = np.asarray(image)
    return out


def load_batch(paths: Sequence[Path], preprocess: Preprocess, workers: int | None = None) -> Tensor:
    """Load images in parallel, in the order of ``paths``.

    Args:
        paths: Image files.
        preprocess: As for `load`.
        workers: Threads; None for one a core, at most eight.

    Returns:
        uint8 ``[len(paths), size, size, 3]``, RGB, 0..255.

    Raises:
        ImageError: As `load`, for the first image of the order that fails.
    """
    batch = np.empty((len(paths), preprocess.size, preprocess.size, 3), dtype=np.uint8)
    with decoding_threads(workers) as pool:
        for row, tensor in enumerate(pool.map(lambda path: load(path, preprocess), paths)):
            batch[row] = tensor
    return batch


def iter_batches(
    paths: Sequence[Path],
    preprocess: Preprocess,
    batch_size: int = 64,
    workers: int | None = None,
) -> Iterator[Tensor]:
    """Load images batch by batch, in the order of ``paths``; the last batch may be smaller.

    One batch is decoded ahead, so that at most two are in memory.

    Args:
        paths: Image files.
        preprocess: As for `load`.
        batch_size: Images a batch, at least 1.
        workers: Threads; None for one a core, at most eight.

    Yields:
        uint8 ``[<= batch_size, size, size, 3]``, RGB, 0..255.

    Raises:
        ImageError: As `load`.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size} is below 1")
    remaining = iter(paths)
    with decoding_threads(workers) as pool:
        ahead: deque[list[Future[Tensor]]] = deque()
        while True:
            while len(ahead) < 2 and (chunk := list(islice(remaining, batch_size))):
                ahead.append([pool.submit(load, path, preprocess) for path in chunk])
            if not ahead:
                return
            yield np.stack([future.result() for future in ahead.popleft()])


def _open(data: bytes, where: Path | None) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(str(error), where) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"not an image, or none of {', '.join(_FORMATS)}",
            where=where,
            fix="convert it to PNG, or remove it",
        ) from error
    # See decode: a header may be damaged in as many ways as the data.
    except Exception as error:
        raise ImageError(f"damaged image header: {error}", where=where) from error


def _too_many_pixels(how_many: str, where: Path | None) -> ImageError:
    return ImageError(
        f"decompression bomb: {how_many}; at most {MAX_PIXELS:,} pixels are accepted",
        where=where,
        fix="cut the cells or fields out of it first, or remove it",
    )


def _check_header(image: Image.Image, data: bytes, where: Path | None) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(f"the header claims {width} x {height} pixels", where)
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"too small: {width} x {height} pixels, at least {MIN_SIDE} x {MIN_SIDE}", where=where
        )
    if _is_deep(image, data):
        raise ImageError(
            "16 bits a channel or more",
            where=where,
            fix="convert it to 8 bits a channel with the scaling of your microscope's software",
        )
    if image.mode not in _PLAIN:
        raise ImageError(
            f"colour mode {image.mode} is refused: its colours depend on a profile",
            where=where,
            fix="convert it to RGB with its colour profile",
        )
    frames = _frames(image, where)
    if frames > 1:
        raise ImageError(
            f"{frames} frames or pages in one file", where=where, fix="save one image a file"
        )


def _is_deep(image: Image.Image, data: bytes) -> bool:
    """Pillow reads 16-bit RGB as RGB and drops the low byte, so its mode alone cannot tell."""
    if image.mode.startswith(("I", "F")):
        return True
    if data.startswith(_PNG_SIGNATURE):
        return data[_PNG_BIT_DEPTH_AT] > 8
    tags = getattr(image, "tag_v2", None)
    return tags is not None and max(tags.get(_TIFF_BITS_PER_SAMPLE, (8,))) > 8


def _frames(image: Image.Image, where: Path | None) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    # Counting the pages of a TIFF parses all of its directories; see decode.
    except Exception as error:
        raise ImageError(f"damaged image header: {error}", where=where) from error


def _on_black(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _centre_crop(image: Image.Image, side: int, where: Path | None) -> Image.Image:
    width, height = image.size
    if min(width, height) < side:
        raise ImageError(
            f"{width} x {height} pixels are smaller than the crop of {side} x {side}",
            where=where,
            fix="use a smaller crop, or images as large as the network was trained with",
        )
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))
