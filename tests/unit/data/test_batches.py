"""Batches are fixed by their order alone, hold numbers only, and are read ahead."""

import itertools
import pickle

import numpy as np
import pytest

from allnet_edge.data.batches import Ahead, ImageBatches, shard, shuffled
from allnet_edge.data.decode_threads import DecodedByThreads
from allnet_edge.data.images import load_batch
from allnet_edge.data.pixels import ImageFiles
from allnet_edge.spec.network import Preprocess

PREPROCESS = Preprocess(size=32)


class Counting:
    """A source of ten images, row k of colour 10 k, that notes what is asked of it."""

    size = 32

    def __init__(self) -> None:
        self.begun: list[list[int]] = []
        self.waited: list[list[int]] = []
        self.cancelled: list[list[int]] = []

    def __len__(self) -> int:
        return 10

    def begin(self, indices):
        rows = [int(i) for i in indices]
        self.begun.append(rows)
        return Asked(self, rows)


class Asked:
    def __init__(self, source: Counting, rows: list[int]) -> None:
        self.source, self.rows = source, rows

    def result(self):
        self.source.waited.append(self.rows)
        return np.stack([np.full((32, 32, 3), 10 * row, np.uint8) for row in self.rows])

    def cancel(self) -> None:
        self.source.cancelled.append(self.rows)


@pytest.fixture
def paths(tmp_path, texture):
    names = [tmp_path / f"{number}.png" for number in range(10)]
    for number, path in enumerate(names):
        texture(number, 32).save(path)
    return names


@pytest.fixture
def source(paths):
    with DecodedByThreads(ImageFiles(paths, PREPROCESS)) as source:
        yield source


def test_every_image_comes_once_with_its_label_as_uint8(source, paths):
    batches = ImageBatches(source, list(range(10)), 4)
    made = [batches[number] for number in range(3)]
    assert len(batches) == 3
    assert [len(batch.pixels) for batch in made] == [4, 4, 2]
    pixels = np.concatenate([batch.pixels for batch in made])
    labels = np.concatenate([batch.labels for batch in made])
    np.testing.assert_array_equal(pixels, load_batch(paths, PREPROCESS))
    np.testing.assert_array_equal(labels, np.arange(10)[:, None])
    assert (pixels.dtype, labels.dtype) == (np.uint8, np.float32)
    assert [batch.weights for batch in made] == [None] * 3


def test_weights_go_with_their_images():
    weights = np.linspace(0.5, 2, 10, dtype=np.float32)
    batches = ImageBatches(
        Counting(), range(10), 4, order=np.array([7, 1, 1, 9, 0]), weights=weights
    )
    first, last = batches
    np.testing.assert_array_equal(first.weights, weights[[7, 1, 1, 9]])
    np.testing.assert_array_equal(last.weights, weights[[0]])
    assert first.weights.dtype == np.float32
    np.testing.assert_array_equal(first.pixels[:, 0, 0, 0], [70, 10, 10, 90])


@pytest.mark.parametrize("weights", [None, np.ones(9, np.float32)])
def test_labels_and_weights_have_to_fit_the_source(weights):
    labels = range(9 if weights is None else 10)
    with pytest.raises(ValueError, match=r"9 (labels|weights) for 10 images"):
        ImageBatches(Counting(), labels, 4, weights=weights)


@pytest.mark.parametrize("number", [-1, 3])
def test_there_is_no_batch_beyond_the_last(number):
    with pytest.raises(IndexError, match=r"not in 0\.\.2"):
        ImageBatches(Counting(), range(10), 4)[number]


def test_an_order_is_followed(source):
    order = shuffled(10, (3, 1))
    made = ImageBatches(source, list(range(10)), 4, order=order)
    for labels in ([made[number].labels for number in range(3)], [b.labels for b in made]):
        np.testing.assert_array_equal(np.concatenate(labels).ravel(), order)


def test_no_pixel_is_held():
    batches = ImageBatches(Counting(), range(10), 4)
    list(batches)
    assert len(pickle.dumps(batches)) < batches[0].pixels[0].nbytes


