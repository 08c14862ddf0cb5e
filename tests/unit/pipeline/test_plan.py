"""A build's plan, before anything runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from allnet_edge.errors import (
    DataError,
    IntegrityError,
    RecipeError,
    SplitError,
    UnknownNameError,
    UsageError,
)
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.candidates import forms
from allnet_edge.pipeline.order import stages_of
from allnet_edge.pipeline.plan import make_plan
from allnet_edge.pipeline.sources import Sources
from allnet_edge.pipeline.stages.selecting import balanced
from allnet_edge.spec.network import NetworkSpec, Preprocess
from allnet_edge.spec.recipe import PruneSpec, Recipe
from allnet_edge.spec.target import Target, all_targets, load_target

JETSON, PI = load_target("jetson"), load_target("pi")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A run folder, as small as one can be."""
    return make_run(tmp_path / "run", ("hem", "all"))


def make_run(folder: Path, classes: tuple[str, ...], split: str = "0" * 64) -> Path:
    folder.mkdir()
    float_model.save(
        folder,
        {"logits/kernel": np.zeros((2, 1), np.float32)},
        NetworkSpec(network="allnet", preprocess=Preprocess(size=96), classes=classes),
        label_index={name: at for at, name in enumerate(classes)},
        split_sha256=split,
        record=float_model.TrainingRecord(how="train"),
    )
    return folder


def names(recipe: Recipe, target: Target) -> list[str]:
    return [stage.name for stage in stages_of(recipe, target)]


def test_the_embedded_default_has_every_stage(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, "jetson")
    assert plan.embedded
    assert [stage.name for stage in plan.stages] == [
        "cells", "train", "reference", "prune", "export_onnx", "export_tflite", "quantize",
        "mixed", "half", "compile", "appearance", "gate", "benchmark", "report",
    ]  # fmt: skip


@pytest.mark.parametrize("target", all_targets(), ids=lambda target: target.name)
def test_every_stage_comes_after_what_it_reads(target: Target) -> None:
    recipe = Recipe(prune=PruneSpec(kind="2:4"))
    seen: set[str] = set()
    present = set(names(recipe, target))
    for stage in stages_of(recipe, target):
        assert set(stage.after) & present <= seen, stage.name
        seen.add(stage.name)


def test_a_run_of_ones_own_leaves_out_cells_and_training(tmp_path: Path, own: Path) -> None:
    plan = make_plan(tmp_path / "out", "pi", run=own, data=tmp_path)
    found = [stage.name for stage in plan.stages]
    assert not {"cells", "train", "prune", "half", "compile"} & set(found)
    assert plan.sources.split_path == own / "split.json"


def test_one_precision_is_judged_but_made_from_the_float_graphs() -> None:
    recipe = Recipe(precisions=("int8",))
    assert [form.id for form in forms(recipe, JETSON)] == ["onnx-int8", "litert-int8"]
    assert {"export_onnx", "export_tflite"} <= set(names(recipe, JETSON))
    assert "half" not in names(recipe, JETSON)


def test_without_int8_nothing_is_calibrated() -> None:
    assert "quantize" not in names(Recipe(precisions=("fp32", "fp16")), JETSON)


def test_a_target_without_tensorrt_is_given_no_proof() -> None:
    assert "compile" not in names(Recipe(), PI)
    assert "compile" in names(Recipe(), JETSON)


def test_nothing_to_build_is_refused() -> None:
    with pytest.raises(RecipeError, match="can use none of the precisions fp16"):
        stages_of(Recipe(precisions=("fp16",)), PI)


@pytest.mark.parametrize(
    ("text", "kind", "sparsity"),
    [("none", "none", 0.5), ("2:4", "2:4", 0.5), ("unstructured=0.8", "unstructured", 0.8)],
)
def test_prune_overrides_the_recipe(tmp_path: Path, text: str, kind: str, sparsity: float) -> None:
    plan = make_plan(tmp_path, "jetson", prune=text)
    assert (plan.recipe.prune.kind, plan.recipe.prune.sparsity) == (kind, sparsity)
    assert plan.recipe.prune.epochs == 6  # the embedded recipe's other settings stay


