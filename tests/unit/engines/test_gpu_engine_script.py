"""benchmarks/gpu_engine.py: figures where there is a GPU, `not measured` where there is none."""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from allnet_edge.measure import latency

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "gpu_engine.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("gpu_engine", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    yield spec.loader.exec_module(module) or module
    del sys.modules[spec.name]


def run(script, graph: Path, out: Path) -> dict:
    script.main([str(graph), "-o", str(out)])
    return json.loads(out.read_text())


def test_on_a_gpu_there_are_figures(script, gpu_machine, model_files, tmp_path, monkeypatch):
    plan = dataclasses.replace(
        latency.PLANS["quick"], warm_seconds=0.01, warm_limit=0.02, seconds=0.02, limit=0.2
    )
    monkeypatch.setattr(latency, "PLANS", {**latency.PLANS, "quick": plan})
    # The loader finds modules by their spec; a stand-in has none until it is given one.
    gpu_machine.trt.__spec__ = importlib.util.spec_from_loader("tensorrt", None)
    found = run(script, model_files["onnx.uint8.1"].path, tmp_path / "result.json")
    assert found["gpu"]["sm"] == "8.7"
    assert found["tensorrt"] == "tensorrt 10.3.0"
    (row,) = found["rows"]
    assert row["largest_difference_from_onnxruntime"] < 1e-6
    assert row["cuda_graph"] is True
    assert row["latency_ms"]["p50"] > 0
    assert row["median_span_ms"] == {
        "host_to_device": 1.0, "inference": 1.0, "device_to_host": 1.0,
    }  # fmt: skip


def test_without_one_nothing_is_measured_and_the_reason_is_told(
    script, gpu_machine, model_files, tmp_path
):
    gpu_machine.fail("cudaGetDeviceCount", 100)
    found = run(script, model_files["onnx.uint8.1"].path, tmp_path / "result.json")
    assert found["gpu"] is None
    (row,) = found["rows"]
    assert row["latency_ms"] == "not measured"
    assert "no NVIDIA GPU" in row["why"]


def test_a_graph_that_does_not_build_is_told(script, gpu_machine, model_files, tmp_path):
    gpu_machine.trt.__spec__ = importlib.util.spec_from_loader("tensorrt", None)
    gpu_machine.trt.shared.refuse.add("small")
    found = run(script, model_files["onnx.uint8.1"].path, tmp_path / "result.json")
    assert "cannot parse" in found["rows"][0]["why"]
