import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from allnet_edge.data import images
from allnet_edge.errors import ImageError
from allnet_edge.spec.network import Preprocess

MakeImage = Callable[..., Image.Image]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return (
        signature
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def bmp_claiming(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def rgb16_png() -> bytes:
    rows = b"".join(b"\0" + bytes(6 * 32) for _ in range(32))

    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def rgb16_tiff() -> bytes:
    """An uncompressed little-endian TIFF, 32 x 32, three samples of 16 bits."""
    n = 32 * 32 * 6
    entries = [
        (256, 3, 1, 32),
        (257, 3, 1, 32),
        (258, 3, 3, 8 + n),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8),
        (277, 3, 1, 3),
        (278, 3, 1, 32),
        (279, 4, 1, n),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    bits = struct.pack("<HHH", 16, 16, 16)
    return struct.pack("<2sHI", b"II", 42, 8 + n + len(bits)) + bytes(n) + bits + directory


@pytest.mark.parametrize("kind", ["BMP", "PNG", "TIFF"])
def test_lossless_formats_give_the_very_pixels(texture: MakeImage, kind: str) -> None:
    image = texture(1)
    assert np.array_equal(images.decode(encoded(image, kind)), image)


def test_jpeg_is_accepted(texture: MakeImage) -> None:
    decoded = images.decode(encoded(texture(1), "JPEG", quality=95))
    assert (decoded.mode, decoded.size) == ("RGB", (64, 64))
    assert np.abs(np.asarray(decoded, int) - np.asarray(texture(1), int)).mean() < 6


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PPM"])
def test_other_formats_are_refused(texture: MakeImage, kind: str) -> None:
    with pytest.raises(ImageError, match="not an image, or none of BMP, JPEG, PNG, TIFF"):
        images.decode(encoded(texture(1), kind))


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("empty.bmp", b"", "zero-byte"),
        ("notes.bmp", b"this is a text file, whatever its name says", "not an image"),
        ("bomb.png", png_claiming(30_000, 30_000), "decompression bomb"),
        ("bomb.bmp", bmp_claiming(30_000, 30_000), "decompression bomb"),
        ("big.png", png_claiming(9_000, 9_000), "9000 x 9000"),
        ("deep.png", rgb16_png(), "16 bits a channel"),
        ("deep.tiff", rgb16_tiff(), "16 bits a channel"),
        ("dot.png", encoded(Image.new("RGB", (1, 1)), "PNG"), "too small: 1 x 1"),
        ("thin.png", encoded(Image.new("RGB", (300, 15)), "PNG"), "too small: 300 x 15"),
        ("grey16.png", encoded(Image.new("I;16", (32, 32)), "PNG"), "16 bits a channel"),
        ("float.tiff", encoded(Image.new("F", (32, 32)), "TIFF"), "16 bits a channel"),
        ("cmyk.jpg", encoded(Image.new("CMYK", (32, 32)), "JPEG"), "colour mode CMYK"),
        ("cmyk.tiff", encoded(Image.new("CMYK", (32, 32)), "TIFF"), "colour mode CMYK"),
        ("lab.tiff", encoded(Image.new("LAB", (32, 32)), "TIFF"), "colour mode LAB"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_refused_by_name_with_the_file(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ImageError, match=reason) as caught:
        images.decode(path)
    assert caught.value.where == str(path)
    assert caught.value.exit_code == 9


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_that_pillow_only_warns_of_is_refused_from_the_header() -> None:
    with pytest.raises(ImageError, match="decompression bomb"):
        images.decode(png_claiming(10_000, 10_000))


@pytest.mark.parametrize("kind", ["BMP", "PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_truncated_files_are_refused(texture: MakeImage, kind: str, kept: float) -> None:
    data = encoded(texture(2, 128), kind)
    with pytest.raises(ImageError):
        images.decode(data[: int(len(data) * kept)])


def test_truncated_real_cell_is_refused(shared_data: Path) -> None:
    path = next((shared_data / "cnmc" / "C-NMC_training_data").rglob("*.bmp"))
    with pytest.raises(ImageError, match="truncated"):
        images.decode(path.read_bytes()[:300_000])


def test_several_pages_are_refused(texture: MakeImage) -> None:
    data = encoded(texture(1), "TIFF", save_all=True, append_images=[texture(2)])
    with pytest.raises(ImageError, match="2 frames or pages"):
        images.decode(data)


def test_absent_file_and_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.bmp", tmp_path):
        with pytest.raises(ImageError, match="unreadable"):
            images.decode(path)


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.bmp"
    with path.open("wb") as stream:
        stream.truncate(images.MAX_BYTES + 1)  # sparse: takes no room
    with pytest.raises(ImageError, match="file too large"):
        images.decode(path)


def test_alpha_is_composited_on_black() -> None:
    image = Image.new("RGBA", (32, 32), (200, 100, 50, 0))
    image.paste((200, 100, 50, 255), (0, 0, 16, 32))
    image.paste((200, 100, 50, 128), (16, 0, 24, 32))
    pixels = np.asarray(images.decode(encoded(image, "PNG")))
    assert pixels[0, 0].tolist() == [200, 100, 50]
    assert pixels[0, 31].tolist() == [0, 0, 0]
    assert np.abs(pixels[0, 20].astype(int) - [100, 50, 25]).max() <= 1


def test_palette_grey_and_bilevel_become_rgb(texture: MakeImage) -> None:
    palette = texture(3).quantize(16)
    assert np.array_equal(images.decode(encoded(palette, "PNG")), palette.convert("RGB"))
    for mode in ("L", "1"):
        plain = texture(3).convert(mode)
        assert np.array_equal(images.decode(encoded(plain, "PNG")), plain.convert("RGB"))


def test_transparent_palette_entry_becomes_black() -> None:
    image = Image.new("P", (32, 32), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(1, (0, 0, 16, 32))
    pixels = np.asarray(images.decode(encoded(image, "PNG", transparency=0)))
    assert pixels[0, 0].tolist() == [0, 255, 0]
    assert pixels[0, 31].tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied_once(kind: str) -> None:
    # Lies on its side: 6 says "turn by 90 degrees clockwise", so that left becomes up.
    image = Image.new("RGB", (64, 32), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = images.decode(encoded(image, kind, exif=exif))
    assert upright.size == (32, 64)
    pixels = np.asarray(upright.convert("L"))
    assert pixels[:28].min() > 200
    assert pixels[36:].max() < 50


def test_load_keeps_an_image_of_the_right_size(texture: MakeImage) -> None:
    tensor = images.load(encoded(texture(1), "PNG"), Preprocess(size=64))
    assert tensor.dtype == np.uint8
    assert np.array_equal(tensor, np.asarray(texture(1)))
    tensor[0] = 0  # writable, the caller's own


def test_load_crops_the_centre_and_then_resizes() -> None:
    image = Image.new("RGB", (101, 80), (255, 0, 0))
    image.paste((0, 255, 0), (30, 20, 70, 60))  # the centre 40 x 40, rounded to the left
    data = encoded(image, "PNG")
    tensor = images.load(data, Preprocess(size=32, crop=40))
    assert tensor.shape == (32, 32, 3)
    assert (tensor == [0, 255, 0]).all()
    whole = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(images.load(data, Preprocess(size=32)), whole)


def test_load_refuses_a_crop_larger_than_the_image(texture: MakeImage) -> None:
    with pytest.raises(ImageError, match="64 x 64 pixels are smaller than the crop of 65 x 65"):
        images.load(encoded(texture(1), "PNG"), Preprocess(size=32, crop=65))


def test_batches_keep_the_order_and_equal_single_loads(tmp_path: Path, texture: MakeImage) -> None:
    paths = []
    for seed in range(11):
        paths.append(tmp_path / f"{seed}.png")
        texture(seed).save(paths[-1])
    wanted = Preprocess(size=48)
    whole = images.load_batch(paths, wanted, workers=4)
    assert whole.shape == (11, 48, 48, 3)
    assert np.array_equal(whole, np.stack([images.load(path, wanted) for path in paths]))
    batches = list(images.iter_batches(paths, wanted, batch_size=4, workers=4))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert np.array_equal(np.concatenate(batches), whole)
    assert images.load_batch([], wanted).shape == (0, 48, 48, 3)
    assert list(images.iter_batches([], wanted)) == []


def test_batches_read_one_batch_ahead_and_no_more(tmp_path: Path, texture: MakeImage) -> None:
    good = tmp_path / "good.png"
    texture(1).save(good)
    paths = [good] * 8 + [tmp_path / "absent.png"]
    batches = images.iter_batches(paths, Preprocess(size=32), batch_size=4)
    next(batches)
    next(batches)
    with pytest.raises(ImageError, match="unreadable"):
        next(batches)


def test_real_cells_load(shared_data: Path) -> None:
    paths = sorted((shared_data / "cnmc" / "C-NMC_training_data").rglob("*.bmp"))[:6]
    batch = images.load_batch(paths, Preprocess(size=128, crop=450))
    assert batch.shape == (6, 128, 128, 3)
    assert (batch[:, 0, 0] == 0).all()  # black background
    assert (batch.max(axis=(1, 2, 3)) > 60).all()  # with a cell in it


def test_the_first_bad_image_ends_the_loading(
    tmp_path: Path, texture: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tmp_path / "good.png"
    texture(1, 600).save(good)
    original, read = images.read_bytes, []

    def noting(path: Path) -> bytes:
        read.append(path)
        return original(path)

    monkeypatch.setattr(images, "read_bytes", noting)
    paths = [tmp_path / "absent.png", *[good] * 400]
    with pytest.raises(ImageError, match="absent"):
        images.load_batch(paths, Preprocess(size=32), workers=2)
    assert len(read) < 200
