"""One candidate on this device: golden tensors, then the gate, then the clock."""

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.golden import Golden
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.data.images import load_batch
from allnet_edge.device.choice import Contender
from allnet_edge.device.gate import DeviceGate
from allnet_edge.device.golden_check import check_candidate
from allnet_edge.engines.base import Images, Runner
from allnet_edge.engines.opening import open_candidate
from allnet_edge.measure.latency import LatencyRun, Mode, measure_single_stream
from allnet_edge.measure.queries import Decoded
from allnet_edge.progress import Progress

_IMAGES = 32  # taken in turn; zeros would be faster than any image
_LOST = {
    "differ": "its golden tensors differ here: ",
    "not run": "cannot run here: ",
    "unfit": "does not fit this device: ",
}


class Trial:
    """Tries candidates one after the other, all in the same way.

    Args:
        bundle: With the engines that were just built.
        gate: The gate's cells; None without ``--data``.
        mode: Length of the benchmark.
        threads: CPU threads; None for all usable cores.
        progress: Told as it goes on.

    Attributes:
        remarks: About the times, with the candidate's id.
        why_invalid: Why times cannot be trusted, with the candidate's id.
    """

    def __init__(
        self,
        bundle: Bundle,
        gate: DeviceGate | None,
        *,
        mode: Mode,
        threads: int | None,
        progress: Progress,
    ) -> None:
        self._bundle, self._gate = bundle, gate
        self._mode, self._threads, self._progress = mode, threads, progress
        self._golden: Golden = bundle.golden()
        self._images: Images = self._golden.images
        if gate is not None:
            self._images = load_batch(gate.paths[:_IMAGES], bundle.preprocess)
        self.remarks: list[str] = []
        self.why_invalid: list[str] = []

    def try_out(self, candidate: Candidate) -> Contender:
        """Check, judge and measure; what cannot be used is not measured."""
        self._progress(f"golden tensors of {candidate.id}", 0, 0)
        golden = check_candidate(self._bundle, candidate, self._golden, self._threads)
        lost = _LOST[golden.status] + golden.why if golden.status != "match" else ""
        found = Contender(candidate, lost, golden.record)
        if lost:
            return found
        with open_candidate(self._bundle, candidate, self._threads) as runner:
            gate = None
            if self._gate is not None:
                gate = self._gate.judge(self._bundle, candidate, runner, self._progress)
            if gate is not None and gate.verdict == "fail":
                return Contender(candidate, "", golden.record, gate)
            run = self._measure(candidate, runner)
        self._remember(candidate, run)
        return Contender(candidate, "", golden.record, gate, run.summary)

    def _measure(self, candidate: Candidate, runner: Runner) -> LatencyRun:
        def told(what: str, done: int, total: int) -> None:
            self._progress(f"{candidate.id}: {what}", done, total)

        return measure_single_stream(Decoded(runner, self._images), self._mode, told)

    def _remember(self, candidate: Candidate, run: LatencyRun) -> None:
        self.remarks += [f"{candidate.id}: {text}" for text in run.remarks]
        self.why_invalid += [f"{candidate.id}: {text}" for text in run.why_invalid]
