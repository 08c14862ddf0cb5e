"""What a network saw of the cells that it is judged on: what is proven, and what is not."""

from dataclasses import dataclass

from allnet_edge.data.people import people_of
from allnet_edge.data.split import Split
from allnet_edge.evaluation.cells import Cells
from allnet_edge.report.evaluation_document import Exposure

SEEN: tuple[Exposure, ...] = ("train", "validation")

_UNKNOWN = "patients are unknown, so that a patient on both sides cannot be excluded"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """See ``EvaluatedCells``."""

    exposure: Exposure
    leaking: bool
    proven: tuple[str, ...]
    not_proven: tuple[str, ...]


def against(own: Split, cells: Cells, *, threshold_here: bool) -> Knowledge:
    """What is known where the split that the network was trained on is at hand.

    Args:
        own: That split.
        cells: To be judged on.
        threshold_here: The decision threshold is fitted on these very cells.
    """
    files = {sample.sha256 for sample in cells.samples}
    trained = sum(member.sha256 in files for member in own.parts["train"])
    chosen = sum(member.sha256 in files for member in own.parts["validation"])
    used = len(own.parts["train"]) + len(own.parts["validation"])
    leaking = cells.split is not None and cells.split.leaking
    people = _people(own, cells)
    if trained or (people and not leaking and not chosen and not threshold_here):
        seen = f"{trained:,} of these images, and {people or 0} of their patients, trained it"
        return Knowledge("train", leaking, (), (seen,))
    if chosen or threshold_here:
        seen = f"its weights were chosen on {chosen:,} of these images"
        if threshold_here:
            seen += ", and its threshold is fitted on them"
        return Knowledge("validation", leaking, (), (seen,))
    proven = (
        f"by SHA-256 none of the {len(cells.samples):,} images is among the {used:,} of its "
        "training and validation"
    )
    if leaking:
        shared = "" if people is None else f" ({people:,} patients stand on both sides)"
        why = f"the split LEAKS: figures are too good{shared}"
        return Knowledge("leaking", leaking, (proven,), (why,))
    if people is None:
        return Knowledge("patients-unknown", leaking, (proven,), (_UNKNOWN,))
    patients = len(set(cells.patients or ()))
    apart = f"none of the {patients:,} patients is among those of training and validation"
    return Knowledge("unseen", leaking, (proven, apart), ())


def _people(own: Split, cells: Cells) -> int | None:
    """How many people of the cells the network saw; None where a patient is unknown."""
    members = [member for part in ("train", "validation") for member in own.parts[part]]
    if cells.patients is None or any(member.patient is None for member in members):
        return None
    # The index may have merged patients since the split was made.
    people = people_of(cells.index)
    seen = {people.get(member.id, member.patient) for member in members}
    return len({people[sample.id] for sample in cells.samples} & seen)
