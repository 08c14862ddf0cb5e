"""What the store takes and gives back: plain, frozen, ready for JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from allnet_edge.device.fields.results import Reason
from allnet_edge.device.store.text import operator_text
from allnet_edge.errors import UsageError
from allnet_edge.segmentation.cell import Box

OperatorVerdict = Literal["agree", "disagree", "not_a_cell"]
Order = Literal["suspicion", "time"]
SlideState = Literal["running", "ended", "interrupted"]

NAME_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class NewSlide:
    """What is known when a slide begins; it never changes afterwards.

    Attributes:
        name: Free text of the operator, at most 120 characters on one line; may be empty. The
            program asks for no patient data and puts none here.
        bundle: The bundle's name.
        bundle_sha256: Of its manifest.json.
        candidate: Id of the one that decides.
        verdict: What the gate said of it; None where no gate was run.
        model: The network's name.
        classes: In the order of the network's outputs.
        positive: The class that is looked for; None where there is no such class.
        phantom: Whether the bundle was trained on phantom cells.
        source: The camera, without a password.
        scale: Training pixels per camera pixel.
        scale_known: How: ``micrometres``, ``matched by cell size`` or ``not calibrated``.
        versions: Of this program and of what it runs on.
        threshold: From which probability a cell is positive; None with more than two classes.
        shadow: Id of the candidate that runs beside; None without shadow mode.

    Raises:
        UsageError: A name that is too long or has control characters; no class; a positive class
            that is none of the classes; a scale that is no positive number.
    """

    name: str
    bundle: str
    bundle_sha256: str
    candidate: str
    verdict: str | None
    model: str
    classes: tuple[str, ...]
    positive: str | None
    phantom: bool
    source: str
    scale: float
    scale_known: str
    versions: Mapping[str, str] = field(default_factory=dict)
    threshold: float | None = None
    shadow: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", operator_text(self.name, "slide name", NAME_CHARACTERS))
        if not self.classes:
            raise UsageError("a slide needs the classes that its cells are told apart by")
        if self.positive is not None and self.positive not in self.classes:
            raise UsageError(
                f"the positive class {self.positive!r} is no class of the slide",
                fix=f"one of {', '.join(self.classes)}",
            )
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise UsageError(f"the scale must be a positive number, not {self.scale}")

    def to_json(self) -> dict[str, object]:
        """Plain data, by the names of the attributes."""
        return {
            "name": self.name,
            "bundle": self.bundle,
            "bundle_sha256": self.bundle_sha256,
            "candidate": self.candidate,
            "verdict": self.verdict,
            "model": self.model,
            "classes": list(self.classes),
            "positive": self.positive,
            "phantom": self.phantom,
            "source": self.source,
            "scale": self.scale,
            "scale_known": self.scale_known,
            "versions": dict(self.versions),
            "threshold": self.threshold,
            "shadow": self.shadow,
        }


@dataclass(frozen=True, slots=True)
class StoredSlide:
    """A slide and how much it holds.

    Attributes:
        id: From 1, in the order of their beginning.
        facts: As it was started.
        state: ``interrupted``: the program ended without ending the slide.
        started: Wall clock, UTC; for people.
        ended: Likewise; of an interrupted slide when its last field was stored; None while it runs.
        why: Why it ended; empty while it runs.
        duration_s: Seconds by a clock that is never set; None unless it was ended.
        fields: Stored, with those that were refused as a whole.
        cells: Found.
        assessed: Of them, by the network.
        corrected: Cells with at least one correction.
    """

    id: int
    facts: NewSlide
    state: SlideState
    started: datetime
    ended: datetime | None
    why: str
    duration_s: float | None
    fields: int
    cells: int
    assessed: int
    corrected: int

    def to_json(self) -> dict[str, object]:
        """Plain data; what is known from the start lies beside the rest."""
        return {
            "id": self.id,
            **self.facts.to_json(),
            "state": self.state,
            "started": self.started.isoformat(),
            "ended": None if self.ended is None else self.ended.isoformat(),
            "why": self.why,
            "duration_s": self.duration_s,
            "fields": self.fields,
            "cells": self.cells,
            "assessed": self.assessed,
            "corrected": self.corrected,
        }


@dataclass(frozen=True, slots=True)
class StoredField:
    """A field of view, without its cells.

    Attributes:
        id: In the order of storing, over all slides.
        slide: Its slide's id.
        number: The frame's.
        name: Of its file; empty for a live camera.
        taken: UTC, as the camera said.
        stored: UTC.
        elapsed_s: Since the slide began, by a clock that is never set.
        width: Pixels.
        height: Pixels.
        reason: Why no cell of it was assessed; None for a usable field.
        detail: The same with its figures.
        spans_ns: How long each step took.
        cells: How many were found.
        picture: Whether its picture was kept.
    """

    id: int
    slide: int
    number: int
    name: str
    taken: datetime
    stored: datetime
    elapsed_s: float
    width: int
    height: int
    reason: Reason | None
    detail: str
    spans_ns: Mapping[str, int]
    cells: int
    picture: bool

    def to_json(self) -> dict[str, object]:
        """Plain data; ``reason`` by its short name."""
        return {
            "id": self.id,
            "slide": self.slide,
            "number": self.number,
            "name": self.name,
            "taken": self.taken.isoformat(),
            "stored": self.stored.isoformat(),
            "elapsed_s": self.elapsed_s,
            "width": self.width,
            "height": self.height,
            "reason": None if self.reason is None else self.reason.name,
            "detail": self.detail,
            "spans_ns": dict(self.spans_ns),
            "cells": self.cells,
            "picture": self.picture,
        }


@dataclass(frozen=True, slots=True)
class Correction:
    """What the operator said about a cell; of several the newest counts.

    Attributes:
        id: In the order in which they were made.
        cell: The cell's id.
        at: UTC.
        verdict: ``agree``, ``disagree`` or ``not_a_cell``.
        label: The class that the operator gives the cell when disagreeing; else None.
    """

    id: int
    cell: int
    at: datetime
    verdict: OperatorVerdict
    label: str | None

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "id": self.id,
            "cell": self.cell,
            "at": self.at.isoformat(),
            "verdict": self.verdict,
            "label": self.label,
        }


@dataclass(frozen=True, slots=True)
class StoredCell:
    """A cell, its decision, and the newest correction of it.

    Attributes:
        id: In the order of storing, over all slides.
        slide: Its slide's id.
        field: Its field's id.
        index: Within its field, from 0.
        box: Around the whole cell, in pixels of the field.
        outline: Points (x, y) around it.
        label: As ``CellResult.label``.
        probability: As ``CellResult.probability``.
        reason: Why it is not assessed; None for an assessed cell.
        detail: The reason with its figures.
        shadow: The probability by the model that runs beside; None without.
        stain_distance: From the training cells; None without statistics.
        correction: The newest; None where there is none.
        picture: Whether its picture was kept.
    """

    id: int
    slide: int
    field: int
    index: int
    box: Box
    outline: tuple[tuple[int, int], ...]
    label: str | None
    probability: float | None
    reason: Reason | None
    detail: str
    shadow: float | None
    stain_distance: float | None
    correction: Correction | None
    picture: bool

    @property
    def counts_as(self) -> str | None:
        """The class it counts as with the newest correction; None where it does not count."""
        if self.correction is not None:
            if self.correction.verdict == "not_a_cell":
                return None
            if self.correction.verdict == "disagree":
                return self.correction.label
        return self.label if self.reason is None else None

    def to_json(self) -> dict[str, object]:
        """Plain data; ``reason`` by its short name."""
        return {
            "id": self.id,
            "slide": self.slide,
            "field": self.field,
            "index": self.index,
            "box": list(self.box),
            "outline": [list(point) for point in self.outline],
            "label": self.label,
            "probability": self.probability,
            "reason": None if self.reason is None else self.reason.name,
            "detail": self.detail,
            "shadow": self.shadow,
            "stain_distance": self.stain_distance,
            "correction": None if self.correction is None else self.correction.to_json(),
            "counts_as": self.counts_as,
            "picture": self.picture,
        }


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it was given to the store.

    Attributes:
        media_type: ``image/png`` or ``image/jpeg``.
        data: The file's bytes.
    """

    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the operation log.

    Attributes:
        id: In the order of writing, whatever the wall clock did.
        at: UTC.
        kind: What happened, in one or two words.
        detail: The same for people.
        slide: The slide that it concerns, if there is one.
    """

    id: int
    at: datetime
    kind: str
    detail: str
    slide: int | None

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "kind": self.kind,
            "detail": self.detail,
            "slide": self.slide,
        }
