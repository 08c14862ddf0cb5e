"""Cutting an MJPEG stream into its pictures, whatever is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.device.cameras.multipart import MAX_HEAD, Parts
from allnet_edge.errors import ImageError

BODY = bytes(range(256))


def stream(*bodies: bytes, length: bool = True, line: bytes = b"\r\n") -> bytes:
    data = b""
    for body in bodies:
        said = line + b"Content-Length: %d" % len(body) if length else b""
        data += b"--b" + line + b"Content-Type: image/jpeg" + said + line + line + body + line
    return data


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("line", [b"\r\n", b"\n"])
@pytest.mark.parametrize("boundary", ["b", "--b", " b "])
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_parts_come_out_whole(length: bool, line: bytes, boundary: str, piece: int) -> None:
    parts = Parts(boundary)
    data = stream(BODY, b"two", length=length, line=line) + b"--b"
    found = []
    for at in range(0, len(data), piece):
        found += parts.feed(data[at : at + piece])
    assert found == [BODY, b"two"]


def test_an_announced_part_does_not_wait_for_the_next_one() -> None:
    parts = Parts("b")
    assert parts.feed(b"preamble" + stream(BODY)) == [BODY]


def test_a_part_that_announces_too_few_bytes_does_not_cost_the_next_one() -> None:
    wrong = b"--b\r\nContent-Length: 2\r\n\r\nfour\r\n"
    assert Parts("b").feed(wrong + stream(BODY)) == [b"fo", BODY]


def test_a_part_without_headers() -> None:
    assert Parts("b").feed(b"--b\r\n\r\nbody\r\n--b") == [b"body"]


def test_a_part_without_an_end_is_cut_at_the_limit_and_the_next_one_comes() -> None:
    parts = Parts("b", limit=1000)
    found = parts.feed(b"--b\r\n\r\n")
    for _ in range(100):
        found += parts.feed(b"x" * 100)
        assert parts.held <= 1100
    assert len(found) == 1
    assert isinstance(found[0], ImageError)
    assert "no end within 1,000 bytes" in found[0].what
    assert parts.feed(stream(b"whole")) == [b"whole"]


@pytest.mark.parametrize("length", [b"1001", b"999999999"])
def test_a_part_that_announces_too_much_is_not_waited_for(length: bytes) -> None:
    parts = Parts("b", limit=1000)
    found = parts.feed(b"--b\r\nContent-Length: " + length + b"\r\n\r\n" + stream(b"whole"))
    assert isinstance(found[0], ImageError)
    assert found[1:] == [b"whole"]


def test_headers_without_an_end_are_given_up() -> None:
    parts = Parts("b")
    found = parts.feed(b"--b\r\n" + b"a: b\r\n" * MAX_HEAD)
    assert isinstance(found[0], ImageError)
    assert parts.held < 10
    assert parts.feed(stream(b"whole")) == [b"whole"]


TOKENS = st.sampled_from(
    [
        b"--b",
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"Content-Length: ",
        b"5",
        b"999",
        b"-1",
        b"--",
        b"x" * 40,
    ]
)


@given(
    st.lists(st.one_of(TOKENS, st.binary(max_size=60)), max_size=60),
    st.text(max_size=5),
    st.integers(1, 64),
)
def test_random_bytes(pieces: list[bytes], boundary: str, limit: int) -> None:
    parts = Parts(boundary or "b", limit=limit)
    fed = 0
    found = []
    for piece in pieces:
        found += parts.feed(piece)
        fed += len(piece)
        assert parts.held <= max(limit, MAX_HEAD) + 60 + 20
    assert sum(len(one) for one in found if isinstance(one, bytes)) <= fed
