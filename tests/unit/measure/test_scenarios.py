"""What a query is in each scenario, and a camera on a clock that the test moves."""

import io

import numpy as np
import pytest
from PIL import Image

from allnet_edge.errors import UsageError
from allnet_edge.measure.camera import FromFrame, measure_camera
from allnet_edge.measure.latency import PLANS, Plan
from allnet_edge.measure.offline import OFFLINE_PLANS, Slide
from allnet_edge.measure.one_process import Terms, measure, plan_of
from allnet_edge.measure.queries import CopyTimes, Decoded, FromFile, Spans, Workload
from allnet_edge.spec.network import Preprocess

MS = 1_000_000
SIZE = 32


def bitmaps(n: int = 3, side: int = 48) -> list[bytes]:
    rng = np.random.default_rng(4)
    found = []
    for _ in range(n):
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(stream, "BMP")
        found.append(stream.getvalue())
    return found


WORK = Workload(
    np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8),
    bitmaps(),
    Preprocess(size=SIZE),
)


class Recorder:
    """A runner that remembers what it was asked and takes as long as it is told, on a clock."""

    engine, threads = "none", 1

    def __init__(self, ms: float = 0.0) -> None:
        self.asked: list[np.ndarray] = []
        self.now = 0
        self.ms = ms

    def infer(self, images: np.ndarray) -> np.ndarray:
        self.asked.append(images)
        self.now += round(self.ms * MS)
        return np.array([0.7], np.float32)

    def clock(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += round(seconds * 1e9) + 1


class Quiet:
    """No other program; the machine that runs the tests may well have some."""

    def start(self) -> None:
        pass

    def share(self) -> float:
        return 0.0


class OnDevice(Recorder):
    """The same with a device of its own."""

    def copy_times(self) -> CopyTimes:
        return CopyTimes(2 * MS, 5 * MS, 1 * MS)


def test_images_come_in_turn_and_are_never_zeros():
    runner = Recorder()
    query = Decoded(runner, WORK.images)
    for _ in range(7):
        query()
    for at, image in enumerate(runner.asked):
        np.testing.assert_array_equal(image, WORK.images[at % 3][None])
        assert image.shape == (1, SIZE, SIZE, 3)
        assert image.any()


def test_from_a_file_the_parts_add_up_and_a_processor_has_no_copies():
    runner = Recorder(ms=5)
    decided = []
    query = FromFile(runner, WORK, decided.append, clock=runner.clock)
    for _ in range(4):
        query()
    spans = Spans.of(query.taken)
    assert spans.host_to_device is None
    assert (spans.inference == 5).all()
    assert (spans.preprocess == 0).all()
    assert len(decided) == 4


def test_a_device_tells_its_copies_apart():
    runner = OnDevice(ms=8)
    query = FromFile(runner, WORK, lambda _: None, clock=runner.clock)
    query()
    spans = Spans.of(query.taken)
    assert (spans.host_to_device[0], spans.inference[0], spans.postprocess[0]) == (2, 5, 1)


def test_a_file_is_resized_as_everywhere_else():
    from allnet_edge.data.images import load

    runner = Recorder()
    FromFile(runner, WORK, lambda _: None)()
    np.testing.assert_array_equal(runner.asked[0][0], load(WORK.sources[0], WORK.preprocess))


def test_a_slide_asks_every_cell_in_order():
    runner = Recorder()
    decided = []
    Slide(runner, WORK, decided.append, cells=40)()
    assert len(runner.asked) == len(decided) == 40
    for at in (0, 20, 39):
        expected = runner.asked[at % 3]
        np.testing.assert_array_equal(runner.asked[at], expected)


class TestCamera:
    PLAN = Plan(2, 0.2, 1, 5, 10, 1, 5, cov_limit=0.025, strict=True)

    def run(self, ms: float, rate: float, **options: object):
        runner = Recorder(ms)
        frame = FromFrame(runner, WORK, lambda _: None, clock=runner.clock)
        options = {"plan": self.PLAN, "load": Quiet()} | options
        return measure_camera(
            frame, frames_a_second=rate, clock=runner.clock, sleep=runner.sleep, **options
        )

    def test_a_network_that_is_fast_enough_drops_nothing(self):
        seen = self.run(ms=20, rate=20)
        assert seen.dropped == 0
        assert seen.frames == seen.run.n == 20
        np.testing.assert_allclose(seen.run.samples_ms, 20, atol=1e-3)

    def test_one_that_is_too_slow_drops_and_counts(self):
        seen = self.run(ms=120, rate=20)  # a frame every 50 ms: two of three are lost
        assert seen.run.n + seen.dropped == seen.frames
        assert seen.dropped / seen.frames == pytest.approx(1 - 50 / 120, abs=0.1)
        assert seen.run.samples_ms.min() >= 120
        assert seen.run.samples_ms.max() < 120 + 50 + 1  # the newest frame waited less than one

    def test_waiting_is_no_noise(self):
        assert self.run(ms=120, rate=20).run.why_invalid == ()

    def test_frames_are_pixels_in_the_networks_size(self):
        runner = Recorder()
        FromFrame(runner, WORK, lambda _: None)()
        assert runner.asked[0].shape == (1, SIZE, SIZE, 3)

    @pytest.mark.parametrize("rate", [0, -1, float("nan"), 1e6])
    def test_a_rate_that_is_none_is_refused(self, rate):
        with pytest.raises(UsageError, match="frames a second"):
            self.run(ms=1, rate=rate)


class TestPlans:
    def test_a_percentile_that_was_asked_for_prolongs_the_run(self):
        plan = plan_of(Terms("standard", least_queries=1328))
        assert plan.queries == 1328
        assert plan_of(Terms("standard")).queries == PLANS["standard"].queries

    def test_offline_counts_slides(self):
        assert plan_of(Terms("full", "offline")) is OFFLINE_PLANS["full"]

    def test_single_stream_measures_the_network_and_then_the_whole_way(self):
        found = measure(Recorder(), WORK, lambda _: None, Terms("quick"))
        raw = found.raw()
        assert list(raw) == ["inference", "end_to_end"]
        assert raw["end_to_end"].parts.keys() == {"preprocess", "inference", "postprocess"}
        assert raw["end_to_end"].parts["inference"].size == found.end_to_end.n
        assert (found.batch, found.frames) == (1, None)
