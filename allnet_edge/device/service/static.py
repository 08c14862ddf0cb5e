"""The page's files: a fixed list out of the package; no path of a client reaches a disk."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
PAGE, LOGIN = "index.html", "login.html"
SERVED = (
    "api.js", "app.js", "cells.js", "dom.js", "frame.css", "icon.svg", "login.css", "parts.css",
    "summary.js", "theme.js", "tokens.css", "trust.js", "view.js",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page.

    Attributes:
        etag: Of its bytes, in quotes.
    """

    data: bytes
    media_type: str
    etag: str


def page_files() -> dict[str, PageFile]:
    """Every file of the page, by its name."""
    folder = files("allnet_edge.device.service").joinpath("page")
    found = {}
    for name in (PAGE, LOGIN, *SERVED):
        data = folder.joinpath(name).read_bytes()
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        found[name] = PageFile(data, _TYPES[name.rpartition(".")[2]], etag)
    return found
