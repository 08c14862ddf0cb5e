"""Published latencies, each with its board, network, precision and source."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import Field

from allnet_edge.roofline.kernels import Arithmetic
from allnet_edge.spec.base import Frozen, read_toml

FILE = "published.toml"


class _Row(Frozen):
    board: str
    precision: Arithmetic
    size: int = Field(gt=0)
    ms: Mapping[str, float]


class _Source(Frozen):
    harness: str
    host: Literal["python", "none"]
    source: str
    rows: tuple[_Row, ...]


class _File(Frozen):
    source: tuple[_Source, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """One published time.

    Attributes:
        board: A target.
        size: Side of the input in pixels.
        harness: How it was taken.
        through_python: Whether the time has that of a Python program in it.
    """

    board: str
    network: str
    size: int
    precision: Arithmetic
    milliseconds: float
    harness: str
    through_python: bool
    source: str


@cache
def published() -> tuple[Published, ...]:
    """All rows, in the order of the file."""
    return tuple(
        Published(
            row.board, network, row.size, row.precision, ms, one.harness, one.host == "python",
            one.source,
        )
        for one in _file().source
        for row in one.rows
        for network, ms in row.ms.items()
    )  # fmt: skip


def published_sha256() -> str:
    """Of the file as it is."""
    return hashlib.sha256((resources.files(__package__) / FILE).read_bytes()).hexdigest()


def _file() -> _File:
    with resources.as_file(resources.files(__package__) / FILE) as path:
        return read_toml(path, _File)
