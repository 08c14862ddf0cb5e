"""Sources are understood, and no password of one is ever shown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.device.cameras.address import understand, without_password
from allnet_edge.device.cameras.opening import open_camera
from allnet_edge.errors import AllnetEdgeError, UnknownNameError, UsageError


@pytest.mark.parametrize(
    ("source", "kind", "target"),
    [
        ("csi://0", "csi", "0"),
        ("v4l2:///dev/video7", "v4l2", "/dev/video7"),
        ("/dev/video7", "v4l2", "/dev/video7"),
        ("/dev/null", "v4l2", "/dev/null"),
        ("rtsp://h:554/a", "rtsp", "rtsp://h:554/a"),
        ("RTSPS://h/a", "rtsp", "RTSPS://h/a"),
        ("https://h/a?x=1", "http", "https://h/a?x=1"),
        ("videotestsrc ! appsink", "csi", "videotestsrc ! appsink"),
    ],
)
def test_a_source_is_understood(source: str, kind: str, target: str) -> None:
    found = understand(source)
    assert (found.kind, found.target, found.shown) == (kind, target, source)


def test_files_and_folders(tmp_path: Path) -> None:
    for name in ("a.AVI", "b.png", "c"):
        (tmp_path / name).write_bytes(b"x")
    kinds = [understand(str(tmp_path / name)).kind for name in ("", "a.AVI", "b.png", "c")]
    assert kinds == ["folder", "video", "image", "image"]


@pytest.mark.parametrize(
    "source",
    ["", "  ", "csi://", "csi://x", "csi:///dev/video0", "v4l2://video0", "v4l2://", "rtsp://",
     "http://", "rtsp://h:port/a", "http://h:99999/", "rtsp://a b/c", "no/such/file", "a\0b",
     "videotestsrc ! autovideosink", "rtsp://[::1/a"],
)  # fmt: skip
def test_what_is_no_source_is_refused(source: str) -> None:
    with pytest.raises(UsageError):
        understand(source)


def test_an_unknown_kind_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean rtsp"):
        understand("rtps://h/a")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://u:secret@h:554/a", "rtsp://u:***@h:554/a"),
        ("rtsp://admin:sec/ret@h/a", "rtsp://***@h/a"),
        ("rtsp://admin:sec@ret@h/a", "rtsp://***@h/a"),
        ("rtsp://admin:1/secret@h/a", "rtsp://***@h/a"),
        ("https://secret@h/a", "https://***@h/a"),
        ("rtsp://u:sec ret@h/a", "rtsp://u:***@h/a"),
        ("http://h/a?user=u&pwd=secret&x=1", "http://h/a?user=u&pwd=***&x=1"),
        ("http://h/a?loginpass=secret", "http://h/a?loginpass=***"),
        ("http://h/a?Token=secret", "http://h/a?Token=***"),
        ("rtsp://h/cam@1", "rtsp://h/cam@1"),
        (
            'rtspsrc location="rtsp://u:secret@h/a" user-pw=secret ! appsink',
            'rtspsrc location="rtsp://u:***@h/a" user-pw=*** ! appsink',
        ),
    ],
)
def test_a_password_is_not_shown(source: str, shown: str) -> None:
    assert without_password(source) == shown


@given(
    st.text(max_size=8).filter(lambda text: "SECRET" not in text),
    st.text(max_size=6),
    st.text(max_size=6),
    st.sampled_from(["rtsp", "http", "https", "xyz", "csi", "v4l2"]),
)
def test_whatever_surrounds_a_password(user: str, before: str, after: str, scheme: str) -> None:
    source = f"{scheme}://{user}:{before}SECRET{after}@host:99/stream"
    try:
        camera = open_camera(source)
        said = repr(camera.facts) + repr(understand(source))
    except AllnetEdgeError as error:
        said = str(error) + repr(error)
    assert "SECRET" not in said
