"""The pictures of an MJPEG stream over HTTP: the parts of ``multipart/x-mixed-replace``.

RFC 2046 section 5.1.1 says how parts are delimited; what cameras send is often less careful: a
boundary that already has its dashes, lengths that are wrong or absent, line ends without a return.
So the delimiter is searched, and a length is believed only as far as it goes.
"""

import re
from collections.abc import Callable

from allnet_edge.errors import ImageError

MAX_PART = 16 * 1024 * 1024  # bytes; a JPEG of 24 megapixels has about 10 million
MAX_HEAD = 8 * 1024

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,9})[ \t]*\r?$", re.I | re.M)


class Parts:
    """Cuts a stream of bytes into its parts; holds at most one part and what was fed last.

    Args:
        boundary: As of the ``Content-Type``, with or without its dashes.
        limit: Bytes of a part; a longer one is given up, and told.
    """

    def __init__(self, boundary: str, limit: int = MAX_PART) -> None:
        name = boundary.strip().removeprefix("--") or boundary
        self._mark = b"--" + name.encode("latin-1", "replace")
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0  # so much of the buffer holds no whole delimiter
        self._step: Callable[[list[bytes | ImageError]], bool] = self._seek
        self._length: int | None = None

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes | ImageError]:
        """Take bytes as they come.

        Returns:
            The parts that are complete now, without their headers; for a part that was given up,
            the reason.
        """
        self._buffer += data
        found: list[bytes | ImageError] = []
        while self._step(found):
            pass
        return found

    def _seek(self, found: list[bytes | ImageError]) -> bool:
        """Everything before a delimiter is passed over."""
        del found
        at = self._find_mark()
        if at < 0:
            self._drop(self._searched)
            return False
        self._drop(at + len(self._mark))
        self._step = self._head
        return True

    def _head(self, found: list[bytes | ImageError]) -> bool:
        """The headers of a part end with a blank line."""
        blank = _BLANK_LINE.search(self._buffer, 0, MAX_HEAD)
        if blank is None:
            if len(self._buffer) < MAX_HEAD:
                return False
            return self._give_up(found, f"the headers of a part exceed {MAX_HEAD:,} bytes")
        length = _LENGTH.search(self._buffer, 0, blank.end())
        self._length = int(length[1]) if length else None
        self._drop(blank.end())
        if self._length is not None and self._length > self._limit:
            return self._give_up(found, f"a part claims {self._length:,} bytes")
        self._step = self._body
        return True

    def _body(self, found: list[bytes | ImageError]) -> bool:
        """So many bytes as were announced; without an announcement all up to the delimiter."""
        end = self._length if self._length is not None else self._find_mark()
        if end < 0 or end > len(self._buffer):
            if len(self._buffer) > self._limit + len(self._mark):
                return self._give_up(found, f"a part has no end within {self._limit:,} bytes")
            return False
        body = bytes(self._buffer[:end])
        # Without an announced length the line end before the delimiter belongs to the delimiter.
        found.append(body if self._length is not None else body.rstrip(b"\r\n"))
        self._drop(end)
        self._step = self._seek
        return True

    def _give_up(self, found: list[bytes | ImageError], why: str) -> bool:
        found.append(ImageError(f"the stream is damaged: {why}"))
        self._step = self._seek
        return True

    def _find_mark(self) -> int:
        at = self._buffer.find(self._mark, self._searched)
        self._searched = at if at >= 0 else max(0, len(self._buffer) - len(self._mark) + 1)
        return at

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._searched = 0
