"""How a live session works."""

from dataclasses import dataclass
from typing import Literal

from allnet_edge.errors import UsageError

Capture = Literal["auto", "every", "manual"]
"""``auto``: a field is taken when the picture stands still and shows a new field. ``every``: each
frame is a field. ``manual``: a field is taken when the operator asks."""

Drop = Literal["latest", "wait"]
"""What happens when the queue is full. ``latest``: the oldest waiting field is dropped and counted,
as a live camera does not wait. ``wait``: the source waits, so that nothing is dropped."""


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """How a live session works.

    Attributes:
        capture: See ``Capture``; None: ``every`` for image files, whose each is a field, else
            ``auto``.
        queue: Fields that may wait for the worker, at least 1.
        drop: See ``Drop``; None: ``wait`` for a source that ends, else ``latest``.
        keep_pictures: Store the picture of each field and cell; off, so that no image of a person
            is kept unless somebody asks for it.
        most_fields: A slide ends by itself after so many assessed fields; None: it does not.
        frame_timeout_s: Without a frame for so long a camera counts as lost.
        picture_bytes: Memory for the pictures of the latest cells.

    Raises:
        UsageError: A number that is not positive.
    """

    capture: Capture | None = None
    queue: int = 4
    drop: Drop | None = None
    keep_pictures: bool = False
    most_fields: int | None = None
    frame_timeout_s: float = 2.0
    picture_bytes: int = 16_000_000

    def __post_init__(self) -> None:
        for name in ("queue", "most_fields", "frame_timeout_s", "picture_bytes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be positive, not {value}")
