"""A slide at work and at its end, for people."""

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from allnet_edge.device.fields.summary import SlideSummary
    from allnet_edge.device.live.status import LiveStatus


def progress_line(status: "LiveStatus", positive: str | None) -> str:
    """How it goes, in one line."""
    counters = status.counters
    parts = [f"{status.fields} fields", f"{status.cells} cells"]
    if positive is not None:
        parts.append(f"{status.positive} {positive}")
    parts.append(f"{status.not_assessed} not assessed")
    shown = ("dropped", "missed", "repeated", "refused", "damaged")
    parts += [f"{count} {name}" for name in shown if (count := getattr(counters, name))]
    if (p99 := status.latency_ms["p99"]) is not None:
        parts.append(f"p99 {p99:.0f} ms")
    if status.compared:
        parts.append(f"shadow disagrees on {status.disagreed} of {status.compared}")
    return f"{status.state}: {', '.join(parts)}"


def summary_table(summary: "SlideSummary", status: "LiveStatus") -> Table:
    """The slide's summary: what of how many, why not, and what became of the frames."""
    table = Table(show_header=False, title=summary.sentence, title_justify="left", title_style="")
    table.add_row("fields", str(summary.fields))
    table.add_row("cells found", str(summary.found))
    for name, share in summary.classes.items():
        table.add_row(name, f"{share.count} of {share.of} ({share.in_words})")
    for reason, share in summary.reasons.items():
        table.add_row(f"not assessed: {reason.value}", str(share.count))
    for reason, count in summary.refused.items():
        table.add_row(f"field refused: {reason.value}", str(count))
    counters = status.counters
    for name in ("read", "repeated", "moving", "dropped", "missed", "damaged", "refused"):
        if count := getattr(counters, name):
            table.add_row(f"frames {name}", str(count))
    if status.compared:
        table.add_row("shadow disagrees", f"{status.disagreed} of {status.compared} cells")
    p50, p99 = (status.latency_ms[name] for name in ("p50", "p99"))
    if p50 is not None and p99 is not None:
        table.add_row("latency", f"{p50:.0f} ms, p99 {p99:.0f} ms")
    return table
