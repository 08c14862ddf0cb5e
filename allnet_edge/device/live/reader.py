"""The thread that reads the camera and chooses which frames are fields."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic, monotonic_ns

from allnet_edge.device.cameras.frame import Camera, Frame
from allnet_edge.device.cameras.health import FrameCheck
from allnet_edge.device.fields.assess import refused_field
from allnet_edge.device.fields.results import FieldResult, Reason
from allnet_edge.device.live.board import Board, Item
from allnet_edge.device.live.novelty import FieldChooser
from allnet_edge.device.live.settings import Capture
from allnet_edge.errors import CameraError, FrameTimeout, ImageError

AGAIN_S = 0.2
WAIT_S = 0.5  # a session that ends waits no longer than this for a frame
BACK_S = 1.0  # a wall clock that goes back by less is being adjusted, not set


@dataclass
class Sight:
    """What the reader last saw; other threads may look at any time.

    Attributes:
        frame: The newest whole frame.
        trouble: Why the newest frame is no usable field, in words; empty where it is.
    """

    frame: Frame | None = None
    trouble: str = ""


class Reader(threading.Thread):
    """Reads until the session stops or the source ends.

    Args:
        camera: Open.
        board: Where fields go and frames are accounted for.
        capture: How fields are chosen.
        check: Of whole frames.
        timeout_s: Without a frame for so long the camera counts as lost.
        log: Told what happened: a kind and a detail.
        changed: Called after each frame.
    """

    def __init__(
        self,
        camera: Camera,
        board: Board,
        *,
        capture: Capture,
        check: FrameCheck,
        timeout_s: float,
        log: Callable[[str, str], None],
        changed: Callable[[], None],
    ) -> None:
        super().__init__(name="allnet-edge reader", daemon=True)
        self.sight = Sight()
        self._camera, self._capture, self._board = camera, capture, board
        self._timeout_s, self._log, self._changed = timeout_s, log, changed
        self._chooser, self._check = FieldChooser(), check
        self._slide: int | None = None
        self._last: Frame | None = None
        self._heard = monotonic()

    def run(self) -> None:
        """See ``Thread``."""
        try:
            while not self._board.stopping:
                wish = self._capture == "manual"
                waits = self._camera.finite
                if not waits or self._board.wait_for_work(WAIT_S, wish=wish):
                    self._read()
                    self._changed()
        except BaseException as error:  # noqa: BLE001 - told to whoever runs the session
            self._board.fail(error)
            self._changed()

    def _read(self) -> None:
        try:
            frame = self._camera.read(min(self._timeout_s, WAIT_S))
        except ImageError as error:
            self._found()
            self._damaged(error)
            return
        except CameraError as error:
            self._missed(error)
            return
        if frame is None:
            self._board.set_ended(True)
            return
        self._found()
        self._account(frame)
        self.sight.frame = frame
        self._settle(frame)

    def _settle(self, frame: Frame) -> None:
        """Put one whole frame where it belongs."""
        slide = self._board.accepting
        if slide is not None and slide != self._slide:
            self._slide = slide
            self._chooser.forget()
            self._check.reset()
        why = self._check.check(frame)
        self.sight.trouble = "" if why is None else why[1]
        if slide is None:
            self._board.pass_over("passed")
        elif why is not None:
            self._refuse(slide, frame, *why)
        elif self._is_field(frame):
            self._board.offer(Item(slide, frame.at_ns, frame))

    def _is_field(self, frame: Frame) -> bool:
        if self._capture == "every":
            return True
        if self._capture == "manual":
            granted = self._board.grant()
            if not granted:
                self._board.pass_over("passed")
            return granted
        choice = self._chooser.look(frame.rgb)
        if choice != "new":
            self._board.pass_over(choice)
        return choice == "new"

    def _refuse(self, slide: int, frame: Frame, reason: Reason, detail: str) -> None:
        """Of a source that ends every picture was wanted, and so is stored with its reason."""
        if not self._camera.finite:
            self._board.pass_over("refused")
            return
        result = refused_field(frame, reason, detail)
        self._board.report(Item(slide, frame.at_ns, None, result), "refused")

    def _damaged(self, error: ImageError) -> None:
        slide = self._board.accepting
        if slide is None or not self._camera.finite:
            self._board.pass_over("damaged")
            self._log("damaged frame", error.what)
            return
        number = self._board.counters.read
        name = "" if error.where is None else Path(error.where).name
        taken = datetime.now(timezone.utc)
        result = FieldResult(number, name, taken, 0, 0, (), Reason.damaged, error.what)
        self._board.report(Item(slide, monotonic_ns(), None, result), "damaged")

    def _missed(self, error: CameraError) -> None:
        late = isinstance(error, FrameTimeout)
        if late and (self._camera.finite or monotonic() - self._heard < self._timeout_s):
            return
        if self._board.set_lost(True):
            self._log("camera lost", error.what)
        self._changed()
        self._board.pause(AGAIN_S)

    def _found(self) -> None:
        self._heard = monotonic()
        if self._board.set_lost(False):
            self._log("camera back", self._camera.facts.source)

    def _account(self, frame: Frame) -> None:
        """Frames that the camera lost before they were read, and a wall clock that was set back."""
        last, self._last = self._last, frame
        if last is None:
            return
        if frame.number > last.number + 1:
            self._board.miss(frame.number - last.number - 1)
        back = (last.taken - frame.taken).total_seconds()
        if back > BACK_S:
            self._log("clock set back", f"the wall clock went back by {back:.0f} s")
