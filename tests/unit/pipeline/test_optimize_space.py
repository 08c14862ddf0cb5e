"""The space of a search: its trials, and what is refused before anything runs."""

from pathlib import Path

import numpy as np
import pytest

from allnet_edge.errors import RecipeError, SplitError, UnknownNameError, UsageError
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.candidates import forms
from allnet_edge.pipeline.optimize_space import (
    Search,
    Space,
    make_search,
    parse_shares,
    parse_sparsities,
)
from allnet_edge.spec.network import NetworkSpec, Preprocess
from allnet_edge.spec.recipe import PruneSpec


def make_run(folder: Path, split: str = "0" * 64) -> Path:
    folder.mkdir(parents=True)
    float_model.save(
        folder,
        {"logits/kernel": np.zeros((2, 1), np.float32)},
        NetworkSpec(network="allnet", preprocess=Preprocess(size=96), classes=("hem", "all")),
        label_index={"hem": 0, "all": 1},
        split_sha256=split,
        record=float_model.TrainingRecord(how="train"),
    )
    return folder


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    (tmp_path / "cells").mkdir()
    return make_run(tmp_path / "Teacher one")


@pytest.fixture
def student(tmp_path: Path) -> Path:
    return make_run(tmp_path / "student")


def search(teacher: Path, **changed: object) -> Search:
    given = {"target": "x86", "run": teacher, "data": teacher.parent / "cells", **changed}
    return make_search(Space(**given), teacher.parent / "out")


def test_the_space_is_every_network_with_every_pruning(teacher: Path, student: Path) -> None:
    found = search(teacher, students=(student,), channels=(1.0, 0.5), sparsities=("none", "2:4"))
    assert [trial.name for trial in found.trials] == [
        "teacher-one", "teacher-one-2of4", "teacher-one-channels-0.5",
        "teacher-one-channels-0.5-2of4",
        "student", "student-2of4", "student-channels-0.5", "student-channels-0.5-2of4",
    ]  # fmt: skip
    prunes = [trial.plan.recipe.prune for trial in found.trials[:4]]
    assert prunes == [
        PruneSpec(),
        PruneSpec(kind="2:4"),
        PruneSpec(kind="channels", macs=0.5),
        PruneSpec(kind="channels", macs=0.5, two_of_four=True),
    ]
    folders = {trial.plan.out for trial in found.trials}
    assert len(folders) == 8
    assert {folder.parent for folder in folders} == {teacher.parent / "out" / "trials"}


def test_students_are_judged_against_the_run_and_the_run_against_itself(
    teacher: Path, student: Path
) -> None:
    own, other = search(teacher, students=(student,), channels=(1.0,)).trials
    assert (own.student, other.student) == (False, True)
    assert own.plan.sources.reference == own.plan.sources.run == teacher
    assert other.plan.sources.run == student
    assert other.plan.sources.reference == teacher


def test_a_trial_stops_before_anything_that_reads_the_gates_answers(teacher: Path) -> None:
    (trial,) = search(teacher, channels=(1.0,)).trials
    names = [stage.name for stage in trial.forms_plan.stages]
    assert names == ["reference", "export_onnx", "export_tflite", "quantize", "mixed", "select"]
    whole = [stage.name for stage in trial.plan.stages]
    assert whole == [*names[:-1], "appearance", "gate", "benchmark", "report"]


def test_runs_whose_folders_have_one_name_get_trials_of_their_own(
    teacher: Path, tmp_path: Path
) -> None:
    same = make_run(tmp_path / "other" / "teacher-ONE")
    names = [t.name for t in search(teacher, students=(same,), channels=(1.0,)).trials]
    assert names == ["teacher-one", "teacher-one-run2"]


def test_what_is_known_of_the_images_is_kept_once_for_all_trials(teacher: Path) -> None:
    found = search(teacher)
    assert {trial.plan.sources.cache for trial in found.trials} == {found.out / ".scan"}


def test_the_budget_is_the_targets_unless_one_is_given(teacher: Path) -> None:
    own = search(teacher)
    assert own.budget_ms == own.target.latency_budget_ms.value
    assert own.budget_source.startswith("x86: ")
    given = search(teacher, budget_ms=0.1)
    assert (given.budget_ms, given.budget_source) == (0.1, "--budget-ms")


