"""``allnet-edge build`` as a person uses it: whole, skipped, and what it leaves behind."""

import json
import os
import shutil
from pathlib import Path

import onnx
import pytest
from build_support import STAGES, Build, run

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.convert.sparsity_2_4 import invalid_blocks
from allnet_edge.measure.gate_report import GateCandidate, GateReport

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]


def test_prints_one_json_object_with_the_verdict(small_build: Build) -> None:
    result = json.loads(small_build.process.stdout)
    code = {"pass": 0, "fail": 5, "inconclusive": 8}[result["verdict"]]
    assert small_build.process.returncode == code
    assert tuple(result["ran"]) == STAGES
    assert result["skipped"] == []


def test_leaves_what_the_contract_names(small_build: Build) -> None:
    for name in ("manifest.json", "report.html", "report.md", "report.json"):
        assert (small_build.out / name).stat().st_size > 0
    for stage in STAGES:
        assert (small_build.out / stage / "stage.json").is_file()
        assert (small_build.out / "logs" / f"{stage}.log").is_file()
    for name in (
        "model/model.fp32.onnx", "model/model.fp16.onnx", "model/model.int8.onnx",
        "model/model.fp32.tflite", "model/model.int8.tflite",
    ):  # fmt: skip
        candidate = f"{'onnx' if name.endswith('onnx') else 'litert'}-{name.split('.')[1]}"
        verdicts = {c["id"]: c["verdict"] for c in _gate(small_build)["candidates"]}
        assert (small_build.out / "bundle" / name).is_file() == (verdicts[candidate] != "fail")
    assert (small_build.out / "bundle" / "appearance.json").is_file()


def test_gate_json_has_the_keys_of_the_contract(small_build: Build) -> None:
    gate = _gate(small_build)
    assert {"verdict", "n", "patients", "method", "candidates"} <= set(gate)
    pruned = json.loads((small_build.out / "gate" / "pruned.json").read_text())
    assert pruned["id"] == "keras-pruned"  # judged, so that it can be named, but no candidate
    assert "keras-pruned" not in {candidate["id"] for candidate in gate["candidates"]}
    for candidate in gate["candidates"]:
        assert {"id", "engine", "precision", "verdict", "checks", "flips", "auc"} <= set(candidate)
        assert set(candidate["flips"]) == {"positive_to_negative", "negative_to_positive"}
        assert set(candidate["auc"]) == {"float", "edge"}
        metrics = {check["metric"]: check for check in candidate["checks"]}
        assert {"accuracy", "sensitivity", "specificity", "auc"} == set(metrics)
        for check in candidate["checks"]:
            wanted = {"metric", "float", "edge", "delta", "lower", "upper", "margin", "verdict"}
            assert wanted <= set(check)


def test_bench_json_has_the_keys_of_the_contract_and_never_says_jetson(small_build: Build) -> None:
    bench = json.loads((small_build.out / "benchmark" / "bench.json").read_text())
    assert bench["mode"] == "quick"
    assert bench["device"]["class"] == "host-proxy"
    for row in bench["rows"]:
        assert row["latency_ms"]["p50"] > 0
        assert row["end_to_end_ms"]["p50"] > row["latency_ms"]["min"]
        assert row["verdict"] in ("pass", "fail", "inconclusive")


def test_fp32_graphs_do_not_flip_a_decision(small_build: Build) -> None:
    # The pruned network is what they were exported from; the float reference is not.
    rungs = json.loads((small_build.out / "gate" / "rungs.json").read_text())
    assert rungs["onnx-fp32"]["before"] == "keras-pruned"
    assert rungs["onnx-fp32"]["max_abs_difference"] < 1e-4
    assert rungs["litert-fp32"]["max_abs_difference"] < 1e-4
    assert rungs["onnx-int8"]["before"] == "onnx-fp32"


def test_pruned_weights_stay_2_to_4_in_the_exported_graph(small_build: Build) -> None:
    for file in ("export_onnx/model.fp32.onnx", "quantize/model.int8.onnx"):
        found = invalid_blocks(onnx.load(small_build.out / file))
        assert len(found) >= 4, file
        assert not any(found.values()), (file, found)


def test_what_quantizing_each_block_costs_is_measured(small_build: Build) -> None:
    found = json.loads((small_build.out / "mixed" / "mixed.json").read_text())
    assert found["selection"]["part"] == "validation"
    for name in ("onnx", "tflite"):
        row = found["formats"][name]
        assert [block["group"] for block in row["blocks"]] == [
            "conv1", "conv2", "conv3", "conv4", "dense",
        ]  # fmt: skip
        assert all(block["cost"]["logit_snr_db"] > 5 for block in row["blocks"])
        suffix = "tflite" if name == "tflite" else "onnx"
        assert (small_build.out / "mixed" / f"model.mixed.{suffix}").is_file() == row["made"]
        nothing = (
            "int8 alone is acceptable", "no block can be int8", "no mixture", "the mixture as",
        )  # fmt: skip
        assert row["made"] != row["why"].startswith(nothing)


