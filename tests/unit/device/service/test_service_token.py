"""The token file and the cookie that stands for the token."""

import time

import pytest

from allnet_edge.device.service.settings import ServiceSettings, is_loopback
from allnet_edge.device.service.token import COOKIE_SECONDS, Gatekeeper, read_token
from allnet_edge.errors import UsageError

TOKEN = "0123456789-abcdefghij"  # noqa: S105 - of a test


def token_file(folder, text: str | bytes = TOKEN + "\n", mode: int = 0o600):
    path = folder / "token"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def test_the_one_line_is_the_token(tmp_path):
    assert read_token(token_file(tmp_path)) == TOKEN


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o777])
def test_a_file_that_everybody_can_read_is_refused(tmp_path, mode):
    with pytest.raises(UsageError, match="everybody") as caught:
        read_token(token_file(tmp_path, mode=mode))
    assert "chmod 600" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "short", "two words but long enough, really", "a\nb" * 20, "é" * 30, b"\xff" * 30]
)
def test_what_is_no_token_is_refused(tmp_path, text):
    with pytest.raises(UsageError):
        read_token(token_file(tmp_path, text))


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(tmp_path / "none")


def test_the_cookie_stands_for_the_token_without_holding_it(monkeypatch):
    keeper = Gatekeeper(TOKEN)
    cookie = keeper.cookie()
    assert keeper.accepts(cookie)
    assert TOKEN not in cookie
    assert not Gatekeeper(TOKEN + "x").accepts(cookie)
    until, _, seal = cookie.partition(".")
    assert not keeper.accepts(f"{int(until) + 1}.{seal}")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + COOKIE_SECONDS + 1)
    assert not keeper.accepts(cookie)


@pytest.mark.parametrize("wrong", ["", ".", "x.y", "9" * 400, "\udcff", "1.é"])
def test_what_is_no_cookie_is_refused(wrong):
    keeper = Gatekeeper(TOKEN)
    assert not keeper.accepts(wrong)
    assert not keeper.knows(wrong)


def test_only_loopback_may_do_without_a_token():
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert ServiceSettings(host="0.0.0.0", token=TOKEN)  # noqa: S104 - with a token
    for host in ("0.0.0.0", "::", "192.168.1.5", "microscope", "127.0.0.1.example.org"):  # noqa: S104
        with pytest.raises(UsageError, match="token"):
            ServiceSettings(host=host)


def test_the_token_is_in_no_representation():
    assert TOKEN not in repr(ServiceSettings(token=TOKEN))
