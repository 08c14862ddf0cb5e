"""What the OpenSSH client's words mean to a person, and how it is called."""

import pytest

from allnet_edge.errors import AllnetEdgeError, EnvironmentMismatch, IntegrityError, UsageError
from allnet_edge.remote.ssh import (
    ConnectionCutError,
    Device,
    UnreachableError,
    failure,
    quoted_path,
)

DEVICE = Device("pi@bench")
# As OpenSSH 9.2 writes them.
CHANGED = (
    "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\n"
    "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
    "Offending ED25519 key in /home/user/.ssh/known_hosts:7\n"
    "Host key verification failed.\n"
)
UNKNOWN = (
    "No ED25519 host key is known for bench and you have requested strict checking.\n"
    "Host key verification failed.\n"
)
CASES = [
    (255, CHANGED, False, IntegrityError, 7, "ssh-keygen -R"),
    (255, UNKNOWN, False, EnvironmentMismatch, 3, "compare the fingerprint"),
    (255, "pi@bench: Permission denied (publickey).\n", False, EnvironmentMismatch, 3, "copy-id"),
    (127, "sh: 1: exec: python3: not found\n", False, EnvironmentMismatch, 3, "--python"),
    (255, "ssh: Could not resolve hostname bench\n", False, UnreachableError, 3, "ssh pi@bench"),
    (255, "client_loop: send disconnect: Broken pipe\n", True, ConnectionCutError, 3, "goes on"),
    (0, "", True, ConnectionCutError, 3, "same command"),
    (1, "SyntaxError: invalid syntax\n", False, EnvironmentMismatch, 3, "--version"),
]


@pytest.mark.parametrize(("code", "told", "connected", "kind", "exit_code", "fix"), CASES)
def test_each_complaint_has_its_error_its_exit_code_and_its_fix(
    code: int, told: str, *, connected: bool, kind: type[AllnetEdgeError], exit_code: int, fix: str
) -> None:
    error = failure(DEVICE, code, told, connected=connected)
    assert type(error) is kind
    assert error.exit_code == exit_code
    assert fix in (error.fix or "")
    assert "bench" in error.what


def test_the_changed_key_names_the_line_that_is_wrong():
    assert failure(DEVICE, 255, CHANGED, connected=False).where.endswith("known_hosts:7")


def test_host_keys_are_checked_and_nothing_is_asked():
    command = Device("bench").command("true")
    assert "StrictHostKeyChecking=yes" in command
    assert "BatchMode=yes" in command
    assert command[-3:] == ["--", "bench", "exec sh -c true"]


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "", " "])
def test_what_is_no_host_is_refused(host):
    with pytest.raises(UsageError):
        Device(host).command("true")


@pytest.mark.parametrize(
    ("path", "word"),
    [("a b", "'a b'"), ("~/it's", "~/'it'\"'\"'s'"), ("$(reboot)", "'$(reboot)'")],
)
def test_paths_are_one_word_for_the_far_shell(path, word):
    assert quoted_path(path) == word
