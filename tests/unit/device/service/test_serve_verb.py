"""`allnet-edge serve` as a process: what it refuses, and how it ends."""

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from served import field_file, field_folder, wait_for


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "allnet_edge", "serve", *(str(one) for one in arguments)]


def refused(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments), check=False, capture_output=True, text=True, timeout=60
    )


@contextmanager
def process(*arguments: object) -> Iterator[tuple[subprocess.Popen, httpx.Client]]:
    """The command, listening and ready."""
    done = subprocess.Popen(
        command(*arguments, "--port", 0, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told = json.loads(done.stdout.readline())
        with httpx.Client(base_url=told["address"], timeout=30) as client:
            wait_for(lambda: client.get("/api/v1/status").json()["state"] == "ready")
            yield done, client
    finally:
        if done.poll() is None:
            done.kill()
        done.communicate()


def ended(done: subprocess.Popen, number: int) -> int:
    done.send_signal(number)
    return done.wait(30)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.invalid"])  # noqa: S104
def test_any_other_address_needs_a_token(served_bundle, tmp_path, host):
    done = refused(served_bundle, "--host", host, "--store", tmp_path / "store")
    assert done.returncode == 2
    assert "--token-file" in done.stderr
    assert not (tmp_path / "store").exists()


def test_a_token_that_everybody_can_read_is_refused(served_bundle, tmp_path):
    path = tmp_path / "token"
    path.write_text("0123456789-abcdefghij\n")
    path.chmod(0o644)
    done = refused(served_bundle, "--host", "0.0.0.0", "--token-file", path)  # noqa: S104
    assert done.returncode == 2
    assert "chmod 600" in done.stderr
    assert "0123456789" not in done.stderr


def test_what_is_not_there_is_refused(served_bundle, tmp_path):
    store = tmp_path / "store"
    assert refused(tmp_path, "--store", store, "--port", 0).returncode == 2
    absent = refused(served_bundle, "--store", store, "--port", 0, "--source", tmp_path / "none")
    assert absent.returncode == 2
    unknown = refused(served_bundle, "--store", store, "--port", 0, "--candidate", "onnx.fp3")
    assert unknown.returncode == 2
    assert "onnx.fp32" in unknown.stderr


def test_a_port_that_is_taken_is_refused(served_bundle, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = refused(served_bundle, "--store", tmp_path / "store", "--port", port)
    assert done.returncode == 2
    assert str(port) in done.stderr


def test_a_second_server_on_one_store_is_refused(served_bundle, tmp_path):
    with process(served_bundle, "--store", tmp_path / "store"):
        done = refused(served_bundle, "--store", tmp_path / "store", "--port", 0)
    assert done.returncode == 2
    assert "another session" in done.stderr


def test_sigterm_without_a_slide_ends_well(served_bundle, tmp_path):
    with process(served_bundle, "--store", tmp_path / "store") as (done, _):
        assert ended(done, signal.SIGTERM) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_mid_slide_keeps_what_was_told(served_bundle, tmp_path, number):
    source = field_folder(tmp_path / "fields", 5)
    store = tmp_path / "store"
    with process(served_bundle, "--store", store, "--source", source, "--rate", 10, "--repeat") as (
        done,
        client,
    ):
        slide = client.post("/api/v1/slides", json={"name": "cut short"}).json()["id"]
        with client.stream("GET", "/api/v1/live/events"):  # a page is open meanwhile
            wait_for(lambda: httpx_get(client, slide)["fields"] >= 3)
            told = httpx_get(client, slide)["fields"]
            assert ended(done, number) == 130
    with process(served_bundle, "--store", store) as (_, client):
        kept = httpx_get(client, slide)
    assert kept["fields"] >= told
    assert kept["state"] != "running"
    assert kept["why"] == "interrupted"


def httpx_get(client: httpx.Client, slide: int) -> dict:
    return httpx.get(f"{client.base_url}api/v1/slides/{slide}").json()


def test_a_bundle_that_changes_meanwhile_ends_the_work(served_bundle, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(served_bundle, bundle)
    with process(bundle, "--store", tmp_path / "store") as (done, client):
        client.post("/api/v1/slides", json={})
        headers = {"Content-Type": "image/png"}
        assert client.post("/api/v1/fields", content=field_file(1), headers=headers).is_success
        with (bundle / "model" / "onnx.fp32.onnx").open("ab") as model:
            model.write(b"x")
        answer = client.post("/api/v1/fields", content=field_file(2), headers=headers)
        assert answer.status_code == 503
        assert "changed" in answer.json()["detail"]
        assert client.get("/api/v1/slides/1").json()["fields"] == 1
        assert ended(done, signal.SIGTERM) == 7


def test_it_answers_while_it_starts(served_bundle, tmp_path):
    done = subprocess.Popen(
        command(served_bundle, "--store", tmp_path / "store", "--port", 0, "--json"),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        address = json.loads(done.stdout.readline())["address"]
        states = {httpx.get(f"{address}api/v1/status").json()["state"]}
        wait_for(
            lambda: (
                states.add(httpx.get(f"{address}api/v1/status").json()["state"])
                or "ready" in states
            )
        )
        assert states <= {"starting", "ready"}
    finally:
        done.kill()
        done.communicate()
