"""The cells whose decision changed, gathered so that each is shown once."""

from collections.abc import Sequence
from dataclasses import dataclass

from allnet_edge.measure.agreement import Direction
from allnet_edge.report.document import Flip, ReportDocument

MOST_SHOWN = 48
"""Thumbnails a direction; the rest is counted, and listed in reports/flips.csv."""

_DIRECTIONS: tuple[Direction, ...] = ("positive_to_negative", "negative_to_positive")


@dataclass(frozen=True, slots=True)
class FlippedCell:
    """One cell with every candidate that decides it otherwise than the float network.

    Attributes:
        id: Of the sample.
        label: Its true class.
        harmful: The float network was right and the candidates are wrong.
        float_score: Probability of the float network.
        edge_scores: (candidate, its probability), the chosen one first.
        thumbnail: Data URI or None.
    """

    id: str
    label: str
    harmful: bool
    float_score: float
    edge_scores: tuple[tuple[str, float], ...]
    thumbnail: str | None


@dataclass(frozen=True, slots=True)
class FlippedGroup:
    """All cells of one direction.

    Attributes:
        direction: From the decision of the float network to the candidate's.
        before: Class that the float network decides for.
        after: Class that the candidates decide for.
        cells: At most ``MOST_SHOWN``: harmful first, then those of the chosen candidate.
        hidden: How many more there are.
        harmful: How many of all of them are harmful.
    """

    direction: Direction
    before: str
    after: str
    cells: tuple[FlippedCell, ...]
    hidden: int
    harmful: int


def class_names(document: ReportDocument) -> tuple[str, str]:
    """The negative and the positive side of the decision, in words."""
    data = document.data
    negative = [name for name in data.classes if name not in data.positive]
    return " or ".join(negative) or "negative", " or ".join(data.positive)


def flipped_groups(document: ReportDocument) -> tuple[FlippedGroup, ...]:
    """Both directions, positive to negative (a cell that is now missed) first."""
    negative, positive = class_names(document)
    groups = []
    for direction in _DIRECTIONS:
        missing = direction == "positive_to_negative"
        cells = _cells([f for f in document.flips if f.direction == direction], document)
        groups.append(
            FlippedGroup(
                direction=direction,
                before=positive if missing else negative,
                after=negative if missing else positive,
                cells=tuple(cells[:MOST_SHOWN]),
                hidden=max(0, len(cells) - MOST_SHOWN),
                harmful=sum(cell.harmful for cell in cells),
            )
        )
    return tuple(groups)


def _cells(flips: Sequence[Flip], document: ReportDocument) -> list[FlippedCell]:
    together: dict[str, list[Flip]] = {}
    for flip in flips:
        together.setdefault(flip.id, []).append(flip)
    cells = [_cell(group, document) for group in together.values()]
    chosen = document.verdict.chosen
    return sorted(cells, key=lambda c: (not c.harmful, c.edge_scores[0][0] != chosen, c.id))


def _cell(flips: Sequence[Flip], document: ReportDocument) -> FlippedCell:
    first = flips[0]
    is_positive = first.label in document.data.positive
    was_positive = first.direction == "positive_to_negative"
    chosen = document.verdict.chosen
    ordered = sorted(flips, key=lambda flip: (flip.candidate != chosen, flip.candidate))
    return FlippedCell(
        id=first.id,
        label=first.label,
        harmful=is_positive == was_positive,
        float_score=first.float_score,
        edge_scores=tuple((flip.candidate, flip.edge_score) for flip in ordered),
        thumbnail=next((flip.thumbnail for flip in flips if flip.thumbnail), None),
    )
