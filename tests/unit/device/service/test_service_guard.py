"""Who may come in, what is sent along, how much may be sent."""

import http.client
import logging
import socket

import httpx
import pytest
from served import HEADERS, Served, field_file, serving

from allnet_edge.device.service.settings import Limits, ServiceSettings

TOKEN = "0123456789-abcdefghij"  # noqa: S105 - of a test


@pytest.fixture(scope="module")
def locked(served_bundle, tmp_path_factory):
    """A server that asks for a token, with small limits."""
    settings = ServiceSettings(
        port=0,
        token=TOKEN,
        limits=Limits(upload_bytes=3_000_000, body_bytes=2000, body_seconds=1.0),
    )
    with serving(
        served_bundle, tmp_path_factory.mktemp("locked") / "store", settings=settings
    ) as running:
        yield running


def raw(served: Served, request: bytes, timeout: float = 10) -> bytes:
    """Bytes as they are, so that no client tidies them up."""
    host, _, port = served.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "path",
    ["/", "/static/app.js", "/api/v1/status", "/api/v1/nothing", "/nothing", "/api/v1/slides/x"],
)
def test_safe_headers_are_on_every_answer(served, path):
    answer = served.client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cache-control"]
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::1", "localhost."],
)
def test_another_host_name_is_refused_on_loopback(served, host):
    answer = served.client.get("/api/v1/status", headers={"Host": host})
    assert answer.status_code in {400, 421}
    if answer.status_code == 421:
        assert answer.json()["where"] == "Host"


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:80", "LOCALHOST"])
def test_its_own_names_are_taken(served, host):
    assert served.client.get("/api/v1/status", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_change_from_another_site_is_refused(served, headers):
    before = served.client.get("/api/v1/slides").json()
    answer = served.client.post("/api/v1/slides", json={}, headers=headers)
    assert answer.status_code == 403
    assert served.client.get("/api/v1/slides").json() == before


def test_a_form_of_another_site_cannot_start_a_slide(served):
    answer = served.client.post(
        "/api/v1/slides", content=b"{}", headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 422


def test_a_change_from_its_own_page_is_taken(served):
    answer = served.client.post(
        "/api/v1/slides", json={}, headers={"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status_code == 201
    served.client.post(f"/api/v1/slides/{answer.json()['id']}/end")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e/%2e%2e/server.py",
        "/static//etc/passwd", "/static/....//server.py", "/static/..\\server.py",
        "/static/app.js%00.css", "/static/index.html", "/static/login.html", "/static/",
        "//etc/passwd", "/..//..//etc/passwd", "/static/%252e%252e%252fserver.py",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_page(served, path):
    answer = raw(
        served, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.split()[1] in {b"404", b"400"}
    assert b"root:" not in answer
    assert b"import " not in answer


def test_without_the_token_nothing_is_told(locked):
    with httpx.Client(base_url=locked.url) as stranger:
        for path in ("/api/v1/status", "/api/v1/openapi.json", "/static/app.js", "/nothing"):
            answer = stranger.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert stranger.get("/").headers["location"] == "/login"
        assert stranger.get("/login").status_code == 200
        assert stranger.get("/static/tokens.css").status_code == 200
        for wrong in ("Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xff"):
            headers = {"Authorization": wrong.encode("latin-1")}
            assert stranger.get("/api/v1/status", headers=headers).status_code == 401


def test_the_login_form_gives_a_strict_cookie(locked):
    with httpx.Client(base_url=locked.url) as person:
        refused = person.post("/login", data={"token": "not it at all, no"})
        assert refused.status_code == 401
        assert "This is not the token" in refused.text
        taken = person.post("/login", data={"token": TOKEN})
        assert taken.headers["location"] == "/"
        cookie = taken.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert TOKEN not in cookie
        assert person.get("/api/v1/status").json()["login"] is True
        assert person.get("/").status_code == 200
        person.post("/logout")
        assert person.get("/api/v1/status").status_code == 401


def test_the_token_is_in_no_log(locked, caplog):
    with caplog.at_level(logging.DEBUG), httpx.Client(base_url=locked.url) as person:
        person.post("/login", data={"token": TOKEN})
        locked.client.get("/api/v1/status")
    ours = [one.getMessage() for one in caplog.records if not one.name.startswith("http")]
    assert not any(TOKEN in line for line in ours)


def test_a_large_body_is_refused_before_it_is_read(locked):
    request = (
        f"POST /api/v1/fields HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: image/png\r\nContent-Length: 99999999999\r\n\r\n"
    )
    assert raw(locked, request.encode()).split()[1] == b"413"


def test_a_large_body_without_a_length_is_refused_on_the_way(locked):
    locked.start_slide()

    def pieces():
        for _ in range(100):
            yield b"\0" * 65536

    try:
        answer = locked.client.post("/api/v1/fields", content=pieces(), headers=HEADERS)
        assert answer.status_code == 413
    except httpx.WriteError:  # the server had closed before all was sent
        pass
    assert locked.client.get("/api/v1/status").status_code == 200
    assert locked.send(field_file(1)).status_code == 201


def test_a_large_body_elsewhere_has_a_smaller_limit(locked):
    answer = locked.client.post("/api/v1/slides", json={"name": "a" * 3000})
    assert answer.status_code == 413


def test_a_body_that_does_not_come_is_given_up(locked):
    request = (
        f"POST /api/v1/slides HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
    )
    assert raw(locked, request.encode()).split()[1] == b"408"


def test_wrong_lengths_do_no_harm(served):
    for length in ("-1", "1e9", "x", "1_0", "٣"):
        request = (
            f"POST /api/v1/slides HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        )
        assert raw(served, request.encode()).split()[1] in {b"400", b"413"}
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/api/v1/status")
    assert connection.getresponse().status == 200
    connection.close()


def test_unchanged_files_of_the_page_are_not_sent_again(served):
    first = served.client.get("/static/app.js")
    again = served.client.get("/static/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
