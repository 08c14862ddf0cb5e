"""What each form would take on the target's GPU, by the roofline; never a measurement."""

from collections.abc import Sequence
from pathlib import Path

from allnet_edge.errors import UsageError
from allnet_edge.progress import Progress
from allnet_edge.report.pareto_document import EstimatedLatency
from allnet_edge.roofline.estimate import estimate
from allnet_edge.roofline.gpu import gpu_of
from allnet_edge.spec.target import Precision, Target


def can_estimate(target: Target) -> bool:
    """Whether the latency model knows a GPU of this target that runs its ONNX graphs."""
    if "tensorrt" not in target.runtimes:
        return False
    try:
        gpu_of(target)
    except UsageError:
        return False
    return True


def estimate_all(
    files: Sequence[tuple[str, Path, Precision]], target: Target, progress: Progress
) -> dict[str, EstimatedLatency]:
    """The estimate of every graph.

    Args:
        files: SHA-256, path and precision of ONNX graphs; equal contents are estimated once.

    Returns:
        By SHA-256.

    Raises:
        ConversionError: A graph cannot be read, or its shapes are not fixed.
        UsageError: Graph and precision contradict each other.
    """
    distinct = {sha: (path, precision) for sha, path, precision in files}
    found = {}
    for done, (sha, (path, precision)) in enumerate(distinct.items(), start=1):
        one = estimate(path, target, precision)
        found[sha] = EstimatedLatency(
            milliseconds=one.milliseconds,
            error_median=one.error.median,
            error_p90=one.error.p90,
            error_n=one.error.n,
        )
        progress("latency on the target, estimated", done, len(distinct))
    return found
