"""A bundle at work: from images to decisions, with the runtime that this machine has."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.manifest import Candidate, Threshold
from allnet_edge.data.images import SUFFIXES, load
from allnet_edge.engines.base import Images, Probabilities
from allnet_edge.engines.opening import open_candidate, select
from allnet_edge.errors import ImageError, IntegrityError, UsageError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said about one tensor.

    Attributes:
        probability: 0..1: of the positive class; with more than two classes, of ``label``.
        label: The class on whose side of the threshold it lies, also when abstaining.
        uncertain: Why a person has to look; empty where the probability is clear.
    """

    probability: float
    label: str
    uncertain: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is said about one image.

    Attributes:
        path: The image file.
        probability: 0..1: of the positive class; with more than two classes, of ``label``. None
            where the image is unusable.
        label: The class on whose side of the threshold the image lies, also when abstaining.
        abstained: Whether a person has to look: the probability is too near the threshold, or
            the image is unusable.
        reason: Why it abstained; empty where it did not.
    """

    path: Path
    probability: float | None
    label: str | None
    abstained: bool
    reason: str = ""

    @property
    def usable(self) -> bool:
        """Whether the image could be read at all."""
        return self.probability is not None

    def to_json(self) -> dict[str, object]:
        """Plain data, with ``path`` as it was given."""
        return {
            "path": str(self.path),
            "probability": self.probability,
            "label": self.label,
            "abstained": self.abstained,
            "usable": self.usable,
            "reason": self.reason,
        }


class Session:
    """A bundle's candidate, active; use ``with Session(bundle) as session``.

    Attributes:
        bundle: As opened and verified.
        candidate: The one in use.
        note: Why it is not the bundle's first choice; empty where it is.
        threads: CPU threads as asked for; None for all usable cores.
    """

    def __init__(
        self, bundle: Bundle, *, candidate: str | None = None, threads: int | None = None
    ) -> None:
        selection = select(bundle, candidate)
        self.bundle = bundle
        self.candidate: Candidate = selection.candidate
        self.note = selection.note
        self.threads = threads
        self._runner = open_candidate(bundle, self.candidate, threads)
        self._judge = Judge(bundle, self.candidate)

    @property
    def threshold(self) -> Threshold:
        """How the candidate in use decides."""
        return self.bundle.thresholds[self.candidate.id]

    def __enter__(self) -> "Session":
        self._runner.__enter__()
        size = self.bundle.preprocess.size
        if self._runner.input_shape != (size, size, 3):
            shape = self._runner.input_shape
            self._runner.__exit__(None, None, None)
            raise IntegrityError(
                f"the model takes {shape}, preprocess.json makes ({size}, {size}, 3)",
                where=self.bundle.path(self.candidate.file),
                fix="build the bundle again",
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.__exit__(kind, error, trace)

    def decide(self, path: Path) -> Decision:
        """Decide on one image file; an unusable one is told, not raised."""
        try:
            image = load(path, self.bundle.preprocess)
        except ImageError as error:
            return Decision(path, None, None, abstained=True, reason=f"unusable: {error.what}")
        return self._judge(self.infer(image[np.newaxis]), path)

    def infer(self, images: Images) -> Probabilities:
        """The network's outputs for tensors that ``data.images`` made; see ``Runner.infer``."""
        return self._runner.infer(images)

    def judge(self, outputs: Probabilities, where: object = None) -> list[Verdict]:
        """What the outputs of ``infer`` mean, one verdict an image.

        Raises:
            IntegrityError: A value that is no probability; ``where`` is what it is about.
        """
        return self._judge.verdicts(outputs, where)

    def decide_all(self, paths: Iterable[Path]) -> Iterator[Decision]:
        """Decide on image files one after the other, in order."""
        return map(self.decide, paths)


class Judge:
    """From the network's outputs to decisions, for one candidate of a bundle."""

    def __init__(self, bundle: Bundle, candidate: Candidate) -> None:
        self._classes = bundle.manifest.classes
        self._rule = bundle.thresholds[candidate.id]
        self._id = candidate.id

    def __call__(self, outputs: Probabilities, path: Path) -> Decision:
        """Decide on one image file.

        Args:
            outputs: As ``Runner.infer`` gives them for one image.
            path: The image file.

        Raises:
            IntegrityError: A value that is no probability.
        """
        one = self._verdict(outputs[0], path)
        reason = one.uncertain
        return Decision(path, one.probability, one.label, abstained=bool(reason), reason=reason)

    def verdicts(self, outputs: Probabilities, where: object = None) -> list[Verdict]:
        """The same for a batch of tensors; see ``Session.judge``."""
        return [self._verdict(row, where) for row in outputs]

    def _verdict(self, row: Probabilities, where: object) -> Verdict:
        if row.ndim == 0:
            probability = float(row)
            label = self._classes[int(probability >= self._rule.threshold)]
        else:
            best = int(row.argmax())
            probability, label = float(row[best]), self._classes[best]
        if not 0 <= probability <= 1:  # also NaN
            raise IntegrityError(
                f"candidate {self._id} gave {probability} as a probability",
                where=where,
                fix="run `allnet-edge verify` on the bundle",
            )
        return Verdict(probability, label, _uncertain(probability, self._rule))


def _uncertain(probability: float, rule: Threshold) -> str:
    if rule.abstain is None or not rule.abstain[0] <= probability <= rule.abstain[1]:
        return ""
    low, high = rule.abstain
    return f"uncertain: {probability:.3f} lies between {low:.3f} and {high:.3f}"


def image_files(paths: Iterable[Path]) -> list[Path]:
    """The image files named, and those below the folders named, sorted within each folder.

    A file that is named is taken whatever it is called; in folders, hidden files and other
    suffixes are passed over.

    Raises:
        UsageError: A path that does not exist, or a folder without an image.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise UsageError("no such file or folder", where=path)
            found.append(path)
            continue
        below = [entry for entry in sorted(path.rglob("*")) if _is_image(entry, path)]
        if not below:
            raise UsageError(
                "no image in this folder", where=path, fix=f"known: {', '.join(SUFFIXES)}"
            )
        found.extend(below)
    return found


def _is_image(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()
