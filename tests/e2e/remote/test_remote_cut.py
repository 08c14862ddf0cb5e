"""Host keys, and connections that are cut: ``allnet-edge device`` on a real OpenSSH server."""

import sys
import threading
import time
from pathlib import Path

import pytest
from remote_desk import MIB, Desk, files_of, told, wrapper
from ssh_server import SSHD, SshServer, new_key, through

RELAY = Path(__file__).resolve().parents[2] / "ssh_relay.py"


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

    @pytest.mark.skipif(SSHD is None, reason="no sshd here (Debian: openssh-server)")
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
