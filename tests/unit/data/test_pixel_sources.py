"""What every source of pixels does, whoever decodes."""

import threading

import numpy as np
import pytest
from pixel_support import PREPROCESS, files_of

from allnet_edge.data.images import load_batch
from allnet_edge.data.open_pixels import open_pixels
from allnet_edge.data.pixels import ImageFiles
from allnet_edge.data.selected import Selected
from allnet_edge.errors import ImageError, IntegrityError
from allnet_edge.spec.network import Preprocess

KINDS = ["threads", "processes", "cache from threads", "cache from processes"]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def opened(kind, tmp_path):
    """``opened(files)``: a source of this kind."""

    def make(files: ImageFiles):
        return open_pixels(
            files,
            workers=2 if "processes" in kind else 0,
            cache=tmp_path / "cache" if "cache" in kind else None,
        )

    return make


@pytest.fixture
def paths(tmp_path, texture):
    names = [tmp_path / f"{number:02}.png" for number in range(12)]
    for number, path in enumerate(names):
        texture(number, 40 + number).save(path)
    return names


def test_rows_come_in_any_order_and_with_repeats(opened, paths):
    with opened(files_of(paths)) as source:
        assert (len(source), source.size) == (12, 32)
        everything = load_batch(paths, PREPROCESS)
        for wanted in (np.arange(12), np.array([7, 0, 7, 7, 11]), np.array([3])):
            rows = source.rows(wanted)
            assert rows.dtype == np.uint8
            np.testing.assert_array_equal(rows, everything[wanted])


def test_no_rows_are_a_batch_of_none(opened, paths):
    with opened(files_of(paths)) as source:
        assert source.rows(np.array([], np.int64)).shape == (0, 32, 32, 3)


def test_many_requests_may_be_under_way_and_be_taken_in_any_order(opened, paths):
    everything = load_batch(paths, PREPROCESS)
    with opened(files_of(paths)) as source:
        orders = [np.random.default_rng(seed).permutation(12) for seed in range(30)]
        pending = [source.begin(order) for order in orders]
        for order, one in reversed(list(zip(orders, pending, strict=True))):
            np.testing.assert_array_equal(one.result(), everything[order])
            assert one.result() is one.result()


def test_a_batch_belongs_to_the_caller(opened, paths):
    """An engine may still read it while later ones are decoded."""
    with opened(files_of(paths)) as source:
        first = source.rows(np.arange(12))
        kept = first.copy()
        for _ in range(5):
            source.rows(np.arange(12)[::-1])
        np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(first, kept)


