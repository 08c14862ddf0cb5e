"""What is no field of view is refused in words, and the server goes on."""

import pytest
from malformed_images import malformed
from served import field_file

KINDS = dict(malformed())


def test_there_are_two_hundred_kinds():
    assert len(KINDS) >= 200


@pytest.fixture(scope="module")
def with_slide(served):
    served.start_slide("malformed")
    return served


def test_each_is_refused_in_words(with_slide):
    wrong = {}
    for what, data in KINDS.items():
        answer = with_slide.send(data)
        words = answer.json() if answer.headers["content-type"].endswith("problem+json") else {}
        if answer.status_code not in {413, 415, 422} or not words.get("detail"):
            wrong[what] = (answer.status_code, answer.text[:200])
    assert not wrong, list(wrong)


def test_none_of_them_is_a_field(with_slide):
    before = with_slide.client.get("/api/v1/status").json()["slide"]["fields"]
    for what in list(KINDS)[::25]:
        with_slide.send(KINDS[what])
    assert with_slide.client.get("/api/v1/status").json()["slide"]["fields"] == before


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF"])
def test_the_server_still_takes_what_is_one(with_slide, form):
    kind = {"Content-Type": f"image/{form.lower()}"}
    answer = with_slide.send(field_file(1, 3, form), **kind)
    assert answer.status_code == 201, answer.text


def test_a_picture_of_too_many_pixels_is_told_by_its_header(with_slide):
    answer = with_slide.send(KINDS["PNG that claims 8000 x 8000"])
    assert answer.status_code == 413
    assert "8000 x 8000" in answer.json()["detail"]
