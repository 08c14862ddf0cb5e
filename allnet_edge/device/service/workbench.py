"""All that a running server works with, opened and closed as one."""

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.data.images import Tensor
from allnet_edge.device.cameras.frame import Frame
from allnet_edge.device.cameras.opening import open_camera
from allnet_edge.device.cameras.profile import NOT_CALIBRATED, CameraProfile
from allnet_edge.device.cameras.reconnect import Reconnecting
from allnet_edge.device.fields.assess import FieldAssessor
from allnet_edge.device.fields.results import FieldResult
from allnet_edge.device.live.session import Live
from allnet_edge.device.live.settings import Capture, LiveSettings
from allnet_edge.device.live.slide_facts import slide_facts
from allnet_edge.device.live.verify import verify
from allnet_edge.device.service.live_first import LiveFirst
from allnet_edge.device.service.pictures import Shot
from allnet_edge.device.service.uploads import Uploads
from allnet_edge.device.session import Session
from allnet_edge.device.store.records import StoredCell
from allnet_edge.device.store.store import Store
from allnet_edge.errors import UsageError


@dataclass(frozen=True, slots=True)
class WorkOptions:
    """What a server is to work with.

    Attributes:
        bundle: Folder of the bundle.
        store: Folder of the store.
        source: The camera, as ``open_camera`` takes it; None: fields are uploaded.
        profile: The camera's; without one it is not calibrated.
        rate_hz: Paces a folder or a video; None: as fast as it is read.
        repeat: A folder or a video begins again at its end.
        capture: None leaves it to the kind of source.
        candidate: Id of the one that decides; None leaves it to the bundle and the device.
        shadow: Id of one that is asked beside; None for none.
        threads: Of the processor, for one inference; None for all.
        keep_pictures: Store the pictures of fields and cells.
    """

    bundle: Path
    store: Path
    source: str | None = None
    profile: CameraProfile = field(default_factory=CameraProfile)
    rate_hz: float | None = None
    repeat: bool = False
    capture: Capture | None = None
    candidate: str | None = None
    shadow: str | None = None
    threads: int | None = None
    keep_pictures: bool = False


class SharedAssessor(FieldAssessor):
    """One that the camera's worker and uploads take turns with."""

    def __init__(
        self,
        session: Session,
        *,
        scale: float = 1.0,
        scale_known: str = NOT_CALIBRATED,
        shadow: Session | None = None,
    ) -> None:
        super().__init__(session, scale=scale, scale_known=scale_known, shadow=shadow)
        self._turn = threading.Lock()

    def assess(self, frame: Frame) -> FieldResult:
        """See ``FieldAssessor``; waits for its turn."""
        with self._turn:
            return super().assess(frame)


class Workbench:
    """Opened on enter, closed on exit; its methods may be called by any thread.

    Attributes:
        session: The network that decides.
        assessor: From a frame to decisions.
        store: Where everything lies.
        live: The camera at work; None without a camera.
        uploads: Fields that are sent here.
        opened_ns: ``time.monotonic_ns`` when it was ready.
    """

    def __init__(self, options: WorkOptions, first: LiveFirst) -> None:
        self._options, self._first = options, first
        self._stack = ExitStack()
        self._slide_lock = threading.Lock()
        self._slide: int | None = None
        self.live: Live | None = None

    def __enter__(self) -> "Workbench":
        with ExitStack() as stack:
            self._open(stack)
            self._stack = stack.pop_all()
        self.opened_ns = time.monotonic_ns()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self.live is None and self._slide is not None:
                self.end_slide(self._slide, "interrupted")
        finally:
            self._stack.__exit__(kind, error, trace)

    def _open(self, stack: ExitStack) -> None:
        options = self._options
        # The store first: a second server on it is to be told before it does any work.
        self.store = stack.enter_context(Store.open(options.store))
        bundle = Bundle.open(options.bundle)
        self.session = stack.enter_context(self._session(bundle, options.candidate))
        shadow = options.shadow
        beside = None if shadow is None else stack.enter_context(self._session(bundle, shadow))
        scale, known = options.profile.scale(bundle.appearance, bundle.sha256)
        self.assessor = SharedAssessor(self.session, scale=scale, scale_known=known, shadow=beside)
        self.uploads = Uploads(self.assessor, self.store, keep_pictures=options.keep_pictures)
        if options.source is None:
            verify(self.session)
            if beside is not None:
                verify(beside)
            return
        source, profile, pace = options.source, options.profile, (options.rate_hz, options.repeat)
        camera = Reconnecting(lambda: open_camera(source, profile, rate_hz=pace[0], repeat=pace[1]))
        settings = LiveSettings(capture=options.capture, keep_pictures=options.keep_pictures)
        self.live = stack.enter_context(
            Live(
                self.assessor,
                camera,
                store=self.store,
                settings=settings,
                at_work=self._first.working,
            )
        )

    def _session(self, bundle: Bundle, candidate: str | None) -> Session:
        return Session(bundle, candidate=candidate, threads=self._options.threads)

    @property
    def error(self) -> BaseException | None:
        """What ended or holds up the work."""
        held = None if self.live is None else self.live.error
        return held or self.uploads.error

    @property
    def slide(self) -> int | None:
        """The open one."""
        return self._slide if self.live is None else self.live.status().slide

    def start_slide(self, name: str) -> int:
        """Begin a slide; its id. Raises as ``Live.start_slide``."""
        if self.live is not None:
            return self.live.start_slide(name)
        with self._slide_lock:
            if self._slide is not None:
                raise UsageError("a slide is open", fix="end it first")
            self._slide = self.store.start_slide(slide_facts(self.assessor, name, "uploads"))
            return self._slide

    def end_slide(self, slide: int, why: str = "ended") -> None:
        """End the open slide. Raises as ``Live.end_slide``.

        Raises:
            UsageError: Another slide is open, or none.
            UnknownNameError: There is no such slide.
        """
        self.store.slide(slide)
        if slide != self.slide:
            raise UsageError(f"slide {slide} is not open", fix="see /api/v1/status")
        if self.live is not None:
            self.live.end_slide(why)
            return
        with self._slide_lock:
            self.store.end_slide(slide, why)
            self._slide = None

    def held_picture(self, cell: int) -> Tensor | None:
        """What the network was shown of a cell, where it is still in memory."""
        held = None if self.live is None else self.live.picture(cell)
        return self.uploads.picture(cell) if held is None else held

    def has_picture(self, cell: StoredCell) -> bool:
        """Whether there is a picture of a cell, in memory or on disk."""
        return cell.picture or self.held_picture(cell.id) is not None

    def shot(self, picture: str) -> Shot | None:
        """The newest ``field`` that was assessed, or the newest picture of the ``camera``."""
        sent = self.uploads.latest
        if self.live is None:
            return sent
        latest = self.live.latest()
        frame = self.live.view() if picture == "camera" else latest[0] if latest else None
        if frame is None or (sent is not None and sent.at_ns > frame.at_ns):
            return sent
        return Shot(camera_key(frame.number), frame.rgb, frame.at_ns)


def camera_key(number: int) -> str:
    """Names a frame of the camera."""
    return f"camera-{number}"
