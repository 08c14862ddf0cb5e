"""``allnet-edge device`` against a real OpenSSH server on loopback, and against what goes wrong."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from build_support import run
from ssh_server import NAME, SSHD, SshServer, new_key, through

RELAY = Path(__file__).resolve().parents[1] / "ssh_relay.py"
MIB = 1 << 20

pytestmark = [
    pytest.mark.skipif(SSHD is None, reason="no sshd here (Debian: openssh-server)"),
    pytest.mark.xdist_group("remote"),
]


@dataclass(frozen=True)
class Desk:
    """A user's machine, and the folder of the device."""

    server: SshServer
    there: Path

    def device(self, verb: str, *arguments: object, **options: object):
        settings = ("--ssh-config", self.server.config, "--dir", self.there)
        if "--python" not in arguments:
            settings = (*settings, "--python", sys.executable)
        split = arguments.index("--") if "--" in arguments else len(arguments)
        before, after = arguments[:split], arguments[split:]
        return run("device", verb, NAME, *before, *settings, *after, **options)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    made = SshServer(tmp_path_factory.mktemp("sshd"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def desk(server: SshServer, tmp_path: Path) -> Iterator[Desk]:
    yield Desk(server, tmp_path / "there")
    server.configure()
    server.trust(server.folder / "host.pub")


@pytest.fixture
def large(make_bundle: Callable[..., Path], model_files) -> Path:
    """A bundle with 24 MiB that no compression makes smaller."""
    noise = np.random.default_rng(1).bytes(24 * MIB)
    forms = {
        "model/model.int8.tflite": "litert.int8.1",
        "model/model.fp32.tflite": "litert.fp32.1",
        "model/model.fp32.onnx": "onnx.uint8.1",
    }
    contents = {file: model_files[form].path for file, form in forms.items()}
    return make_bundle(contents={**contents, "reports/noise.bin": noise})


def told(process) -> dict:
    return json.loads(process.stdout)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def wrapper(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


class TestRoad:
    def test_a_bundle_goes_there_is_verified_there_and_its_results_come_back(
        self, desk, make_bundle, tmp_path
    ):
        bundle = make_bundle()
        pushed = desk.device("push", bundle, "--json")
        assert pushed.returncode == 0, pushed.stderr
        assert files_of(desk.there / "bundles" / "small") == files_of(bundle)
        verified = desk.device("verify", "--json")
        assert verified.returncode == 0, verified.stderr
        assert told(verified)["result"]["ok"] is True
        (desk.there / "bundles/small/engine").mkdir()
        (desk.there / "bundles/small/engine/timing.cache").write_bytes(b"made there")
        (desk.there / "bench/small").mkdir(parents=True)
        (desk.there / "bench/small/bench.json").write_text("{}")
        back = desk.device("pull", "-o", tmp_path / "back", "--json")
        assert back.returncode == 0, back.stderr
        assert files_of(tmp_path / "back") == {
            "small/engine/timing.cache": b"made there",
            "small/bench/bench.json": b"{}",
        }

    def test_what_is_there_is_not_sent_again_and_engines_stay(self, desk, make_bundle):
        bundle = make_bundle()
        assert desk.device("push", bundle).returncode == 0
        engine = desk.there / "bundles/small/engine/own.cache"
        engine.parent.mkdir()
        engine.write_bytes(b"made there")
        again = desk.device("push", bundle, "--json")
        assert told(again)["bundle"]["bytes_sent"] == 0
        model = desk.there / "bundles/small/model/model.fp32.onnx"
        model.write_bytes(b"damaged")
        mended = desk.device("push", bundle, "--json")
        assert (
            told(mended)["bundle"]["bytes_sent"]
            == (bundle / "model/model.fp32.onnx").stat().st_size
        )
        assert engine.read_bytes() == b"made there"
        assert model.read_bytes() == (bundle / "model/model.fp32.onnx").read_bytes()

    def test_another_bundle_of_the_name_takes_its_place_whole(self, desk, make_bundle):
        bundle = make_bundle()
        assert desk.device("push", bundle).returncode == 0
        own = desk.there / "bundles/small/engine/own.cache"
        own.parent.mkdir()
        own.write_bytes(b"of the older bundle")
        newer = make_bundle(abstain=None)
        assert desk.device("push", newer).returncode == 0
        assert files_of(desk.there / "bundles/small") == files_of(newer)
        assert [path.name for path in (desk.there / "bundles").iterdir()] == ["small"]

    def test_a_wheel_is_copied_and_not_installed(self, desk, make_bundle, tmp_path):
        wheel = tmp_path / "allnet_edge-1-py3-none-any.whl"
        wheel.write_bytes(b"a wheel")
        pushed = told(desk.device("push", make_bundle(), "--wheel", wheel, "--json"))
        assert (desk.there / "wheels" / wheel.name).read_bytes() == b"a wheel"
        assert "pip install" in pushed["install"]

    def test_the_exit_code_and_the_words_of_the_device_come_through(self, desk, make_bundle):
        assert desk.device("push", make_bundle()).returncode == 0
        (desk.there / "bundles/small/preprocess.json").write_text("{}")
        failed = desk.device("verify", "--json")
        assert failed.returncode == 7
        assert "has changed since the bundle was made" in failed.stderr
        assert told(failed)["exit_code"] == 7

    def test_options_after_the_dashes_are_the_commands(self, desk, make_bundle):
        assert desk.device("push", make_bundle()).returncode == 0
        failed = desk.device("verify", "--", "--public-key", "00" * 32)
        assert failed.returncode == 7, failed.stderr

    def test_without_a_bundle_there_the_message_says_how_to_bring_one(self, desk):
        failed = desk.device("verify")
        assert failed.returncode == 2
        assert f"allnet-edge device push {NAME} BUNDLE" in failed.stderr


class TestHostKey:
    def test_a_changed_key_is_refused(self, desk, make_bundle, tmp_path):
        new_key(tmp_path / "other")
        desk.server.trust(tmp_path / "other.pub")
        before = desk.server.known_hosts.read_text()
        failed = desk.device("push", make_bundle())
        assert failed.returncode == 7
        assert "host key" in failed.stderr
        assert "ssh-keygen -R" in failed.stderr
        assert desk.server.known_hosts.read_text() == before
        assert not desk.there.exists()

    def test_an_unknown_key_is_not_accepted(self, desk, make_bundle):
        desk.server.known_hosts.write_text("")
        failed = desk.device("push", make_bundle())
        assert failed.returncode == 3
        assert "not known here" in failed.stderr
        assert desk.server.known_hosts.read_text() == ""
        assert not desk.there.exists()

    def test_a_key_of_ours_that_is_not_known_there_is_told(self, desk):
        desk.server.configure(identity="stranger")
        failed = desk.device("verify")
        assert failed.returncode == 3
        assert "ssh-copy-id" in failed.stderr


class TestCut:
    def test_the_copy_goes_on_where_it_stood(self, desk, large, tmp_path):
        flag = tmp_path / "was-cut"
        desk.server.configure(through(RELAY, desk.server.port, 16 * MIB, "cut", flag))
        pushed = desk.device("push", large, "--json")
        assert pushed.returncode == 0, pushed.stderr
        assert flag.exists()
        copied = told(pushed)["bundle"]
        assert copied["cuts"] == 1
        # What was under way is lost; from the start it would be 40 MiB.
        assert copied["bytes_sent"] < 34 * MIB
        assert files_of(desk.there / "bundles/small") == files_of(large)

    def test_a_killed_session_on_the_device_is_made_again(self, desk, large, tmp_path):
        flag = tmp_path / "stalls"
        desk.server.configure(through(RELAY, desk.server.port, 12 * MIB, "stall", flag))
        killed = []
        killer = threading.Thread(target=_kill_at, args=(desk.server, flag, killed))
        killer.start()
        pushed = desk.device("push", large, "--json")
        killer.join()
        assert pushed.returncode == 0, pushed.stderr
        assert killed[0] >= 1
        assert told(pushed)["bundle"]["cuts"] == 1
        assert files_of(desk.there / "bundles/small") == files_of(large)

    def test_a_device_that_stays_away_keeps_what_came_and_no_half_bundle(self, large, tmp_path):
        other = SshServer(_folder(tmp_path / "sshd"))
        desk = Desk(other, tmp_path / "there")
        other.start()
        try:
            flag = tmp_path / "stalls"
            other.configure(through(RELAY, other.port, 12 * MIB, "stall", flag))
            gone = threading.Thread(target=_stop_at, args=(other, flag))
            gone.start()
            failed = desk.device("push", large)
            gone.join()
            assert failed.returncode == 3, failed.stderr
            assert "Traceback" not in failed.stderr
            assert not (desk.there / "bundles/small").exists()
            [part] = (desk.there / "bundles/.small.part/reports").glob("noise.bin.*.part")
            kept = part.stat().st_size
            assert kept > 0
            other.start()
            pushed = desk.device("push", large, "--json")
            assert pushed.returncode == 0, pushed.stderr
            total = told(pushed)["bundle"]["bytes"]
            assert told(pushed)["bundle"]["bytes_sent"] <= total - kept
            assert files_of(desk.there / "bundles/small") == files_of(large)
        finally:
            other.stop()

    def test_a_lost_connection_ends_the_command_there(self, desk, make_bundle, tmp_path):
        assert desk.device("push", make_bundle()).returncode == 0
        ended = tmp_path / "ended"
        python = wrapper(
            tmp_path / "python",
            f'case "$*" in *verify*) trap "echo > {ended}; exit 1" TERM; touch {ended}.begun; '
            f'sleep 60 & wait;; esac\nexec {sys.executable} "$@"',
        )
        begun = Path(f"{ended}.begun")
        killed = []
        killer = threading.Thread(target=_kill_at, args=(desk.server, begun, killed))
        killer.start()
        failed = desk.device("verify", "--python", python)
        killer.join()
        assert failed.returncode == 3, failed.stderr
        _wait_for(ended)


class TestDevice:
    def test_bytes_that_are_wrong_over_there_are_sent_again(self, desk, large):
        part = desk.there / "bundles/.small.part/reports"
        part.mkdir(parents=True)
        sha = json.loads((large / "manifest.json").read_text())["files"]["reports/noise.bin"]
        (part / f"noise.bin.{sha[:12]}.part").write_bytes(bytes(10 * MIB))
        pushed = desk.device("push", large, "--json")
        assert pushed.returncode == 0, pushed.stderr
        assert told(pushed)["bundle"]["bytes_sent"] > 24 * MIB
        assert files_of(desk.there / "bundles/small") == files_of(large)

    def test_a_bundle_that_was_changed_here_does_not_leave(self, desk, make_bundle):
        bundle = make_bundle()
        (bundle / "docs/model_card.md").write_text("changed")
        assert desk.device("push", bundle).returncode == 7
        assert not desk.there.exists()

    def test_no_python_there(self, desk, make_bundle):
        failed = desk.device("push", make_bundle(), "--python", "/nowhere/python3")
        assert failed.returncode == 3
        assert "no Python at '/nowhere/python3'" in failed.stderr

    def test_a_python_without_the_package(self, desk, make_bundle, tmp_path):
        python = wrapper(tmp_path / "python", f'exec {sys.executable} -I -S "$@"')
        assert desk.device("push", make_bundle(), "--python", python).returncode == 0
        failed = desk.device("verify", "--python", python)
        assert failed.returncode == 3
        assert "does not have this package" in failed.stderr

    def test_a_chatty_login_does_no_harm(self, desk, make_bundle, tmp_path):
        python = wrapper(tmp_path / "python", f'echo welcome; exec {sys.executable} "$@"')
        assert desk.device("push", make_bundle(), "--python", python).returncode == 0

    def test_a_disk_that_refuses_in_mid_copy(self, desk, large, tmp_path):
        python = wrapper(tmp_path / "python", f'ulimit -f 8192; exec {sys.executable} "$@"')
        failed = desk.device("push", large, "--python", python)
        assert failed.returncode == 3
        assert "the disk of" in failed.stderr
        assert not (desk.there / "bundles/small").exists()

    def test_a_disk_that_is_too_small_is_told_before_anything_is_sent(self, desk, large):
        desk.there.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=20m", "none", desk.there],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
        try:
            failed = desk.device("push", large)
            assert failed.returncode == 3
            assert "MiB are needed" in failed.stderr
            assert not list(desk.there.rglob("*.part/*"))
        finally:
            subprocess.run(["umount", desk.there], check=True)

    def test_a_host_that_looks_like_an_option(self):
        failed = run("device", "verify", "--", "-oProxyCommand=touch /tmp/x")
        assert failed.returncode == 2


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _wait_for(path: Path) -> None:
    for _ in range(1200):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not appear")


def _kill_at(server: SshServer, flag: Path, killed: list[int]) -> None:
    _wait_for(flag)
    killed.append(server.end_sessions())


def _stop_at(server: SshServer, flag: Path) -> None:
    _wait_for(flag)
    server.stop()
