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
        number: From 0, one more for each whole frame that the camera delivered since the first
            one that was read; a gap is as many lost frames as numbers are missing. A damaged
            frame, one that was raised as ``ImageError``, takes no number.
        rgb: uint8 ``[height, width, 3]``, RGB; never written to.
        taken: Wall clock in UTC, for people; it may jump.
        at_ns: ``time.monotonic_ns`` when it arrived, for durations and order.
        name: Of the file, for a folder or an image; empty for a video and a live camera.
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
    """A context manager: opened on enter, released on exit, entered once.

    ``read`` is called by one thread at a time; ``facts`` may be read by any, also before enter.
    """

    @property
    def facts(self) -> CameraFacts:
        """What is known of it now."""
        ...

    @property
    def finite(self) -> bool:
        """Whether it ends: a folder or a video, whose every delivered frame is wanted.

        A paced one (``rate_hz``) loses frames like a live camera when it is read too late, and
        still ends; one that begins again at its end (``repeat``) is not finite.
        """
        ...

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame; of a live camera the newest. None at the end of a finite source.

        Raises:
            FrameTimeout: No frame within ``timeout_s`` seconds; the next call may have one.
            CameraError: The camera is gone, and stays so until it is opened anew.
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
