"""From what processes told to a row, its reasons, and errors that come back from a process."""

import os
from pathlib import Path

import numpy as np
import pytest
from bench_folder import write_bench
from gate_in_bundle import GATE, gate_json
from PIL import Image

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.device.bench.folder import fill_folder
from allnet_edge.device.bench.inputs import describe_input, pixels_sha256, workload
from allnet_edge.device.bench.job import Answer, Job
from allnet_edge.device.bench.launch import Watched, launch
from allnet_edge.device.bench.rows import Row, Taken, row_of
from allnet_edge.device.bench.verdicts import Verdicts
from allnet_edge.errors import (
    BenchmarkInvalid,
    DataError,
    ImageError,
    UnknownNameError,
    UsageError,
)
from allnet_edge.measure.bench_report import BenchReport
from allnet_edge.measure.latency import LatencyRun
from allnet_edge.measure.raw_samples import RawRun, write_samples
from allnet_edge.measure.sensors.readings import Reading
from allnet_edge.measure.sensors.source import recorded

CANDIDATE = "litert.int8"


@pytest.fixture
def bundle(make_bundle) -> Bundle:
    return Bundle.open(make_bundle())


def job(bundle: Path, folder: Path, process: int = 1, **changes: object) -> Job:
    fields: dict[str, object] = {
        "bundle": bundle, "candidate": CANDIDATE, "threads": 1, "images": None,
        "mode": "standard", "scenario": "single-stream", "frames_a_second": 30,
        "slide_cells": 5, "least_queries": 0, "process": process,
        "samples": folder / f"x.p{process}.jsonl",
    }  # fmt: skip
    return Job(**(fields | changes))


def taken(
    bundle: Bundle, folder: Path, process: int, ms: float, *, n: int = 1100, **changes: object
) -> Taken:
    """A process whose queries all took as long, one a second apart from the next."""
    asked = job(bundle.root, folder, process)
    at = np.arange(n) * 2 * ms
    run = LatencyRun("standard", np.full(n, ms), 9, 50, settled=True, other_load=0.0, at_ms=at)
    write_samples(asked.samples, {}, {"inference": RawRun.of(run)})
    fields: dict[str, object] = {
        "load_ms": 10.0 * process, "first_ms": 3.0, "warm_queries": 50, "settled": True,
        "other_load": 0.0, "batch": 1, "frames": None, "threads": 1, "delegate": "XNNPACK",
        "peak_rss_mb": 50.0 + process,
        "artifact_sha256": bundle.file_sha256(bundle.candidate(CANDIDATE)),
    }  # fmt: skip
    readings = [
        Reading(1.0, {"VDD_IN": 4000.0}, {"cpu": 40.0}, {"gpu": 900.0}, (), {}, 100.0),
        Reading(2.0, {"VDD_IN": 6000.0}, {"cpu": 55.0 + process}, {"gpu": 600.0}, (), {}, 180.0),
    ]
    known = {key: changes.pop(key) for key in list(changes) if key in fields}
    readings[1] = Reading(**(readings[1].to_json() | changes))
    watched = Watched(Answer(**(fields | known)), tuple(readings), (readings[1],))
    return Taken(asked, watched)


def make_row(bundle: Bundle, *processes: Taken, shares: tuple[float, ...] = ()) -> Row:
    one = bundle.candidate(CANDIDATE)
    return row_of(bundle, one, "pass", processes, idle_mw=2000.0, shares=shares)


def test_processes_are_pooled_and_their_spread_is_told(bundle, tmp_path):
    found = make_row(
        bundle, *(taken(bundle, tmp_path, at, ms) for at, ms in ((1, 10.0), (2, 11.0)))
    )
    row = found.row
    assert found.reasons == ()
    assert row.n == 2200
    assert (row.latency_ms.min, row.latency_ms.max) == (10, 11)
    assert row.processes.p50_ms == (10, 11)
    assert row.processes.spread == pytest.approx(1 / 10.5)
    assert (row.load_ms, row.processes.load_ms) == (15, (10, 20))
    assert row.peak_rss_mb == 52
    assert row.delegate == "XNNPACK"
    assert row.throughput_per_s == pytest.approx(1000 / 21, rel=1e-3)  # pauses are counted
    assert row.samples == ("samples/x.p1.jsonl", "samples/x.p2.jsonl")


