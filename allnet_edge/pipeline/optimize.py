"""The search for the fastest form of any of several networks that is not worse.

Every trial is a build that stops before its gate; its forms are judged on validation cells and
measured on this machine. Only the build of the winner is finished, so that the gate's cells are
looked at once, after the choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from allnet_edge.artifacts.builddir import BuildDir
from allnet_edge.artifacts.files import write_json, write_text
from allnet_edge.errors import ConversionError, UsageError
from allnet_edge.pipeline.optimize_document import (
    Entry,
    Latencies,
    candidates,
    document,
    entries,
)
from allnet_edge.pipeline.optimize_estimate import can_estimate, estimate_all
from allnet_edge.pipeline.optimize_latency import File, Measured, measure
from allnet_edge.pipeline.optimize_space import Search
from allnet_edge.pipeline.optimize_trial import Tried, by_stage, make_trial
from allnet_edge.pipeline.run import Outcome
from allnet_edge.pipeline.run import run as run_build
from allnet_edge.progress import Progress, silent
from allnet_edge.report.pareto_document import EstimatedLatency, OptimizeDocument
from allnet_edge.report.pareto_page import render_optimize
from allnet_edge.search.pareto import decide
from allnet_edge.spec.gate import Verdict

JSON, HTML = "optimize.json", "optimize.html"
_GATES = TypeAdapter(list[str])


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        verdict: Of the winner's gate; ``fail`` where nothing is acceptable within the budget.
    """

    document: OptimizeDocument
    verdict: Verdict


def optimize(search: Search, progress: Progress = silent) -> Found:
    """Try every trial, choose, and judge the choice; what was finished before is not repeated.

    Writes ``optimize.json`` and ``optimize.html`` into the folder of the search.

    Raises:
        AllnetEdgeError: This machine or the data is at fault, or no trial has a form to judge.
    """
    with BuildDir.open(search.out):
        tried = _try_all(search, progress)
        found = entries(tried)
        measured = _measure(search, found, progress)
        latencies = Latencies(search.rank_by, measured, _estimate(search, found, progress))
        decision = decide(candidates(found, latencies), search.budget_ms)
        winner = next((entry for entry in found if entry.id == decision.winner), None)
        gated: tuple[Entry, Outcome] | None = None
        if winner is not None:
            gated = winner, run_build(winner.tried.plan, by_stage(progress))
        looks = _looks(search, winner)
        content = document(search, tried, latencies, decision, gated=gated, looks=looks)
        write_text(search.out / JSON, content.to_json())
        write_text(search.out / HTML, render_optimize(content))
    return Found(content, content.gate.verdict if content.gate else "fail")


def _looks(search: Search, winner: Entry | None) -> int:
    """How many different gates have run in this folder, the winner's included."""
    path = search.out / "gates.json"
    known = set(_GATES.validate_json(path.read_bytes())) if path.is_file() else set()
    if winner is not None:
        with BuildDir.open(winner.tried.plan.out) as build:
            record = build.record("gate")
        known |= {record.key} if record else set()
        write_json(path, sorted(known))
    return len(known)


def _try_all(search: Search, progress: Progress) -> list[Tried]:
    tried = []
    for done, trial in enumerate(search.trials):
        progress("trials", done, len(search.trials))
        tried.append(make_trial(trial, search.trials, progress))
    progress("trials", len(search.trials), len(search.trials))
    errors = [one.error for one in tried if one.error is not None]
    if len(errors) == len(tried):
        raise errors[0]
    return tried


def _measure(search: Search, found: Sequence[Entry], progress: Progress) -> Measured:
    bench = search.trials[0].plan.recipe.bench
    files = [
        File(entry.found.sha256, entry.tried.file(entry.form), entry.tried.plan.sources)
        for entry in found
        if entry.found is not None
    ]
    return measure(
        files,
        search.out / "latency.json",
        mode=bench.mode,
        threads=bench.threads,
        progress=progress,
    )


def _estimate(
    search: Search, found: Sequence[Entry], progress: Progress
) -> dict[str, EstimatedLatency]:
    """Of every ONNX graph, where the target has a GPU that is known; by SHA-256.

    Raises:
        AllnetEdgeError: A graph has no estimate, and the choice is to go by it.
    """
    if not can_estimate(search.target):
        return {}
    files = [
        (entry.found.sha256, entry.tried.file(entry.form), entry.form.precision)
        for entry in found
        if entry.found is not None and entry.form.format == "onnx"
    ]
    try:
        return estimate_all(files, search.target, progress)
    except (ConversionError, UsageError) as error:
        if search.rank_by == "estimate":
            raise
        progress(f"no estimates: {error.what}", 1, 1)
        return {}
