"""Mean and sd of a training set are numpy's, whatever the batches."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_memory_pixels import InMemory
from PIL import Image

from allnet_edge.data.decode_threads import DecodedByThreads
from allnet_edge.data.images import load_batch
from allnet_edge.data.pixels import ImageFiles
from allnet_edge.errors import DataError
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.network import Preprocess
from allnet_edge.training.standardise import fit_standardisation

PLAIN = Preprocess(size=32)


def fit(
    paths: Sequence[Path],
    preprocess: Preprocess = PLAIN,
    *,
    per_channel: bool = False,
    progress: Progress = silent,
) -> Preprocess:
    with DecodedByThreads(ImageFiles(paths, preprocess)) as source:
        return fit_standardisation(source, preprocess, per_channel=per_channel, progress=progress)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """70 images: more than one batch, the last one smaller."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(70)]
    for path in paths:
        top = rng.integers(1, 257, 3)
        Image.fromarray(rng.integers(0, top, (32, 32, 3)).astype(np.uint8)).save(path)
    return paths


@pytest.mark.parametrize("per_channel", [False, True], ids=["all channels", "each channel"])
def test_they_are_numpys(images, per_channel):
    pixels = load_batch(images, PLAIN).astype(np.float64)
    axes = (0, 1, 2) if per_channel else None
    fitted = fit(images, per_channel=per_channel)
    np.testing.assert_allclose(fitted.mean, np.atleast_1d(pixels.mean(axis=axes)), atol=1e-6)
    np.testing.assert_allclose(fitted.sd, np.atleast_1d(pixels.std(axis=axes)), atol=1e-6)
    assert len(fitted.mean) == (3 if per_channel else 1)


def test_everything_else_of_the_preprocessing_stays(images):
    cropped = Preprocess(size=48, crop=20)
    fitted = fit(images, cropped)
    assert fitted.model_copy(update={"mean": (0.0,), "sd": (1.0,)}) == cropped


def test_the_order_of_the_images_changes_nothing(images):
    assert fit(images) == fit(images[::-1])


def test_progress_counts_the_images(images):
    told = []
    fit(images, progress=lambda *args: told.append(args))
    assert told[-1] == ("mean and sd", 70, 70)


@pytest.mark.parametrize("per_channel", [False, True])
def test_equal_pixels_are_refused(tmp_path, per_channel):
    path = tmp_path / "flat.png"
    Image.new("RGB", (32, 32), (7, 7, 7)).save(path)
    with pytest.raises(DataError, match=r"all pixels .* are equal"):
        fit([path, path], per_channel=per_channel)


def test_one_flat_channel_matters_only_where_each_is_taken_by_itself(tmp_path):
    path = tmp_path / "blue.png"
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[..., 2] = np.arange(32)
    Image.fromarray(pixels).save(path)
    assert fit([path]).sd[0] > 0
    with pytest.raises(DataError):
        fit([path], per_channel=True)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=6),
    st.integers(0, 255),
    st.integers(1, 255),
)
def test_sums_are_exact_for_any_pixels(seeds, floor, spread):
    rng = np.random.default_rng(seeds)
    batch = rng.integers(floor, min(256, floor + spread + 1), (70, 4, 4, 3)).astype(np.uint8)
    batch.flat[0] = 255 - batch.flat[1]  # never all equal
    fitted = fit_standardisation(InMemory(batch), PLAIN)
    pixels = batch.astype(np.float64)
    assert fitted.mean[0] == pytest.approx(pixels.mean(), abs=1e-6)
    assert fitted.sd[0] == pytest.approx(pixels.std(), abs=2e-6)