def test_compile_is_a_proof_and_says_so(small_build: Build) -> None:
    content = json.loads((small_build.out / "compile" / "compile.json").read_text())
    if not content["rows"]:
        pytest.skip(content["not_proven"])
    assert {row["sm"] for row in content["rows"]} == {86, 89}
    for row in content["rows"]:
        assert row["ok"], row
        assert "not a Jetson engine" in row["note"]
    assert not list((small_build.out / "bundle").rglob("*.engine"))


def test_the_bundle_verifies_and_infers(small_build: Build) -> None:
    bundle = small_build.out / "bundle"
    opened = Bundle.open(bundle)
    assert opened.chosen is not None
    assert opened.manifest.phantom
    verified = run("verify", bundle)
    assert verified.returncode == 0, verified.stderr
    cells = sorted((small_build.out / "cells" / "cells" / "fold_0").rglob("*.png"))[:3]
    inferred = run("infer", bundle, *cells, "--json")
    assert inferred.returncode == 0, inferred.stderr
    assert "probability" in inferred.stdout
    assert "phantom" in inferred.stderr


def test_the_report_names_phantoms_and_carries_no_outside_reference(small_build: Build) -> None:
    page = (small_build.out / "report.html").read_text()
    assert "phantom data" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "https://" not in page


def test_again_unchanged_skips_every_stage(small_build: Build) -> None:
    before = _stamps(small_build.out)
    again = run(
        "build", "--target", "jetson", "--recipe", small_build.recipe, "-o", small_build.out,
        "--json", env=os.environ | {"KERAS_BACKEND": "tensorflow"},  # named: it is the same engine
    )  # fmt: skip
    assert again.returncode == small_build.process.returncode, again.stderr
    result = json.loads(again.stdout)
    assert result["ran"] == []
    assert tuple(result["skipped"]) == STAGES
    assert _stamps(small_build.out) == before


def test_a_changed_file_in_a_stage_is_made_again(small_build: Build, tmp_path: Path) -> None:
    copy = tmp_path / "build"
    shutil.copytree(small_build.out, copy)
    (copy / "half" / "model.fp16.onnx").write_bytes(b"damaged")
    again = run("build", "--target", "jetson", "--recipe", small_build.recipe, "-o", copy, "--json")
    result = json.loads(again.stdout)
    assert result["ran"] == ["half"], again.stderr
    assert (copy / "half" / "model.fp16.onnx").read_bytes() == (
        small_build.out / "half" / "model.fp16.onnx"
    ).read_bytes()


def test_a_run_of_its_own_gives_the_same_verdict(small_build: Build, tmp_path: Path) -> None:
    recipe = tmp_path / "own.toml"
    recipe.write_text("[prune]\nkind = 'none'\n[calibration]\nimages = 16\n")
    out = tmp_path / "own"
    process = run(
        "build", "--target", "pi", "--run", small_build.out / "train",
        "--against", small_build.out / "train",
        "--data", small_build.out / "cells" / "cells", "--recipe", recipe, "-o", out, "--json",
    )  # fmt: skip
    assert process.returncode in (0, 8), process.stderr
    result = json.loads(process.stdout)
    assert "prune" not in result["ran"]
    assert "compile" not in result["ran"]
    gate = GateReport.model_validate_json((out / "gate" / "gate.json").read_text())
    float32 = next(c for c in gate.candidates if c.id == "litert-fp32")
    own = GateCandidate.model_validate_json((out / "gate" / "own.json").read_text())
    assert own.id == "keras-own"  # judged against itself here
    for one in (float32, own):
        assert (one.flips.positive_to_negative, one.flips.negative_to_positive) == (0, 0)
    assert "judged against another network" in (out / "report.html").read_text()


def test_a_margin_that_is_missed_fails_with_exit_5_and_leaves_no_bundle(
    small_build: Build, tmp_path: Path
) -> None:
    copy = tmp_path / "build"
    shutil.copytree(small_build.out, copy)
    strict = tmp_path / "strict.toml"
    text = small_build.recipe.read_text()
    # Pruning a network of so few channels costs accuracy; at a ratio of 1 none of it may be lost.
    strict.write_text(text.replace("accuracy_ratio = 0.5", "accuracy_ratio = 1.0"))
    failed = run("build", "--target", "jetson", "--recipe", strict, "-o", copy, "--json")
    result = json.loads(failed.stdout)
    gate = result["gate"]
    better = [c for c in gate["candidates"] if c["checks"][0]["delta"] >= 0]
    if better:
        pytest.skip("pruning made this network better: nothing fails")
    assert failed.returncode == 5, failed.stderr
    assert result["verdict"] == "fail"
    assert {"gate", "report"} <= set(result["ran"]) <= {"mixed", "compile", *STAGES[-3:]}
    assert result["bundle"] is None
    assert not (copy / "bundle").exists()
    assert "every candidate failed the gate" in (copy / "report.html").read_text()


def _gate(build: Build) -> dict:
    return json.loads((build.out / "gate" / "gate.json").read_text())


def _stamps(folder: Path) -> dict[str, int]:
    stages = [path for stage in STAGES for path in (folder / stage).rglob("*") if path.is_file()]
    return {str(path): path.stat().st_mtime_ns for path in stages}
