"""The float network's frozen answers on the gate's cells: what a device judges itself against.

Kept in the bundle as ``reports/reference.npz`` and signed with it. It holds no image and no name of
a patient: a cell is known by the hash of its file, a patient by a number; whoever has the images
can judge every candidate again.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allnet_edge.artifacts import npz
from allnet_edge.errors import IntegrityError

REFERENCE = "reports/reference.npz"


@dataclass(frozen=True, slots=True, eq=False)
class FrozenReference:
    """What the float network said of held-out cells.

    Attributes:
        ids: Of the samples, as gate.json and flips.csv name them.
        sha256s: Of the image files, lower-case hex.
        labels: True for the positive class, bool ``(n,)``.
        patients: A number for each patient in the order of their names, int64 ``(n,)``; None where
            patients are unknown.
        scores: Probability of the positive class, float32 ``(n,)``.
        threshold: The float network's, fitted on validation cells.
    """

    ids: tuple[str, ...]
    sha256s: tuple[str, ...]
    labels: NDArray[np.bool_]
    patients: NDArray[np.int64] | None
    scores: NDArray[np.float32]
    threshold: float

    @classmethod
    def of(
        cls,
        *,
        ids: tuple[str, ...],
        sha256s: tuple[str, ...],
        labels: NDArray[np.bool_],
        patients: tuple[str, ...] | None,
        scores: NDArray[np.float32],
        threshold: float,
    ) -> "FrozenReference":
        """With numbers in the place of patients' names; their order, and so each bound, stays."""
        numbers = None
        if patients is not None:
            numbers = np.unique(np.array(patients), return_inverse=True)[1].astype(np.int64)
        return cls(ids, sha256s, labels, numbers, scores, threshold)

    def to_bytes(self) -> bytes:
        """The file's bytes; equal answers make equal bytes."""
        arrays: dict[str, NDArray[np.generic]] = {
            "ids": np.array(self.ids),
            "sha256s": np.array(self.sha256s),
            "labels": self.labels,
            "scores": self.scores,
            "threshold": np.array(self.threshold),
        }
        if self.patients is not None:
            arrays["patients"] = self.patients
        return npz.pack(arrays)

    @classmethod
    def read(cls, path: Path) -> "FrozenReference":
        """Read the file.

        Raises:
            IntegrityError: It cannot be read, or holds something else.
        """
        arrays = npz.unpack(path)
        try:
            found = cls(
                ids=tuple(str(name) for name in arrays["ids"]),
                sha256s=tuple(str(digest) for digest in arrays["sha256s"]),
                labels=arrays["labels"].astype(np.bool_),
                patients=arrays["patients"].astype(np.int64) if "patients" in arrays else None,
                scores=arrays["scores"].astype(np.float32),
                threshold=float(arrays["threshold"].astype(np.float64)),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise IntegrityError(f"holds no frozen answers: {error}", where=path) from error
        columns = (found.sha256s, found.labels, found.scores, found.patients)
        if any(len(one) != len(found.ids) for one in columns if one is not None):
            raise IntegrityError("does not hold one answer a cell", where=path)
        return found
