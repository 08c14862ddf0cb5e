"""Where pictures come from: what was asked for, taken apart, and without its password."""

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from allnet_edge.errors import UsageError
from allnet_edge.spec.base import known_name

Kind = Literal["v4l2", "csi", "rtsp", "http", "folder", "image", "video"]

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
SCHEMES = ("csi", "http", "https", "rtsp", "rtsps", "v4l2")
KNOWN = (
    "known: csi://0, a GStreamer pipeline, v4l2:///dev/video0, rtsp://, http:// (MJPEG), a folder, "
    "an image, a video"
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USER = re.compile(r"(?<=://)[^\s\"']*@")
_USER_OF_ADDRESS = re.compile(r"(?<=://).*@", re.S)
_SECRET_IN_QUERY = re.compile(
    r"([?&;][^=&;\s]*(?:pass|pwd|token|secret|auth|key|credential)[^=&;\s]*)=[^&;\s\"']*", re.I
)
_SECRET_PROPERTY = re.compile(
    r"\b([\w-]*(?:pw|pwd|passw(?:or)?d|token|secret))\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s&;]+)", re.I
)


@dataclass(frozen=True, slots=True)
class Address:
    """A source, understood.

    Attributes:
        kind: What it is.
        target: What is opened: a path, a URL, a sensor's number or a whole pipeline. It may hold a
            password, and so has no place in a message.
        shown: What was asked for, without passwords.
    """

    kind: Kind
    target: str = field(repr=False)
    shown: str


def without_password(source: str) -> str:
    """The same text with every password in it replaced by ``***``.

    Where a ``/`` or ``@`` inside a password makes it doubtful where the host begins, more is
    replaced rather than less.
    """
    alone = _SCHEME.match(source) is not None  # else a pipeline, with an address somewhere in it
    shown = (_USER_OF_ADDRESS if alone else _USER).sub(_user, source)
    shown = _SECRET_IN_QUERY.sub(r"\1=***", shown)
    return _SECRET_PROPERTY.sub(r"\1=***", shown)


def _user(match: re.Match[str]) -> str:
    """``user:***@`` where it is sure what is the user; else ``***@``; a path's ``@`` stays."""
    text = match[0][:-1]
    before_slash, slash, _ = text.partition("/")
    user, colon, _ = before_slash.partition(":")
    if slash and ":" not in text and "@" not in before_slash:
        return match[0]
    sure = colon and not slash and "@" not in text
    return f"{user}:***@" if sure else "***@"


def understand(source: str) -> Address:
    """Take a source apart; nothing is opened.

    Args:
        source: ``csi://0``, a GStreamer pipeline, ``v4l2:///dev/video0``, ``rtsp://``, ``http://``
            or ``https://`` (MJPEG), a folder, an image or a video.

    Raises:
        UsageError: It is none of these, or a path that does not exist (below ``/dev`` a
            camera may still come).
    """
    text = source.strip()
    shown = without_password(text)
    if not text:
        raise UsageError("an empty source", fix=KNOWN)
    scheme = _SCHEME.match(text)
    if "!" in text and not Path(text).exists() and not scheme:
        return _pipeline(text, shown)
    if scheme is None:
        return _path(Path(text), shown)
    name = known_name("kind of camera", scheme[1].lower(), SCHEMES)
    rest = text[scheme.end() :]
    if name == "csi":
        return _csi(rest, shown)
    if name == "v4l2":
        return _v4l2(rest, shown)
    return _network(name, text, shown)


def _pipeline(text: str, shown: str) -> Address:
    if "appsink" not in text.rpartition("!")[2]:
        raise UsageError(
            "the GStreamer pipeline does not end in appsink",
            where=shown,
            fix="end it with '! videoconvert ! video/x-raw,format=BGR ! appsink drop=true "
            "max-buffers=1'",
        )
    return Address("csi", text, shown)


def _csi(sensor: str, shown: str) -> Address:
    if not re.fullmatch(r"\d{1,2}", sensor):
        raise UsageError("a CSI camera is named by its number", where=shown, fix="such as csi://0")
    return Address("csi", sensor, shown)


def _v4l2(path: str, shown: str) -> Address:
    if not path.startswith("/"):
        raise UsageError(
            "a V4L2 camera is named by its device file",
            where=shown,
            fix="such as v4l2:///dev/video0 (three strokes); `ls /dev/video*` lists them",
        )
    return Address("v4l2", path, shown)


def _network(scheme: str, text: str, shown: str) -> Address:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or any(ord(letter) <= 32 for letter in text):
        # The error of the parser may quote the address with its password: it is not handed on.
        raise UsageError(
            "this is no address of a camera",
            where=shown,
            fix="such as rtsp://user:password@192.168.1.20:554/stream; write / # ? @ : inside a "
            "password as %2F %23 %3F %40 %3A",
        )
    return Address("rtsp" if scheme.startswith("rtsp") else "http", text, shown)


def _path(path: Path, shown: str) -> Address:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_absolute() and path.parts[:2] == ("/", "dev"):
            return Address("v4l2", str(path), shown)  # absent now; it may be plugged in later
        raise UsageError(f"cannot use it: {error.strerror}", where=shown, fix=KNOWN) from error
    except ValueError as error:  # a null character
        raise UsageError("this is no path", where=repr(shown), fix=KNOWN) from error
    if stat.S_ISCHR(mode):
        return Address("v4l2", str(path), shown)
    if stat.S_ISDIR(mode):
        return Address("folder", str(path), shown)
    if not stat.S_ISREG(mode):
        raise UsageError("neither a file, a folder nor a camera", where=shown, fix=KNOWN)
    video = path.suffix.lower() in VIDEO_SUFFIXES
    return Address("video" if video else "image", str(path), shown)
