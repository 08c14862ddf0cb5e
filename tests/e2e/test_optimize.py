"""``allnet-edge optimize`` as a person uses it: killed, resumed, repeated, over its budget."""

import json
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from build_support import command, run

from allnet_edge.artifacts.builddir import MARKER, RECORD
from allnet_edge.artifacts.files import hash_tree
from allnet_edge.pipeline.optimize import optimize
from allnet_edge.pipeline.optimize_space import Space, make_search
from allnet_edge.report.pareto_document import OptimizeDocument

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("optimize")]

TRIALS = ("net", "net-channels-0.5")
# One format and one precision: here only the road of a search counts, and a build has its own test.
DEVICE = """
name = "litert-only"
title = "Any computer that runs LiteRT"
kind = "x86"
runtimes = ["litert"]
precisions = ["int8", "fp32"]
formats = ["tflite"]
[latency_budget_ms]
value = 1000
source = "far away, so that only what is lost decides"
"""
# So few cells and epochs decide nothing; the margins are wide for the same reason.
RECIPE = """
precisions = ["fp32", "int8"]
[prune]
epochs = 1
[calibration]
images = 16
[mixed]
images = 32
[gate]
accuracy_ratio = 0.4
sensitivity = 0.9
specificity = 0.9
auc = 0.9
"""


@dataclass(frozen=True)
class Search:
    space: Space
    arguments: list[str]
    out: Path
    killed_with: dict[str, str]
    process: "subprocess.CompletedProcess[str]"

    @property
    def document(self) -> OptimizeDocument:
        return OptimizeDocument.from_json((self.out / "optimize.json").read_text())


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Search:
    """A search that was killed in its second trial and started again."""
    root = tmp_path_factory.mktemp("optimize")
    (root / "litert-only.toml").write_text(DEVICE)
    (root / "small.toml").write_text(RECIPE)
    cells, net, out = root / "cells", root / "net", root / "out"
    for made in (
        run("data", "phantom", cells, "--images", 240, "--patients", 24, "--seed", 4, "-q"),
        run(
            "train", "--data", cells, "-o", net, "--model", "custom_cnn", "--input-size", 32,
            "--width", 0.25, "--epochs", 2, "--seed", 3, "-q",
        ),
    ):  # fmt: skip
        assert made.returncode == 0, made.stderr
    arguments = [
        "optimize", "--target", str(root / "litert-only.toml"), "--run", str(net),
        "--data", str(cells), "--channels", "1,0.5", "--recipe", str(root / "small.toml"),
        "-o", str(out), "--json",
    ]  # fmt: skip
    _kill_when_there(command(*arguments), out / "trials" / TRIALS[1] / "prune")
    killed_with = {str(path): path.read_text() for path in out.glob(f"trials/*/*/{RECORD}")}
    done = run(*arguments)
    space = Space(
        target=str(root / "litert-only.toml"), run=net, data=cells, recipe=root / "small.toml"
    )
    return Search(space, arguments, out, killed_with, done)


def _kill_when_there(arguments: list[str], path: Path) -> None:
    with subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not path.exists():
            assert process.poll() is None, f"it ended before {path.name} was there"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)


def test_the_exit_code_is_the_winners_verdict_at_the_gate(search: Search) -> None:
    document = search.document
    assert document.gate is not None
    assert (
        search.process.returncode
        == {"pass": 0, "fail": 5, "inconclusive": 8}[document.gate.verdict]
    ), search.process.stderr
    printed = json.loads(search.process.stdout)
    assert printed["winner"] == document.winner
    assert printed["front"] == list(document.front)


def test_what_was_finished_before_the_kill_was_not_made_again(search: Search) -> None:
    assert any(f"{TRIALS[1]}/prune" in path for path in search.killed_with)
    for path, record in search.killed_with.items():
        assert Path(path).read_text() == record, path


def test_every_candidate_is_listed_with_its_place(search: Search) -> None:
    document = search.document
    wanted = {f"{trial}/{form}" for trial in TRIALS for form in ("litert-fp32", "litert-int8")}
    assert {row.id for row in document.rows} == wanted
    for row in document.rows:
        assert row.why
        assert row.target_ms is None
        assert row.latency is not None
        assert row.latency.rounds == 5
        assert 0 < row.latency.low <= row.latency.p50 <= row.latency.high
    winner = document.best
    assert winner is not None
    usable = [row for row in document.rows if row.acceptable]
    assert winner.latency.p50 == min(row.latency.p50 for row in usable)
    sizes = {row.id: row.size for row in document.rows}
    assert sizes["net-channels-0.5/litert-fp32"] < sizes["net/litert-fp32"]
    assert document.host.machine.device_class == "host-proxy"
    assert "not measured" in document.target_latency


