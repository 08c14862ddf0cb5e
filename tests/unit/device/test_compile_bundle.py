"""``compile``: what is built, judged, measured and chosen, and what is refused.

The clock runs for a moment only: the plan of the quick mode is shortened here.
"""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import fake_gpu
import fake_tensorrt
import pytest
from device_models import cell_images
from PIL import Image

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.locking import locked_folder
from allnet_edge.cli.main import main
from allnet_edge.engines import open_runner
from allnet_edge.engines.opening import select
from allnet_edge.errors import DeviceMismatchError
from allnet_edge.measure import latency

JETSON = "jetson-orin-nano-super"
GPU_ONLY = ("--runtimes", "tensorrt")
ENGINE = "engine/tensorrt.fp32.trt10.3.0.sm87.fp32.engine"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = dataclasses.replace(
        latency.PLANS["quick"],
        warm_seconds=0.01,
        warm_limit=0.02,
        seconds=0.02,
        limit=0.2,
        cov_limit=1e9,
    )
    monkeypatch.setattr(latency, "PLANS", {**latency.PLANS, "quick": plan})


def run(capsys, verb: str, *arguments: object) -> tuple[int, dict]:
    code = main([verb, *map(str, arguments), "--json", "--quiet"])
    return code, json.loads(capsys.readouterr().out)


def rows(found: dict) -> dict[str, dict]:
    return {row["id"]: row for row in found["rows"]}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(cell_images(1)[0]).save(folder / "one.png")
    return folder


class TestProcessor:
    """A device without TensorRT."""

    def test_the_fastest_that_passed_is_chosen_and_used(self, judged_bundle, images, capsys):
        made = judged_bundle()
        code, found = run(capsys, "compile", made.root, "--data", made.data)
        assert code == 0
        speeds = {row["id"]: row["p50_ms"] for row in found["rows"]}
        assert found["chosen"] == min(speeds, key=speeds.get)
        assert {row["judged"] for row in found["rows"]} == {"on this device"}
        assert found["gate"]["n"] == 240
        assert json.loads((made.root / "engine/choice.json").read_text())["order"] == found["order"]
        assert run(capsys, "infer", made.root, images)[1]["candidate"]["id"] == found["chosen"]

    def test_every_other_one_lost_for_a_reason_that_names_the_winner(self, judged_bundle, capsys):
        found = run(capsys, "compile", judged_bundle().root)[1]
        for row in found["rows"]:
            expected = "chosen: the fastest" if row["id"] == found["chosen"] else "slower here than"
            assert expected in row["why"]

    def test_without_data_the_verdict_is_that_of_the_build(self, judged_bundle, capsys):
        code, found = run(capsys, "compile", judged_bundle().root)
        assert (code, found["gate"]) == (0, None)
        assert {row["judged"] for row in found["rows"]} == {"at the build"}

    def test_a_bundle_still_opens_and_verifies_afterwards(self, judged_bundle, capsys):
        made = judged_bundle()
        run(capsys, "compile", made.root)
        code, found = run(capsys, "verify", made.root)
        assert (code, found["signature"]["status"]) == (0, "valid")

    def test_a_candidate_that_differs_loses(self, judged_bundle, capsys):
        from allnet_edge.artifacts.golden import Golden

        true = Bundle.open(judged_bundle().root).golden()
        wrong = {**true.outputs, "onnx.fp32": true.outputs["onnx.fp32"] + 0.1}
        made = judged_bundle(golden=Golden(true.images, wrong, true.tolerance))
        code, found = run(capsys, "compile", made.root)
        assert code == 0
        assert "golden tensors differ here: differs by 0.1" in rows(found)["onnx.fp32"]["why"]
        assert rows(found)["onnx.fp32"]["p50_ms"] is None

    def test_when_all_fail_nothing_is_chosen_and_nothing_runs(self, judged_bundle, images, capsys):
        from allnet_edge.artifacts.manifest import Threshold

        names = ("litert.int8", "litert.fp32", "onnx.fp32")
        never = Threshold(threshold=1.0, fitted_on="validation")
        made = judged_bundle(thresholds=dict.fromkeys(names, never))
        code, found = run(capsys, "compile", made.root, "--data", made.data)
        assert (code, found["chosen"]) == (5, None)
        assert "failed the gate: " in rows(found)["onnx.fp32"]["why"]
        code, found = run(capsys, "infer", made.root, images)
        assert code == 3
        assert "no candidate of this bundle may be used" in found["error"]["what"]

    def test_a_choice_of_another_machine_is_told_and_passed_over(self, judged_bundle, capsys):
        made = judged_bundle()
        run(capsys, "compile", made.root)
        path = made.root / "engine/choice.json"
        choice = json.loads(path.read_text())
        choice["machine"]["model"] = "another"
        path.write_text(json.dumps(choice))
        selection = select(Bundle.open(made.root))
        assert selection.candidate.id == "litert.int8"  # the build's choice
        assert "chosen on another machine" in selection.note

    def test_a_choice_of_another_bundle_is_refused(self, judged_bundle, images, capsys):
        made = judged_bundle()
        run(capsys, "compile", made.root)
        choice = (made.root / "engine/choice.json").read_bytes()
        other = judged_bundle(name="rebuilt")
        (other.root / "engine").mkdir()
        (other.root / "engine/choice.json").write_bytes(choice)
        code, found = run(capsys, "infer", other.root, images)
        assert code == 3
        assert f"allnet-edge compile {other.root}" in found["error"]["fix"]
        assert run(capsys, "verify", other.root)[0] == 3
        assert run(capsys, "compile", other.root)[0] == 0
        assert run(capsys, "infer", other.root, images)[0] == 0

    def test_only_the_runtimes_named_are_tried(self, judged_bundle, capsys):
        found = run(capsys, "compile", judged_bundle().root, "--runtimes", "onnx")[1]
        assert list(rows(found)) == ["onnx.fp32"]

    def test_an_unknown_runtime(self, judged_bundle, capsys):
        code, found = run(capsys, "compile", judged_bundle().root, "--runtimes", "onxx")
        assert code == 2
        assert "did you mean onnx" in found["error"]["fix"]

    def test_an_unknown_target(self, judged_bundle, capsys):
        assert run(capsys, "compile", judged_bundle(target="toaster").root)[0] == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told_before_the_work(judged_bundle, capsys):
    made = judged_bundle()
    made.root.chmod(0o500)
    code, found = run(capsys, "compile", made.root)
    assert code == 2
    assert "cannot be written" in found["error"]["what"]


