"""Worker processes: what they import, and that none is lost, left behind or waited for in vain."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pixel_support import PREPROCESS, decoders, eventually, files_of, is_decoder

from allnet_edge.data.decode_pool import DecodedByProcesses
from allnet_edge.data.images import load_batch
from allnet_edge.data.pixels import ImageFiles
from allnet_edge.errors import EnvironmentMismatch, ImageError

LONG = 60  # seconds; nothing here takes that long unless it hangs

# A program that asks for rows for ever, as training does.
TRAINS = """
import signal
import sys
from pathlib import Path
import numpy as np
from allnet_edge.data.decode_pool import DecodedByProcesses
from allnet_edge.data.pixels import ImageFiles
from allnet_edge.spec.network import Preprocess

# What nohup, and a shell for what it puts into the background, have the tests ignore.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
paths = [Path(path) for path in sys.argv[2:]]
with DecodedByProcesses(ImageFiles(paths, Preprocess(size=512)), 2) as source:
    source.rows(np.arange(len(paths)))
    print("ready", flush=True)
    while sys.argv[1] == "busy":
        source.rows(np.arange(len(paths)))
    sys.stdin.read()
"""


@pytest.fixture
def paths(tmp_path, texture):
    names = [tmp_path / f"{number:02}.png" for number in range(12)]
    for number, path in enumerate(names):
        texture(number, 40).save(path)
    return names


class Endless:
    """A file whose reading lasts until the test ends: the worker that has it in hand is busy."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        # Open at both ends, so that a worker's opening succeeds and its reading waits.
        self.descriptor = os.open(path, os.O_RDWR)

    def reader(self) -> int:
        """Wait until a worker reads it; which one."""
        assert eventually(self._readers)
        return self._readers()[0]

    def _readers(self) -> list[int]:
        return [pid for pid in decoders() if self._is_read_by(pid)]

    def _is_read_by(self, pid: int) -> bool:
        with suppress(OSError):  # files come and go
            return any(link.readlink() == self.path for link in Path(f"/proc/{pid}/fd").iterdir())
        return False


@pytest.fixture
def endless(tmp_path):
    made = Endless(tmp_path / "endless.png")
    yield made
    os.close(made.descriptor)


def ask_until_it_fails(source: DecodedByProcesses) -> None:
    while True:
        source.begin(np.arange(12)).result(LONG)


def test_a_worker_imports_nothing_heavy():
    code = (
        "import sys, allnet_edge.data.decode_worker;"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " ('tensorflow', 'keras', 'tf_keras', 'jax', 'torch', 'sklearn', 'scipy', 'onnx', 'rich')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_pixels_are_those_of_this_process(paths):
    with DecodedByProcesses(ImageFiles(paths, PREPROCESS), 3) as source:
        assert eventually(lambda: len(decoders()) == 3)
        np.testing.assert_array_equal(source.rows(np.arange(12)), load_batch(paths, PREPROCESS))


def test_a_batch_may_be_larger_than_the_shared_memory(paths):
    everything = load_batch(paths, PREPROCESS)
    wanted = np.random.default_rng(0).integers(12, size=500)
    with DecodedByProcesses(ImageFiles(paths, PREPROCESS), 1) as source:
        first, second = source.begin(wanted), source.begin(wanted[::-1])
        np.testing.assert_array_equal(second.result(LONG), everything[wanted[::-1]])
        np.testing.assert_array_equal(first.result(LONG), everything[wanted])


def test_names_need_not_be_text(tmp_path, texture):
    path = tmp_path / os.fsdecode(b"zelle-\xff \xc3\xa4\n.png")
    texture(1, 40).save(path)
    with DecodedByProcesses(ImageFiles([path], PREPROCESS), 1) as source:
        np.testing.assert_array_equal(source.rows(np.array([0])), load_batch([path], PREPROCESS))


def test_relative_paths_stay_those_of_the_start_and_are_named_as_given(
    paths, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    bad = Path("bad.png")
    bad.write_bytes(b"none")
    relative = [Path(path.name) for path in paths]
    expected = load_batch(paths, PREPROCESS)
    with DecodedByProcesses(ImageFiles([*relative, bad], PREPROCESS), 1) as source:
        monkeypatch.chdir("/")
        np.testing.assert_array_equal(source.rows(np.arange(12)), expected)
        with pytest.raises(ImageError) as caught:
            source.rows(np.array([12]))
    assert caught.value.where == "bad.png"


def test_workers_outlive_the_thread_that_started_them(paths):
    """Linux can tie a child to its parent's thread; a thread of an engine may well end first."""
    opened: list[DecodedByProcesses] = []
    thread = threading.Thread(
        target=lambda: opened.append(DecodedByProcesses(ImageFiles(paths, PREPROCESS), 1))
    )
    thread.start()
    thread.join()
    with opened[0] as source:
        for _ in range(3):
            assert len(source.begin(np.arange(12)).result(LONG)) == 12


class TestKilled:
    @pytest.mark.parametrize("victim", [0, 1])
    def test_an_idle_worker(self, paths, victim):
        with DecodedByProcesses(ImageFiles(paths, PREPROCESS), 2) as source:
            source.rows(np.arange(12))
            os.kill(decoders()[victim], signal.SIGKILL)
            with pytest.raises(EnvironmentMismatch) as caught:
                ask_until_it_fails(source)
            error = caught.value
            assert error.exit_code == 3
            assert "was killed, as the system does for lack of memory" in error.what
            assert "--workers" in (error.fix or "")
            assert "--resume" in (error.fix or "")
            with pytest.raises(EnvironmentMismatch):
                source.begin(np.arange(12))
            assert eventually(lambda: not any(is_running(pid) for pid in decoders()))
        assert not decoders()

    def test_a_busy_one_and_what_it_was_decoding(self, paths, endless):
        with DecodedByProcesses(ImageFiles([*paths, endless.path], PREPROCESS), 2) as source:
            pending = [source.begin(np.array([12])), source.begin(np.array([3, 12]))]
            os.kill(endless.reader(), signal.SIGKILL)
            for one in pending:
                with pytest.raises(EnvironmentMismatch) as caught:
                    one.result(LONG)
                assert caught.value.where == str(endless.path)

    @pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS])
    def test_one_that_crashes_names_the_image(self, paths, endless, number):
        with DecodedByProcesses(ImageFiles([*paths, endless.path], PREPROCESS), 2) as source:
            pending = source.begin(np.array([12]))
            os.kill(endless.reader(), number)
            with pytest.raises(ImageError, match=f"crashed with {number.name}") as caught:
                pending.result(LONG)
        assert caught.value.where == str(endless.path)

    def test_one_that_is_ended_politely(self, paths, endless):
        with DecodedByProcesses(ImageFiles([*paths, endless.path], PREPROCESS), 2) as source:
            pending = source.begin(np.array([12]))
            os.kill(endless.reader(), signal.SIGTERM)
            with pytest.raises(EnvironmentMismatch, match="ended with signal 15"):
                pending.result(LONG)


