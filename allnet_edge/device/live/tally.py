"""What a slide holds so far, counted as its fields are stored."""

from collections import Counter
from dataclasses import dataclass

from allnet_edge.device.fields.counts import FieldCounts
from allnet_edge.device.fields.results import FieldResult


@dataclass(slots=True)
class Tally:
    """Of one slide.

    Attributes:
        fields: Stored, refused ones included.
        cells: Found in them.
        positive: Assessed cells of the positive class.
        not_assessed: Cells with a reason.
    """

    fields: int = 0
    cells: int = 0
    positive: int = 0
    not_assessed: int = 0

    def add(self, result: FieldResult, positive: str | None) -> None:
        """One more field."""
        self.fields += 1
        self.cells += len(result.cells)
        assessed = [cell for cell in result.cells if cell.assessed]
        self.not_assessed += len(result.cells) - len(assessed)
        self.positive += sum(cell.label == positive for cell in assessed if positive is not None)


def counts_of(result: FieldResult) -> FieldCounts:
    """What the summary of a slide needs of a field."""
    distances = [cell.stain_distance for cell in result.cells if cell.stain_distance is not None]
    return FieldCounts(
        dict(Counter(str(cell.label) for cell in result.cells if cell.assessed)),
        dict(Counter(cell.reason for cell in result.cells if cell.reason is not None)),
        sum(distances) / len(distances) if distances else None,
        result.reason,
    )
