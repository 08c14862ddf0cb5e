"""What a compressed network has to prove before it may be deployed."""

from typing import Literal

from pydantic import Field

from allnet_edge.spec.base import Frozen

Verdict = Literal["pass", "fail", "inconclusive"]


class GateSpec(Frozen):
    """Non-inferiority margins against the float network, on cells that nothing was fitted on.

    Attributes:
        accuracy_ratio: Smallest allowed accuracy(edge) / accuracy(float), a point estimate.
        sensitivity: Largest allowed drop; judged by the one-sided bound of the paired difference.
        specificity: Like ``sensitivity``.
        auc: Largest allowed drop of the ROC area, a point estimate.
        confidence: One-sided confidence of the bounds.
        resamples: Bootstrap resamples of patients, where patients are known.
        seed: Seed of the bootstrap.
    """

    accuracy_ratio: float = Field(default=0.99, gt=0, le=1)
    sensitivity: float = Field(default=0.02, ge=0, lt=1)
    specificity: float = Field(default=0.02, ge=0, lt=1)
    auc: float = Field(default=0.01, ge=0, lt=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    resamples: int = Field(default=2000, ge=200, le=100_000)
    seed: int = 0
