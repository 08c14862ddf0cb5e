"""Work on a slide with a camera: from live fields of view to a summary."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app
from allnet_edge.cli.views.field import field_json, header
from allnet_edge.cli.views.scale import MicrometresOption, ProfileOption, profile_of
from allnet_edge.cli.views.slide import progress_line, summary_table
from allnet_edge.intended import RESEARCH_USE

if TYPE_CHECKING:
    from allnet_edge.device.fields.summary import SlideSummary
    from allnet_edge.device.live.events import Event, Subscription
    from allnet_edge.device.live.session import Live
    from allnet_edge.device.live.status import LiveStatus

UNUSABLE, INTERRUPTED = 9, 130
EVENTS = 4096  # lines that a reader of our stdout may be behind
TOLD_EVERY_S, WAKE_S = 5.0, 0.2

app = verb_app()


class Format(str, Enum):
    """How people or programs read the result, without --json."""

    table = "table"
    jsonl = "jsonl"


class CaptureChoice(str, Enum):
    """Which frames are fields."""

    auto = "auto"
    every = "every"


@app.command()
def run(
    *,
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    source: Annotated[
        str,
        typer.Option(
            help="csi://0, v4l2:///dev/video0, rtsp://..., http://... (MJPEG), a folder, an image "
            "or a video."
        ),
    ],
    store: Annotated[
        Path | None, typer.Option(help="Keep the slide in the store of this folder.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the slide; no patient data, please.")] = "",
    profile: ProfileOption = None,
    um_per_px: MicrometresOption = None,
    capture: Annotated[
        CaptureChoice | None,
        typer.Option(
            help="auto: a field that stands still and is new; every: each frame. By default every "
            "for images, else auto."
        ),
    ] = None,
    shadow: Annotated[
        str | None, typer.Option(help="Ask this candidate, too, and count disagreements.")
    ] = None,
    candidate: Annotated[
        str | None, typer.Option(help="Use this candidate, not the bundle's choice.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so long.")] = None,
    max_fields: Annotated[
        int | None, typer.Option(min=1, help="End after so many assessed fields.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Files: so many a second, like a live camera.")
    ] = None,
    repeat: Annotated[
        bool, typer.Option("--repeat", help="Files: begin again at the end.")
    ] = False,
    keep_pictures: Annotated[
        bool, typer.Option("--keep-pictures", help="Store pictures of fields and cells, too.")
    ] = False,
    form: Annotated[
        Format, typer.Option("--format", help="jsonl: a line a field, when it is stored.")
    ] = Format.table,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Work on a slide: find the white cells of each field, decide on them, sum the slide up.

    Ends at the end of the files, after --seconds or --max-fields, or with Ctrl-C or SIGTERM: then
    the field in work is finished and stored, and the exit code is 130. Exit codes else: 0, 3 camera
    or disk, 7 bundle changed, 9 no usable field.
    """
    from allnet_edge.artifacts.bundle import Bundle
    from allnet_edge.device.cameras.opening import open_camera
    from allnet_edge.device.cameras.reconnect import Reconnecting
    from allnet_edge.device.fields.assess import FieldAssessor
    from allnet_edge.device.live.session import Live
    from allnet_edge.device.live.settings import LiveSettings
    from allnet_edge.device.session import Session
    from allnet_edge.device.store.store import Store

    console = Console(as_json=as_json, quiet=quiet)
    opened, known = Bundle.open(bundle), profile_of(profile, um_per_px)
    settings = LiveSettings(
        capture=None if capture is None else capture.value,
        keep_pictures=keep_pictures,
        most_fields=max_fields,
    )
    camera = Reconnecting(lambda: open_camera(source, known, rate_hz=rate, repeat=repeat))
    with ExitStack() as stack:
        session = stack.enter_context(Session(opened, candidate=candidate, threads=threads))
        beside = None
        if shadow is not None:
            beside = stack.enter_context(Session(opened, candidate=shadow, threads=threads))
        scale, how = known.scale(opened.appearance, opened.sha256)
        assessor = FieldAssessor(session, scale=scale, scale_known=how, shadow=beside)
        console.say(RESEARCH_USE)
        for note in assessor.notes:
            console.warn(note)
        kept = None if store is None else stack.enter_context(Store.open(store))
        stop = stack.enter_context(_signals())
        live = stack.enter_context(Live(assessor, camera, store=kept, settings=settings))
        status, summary = _work(live, name, _Until(stop, seconds), console, form)
        interrupted = stop.is_set()
    found = {"status": status.to_json(), "summary": summary.to_json()}
    if form is Format.jsonl and not as_json:
        console.line(json.dumps({"kind": "summary", **header(session), **found}))
    else:
        console.result(header(session) | found, summary_table(summary, status))
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if summary.fields == 0:
        console.warn("no field could be used")
        raise typer.Exit(UNUSABLE)


class _Until:
    """When a slide ends, apart from what the source says."""

    def __init__(self, stop: threading.Event, seconds: float | None) -> None:
        self._stop = stop
        self._until = None if seconds is None else time.monotonic() + seconds

    @property
    def interrupted(self) -> bool:
        return self._stop.is_set()

    @property
    def over(self) -> bool:
        late = self._until is not None and time.monotonic() >= self._until
        return late or self._stop.is_set()


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set the event: the field in work is finished. A second one leaves the
    summary out.
    """
    stop = threading.Event()

    def asked(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _work(
    live: "Live", name: str, until: _Until, console: Console, form: Format
) -> "tuple[LiveStatus, SlideSummary]":
    lines = form is Format.jsonl and not console.as_json
    with live.subscribe(EVENTS) as events:
        live.start_slide(name)
        _follow(live, events, until, console, lines=lines)
        if live.error is None:
            why = "interrupted" if until.interrupted else "ended"
            live.end_slide(why, finish_waiting=not until.interrupted)
        while (event := events.get(0)) is not None:
            _tell(event, console, lines=lines)
        if events.dropped and lines:
            console.warn(f"{events.dropped} lines were not printed in time; all fields are stored")
        if live.error is not None:
            raise live.error
    return live.status(), live.summary()


def _follow(
    live: "Live", events: "Subscription", until: _Until, console: Console, *, lines: bool
) -> None:
    """Tell what happens until the slide is over."""
    positive, told = live.assessor.bundle.manifest.positive, time.monotonic()
    while not until.over and live.status().state not in {"finished", "failed"}:
        event = events.get(WAKE_S)
        if event is not None:
            _tell(event, console, lines=lines)
        if time.monotonic() - told >= TOLD_EVERY_S:
            told = time.monotonic()
            console.say(progress_line(live.status(), positive))


def _tell(event: "Event", console: Console, *, lines: bool) -> None:
    if event.kind == "state":
        console.say(event.detail)
    elif event.result is not None and lines:
        line = {"kind": "field", "slide": event.slide, **field_json(event.result, event.cells)}
        console.line(json.dumps(line, ensure_ascii=False))
