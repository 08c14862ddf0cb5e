"""A camera, a bundle and a slide at work: reader thread, bounded queue, worker thread, store.

A field is told of (``Event``, ``latest``, the counters) only after it is in the store.
"""

import threading
from collections import deque
from contextlib import nullcontext
from dataclasses import asdict, replace
from types import TracebackType

from allnet_edge.data.images import Tensor
from allnet_edge.device.cameras.frame import Camera, Frame
from allnet_edge.device.cameras.health import FrameCheck
from allnet_edge.device.cameras.profile import NOT_CALIBRATED
from allnet_edge.device.cameras.reconnect import Interruptible
from allnet_edge.device.fields.assess import FieldAssessor
from allnet_edge.device.fields.counts import FieldCounts
from allnet_edge.device.fields.results import FieldResult
from allnet_edge.device.fields.summary import SlideSummary, summarise
from allnet_edge.device.live.board import Board, Item
from allnet_edge.device.live.bundle_watch import BundleWatch
from allnet_edge.device.live.events import EVENTS, Event, Hub, Subscription
from allnet_edge.device.live.pictures import Pictures, encoded_cells, encoded_field
from allnet_edge.device.live.reader import Reader
from allnet_edge.device.live.settings import Capture, LiveSettings
from allnet_edge.device.live.slide_facts import slide_facts
from allnet_edge.device.live.status import Counters, Latencies, LiveStatus, State
from allnet_edge.device.live.tally import Tally, counts_of
from allnet_edge.device.live.verify import verify
from allnet_edge.device.live.worker import AtWork, Worker
from allnet_edge.device.store.store import Store
from allnet_edge.errors import StorageError, UsageError

LOG_LINES = 256
IMAGES = frozenset({"folder", "image"})


