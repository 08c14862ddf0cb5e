"""Whether two halves of a calibration set give the same ranges: if not, it is too small."""

from dataclasses import dataclass
from typing import Final

from allnet_edge.convert.estimators import Estimator, estimate_all
from allnet_edge.convert.ranges import Observation

MEDIAN_TOLERANCE: Final = 0.15
"""A step that is 15 % larger makes 1.2 dB more rounding noise: of 8 bits it takes 0.2."""
TENSOR_TOLERANCE: Final = 0.50
"""For one tensor: a factor of two is one bit of the eight."""
SHARE_TOLERANCE: Final = 0.05
"""Of the tensors may be further apart: the range of a nearly dead ReLU hangs on single images, and
hardly counts. Of ALLNet at an eighth of its width, on 2 x 256 phantoms, the worst is at 0.74."""

_DEAD = 1e-6


@dataclass(frozen=True, slots=True)
class Stability:
    """How far the ranges of two halves are apart: |a - b| / max(a, b) of their widths.

    Attributes:
        median: Over tensors.
        share_apart: Of the tensors that are further apart than ``TENSOR_TOLERANCE``.
        worst: The largest, and the tensor that has it.
    """

    median: float
    share_apart: float
    worst: float
    worst_tensor: str

    @property
    def stable(self) -> bool:
        """Within both tolerances."""
        return self.median <= MEDIAN_TOLERANCE and self.share_apart <= SHARE_TOLERANCE

    def to_json(self) -> dict[str, object]:
        """With the tolerances that it was judged by."""
        return {
            "median": round(self.median, 6),
            "median_tolerance": MEDIAN_TOLERANCE,
            "tensor_tolerance": TENSOR_TOLERANCE,
            "share_apart": round(self.share_apart, 6),
            "share_tolerance": SHARE_TOLERANCE,
            "worst": round(self.worst, 6),
            "worst_tensor": self.worst_tensor,
            "stable": self.stable,
        }


def compare_halves(
    first: Observation, second: Observation, estimator: Estimator, *, symmetric: bool
) -> Stability:
    """Estimate the ranges of both halves and compare them.

    Tensors that are 0 on every image of both say nothing and are left out.
    """
    ranges = [estimate_all(half, estimator, symmetric=symmetric) for half in (first, second)]
    apart: list[tuple[float, str]] = []
    for name, one in ranges[0].items():
        other = ranges[1][name]
        sizes = (
            [one.magnitude, other.magnitude]
            if symmetric
            else [max(r.high, 0.0) - min(r.low, 0.0) for r in (one, other)]
        )
        if max(sizes) >= _DEAD:
            apart.append(((max(sizes) - min(sizes)) / max(sizes), name))
    if not apart:
        return Stability(0.0, 0.0, 0.0, "")
    apart.sort()
    middle = (apart[(len(apart) - 1) // 2][0] + apart[len(apart) // 2][0]) / 2
    worst, tensor = apart[-1]
    share = sum(one > TENSOR_TOLERANCE for one, _ in apart) / len(apart)
    return Stability(middle, share, worst, tensor)