def test_only_the_winners_trial_went_to_the_gate(search: Search) -> None:
    document = search.document
    assert document.best is not None
    gated = [path.parent.parent.name for path in search.out.glob(f"trials/*/gate/{RECORD}")]
    assert gated == [document.best.trial]
    assert document.gate is not None
    assert document.gate.looks == 1
    for trial in TRIALS:
        selected = json.loads((search.out / "trials" / trial / "select/select.json").read_text())
        assert selected["part"] == "validation"
        assert selected["n"] == document.cells.n == 32
    judged = json.loads((search.out / document.gate.report).with_suffix(".json").read_text())
    assert judged["verdict"]["verdict"] == document.gate.build_verdict


def test_frozen_answers_of_one_network_are_computed_once(search: Search) -> None:
    own, other = (
        json.loads((search.out / "trials" / trial / "reference" / RECORD).read_text())
        for trial in TRIALS
    )
    assert own == other  # seconds included: it is the same work, not the same again


def test_a_second_start_repeats_nothing_and_writes_the_same_bytes(search: Search) -> None:
    before = hash_tree(search.out)
    began = {path: path.stat().st_mtime_ns for path in search.out.glob(f"trials/*/*/{RECORD}")}
    again = run(*search.arguments)
    assert again.returncode == search.process.returncode, again.stderr
    assert {path: path.stat().st_mtime_ns for path in began} == began
    after = hash_tree(search.out)
    changed = {name for name in before if before[name] != after.get(name)}
    assert {Path(name).name for name in changed} <= {MARKER}  # it holds the number of the process


def test_a_killed_measurement_goes_on_after_its_finished_rounds(search: Search) -> None:
    path = search.out / "latency.json"
    whole = json.loads(path.read_text())
    kept = {**whole, "rounds": whole["rounds"][:3], "other_load": whole["other_load"][:3]}
    path.write_text(json.dumps(kept))
    again = run(*search.arguments)
    assert again.returncode in (0, 5, 8), again.stderr
    found = json.loads(path.read_text())
    assert found["rounds"][:3] == whole["rounds"][:3]
    assert len(found["rounds"]) == 5
    assert found["rounds"][3:] != whole["rounds"][3:]
    assert found["began"] == whole["began"]


def test_another_look_at_the_gates_cells_is_counted_and_warned_of(search: Search) -> None:
    path = search.out / "gates.json"
    seen = json.loads(path.read_text())
    assert len(seen) == 1
    path.write_text(json.dumps([*seen, "0" * 64]))  # as after a search by other margins
    again = run(*search.arguments)
    assert json.loads(again.stdout)["gate"]["looks"] == 2
    assert "warning: The gate's cells were looked at 2 times" in again.stderr


def test_where_the_budget_is_too_small_nothing_is_judged_and_the_closest_is_named(
    search: Search,
) -> None:
    whole = make_search(search.space, search.out)
    found = optimize(replace(whole, budget_ms=1e-6))  # less than the command line lets through
    assert found.verdict == "fail"
    assert found.document.winner is None
    assert found.document.gate is None
    assert "ms over the budget of 1e-06 ms" in str(found.document.closest)
    assert {row.status for row in found.document.rows if row.acceptable} == {"over-budget"}
    assert "No candidate" in (search.out / "optimize.html").read_text()


def test_a_choice_by_estimate_goes_by_the_targets_gpu_and_says_so(
    search: Search, tmp_path: Path
) -> None:
    space = search.space
    process = run(
        "optimize", "--target", "jetson", "--run", space.run, "--data", space.data,
        "--recipe", space.recipe, "--channels", "1", "--rank-by", "estimate",
        "-o", tmp_path / "out",
    )  # fmt: skip
    found = OptimizeDocument.from_json((tmp_path / "out" / "optimize.json").read_text())
    assert found.gate is not None, process.stderr
    assert process.returncode == {"pass": 0, "fail": 5, "inconclusive": 8}[found.gate.verdict]
    assert found.settings.rank_by == "estimate"
    assert {row.form for row in found.rows} == {"onnx-fp32", "onnx-int8"}
    estimates = {row.form: row.estimate.milliseconds for row in found.rows if row.estimate}
    assert len(set(estimates.values())) == 2
    usable = [row for row in found.rows if row.acceptable]
    assert found.best is not None
    assert estimates[found.best.form] == min(estimates[row.form] for row in usable)
    for row in found.rows:
        assert row.target_ms is None
        assert row.latency is not None
    assert "fastest acceptable form by estimate" in found.headline
    assert "by estimate (on boards unseen off by" in " ".join(process.stdout.split())
    assert "an ESTIMATE of the latency on the target's GPU" in process.stderr
    page = (tmp_path / "out" / "optimize.html").read_text()
    assert "target, estimate" in page
    assert "on the target: estimate" in page
