"""What a build is told: every stage's settings in one document, read from TOML or from flags."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from allnet_edge.errors import RecipeError
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.gate import GateSpec
from allnet_edge.spec.target import Precision
from allnet_edge.spec.training import TrainSettings

_PRUNE = re.compile(
    r"none|2:4|unstructured=(?P<sparsity>0?\.\d+)|channels=(?P<macs>0?\.\d+)(?P<zeros>,2:4)?"
)


class PruneSpec(Frozen):
    """How the float network is pruned before it is exported.

    Attributes:
        kind: ``2:4`` zeroes two of every four weights along the input channels, the pattern that
            sparse tensor cores skip; ``unstructured`` zeroes the smallest weights of a layer;
            ``channels`` removes whole channels, so that a smaller dense network is left.
        sparsity: Share of zeros, for ``unstructured``.
        macs: Share of the multiply-accumulates that is kept at most, for ``channels``.
        importance: By what ``channels`` chooses: first-order Taylor (Molchanov et al. 2019, arXiv
            1906.10771) or the scales of the batch norms (Liu et al. 2017, arXiv 1708.06519).
        steps: In how many steps ``channels`` goes to its budget, with an epoch of fine-tuning
            between two of them.
        two_of_four: With ``channels``, whether the rest is made 2:4 sparse too.
        epochs: Fine-tuning epochs on the training part, after the last step.
        learning_rate: Of Adam while fine-tuning, falling to zero by a cosine.
        distil: Share of the float network's probability in the target that is fine-tuned towards
            (Hinton et al. 2015, arXiv 1503.02531); the rest is the true label. The gate compares
            with the float network, so its answers are what should be kept.
    """

    kind: Literal["none", "2:4", "unstructured", "channels"] = "none"
    sparsity: float = Field(default=0.5, gt=0, lt=1)
    macs: float = Field(default=0.5, gt=0, lt=1)
    importance: Literal["taylor", "bn-scale"] = "taylor"
    steps: int = Field(default=1, ge=1, le=100)
    two_of_four: bool = False
    epochs: int = Field(default=2, ge=1, le=1000)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    distil: float = Field(default=1.0, ge=0, le=1)

    @classmethod
    def parse(cls, text: str, base: "PruneSpec | None" = None) -> "PruneSpec":
        """From the command line: ``none``, ``2:4``, ``unstructured=0.5``, ``channels=0.5`` or
        ``channels=0.5,2:4``.

        Raises:
            RecipeError: Anything else.
        """
        match = _PRUNE.fullmatch(text)
        given = match and (match["sparsity"] or match["macs"])
        share = float(given or 0.5)
        # A text such as 0.0 or 0.9999... may still be a share of nothing or of everything.
        if match is None or not 0 < share < 1:
            raise RecipeError(
                f"--prune does not know '{text}'",
                fix="give none, 2:4, unstructured=S with 0 < S < 1, e.g. unstructured=0.5, or "
                "channels=R or channels=R,2:4 where 0 < R < 1 is the share of the MACs to keep",
            )
        changed: dict[str, object] = {"kind": text.partition("=")[0]}
        if match["sparsity"]:
            changed["sparsity"] = share
        if match["macs"]:
            changed |= {"macs": share, "two_of_four": match["zeros"] is not None}
        return (base or cls()).model_copy(update=changed)


class CalibrationSpec(Frozen):
    """Which images the int8 ranges are taken from: of the training part, equal for both classes.

    Attributes:
        images: How many, at most.
        pinned: A list written by an earlier build (``calibration.json``), to use these very images.
        estimator: How a range is made of what the images show; ``auto`` tries all on validation
            cells, separately for each format.
        bias_correction: Whether biases are corrected for the rounding of weights; ``auto`` does
            where that is nearer to the float network on validation cells.
        selection: Validation cells to choose on, at most.
    """

    images: int = Field(default=512, ge=8, le=100_000)
    seed: int = Field(default=0, ge=0)
    pinned: Path | None = None
    estimator: Literal[
        "auto",
        "min-max",
        "percentile-99.9",
        "percentile-99.99",
        "percentile-99.999",
        "entropy",
        "mse",
    ] = "auto"
    bias_correction: bool | Literal["auto"] = "auto"
    selection: int = Field(default=256, ge=8, le=100_000)


class QatSpec(Frozen):
    """Quantization-aware training, for networks that lose too much without.

    Attributes:
        epochs: On the training part; 0 for none.
        learning_rate: Of Adam, falling to zero by a cosine.
        distil: Share of the float network's probability in the target; the rest is the label.
    """

    epochs: int = Field(default=0, ge=0, le=1000)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    distil: float = Field(default=1.0, ge=0, le=1)


class MixedSpec(Frozen):
    """How layers are looked for that int8 costs too much in.

    Attributes:
        images: Validation cells to judge forms on, at most; half of each class.
        sensitivity: What is measured even where int8 is acceptable: the cost of quantizing only
            one ``part`` (a tower of ALLNet), only one ``block``, or nothing.
    """

    images: int = Field(default=256, ge=16, le=100_000)
    sensitivity: Literal["none", "parts", "blocks"] = "none"


class AppearanceSpec(Frozen):
    """What a device is told of how the training cells looked.

    Attributes:
        cells: Training cells that are looked at, and validation cells, at most so many of each.
        um_per_px: Micrometres to a pixel of a training image, if they are known: then a calibrated
            microscope can show cells at their true size.
    """

    cells: int = Field(default=500, ge=20, le=100_000)
    um_per_px: float | None = Field(default=None, gt=0, le=10)


class BenchSpec(Frozen):
    """How latency is measured on the machine that builds.

    Attributes:
        threads: CPU threads of one inference; None takes all usable cores.
    """

    mode: Literal["quick", "standard", "full"] = "quick"
    threads: int | None = Field(default=None, ge=1)


class PhantomSpec(Frozen):
    """The synthetic cells of the embedded default."""

    images: int = Field(ge=60)
    patients: int = Field(ge=6)
    seed: int = Field(default=0, ge=0)


class Recipe(Frozen):
    """All settings of one build.

    Attributes:
        precisions: Candidates to make, as far as the target can use them.
        equalise: Whether channels are given like ranges before the export (cross-layer
            equalisation, Nagel et al. 2019, arXiv 1906.04721).
        phantom, train: Only without ``--run``: what is generated, and what is trained on it.
    """

    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8", "mixed")
    prune: PruneSpec = PruneSpec()
    equalise: bool = False
    qat: QatSpec = QatSpec()
    calibration: CalibrationSpec = CalibrationSpec()
    mixed: MixedSpec = MixedSpec()
    gate: GateSpec = GateSpec()
    appearance: AppearanceSpec = AppearanceSpec()
    bench: BenchSpec = BenchSpec()
    phantom: PhantomSpec | None = None
    train: TrainSettings | None = None

    @model_validator(mode="after")
    def _embedded(self) -> "Recipe":
        if (self.phantom is None) != (self.train is None):
            raise ValueError("phantom and train belong together: give both or none")
        return self
