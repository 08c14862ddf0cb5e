"""One server's work: opened in the background while the page is there already, watched, closed."""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from importlib.metadata import version

from allnet_edge.device.live.events import Event
from allnet_edge.device.service import facts, wire
from allnet_edge.device.service.answers import Answers
from allnet_edge.device.service.hub import Hub, encode
from allnet_edge.device.service.live_first import LiveFirst
from allnet_edge.device.service.pictures import JpegOnce
from allnet_edge.device.service.problems import Refusal
from allnet_edge.device.service.settings import ServiceSettings
from allnet_edge.device.service.uploads import Places
from allnet_edge.device.service.workbench import Workbench, WorkOptions, camera_key

TICK_SECONDS = 0.4
NOTE = (
    "What is shown are answers of a network under study. They are not validated for care, and no "
    "decision about a patient may rest on them."
)


class Desk:
    """Start it, use it, close it.

    Args:
        options: What to work with.
        settings: Of the server.

    Attributes:
        hub: Everybody who reads live events.
        places: For uploads.
        answers: Of read routes.
        first: Lets fields go before requests.
        error: What kept the work from being opened; None else.
    """

    def __init__(self, options: WorkOptions, settings: ServiceSettings) -> None:
        self._options, self._settings = options, settings
        self._failed: Callable[[], None] | None = None
        self._bench: Workbench | None = None
        self._newest: wire.FieldOut | None = None
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"allnet-edge {name}", daemon=True)
            for name, work in (("opening", self._open), ("status", self._tick))
        ]
        self.jpegs = {"field": JpegOnce(), "camera": JpegOnce()}
        self.hub = Hub(settings.limits)
        self.answers, self.first = Answers(), LiveFirst()
        self.places = Places(settings.limits.uploads)
        self.error: BaseException | None = None

    def when_failed(self, act: Callable[[], None]) -> None:
        """What to call when the work could not be opened; the error is in ``error`` then."""
        self._failed = act

    def start(self) -> None:
        """Open the work in the background."""
        for thread in self._threads:
            thread.start()

    def close(self) -> bool:
        """End what runs: the field in work is stored, an open slide is ended as interrupted.

        Returns:
            Whether a slide was open.

        Raises:
            AllnetEdgeError: What had ended the work before.
        """
        self._stop.set()
        for thread in self._threads:
            thread.join()
        bench, self._bench = self._bench, None
        if bench is None:
            return False
        open_slide = bench.slide is not None
        error = bench.error
        bench.__exit__(None, None, None)
        if error is not None:
            raise error
        return open_slide

    @property
    def bench(self) -> Workbench:
        """What the work is done with.

        Raises:
            Refusal: Not yet, or not any more.
        """
        if self._bench is None:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the server is starting or ending: the bundle is not in use",
                fix="ask /api/v1/status, and again in a second",
                headers={"Retry-After": "1"},
            )
        return self._bench

    @property
    def settings(self) -> ServiceSettings:
        """Of the server."""
        return self._settings

    def status(self) -> wire.StatusOut:
        """How everything stands now."""
        bench = self._bench
        common = {
            "version": version("allnet-edge"),
            "uptime_s": round(time.monotonic() - self._began, 1),
            "research_note": NOTE,
            "login": self._settings.token is not None,
            "readers": self.hub.readers,
        }
        if bench is None:
            return wire.StatusOut(
                state="starting" if self.error is None else "failed",
                problem=None if self.error is None else facts.problem_of(self.error),
                slide=None,
                live=None,
                capture="",
                calibration=None,
                warnings=[],
                **common,
            )
        live = None if bench.live is None else bench.live.status()
        slide = bench.slide if live is None else live.slide
        return wire.StatusOut(
            state="ready",
            problem=None if bench.error is None else facts.problem_of(bench.error),
            slide=None if slide is None else facts.slide_out(bench.store.slide(slide)),
            live=None if live is None else facts.live_out(bench, live),
            capture="uploads" if live is None else live.capture,
            calibration=wire.CalibrationOut(
                scale=bench.assessor.scale, known=bench.assessor.scale_known
            ),
            warnings=facts.warnings_of(bench, live),
            **common,
        )

    def changed(self) -> None:
        """A slide began or ended: tell all, and keep no older answer."""
        self.answers.changed()
        self.tell_status()

    def tell_status(self) -> None:
        """Send how everything stands to all who read."""
        if self.hub.readers:
            self.hub.publish("status", self.status().model_dump(mode="json"))

    def first_events(self) -> list[bytes]:
        """What a new reader is told at once: how things stand, and the newest field."""
        first = [encode("status", self.status().model_dump(mode="json"))]
        newest = self._newest
        if newest is not None:
            first.append(encode("field", newest.model_dump(mode="json")))
        return first

    def tell_field(self, field: wire.FieldOut) -> None:
        """Send a field just stored to all who read."""
        self._newest = field
        if self.hub.readers:
            self.hub.publish("field", field.model_dump(mode="json"))

    def _open(self) -> None:
        bench = Workbench(self._options, self.first)
        try:
            bench.__enter__()
        except BaseException as error:  # noqa: BLE001 - told to whoever runs the server
            self.error = error
            if self._failed is not None:
                self._failed()
            return
        if self._stop.is_set():
            bench.__exit__(None, None, None)
            return
        if bench.live is not None:
            follower = threading.Thread(
                target=self._follow, args=(bench,), name="allnet-edge events", daemon=True
            )
            follower.start()
            self._threads.append(follower)
        self._bench = bench
        self.changed()

    def _follow(self, bench: Workbench) -> None:
        """Hand on what the live session tells, until it ends."""
        assert bench.live is not None  # noqa: S101 - the thread is started for one alone
        positive = bench.session.bundle.manifest.positive
        with bench.live.subscribe() as events:
            while not self._stop.is_set():
                event = events.get(TICK_SECONDS)
                if event is not None:
                    self._hand_on(event, positive)

    def _hand_on(self, event: Event, positive: str | None) -> None:
        if event.result is None or event.slide is None:
            self.tell_status()
            return
        key = camera_key(event.result.number)
        self.tell_field(facts.field_out(event.slide, key, event.result, event.cells, positive))

    def _tick(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            if self._bench is not None:
                self.tell_status()
