"""The gate again on this machine, for every candidate that runs here."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.device.gate import DeviceGate
from allnet_edge.engines.opening import open_candidate, select
from allnet_edge.errors import DeviceMismatchError, EnvironmentMismatch
from allnet_edge.measure.gate_report import GateCandidate, GateReport
from allnet_edge.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class JudgedAgain:
    """Verdicts found here.

    Attributes:
        in_use: Of the candidate that this machine uses by default; None where it was not judged.
    """

    report: GateReport
    in_use: GateCandidate | None


def misfit_of(bundle: Bundle) -> str | None:
    """Why what this device compiled cannot be used here; None where nothing stands against it."""
    try:
        select(bundle)
    except DeviceMismatchError as error:
        return error.what
    except EnvironmentMismatch:  # no runtime at all: told with the golden tensors
        return None
    return None


def judge_again(
    bundle: Bundle,
    data: Path,
    candidates: Collection[str],
    *,
    threads: int | None = None,
    progress: Progress = silent,
) -> JudgedAgain:
    """Judge candidates on the cells of the build's gate.

    Args:
        bundle: With the float network's frozen answers.
        data: Where the images lie, in any layout.
        candidates: Ids of those that run here.
        threads: CPU threads; None for all usable cores.
        progress: Told as it goes on.

    Raises:
        UsageError: No such folder, or a bundle without frozen answers.
        DataError: Cells that are not there.
    """
    gate = DeviceGate.open(bundle, data, progress)
    judged: list[GateCandidate] = []
    for name in candidates:
        candidate = bundle.candidate(name)
        with open_candidate(bundle, candidate, threads) as runner:
            judged.append(gate.judge(bundle, candidate, runner, progress))
    try:
        used = select(bundle).candidate.id
    except EnvironmentMismatch:  # told with the golden tensors
        used = None
    return JudgedAgain(gate.report(judged), next((one for one in judged if one.id == used), None))
