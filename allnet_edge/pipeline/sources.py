"""Where a build starts from: a float model, the cells to judge it on, and how they were split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from allnet_edge.artifacts.files import sha256_file
from allnet_edge.data.proof import Member
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import Split, load_split
from allnet_edge.errors import DataError, IntegrityError, SplitError
from allnet_edge.measure.cells import Cells
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import FloatModel
from allnet_edge.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Sources:
    """Paths alone; what lies there is read when it is needed.

    Attributes:
        run: Folder of the float model.
        data: Root of the data set.
        split: A split file; None takes the one in ``run``.
        cache: Folder where what is known about unchanged images is kept.
    """

    run: Path
    data: Path
    split: Path | None
    cache: Path

    @property
    def split_path(self) -> Path:
        """The split file that counts."""
        return self.split or self.run / "split.json"

    def model(self) -> FloatModel:
        """The description of the float model; raises IntegrityError."""
        return float_model.read(self.run)

    def load(self, progress: Progress = silent) -> tuple[SampleIndex, Split]:
        """The data set and its split, verified against each other and against the run.

        Raises:
            IntegrityError: The run's split was changed after training.
            SplitError: The split leaks, does not fit the data, or its test part holds cells or
                patients that the network was trained or chosen on.
        """
        own = self._own_split()
        index = load_index(self.data, progress=progress, cache=self.cache)
        split = own if self.split is None else load_split(self.split)
        split.verify(index)
        if self.split is not None:
            self._refuse_seen(split, "test", own, ("train", "validation"))
            self._refuse_seen(split, "validation", own, ("train",))
        return index, split

    def identity(self, progress: Progress = silent) -> dict[str, str]:
        """What a stage that reads cells depends on."""
        index, _ = self.load(progress)
        return {"data": index.sha256, "split": sha256_file(self.split_path)}

    def run_identity(self) -> dict[str, str]:
        """What a stage that reads the float model depends on; the weights are hashed anew.

        Raises:
            IntegrityError: The weights were changed after training.
        """
        float_model.require_unchanged(self.run)
        return {"run": sha256_file(self.run / float_model.DESCRIPTION)}

    def _own_split(self) -> Split:
        """The split that the network was trained on, proven by the hash in its description."""
        path = self.run / "split.json"
        own = load_split(path)
        if own.sha256 != self.model().split_sha256:
            raise IntegrityError(
                "the run's split was changed after training: its hash differs from model.json",
                where=path,
                fix="restore the file, or train again",
            )
        return own

    def _refuse_seen(self, split: Split, part: str, own: Split, used: tuple[str, ...]) -> None:
        seen = [member for name in used for member in _members(own, name)]
        files = {member.sha256 for member in seen}
        patients = {member.patient for member in seen if member.patient is not None}
        for member in _members(split, part):
            if member.sha256 in files or (not split.leaking and member.patient in patients):
                raise SplitError(
                    f"the {part} part holds {member.id}, "
                    "and the network was trained or chosen on that image or that patient",
                    where=self.split_path,
                    fix="use the split of the run (leave --split out), or train again",
                )


def _members(split: Split, part: str) -> tuple[Member, ...]:
    return next((members for name, members in split.parts.items() if name == part), ())


def cells_of(samples: tuple[Sample, ...], model: FloatModel) -> Cells:
    """Labels and patients of samples, as the gate wants them.

    Raises:
        DataError: A class that the network was not trained on.
    """
    unknown = sorted({sample.label for sample in samples} - set(model.label_index))
    if unknown:
        raise DataError(
            f"the network was not trained on the class {unknown[0]}",
            fix=f"its classes are: {', '.join(sorted(model.label_index))}",
        )
    patients = tuple(sample.patient for sample in samples)
    known = tuple(patient for patient in patients if patient is not None)
    return Cells(
        ids=tuple(sample.id for sample in samples),
        sha256s=tuple(sample.sha256 for sample in samples),
        labels=np.array([model.label_index[sample.label] == 1 for sample in samples]),
        patients=known if len(known) == len(patients) else None,
    )