def test_one_compile_at_a_time_in_a_bundle(judged_bundle, capsys):
    made = judged_bundle()
    with locked_folder(made.root, program="compile", other=""):
        code, found = run(capsys, "compile", made.root)
        assert code == 2
        assert "another compile is running in this folder" in found["error"]["what"]
        assert not (made.root / "engine/choice.json").exists()
    assert run(capsys, "compile", made.root)[0] == 0


class TestTimes:
    def test_times_that_cannot_be_trusted_end_in_6_and_the_choice_is_written(
        self, judged_bundle, capsys, monkeypatch
    ):
        plan = dataclasses.replace(latency.PLANS["quick"], cov_limit=0.0)
        monkeypatch.setattr(latency, "PLANS", {**latency.PLANS, "quick": plan})
        made = judged_bundle()
        code, found = run(capsys, "compile", made.root, "--runtimes", "onnx")
        assert (code, found["chosen"]) == (6, "onnx.fp32")
        assert "onnx.fp32: spread (CoV)" in found["why_invalid"][0]
        assert (made.root / "engine/choice.json").is_file()


class TestTensorRT:
    """A Jetson, stood in for; the runtime half runs through the whole of our own I/O path."""

    @pytest.fixture
    def made(self, judged_bundle, gpu_machine):  # noqa: ARG002 - a GPU is there
        return judged_bundle(target=JETSON)

    def test_an_engine_is_built_judged_and_used(self, made, images, capsys):
        code, found = run(capsys, "compile", made.root, "--data", made.data, *GPU_ONLY)
        assert code == 0
        assert found["chosen"] == "tensorrt.fp32"
        (engine,) = found["engines"]
        assert engine["file"] == ENGINE
        assert (made.root / ENGINE).is_file()
        assert json.loads((made.root / engine["file"]).with_suffix(".json").read_text()) == engine
        assert engine["verdict"] == "pass"
        assert engine["golden"]["status"] == "match"
        assert engine["latency_ms"]["p50"] > 0
        assert (engine["tensorrt"], engine["sm"], engine["cuda"]) == ("10.3.0", "8.7", "12.6")
        manifest = json.loads((made.root / "manifest.json").read_text())
        assert engine["onnx_sha256"] == manifest["files"]["model/model.fp32.onnx"]
        code, found = run(capsys, "infer", made.root, images)
        assert (code, found["candidate"]["id"]) == (0, "tensorrt.fp32")
        assert found["candidate"]["verdict"] == "pass"

    def test_it_gives_what_the_graph_gives(self, made, capsys):
        run(capsys, "compile", made.root, "--data", made.data, *GPU_ONLY)
        pixels = cell_images(5, seed=8)
        with open_runner(made.root) as engine, open_runner(made.root, "onnx.fp32") as graph:
            assert engine.engine == "tensorrt"
            assert engine.infer(pixels) == pytest.approx(graph.infer(pixels), abs=1e-6)

    def test_verify_checks_and_judges_the_engine_too(self, made, capsys):
        run(capsys, "compile", made.root, "--data", made.data, *GPU_ONLY)
        code, found = run(capsys, "verify", made.root, "--data", made.data)
        assert (code, found["in_use"]) == (0, "tensorrt.fp32")
        assert found["golden"][-1]["candidate"] == "tensorrt.fp32"
        assert found["gate"]["candidates"][-1]["verdict"] == "pass"

    def test_without_data_it_is_never_called_passed_nor_chosen(self, made, capsys):
        code, found = run(capsys, "compile", made.root)
        row = rows(found)["tensorrt.fp32"]
        assert (row["verdict"], row["judged"]) == ("golden-only", "not judged")
        assert "compile again with --data" in row["why"]
        assert found["chosen"] != "tensorrt.fp32"
        assert code == 0

    def test_without_data_and_other_runtimes_the_outcome_is_open(self, made, capsys):
        code, found = run(capsys, "compile", made.root, *GPU_ONLY)
        assert (code, found["chosen"]) == (8, None)

    def test_a_person_may_accept_the_golden_tensors(self, made, images, capsys):
        code, found = run(capsys, "compile", made.root, *GPU_ONLY, "--accept-golden")
        assert (code, found["chosen"]) == (0, "tensorrt.fp32")
        assert found["engines"][0]["verdict"] == "golden-only"
        main(["infer", str(made.root), str(images)])
        assert "did not pass its gate (verdict none)" in capsys.readouterr().err

    def test_an_engine_that_fits_is_not_built_again(self, made, gpu_machine, capsys):
        for expected in (1, 1):
            run(capsys, "compile", made.root, *GPU_ONLY)
            assert len(gpu_machine.trt.shared.built) == expected
        run(capsys, "compile", made.root, "--anew", *GPU_ONLY)
        assert len(gpu_machine.trt.shared.built) == 2

    def test_the_builder_is_told_what_was_asked_for(self, made, gpu_machine, capsys):
        _, found = run(capsys, "compile", made.root, "--sparse", "--workspace", "64", *GPU_ONLY)
        assert gpu_machine.trt.shared.built == [("SPARSE_WEIGHTS",)]  # and no TF32
        assert found["engines"][0]["flags"] == ["SPARSE_WEIGHTS"]
        assert found["engines"][0]["workspace_mb"] == 64
        assert found["engines"][0]["id"] == "tensorrt.fp32-sparse"

    def test_times_of_earlier_builds_are_given_to_the_next(self, made, gpu_machine, capsys):
        run(capsys, "compile", made.root, *GPU_ONLY)
        run(capsys, "compile", made.root, "--anew", *GPU_ONLY)
        first, second = gpu_machine.trt.shared.caches
        assert (first, second[:5]) == (b"", b"cache")

    def test_a_damaged_timing_cache_is_begun_anew(self, made, gpu_machine, capsys):
        (made.root / "engine").mkdir()
        (made.root / "engine/timing.cache").write_bytes(b"junk")
        run(capsys, "compile", made.root, *GPU_ONLY)
        assert gpu_machine.trt.shared.caches == [b""]

    def test_a_graph_that_tensorrt_refuses_loses_with_its_reason(self, made, gpu_machine, capsys):
        gpu_machine.trt.shared.refuse.add("small")
        code, found = run(capsys, "compile", made.root)
        assert code == 0
        why = rows(found)["tensorrt.fp32"]["why"]
        assert "not built: TensorRT cannot parse the graph: no such operator" in why
        assert found["engines"] == []

    def test_leftovers_of_a_killed_run_are_swept_away(self, made, capsys):
        (made.root / "engine").mkdir()
        for name in ("old.engine", "old.engine.tmp-12"):
            (made.root / "engine" / name).write_bytes(b"x")
        run(capsys, "compile", made.root, *GPU_ONLY)
        assert not list((made.root / "engine").glob("old*"))

    def test_a_killed_run_leaves_the_choice_of_the_build(self, made, images, capsys):
        run(capsys, "compile", made.root, *GPU_ONLY)
        (made.root / "engine/choice.json").unlink()
        assert run(capsys, "infer", made.root, images)[1]["candidate"]["id"] == "litert.int8"