def test_margins_override_the_recipe(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, "jetson", max_drops=("specificity=0.01", "auc=0.005"))
    gate = plan.recipe.gate
    assert (gate.specificity, gate.auc, gate.sensitivity) == (0.01, 0.005, 0.02)


def test_refusals(tmp_path: Path, own: Path) -> None:
    with pytest.raises(UsageError, match="belong together"):
        make_plan(tmp_path, "jetson", run=tmp_path)
    with pytest.raises(UnknownNameError, match="unknown target"):
        make_plan(tmp_path, "jetpack")
    with pytest.raises(RecipeError, match="does not know"):
        make_plan(tmp_path, "jetson", prune="channels")
    embedded = tmp_path / "embedded.toml"
    embedded.write_text('[phantom]\nimages = 60\npatients = 6\n[train]\nmodel = "allnet"\n')
    with pytest.raises(RecipeError, match="trains a network of its own"):
        make_plan(tmp_path, "jetson", run=own, data=tmp_path, recipe=embedded)
    plain = tmp_path / "plain.toml"
    plain.write_text("[calibration]\nimages = 16\n")
    with pytest.raises(RecipeError, match=r"no \[train\]"):
        make_plan(tmp_path, "jetson", recipe=plain)


@pytest.mark.parametrize("kind", ["absent", "a file", "no run in it"])
def test_a_folder_that_is_no_run_is_a_usage_error_that_names_it(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "nowhere"
    if kind == "a file":
        folder.write_text("x")
    if kind == "no run in it":
        folder.mkdir()
    with pytest.raises(UsageError, match="no finished run") as caught:
        make_plan(tmp_path / "out", "jetson", run=folder, data=tmp_path)
    assert caught.value.exit_code == 2
    assert caught.value.where == str(folder)


def test_a_damaged_description_is_a_matter_of_integrity(tmp_path: Path, own: Path) -> None:
    (own / "model.json").write_text("{")
    with pytest.raises(IntegrityError) as caught:
        make_plan(tmp_path / "out", "jetson", run=own, data=tmp_path)
    assert caught.value.exit_code == 7


def test_data_that_is_no_folder_is_a_usage_error(tmp_path: Path, own: Path) -> None:
    for path in (tmp_path / "absent", own / "model.json"):
        with pytest.raises(UsageError, match="not a folder") as caught:
            make_plan(tmp_path / "out", "jetson", run=own, data=path)
        assert caught.value.where == str(path)


def test_a_split_without_a_run_is_refused(tmp_path: Path) -> None:
    """It would be passed over without a word."""
    with pytest.raises(UsageError, match="--split needs --run"):
        make_plan(tmp_path / "out", "jetson", split=tmp_path / "split.json")


def test_more_than_two_classes_are_refused_with_what_to_do(tmp_path: Path) -> None:
    run = make_run(tmp_path / "aria", ("Benign", "Early", "Pre", "Pro"))
    with pytest.raises(UsageError, match="4 classes") as caught:
        make_plan(tmp_path / "out", "jetson", run=run, data=tmp_path)
    assert "--positive" in str(caught.value.fix)


def test_an_absent_pinned_list_is_refused_before_anything_runs(tmp_path: Path, own: Path) -> None:
    recipe, pinned = tmp_path / "pinned.toml", tmp_path / "list.json"
    recipe.write_text(f'[calibration]\npinned = "{pinned}"\n')
    with pytest.raises(RecipeError, match=r"pinned: there is no file .*list\.json"):
        make_plan(tmp_path / "out", "jetson", run=own, data=tmp_path, recipe=recipe)
    pinned.write_text("{}")
    plan = make_plan(tmp_path / "out", "jetson", run=own, data=tmp_path, recipe=recipe)
    assert plan.recipe.calibration.pinned == pinned


def test_a_recipe_that_trains_an_unknown_network_is_refused(tmp_path: Path) -> None:
    recipe = tmp_path / "typo.toml"
    recipe.write_text('[phantom]\nimages = 60\npatients = 6\n[train]\nmodel = "allnt"\n')
    with pytest.raises(UnknownNameError, match="unknown model 'allnt'") as caught:
        make_plan(tmp_path / "out", "jetson", recipe=recipe)
    assert "did you mean allnet" in str(caught.value.fix)


def test_a_key_holds_every_setting_that_changes_the_result(tmp_path: Path) -> None:
    """Each setting of the recipe is among the settings of at least one stage."""
    plan = make_plan(tmp_path, "jetson")
    other = plan.recipe.model_copy(
        update={
            "gate": plan.recipe.gate.model_copy(update={"sensitivity": 0.5}),
            "calibration": plan.recipe.calibration.model_copy(update={"images": 9}),
            "bench": plan.recipe.bench.model_copy(update={"threads": 1}),
            "prune": plan.recipe.prune.model_copy(update={"distil": 0.5}),
            "precisions": ("fp32",),
            "appearance": plan.recipe.appearance.model_copy(update={"um_per_px": 0.1}),
        }
    )
    changed = replace(plan, recipe=other)
    before = {stage.name: stage.settings(plan.recipe, plan.target) for stage in plan.stages}
    after = {stage.name: stage.settings(changed.recipe, plan.target) for stage in plan.stages}
    differing = {name for name in before if before[name] != after[name]}
    judged = {"compile", "appearance", "gate", "benchmark", "report"}
    assert {"prune", "quantize"} | judged <= differing


class TestAgainstAnotherRun:
    def test_it_is_what_the_candidates_are_compared_with(self, own: Path, tmp_path: Path) -> None:
        teacher = make_run(tmp_path / "teacher", ("hem", "all"))
        sources = Sources(own, tmp_path, None, tmp_path, against=teacher)
        assert sources.reference == teacher
        assert set(sources.reference_identity()) == {"against"}
        assert Sources(own, tmp_path, None, tmp_path).reference == own

    @pytest.mark.parametrize(
        ("trained_on", "kind", "said"),
        [
            ((("hem", "all"), "1" * 64), SplitError, "another split"),
            ((("all", "hem"), "0" * 64), DataError, "other classes"),
        ],
        ids=["split", "classes"],
    )
    def test_one_that_cannot_be_compared_with_is_refused(
        self, own: Path, tmp_path: Path, trained_on, kind, said
    ) -> None:
        teacher = make_run(tmp_path / "teacher", *trained_on)
        with pytest.raises(kind, match=said) as caught:
            Sources(own, tmp_path, None, tmp_path, against=teacher).reference_identity()
        assert caught.value.where == str(teacher)

    def test_the_embedded_default_has_no_other(self, own: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="--against needs --run"):
            make_plan(tmp_path / "build", "jetson", against=own)

    def test_it_has_to_be_a_finished_run(self, own: Path, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        with pytest.raises(UsageError, match="no finished run to judge against") as caught:
            make_plan(
                tmp_path / "build", "jetson", run=own, data=tmp_path / "data", against=tmp_path
            )
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("positives", "negatives", "asked", "chosen"),
    [(50, 50, 20, (10, 10)), (50, 6, 20, (14, 6)), (4, 3, 20, (4, 3)), (0, 9, 4, (0, 4))],
)
def test_selection_cells_are_half_of_each_class_as_far_as_there_are(
    positives, negatives, asked, chosen
) -> None:
    labels = np.arange(positives + negatives) < positives
    places = balanced(labels, asked)
    assert places == sorted(set(places))
    assert (int(labels[places].sum()), int((~labels[places]).sum())) == chosen