def test_several_threads_may_ask_at_once(opened, paths):
    everything = load_batch(paths, PREPROCESS)
    wrong = []

    def ask(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(10):
            wanted = rng.integers(12, size=7)
            if (source.rows(wanted) != everything[wanted]).any():
                wrong.append(wanted)

    with opened(files_of(paths)) as source:
        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


@pytest.mark.parametrize("row", [-1, 12])
def test_a_row_that_is_none_is_refused_at_once(opened, paths, row):
    with opened(files_of(paths)) as source, pytest.raises(IndexError, match=rf"row {row} is not"):
        source.begin(np.array([0, row]))


def test_cancelled_requests_leave_the_others_alone(opened, paths):
    everything = load_batch(paths, PREPROCESS)
    with opened(files_of(paths)) as source:
        for _ in range(20):
            dropped = [source.begin(np.arange(12)) for _ in range(10)]
            kept = source.begin(np.arange(12)[::-1])
            for one in dropped:
                one.cancel()
            np.testing.assert_array_equal(kept.result(), everything[::-1])


def test_closing_twice_is_fine_and_ends_the_threads(opened, paths):
    before = set(threading.enumerate())
    source = opened(files_of(paths))
    source.begin(np.arange(12))
    source.close()
    source.close()
    assert set(threading.enumerate()) == before


def refusal(opened, files: ImageFiles, wanted: np.ndarray) -> BaseException:
    with pytest.raises(Exception) as caught, opened(files) as source:  # noqa: PT011
        source.rows(wanted)
    return caught.value


def test_a_damaged_image_is_named_as_it_is_in_process(opened, paths):
    for number in (9, 4, 6):
        paths[number].write_bytes(paths[number].read_bytes()[:150])
    with pytest.raises(ImageError) as expected:
        load_batch([paths[4]], PREPROCESS)
    error = refusal(opened, files_of(paths), np.arange(12))
    assert type(error) is ImageError
    assert str(error) == str(expected.value)
    assert str(paths[4]) in str(error), "the first of the order"


def test_an_image_that_is_smaller_than_the_crop_is_named(opened, paths):
    files = files_of(paths, Preprocess(size=32, crop=45))
    error = refusal(opened, files, np.arange(12))
    assert type(error) is ImageError
    assert "40 x 40" in str(error)
    assert str(paths[0]) in str(error)


def test_a_file_that_is_missing_is_named(opened, paths):
    files = files_of(paths)
    paths[5].unlink()
    error = refusal(opened, files, np.arange(12))
    assert type(error) is ImageError
    assert str(paths[5]) in str(error)


def test_a_file_that_changed_after_it_was_indexed_is_refused(opened, paths, texture):
    files = files_of(paths)
    texture(99, 40).save(paths[8])
    error = refusal(opened, files, np.arange(12))
    assert type(error) is IntegrityError
    assert error.exit_code == 7
    assert error.where == str(paths[8])
    assert "changed after it was indexed" in error.what


@pytest.mark.parametrize("kind", ["threads", "processes"], indirect=True)
def test_after_a_bad_image_the_others_can_still_be_had(opened, paths):
    paths[4].write_bytes(b"none")
    with opened(files_of(paths)) as source:
        for _ in range(3):
            with pytest.raises(ImageError):
                source.rows(np.arange(12))
            np.testing.assert_array_equal(
                source.rows(np.arange(5, 12)), load_batch(paths[5:], PREPROCESS)
            )


@pytest.mark.parametrize("kind", ["threads", "processes"], indirect=True)
def test_a_file_is_compared_with_its_hash_once(opened, paths, texture):
    """Hashing a bitmap in every epoch would cost a tenth of its decoding."""
    files = files_of(paths[:1])
    with opened(files) as source:
        first = source.rows(np.array([0]))
        texture(99, 40).save(paths[0])
        assert (source.rows(np.array([0])) != first).any()


@pytest.mark.parametrize("kind", ["threads", "processes"], indirect=True)
def test_files_of_unknown_hash_are_trusted(opened, paths):
    with opened(ImageFiles(paths, PREPROCESS)) as source:
        np.testing.assert_array_equal(source.rows(np.arange(12)), load_batch(paths, PREPROCESS))


def test_there_is_a_hash_for_each_file_or_none(paths):
    with pytest.raises(ValueError, match="11 hashes for 12 files"):
        ImageFiles(paths, PREPROCESS, ["00"] * 11)


class TestSelected:
    def test_its_rows_are_those_that_were_chosen(self, opened, paths):
        with opened(files_of(paths)) as source:
            chosen = np.array([9, 2, 2, 5])
            view = Selected(source, chosen)
            assert (len(view), view.size) == (4, 32)
            np.testing.assert_array_equal(
                view.rows(np.array([3, 0])), source.rows(np.array([5, 9]))
            )

    def test_closing_it_leaves_the_source_open(self, opened, paths):
        with opened(files_of(paths)) as source:
            with Selected(source, np.arange(3)) as view:
                view.rows(np.arange(3))
            assert len(source.rows(np.arange(12))) == 12

    def test_it_has_no_other_rows(self, opened, paths):
        with opened(files_of(paths)) as source:
            with pytest.raises(IndexError):
                Selected(source, np.array([12]))
            with pytest.raises(IndexError):
                Selected(source, np.array([11])).begin(np.array([1]))
