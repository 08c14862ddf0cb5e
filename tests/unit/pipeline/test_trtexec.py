"""The script for a JetPack without our Python: what a trtexec is asked, and what is refused."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from device_models import ModelFile, cell_images

from allnet_edge.artifacts.golden import Golden
from allnet_edge.engines import open_runner
from allnet_edge.pipeline.candidates import Form
from allnet_edge.pipeline.trtexec import PIXELS, SCRIPT, trtexec_files
from allnet_edge.spec.target import load_target

# Records what it is asked, and "builds" unless the graph's name is in $REFUSE.
TRTEXEC = """#!/bin/sh
case "$1" in --help) echo "$HELP"; exit 0;; esac
for word in "$@"; do printf '%s\\n' "$word" >>"$RECORD"; done
echo -- >>"$RECORD"
for word in "$@"; do
  case "$word" in
    --onnx=*"$REFUSE"*) [ -n "$REFUSE" ] && { echo "unsupported"; exit 1; };;
    --saveEngine=*) : >"${word#--saveEngine=}";;
    --exportOutput=*) printf '[\n  { "name" : "p"\n  , "values" : [ %s ]\n  }\n]\n' "$GIVEN" \
      >"${word#--exportOutput=}";;
  esac
done
"""
FORMS = (
    Form("onnx-fp16", "fp16", "onnx-fp32", "onnx", "fp16", "onnx", "half", "model.fp16.onnx"),
    Form("onnx-int8", "int8", "onnx-fp32", "onnx", "int8", "onnx", "quantize", "model.int8.onnx"),
)


@pytest.fixture
def stages(model_files: dict[str, ModelFile], tmp_path: Path) -> dict[str, Path]:
    folders = {}
    for form in FORMS:
        folders[form.stage] = tmp_path / form.stage
        folders[form.stage].mkdir()
        shutil.copy(model_files["onnx.uint8.1"].path, folders[form.stage] / form.file)
    return folders


@pytest.fixture
def golden(stages) -> Golden:
    images, outputs = cell_images(4), {}
    for form in FORMS:
        with open_runner(form.path(stages)) as runner:
            outputs[form.id] = runner.infer(images)
    return Golden(images, outputs, dict.fromkeys(outputs, 1e-3))


@pytest.fixture
def telling(golden) -> int:
    """The image nearest to the middle; all forms are one network here."""
    return int(np.abs(golden.outputs["onnx-fp16"] - 0.5).argmin())


@pytest.fixture
def bundle(stages, golden, tmp_path):
    """What a Nano's bundle holds of it."""
    root = tmp_path / "my bundle"  # with a blank in its name
    files = trtexec_files(load_target("jetson-nano"), FORMS, stages, golden)
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture
def sh(bundle, golden, telling, tmp_path):
    right = f"{golden.outputs['onnx-fp16'][telling]:.6g}"

    program = tmp_path / "tools dir" / "trtexec"
    program.parent.mkdir()
    program.write_text(TRTEXEC)
    program.chmod(0o755)

    def run(*arguments: object, **environment: str) -> tuple[int, str, list[list[str]]]:
        record = tmp_path / "asked"
        record.unlink(missing_ok=True)
        settings = {"TRTEXEC": str(program), "RECORD": str(record), "HELP": "", "REFUSE": ""}
        settings |= {"GIVEN": right}
        done = subprocess.run(
            ["sh", str(bundle / SCRIPT), *map(str, arguments)],
            env=os.environ | settings | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        asked = record.read_text().split("--\n") if record.exists() else []
        calls = [text.splitlines() for text in asked if text]
        return done.returncode, done.stderr, calls

    return run


def test_the_shell_can_read_it(bundle):
    subprocess.run(["sh", "-n", bundle / SCRIPT], check=True)


def test_it_brings_opset_13_graphs_that_compute_the_same(bundle, stages):
    lowered = bundle / "model/model.fp16.opset13.onnx"
    images = cell_images(3)
    with open_runner(lowered) as a, open_runner(stages["half"] / "model.fp16.onnx") as b:
        assert a.infer(images) == pytest.approx(b.infer(images), abs=1e-6)


def test_each_graph_becomes_an_engine_of_its_precision(sh, bundle, tmp_path):
    code, _, calls = sh()
    assert code == 0
    half, integer = calls
    assert f"--onnx={bundle}/model/model.fp16.opset13.onnx" in half
    assert "--saveEngine=trtexec-engines/onnx-fp16.engine" in half
    assert "--fp16" in half
    assert "--int8" not in half
    assert "--int8" in integer
    assert "--fp16" not in integer  # nothing that the graph does not say
    assert (tmp_path / "trtexec-engines/onnx-int8.engine").is_file()


def test_the_workspace_is_the_target_s_under_the_name_that_this_trtexec_knows(sh):
    assert "--workspace=512" in sh()[2][0]
    newer = sh(HELP="  --memPoolSize=poolspec")[2][0]
    assert "--memPoolSize=workspace:512" in newer
    assert "--workspace=512" not in newer


def test_more_options_are_handed_on(sh, tmp_path):
    calls = sh("out", "--useDLACore=0", "--allowGPUFallback")[2]
    for call in calls:
        assert call[-2:] == ["--useDLACore=0", "--allowGPUFallback"]
    assert (tmp_path / "out/onnx-fp16.engine").is_file()


def test_a_graph_that_trtexec_refuses_ends_in_4_after_the_others(sh):
    code, err, calls = sh(REFUSE="fp16")
    assert code == 4
    assert "could not build onnx-fp16" in err
    assert len(calls) == 2


def test_a_changed_graph_ends_in_7_and_is_not_built(sh, bundle):
    with (bundle / "model/model.fp16.opset13.onnx").open("ab") as stream:
        stream.write(b"x")
    code, err, calls = sh()
    assert (code, calls) == (7, [])
    assert "has changed since the bundle was made" in err


def test_no_trtexec_ends_in_3(sh):
    code, err, _ = sh(TRTEXEC="/no/such/trtexec")
    assert code == 3
    assert "fix: " in err


class TestGoldenImage:
    def test_the_engine_is_given_the_pixels_of_the_most_telling_image(
        self, sh, bundle, golden, telling
    ):
        (call, _) = sh()[2]
        loaded = next(word for word in call if word.startswith("--loadInputs="))
        assert loaded == f"--loadInputs=images:{bundle}/{PIXELS}"
        pixels = np.fromfile(bundle / PIXELS, np.float32).reshape(golden.images.shape[1:])
        np.testing.assert_array_equal(pixels, golden.images[telling])

    def test_an_engine_that_says_the_same_is_kept(self, sh, tmp_path):
        code, err, _ = sh("out")
        assert (code, err.count(": match")) == (0, 2)
        assert (tmp_path / "out/onnx-fp16.engine").is_file()

    @pytest.mark.parametrize("given", ["0.9999", "nan", "-nan", "inf", "", "1e9", "-0.2"])
    def test_an_engine_that_says_something_else_is_set_aside(self, sh, tmp_path, given):
        code, err, _ = sh("out", GIVEN=given)
        assert code == 7
        assert "do not use it" in err
        assert not (tmp_path / "out/onnx-fp16.engine").exists()

    def test_the_precision_says_how_much_may_differ(self, sh, golden, telling):
        near = golden.outputs["onnx-fp16"][telling] + 0.03  # more than fp16, less than int8 may
        code, err, _ = sh(GIVEN=f"{near:.6f}")
        assert code == 7
        assert "onnx-int8: golden image" in err
        assert "error: onnx-fp16 gives" in err


def test_it_says_that_nothing_was_judged(bundle):
    text = (bundle / SCRIPT).read_text()
    assert "Research use only" in text
    assert "NOT" in text


def test_a_jetpack_with_opset_17_uses_the_graphs_of_the_bundle(stages, golden):
    orin = load_target("jetson-orin-nano-super")
    old = [row for row in orin.jetpack if row.serve == "trtexec"]
    if not old:
        row = orin.jetpack[0].model_copy(update={"serve": "trtexec", "opset": 17})
        orin = orin.model_copy(update={"jetpack": (row,)})
    files = trtexec_files(orin, FORMS, stages, golden)
    assert set(files) == {SCRIPT, PIXELS}
    assert len(files[PIXELS]) == golden.images[0].size  # uint8
    assert b"model/model.fp16.onnx" in files[SCRIPT]


def test_a_device_that_serves_with_the_package_gets_none(stages, golden):
    assert trtexec_files(load_target("raspberry-pi-5"), FORMS, stages, golden) == {}
