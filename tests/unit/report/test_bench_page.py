"""bench.html and its drawings: whole, self-contained, and nothing clipped."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from bench_folder import write_bench

from allnet_edge.measure.bench_report import BenchReport, NotMeasured
from allnet_edge.measure.latency import LatencyRun
from allnet_edge.measure.raw_samples import RawRun
from allnet_edge.report.bench_page import bench_page, bench_plots
from allnet_edge.report.bench_plots import distribution, supported_note, timeline


def read(folder: Path) -> BenchReport:
    return BenchReport.model_validate_json((folder / "bench.json").read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bench(tmp_path / "bench", {"litert-int8": 0.4, "onnx-fp32": 70.0}, processes=3)


def test_the_page_asks_nobody_for_anything(folder):
    page = bench_page(read(folder), folder)
    outside = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\')\s>]+)', page)
    assert outside == []
    assert "<script" not in page
    assert page.count("<svg") >= 3


def test_every_candidate_and_every_verdict_is_there(folder):
    report = read(folder)
    lost = NotMeasured(id="trt", engine="tensorrt", precision="int8", why="no <GPU> & no driver")
    page = bench_page(report.model_copy(update={"not_measured": (lost,)}), folder)
    for text in ("litert-int8", "onnx-fp32", "not measured: no &lt;GPU&gt; &amp; no driver"):
        assert text in page
    assert "<GPU>" not in page
    assert "say nothing absolute about a device" in page
    assert "3,300 queries support percentiles up to p99" not in page  # n is that of one process
    assert "1,100 queries support percentiles up to p99" in page


def test_an_invalid_benchmark_says_so_first(tmp_path):
    folder = write_bench(tmp_path / "bench", {"x": 1.0}, spread=0.2)
    page = bench_page(read(folder), folder)
    assert page.index("INVALID") < page.index("Latency</h2>")
    assert "spread (CoV)" in page


def test_without_any_row_there_is_a_page_and_no_drawing(folder):
    report = read(folder).model_copy(update={"rows": (), "valid": False})
    assert bench_plots(report, folder) == {}
    assert "<h1>" in bench_page(report, folder)


def test_drawings_stand_alone_and_are_well_formed(folder):
    drawings = bench_plots(read(folder), folder)
    assert drawings.keys() == {"latency_cdf", "latency_timeline"}
    for drawing in drawings.values():
        root = ElementTree.fromstring(drawing)  # noqa: S314 - our own
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.find("{http://www.w3.org/2000/svg}desc").text


def points(drawing: str, kind: str) -> list[np.ndarray]:
    """Coordinates of the lines of one class."""
    root = ElementTree.fromstring(drawing)  # noqa: S314 - our own
    found = [one for one in root.iter() if one.get("class") == kind]
    return [np.array([xy.split(",") for xy in one.get("points").split()], float) for one in found]


def test_one_slow_query_of_a_million_is_in_both_drawings():
    ms = np.full(100_000, 1.0)
    ms[77_777] = 500.0
    run = LatencyRun("standard", ms, 1.0, 50, settled=True, other_load=0.0)
    (curve,) = points(distribution({"x": [ms]}), "series s0")
    assert curve[-1, 1] == 0  # all queries
    assert np.ptp(curve[:, 0]) > 0.9 * 572  # from 1 to 500 ms over the whole width
    (band,) = points(timeline({"x": [RawRun.of(run)]}), "band s0")
    assert band[:, 1].min() < 40  # up to the top of its panel
    (median,) = points(timeline({"x": [RawRun.of(run)]}), "median s0")
    assert median[:, 1].min() > 120  # which no single query moves


def test_each_process_has_its_own_thin_line():
    rng = np.random.default_rng(1)
    drawing = distribution({"x": [rng.gamma(4, 1, 200) for _ in range(4)]})
    assert len(points(drawing, "thin series s0")) == 4
    assert len(points(drawing, "series s0")) == 1


@pytest.mark.parametrize(
    ("n", "last"), [(1, "p50"), (63, "p50"), (64, "p90"), (662, "p99"), (6636, "p99.9")]
)
def test_how_far_percentiles_reach(n, last):
    assert supported_note(n) == f"{n:,} queries support percentiles up to {last}"
