"""What Keras is handed, and what it makes of it with either engine."""

import json
import os
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from allnet_edge.data.batches import ImageBatches, shuffled
from allnet_edge.data.decode_threads import DecodedByThreads
from allnet_edge.data.pixels import ImageFiles
from allnet_edge.errors import ImageError
from allnet_edge.spec.network import Preprocess
from allnet_edge.training.loader import KerasBatches

pytestmark = pytest.mark.xdist_group("training")
SCRIPT = Path(__file__).with_name("feed_keras.py")
PREPROCESS = Preprocess(size=48)


@pytest.fixture
def source(cells):
    with DecodedByThreads(ImageFiles(cells.paths("train"), PREPROCESS)) as source:
        yield source


def test_it_hands_the_batches_on(source, cells):
    batches = ImageBatches(source, cells.truth("train"), 8, order=shuffled(len(source), (0, 1)))
    with KerasBatches(batches) as data:
        assert len(data) == len(batches) == -(-len(source) // 8)
        for number in range(len(data)):
            pixels, labels = data[number]
            np.testing.assert_array_equal(pixels, batches[number].pixels)
            np.testing.assert_array_equal(labels, batches[number].labels)


def test_weights_are_handed_on_where_there_are_any(source, cells):
    weights = np.linspace(0.5, 2, len(source), dtype=np.float32)
    with KerasBatches(ImageBatches(source, cells.truth("train"), 8, weights=weights)) as data:
        np.testing.assert_array_equal(data[1][2], weights[8:16])


def test_few_batches_are_held_at_once(source, cells):
    with KerasBatches(ImageBatches(source, cells.truth("train"), 2), depth=3) as data:
        for number in range(len(data)):
            data[number]
            assert len(data._ahead._pending) <= 3 + 1 + 2
    assert not data._ahead._pending
    assert len(pickle.dumps(data._batches._order)) < source.rows(np.array([0])).nbytes


def in_the_pages_of_an_engine(data: KerasBatches) -> None:
    try:
        data[0]
    except ImageError as error:
        raise RuntimeError("pages of an engine") from error


def interrupted_after_it(data: KerasBatches) -> None:
    with suppress(ImageError):
        data[0]
    raise KeyboardInterrupt


def test_what_the_source_raised_comes_out_and_nothing_else(cells, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"none")
    with DecodedByThreads(ImageFiles([*cells.paths("train"), bad], PREPROCESS)) as source:
        batches = ImageBatches(source, [0] * len(source), len(source))
        with pytest.raises(ImageError) as caught, KerasBatches(batches) as data:
            in_the_pages_of_an_engine(data)
        assert caught.value.where == str(bad)
        with pytest.raises(KeyboardInterrupt), KerasBatches(batches) as data:
            interrupted_after_it(data)


@pytest.fixture(scope="module", params=["tensorflow", "jax"])
def fed(request, cells, tmp_path_factory):
    """What `feed_keras` found with this engine."""
    bad = tmp_path_factory.mktemp("bad") / "bad.png"
    bad.write_bytes(b"none")
    done = subprocess.run(
        [sys.executable, SCRIPT, cells.root, bad],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": request.param, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    assert "leaked" not in done.stderr
    return json.loads(done.stdout) | {"bad": str(bad)}


class TestWithAnEngine:
    def test_uint8_in_our_order_trains_as_float32_by_hand(self, fed):
        differences = fed["differences"]
        assert differences["moved"] > 1e-2
        # The same operations; TensorFlow may fuse a step otherwise that casts first.
        assert differences["plain"] < 1e-6
        assert differences["weighted"] < 1e-6
        assert differences["predict"] < 1e-6

    def test_bytes_travel_to_the_accelerator_and_are_cast_there(self, fed):
        assert fed["types"] == ["uint8"]

    def test_no_thread_or_process_outlives_it(self, fed):
        before, after = fed["left"]
        assert before == after == ["MainThread"]

    def test_a_bad_image_in_the_middle_is_named_without_the_pages_of_the_engine(self, fed):
        assert fed["bad image"] == {"kind": "ImageError", "where": fed["bad"], "context": False}

    def test_a_killed_worker_ends_the_fit(self, fed):
        assert fed["killed"]["kind"] == "EnvironmentMismatch"
        assert fed["killed"]["context"] is False

    def test_so_does_ctrl_c(self, fed):
        assert fed["interrupted"] == {"kind": "KeyboardInterrupt"}

    def test_and_nothing_outlives_these_either(self, fed):
        before, after = fed["left by failures"]
        assert before == after
