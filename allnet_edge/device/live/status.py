"""How a live session stands."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from allnet_edge.device.cameras.frame import CameraFacts

State = Literal["idle", "running", "camera lost", "finished", "failed"]
"""``idle``: no slide is open. ``running``: frames become fields. ``camera lost``: no frame comes;
it is tried again. ``finished``: a source that ends has ended, and every field of it is stored.
``failed``: nothing is taken on any more until the operator goes on; see ``Live.error``."""

LATENCIES = 4096


@dataclass(slots=True)
class Counters:
    """Every frame read is one of: captured, waiting, and those from ``repeated`` to ``passed``.

    Attributes:
        read: Frames that the camera gave, damaged ones included.
        captured: Taken on by the worker.
        assessed: Of the captured ones, those whose result is stored.
        waiting: Chosen, in the queue.
        repeated: They show a field that was captured before.
        moving: The picture did not stand still.
        dropped: Chosen, and given up because the worker was too slow or the session ended.
        damaged: They could not be decoded.
        refused: Too dark, too bright, frozen, or of another resolution.
        passed: Nobody asked for them: no slide is open, or manual capture.
        missed: Given by the camera but never read, by the gaps in its numbers; not part of
            ``read``.
    """

    read: int = 0
    captured: int = 0
    assessed: int = 0
    waiting: int = 0
    repeated: int = 0
    moving: int = 0
    dropped: int = 0
    damaged: int = 0
    refused: int = 0
    passed: int = 0
    missed: int = 0

    @property
    def accounted(self) -> int:
        """Equal to ``read``, always: no frame vanishes."""
        return (
            self.captured
            + self.waiting
            + self.repeated
            + self.moving
            + self.dropped
            + self.damaged
            + self.refused
            + self.passed
        )


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """How a live session stands at one moment.

    Attributes:
        state: See ``State``.
        slide: The open one; None without.
        capture: How fields are chosen.
        counters: A copy; since the session began.
        fields: Stored ones of the open or last slide, refused ones included.
        cells: In these fields.
        positive: Of the assessed cells, those of the positive class; 0 where there is none.
        not_assessed: Cells with a reason.
        compared: Cells that the shadow judged, too.
        disagreed: Of them, those on which it disagrees.
        latency_ms: ``p50`` and ``p99`` from a frame's arrival to its result on disk, of the latest
            4,096 fields; None before the first.
        spans_ms: Mean milliseconds of each step of the latest field.
        warnings: What a person should know now, in whole sentences.
        camera: What it says of itself.
        error: What ended or holds up the work; empty where nothing does.
    """

    state: State
    slide: int | None
    capture: str
    counters: Counters
    fields: int
    cells: int
    positive: int
    not_assessed: int
    compared: int
    disagreed: int
    latency_ms: Mapping[str, float | None]
    spans_ms: Mapping[str, float]
    warnings: tuple[str, ...]
    camera: CameraFacts
    error: str = ""

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self) | {"latency_ms": dict(self.latency_ms), "spans_ms": dict(self.spans_ms)}


class Latencies:
    """The latest durations, and what they are at a rank."""

    def __init__(self) -> None:
        self._ns = deque[int](maxlen=LATENCIES)

    def add(self, ns: int) -> None:
        """One more."""
        self._ns.append(ns)

    def milliseconds(self) -> dict[str, float | None]:
        """``p50`` and ``p99``; None where there is none."""
        ordered = sorted(self._ns)
        return {name: _at(ordered, share) for name, share in (("p50", 0.5), ("p99", 0.99))}


def _at(ordered: Sequence[int], share: float) -> float | None:
    """Nearest rank."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] / 1e6 if ordered else None
