"""A model card made from measurements alone (after Mitchell et al. 2019, arXiv 1810.03993)."""

from allnet_edge.report.document import Estimate, ReportDocument, Rung


def model_card(document: ReportDocument) -> str:
    """Markdown for ``docs/model_card.md`` of a bundle."""
    data = document.data
    phantom = " They are phantom cells: synthetic, no patient." if document.phantom else ""
    rows = "\n".join(_row(rung) for rung in document.ladder)
    return f"""# Model card: {document.title}

**Research use only. Not a medical device; never a diagnosis.**

- Verdict of the gate: **{document.verdict.verdict}**. {document.verdict.sentence}
- Decides between: {", ".join(data.classes)}; positive is {", ".join(data.positive)}.
- Cells: layout `{data.layout}`, split by {data.protocol}{" (LEAKING)" if data.leaking else ""}:
  {", ".join(f"{name} {n}" for name, n in data.n.items())}.{phantom}
- Not assessed: other stains, scanners and magnifications than those of these cells; rare classes;
  children and adults apart.

| rung | engine | precision | n | accuracy | sensitivity | specificity | AUC | gate |
|---|---|---|---|---|---|---|---|---|
{rows}

Intervals: {document.gate.interval_method if document.gate else "not measured"}.
"""


def _row(rung: Rung) -> str:
    scores = (rung.accuracy, rung.sensitivity, rung.specificity, rung.auc)
    cells = " | ".join(_shown(score) for score in scores)
    verdict = rung.verdict or "reference"
    return f"| {rung.id} | {rung.engine} | {rung.precision} | {rung.n} | {cells} | {verdict} |"


def _shown(estimate: Estimate | None) -> str:
    if estimate is None:
        return "not measured"
    if estimate.lower is None or estimate.upper is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.lower:.3f} to {estimate.upper:.3f})"
