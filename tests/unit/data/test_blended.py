"""Blends of two images, against a sum in exact fractions."""

import threading
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from pixel_support import PREPROCESS

from allnet_edge.data.blended import Blended
from allnet_edge.data.decode_pool import DecodedByProcesses
from allnet_edge.data.decode_threads import DecodedByThreads
from allnet_edge.data.pixels import ImageFiles
from allnet_edge.errors import ImageError

PAIRS = np.array([[0, 1], [2, 3], [4, 4], [3, 0], [1, 5]])
SHARES = np.array([0.25, 0.7310586, 0.5, 0.0, 1.0], np.float32)


@pytest.fixture
def paths(tmp_path, texture):
    names = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(names):
        texture(number, 32).save(path)
    return names


@pytest.fixture
def source(paths):
    with DecodedByThreads(ImageFiles(paths, PREPROCESS)) as source:
        yield source


@pytest.fixture
def blended(source):
    with Blended(source, PAIRS, SHARES) as blended:
        yield blended


def exact(a: int, b: int, share: np.float32) -> Fraction:
    u = Fraction(float(share))
    return (1 - u) * int(a) + u * int(b)


def test_the_source_comes_first_unchanged(blended, source):
    assert (len(blended), blended.size) == (11, 32)
    np.testing.assert_array_equal(blended.rows(np.arange(6)), source.rows(np.arange(6)))


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_a_blend_is_the_rounded_sum(blended, source, number):
    made = blended.rows(np.array([6 + number]))
    first, second = source.rows(PAIRS[number])
    assert made.dtype == np.uint8
    for value, a, b in zip(made.ravel(), first.ravel(), second.ravel(), strict=True):
        # A float32 sum of two bytes is off by far less than this.
        assert abs(Fraction(int(value)) - exact(a, b, SHARES[number])) <= Fraction(50001, 100000)


def test_shares_of_nothing_and_of_all_are_copies(blended, source):
    np.testing.assert_array_equal(blended.rows(np.array([9, 10, 8])), source.rows([3, 5, 4]))


def test_halves_are_rounded_to_even(tmp_path):
    grey = [0, 1, 3, 255, 254]
    names = [tmp_path / f"{value}.png" for value in grey]
    for value, path in zip(grey, names, strict=True):
        Image.new("RGB", (32, 32), (value,) * 3).save(path)
    pairs = np.array([[0, 1], [1, 3], [0, 2], [3, 4]])
    with DecodedByThreads(ImageFiles(names, PREPROCESS)) as source:
        made = Blended(source, pairs, np.full(4, 0.5, np.float32)).rows(np.arange(5, 9))
    assert made[:, 0, 0, 0].tolist() == [0, 128, 2, 254]  # of 0.5, 128, 1.5, 254.5


def test_real_rows_and_blends_may_be_mixed_in_any_order(blended):
    one_by_one = np.concatenate([blended.rows(np.array([row])) for row in range(11)])
    for seed in range(5):
        wanted = np.random.default_rng(seed).integers(11, size=20)
        pending = blended.begin(wanted)
        np.testing.assert_array_equal(pending.result(), one_by_one[wanted])
        assert pending.result() is pending.result()


def test_what_is_dropped_is_dropped_in_the_source(blended):
    for _ in range(50):
        blended.begin(np.arange(11)).cancel()
    assert len(blended.rows(np.arange(11))) == 11


def test_a_bad_image_is_named(blended, paths):
    paths[1].write_bytes(b"none")
    with pytest.raises(ImageError) as caught:
        blended.rows(np.array([6]))
    assert caught.value.where == str(paths[1])


@pytest.mark.parametrize("make", [DecodedByThreads, lambda files: DecodedByProcesses(files, 1)])
def test_closing_ends_what_is_under_way_and_the_threads(paths, make):
    before = set(threading.enumerate())
    blended = Blended(make(ImageFiles(paths, PREPROCESS)), PAIRS, SHARES)
    for _ in range(20):
        blended.begin(np.arange(11))
    blended.close()
    blended.close()
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("row", [-1, 11])
def test_there_are_no_other_rows(blended, row):
    with pytest.raises(IndexError):
        blended.begin(np.array([row]))


@pytest.mark.parametrize(
    ("pairs", "shares", "said"),
    [
        (PAIRS, SHARES[:3], "shares for 5 pairs"),
        (PAIRS, SHARES + 0.5, "outside"),
        (PAIRS, np.full(5, np.nan, np.float32), "outside"),
        (np.array([[0, 6]]), SHARES[:1], "not in 0"),
        (np.array([[-1, 0]]), SHARES[:1], "not in 0"),
    ],
)
def test_what_does_not_fit_is_refused(source, pairs, shares, said):
    with pytest.raises(ValueError, match=said):
        Blended(source, pairs, shares)


def test_without_pairs_it_is_the_source(source):
    blended = Blended(source, np.empty((0, 2), np.int64), np.empty(0, np.float32))
    assert len(blended) == 6
    np.testing.assert_array_equal(blended.rows(np.arange(6)), source.rows(np.arange(6)))
