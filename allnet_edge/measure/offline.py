"""The offline scenario: how many cells a second, when a whole slide waits.

A query is a slide: its image files are decoded ahead by threads while the network works, as a
program that has all files would do. The batch of the runners is 1, so that one cell's result does
not depend on its neighbours.
"""

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from itertools import cycle, islice
from types import MappingProxyType

from allnet_edge.data.images import Tensor, decoding_threads, load
from allnet_edge.engines.base import Runner
from allnet_edge.measure.latency import Mode, Plan
from allnet_edge.measure.queries import Decide, Workload

SLIDE_CELLS = 500
"""Cells of one slide. OUR READING: a marrow differential counts 500 nucleated cells (ICSH 2008)."""

_AHEAD = 16

# A slide takes seconds, so that few are enough for a median, and percentiles stay null.
OFFLINE_PLANS: Mapping[Mode, Plan] = MappingProxyType(
    {
        "quick": Plan(1, 0, 0, 1, 2, 3, 60, cov_limit=10.0, strict=False),
        "standard": Plan(2, 10, 120, 1, 5, 60, 3600, cov_limit=0.025, strict=True),
        "full": Plan(2, 10, 120, 1, 5, 600, 7200, cov_limit=0.025, strict=True),
    }
)


class Slide:
    """A query: every cell of one slide, from its file to its decision.

    Args:
        cells: Of a slide; the workload's images are taken in turn.
    """

    def __init__(
        self, runner: Runner, workload: Workload, decide: Decide, cells: int = SLIDE_CELLS
    ) -> None:
        self.cells = cells
        self._infer, self._decide, self._workload = runner.infer, decide, workload

    def __call__(self) -> object:
        """Ask once."""
        sources = islice(cycle(self._workload.sources), self.cells)
        preprocess = self._workload.preprocess
        with decoding_threads(1) as pool:
            waiting: deque[Future[Tensor]] = deque()
            for source in sources:
                waiting.append(pool.submit(load, source, preprocess))
                if len(waiting) > _AHEAD:
                    self._answer(waiting.popleft())
            for future in waiting:
                self._answer(future)
        return None

    def _answer(self, image: "Future[Tensor]") -> None:
        self._decide(self._infer(image.result()[None]))
