"""Does every candidate that can run here still give what it gave when the bundle was made?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.device_files import GoldenCheck
from allnet_edge.artifacts.golden import ENGINE_TOLERANCE, Golden
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.engines.base import Probabilities
from allnet_edge.engines.opening import open_candidate
from allnet_edge.errors import (
    ConversionError,
    DeviceMismatchError,
    EnvironmentMismatch,
    IntegrityError,
)
from allnet_edge.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """The golden tensors of one candidate, run again.

    Attributes:
        candidate: Its id.
        status: ``match``, ``differ``, ``not run`` where its runtime or its GPU is not here, or
            ``unfit`` for an engine that was made for another device.
        largest: Largest absolute difference of a probability; None where it did not run.
        tolerance: Largest allowed one; None where the bundle has no golden outputs for it.
        why: What went wrong, in words; empty where it matches.
    """

    candidate: str
    status: Literal["match", "differ", "not run", "unfit"]
    largest: float | None
    tolerance: float | None
    why: str = ""

    @property
    def record(self) -> GoldenCheck:
        """As a sidecar holds it."""
        status = "not run" if self.status == "unfit" else self.status
        return GoldenCheck(
            status=status, largest=self.largest, tolerance=self.tolerance, why=self.why
        )


def check_golden(
    bundle: Bundle, *, threads: int | None = None, progress: Progress = silent
) -> list[GoldenResult]:
    """Run the golden images through every candidate of a bundle, engines included."""
    return list(_check_all(bundle, threads, progress))


def _check_all(bundle: Bundle, threads: int | None, progress: Progress) -> Iterator[GoldenResult]:
    golden, candidates = bundle.golden(), bundle.candidates
    for done, candidate in enumerate(candidates):
        progress("golden tensors", done, len(candidates))
        yield check_candidate(bundle, candidate, golden, threads)
    progress("golden tensors", len(candidates), len(candidates))


def check_candidate(
    bundle: Bundle, candidate: Candidate, golden: Golden, threads: int | None = None
) -> GoldenResult:
    """Run the golden images through one candidate."""
    source, least = _origin(bundle, candidate)
    expected = golden.outputs.get(source)
    if expected is None:
        return GoldenResult(candidate.id, "differ", None, None, "no golden outputs in the bundle")
    tolerance = max(golden.tolerance[source], least)
    try:
        with open_candidate(bundle, candidate, threads) as runner:
            actual = runner.infer(golden.images)
    except DeviceMismatchError as error:
        return GoldenResult(candidate.id, "unfit", None, tolerance, error.what)
    except EnvironmentMismatch as error:
        return GoldenResult(candidate.id, "not run", None, tolerance, error.what)
    except (ConversionError, IntegrityError) as error:
        return GoldenResult(candidate.id, "differ", None, tolerance, error.what)
    except ValueError as error:  # golden images of another shape than the model's input
        return GoldenResult(candidate.id, "differ", None, tolerance, str(error))
    largest, why = _compare(actual, expected, tolerance)
    return GoldenResult(candidate.id, "differ" if why else "match", largest, tolerance, why)


def _origin(bundle: Bundle, candidate: Candidate) -> tuple[str, float]:
    """Whose golden outputs hold for a candidate, and the least tolerance."""
    for engine in bundle.device.engines:
        if engine.id == candidate.id:
            return engine.source, ENGINE_TOLERANCE[candidate.precision]
    return candidate.id, 0.0


def _compare(
    actual: Probabilities, expected: Probabilities, tolerance: float
) -> tuple[float | None, str]:
    """The largest difference, and in words why that is too much; empty where it is not."""
    if actual.shape != expected.shape:
        return None, f"gives {list(actual.shape)}, not {list(expected.shape)}"
    largest = float(np.max(np.abs(actual - expected), initial=0))
    # The negation holds for NaN, too.
    why = "" if largest <= tolerance else f"differs by {largest:.3g}, allowed {tolerance:.3g}"
    return largest, why