def test_a_choice_by_estimate_leaves_only_forms_that_the_gpu_runs(teacher: Path) -> None:
    here = search(teacher, target="jetson", channels=(1.0,))
    there = search(teacher, target="jetson", channels=(1.0,), rank_by="estimate")
    assert (here.rank_by, there.rank_by) == ("host", "estimate")
    formats = [
        {form.format for form in forms(found.trials[0].plan.recipe, found.trials[0].plan.target)}
        for found in (here, there)
    ]
    assert formats == [{"onnx", "tflite"}, {"onnx"}]
    names = {stage.name for stage in there.trials[0].plan.stages}
    assert "export_onnx" in names
    assert "export_tflite" not in names


@pytest.mark.parametrize(
    ("target", "told"),
    [("pi", "has no TensorRT"), ("x86", "has no TensorRT"), ("jetson-thor-t4000", "clock of its")],
)
def test_where_there_is_no_estimate_the_choice_cannot_go_by_it(
    teacher: Path, target: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        search(teacher, target=target, rank_by="estimate")


@pytest.mark.parametrize("budget", [0.0, 0.09, -1.0, float("nan"), float("inf")])
def test_a_budget_that_nothing_could_meet_or_that_is_none_is_refused(
    teacher: Path, budget: float
) -> None:
    with pytest.raises(RecipeError, match="--budget-ms"):
        search(teacher, budget_ms=budget)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, float("nan")])
def test_a_share_outside_of_0_to_1_is_refused(teacher: Path, share: float) -> None:
    with pytest.raises(RecipeError, match="lies in"):
        search(teacher, channels=(1.0, share))


def test_a_very_small_share_is_told_to_the_build_in_plain_digits(teacher: Path) -> None:
    (trial,) = search(teacher, channels=(0.05,)).trials
    assert trial.plan.recipe.prune.macs == 0.05


def test_the_same_share_twice_is_one_trial(teacher: Path) -> None:
    assert len(search(teacher, channels=(0.5, 0.5), sparsities=("none", "none")).trials) == 1


def test_an_empty_space_is_refused(teacher: Path) -> None:
    with pytest.raises(RecipeError, match="--channels names no share"):
        search(teacher, channels=parse_shares(" , "))
    with pytest.raises(RecipeError, match="--sparsity names none"):
        search(teacher, sparsities=parse_sparsities(","))
    with pytest.raises(RecipeError, match="can use none of the precisions"):
        search(teacher, precision="fp16")  # a PC without a GPU


def test_unknown_names_come_with_the_nearest(teacher: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 2:4"):
        search(teacher, sparsities=("2:5",))
    with pytest.raises(UnknownNameError, match="did you mean int8"):
        search(teacher, precision="int9")
    with pytest.raises(UnknownNameError, match="unknown target"):
        search(teacher, target="jetsun-nano")
    with pytest.raises(UnknownNameError, match="did you mean estimate"):
        search(teacher, rank_by="estimated")
    with pytest.raises(UnknownNameError, match="did you mean specificity"):
        search(teacher, max_drops=("specifity=0.02",))


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(RecipeError, match="--channels 1,half"):
        parse_shares("1,half")
    assert parse_shares("1, 0.5") == (1.0, 0.5)


def test_a_network_given_twice_is_refused(teacher: Path, student: Path) -> None:
    with pytest.raises(UsageError, match="given twice"):
        search(teacher, students=(teacher,))
    with pytest.raises(UsageError, match="given twice"):
        search(teacher, students=(student, student.parent / "." / "student"))


def test_a_student_of_another_split_is_refused_before_anything_runs(
    teacher: Path, tmp_path: Path
) -> None:
    other = make_run(tmp_path / "stranger", split="1" * 64)
    with pytest.raises(SplitError, match="another split"):
        search(teacher, students=(other,))
    assert not (tmp_path / "out").exists()


def test_a_student_that_is_no_finished_run_is_refused(teacher: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no finished run"):
        search(teacher, students=(tmp_path / "empty",))
