"""What a camera gives, whatever it is."""

from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol

from allnet_edge.segmentation.cell import Field


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture.

    Attributes:
        number: From 0, one more for each frame that the camera delivered; a gap is a lost frame.
        rgb: uint8 ``[height, width, 3]``, RGB; never written to.
        taken: Wall clock in UTC, for people; it may jump.
        at_ns: ``time.monotonic_ns`` when it arrived, for durations and order.
        name: Of the file, for a folder or an image; empty for a live camera.
    """

    number: int
    rgb: Field
    taken: datetime
    at_ns: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What a camera says of itself.

    Attributes:
        source: As it was asked for, without a password.
        kind: ``v4l2``, ``csi``, ``network``, ``folder``, ``image`` or ``video``.
        width: Pixels; None before the first frame where the camera does not say.
        height: Likewise.
        rate_hz: Frames a second that it promises; None where it does not say.
        exposure: ``auto``, ``manual`` or ``unknown``: whether brightness may change by itself.
        warnings: What a person should set otherwise, in whole sentences.
    """

    source: str
    kind: str
    width: int | None
    height: int | None
    rate_hz: float | None
    exposure: str
    warnings: tuple[str, ...] = ()


class Camera(Protocol):
    """A context manager: opened on enter, released on exit; used by one thread at a time."""

    @property
    def facts(self) -> CameraFacts:
        """What is known of it now."""
        ...

    @property
    def finite(self) -> bool:
        """Whether it ends: a folder or a video, whose every frame is wanted."""
        ...

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame; None at the end of a finite source.

        Raises:
            CameraError: No frame within ``timeout_s`` seconds, or the camera is gone.
            ImageError: This frame is damaged; the next one may be whole.
        """
        ...

    def __enter__(self) -> "Camera": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
