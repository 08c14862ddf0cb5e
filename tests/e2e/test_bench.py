"""`bench` from its arguments to its folder: real processes, a small network."""

import json
from pathlib import Path

import numpy as np
import pytest
from device_models import cell_images
from gate_in_bundle import GATE, gate_json
from PIL import Image
from recorded_devices import unpack

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.golden import Golden
from allnet_edge.cli.main import main
from allnet_edge.device.bench.folder import fill_folder
from allnet_edge.device.bench.run import Bench, Options
from allnet_edge.measure.raw_samples import read_samples
from allnet_edge.measure.sensors.source import recorded


@pytest.fixture
def bundle(make_bundle, model_files) -> Path:
    return make_bundle(contents=contents(model_files) | {GATE: gate_json()})


def contents(model_files) -> dict[str, object]:
    return {
        "model/model.int8.tflite": model_files["litert.int8.1"].path,
        "model/model.fp32.tflite": model_files["litert.fp32.1"].path,
        "model/model.fp32.onnx": model_files["onnx.uint8.1"].path,
    }


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, pixels in enumerate(cell_images(3, 8)):
        Image.fromarray(pixels).resize((64, 64)).save(folder / f"{number}.bmp")
    return folder


def bench(capsys, *arguments: object) -> tuple[int, dict]:
    code = main(["bench", *map(str, arguments), "--json", "--quiet"])
    return code, json.loads(capsys.readouterr().out)


