"""kill -9 in every stage: the same command finishes, with the same artifacts."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from build_support import STAGES, Build, command

from allnet_edge.artifacts.files import hash_tree

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

# These hold times and measured milliseconds, which no two runs share.
MEASURED = {"benchmark", "report"}
TIMED = {"stage.json", "compile.json", "history.json", "train.log"}


def test_killed_in_every_stage_it_ends_with_the_same_bytes(
    small_build: Build, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    arguments = command(
        "build", "--target", "jetson", "--recipe", small_build.recipe, "-o", out, "--json"
    )
    for stage in STAGES:
        killed = _kill_in(arguments, out, stage)
        assert killed, f"the build ended before '{stage}' was seen"
        assert not (out / stage).exists(), f"'{stage}' is half there"
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == small_build.process.returncode, done.stderr
    result = json.loads(done.stdout)
    assert result["ran"] == [STAGES[-1]]
    assert not list(out.glob("*.tmp-*"))
    for stage in set(STAGES) - MEASURED:
        assert _content(out / stage) == _content(small_build.out / stage), stage


def _kill_in(arguments: list[str], out: Path, stage: str) -> bool:
    """Start the build and kill it as soon as the stage's temporary folder is there."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            if (out / f"{stage}.tmp-{process.pid}").exists():
                process.send_signal(signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.002)
        return False
    finally:
        process.kill()
        process.wait()


def _content(folder: Path) -> dict[str, str]:
    return {name: sha for name, sha in hash_tree(folder).items() if name not in TIMED}
