"""The files of an evaluation, written as one folder: whole, or not at all."""

import csv
import io
from pathlib import Path

from allnet_edge.artifacts import files
from allnet_edge.errors import OutputDirError
from allnet_edge.evaluation.judged import Evaluation
from allnet_edge.report.evaluation_page import render_evaluation

RECORD = "evaluation.json"
NAMES = (RECORD, "evaluation.html", "patients.csv", "predictions.csv")


def require_writable(folder: Path) -> None:
    """Refuse a place before the work begins.

    Raises:
        OutputDirError: A folder with something else in it, a file, or no place to write.
    """
    if folder.is_dir():
        strangers = sorted(entry.name for entry in folder.iterdir() if entry.name not in NAMES)
        if strangers:
            raise OutputDirError(
                f"the output folder holds files that are not of an evaluation ({strangers[0]!r})",
                where=folder,
                fix="choose another folder with -o; this one is left as it is",
            )
    elif folder.exists():
        raise OutputDirError(
            "the output folder is a file", where=folder, fix="choose another one with -o"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        probe = files.temporary_name(folder)
        files.remove(probe)
        probe.mkdir()
        files.remove(probe)
    except OSError as error:
        raise OutputDirError(
            f"nothing can be written here: {error.strerror}",
            where=folder.parent,
            fix="choose another folder with -o",
        ) from error


def write(evaluation: Evaluation, folder: Path) -> None:
    """Write ``evaluation.json``, ``evaluation.html``, ``patients.csv`` and ``predictions.csv``.

    An older evaluation in the folder is replaced.

    Raises:
        OutputDirError: As ``require_writable``.
    """
    require_writable(folder)
    contents = {
        RECORD: evaluation.document.to_json(),
        "evaluation.html": render_evaluation(evaluation.document),
        "patients.csv": _patients_csv(evaluation),
        "predictions.csv": _predictions_csv(evaluation),
    }
    assembled = files.temporary_name(folder)
    try:
        assembled.mkdir()
        for name, text in contents.items():
            files.write_text(assembled / name, text)
        files.commit_folder(assembled, folder)
    except BaseException:
        files.remove(assembled)
        raise


def _patients_csv(evaluation: Evaluation) -> str:
    split = evaluation.document.cells.split_in_words
    rows: list[list[object]] = [
        ["patient", "label", "n", "right", "accuracy", "lower", "upper", "mean_score", "split"]
    ]
    rows += [
        [
            row.patient, row.label, row.n, row.right,
            *(f"{v:.6f}" for v in (row.accuracy, row.lower, row.upper, row.score)), split,
        ]
        for row in evaluation.document.patients
    ]  # fmt: skip
    return _csv(rows)


def _predictions_csv(evaluation: Evaluation) -> str:
    """One row a cell; two classes have one score, that of the positive one."""
    document, scored = evaluation.document, evaluation.scored
    classes = document.network.classes
    shown = (1,) if scored.binary else range(scored.classes)
    rows: list[list[object]] = [
        ["id", "sha256", "patient", "label", *(f"score_{classes[at]}" for at in shown), "decision",
         "right", "split"]
    ]  # fmt: skip
    for at, name in enumerate(evaluation.ids):
        rows.append([
            name,
            evaluation.sha256s[at],
            "" if scored.patients is None else scored.patients[at],
            evaluation.labels[at],
            *(f"{scored.scores[at, one]:.8f}" for one in shown),
            classes[int(scored.decisions[at])],
            int(scored.right[at]),
            document.cells.split_in_words,
        ])  # fmt: skip
    return _csv(rows)


def _csv(rows: list[list[object]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
