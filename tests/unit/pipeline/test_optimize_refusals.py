"""What a stage refuses is kept beside it until its inputs change; a failure is tried again."""

from dataclasses import replace
from pathlib import Path

import pytest

from allnet_edge.errors import ConversionError, GateFailed, RecipeError
from allnet_edge.pipeline import run as running
from allnet_edge.pipeline.plan import Plan, make_plan
from allnet_edge.pipeline.run import make
from allnet_edge.pipeline.stage import Stage
from allnet_edge.pipeline.worker import Request


class Stages:
    """Stands in for the processes of stages: writes a file, or raises."""

    def __init__(self, error: Exception | None) -> None:
        self.error, self.started = error, []

    def __call__(self, request: Request, *_: object) -> None:
        self.started.append(request.stage)
        if request.stage == "second" and self.error:
            raise self.error
        (request.folder / "made").write_text(request.stage)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    stages = (Stage("first", "one"), Stage("second", "two", after=("first",)), Stage("third", "3"))
    return replace(make_plan(tmp_path / "out", "x86"), stages=stages)


def with_setting(plan: Plan, value: int) -> Plan:
    first, second, third = plan.stages
    return replace(
        plan, stages=(first, replace(second, settings=lambda _r, _t: {"value": value}), third)
    )


@pytest.mark.parametrize("kind", [GateFailed, RecipeError])
def test_a_refusal_ends_it_and_is_not_asked_for_twice(
    plan: Plan, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(kind("this cannot be had"))
    monkeypatch.setattr(running, "launch", stages)
    for started in (["first", "second"], []):
        stages.started.clear()
        refusal = make(plan)
        assert stages.started == started
        assert refusal is not None
        assert refusal.stage == "second"
        assert type(refusal.error) is kind
        assert refusal.error.what == "this cannot be had"


def test_other_inputs_are_asked_for_again(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages(GateFailed("no"))
    monkeypatch.setattr(running, "launch", stages)
    make(with_setting(plan, 1))
    make(with_setting(plan, 2))
    assert stages.started == ["first", "second", "second"]
    stages.error = None
    assert make(with_setting(plan, 3)) is None
    assert stages.started[-2:] == ["second", "third"]


def test_a_failure_is_raised_and_tried_again(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages(ConversionError("a crash in a native library"))
    monkeypatch.setattr(running, "launch", stages)
    for _ in range(2):
        with pytest.raises(ConversionError, match="crash"):
            make(plan)
    assert stages.started == ["first", "second", "second"]
    stages.error = None
    assert make(plan) is None
    assert make(plan) is None
    assert stages.started == ["first", "second", "second", "second", "third"]


def test_a_damaged_note_of_a_refusal_is_asked_for_again(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(GateFailed("no"))
    monkeypatch.setattr(running, "launch", stages)
    make(plan)
    (plan.out / "second.refused.json").write_text("{")
    make(plan)
    assert stages.started == ["first", "second", "second"]