class TestReadingAhead:
    def test_the_next_batches_are_begun_before_the_first_is_waited_for(self):
        source = Counting()
        with Ahead(ImageBatches(source, range(10), 2), depth=2) as ahead:
            assert ahead.take(0).labels.ravel().tolist() == [0, 1]
            assert source.begun == [[0, 1], [2, 3], [4, 5]]
            assert source.waited == [[0, 1]]
            ahead.take(1)
            assert source.begun == [[0, 1], [2, 3], [4, 5], [6, 7]]
            assert source.waited == [[0, 1], [2, 3]]

    def test_a_pass_asks_for_every_batch_once(self):
        source = Counting()
        assert len(list(ImageBatches(source, range(10), 3))) == 4
        assert source.begun == source.waited == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
        assert not source.cancelled

    def test_leaving_drops_what_is_under_way(self):
        source = Counting()
        for _ in ImageBatches(source, range(10), 2):
            break
        assert sorted(source.cancelled) == [[2, 3], [4, 5], [6, 7], [8, 9]]

    def test_a_jump_drops_what_is_out_of_sight(self):
        source = Counting()
        with Ahead(ImageBatches(source, range(10), 1), depth=1) as ahead:
            ahead.take(0)
            assert ahead.take(7).labels.ravel().tolist() == [7]
            assert source.cancelled == [[1]]

    def test_the_first_batches_can_be_taken_again_without_a_second_reading(self):
        source = Counting()
        with Ahead(ImageBatches(source, range(10), 2), depth=2, kept=2) as ahead:
            for number in (0, 1, 0, 1, 2, 3, 4):
                np.testing.assert_array_equal(
                    ahead.take(number).labels.ravel(), [2 * number, 2 * number + 1]
                )
        assert source.begun == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]

    def test_nothing_is_begun_after_the_end(self):
        source = Counting()
        ahead = Ahead(ImageBatches(source, range(10), 2))
        ahead.close()
        with pytest.raises(RuntimeError, match="after the end"):
            ahead.take(0)
        assert not source.begun


def test_the_order_depends_on_seed_and_epoch_only():
    orders = {seed: shuffled(50, seed) for seed in itertools.product((0, 1), (1, 2, 3))}
    for seed, order in orders.items():
        assert sorted(order) == list(range(50))
        np.testing.assert_array_equal(order, shuffled(50, seed))
    for one, other in itertools.combinations(orders.values(), 2):
        assert (one != other).any()


def batches_of(order, batch_size: int) -> list[list[int]]:
    return [order[i : i + batch_size].tolist() for i in range(0, len(order), batch_size)]


class TestShard:
    @pytest.mark.parametrize("processes", [1, 2, 3, 4])
    @pytest.mark.parametrize("count", [0, 1, 11, 12, 24, 31, 35, 36, 100])
    def test_the_slices_of_each_batch_make_up_the_global_one_in_its_order(self, count, processes):
        order = shuffled(count, (0, 1))
        parts = [
            batches_of(shard(order, 12, process, processes), 12 // processes)
            for process in range(processes)
        ]
        joined = [list(itertools.chain(*slices)) for slices in zip(*parts, strict=True)]
        expected = batches_of(order, 12)
        if expected:
            expected[-1] = expected[-1][: len(expected[-1]) // processes * processes]
        assert joined == [batch for batch in expected if batch]
        for slices in zip(*parts, strict=True):
            assert len({len(piece) for piece in slices}) == 1

    def test_one_process_has_all(self):
        order = shuffled(31, (0, 1))
        np.testing.assert_array_equal(shard(order, 12, 0, 1), order)

    def test_a_batch_that_cannot_be_shared_equally_is_refused(self):
        with pytest.raises(ValueError, match="batch of 10 cannot be shared among 3"):
            shard(np.arange(20), 10, 0, 3)

    @pytest.mark.parametrize("process", [-1, 2])
    def test_there_are_only_so_many_processes(self, process):
        with pytest.raises(ValueError, match=r"not in 0\.\.1"):
            shard(np.arange(20), 10, process, 2)
