"""Every form of a network on validation cells: what a search chooses by, before any gate."""

from allnet_edge.artifacts.files import sha256_file, write_json
from allnet_edge.engines.opening import open_file
from allnet_edge.measure.cells import Scores
from allnet_edge.measure.gate import judge
from allnet_edge.measure.thresholds import transfer_threshold
from allnet_edge.pipeline.candidates import Form
from allnet_edge.pipeline.selected import Selected, SelectedForm
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.selecting import selection_of
from allnet_edge.search.selection import Selection


def run(work: Work) -> None:
    """Write ``select.json``. Neither an image nor an answer of a test cell is read."""
    selection = selection_of(work, work.recipe.mixed.images)
    found = []
    for done, form in enumerate(work.forms, start=1):
        found.append(_judged(work, form, selection))
        work.log.info("%s: %s", form.id, found[-1].judgement.why or "acceptable")
        work.progress("forms on validation cells", done, len(work.forms))
    cells = selection.cells
    selected = Selected(
        part="validation",
        n=len(cells),
        positives=cells.positives,
        patients=cells.patient_count,
        forms=tuple(found),
    )
    write_json(work.folder / "select.json", selected.model_dump(mode="json"))


def _judged(work: Work, form: Form, selection: Selection) -> SelectedForm:
    path = form.path(work.stages)
    with open_file(path, work.recipe.bench.threads) as runner:
        answers = selection.answers(runner.infer)
    base = selection.base
    threshold = transfer_threshold(base.scores, base.threshold, answers)
    verdict = judge(
        selection.cells, selection.reference, Scores(answers, threshold), selection.gate
    )
    return SelectedForm(
        id=form.id,
        sha256=sha256_file(path),
        size=path.stat().st_size,
        judgement=selection.judge(answers),
        checks=verdict.checks,
    )
