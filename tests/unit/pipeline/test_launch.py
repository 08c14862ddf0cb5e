"""A stage's process: what its end means for the build."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from allnet_edge.child import ending
from allnet_edge.errors import (
    AllnetEdgeError,
    ConversionError,
    EnvironmentMismatch,
    IntegrityError,
    StorageError,
)
from allnet_edge.pipeline.launch import launch
from allnet_edge.pipeline.worker import Request
from allnet_edge.pipeline.worker import _known as _known_in_worker
from allnet_edge.progress import silent
from allnet_edge.spec.recipe import Recipe
from allnet_edge.spec.target import load_target


def request(tmp_path: Path, stage: str) -> Request:
    (tmp_path / stage).mkdir()
    return Request(
        stage=stage,
        title="a stage under test",
        folder=tmp_path / stage,
        partial=tmp_path / "partial",
        stages={"export_onnx": tmp_path / "export_onnx"},
        recipe=Recipe(),
        target=load_target("jetson"),
        run=tmp_path / "run",
        data=tmp_path / "data",
        split=None,
        cache=tmp_path / "cache",
    )


def test_a_missing_input_is_a_storage_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        launch(request(tmp_path, "half"), tmp_path / "log", silent)
    assert "model.fp32.onnx" in str(caught.value.where)
    assert "Traceback" in (tmp_path / "log").read_text()


def test_an_error_of_the_tree_comes_through_as_itself(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="no readable float model"):
        launch(request(tmp_path, "prune"), tmp_path / "log", silent)


def test_an_unknown_error_is_our_bug_and_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(AllnetEdgeError, match="ModuleNotFoundError") as caught:
        launch(request(tmp_path, "no_such_stage"), tmp_path / "log", silent)
    assert caught.value.exit_code == 1
    assert "Traceback" in (tmp_path / "log").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_log_does_not_hide_the_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        launch(request(tmp_path, "half"), Path("/dev/full"), silent)


def test_an_unknown_error_of_a_conversion_is_a_conversion_error(tmp_path: Path) -> None:
    asked = request(tmp_path, "half")
    known = _known_in_worker(RuntimeError("no such operator\nand more"), asked)
    assert type(known) is ConversionError
    assert "RuntimeError: no such operator" in known.what
    assert type(_known_in_worker(MemoryError(), asked)) is EnvironmentMismatch
    wrapped = RuntimeError("cannot save")
    wrapped.__cause__ = OSError(28, "No space left on device", "model.onnx")
    assert type(_known_in_worker(wrapped, asked)) is StorageError


def test_a_worker_whose_parent_is_gone_does_nothing(tmp_path: Path) -> None:
    asked = request(tmp_path, "half")
    process = subprocess.run(
        [sys.executable, "-m", "allnet_edge.pipeline.worker", "1", "1"],
        input=asked.model_dump_json().encode(),
        capture_output=True,
        check=False,
    )
    assert process.returncode == 1
    assert process.stdout + process.stderr == b""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, "exit code 1"),
        (-signal.SIGSEGV, "SIGSEGV, a crash in a native library"),
        (-signal.SIGABRT, "SIGABRT, a crash in a native library"),
    ],
)
def test_how_a_process_ended_in_words(code: int, said: str) -> None:
    assert said in ending(code)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(StorageError):
        launch(request(tmp_path, "half"), tmp_path / "log", silent)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
