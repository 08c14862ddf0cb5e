"""What a slide's summary needs of each of its fields, and no more."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from allnet_edge.device.fields.results import Reason


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """One field of a slide, counted.

    Attributes:
        labels: Assessed cells of each class.
        not_assessed: Cells that were found and not assessed, by reason.
        stain_distance: Mean over its cells; None where no cell has one.
        refused: Why the field as a whole was not assessed; None for a usable one.
    """

    labels: Mapping[str, int]
    not_assessed: Mapping[Reason, int] = field(default_factory=dict)
    stain_distance: float | None = None
    refused: Reason | None = None

    @property
    def assessed(self) -> int:
        """Cells that count."""
        return sum(self.labels.values())
