"""The results table: every system on the real data, judged the same way, beside what was published.

    python benchmarks/seed_systems.py --aria DIR --cnmc DIR --runs RUNS [--only JOB ...] [--list]

Each job trains one system by its own recipe with the changes listed in `JOBS` (from scratch, small
inputs and few epochs: a CPU's worth), evaluates it on cells that it has not seen, and leaves its
row in RUNS/JOB/row.json. Finished jobs are kept, killed ones resume. All rows found in RUNS go into
benchmarks/results/systems.json; a job without a row says `not measured`.

On Aria the split is by blocks of the capture order (patients are unknown). C-NMC's 75 cells of the
training folds are cross-validated by patient: each cell is decided by a network that saw no cell of
its patient, and the decisions are pooled. n is far too small to rank systems, and the intervals
say so.
"""

import argparse
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from allnet_edge.artifacts.files import read_json, write_json
from allnet_edge.measure.system import describe
from allnet_edge.spec.system import load_system

RESULT = Path(__file__).parent / "results" / "systems.json"
FIGURES = (
    "accuracy", "balanced_accuracy", "sensitivity", "specificity", "weighted_f1", "roc_auc",
    "pr_auc", "brier", "ece", "macro_roc_auc", "macro_f1",
)  # fmt: skip
LEUKEMIC = "Early,Pre,Pro"


@dataclass(frozen=True)
class Job:
    """One row of the table.

    Attributes:
        changes: Flags of `train`, over the system's recipe.
        positive: Classes that count as positive; None keeps all classes.
        folds: Of a cross-validation by patient; 0 for one split.
    """

    model: str
    data: str
    changes: dict[str, object] = field(default_factory=dict)
    positive: str | None = None
    folds: int = 0

    @property
    def name(self) -> str:
        """Unique among the jobs."""
        task = "folds" if self.folds else "binary" if self.positive else "classes"
        return f"{self.data}-{task}-{self.model}"


def small(model: str, epochs: int, size: int = 128, **more: object) -> Job:
    return Job(model, "aria", {"input-size": size, "epochs": epochs, **more}, LEUKEMIC)


def tiny(model: str, epochs: int, size: int = 96, **more: object) -> Job:
    return Job(model, "cnmc", {"input-size": size, "epochs": epochs, **more}, None, 3)


