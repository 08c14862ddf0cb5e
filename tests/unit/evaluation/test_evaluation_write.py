"""The folder of an evaluation: four files, whole or not at all."""

import csv

import pytest

from allnet_edge.errors import OutputDirError
from allnet_edge.evaluation import write as module
from allnet_edge.evaluation.write import NAMES, require_writable, write
from allnet_edge.report.evaluation_document import EvaluationDocument


@pytest.fixture
def folder(judged, tmp_path):
    write(judged, tmp_path / "out")
    return tmp_path / "out"


def rows(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_files_are_there_and_the_record_reads_back(judged, folder):
    assert {path.name for path in folder.iterdir()} == set(NAMES)
    found = EvaluationDocument.from_json((folder / "evaluation.json").read_text())
    assert found == judged.document
    assert not list(folder.parent.glob("*.tmp-*"))


def test_every_prediction_is_a_row(judged, folder):
    found = rows(folder / "predictions.csv")
    assert [row["id"] for row in found] == list(judged.ids)
    threshold = judged.document.operating_point.threshold
    for at, row in enumerate(found):
        assert float(row["score_all"]) == pytest.approx(judged.scored.scores[at, 1], abs=1e-7)
        assert row["decision"] == ("all" if float(row["score_all"]) >= threshold else "hem")
        assert row["right"] == str(int(row["decision"] == row["label"]))
        assert row["split"] == "patient"


def test_every_patient_is_a_row(judged, folder):
    found = rows(folder / "patients.csv")
    assert [row["patient"] for row in found] == [row.patient for row in judged.document.patients]
    assert sum(int(row["n"]) for row in found) == judged.document.cells.n


def test_an_older_evaluation_is_replaced(judged, folder):
    (folder / "evaluation.json").write_text("old")
    write(judged, folder)
    assert (folder / "evaluation.json").read_text() == judged.document.to_json()


def test_a_foreign_folder_is_left_alone(judged, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    with pytest.raises(OutputDirError, match=r"thesis\.txt"):
        write(judged, mine)
    assert (mine / "thesis.txt").read_text() == "years"


def test_a_file_is_no_folder(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(OutputDirError, match="is a file"):
        require_writable(path)
    with pytest.raises(OutputDirError, match="nothing can be written"):
        require_writable(path / "below")


def test_a_failure_on_the_way_leaves_the_older_one(judged, folder, monkeypatch):
    before = (folder / "evaluation.json").read_text()

    def fail(_document: object) -> str:
        raise RuntimeError("no")

    monkeypatch.setattr(module, "render_evaluation", fail)
    with pytest.raises(RuntimeError):
        write(judged, folder)
    assert (folder / "evaluation.json").read_text() == before
    assert not list(folder.parent.glob("*.tmp-*"))
