import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from allnet_edge.artifacts.builddir import MARKER, BuildDir, stage_key
from allnet_edge.errors import OutputDirError

WORK = {"inputs": {"model": "ab" * 32}, "settings": {"size": 64}, "tools": {"onnx": "1.17"}}
KEY = stage_key("export", **WORK)


def make(build: BuildDir, content: str = "weights") -> None:
    with build.stage("export", **WORK) as folder:
        (folder / "model.bin").write_text(content)
        (folder / "logs").mkdir()
        (folder / "logs" / "a.log").write_text("log")


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} - {MARKER}


class TestOpening:
    def test_it_makes_the_folder_and_those_above(self, tmp_path):
        with BuildDir.open(tmp_path / "a" / "b") as build:
            assert build.root.is_dir()

    def test_it_takes_an_empty_folder_and_its_own(self, tmp_path):
        for _ in range(2):
            with BuildDir.open(tmp_path):
                pass

    def test_a_folder_of_someone_else_is_refused_and_left_alone(self, tmp_path):
        (tmp_path / "thesis.docx").write_text("precious")
        with pytest.raises(OutputDirError, match=r"thesis\.docx") as caught:
            BuildDir.open(tmp_path)
        assert caught.value.exit_code == 2
        assert "-o" in str(caught.value.fix)
        assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.docx"]

    @pytest.mark.parametrize("below", ["", "build"], ids=["a file", "below a file"])
    def test_a_file_is_refused(self, below, tmp_path):
        (tmp_path / "out").write_text("x")
        with pytest.raises(OutputDirError):
            BuildDir.open(tmp_path / "out" / below if below else tmp_path / "out")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_that_cannot_be_written_is_refused(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(OutputDirError, match="Permission denied"):
            BuildDir.open(tmp_path / "out")

    def test_a_folder_of_ours_that_cannot_be_written_is_refused(self, as_nobody):
        """Its marker is there and writable: only the folder itself tells."""
        with BuildDir.open(as_nobody):
            pass
        as_nobody.chmod(0o500)
        with pytest.raises(OutputDirError, match="nothing can be written") as caught:
            BuildDir.open(as_nobody)
        assert caught.value.exit_code == 2
        assert caught.value.where == str(as_nobody)

    def test_a_read_only_disk_is_refused(self, small_disk):
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        with pytest.raises(OutputDirError, match="Read-only"):
            BuildDir.open(small_disk / "out")

    def test_nothing_temporary_outlives_the_lock(self, tmp_path):
        with BuildDir.open(tmp_path) as build:
            (tmp_path / "bundle.tmp-1-old").mkdir()
            (tmp_path / "bundle.tmp-1-old" / "manifest.json").write_text("{}")
            make(build)
        assert names(tmp_path) == {"export"}

    def test_a_folder_that_vanished_meanwhile_can_be_closed(self, tmp_path):
        with BuildDir.open(tmp_path / "out") as build:
            shutil.rmtree(tmp_path / "out")
        build.close()

    def test_leftovers_of_a_killed_run_go_and_what_is_resumable_stays(self, tmp_path):
        with BuildDir.open(tmp_path) as build:
            make(build)
            build.resumable("prune", "k" * 64)
        (tmp_path / "export.tmp-77").mkdir()
        (tmp_path / "export.tmp-77" / "half").write_text("x")
        (tmp_path / "manifest.json.tmp-77").write_text("x")
        with BuildDir.open(tmp_path):
            assert names(tmp_path) == {"export", "prune.partial"}


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of its own for a user whom permissions bind: this one, or not root for a while."""
    with tempfile.TemporaryDirectory() as name:
        folder, is_root = Path(name), os.geteuid() == 0
        if is_root:
            os.chown(folder, 65534, 65534)
            os.setresuid(65534, 65534, 0)
        try:
            yield folder
        finally:
            if is_root:
                os.setresuid(0, 0, 0)
            folder.chmod(0o700)


HOLD = """
import sys, time
from pathlib import Path
from allnet_edge.artifacts.builddir import BuildDir
build = BuildDir.open(Path(sys.argv[1]))
print("open", flush=True)
time.sleep(60)
"""


class TestLock:
    @pytest.fixture
    def holder(self, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-c", HOLD, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
            process.kill()

    def test_a_second_build_is_refused_with_the_process_that_holds_it(self, tmp_path, holder):
        with pytest.raises(OutputDirError, match=f"process {holder.pid}"):
            BuildDir.open(tmp_path)

    def test_a_killed_build_holds_nothing(self, tmp_path, holder):
        holder.kill()
        holder.wait()
        with BuildDir.open(tmp_path):
            pass

    def test_two_in_one_process_exclude_each_other_until_closed(self, tmp_path):
        with BuildDir.open(tmp_path), pytest.raises(OutputDirError, match="another build"):
            BuildDir.open(tmp_path)
        with BuildDir.open(tmp_path):
            pass

    @pytest.mark.usefixtures("holder")
    def test_a_refused_build_clears_nothing_of_the_running_one(self, tmp_path):
        (tmp_path / "export.tmp-1").mkdir()
        with pytest.raises(OutputDirError):
            BuildDir.open(tmp_path)
        assert (tmp_path / "export.tmp-1").is_dir()


class TestStage:
    @pytest.fixture
    def build(self, tmp_path: Path) -> Iterator[BuildDir]:
        with BuildDir.open(tmp_path) as build:
            yield build

    def test_a_finished_stage_is_current_and_says_what_it_is(self, build):
        assert not build.is_current("export", KEY)
        make(build)
        assert build.is_current("export", KEY)
        record = build.record("export")
        assert record is not None
        assert set(record.files) == {"model.bin", "logs/a.log"}
        assert (record.inputs, record.settings, record.tools) == tuple(WORK.values())
        assert names(build.root) == {"export"}

    @pytest.mark.parametrize("part", ["inputs", "settings", "tools"])
    def test_another_input_setting_or_tool_is_another_key(self, build, part):
        make(build)
        changed = WORK | {part: {"other": "1"}}
        assert not build.is_current("export", stage_key("export", **changed))

    def test_another_stage_with_the_same_work_is_another_key(self):
        assert stage_key("prune", **WORK) != KEY

    @pytest.mark.parametrize(
        "damage",
        [
            lambda folder: (folder / "model.bin").write_text("weighty"),
            lambda folder: (folder / "model.bin").unlink(),
            lambda folder: (folder / "stage.json").write_text("{"),
            lambda folder: (folder / "stage.json").write_text('{"key": "x"}'),
            lambda folder: (folder / "stage.json").unlink(),
        ],
        ids=["changed", "removed", "record cut", "record of another schema", "no record"],
    )
    def test_a_damaged_stage_is_not_current_and_can_be_made_again(self, build, damage):
        make(build)
        damage(build.path("export"))
        assert not build.is_current("export", KEY)
        make(build)
        assert build.is_current("export", KEY)

    @pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
    def test_a_stage_that_fails_leaves_the_older_one(self, build, error):
        make(build, "old")

        def fail() -> None:
            with build.stage("export", **WORK) as folder:
                (folder / "model.bin").write_text("half")
                raise error

        with pytest.raises(type(error)):
            fail()
        assert (build.path("export") / "model.bin").read_text() == "old"
        assert names(build.root) == {"export"}

    def test_ctrl_c_in_the_instant_its_folder_appears_leaves_nothing(self, build, monkeypatch):
        mkdir = Path.mkdir

        def interrupted(path: Path, *rest: object) -> None:
            mkdir(path, *rest)
            raise KeyboardInterrupt

        monkeypatch.setattr(Path, "mkdir", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(build)
        assert names(build.root) == set()

    def test_files_of_the_older_stage_do_not_live_on(self, build):
        make(build)
        with build.stage("export", **WORK) as folder:
            (folder / "other.bin").write_text("x")
        assert names(build.path("export")) == {"other.bin", "stage.json"}

    def test_equal_work_makes_equal_files(self, build):
        make(build)
        first = build.record("export")
        make(build)
        second = build.record("export")
        assert first is not None
        assert second is not None
        assert first.model_copy(update={"seconds": 0}) == second.model_copy(update={"seconds": 0})

    @pytest.mark.parametrize("name", ["../evil", "", "a/b", "A", ".hidden", "x.tmp-1"])
    def test_a_name_that_leads_elsewhere_is_a_bug(self, build, name):
        with pytest.raises(ValueError, match="not a stage name"):
            build.path(name)

    def test_logs_have_their_folder(self, build):
        build.log("export").write_text("hello")
        assert (build.root / "logs" / "export.log").is_file()


class TestResumable:
    def test_it_outlives_the_run_until_the_stage_is_finished(self, tmp_path):
        with BuildDir.open(tmp_path) as build:
            (build.resumable("export", KEY) / "epoch-3").write_text("x")
        with BuildDir.open(tmp_path) as build:
            assert (build.resumable("export", KEY) / "epoch-3").read_text() == "x"
            make(build)
            assert names(tmp_path) == {"export"}

    def test_checkpoints_of_other_work_are_dropped(self, tmp_path):
        with BuildDir.open(tmp_path) as build:
            (build.resumable("export", KEY) / "epoch-3").write_text("x")
            assert not (build.resumable("export", "f" * 64) / "epoch-3").exists()

    def test_a_failed_stage_keeps_them(self, tmp_path):
        with BuildDir.open(tmp_path) as build:
            (build.resumable("export", KEY) / "epoch-3").write_text("x")
            with pytest.raises(RuntimeError), build.stage("export", **WORK):
                raise RuntimeError
            assert (build.resumable("export", KEY) / "epoch-3").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from allnet_edge.artifacts import files
from allnet_edge.artifacts.builddir import BuildDir

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

at = sys.argv[2]
with BuildDir.open(Path(sys.argv[1])) as build:
    if at == "second rename":
        rename, calls = Path.rename, []
        def counted(self, target):
            calls.append(self)
            return die() if len(calls) == 2 else rename(self, target)
        Path.rename = counted
    elif at == "first rename":
        Path.rename = die
    elif at == "record":
        files.write_json = die
    elif at == "removal":
        remove = files.remove
        aside = lambda path: path.name.endswith("-old") and path.exists()
        files.remove = lambda path: die() if aside(path) else remove(path)
    with build.stage("export", inputs={}, settings={}, tools={}) as folder:
        (folder / "model.bin").write_text("new")
        if at == "body":
            die()
"""


@pytest.mark.parametrize("at", ["body", "record", "first rename", "second rename", "removal"])
@pytest.mark.parametrize("older", [True, False])
def test_a_kill_anywhere_leaves_the_old_stage_the_new_one_or_none(at, older, tmp_path):
    if not older and at in ("second rename", "removal"):
        pytest.skip("without an older stage there is one rename")
    same = {"inputs": {}, "settings": {}, "tools": {}}
    if older:
        with BuildDir.open(tmp_path) as build, build.stage("export", **same) as folder:
            (folder / "model.bin").write_text("old")
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path, at], check=False)
    assert done.returncode == -signal.SIGKILL
    key = stage_key("export", **same)
    with BuildDir.open(tmp_path) as build:
        assert names(tmp_path) <= {"export"}
        if build.path("export").exists():
            assert build.is_current("export", key)
            content = (build.path("export") / "model.bin").read_text()
            assert content == ("new" if at == "removal" else "old")
        else:
            assert at == "second rename" or not older
        with build.stage("export", **same) as folder:
            (folder / "model.bin").write_text("again")
        assert build.is_current("export", key)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB, which only root may make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk needs root and the right to mount")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_loses_nothing_that_was_finished(small_disk):
    root = small_disk / "build"
    with BuildDir.open(root) as build:
        make(build)
        with (
            pytest.raises(OSError, match="No space left"),
            build.stage("big", inputs={}, settings={}, tools={}) as folder,
        ):
            (folder / "model.bin").write_bytes(bytes(1 << 20))
        assert names(root) == {"export"}
        assert build.is_current("export", KEY)
