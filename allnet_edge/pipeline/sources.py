"""Where a build starts from: a float model, the cells to judge it on, and how they were split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from allnet_edge.artifacts.files import sha256_file
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import Split, load_split
from allnet_edge.errors import DataError, SplitError
from allnet_edge.evaluation.seen import USED, own_split, refuse_seen
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
        against: Folder of another float model that the candidates are judged against, such as the
            teacher of a distilled one; None judges them against ``run`` itself.
        cache: Folder where what is known about unchanged images is kept.
    """

    run: Path
    data: Path
    split: Path | None
    cache: Path
    against: Path | None = None

    @property
    def reference(self) -> Path:
        """The run whose answers the candidates are compared with."""
        return self.against or self.run

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
        own = own_split(self.run, self.model().split_sha256)
        index = load_index(self.data, progress=progress, cache=self.cache)
        split = own if self.split is None else load_split(self.split)
        split.verify(index)
        if self.split is not None:
            refuse_seen(split, "test", own, USED, where=self.split)
            refuse_seen(split, "validation", own, ("train",), where=self.split)
        return index, split

    def identity(self, progress: Progress = silent) -> dict[str, str]:
        """What a stage that reads cells depends on."""
        index, _ = self.load(progress)
        return {"data": index.sha256, "split": sha256_file(self.split_path)}

    def reference_identity(self) -> dict[str, str]:
        """What the frozen answers depend on besides the run; the weights are hashed anew.

        Raises:
            IntegrityError: The weights were changed after training.
            SplitError: It was trained on another split: it may have seen the gate's cells.
            DataError: Its classes are others.
        """
        if self.against is None:
            return {}
        float_model.require_unchanged(self.against)
        own, other = self.model(), float_model.read(self.against)
        if own.split_sha256 != other.split_sha256:
            raise SplitError(
                "this network was trained on another split, so it may have seen the gate's cells",
                where=self.against,
                fix="train both on one split file: --split",
            )
        if own.label_index != other.label_index:
            raise DataError(
                "this network has other classes than the one that is built",
                where=self.against,
                fix=f"train it on: {', '.join(sorted(own.label_index))}",
            )
        return {"against": sha256_file(self.against / float_model.DESCRIPTION)}

    def run_identity(self) -> dict[str, str]:
        """What a stage that reads the float model depends on; the weights are hashed anew.

        Raises:
            IntegrityError: The weights were changed after training.
        """
        float_model.require_unchanged(self.run)
        return {"run": sha256_file(self.run / float_model.DESCRIPTION)}


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
