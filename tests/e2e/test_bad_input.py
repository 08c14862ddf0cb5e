"""What a build refuses, with which exit code, and that it says what to do."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from build_support import RECIPE, Build, command, run

from allnet_edge.artifacts.builddir import BuildDir

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--target", "jetsom"], 2, "did you mean jetson"),
        (["--target", "jetson", "--precision", "int4"], 2, "unknown precision"),
        (["--target", "jetson", "--prune", "half"], 2, "--prune does not know"),
        (["--target", "jetson", "--max-drop", "sensitivty=0.1"], 2, "did you mean sensitivity"),
        (["--target", "jetson", "--max-drop", "specificity=much"], 2, "is no number"),
        (["--target", "jetson", "--max-drop", "specificity=1.5"], 2, "between 0 and 1"),
        (["--target", "jetson", "--run", "nowhere"], 2, "--run and --data belong together"),
        (["--target", "jetson", "--recipe", "absent.toml"], 2, "cannot read the file"),
        (["--target", "pi", "--precision", "fp16"], 2, "can use none of the precisions"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_settings(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    process = run("build", *arguments, "-o", tmp_path / "out")
    assert process.returncode == code, process.stderr
    assert said in process.stderr
    assert "Traceback" not in process.stderr
    assert not (tmp_path / "out").exists()


def test_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    recipe = tmp_path / "bad.toml"
    recipe.write_text(RECIPE.replace("specificity =", "specifity ="))
    process = run("build", "--target", "jetson", "--recipe", recipe, "-o", tmp_path / "out")
    assert process.returncode == 2
    assert "did you mean specificity" in process.stderr


def test_dry_run_prints_the_plan_and_makes_nothing(tmp_path: Path) -> None:
    process = run("build", "--target", "jetson", "--dry-run", "--json", "-o", tmp_path / "out")
    assert process.returncode == 0, process.stderr
    plan = json.loads(process.stdout)
    assert [stage["name"] for stage in plan["stages"]][:3] == ["cells", "train", "reference"]
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not lose me")
    process = run("build", "--target", "jetson", "-o", tmp_path)
    assert process.returncode == 2
    assert "not ours" in process.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_builds_in_one_folder(tmp_path: Path) -> None:
    with BuildDir.open(tmp_path / "out"):
        process = run("build", "--target", "jetson", "-o", tmp_path / "out")
    assert process.returncode == 2
    assert f"process {os.getpid()}" in process.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "small"
    mount.mkdir()
    arguments = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    if subprocess.run(arguments, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a tmpfs")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE)
    process = run("build", "--target", "jetson", "--recipe", recipe, "-o", small_disk / "out")
    assert process.returncode == 3, process.stderr
    assert "Traceback" not in process.stderr
    assert not list((small_disk / "out").glob("*.tmp-*"))


def test_ctrl_c_can_be_resumed(tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE)
    out = tmp_path / "out"
    arguments = command("build", "--target", "jetson", "--recipe", recipe, "-o", out)
    process = subprocess.Popen(
        arguments,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background ignores it, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    while process.poll() is None and not list(out.glob("train.tmp-*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "resume" in said
    assert (out / "cells" / "stage.json").is_file()
    assert not list(out.glob("*.tmp-*"))


@pytest.mark.slow
class TestOnARun:
    """Damage done to a run or a split between training and building."""

    @pytest.fixture
    def own(self, small_build: Build, tmp_path: Path) -> tuple[Path, Path]:
        run_folder = tmp_path / "run"
        shutil.copytree(small_build.out / "train", run_folder)
        return run_folder, small_build.out / "cells" / "cells"

    def build(
        self, own: tuple[Path, Path], out: Path, *more: object
    ) -> "subprocess.CompletedProcess[str]":
        return run("build", "--target", "pi", "--run", own[0], "--data", own[1], "-o", out, *more)

    def test_too_few_gate_cells_are_told_before_anything_runs(
        self, own: tuple[Path, Path], tmp_path: Path
    ) -> None:
        test = json.loads((own[0] / "split.json").read_text())["parts"]["test"]
        healthy = sum(member["label"] == "hem" for member in test)
        margin = ("--max-drop", "specificity=0.001", "--dry-run", "--json")
        process = self.build(own, tmp_path / "out", *margin)
        assert process.returncode == 0, process.stderr
        assert f"specificity: with {healthy} held-out cells (hem)" in process.stderr
        told = {one["metric"]: one for one in json.loads(process.stdout)["outlook"]}
        patients = {member["patient"] for member in test if member["label"] == "hem"}
        assert (told["specificity"]["n"], told["specificity"]["patients"]) == (
            healthy,
            len(patients),
        )
        assert told["specificity"]["fewest"] > 2703  # what unknown patients would take
        assert not (tmp_path / "out").exists()

    def test_a_gate_that_cannot_decide_leaves_with_8_and_says_how_many_cells_would(
        self, own: tuple[Path, Path], tmp_path: Path
    ) -> None:
        margins = ("--max-drop", "specificity=0.001", "--max-drop", "sensitivity=0.001")
        process = self.build(own, tmp_path / "out", *margins, "--precision", "fp32")
        assert process.returncode == 8, process.stderr
        said = " ".join(process.stdout.split())
        assert "gate verdict: inconclusive" in said
        assert "what to do: hold out more cells: about " in said
        assert "cells for specificity (now " in said
        gate = json.loads((tmp_path / "out" / "gate" / "gate.json").read_text())
        checks = {one["metric"]: one for one in gate["candidates"][0]["checks"]}
        assert checks["specificity"]["verdict"] == "inconclusive"
        assert f"about {checks['sensitivity']['needed']} cells for sensitivity" in said

    def test_changed_weights(self, own: tuple[Path, Path], tmp_path: Path) -> None:
        weights = own[0] / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
        process = self.build(own, tmp_path / "out")
        assert process.returncode == 7, process.stderr
        assert "changed after training" in process.stderr

    def test_another_schema_version(self, own: tuple[Path, Path], tmp_path: Path) -> None:
        description = own[0] / "model.json"
        raw = json.loads(description.read_text())
        description.write_text(json.dumps({**raw, "schema_version": 99}))
        process = self.build(own, tmp_path / "out")
        assert process.returncode == 7
        assert "schema version 99" in process.stderr

    def test_one_image_on_both_sides(self, own: tuple[Path, Path], tmp_path: Path) -> None:
        split = json.loads((own[0] / "split.json").read_text())
        split["parts"]["test"].append(split["parts"]["train"][0])
        other = tmp_path / "other.json"
        other.write_text(json.dumps(split))
        process = self.build(own, tmp_path / "out", "--split", other)
        assert process.returncode == 9, process.stderr
        assert split["parts"]["train"][0]["id"] in process.stderr

    def test_a_split_that_was_changed_after_training(
        self, own: tuple[Path, Path], tmp_path: Path
    ) -> None:
        path = own[0] / "split.json"
        split = json.loads(path.read_text())
        parts = split["parts"]
        parts["train"], parts["test"] = parts["test"], parts["train"]
        path.write_text(json.dumps(split))
        process = self.build(own, tmp_path / "out")
        assert process.returncode == 7, process.stderr
        assert "split was changed after training" in process.stderr

    @pytest.mark.parametrize("part", ["test", "validation"])
    def test_another_split_that_judges_on_training_cells(
        self, own: tuple[Path, Path], tmp_path: Path, part: str
    ) -> None:
        split = json.loads((own[0] / "split.json").read_text())
        parts = split["parts"]
        parts["train"], parts[part] = parts[part], parts["train"]
        other = tmp_path / "other.json"
        other.write_text(json.dumps(split))
        process = self.build(own, tmp_path / "out", "--split", other)
        assert process.returncode == 9, process.stderr
        assert "trained or chosen on" in process.stderr

    def test_calibration_on_gate_cells(self, own: tuple[Path, Path], tmp_path: Path) -> None:
        split = json.loads((own[0] / "split.json").read_text())
        pinned = tmp_path / "pinned.json"
        pinned.write_text(json.dumps({"images": split["parts"]["test"][:8]}))
        recipe = tmp_path / "pinned.toml"
        recipe.write_text(f'[calibration]\npinned = "{pinned}"\n')
        process = self.build(own, tmp_path / "out", "--recipe", recipe)
        assert process.returncode == 9, process.stderr
        assert "calibration overlaps the test part" in process.stderr

    def test_another_data_set(self, own: tuple[Path, Path], tmp_path: Path) -> None:
        other = tmp_path / "other"
        made = run("data", "phantom", other, "--images", 60, "--patients", 12, "--seed", 99)
        assert made.returncode == 0, made.stderr
        process = self.build((own[0], other), tmp_path / "out")
        assert process.returncode == 9, process.stderr
        assert "Traceback" not in process.stderr
