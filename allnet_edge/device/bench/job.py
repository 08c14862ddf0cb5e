"""What travels between `bench` and the processes that measure for it."""

from pathlib import Path

from allnet_edge.measure.latency import Mode
from allnet_edge.measure.one_process import Terms
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.scenario import Scenario


class Job(Frozen):
    """One candidate in one fresh process.

    Attributes:
        bundle: Its folder.
        candidate: Id of the candidate.
        threads: CPU threads; None for all usable cores.
        images: Image files to ask with; None for the bundle's golden phantoms.
        mode, scenario, frames_a_second, slide_cells, least_queries: As in ``Terms``.
        samples: The file that gets every raw sample.
        process: Its number, from 1.
    """

    bundle: Path
    candidate: str
    threads: int | None
    images: tuple[Path, ...] | None
    mode: Mode
    scenario: Scenario
    frames_a_second: float
    slide_cells: int
    least_queries: int
    samples: Path
    process: int

    @property
    def terms(self) -> Terms:
        """How it is measured."""
        return Terms(
            self.mode, self.scenario, self.frames_a_second, self.slide_cells, self.least_queries
        )


class Answer(Frozen):
    """What a process tells at its end; every sample is in its file.

    Attributes:
        load_ms: From file to a runner that can be asked, the runtime's libraries apart.
        first_ms: The very first query.
        warm_queries, settled, other_load: As in ``LatencyRun``.
        batch: Images of a query.
        frames: That a camera gave, and of these those that were dropped.
        threads: CPU threads that the runner used.
        delegate: What the runtime hands its operators to, where it tells.
        peak_rss_mb: Most memory that the process held.
        artifact_sha256: Of the file that was measured, read after the run.
    """

    load_ms: float
    first_ms: float
    warm_queries: int
    settled: bool
    other_load: float | None
    batch: int
    frames: tuple[int, int] | None
    threads: int
    delegate: str | None
    peak_rss_mb: float
    artifact_sha256: str


class Tick(Frozen):
    """How a process stands: told a few times a second, between queries.

    Attributes:
        phase: ``loading``, or that of the ``Pulse``.
        seconds: That the phase has lasted, of at least ``of_seconds``.
        n: Queries of the phase.
        recent_ms: Median of the last of them.
    """

    phase: str
    seconds: float = 0.0
    of_seconds: float = 0.0
    n: int = 0
    recent_ms: float | None = None