def is_running(pid: int) -> bool:
    """Not even a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_workers_that_cannot_start_say_why(paths, tmp_path, monkeypatch):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 7\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with (
        DecodedByProcesses(ImageFiles(paths, PREPROCESS), 2) as source,
        pytest.raises(EnvironmentMismatch, match="ended with code 7: no such library") as caught,
    ):
        source.begin(np.arange(12)).result(LONG)
    assert caught.value.exit_code == 3


def test_no_program_to_start_is_told_at_once_and_leaves_nothing(paths, tmp_path, monkeypatch):
    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(EnvironmentMismatch, match="cannot start 2 processes"):
        DecodedByProcesses(ImageFiles(paths, PREPROCESS), 2)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("workers", [0, 513])
def test_there_is_a_sensible_number_of_workers(paths, workers):
    with pytest.raises(ValueError, match="workers are not in 1"):
        DecodedByProcesses(ImageFiles(paths, PREPROCESS), workers)


class TestClosing:
    def test_nothing_is_left(self, paths):
        def held() -> tuple[int, int, list[str], set[threading.Thread]]:
            named = [path.name for path in Path("/dev/shm").iterdir()]  # noqa: S108
            descriptors = len(list(Path("/proc/self/fd").iterdir()))
            return len(decoders()), descriptors, sorted(named), set(threading.enumerate())

        before = held()
        for _ in range(2):
            with DecodedByProcesses(ImageFiles(paths, PREPROCESS), 2) as source:
                source.rows(np.arange(12))
                source.begin(np.arange(12))
            assert held() == before

    def test_the_shared_memory_is_given_back(self, paths):
        def mapped() -> int:
            return Path("/proc/self/maps").read_text().count("memfd:decoded pixels")

        with DecodedByProcesses(ImageFiles(paths, PREPROCESS), 2) as source:
            source.rows(np.arange(12))
            assert mapped() == 1
        assert mapped() == 0

    def test_a_busy_worker_is_not_waited_for(self, paths, endless):
        with DecodedByProcesses(ImageFiles([*paths, endless.path], PREPROCESS), 1) as source:
            pending = source.begin(np.array([12]))
            endless.reader()
        assert pending.cancelled()
        assert not decoders()
        with pytest.raises(RuntimeError, match="closed"):
            source.begin(np.arange(3))


class TestTheParentEnds:
    """Whatever ends it, no worker stays and nobody complains."""

    @pytest.fixture
    def started(self, paths):
        running = []

        def start(how: str) -> "subprocess.Popen[str]":
            process = subprocess.Popen(
                [sys.executable, "-X", "dev", "-W", "error", "-c", TRAINS, how, *map(str, paths)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            running.append(process)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            return process

        yield start
        for process in running:
            process.kill()
            process.communicate()

    @pytest.mark.parametrize("how", ["idle", "busy"])
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
    def test_by_a_signal(self, started, how, number):
        process = started(how)
        workers = decoders(process.pid)
        assert len(workers) == 2
        process.send_signal(number)
        assert process.communicate(timeout=LONG)[1] == ""
        assert eventually(lambda: not any(is_decoder(pid) for pid in workers))

    @pytest.mark.parametrize("how", ["idle", "busy"])
    def test_by_ctrl_c(self, started, how):
        process = started(how)
        workers = decoders(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        said = process.communicate(timeout=LONG)[1]
        assert said.splitlines()[-1] == "KeyboardInterrupt"
        assert said.count("Traceback") == 1
        assert "leaked" not in said
        assert not any(is_decoder(pid) for pid in workers)

    def test_in_order(self, started):
        process = started("idle")
        workers = decoders(process.pid)
        assert process.communicate("", timeout=LONG) == ("", "")
        assert process.returncode == 0
        assert not any(is_decoder(pid) for pid in workers)


def test_files_of_pictures_with_their_hashes_travel_whole(paths):
    """The request is read by every worker, from one descriptor that they share."""
    with DecodedByProcesses(files_of(paths * 50), 4) as source:
        np.testing.assert_array_equal(
            source.rows(np.arange(600)), np.tile(load_batch(paths, PREPROCESS), (50, 1, 1, 1))
        )
