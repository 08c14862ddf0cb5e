"""Memory for batches: used again when nobody looks at it any more, and never before."""

import gc
import mmap
from pathlib import Path

import numpy as np
import pytest

from allnet_edge.data.shared_pixels import SharedPixels
from allnet_edge.errors import EnvironmentMismatch


@pytest.fixture
def memory():
    made = SharedPixels(images=5)
    yield made
    made.close()


def resident() -> int:
    """Bytes of shared memory that this process has in use."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in status if line.startswith("RssShmem"))


def test_a_batch_lies_where_it_says(memory):
    start, batch = memory.batch(3, 32)
    assert (batch.shape, batch.dtype) == ((3, 32, 32, 3), np.uint8)
    memory.mapped.pixels[start : start + 3 * 32 * 32 * 3] = 7
    assert (batch == 7).all()
    batch[2] = 9
    assert memory.mapped.pixels[start + 3 * 32 * 32 * 3 - 1] == 9


def test_batches_that_are_held_never_overlap(memory):
    held = [memory.batch(rows, 32)[1] for rows in [8, 8, 3, 8, 0, 1, 9] * 5]
    for number, batch in enumerate(held):
        batch[:] = number
    for number, batch in enumerate(held):
        assert (batch == number).all()


def test_what_is_dropped_is_used_again(memory):
    starts = {memory.batch(8, 32)[0] for _ in range(20)}
    assert len(starts) == 1


def test_a_slightly_smaller_batch_uses_it_too(memory):
    assert memory.batch(8, 32)[0] == memory.batch(7, 32)[0]


@pytest.mark.parametrize(
    "view",
    [
        lambda batch: batch[1:2],
        lambda batch: batch[..., ::-1],
        lambda batch: batch[2].reshape(-1)[5:6],
        lambda batch: batch.view(np.int8).T,
        lambda batch: memoryview(batch)[1:],
        iter,
    ],
)
def test_any_view_keeps_it(memory, view):
    start, batch = memory.batch(8, 32)
    kept = view(batch)
    del batch
    gc.collect()
    assert memory.batch(8, 32)[0] != start
    del kept
    assert start in {memory.batch(8, 32)[0] for _ in range(2)}


def test_many_that_are_dropped_at_once_give_their_memory_back(memory):
    before = resident()
    held = [memory.batch(64, 128)[1] for _ in range(30)]
    size = held[0].nbytes
    for batch in held:
        batch[:] = 1
    assert resident() - before >= 30 * size
    held.clear()
    del batch
    _, again = memory.batch(64, 128)
    assert resident() - before <= 9 * size
    again[:] = 2
    assert (again == 2).all()


def test_it_takes_no_memory_before_it_is_written(memory):
    before = resident()
    memory.batch(1000, 1024)
    assert resident() - before <= mmap.PAGESIZE


def test_more_than_the_machine_has_is_refused(memory):
    with pytest.raises(EnvironmentMismatch, match="than this machine has memory") as caught:
        memory.batch(10**9, 1024)
    assert caught.value.exit_code == 3
    assert memory.batch(8, 32)[1].shape == (8, 32, 32, 3)


def mappings() -> int:
    return Path("/proc/self/maps").read_text().count("decoded pixels")


def test_a_batch_outlives_the_closing():
    before = mappings()
    memory = SharedPixels(images=1)
    _, batch = memory.batch(8, 32)
    memory.close()
    del memory
    batch[:] = 3
    assert (batch == 3).all()
    assert mappings() == before + 1
    del batch
    assert mappings() == before