class TestMisfits:
    """A compiled bundle that came to another device, or was damaged."""

    @pytest.fixture
    def made(self, judged_bundle, gpu_machine, capsys):  # noqa: ARG002 - a GPU is there
        made = judged_bundle(target=JETSON)
        assert run(capsys, "compile", made.root, "--data", made.data, *GPU_ONLY)[0] == 0
        return made

    def refused(self, capsys, made, images, why: str) -> None:
        code, found = run(capsys, "infer", made.root, images)
        assert code == 3
        assert why in found["error"]["what"]
        assert f"allnet-edge compile {made.root}" in found["error"]["fix"]
        with pytest.raises(DeviceMismatchError):
            open_runner(made.root)
        code, found = run(capsys, "verify", made.root)
        assert (code, found["ok"]) == (3, False)

    def mended(self, capsys, made, images) -> None:
        arguments = ("--data", made.data, *GPU_ONLY)
        assert run(capsys, "compile", made.root, *arguments)[0] == 0
        assert run(capsys, "infer", made.root, images)[1]["candidate"]["id"] == "tensorrt.fp32"

    @pytest.mark.parametrize("keep", [0, 30, 0.5, -1])
    def test_a_cut_engine(self, made, images, capsys, keep):
        path = made.root / ENGINE
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
        self.refused(capsys, made, images, "cut short or has changed")
        self.mended(capsys, made, images)

    def test_no_engine(self, made, images, capsys):
        (made.root / ENGINE).unlink()
        self.refused(capsys, made, images, "is missing")
        self.mended(capsys, made, images)

    def test_a_damaged_sidecar(self, made, images, capsys):
        (made.root / ENGINE).with_suffix(".json").write_text("{")
        self.refused(capsys, made, images, "damaged")
        self.mended(capsys, made, images)

    def test_another_graph(self, made, images, capsys):
        path = (made.root / ENGINE).with_suffix(".json")
        record = json.loads(path.read_text()) | {"onnx_sha256": "0" * 64}
        path.write_text(json.dumps(record))
        self.refused(capsys, made, images, "from another ONNX graph")
        self.mended(capsys, made, images)

    def test_another_gpu(self, made, images, gpu_machine, capsys):
        gpu_machine.library.fake_gpu(7, 2, 6 << 30)
        self.refused(capsys, made, images, "SM 8.7 (Stand-in GPU), this one is SM 7.2")

    def test_another_tensorrt(self, made, images, gpu_machine, capsys, monkeypatch):
        newer = fake_tensorrt.make("10.16.1", gpu_machine.library)
        fake_gpu.install(newer, gpu_machine.path, monkeypatch)
        self.refused(capsys, made, images, "built by TensorRT 10.3.0, this device has 10.16.1")
        self.mended(capsys, made, images)
        assert not (made.root / ENGINE).exists(), "the old engine is swept away"

    def test_no_gpu_to_use_it_with(self, made, images, gpu_machine, capsys):
        gpu_machine.fail("cudaGetDeviceCount", 100)
        code, found = run(capsys, "infer", made.root, images)
        assert code == 3
        assert "no NVIDIA GPU" in found["error"]["what"]
        code, found = run(capsys, "verify", made.root)
        assert (code, found["golden"][-1]["status"]) == (0, "not run")

    def test_another_candidate_may_be_asked_for(self, made, images, capsys):
        (made.root / ENGINE).write_bytes(b"")
        code, found = run(capsys, "infer", made.root, images, "--candidate", "onnx.fp32")
        assert (code, found["candidate"]["id"]) == (0, "onnx.fp32")

    def test_a_machine_without_tensorrt(self, made, images, capsys, monkeypatch):
        import sys

        monkeypatch.setitem(sys.modules, "tensorrt", None)
        monkeypatch.delitem(sys.modules, "allnet_edge.engines.tensorrt", raising=False)
        code, found = run(capsys, "infer", made.root, images)
        assert code == 3
        assert "JetPack" in found["error"]["fix"]

    def test_a_file_that_is_none_of_ours_is_still_refused(self, made, capsys):
        (made.root / "engine/run.sh").write_text("echo")
        code, found = run(capsys, "verify", made.root)
        assert code == 7
        assert "not part of the bundle" in found["error"]["what"]

    def test_a_copied_bundle_works_on_the_same_device(self, made, images, tmp_path, capsys):
        shutil.copytree(made.root, tmp_path / "copy")
        assert run(capsys, "infer", tmp_path / "copy", images)[0] == 0
