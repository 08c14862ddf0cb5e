"""Out-of-fold decisions of several runs as one evaluation."""

import numpy as np
import pytest
from evaluation_support import QUICK, make_run

from allnet_edge.data.folds import make_folds
from allnet_edge.data.split import make_split
from allnet_edge.errors import SplitError, UsageError
from allnet_edge.evaluation.cells import Options
from allnet_edge.evaluation.from_run import evaluate_run
from allnet_edge.evaluation.pool import MIXED, pool
from allnet_edge.evaluation.write import write
from allnet_edge.measure.performance import performance
from allnet_edge.report.evaluation_document import EvaluationDocument


@pytest.fixture(scope="module")
def folds(ground, tmp_path_factory):
    """Three runs, each judged on its own third of the patients."""
    root, found = tmp_path_factory.mktemp("folds"), []
    for number, split in enumerate(make_folds(ground.index, 3), start=1):
        run = make_run(root / f"fold-{number}", split, ground.labels, seed=number)
        found.append(evaluate_run(run, ground.data, QUICK))
    return found


@pytest.fixture(scope="module")
def pooled(folds):
    return pool(folds, "three folds")


def test_every_cell_is_there_once_with_the_decision_of_its_own_run(ground, folds, pooled):
    assert sorted(pooled.ids) == sorted(one.id for one in ground.index.samples)
    decided = {
        name: int(decision)
        for one in folds
        for name, decision in zip(one.ids, one.scored.decisions, strict=True)
    }
    for name, decision in zip(pooled.ids, pooled.scored.decisions, strict=True):
        assert decided[name] == decision
    thresholds = [one.document.operating_point.threshold for one in folds]
    assert len(set(thresholds)) == 3
    called = pooled.scored.scores[:, 1] >= np.repeat(thresholds, [len(one.ids) for one in folds])
    np.testing.assert_array_equal(called, pooled.scored.decisions == 1)


def test_figures_are_those_of_all_cells_over_all_patients(pooled):
    document = pooled.document
    expected = performance(pooled.scored, ("hem", "all"), resamples=50)
    assert document.performance == expected
    assert document.cells.patients == document.performance.patients == 16
    assert len(document.patients) == 16
    counts = np.array(document.performance.confusion)
    assert counts.sum() == document.cells.n == len(pooled.ids)


def test_it_says_that_areas_mix_scales_and_lists_each_run(folds, pooled):
    document = pooled.document
    assert document.warnings[0] == MIXED
    assert "ROC-AUC" in MIXED
    assert [fold.name for fold in document.folds] == ["fold-1", "fold-2", "fold-3"]
    for fold, one in zip(document.folds, folds, strict=True):
        assert fold.figures == one.document.performance.figures
        assert fold.threshold == one.document.operating_point.threshold
    assert document.operating_point.threshold is None
    assert document.network.kind == "pooled"
    assert document.cells.exposure == "unseen"
    assert len(document.cells.proven) == 3


def test_probes_are_pooled_too(folds, pooled):
    size, background = pooled.document.probes
    assert size.performance.n == len(pooled.ids)
    right = sum(int(one.probes["size-and-brightness"].right.sum()) for one in folds)
    assert size.performance.figures["accuracy"].value == pytest.approx(right / len(pooled.ids))
    assert background.status == "not applicable"


def test_it_can_be_written_and_read(pooled, tmp_path):
    write(pooled, tmp_path / "pooled")
    text = (tmp_path / "pooled" / "evaluation.json").read_text()
    assert EvaluationDocument.from_json(text) == pooled.document
    assert "three folds" in (tmp_path / "pooled" / "evaluation.html").read_text()


def test_a_cell_counts_once(folds):
    with pytest.raises(SplitError, match="judged more than once"):
        pool([folds[0], folds[0]], "twice")


def test_nothing_is_no_evaluation():
    with pytest.raises(UsageError, match="no evaluation"):
        pool([], "none")


def test_seen_cells_are_no_test(ground, folds):
    seen = evaluate_run(ground.run, ground.data, Options(part="train", resamples=20))
    with pytest.raises(SplitError, match="cells that it had seen"):
        pool([folds[0], seen], "seen")


def test_prevalences_must_agree(judged, folds):
    with pytest.raises(UsageError, match="prevalences"):
        pool([judged, folds[0]], "mixed")


def test_another_data_set_is_refused(folds, tmp_path):
    from allnet_edge.data.phantom import write_dataset
    from allnet_edge.data.samples import LabelMap
    from allnet_edge.data.scan import load_index

    data = tmp_path / "cells"
    write_dataset(data, images=48, patients=12, seed=8, size=48)
    index = load_index(data)
    split = make_split(index, "patient", official=False)
    run = make_run(tmp_path / "run", split, LabelMap.binary(index.labels, ["all"]))
    with pytest.raises(SplitError, match="several data sets"):
        pool([folds[0], evaluate_run(run, data, QUICK)], "two")


def test_one_leaking_fold_makes_the_whole_leak(ground, folds, tmp_path):
    split = make_split(ground.index, "random", seed=1)
    run = make_run(tmp_path / "run", split, ground.labels)
    leaking = evaluate_run(run, ground.data, QUICK)
    apart = [one for one in folds if not set(one.sha256s) & set(leaking.sha256s)]
    whole = pool([leaking, *apart], "one").document.cells
    assert whole.leaking
    assert len(whole.proven) == 2
