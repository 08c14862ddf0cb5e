"""How ``train`` shows what came of it."""

from allnet_edge.cli.views.phantom import PHANTOM
from allnet_edge.report.document import Estimate
from allnet_edge.report.wording import percent, percent_interval
from allnet_edge.training.validation import RunMetrics


def in_words(metrics: RunMetrics) -> str:
    """The figures on the validation part with their number of cells, split and intervals."""
    figures, data = metrics.validation, metrics.data
    leaking = ", LEAKING: figures are too good" if data.leaking else ""
    shares = []
    for name, (lower, upper) in figures.intervals.items():
        share = Estimate(value=getattr(figures, name), lower=lower, upper=upper)
        shares.append(f"{name} {percent(share.value)} ({percent_interval(share)})")
    lines = [
        f"on {figures.n} validation cells, split by {data.split}{leaking}: {', '.join(shares)}",
        f"epoch {figures.epoch}: {metrics.note}",
    ]
    return "\n".join([*lines, PHANTOM] if metrics.phantom else lines)