def test_power_heat_and_memory(bundle, tmp_path):
    row = make_row(bundle, taken(bundle, tmp_path, 1, 10.0)).row
    assert row.power.total_mw == 6000
    assert row.power.mj_per_query == pytest.approx(6000 * 20 / 1000, rel=1e-3)
    assert row.power.mj_per_query_above_idle == pytest.approx(4000 * 20 / 1000, rel=1e-3)
    assert row.gpu_memory_mb == 80
    assert (row.temperatures_c["cpu"].start, row.temperatures_c["cpu"].max) == (40, 56)
    assert row.clocks_mhz["gpu"].min == 600
    assert row.throttled == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"artifact_sha256": "0" * 64}, "hash mismatch"),
        ({"throttled": ("gpu-throttle-alert",)}, "throttled: gpu-throttle-alert"),
        ({"n": 1000}, "p99.9 takes 6,636 queries; 1,000 were measured"),
    ],
)
def test_why_figures_do_not_count(bundle, tmp_path, changes, reason):
    found = make_row(bundle, taken(bundle, tmp_path, 1, 10.0, **changes), shares=(0.999,))
    assert any(reason in text for text in found.reasons)
    assert found.row.percentiles_ms["99.9"] is None


def test_the_spread_of_one_process_is_named_by_its_number(bundle, tmp_path):
    from allnet_edge.measure.system import describe

    busy = taken(bundle, tmp_path, 2, 10.0, other_load=0.4)
    found = make_row(bundle, taken(bundle, tmp_path, 1, 10.0), busy)
    report = BenchReport.of(describe(), [(found.row, found.runs)], mode="standard")
    assert report.why_invalid == (
        f"{CANDIDATE}: process 2: other programs used 40% of the processors",
    )


class TestVerdicts:
    def test_of_the_gate_in_the_bundle(self, make_bundle, model_files):
        files = {
            "model/model.int8.tflite": model_files["litert.int8.1"].path,
            "model/model.fp32.tflite": model_files["litert.fp32.1"].path,
            "model/model.fp32.onnx": model_files["onnx.uint8.1"].path,
        }
        said = gate_json(ids=("litert.int8", "litert.fp32"))
        bundle = Bundle.open(make_bundle(contents=files | {GATE: said}))
        verdicts = Verdicts(bundle)
        assert verdicts.of(bundle.candidate("litert.int8")) == "pass"
        unjudged = bundle.candidate("onnx.fp32")
        assert verdicts.of(unjudged) is None
        assert "does not judge it" in verdicts.why_none(unjudged)

    def test_the_manifests_word_is_not_enough(self, bundle):
        one = bundle.candidate(CANDIDATE)
        assert one.verdict == "pass"
        assert Verdicts(bundle).of(one) is None


class TestInputs:
    def test_golden_phantoms_are_no_zeros_and_need_no_resizing(self, bundle):
        asked = workload(bundle, None)
        assert asked.images.any(axis=(1, 2, 3)).all()
        told = describe_input(asked, None)
        assert told.pixels == "32x32"
        assert "synthetic" in told.source
        assert told.sha256 == pixels_sha256(bundle.golden().images)

    def test_the_hash_knows_order_and_shape(self):
        pixels = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
        hashes = {pixels_sha256(one) for one in (pixels, pixels[::-1], pixels.reshape(1, 4, 2, 3))}
        assert len(hashes) == 3
        assert pixels_sha256(pixels.copy(order="F")) == pixels_sha256(pixels)

    def test_an_image_that_is_none(self, bundle, tmp_path):
        (tmp_path / "a.bmp").write_bytes(b"no image")
        with pytest.raises(ImageError):
            workload(bundle, [tmp_path / "a.bmp"])

    def test_black_images_are_refused(self, bundle, tmp_path):
        Image.new("RGB", (40, 40)).save(tmp_path / "a.bmp")
        with pytest.raises(DataError, match="every image is black"):
            workload(bundle, [tmp_path / "a.bmp"])


class TestFolder:
    def test_leftovers_of_a_killed_run_go_and_a_failed_run_leaves_the_old_one(self, tmp_path):
        out = tmp_path / "bench"
        write_bench(out, {"x": 1.0})
        (tmp_path / "bench.tmp-4194999").mkdir()  # beyond the largest process id
        running = tmp_path / f"bench.tmp-{os.getppid()}"
        running.mkdir()

        def failing(folder: Path) -> BenchReport:
            (folder / "samples").mkdir()
            raise BenchmarkInvalid("broken off")

        with pytest.raises(BenchmarkInvalid):
            fill_folder(out, failing)
        assert sorted(tmp_path.iterdir()) == [out, running]
        assert (out / "bench.json").is_file()


class TestErrorsOfAProcess:
    def test_come_back_as_they_were(self, bundle, tmp_path):
        source = recorded(tmp_path)
        with pytest.raises(UsageError, match="no bundle here"):
            launch(job(tmp_path, tmp_path), source, lambda *_: None)
        wrong = job(bundle.root, tmp_path, candidate="litert.int9")
        with pytest.raises(UnknownNameError, match="unknown candidate"):
            launch(wrong, source, lambda *_: None)
