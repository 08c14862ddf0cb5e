"""What each route gives, and what it says when it cannot."""

import csv
import io
import json

import httpx
import pytest
from PIL import Image
from served import Served, field_file, serving

from allnet_edge.device.service.settings import Limits, ServiceSettings
from allnet_edge.intended import RESEARCH_USE


@pytest.fixture
def slide(served: Served):
    """An open slide with one field of three cells."""
    number = served.start_slide()
    answer = served.send(field_file(1))
    assert answer.status_code == 201, answer.text
    yield number, answer.json()
    served.client.post(f"/api/v1/slides/{number}/end")


def problem(answer: httpx.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["detail"]
    return found


def test_the_status_says_what_is_going_on(served):
    found = served.client.get("/api/v1/status").json()
    assert found["state"] == "ready"
    assert found["research_use"] == RESEARCH_USE
    assert found["live"] is None
    assert found["capture"] == "uploads"
    assert found["calibration"] == {"scale": 1.0, "known": "not calibrated"}
    assert any("not calibrated" in words for words in found["warnings"])
    assert any("phantom" in words for words in found["warnings"])


def test_the_bundle_is_told_with_its_verdict_and_versions(served):
    found = served.client.get("/api/v1/bundle").json()
    assert found["candidate"]["verdict"] == "pass"
    assert found["candidate"]["id"] == "onnx.fp32"
    assert (found["phantom"], found["golden"], len(found["sha256"])) == (True, "match", 64)
    assert {"allnet-edge", "numpy", "opencv-python-headless"} <= set(found["versions"])


def test_a_slide_from_start_to_export(served):
    number = served.start_slide("B 12")
    field = served.send(field_file(3, 4)).json()
    cells = [cell for cell in field["cells"] if cell["kind"] != "none"]
    assert (field["width"], field["height"]) == (640, 480)
    assert len(field["cells"]) >= 4
    assert cells
    assert all(0 <= cell["probability"] <= 1 for cell in cells)
    listed = served.client.get(f"/api/v1/slides/{number}/cells").json()
    assert listed["total"] == len(field["cells"])
    assert {cell["id"] for cell in listed["items"]} == {cell["id"] for cell in field["cells"]}
    ended = served.client.post(f"/api/v1/slides/{number}/end").json()
    assert (ended["state"], ended["fields"], ended["name"]) == ("ended", 1, "B 12")
    rows = served.client.get(f"/api/v1/slides/{number}/export.csv")
    assert rows.headers["content-disposition"] == f'attachment; filename="slide-{number}.csv"'
    assert "Research use only" in rows.text.splitlines()[0]
    table = [row for row in csv.reader(io.StringIO(rows.text)) if not row[0].startswith("#")]
    assert len(table) == 1 + len(field["cells"])
    whole = served.client.get(f"/api/v1/slides/{number}/export.json").json()
    assert whole["research_use_only"] is True
    assert whole["slide"]["bundle_sha256"] == ended["bundle_sha256"]


def test_a_correction_is_counted_and_undone_by_a_newer_one(served, slide):
    number, field = slide
    cell = next(one for one in field["cells"] if one["kind"] != "none")
    path = f"/api/v1/cells/{cell['id']}"
    before = served.client.get(f"/api/v1/slides/{number}/summary").json()
    said = served.client.post(f"{path}/corrections", json={"verdict": "not_a_cell"})
    assert said.status_code == 201
    assert said.json()["counts_as"] is None
    after = served.client.get(f"/api/v1/slides/{number}/summary").json()
    assert after["model"] == before["model"]
    assert after["corrected"]["assessed"] == before["model"]["assessed"] - 1
    served.client.post(f"{path}/corrections", json={"verdict": "agree"})
    undone = served.client.get(f"/api/v1/slides/{number}/summary").json()
    assert undone["corrected"]["assessed"] == before["model"]["assessed"]
    other = {"hem": "all", "all": "hem"}[cell["label"]]
    changed = served.client.post(f"{path}/corrections", json={"verdict": "disagree"}).json()
    assert (changed["counts_as"], changed["correction"]["label"]) == (other, other)
    assert served.client.get(f"/api/v1/slides/{number}").json()["corrected"] == 1


def test_pictures_of_cells_and_of_the_field(served, slide):
    _, field = slide
    cell = next(one for one in field["cells"] if one["kind"] != "none")
    known = served.client.get(f"/api/v1/cells/{cell['id']}").json()
    assert known["picture"] is True
    answer = served.client.get(f"/api/v1/cells/{cell['id']}/picture")
    assert Image.open(io.BytesIO(answer.content)).size == (32, 32)
    frame = served.client.get("/api/v1/live/frame.jpg")
    assert frame.headers["x-picture"] == field["picture"]
    assert Image.open(io.BytesIO(frame.content)).size == (640, 480)


def test_the_summary_speaks_of_classes_never_of_a_diagnosis(served, slide):
    found = served.client.get(f"/api/v1/slides/{slide[0]}/summary").json()
    sentence = found["model"]["sentence"]
    assert sentence.endswith(RESEARCH_USE)
    assert "diagnos" not in sentence.removesuffix(RESEARCH_USE).lower()
    assert any("not calibrated" in words for words in found["model"]["warnings"])
    assert found["model"]["interval"] is None  # one field says nothing of others


def test_slides_are_listed_in_pages(served):
    numbers = []
    for _ in range(3):
        numbers.append(served.start_slide())
        served.client.post(f"/api/v1/slides/{numbers[-1]}/end")
    first = served.client.get("/api/v1/slides", params={"limit": 2}).json()
    assert [one["id"] for one in first["items"]] == numbers[:0:-1]
    second = served.client.get("/api/v1/slides", params={"limit": 2, "before": first["next"]})
    assert second.json()["items"][0]["id"] == numbers[0]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/slides/999999", 404),
        ("GET", "/api/v1/slides/999999/summary", 404),
        ("GET", "/api/v1/slides/999999/cells", 404),
        ("GET", "/api/v1/slides/999999/export.csv", 404),
        ("GET", "/api/v1/slides/999999/export.json", 404),
        ("POST", "/api/v1/slides/999999/end", 404),
        ("GET", "/api/v1/cells/999999", 404),
        ("GET", "/api/v1/cells/999999/picture", 404),
        ("GET", "/api/v1/slides/0", 422),
        ("GET", "/api/v1/slides/99999999999999999999999", 422),
        ("GET", "/api/v1/slides/x", 422),
        ("GET", "/api/v1/slides?limit=0", 422),
        ("GET", "/api/v1/live/frame.jpg?picture=other", 422),
        ("GET", "/api/v1/nothing", 404),
        ("PUT", "/api/v1/slides", 405),
        ("POST", "/api/v1/capture", 409),
        ("POST", "/api/v1/go-on", 409),
    ],
)
def test_a_wrong_address_is_refused_in_words(served, method, path, status):
    problem(served.client.request(method, path), status)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"name": 5}',
        b'{"name": "' + b"a" * 200 + b'"}',
        b'{"nome": "a"}',
        b"\xff",
    ],
)
def test_a_wrong_body_is_refused_in_words(served, body):
    answer = served.client.post(
        "/api/v1/slides", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in {400, 422}, answer.text
    assert answer.json()["detail"]


def test_a_name_with_control_characters_is_refused(served):
    problem(served.client.post("/api/v1/slides", json={"name": "a\nb"}), 409)


def test_only_one_slide_is_open(served, slide):
    said = problem(served.client.post("/api/v1/slides", json={}), 409)
    assert said["fix"]


def test_a_correction_with_a_class_that_there_is_not_is_refused(served, slide):
    cell = slide[1]["cells"][0]["id"]
    answer = served.client.post(
        f"/api/v1/cells/{cell}/corrections", json={"verdict": "disagree", "label": "other"}
    )
    assert "hem, all" in problem(answer, 409)["fix"]


def test_a_field_without_a_slide_is_refused(served):
    problem(served.send(field_file(1)), 409)


def test_what_is_no_image_type_is_refused(served):
    said = problem(served.send(b"{}", **{"Content-Type": "application/json"}), 415)
    assert "image/png" in said["fix"]


def test_too_many_uploads_are_told_to_come_back(served_bundle, tmp_path):
    settings = ServiceSettings(port=0, limits=Limits(uploads=1))
    with serving(served_bundle, tmp_path / "store", settings=settings) as running:
        running.start_slide()
        with running.desk.places._free:  # somebody else's upload is in work
            answer = running.send(field_file(1))
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert running.send(field_file(1)).status_code == 201


def test_pictures_are_kept_only_if_asked(served_bundle, tmp_path):
    for keep in (False, True):
        folder = tmp_path / str(keep)
        with serving(served_bundle, folder, keep_pictures=keep) as running:
            number = running.start_slide()
            assert running.send(field_file(1)).status_code == 201
        with serving(served_bundle, folder) as again:
            cells = again.client.get(f"/api/v1/slides/{number}/cells").json()["items"]
            shown = [cell for cell in cells if cell["probability"] is not None]
            assert [cell["picture"] for cell in shown] == [keep] * len(shown)
            picture = again.client.get(f"/api/v1/cells/{shown[0]['id']}/picture")
            assert picture.status_code == (200 if keep else 404)


def test_the_openapi_document_names_no_other_host(served):
    text = served.client.get("/api/v1/openapi.json").text
    assert "http://" not in text
    assert "https://" not in text
    paths = json.loads(text)["paths"]
    assert set(paths) == {
        "/api/v1/bundle", "/api/v1/capture", "/api/v1/cells/{cell}",
        "/api/v1/cells/{cell}/corrections", "/api/v1/cells/{cell}/picture", "/api/v1/fields",
        "/api/v1/go-on", "/api/v1/live/events", "/api/v1/live/frame.jpg", "/api/v1/slides",
        "/api/v1/slides/{slide}", "/api/v1/slides/{slide}/cells", "/api/v1/slides/{slide}/end",
        "/api/v1/slides/{slide}/export.csv", "/api/v1/slides/{slide}/export.json",
        "/api/v1/slides/{slide}/summary", "/api/v1/status",
    }  # fmt: skip
