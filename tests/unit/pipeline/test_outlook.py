"""What the gate's cells can decide is told before anything runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.split import make_split, save_split
from allnet_edge.measure.power import chance_of_pass, fewest_cells
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.outlook import CHANGED, outlook
from allnet_edge.pipeline.plan import Plan, make_plan
from allnet_edge.spec.network import NetworkSpec, Preprocess


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(tmp_path, patients=None)


def plan_of(tmp_path: Path, patients: int | None) -> Plan:
    """Two leukemic classes folded into one, 900 cells; 300 healthy; 60 % train, 20, 20.

    Args:
        patients: Of each class.
    """
    samples = tuple(
        Sample(
            f"{label}/{n}.png", f"{label}{n}", label,
            f"{label}:{n % patients}" if patients else None, "all", None, 8, 8,
        )
        for label, count in (("Benign", 300), ("Early", 400), ("Pro", 500))
        for n in range(count)
    )  # fmt: skip
    protocol = "patient" if patients else "random"
    split = make_split(SampleIndex(tmp_path, "folders", samples), protocol)
    own = tmp_path / "run"
    own.mkdir()
    save_split(split, own / "split.json")
    float_model.save(
        own,
        {"logits/kernel": np.zeros((2, 1), np.float32)},
        NetworkSpec(network="allnet", preprocess=Preprocess(size=96), classes=("hem", "all")),
        label_index={"Benign": 0, "Early": 1, "Pro": 1},
        split_sha256=split.sha256,
        record=float_model.TrainingRecord(how="train"),
    )
    return make_plan(tmp_path / "out", "pi", run=own, data=tmp_path)


def test_both_classes_are_counted_as_the_network_sees_them(plan: Plan) -> None:
    sensitivity, specificity = outlook(plan)
    assert (sensitivity.labels, sensitivity.n, sensitivity.validation) == (
        ("Early", "Pro"), 180, 180,
    )  # fmt: skip
    assert (specificity.labels, specificity.n, specificity.validation) == (("Benign",), 60, 60)
    assert tuple(chance.changed for chance in sensitivity.chances) == CHANGED
    assert sensitivity.chances[2].passes == chance_of_pass(180, CHANGED[2], 0.02)


def test_too_few_cells_are_warned_of_with_the_number_that_would_do(plan: Plan) -> None:
    sensitivity, specificity = outlook(plan)
    assert sensitivity.warning is None
    assert specificity.warning is not None
    assert "60 held-out cells (Benign)" in specificity.warning
    assert "133" in specificity.warning
    assert "--max-drop specificity=" in specificity.warning


def test_the_margin_of_the_recipe_counts(plan: Plan) -> None:
    gate = plan.recipe.gate.model_copy(update={"specificity": 0.05})
    wider = replace(plan, recipe=plan.recipe.model_copy(update={"gate": gate}))
    assert outlook(wider)[1].fewest == 52
    assert outlook(wider)[1].warning is None


def test_known_patients_are_counted_and_take_more_cells(tmp_path: Path) -> None:
    sensitivity, specificity = outlook(plan_of(tmp_path, patients=10))
    assert (sensitivity.patients, specificity.patients) == (4, 2)
    assert specificity.fewest == fewest_cells(0.02, 0.95, 2) == 1954
    assert specificity.warning is not None
    assert f"that takes {specificity.fewest} of 2 patients" in specificity.warning


def test_one_patient_is_warned_of_whatever_the_number_of_cells(tmp_path: Path) -> None:
    one = outlook(plan_of(tmp_path, patients=5))[1]
    assert (one.patients, one.fewest) == (1, None)
    assert one.warning is not None
    assert "of one patient nothing can be shown about others" in one.warning


def test_a_margin_of_nothing_has_no_number_and_no_warning(plan: Plan) -> None:
    gate = plan.recipe.gate.model_copy(update={"specificity": 0.0})
    strict = replace(plan, recipe=plan.recipe.model_copy(update={"gate": gate}))
    assert outlook(strict)[1].fewest is None
    assert outlook(strict)[1].warning is None


def test_the_embedded_default_makes_its_cells_later(tmp_path: Path) -> None:
    assert outlook(make_plan(tmp_path, "jetson")) == ()