# From scratch the published learning rates, meant for ImageNet's weights, are too small.
JOBS = (
    Job("custom_cnn", "aria", {"input-size": 128, "epochs": 24, "learning-rate": 1e-3}),
    Job("mobilenetv2", "aria", {"input-size": 128, "epochs": 20, "learning-rate": 1e-3}),
    small("alnett", 20),
    small("allnet", 3),
    small("resnet50", 4, 96, schedule="cosine", augment="dihedral"),
    small("inceptionv3", 4, 96, schedule="cosine", augment="dihedral"),
    small("se_resnext50", 3, 96, schedule="cosine", **{"batch-size": 32, "learning-rate": 1e-3}),
    small("vgg16", 4, 96, schedule="cosine", augment="dihedral"),
    tiny("custom_cnn", 30, **{"learning-rate": 1e-3, "batch-size": 8}),
    tiny("alnett", 30, **{"batch-size": 8}),
    tiny("mobilenetv2", 20, **{"learning-rate": 1e-3, "batch-size": 8}),
    tiny("resnet50", 8, **{"batch-size": 8, "augment": "dihedral"}),
    tiny("inceptionv3", 8, **{"batch-size": 8, "augment": "dihedral"}),
    tiny("se_resnext50", 6, **{"batch-size": 8, "learning-rate": 1e-3}),
    tiny("vgg16", 8, **{"batch-size": 8, "augment": "dihedral"}),
    tiny("allnet", 6, **{"batch-size": 8, "augment": "dihedral"}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aria", type=Path)
    parser.add_argument("--cnmc", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of jobs; default all")
    parser.add_argument("--list", action="store_true", help="name the jobs and run none")
    parser.add_argument("--table", action="store_true", help="write the table of what is there")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(job.name for job in JOBS))
        return
    folders = {"aria": arguments.aria, "cnmc": arguments.cnmc}
    for job in JOBS:
        wanted = not arguments.only or job.name in arguments.only
        if arguments.table or not wanted or folders[job.data] is None:
            continue
        if not (arguments.runs / job.name / "row.json").is_file():
            run(job, folders[job.data], arguments.runs / job.name)
    write_table(arguments.runs)


def run(job: Job, data: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    splits: list[Path | None] = [None]
    if job.folds:
        splits = [folder / "splits" / f"fold-{k}.json" for k in range(1, job.folds + 1)]
        if not splits[0].is_file():
            verb("data", "split", data, "--protocol", "patient", "--folds", job.folds, "-o",
                 folder / "splits")  # fmt: skip
    runs = []
    for number, split in enumerate(splits, start=1):
        runs.append(folder / (f"fold-{number}" if job.folds else "run"))
        if not (runs[-1] / "model.json").is_file():
            verb("train", *train_arguments(job, data, split, runs[-1]))
    write_json(folder / "row.json", row_of(job, data, runs))


def train_arguments(job: Job, data: Path, split: Path | None, out: Path) -> list[object]:
    told: list[object] = ["--model", job.model, "--data", data, "-o", out, "--resume", "--quiet"]
    for flag, value in job.changes.items():
        told += [f"--{flag}", value]
    if job.positive:
        told += ["--positive", job.positive]
    if split is not None:
        told += ["--split", split]
    return told


def verb(*arguments: object) -> None:
    print("allnet-edge", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "allnet_edge", *map(str, arguments)], check=True)


def row_of(job: Job, data: Path, runs: list[Path]) -> dict[str, object]:
    from allnet_edge.evaluation.from_run import evaluate_run
    from allnet_edge.evaluation.pool import pool
    from allnet_edge.evaluation.write import write

    judged = [evaluate_run(folder, data) for folder in runs]
    whole = pool(judged, job.name) if job.folds else judged[0]
    write(whole, runs[0].parent / "evaluation")
    document, described = whole.document, [read_json(folder / "model.json") for folder in runs]
    seconds = [e["seconds"] for folder in runs for e in read_json(folder / "history.json")]
    return {
        "job": job.name,
        "date": date.today().isoformat(),
        "machine": describe().model_dump(mode="json"),
        "changes_to_the_recipe": job.changes,
        "settings": described[0]["record"]["settings"],
        "versions": described[0]["record"]["versions"],
        "classes": document.network.classes,
        "split": document.cells.split_in_words,
        "exposure": document.cells.exposure,
        "runs": len(runs),
        "n": document.cells.n,
        "patients": document.cells.patients,
        "parts": document.cells.parts,
        "confusion": document.performance.confusion,
        "figures": figures_of(document.performance),
        "probes": {
            probe.name: figures_of(probe.performance) if probe.performance else probe.status
            for probe in document.probes
        },
        "warnings": document.warnings,
        "seconds_per_epoch": round(statistics.median(seconds), 1),
        **size_of(runs[0]),
    }


def figures_of(performance: object) -> dict[str, object]:
    return {
        name: [figure.value, figure.lower, figure.upper, figure.n, figure.method]
        for name, figure in performance.figures.items()
        if name in FIGURES
    }


def size_of(run_folder: Path) -> dict[str, int]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    from allnet_edge import models
    from allnet_edge.models.storage import float_model
    from allnet_edge.models.storage.size import macs_of, parameters_of

    network = models.build(keras, float_model.read(run_folder).spec)
    return {"parameters": parameters_of(network), "macs": macs_of(network)}


def write_table(runs: Path) -> None:
    rows = []
    for job in JOBS:
        system, path = load_system(job.model), runs / job.name / "row.json"
        about = {
            "system": system.title,
            "source": system.source,
            "our_readings": system.ours,
            "published": [line.model_dump(exclude_none=True) for line in system.published],
        }
        found = read_json(path) if path.is_file() else {"job": job.name, "figures": "not measured"}
        rows.append(found | about)
    write_json(RESULT, rows)
    for row in rows:
        print(row["job"], line_of(row))


def line_of(row: dict[str, object]) -> str:
    if row["figures"] == "not measured":
        return "not measured"
    told = []
    for name in ("accuracy", "sensitivity", "specificity", "roc_auc"):
        if name in row["figures"] and row["figures"][name][0] is not None:
            value, lower, upper = row["figures"][name][:3]
            told.append(f"{name} {value:.3f} ({lower:.3f}-{upper:.3f})")
    return f"n {row['n']}, {row['split']}: {', '.join(told)}"


if __name__ == "__main__":
    main()
