"""One trial of ``optimize``: a network's forms made, and judged on validation cells."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from allnet_edge.artifacts.builddir import RECORD, BuildDir
from allnet_edge.artifacts.files import commit_folder, temporary_name
from allnet_edge.errors import AllnetEdgeError, ConversionError
from allnet_edge.pipeline.candidates import Form, forms
from allnet_edge.pipeline.optimize_space import Trial
from allnet_edge.pipeline.order import SELECT
from allnet_edge.pipeline.plan import Plan
from allnet_edge.pipeline.run import Refusal, make
from allnet_edge.pipeline.selected import Selected
from allnet_edge.progress import Progress

_REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a trial.

    Attributes:
        selected: None where there are no forms to judge.
        not_made: Why, for every form that was asked for and is not there.
        seconds: What the finished stages took when they were made.
        error: What the trial was refused with, where there are no forms to judge.
    """

    trial: Trial
    selected: Selected | None
    not_made: dict[str, str]
    seconds: float
    error: AllnetEdgeError | None = None

    @property
    def plan(self) -> Plan:
        """The whole build."""
        return self.trial.plan

    def file(self, form: Form) -> Path:
        """Where a form lies."""
        return form.path({stage.name: self.plan.out / stage.name for stage in self.plan.stages})

    @property
    def forms(self) -> tuple[Form, ...]:
        """All forms that were asked for."""
        return forms(self.plan.recipe, self.plan.target)


def make_trial(trial: Trial, others: Iterable[Trial], progress: Progress) -> Tried:
    """Make the forms of a trial and judge them; what is there already stays.

    Args:
        others: Trials whose frozen answers of the same float network are taken over.

    Raises:
        AllnetEdgeError: This machine, the data or a file is at fault: no matter of this trial.
    """
    _adopt_reference(trial, others)
    try:
        refusal = make(trial.forms_plan, _counted(trial, progress))
    except ConversionError as error:  # tried again by the next start: it may be a crash
        refusal = Refusal("", error)
    seconds = _seconds(trial.plan)
    if refusal is not None:
        progress(f"{trial.name}: refused, {refusal.error.what}", 1, 1)
        reasons = {f.id: refusal.error.what for f in forms(trial.plan.recipe, trial.plan.target)}
        return Tried(trial, None, reasons, seconds, refusal.error)
    selected = Selected.model_validate_json(
        (trial.plan.out / SELECT.name / f"{SELECT.name}.json").read_bytes()
    )
    return Tried(trial, selected, _needless(trial, selected), _seconds(trial.forms_plan))


def _mixed_forms(trial: Trial) -> list[Form]:
    return [f for f in forms(trial.plan.recipe, trial.plan.target) if f.precision == "mixed"]


def _needless(trial: Trial, selected: Selected) -> dict[str, str]:
    """Why the mixed stage made nothing for a format."""
    there = {form.id for form in selected.forms}
    missing = [f for f in _mixed_forms(trial) if f.id not in there]
    if not missing:
        return {}
    document = json.loads((trial.plan.out / "mixed" / "mixed.json").read_bytes())
    return {form.id: document["formats"][form.format]["why"] for form in missing}


def _adopt_reference(trial: Trial, others: Iterable[Trial]) -> None:
    """Take over frozen answers of the same network; their key is checked like that of any stage."""
    folder = trial.plan.out / _REFERENCE
    for other in others:
        source = other.plan.out / _REFERENCE
        if other.run != trial.run or not (source / RECORD).is_file() or folder.exists():
            continue
        with BuildDir.open(trial.plan.out):
            assembled = temporary_name(folder)
            shutil.copytree(source, assembled)
            commit_folder(assembled, folder)


def _seconds(plan: Plan) -> float:
    with BuildDir.open(plan.out) as build:
        records = [build.record(stage.name) for stage in plan.stages]
    return round(sum(record.seconds for record in records if record), 3)


def by_stage(progress: Progress) -> Progress:
    """One bar a stage, for all of its steps.

    What a stage is doing is left to its log: the names of all steps of all trials, each a bar in a
    terminal, would be more than it has lines.
    """
    return lambda what, done, total: progress(what.partition(":")[0], done, total)


def _counted(trial: Trial, progress: Progress) -> Progress:
    """The same, and how many stages of the trial are finished."""
    stages = trial.forms_plan.stages
    ends = {f"{one.name}: {word}" for one in stages for word in (one.title, "unchanged")}
    finished: set[str] = set()
    step = by_stage(progress)

    def tell(what: str, done: int, total: int) -> None:
        if what not in ends:
            step(what, done, total)
        elif done == 1:
            finished.add(what.partition(":")[0])
            progress(f"trial {trial.name}", len(finished), len(stages))

    progress(f"trial {trial.name}", 0, len(stages))
    return tell
