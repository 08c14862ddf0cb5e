"""The thread that assesses fields and stores them: what it tells of is on disk."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from time import monotonic_ns
from typing import TypeVar

from allnet_edge.device.fields.assess import FieldAssessor
from allnet_edge.device.fields.results import FieldResult
from allnet_edge.device.live.board import Board, Item
from allnet_edge.device.live.bundle_watch import BundleWatch
from allnet_edge.errors import StorageError

IDLE_S = 0.5

Result = TypeVar("Result")
AtWork = Callable[[], AbstractContextManager[None]]


class Worker(threading.Thread):
    """Takes one field after the other until the session stops.

    Args:
        assessor: Used by this thread alone.
        board: Where fields come from.
        watch: Asked before each field whether the bundle is unchanged.
        store: Puts a result on disk and returns the ids of its cells.
        stored: Told of each result that is on disk: item, result, ids, nanoseconds since the
            frame arrived.
        idle: Called while nothing waits.
        changed: Called when the work stops or goes on.
        at_work: Entered while a field is in work, from assessing to telling.
    """

    def __init__(
        self,
        assessor: FieldAssessor,
        board: Board,
        watch: BundleWatch,
        *,
        store: Callable[[Item, FieldResult], tuple[int, ...]],
        stored: Callable[[Item, FieldResult, tuple[int, ...], int], None],
        idle: Callable[[], None],
        changed: Callable[[], None],
        at_work: AtWork,
    ) -> None:
        super().__init__(name="allnet-edge worker", daemon=True)
        self._assessor, self._board, self._watch = assessor, board, watch
        self._store, self._stored, self._idle, self._changed = store, stored, idle, changed
        self._at_work = at_work

    def run(self) -> None:
        """See ``Thread``."""
        try:
            while not self._board.stopping:
                item = self._board.take(IDLE_S)
                if item is not None:
                    with self._at_work():
                        self._work(item)
                else:
                    self._watch.check()
                    self._until_stored(self._idle)
        except BaseException as error:  # noqa: BLE001 - told to whoever runs the session
            self._board.fail(error)
        self._changed()

    def _work(self, item: Item) -> None:
        self._watch.check()
        result = item.refused if item.frame is None else self._assessor.assess(item.frame)
        if result is None:
            raise ValueError("an item holds a frame or what was refused")
        ids = self._until_stored(lambda: self._store(item, result))
        if ids is not None:
            self._stored(item, result, ids, monotonic_ns() - item.at_ns)
            self._board.done(item)
            self._changed()

    def _until_stored(self, act: Callable[[], Result]) -> Result | None:
        """Do what writes to the disk; where the disk refuses, again when the operator says so.

        None when the session ended before: the result was never told, so nobody relies on it.
        """
        while not self._board.stopping:
            with suppress(StorageError), self._board.failing_on(StorageError):
                return act()
            self._changed()
            if not self._board.wait_until_going_on():
                break
        return None
