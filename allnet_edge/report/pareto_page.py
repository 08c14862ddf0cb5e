"""A search by ``optimize`` as one self-contained HTML file."""

from markupsafe import Markup

from allnet_edge.report import pareto_plot, pareto_words
from allnet_edge.report.pareto_document import OptimizeDocument
from allnet_edge.report.render import environment


def render_optimize(document: OptimizeDocument) -> str:
    """Render a search.

    Returns:
        One HTML document with its styles and its plot inside, that asks no other host for anything
        and reads the same without scripts.
    """
    return environment().get_template("optimize.html.j2").render(
        doc=document,
        words=pareto_words,
        # Plots escape their own text, so they are the one thing that the template takes as it is.
        plot=Markup(pareto_plot.pareto(document, "pareto")),  # noqa: S704
        tone=document.gate.verdict if document.gate else "fail",
    )  # fmt: skip
