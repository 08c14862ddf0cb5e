"""The cells that a gate judges on, and the proof that nothing was fitted on them."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from allnet_edge.errors import DataError, SplitError
from allnet_edge.measure.metrics import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Held-out cells, in one fixed order that every array of scores follows.

    Attributes:
        ids: Sample ids, unique.
        sha256s: Of each image file, unique: a copy would count one cell twice.
        labels: True for the positive class, bool ``(n,)``, both classes present.
        patients: One name a cell, or None where patients are not known.

    Raises:
        DataError: No cell, one class only, lengths that differ, or a cell that occurs twice.
    """

    ids: tuple[str, ...]
    sha256s: tuple[str, ...]
    labels: BoolArray
    patients: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        # 0/1 integers would turn `~labels` into -1/-2 without a word.
        object.__setattr__(self, "labels", np.asarray(self.labels, dtype=np.bool_).reshape(-1))
        lengths = {len(self.ids), len(self.sha256s), len(self.labels)}
        if self.patients is not None:
            lengths.add(len(self.patients))
        if len(lengths) != 1:
            raise DataError(f"ids, hashes, labels and patients differ in length: {sorted(lengths)}")
        if not self.labels.any() or self.labels.all():
            raise DataError(
                f"{len(self)} held-out cells, {int(self.labels.sum())} of them positive: "
                "a gate needs cells of both classes",
                fix="hold out cells of both classes",
            )
        for name, values in (("id", self.ids), ("file hash", self.sha256s)):
            twice = len(values) - len(set(values))
            if twice:
                raise DataError(
                    f"{twice} held-out cells repeat the {name} of another one",
                    fix="keep one copy of each image; `allnet-edge data check` lists the copies",
                )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def positives(self) -> int:
        """Cells of the positive class."""
        return int(self.labels.sum())

    @property
    def negatives(self) -> int:
        """Cells of the negative class."""
        return len(self) - self.positives

    @property
    def patient_count(self) -> int | None:
        """Patients, or None where unknown."""
        return None if self.patients is None else len(set(self.patients))


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What one network says about the cells.

    Attributes:
        scores: Probability of the positive class, 0..1, float ``(n,)``, in the order of the cells.
        threshold: A cell is called positive at this score or above.
    """

    scores: FloatArray
    threshold: float

    @property
    def decisions(self) -> BoolArray:
        """Which cells are called positive, bool ``(n,)``."""
        values = np.asarray(self.scores, dtype=np.float64).reshape(-1)
        return np.asarray(values >= self.threshold)


def require_unseen(
    cells: Cells, *, used_for: str, sha256s: Collection[str], patients: Collection[str] = ()
) -> None:
    """Refuse cells on which something was fitted.

    Args:
        cells: Of the gate.
        used_for: What the others were used for, for the message: ``training``, ``calibration``.
        sha256s: Files of the others.
        patients: Patients of the others; leave empty where a split is known to share patients.

    Raises:
        SplitError: A shared file or a shared patient; names the first.
    """
    files = set(sha256s)
    shared = [i for i, digest in zip(cells.ids, cells.sha256s, strict=True) if digest in files]
    if shared:
        raise SplitError(
            f"{len(shared)} of {len(cells)} gate cells were used for {used_for}",
            where=shared[0],
            fix="split again so that the gate's cells are disjoint from all that was fitted",
        )
    both = sorted(set(cells.patients or ()) & set(patients))
    if both:
        raise SplitError(
            f"{len(both)} patients of the gate were used for {used_for} (first: {both[0]})",
            fix="split by patient: `allnet-edge data split --protocol patient`",
        )