class Live:
    """A live session; use ``with Live(assessor, camera, store=store) as live``.

    Entering verifies the bundle's candidate by its golden tensors, opens the camera and starts the
    threads; leaving ends an open slide as ``interrupted`` and leaves no thread behind.

    Args:
        assessor: Of an active session; used by this session alone from now on.
        camera: Not yet entered.
        store: Open; None keeps nothing on disk, and one ``FieldCounts`` a field in memory.
        settings: See ``LiveSettings``.
        at_work: Entered, in the worker's thread, while a field is in work.

    Raises:
        IntegrityError: On enter: the candidate no longer gives what it gave.
        CameraError: On enter: there is no such camera.
    """

    def __init__(
        self,
        assessor: FieldAssessor,
        camera: Camera,
        *,
        store: Store | None = None,
        settings: LiveSettings | None = None,
        at_work: AtWork = nullcontext,
    ) -> None:
        self._assessor, self._camera, self._store = assessor, camera, store
        self._at_work = at_work
        self._settings = settings or LiveSettings()
        self._hub, self._tally, self._latencies = Hub(), Tally(), Latencies()
        self._pictures = Pictures(self._settings.picture_bytes)
        self._log_lines = deque[tuple[str, str]](maxlen=LOG_LINES)
        self._lock = threading.Lock()
        self._told: State = "idle"
        self._latest: tuple[Frame, FieldResult] | None = None
        self._slide: int | None = None
        self._slides = self._cells = 0
        self._counts: list[FieldCounts] = []
        self._spans: dict[str, int] = {}

    # The session

    def __enter__(self) -> "Live":
        session, shadow = self._assessor.session, self._assessor.shadow
        for one in (session, shadow):
            if one is not None:
                verify(one)
        used = tuple(one.candidate for one in (session, shadow) if one is not None)
        watch = BundleWatch(session.bundle, used)
        watch.check()
        self._camera.__enter__()
        images = self._camera.facts.kind in IMAGES
        self._capture: Capture = self._settings.capture or ("every" if images else "auto")
        drop = self._settings.drop or ("wait" if self._camera.finite else "latest")
        self._board = Board(self._settings.queue, drop, self._settings.most_fields)
        self._reader = Reader(
            self._camera, self._board, capture=self._capture,
            check=self._check(), timeout_s=self._settings.frame_timeout_s, log=self._note,
            changed=self._changed,
        )  # fmt: skip
        self._worker = Worker(
            self._assessor, self._board, watch, store=self._keep, stored=self._stored,
            idle=self._flush, changed=self._changed, at_work=self._at_work,
        )  # fmt: skip
        self._worker.start()
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._board.slide is not None and self._board.error is None:
                self.end_slide("interrupted", finish_waiting=False)
        finally:
            self._board.stop()
            if isinstance(self._camera, Interruptible):
                self._camera.interrupt()  # it may be waiting for a camera to come back
            self._reader.join()
            self._worker.join()
            self._camera.__exit__(kind, error, trace)
            self._hub.end()

    # The slide

    def start_slide(self, name: str = "") -> int:
        """Begin a slide; from now on frames become its fields.

        Returns:
            Its id.

        Raises:
            UsageError: One is open, the source has ended, or the name cannot be used.
            AllnetEdgeError: It cannot be stored, or the work has failed before.
        """
        with self._lock:
            if self._board.slide is not None:
                raise UsageError("a slide is open", fix="end it first")
            if self._board.error is not None:
                raise self._board.error
            if self._board.ended:
                raise UsageError(
                    "the source has given its last picture", where=self._camera.facts.source,
                    fix="open it again",
                )  # fmt: skip
            self._slides += 1
            facts = slide_facts(self._assessor, name, self._camera.facts.source)
            slide = self._slides if self._store is None else self._store.start_slide(facts)
            self._tally, self._counts = Tally(), []
            self._latest, self._slide = None, slide
            self._board.open_slide(slide)
        self._publish(Event("slide", self.status(), slide, detail="started"))
        self._changed()
        return slide

    def end_slide(self, why: str = "ended", *, finish_waiting: bool = True) -> None:
        """End the open slide when every field that was taken on is stored.

        Args:
            why: Stored with it.
            finish_waiting: Fields that wait are finished, too; else they are dropped and counted,
                and only the field in work is finished.

        Raises:
            UsageError: None is open.
            AllnetEdgeError: The work has failed: the slide stays open, so that the operator can go
                on and end it then.
        """
        with self._lock:
            slide = self._board.slide
            if slide is None:
                raise UsageError("no slide is open")
            self._board.close_slide(finish_waiting=finish_waiting)
            if self._board.error is not None:
                raise self._board.error
            if self._store is not None:
                self._store.end_slide(slide, why)
            self._board.forget_slide()
        self._publish(Event("slide", self.status(), slide, detail=why))
        self._changed()

    def capture(self) -> None:
        """In manual capture: take the next frame as a field.

        Raises:
            UsageError: Another way of capture was settled, or no slide is open.
        """
        if self._capture != "manual":
            raise UsageError(f"fields are captured by themselves here ({self._capture})")
        if self._board.accepting is None:
            raise UsageError("no slide is open", fix="start one first")
        self._board.want()

    def go_on(self) -> None:
        """After a failure of the disk: try again to store the field that could not be.

        Raises:
            UsageError: Nothing failed, or what failed cannot be mended while the session runs.
        """
        if not isinstance(self._board.error, StorageError):
            raise UsageError(
                "there is nothing to go on with: " + (str(self._board.error or "nothing failed")),
                fix="start the program again" if self._board.error else None,
            )
        self._board.go_on()
        self._changed()

    def summary(self) -> SlideSummary:
        """Of the open slide, else of the last one."""
        manifest, counts = self._assessor.bundle.manifest, list(self._counts)
        if self._store is not None and self._slide is not None:
            counts = self._store.counts(self._slide, corrected=False)
        notes = self._assessor.notes
        return summarise(counts, manifest.positive, manifest.classes, notes=notes)

    # What others see

    @property
    def error(self) -> BaseException | None:
        """What holds up or ended the work; see ``go_on``."""
        return self._board.error

    @property
    def assessor(self) -> FieldAssessor:
        """What decides; its bundle, candidate, scale and notes are for all to read."""
        return self._assessor

    def status(self) -> LiveStatus:
        """How it stands now."""
        tally, board = replace(self._tally), self._board
        error, counters = board.error, board.counters
        return LiveStatus(
            board.state,
            board.slide,
            self._capture,
            counters,
            **asdict(tally),
            compared=self._assessor.compared,
            disagreed=self._assessor.disagreed,
            latency_ms=self._latencies.milliseconds(),
            spans_ms={name: ns / 1e6 for name, ns in self._spans.items()},
            warnings=self._warnings(counters),
            camera=self._camera.facts,
            error="" if error is None else str(error),
        )

    def latest(self) -> tuple[Frame, FieldResult] | None:
        """The field of the open slide that was stored last, with its result."""
        return self._latest

    def view(self) -> Frame | None:
        """The newest frame that the camera gave, whether or not it became a field."""
        return self._reader.sight.frame

    def picture(self, cell: int) -> Tensor | None:
        """What the network was shown of one of the latest cells; None where it is not held."""
        return self._pictures.get(cell)

    def subscribe(self, limit: int = EVENTS) -> Subscription:
        """Listen to what happens from now on, at most ``limit`` events behind."""
        return self._hub.subscribe(limit)

    def _check(self) -> FrameCheck:
        """Pictures of a folder may come from anywhere, unless a calibration is to hold for them."""
        images = self._camera.facts.kind in IMAGES
        return FrameCheck(fixed_size=not images or self._assessor.scale_known != NOT_CALIBRATED)

    # Called by the threads

    def _keep(self, item: Item, result: FieldResult) -> tuple[int, ...]:
        if self._store is None:
            self._cells += len(result.cells)
            self._counts.append(counts_of(result))
            return tuple(range(self._cells - len(result.cells) + 1, self._cells + 1))
        self._flush()
        keep = self._settings.keep_pictures
        picture = encoded_field(item.frame.rgb) if keep and item.frame is not None else None
        cells = encoded_cells(result) if keep else None
        ids = self._store.add_field(item.slide, result, picture=picture, cell_pictures=cells)
        return tuple(ids)

    def _stored(self, item: Item, result: FieldResult, ids: tuple[int, ...], ns: int) -> None:
        self._pictures.add(ids, result)
        self._latencies.add(ns)
        self._spans = dict(result.spans_ns)
        self._tally.add(result, self._assessor.bundle.manifest.positive)
        # Bounded memory: the pictures of the cells live in ``_pictures`` alone.
        bare = replace(result, cells=tuple(replace(one, picture=None) for one in result.cells))
        if item.frame is not None:
            self._latest = (item.frame, bare)
        self._publish(Event("field", self.status(), item.slide, bare, ids, ns))

    def _note(self, kind: str, detail: str) -> None:
        self._log_lines.append((kind, detail))

    def _flush(self) -> None:
        """Write the notes of the threads into the store's log; only the worker does."""
        while self._log_lines:
            if self._store is not None:
                self._store.log(*self._log_lines[0])
            self._log_lines.popleft()

    def _changed(self) -> None:
        """Tell the state when it is another than what was told last."""
        state = self._board.state
        if state != self._told:
            self._told = state
            self._note("state", state)
            self._publish(Event("state", self.status(), self._board.slide, detail=state))

    def _publish(self, event: Event) -> None:
        self._hub.publish(event)

    def _warnings(self, counters: Counters) -> tuple[str, ...]:
        found = [*self._assessor.notes, *self._camera.facts.warnings]
        if trouble := self._reader.sight.trouble:
            found.append(f"This frame is not assessed: {trouble}.")
        if counters.dropped:
            found.append(
                f"Fields that waited and were given up: {counters.dropped}; the work is slower "
                "than the camera, or was ended."
            )
        return tuple(found)