def test_two_processes_of_one_candidate(bundle, images, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--candidate", "litert.int8", "--processes", 2, "--threads", 1, "-o", out]
    code, found = bench(capsys, bundle, *options, "--images", images, "--percentile", 99.9)
    assert code == (0 if found["valid"] else 6)
    assert found["device"]["class"] == "host-proxy"
    assert found["bundle_sha256"] == Bundle.open(bundle).sha256
    assert found["input"]["images"] == 3
    assert found["input"]["pixels"] == "64x64"
    (row,) = found["rows"]
    assert (row["id"], row["verdict"], row["threads"], row["batch"]) == (
        "litert.int8",
        "pass",
        1,
        1,
    )
    assert row["artifact_sha256"] == Bundle.open(bundle).manifest.files["model/model.int8.tflite"]
    assert 0 < row["zipped_mb"] < 1.1 * row["size_mb"]
    assert row["peak_rss_mb"] > 20
    assert row["power"] is None
    assert row["spans_ms"]["host_to_device"] is None
    assert row["spans_ms"]["preprocess"]["p50"] > 0
    processes = [read_samples(out / file) for file in row["samples"]]
    assert [header["process"] for header, _ in processes] == [1, 2]
    pooled = np.concatenate([runs["inference"].ms for _, runs in processes])
    assert row["n"] == pooled.size
    assert row["latency_ms"]["max"] == pytest.approx(pooled.max())
    assert row["percentiles_ms"]["99.9"] == pytest.approx(
        np.quantile(pooled, 0.999, method="inverted_cdf")
    )
    assert row["processes"]["p50_ms"] == pytest.approx(
        [np.quantile(runs["inference"].ms, 0.5, method="inverted_cdf") for _, runs in processes]
    )
    page = (out / "bench.html").read_text()
    assert "says nothing absolute" in page or "say nothing absolute" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    assert (out / "latency_cdf.svg").read_text().startswith("<svg xmlns")
    assert json.loads((out / "bench.json").read_text())["rows"] == found["rows"]
    assert main(["compare", str(out), str(out), "--json"]) in (0, 6, 8)
    assert json.loads(capsys.readouterr().out)["regressions"] == []


def test_a_camera_and_a_slide(bundle, tmp_path, capsys):
    common = [bundle, "--candidate", "onnx.fp32"]
    out = tmp_path / "camera"
    _, found = bench(capsys, *common, "--scenario", "camera", "--fps", 50, "-o", out)
    (row,) = found["rows"]
    assert row["frames"]["frames"] == row["n"] + row["frames"]["dropped"]
    assert row["frames"]["frames_a_second"] == 50
    _, found = bench(
        capsys, *common, "--scenario", "offline", "--cells", 40, "-o", tmp_path / "slide"
    )
    (row,) = found["rows"]
    assert row["batch"] == 40
    assert row["throughput_per_s"] > 0
    assert row["end_to_end_ms"] is None


def test_a_throttled_device_is_invalid_and_its_power_is_counted(bundle, tmp_path):
    """The clock runs here; the sensors are those of a device that is too hot."""
    source = recorded(unpack("jetson-xavier-nx-jp5", tmp_path / "xavier"))
    options = Options(candidates=("litert.int8",))
    work = Bench(Bundle.open(bundle), options, source=source)
    report = fill_folder(tmp_path / "out", work.measure)
    assert report.device.device_class == "jetson"
    assert report.conditions.power_mode == "MODE_15W_6CORE"
    assert report.conditions.clocks_locked is True
    assert not report.valid
    assert "litert.int8: throttled: cpu-throttle-alert" in report.why_invalid
    (row,) = report.rows
    assert row.power.total_mw == pytest.approx(6048)
    assert row.power.idle_mw == pytest.approx(6048)
    assert row.power.mj_per_query == pytest.approx(6048 / row.throughput_per_s, rel=1e-6)
    assert row.power.mj_per_query_above_idle == 0
    assert row.temperatures_c["GPU-therm"].max == 44.5
    assert row.clocks_mhz["gpu"].mean == pytest.approx(1109.25)
    lines = (tmp_path / "out" / "sensors.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["rails_mw"]["VDD_IN"] == pytest.approx(6048)


class TestNothingIsMeasured:
    def test_without_the_gates_verdict(self, make_bundle, tmp_path, capsys):
        code, found = bench(capsys, make_bundle(), "-o", tmp_path / "out")
        assert code == 6
        assert found["rows"] == []
        assert "no gate verdict" in found["not_measured"][0]["why"]
        assert found["why_invalid"] == ["no candidate was measured"]

    def test_where_the_gate_is_of_other_artifacts(self, make_bundle, model_files, tmp_path, capsys):
        said = gate_json({"litert.int8": "fail"})
        bundle = make_bundle(contents=contents(model_files) | {GATE: said})
        code, found = bench(capsys, bundle, "-o", tmp_path / "out")
        assert code == 7
        assert "the gate says fail about litert.int8" in found["error"]["what"]

    def test_where_golden_tensors_differ(self, make_bundle, model_files, tmp_path, capsys):
        right = Bundle.open(make_bundle()).golden()
        wrong = {name: values + 0.1 for name, values in right.outputs.items()}
        golden = Golden(right.images, wrong, right.tolerance)
        (tmp_path / "bundle").rename(tmp_path / "right")
        bundle = make_bundle(golden=golden, contents=contents(model_files) | {GATE: gate_json()})
        code, found = bench(capsys, bundle, "--candidate", "onnx.fp32", "-o", tmp_path / "out")
        assert code == 6
        assert found["rows"] == []
        assert found["why_invalid"][0].startswith("onnx.fp32: golden tensors: differs by")

    def test_a_changed_model(self, bundle, tmp_path, capsys):
        path = bundle / "model" / "model.int8.tflite"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        assert bench(capsys, bundle, "-o", tmp_path / "out")[0] == 7

    def test_into_the_bundle(self, bundle, capsys):
        code, found = bench(capsys, bundle, "-o", bundle / "bench")
        assert code == 2
        assert "inside the bundle" in found["error"]["what"]
        assert Bundle.open(bundle)

    def test_into_a_folder_of_something_else(self, bundle, tmp_path, capsys):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("precious")
        code, _ = bench(capsys, bundle, "-o", tmp_path / "mine")
        assert code == 2
        assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"

    @pytest.mark.parametrize(
        ("option", "said"),
        [
            (["--candidate", "litert.int9"], "unknown candidate"),
            (["--percentile", "100"], "is no percentile"),
            (["--images", "/no/such/folder"], "no such file"),
            (["--mode", "slow"], "slow"),
        ],
    )
    def test_settings_that_make_no_sense(self, bundle, tmp_path, capsys, option, said):
        found = bench(capsys, bundle, "-o", tmp_path / "out", *option)
        assert found[0] == 2
        assert said in found[1]["error"]["what"]
