"""What the text files of a bundle hold: manifest.json and threshold.json."""

from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from allnet_edge.spec.base import Frozen
from allnet_edge.spec.gate import Verdict

SCHEMA_VERSION: Final = 1


def _relative(name: str) -> str:
    """A path below the bundle, spelled in one way only, so that no entry can point outside."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name or name == ".":
        raise ValueError(f"{name!r} is not a plain relative path")
    return name


RelativePath = Annotated[str, AfterValidator(_relative)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
CandidateId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Probability = Annotated[float, Field(ge=0, le=1)]


class Candidate(Frozen):
    """One way to run the network on the device.

    Attributes:
        engine: The runtime: a module of ``allnet_edge.engines``.
        file: The model file in the bundle.
        verdict: What the gate said; None where it was not asked.
        chosen: Whether the device uses this one by default; at most one of a bundle.
        why: Why it was chosen or not, in one sentence.
    """

    id: CandidateId
    engine: Literal["litert", "onnx", "tensorrt"]
    precision: Literal["fp32", "fp16", "int8", "mixed"]
    file: RelativePath
    verdict: Verdict | None = None
    chosen: bool = False
    why: str = ""


class Source(Frozen):
    """Where the weights come from.

    Attributes:
        run_sha256: Of the training run's model.json; None for a network trained in the build.
        float_sha256: Of the float weights that every candidate was made from.
        build_key: Identity of the work that made the bundle: equal keys make equal bundles.
    """

    run_sha256: Sha256 | None = None
    float_sha256: Sha256
    build_key: Sha256 | None = None


class DataOrigin(Frozen):
    """The cells that the network was trained and judged on.

    Attributes:
        layout: ``cnmc``, ``aria``, ``folders`` or ``phantom``.
        split: Protocol of the split: ``patient``, ``block``, ``random`` or ``paper``.
        leaking: One patient may stand on both sides of the split: figures are too good.
    """

    layout: str
    split: str
    leaking: bool


class Requires(Frozen):
    """What the device needs.

    Attributes:
        allnet_edge: Oldest version of this package that reads the bundle.
        runtimes: For each engine, the package and version that the gate was passed with.
    """

    allnet_edge: str
    runtimes: dict[str, str] = Field(default_factory=dict)


class BundleManifest(Frozen):
    """``manifest.json``: what the bundle is, and the hash of every other file but the signature.

    Attributes:
        created: ISO 8601, UTC.
        files: SHA-256 of every file, by path relative to the bundle.
        positive: The class whose probability decides; None with more than two classes.
        candidates: In the order in which a device should try them.
        data: Where its figures come from; None where that was not recorded.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str
    model: str
    target: str
    created: str
    source: Source
    files: dict[RelativePath, Sha256]
    classes: tuple[str, ...] = Field(min_length=2)
    positive: str | None
    candidates: tuple[Candidate, ...] = Field(min_length=1)
    requires: Requires
    data: DataOrigin | None = None

    @property
    def phantom(self) -> bool:
        """Whether it is known to be made from synthetic cells alone."""
        return self.data is not None and self.data.layout == "phantom"

    @model_validator(mode="after")
    def _consistent(self) -> "BundleManifest":
        ids = [candidate.id for candidate in self.candidates]
        if len(set(ids)) != len(ids):
            raise ValueError("two candidates have one id")
        if sum(candidate.chosen for candidate in self.candidates) > 1:
            raise ValueError("more than one candidate is chosen")
        absent = [one.file for one in self.candidates if one.file not in self.files]
        if absent:
            raise ValueError(f"candidate file {absent[0]} is not among the files")
        if self.positive is not None and self.positive not in self.classes:
            raise ValueError(f"positive class {self.positive!r} is not among the classes")
        return self


class Threshold(Frozen):
    """How a probability of the positive class becomes a decision, for one candidate.

    Attributes:
        threshold: At or above it the label is positive.
        fitted_on: The split whose cells it was fitted on (``validation``), or ``fixed``.
        abstain: (low, high): from low to high, both included, the device abstains; None: never.
    """

    threshold: Probability
    fitted_on: str
    abstain: tuple[Probability, Probability] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Threshold":
        if self.abstain and not self.abstain[0] <= self.threshold <= self.abstain[1]:
            raise ValueError("the abstain band must hold the threshold: low <= threshold <= high")
        return self
