"""Curves of a network's scores, as the document holds them."""

from allnet_edge.measure.metrics import roc_curve
from allnet_edge.measure.ranking import precision_recall_curve
from allnet_edge.measure.scored import Scored, Side
from allnet_edge.report.evaluation_document import ClassCurves, Points


def curves(scored: Scored, classes: tuple[str, ...]) -> tuple[ClassCurves, ...]:
    """Of the positive class of two, or of each of several against the rest."""
    positions = (1,) if scored.binary else range(scored.classes)
    return tuple(
        ClassCurves(
            name=classes[at],
            roc=roc_points(scored.side(at)),
            precision_recall=_precision_recall_points(scored.side(at)),
        )
        for at in positions
    )


def roc_points(side: Side) -> Points:
    """(false positive rate, true positive rate), thinned."""
    curve = roc_curve(side.truth, side.scores)
    return tuple(zip(curve.fpr.tolist(), curve.tpr.tolist(), strict=True))


def _precision_recall_points(side: Side) -> Points:
    curve = precision_recall_curve(side)
    return tuple(zip(curve.recall.tolist(), curve.precision.tolist(), strict=True))
