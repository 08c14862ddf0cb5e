"""Phantom cells, a run over them and its evaluation, each made once."""

import pytest
from evaluation_support import Ground, make_run

from allnet_edge.data.phantom import write_dataset
from allnet_edge.data.samples import LabelMap
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import make_split
from allnet_edge.evaluation.cells import Options
from allnet_edge.evaluation.judged import Evaluation


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    root = tmp_path_factory.mktemp("evaluation")
    data = root / "cells"
    write_dataset(data, images=96, patients=16, seed=2, size=48)
    index = load_index(data)
    split = make_split(index, "patient", official=False)
    labels = LabelMap.binary(index.labels, ["all"])
    return Ground(data, index, split, labels, make_run(root / "run", split, labels))


@pytest.fixture(scope="session")
def judged(ground: Ground) -> Evaluation:
    """The test part."""
    from allnet_edge.evaluation.from_run import evaluate_run

    return evaluate_run(ground.run, ground.data, Options(resamples=50, prevalence=0.2))
