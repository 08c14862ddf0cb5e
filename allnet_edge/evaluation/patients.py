"""The table of patients: how a network does on each of them."""

from collections.abc import Sequence

from allnet_edge.measure.intervals import wilson
from allnet_edge.measure.scored import Scored
from allnet_edge.report.evaluation_document import PatientRow

_TAIL = 0.975  # of each side


def patient_rows(labels: Sequence[str], scored: Scored) -> tuple[PatientRow, ...]:
    """Sorted by accuracy, the lowest first, then by name; nothing where a patient is unknown.

    Args:
        labels: Class of each cell as the data set has it.
        scored: The cells.
    """
    if scored.patients is None:
        return ()
    rows_of: dict[str, list[int]] = {}
    for row, patient in enumerate(scored.patients):
        rows_of.setdefault(patient, []).append(row)
    table = [_row(patient, rows, labels, scored) for patient, rows in rows_of.items()]
    return tuple(sorted(table, key=lambda row: (row.accuracy, row.patient)))


def _row(patient: str, rows: list[int], labels: Sequence[str], scored: Scored) -> PatientRow:
    right = int(scored.right[rows].sum())
    looked_at = 1 if scored.binary else scored.labels[rows]
    lower, upper = wilson(right, len(rows), _TAIL)
    return PatientRow(
        patient=patient,
        label="+".join(sorted({labels[row] for row in rows})),
        n=len(rows),
        right=right,
        accuracy=right / len(rows),
        lower=lower,
        upper=upper,
        score=float(scored.scores[rows, looked_at].mean()),
    )
