"""The part of a report about int8: where ranges came from, what each group of layers costs."""

from typing import Annotated

from pydantic import ConfigDict, Field

from allnet_edge.spec.base import Frozen

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Part(Frozen):
    model_config = ConfigDict(allow_inf_nan=False)


class RangeTrial(_Part):
    """One way to take ranges that was tried on validation cells.

    Attributes:
        cells: None where it was not tried, since another way gives the same ranges.
        logit_snr_db: None where int8 and float gave the same logits.
        why: Chosen, or what spoke against it.
    """

    estimator: str
    bias_correction: bool
    cells: Count | None
    logit_snr_db: float | None
    flips: Count | None
    max_abs_difference: Share | None
    why: str


class RangeStability(_Part):
    """How far the ranges of two disjoint halves of the calibration set are apart, relatively."""

    median: float
    worst: float
    worst_tensor: str | None
    stable: bool


class GroupCost(_Part):
    """What quantizing only these layers costs on the validation cells."""

    group: str
    layers: Count
    macs: Count
    logit_snr_db: float | None
    auc_drop: float
    flips: Count


class MixtureTried(_Part):
    """A form of the search for the fewest multiply-accumulates in higher precision.

    Attributes:
        kept: Groups in higher precision.
        macs_share: Share of the multiply-accumulates that is not int8.
        why: What was missed; None where it is acceptable.
    """

    kept: tuple[str, ...]
    macs_share: Share
    flips: Count | None
    why: str | None


class FormatQuantization(_Part):
    """Of one file format.

    Attributes:
        checked: What was found to hold of the int8 graph that was written, in sentences.
        operators: How many operators compute in int8, and which do not; None for ONNX, where the
            rules that were checked say it.
        constant: Tensors with one value on all calibration images: what computes them counts for
            nothing.
        mixed: Why there is a mixed form, or why there is none; None where it was not asked for.
    """

    format: str
    estimator: str
    bias_correction: bool
    stability: RangeStability | None
    trials: tuple[RangeTrial, ...]
    checked: tuple[str, ...] = ()
    operators: str | None = None
    constant: tuple[str, ...] = ()
    parts: tuple[GroupCost, ...] = ()
    blocks: tuple[GroupCost, ...] = ()
    mixed: str | None = None
    tried: tuple[MixtureTried, ...] = ()


class Quantization(_Part):
    """How the float graphs became int8.

    Attributes:
        images: Calibration images, of the training part.
        selection: Validation cells that mixtures were judged on.
    """

    images: Count
    selection: Count | None
    formats: tuple[FormatQuantization, ...]
