"""More than two hundred kinds of files that are no usable field of view."""

import io
import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image
from served import field_file

FORMS = ("PNG", "JPEG", "BMP", "TIFF")


def malformed() -> Iterator[tuple[str, bytes]]:
    """(what is wrong, the file)."""
    yield from _none()
    yield from _cut_off()
    yield from _flipped()
    yield from _other_kinds()
    yield from _png_headers()
    yield from _bmp_headers()
    yield from _bombs()


def _none() -> Iterator[tuple[str, bytes]]:
    yield "zero bytes", b""
    for size in (1, 2, 7, 8, 9, 100, 70_000):
        yield f"{size} zeros", bytes(size)
        yield f"{size} random bytes", random.Random(size).randbytes(size)
    for text in (
        "hello",
        "<html></html>",
        "<svg xmlns='http://www.w3.org/2000/svg'/>",
        "{}",
        "%PDF-1.7",
    ):
        yield f"text {text[:6]}", text.encode()


def _cut_off() -> Iterator[tuple[str, bytes]]:
    for form in FORMS:
        whole = field_file(2, 3, form)
        for share in (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
            yield f"{form} cut off at {share}", whole[: int(len(whole) * share)]
        for head in (2, 4, 10, 20, 26, 33):
            yield f"{form} header of {head} bytes", whole[:head]


def _flipped() -> Iterator[tuple[str, bytes]]:
    """In the first bytes, which every form needs."""
    for form in FORMS:
        whole = field_file(3, 3, form)
        for position in range(2):
            damaged = bytearray(whole)
            damaged[position] ^= 0xFF
            yield f"{form} with byte {position} flipped", bytes(damaged)
    png = field_file(3, 3, "PNG")
    rng = random.Random(5)
    for number in range(48):  # a checksum covers every byte of a PNG
        damaged = bytearray(png)
        damaged[rng.randrange(8, len(png) - 20)] ^= 1 << rng.randrange(8)
        yield f"PNG with one bit flipped, {number}", bytes(damaged)


def _other_kinds() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(1)
    deep = rng.integers(0, 65536, (64, 64), dtype=np.uint16)
    yield "16 bit PNG", _saved(Image.fromarray(deep), "PNG")
    yield "16 bit TIFF", _saved(Image.fromarray(deep), "TIFF")
    yield "float TIFF", _saved(Image.fromarray(deep.astype(np.float32)), "TIFF")
    yield "32 bit TIFF", _saved(Image.fromarray(deep.astype(np.int32)), "TIFF")
    yield "CMYK JPEG", _saved(Image.new("CMYK", (64, 64)), "JPEG")
    yield "CMYK TIFF", _saved(Image.new("CMYK", (64, 64)), "TIFF")
    yield "LAB TIFF", _saved(Image.new("LAB", (64, 64)), "TIFF")
    small = Image.new("RGB", (64, 64), (200, 100, 50))
    for form in ("GIF", "WEBP", "PPM", "ICO", "TGA", "PCX", "SGI", "DDS"):
        yield f"{form} image", _saved(small, form)
    for form in ("PNG", "TIFF"):
        pages = [Image.new("RGB", (64, 64), (n, n, n)) for n in range(3)]
        yield (
            f"{form} with three frames",
            _saved(pages[0], form, save_all=True, append_images=pages[1:]),
        )
    for size in ((1, 1), (1, 500), (500, 1), (15, 15), (15, 4000)):
        for form in FORMS:
            yield f"{form} of {size[0]} x {size[1]}", _saved(Image.new("RGB", size), form)


def _png_headers() -> Iterator[tuple[str, bytes]]:
    body = zlib.compress(b"\0" * (3 * 64 + 1) * 64)
    for what, header in {
        "width 0": (0, 64, 8, 2, 0, 0, 0), "height 0": (64, 0, 8, 2, 0, 0, 0),
        "negative width": (0xFFFFFFFF, 64, 8, 2, 0, 0, 0), "depth 3": (64, 64, 3, 2, 0, 0, 0),
        "depth 16": (64, 64, 16, 2, 0, 0, 0), "colour 5": (64, 64, 8, 5, 0, 0, 0),
        "colour 255": (64, 64, 8, 255, 0, 0, 0),
        "palette without one": (64, 64, 8, 3, 0, 0, 0),
        "wider than it is": (4000, 64, 8, 2, 0, 0, 0),
    }.items():  # fmt: skip
        yield f"PNG with {what}", _png(header, body)
    yield "PNG without data", _png((64, 64, 8, 2, 0, 0, 0), None)
    yield "PNG whose data are no deflate", _png((64, 64, 8, 2, 0, 0, 0), b"nothing of the kind")
    yield (
        "PNG without a header",
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IDAT", body) + _chunk(b"IEND", b""),
    )
    yield "PNG of a signature alone", b"\x89PNG\r\n\x1a\n"
    yield "PNG with a chunk of 4 GB", b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR"


def _bmp_headers() -> Iterator[tuple[str, bytes]]:
    whole = _saved(Image.new("RGB", (64, 64)), "BMP")
    for what, at, form, value in (
        ("width 0", 18, "<i", 0), ("a negative width", 18, "<i", -5),
        ("a huge width", 18, "<i", 2**31 - 1),
        ("a huge height", 22, "<i", 2**31 - 1), ("5 bits a pixel", 28, "<H", 5),
        ("an unknown compression", 30, "<I", 99), ("a header of 3 bytes", 14, "<I", 3),
    ):  # fmt: skip
        damaged = bytearray(whole)
        struct.pack_into(form, damaged, at, value)
        yield f"BMP with {what}", bytes(damaged)


def _bombs() -> Iterator[tuple[str, bytes]]:
    for side in (5001, 8000, 20_000, 65_000, 2**31 - 1):
        yield (
            f"PNG that claims {side} x {side}",
            _png((side, side, 8, 2, 0, 0, 0), zlib.compress(b"")),
        )
    zeros = zlib.compress(b"\0" * 30_000_000, 9)
    yield "PNG that unpacks to 30 million pixels", _png((30_000, 1000, 8, 0, 0, 0, 0), zeros)
    yield (
        "PNG with a text of 100 MB",
        _png(
            (64, 64, 8, 2, 0, 0, 0),
            None,
            _chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 100_000_000, 9)),
        ),
    )


def _png(header: tuple[int, ...], data: bytes | None, extra: bytes = b"") -> bytes:
    body = b"" if data is None else _chunk(b"IDAT", data)
    start = _chunk(b"IHDR", struct.pack(">IIBBBBB", *header))
    return b"\x89PNG\r\n\x1a\n" + start + extra + body + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()
