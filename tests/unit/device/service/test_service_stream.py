"""Live events: to many, past slow ones, and to an end."""

import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from served import Served, field_file, field_folder, serving, wait_for

from allnet_edge.device.service.hub import Hub, encode
from allnet_edge.device.service.settings import Limits, ServiceSettings


def events(answer: httpx.Response) -> Iterator[tuple[str, dict]]:
    kind = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


def test_a_reader_is_told_at_once_how_things_stand(served):
    with served.client.stream("GET", "/api/v1/live/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind, data = next(events(answer))
    assert (kind, data["state"]) == ("status", "ready")


def test_fields_and_corrections_are_told(served):
    slide = served.start_slide()
    with served.client.stream("GET", "/api/v1/live/events") as answer:
        seen = events(answer)
        next(seen)
        with httpx.Client(base_url=served.url, timeout=30) as other:
            sent = other.post(
                "/api/v1/fields", content=field_file(7), headers={"Content-Type": "image/png"}
            ).json()
            field = next(data for kind, data in seen if kind == "field")
            assert field == sent
            cell = field["cells"][0]["id"]
            other.post(f"/api/v1/cells/{cell}/corrections", json={"verdict": "not_a_cell"})
            said = next(data for kind, data in seen if kind == "correction")
            assert said == {"slide": slide, "cell": cell}
            other.post(f"/api/v1/slides/{slide}/end")
            ended = next(data for kind, data in seen if kind == "status" and data["slide"] is None)
    assert ended["live"] is None


def test_a_new_reader_is_given_the_newest_field(served):
    slide = served.start_slide()
    sent = served.send(field_file(9)).json()
    with served.client.stream("GET", "/api/v1/live/events") as answer:
        seen = events(answer)
        assert next(seen)[0] == "status"
        assert next(seen) == ("field", sent)
    served.client.post(f"/api/v1/slides/{slide}/end")


def test_a_hundred_readers_are_all_told(served):
    told, ready = [], threading.Barrier(101)

    def read() -> None:
        url = f"{served.url}/api/v1/live/events"
        with httpx.stream("GET", url, timeout=60) as answer:
            seen = events(answer)
            next(seen)
            ready.wait(60)
            told.append(next(data["cell"] for kind, data in seen if kind == "correction"))

    threads = [threading.Thread(target=read) for _ in range(100)]
    for thread in threads:
        thread.start()
    ready.wait(60)
    assert served.client.get("/api/v1/status").json()["readers"] == 100
    served.desk.hub.publish("correction", {"slide": 1, "cell": 5})
    for thread in threads:
        thread.join(60)
    assert told == [5] * 100
    wait_for(lambda: served.desk.hub.readers == 0)


def test_one_reader_too_many_is_told_to_come_back(served_bundle, tmp_path):
    settings = ServiceSettings(port=0, limits=Limits(readers=2))
    with serving(served_bundle, tmp_path / "store", settings=settings) as running:
        with (
            running.client.stream("GET", "/api/v1/live/events"),
            running.client.stream("GET", "/api/v1/live/events"),
        ):
            wait_for(lambda: running.desk.hub.readers == 2)
            answer = httpx.get(f"{running.url}/api/v1/live/events")
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
        wait_for(lambda: running.desk.hub.readers == 0)
        with running.client.stream("GET", "/api/v1/live/events") as answer:
            assert answer.status_code == 200


def test_a_reader_that_falls_behind_loses_the_oldest_and_is_told():
    import asyncio

    async def work() -> list[bytes | None]:
        hub = Hub(Limits(reader_events=3))
        reader = hub.join()
        for number in range(5):
            reader.put(encode("field", {"n": number}))
        got = [await reader.next() for _ in range(4)]
        hub.close()
        return [*got, await reader.next()]

    got = asyncio.run(work())
    assert got[0] == encode("lost", {"events": 2})
    assert got[1:4] == [encode("field", {"n": number}) for number in (2, 3, 4)]
    assert got[4] is None


@pytest.fixture
def impatient(served_bundle, tmp_path):
    settings = ServiceSettings(port=0, limits=Limits(reader_seconds=0.5, reader_events=8))
    with serving(served_bundle, tmp_path / "store", settings=settings) as running:
        yield running


def test_a_reader_that_takes_nothing_is_let_go_and_slows_nobody(impatient: Served):
    host, _, port = impatient.url.removeprefix("http://").partition(":")
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect((host, int(port)))
    slow.sendall(b"GET /api/v1/live/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    wait_for(lambda: impatient.desk.hub.readers == 1)
    told = []

    def read() -> None:
        with impatient.client.stream("GET", "/api/v1/live/events") as answer:
            for kind, _ in events(answer):
                if kind == "other":
                    told.append(1)
                if len(told) == 50:
                    return

    quick = threading.Thread(target=read)
    quick.start()
    wait_for(lambda: impatient.desk.hub.readers == 2)
    took = []
    for number in range(400):
        if len(told) >= 50 and impatient.desk.hub.readers <= 1:
            break
        began = time.monotonic()
        impatient.desk.hub.publish("other", {"n": number, "text": "x" * 100_000})
        took.append(time.monotonic() - began)
        time.sleep(0.02)
    quick.join(30)
    wait_for(lambda: impatient.desk.hub.readers == 0)
    assert len(told) == 50
    slow.close()


def test_the_live_view_of_a_camera(served_bundle, tmp_path):
    source = field_folder(tmp_path / "fields", 6)
    with serving(
        served_bundle, tmp_path / "store", source=str(source), rate_hz=20.0, repeat=True
    ) as running:
        with running.client.stream("GET", "/api/v1/live/events") as answer:
            seen = events(answer)
            with httpx.Client(base_url=running.url, timeout=30) as other:
                slide = other.post("/api/v1/slides", json={"name": "camera"}).json()["id"]
                fields = [next(data for kind, data in seen if kind == "field") for _ in range(5)]
                for picture in ("field", "camera"):
                    frame = other.get(f"/api/v1/live/frame.jpg?picture={picture}")
                    assert frame.status_code == 200
                    assert frame.headers["x-picture"].startswith("camera-")
                status = other.get("/api/v1/status").json()
                assert status["live"]["state"] == "running"
                ended = other.post(f"/api/v1/slides/{slide}/end").json()
        assert [one["slide"] for one in fields] == [slide] * 5
        assert all(cell["id"] for one in fields for cell in one["cells"])
        assert ended["fields"] >= 5
        counters = running.client.get("/api/v1/status").json()["live"]["counters"]
        assert counters["read"] >= counters["captured"] >= counters["assessed"] >= 5


def test_manual_capture_takes_one_field_a_wish(served_bundle, tmp_path):
    source = field_folder(tmp_path / "fields", 6)
    with serving(
        served_bundle, tmp_path / "store", source=str(source), rate_hz=20.0, repeat=True,
        capture="manual",
    ) as running:  # fmt: skip
        assert running.client.post("/api/v1/capture").status_code == 409
        slide = running.start_slide()
        for wanted in (1, 2):
            assert running.client.post("/api/v1/capture").status_code == 202
            wait_for(
                lambda w=wanted: running.client.get(f"/api/v1/slides/{slide}").json()["fields"] == w
            )
        running.client.post(f"/api/v1/slides/{slide}/end")
        assert running.client.get(f"/api/v1/slides/{slide}").json()["fields"] == 2


def test_uploads_go_into_the_slide_of_the_camera_too(served_bundle, tmp_path):
    source = field_folder(tmp_path / "fields", 2)
    with serving(
        served_bundle, tmp_path / "store", source=str(source), capture="manual"
    ) as running:
        slide = running.start_slide()
        assert running.send(field_file(4)).status_code == 201
        assert running.client.get(f"/api/v1/slides/{slide}").json()["fields"] == 1


def test_the_streams_end_with_the_server(served_bundle, tmp_path):
    with (
        serving(served_bundle, tmp_path / "store") as running,
        httpx.stream("GET", f"{running.url}/api/v1/live/events", timeout=30) as answer,
    ):
        seen = events(answer)
        next(seen)
        running.desk.hub.publish("last", {})
        threading.Timer(0.1, running.end).start()
        kinds = [kind for kind, _ in seen]
    assert "last" in kinds
