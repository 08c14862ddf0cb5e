"""Take the figures of a finished build into benchmarks/results/, where the README finds them.

    /usr/bin/time -v -o time.txt allnet-edge build ... -o BUILD
    python benchmarks/build_figures.py BUILD benchmarks/results/NAME.json --time time.txt

Peak memory and wall clock come from GNU time; everything else from the build itself.
"""

import argparse
import json
import re
from pathlib import Path

from allnet_edge.artifacts.files import write_json
from allnet_edge.report.document import Estimate, ReportDocument, Rung


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--time", type=Path, help="what /usr/bin/time -v wrote")
    parser.add_argument("--note", default="", help="what was special about this run")
    arguments = parser.parse_args()
    document = ReportDocument.from_json((arguments.build / "report.json").read_text())
    figures = figures_of(document)
    if arguments.time:
        figures["process"] = process_of(arguments.time.read_text())
    figures["note"] = arguments.note
    write_json(arguments.result, figures)
    print(json.dumps(figures["ladder"], indent=1))


def figures_of(document: ReportDocument) -> dict[str, object]:
    latency = document.latency
    machine = document.machine
    return {
        "created": document.created.isoformat(),
        "machine": machine.model_dump(mode="json") if machine else None,
        "phantom_data": document.phantom,
        "target": document.target.name,
        "verdict": document.verdict.verdict,
        "sentence": document.verdict.sentence,
        "chosen": document.verdict.chosen,
        "data": document.data.model_dump(mode="json", exclude={"index_sha256"}),
        "gate": document.gate.model_dump(mode="json") if document.gate else None,
        "ladder": [rung_of(rung) for rung in document.ladder],
        "latency": {
            row.id: {
                "p50_ms": round(row.latency_ms.p50, 3),
                "end_to_end_p50_ms": round(row.end_to_end_ms.p50, 3) if row.end_to_end_ms else None,
                "n": row.n,
                "threads": row.threads,
            }
            for row in (latency.rows if latency else ())
        },
        "latency_device_class": latency.device.device_class if latency else "not measured",
        "latency_mode": latency.mode if latency else None,
        "sizes": [size.model_dump(mode="json") for size in document.sizes],
        "compile_proofs": [proof.model_dump(mode="json") for proof in document.compile_proofs],
        "stage_seconds": {stage.stage: stage.seconds for stage in document.lineage},
        "training": document.training.model_dump(mode="json") if document.training else None,
        "versions": document.versions,
        "recipe": document.recipe,
    }


def rung_of(rung: Rung) -> dict[str, object]:
    scores = {
        "accuracy": rung.accuracy,
        "sensitivity": rung.sensitivity,
        "specificity": rung.specificity,
        "auc": rung.auc,
    }
    return {
        "id": rung.id,
        "verdict": rung.verdict,
        "n": rung.n,
        **{name: shown(score) for name, score in scores.items()},
        "flips": rung.flips.model_dump(mode="json") if rung.flips else None,
        "checks": [check.model_dump(mode="json") for check in rung.checks],
        "max_abs_difference": rung.max_abs_difference,
        "why": rung.why,
    }


def shown(score: Estimate | None) -> list[float | None] | None:
    """Value, lower, upper."""
    if score is None:
        return None
    return [
        None if value is None else round(value, 4)
        for value in (score.value, score.lower, score.upper)
    ]


def process_of(text: str) -> dict[str, object]:
    """Wall clock and peak memory of the whole command."""
    clock = re.search(r"Elapsed \(wall clock\) time.*: ([\d:.]+)", text)
    memory = re.search(r"Maximum resident set size \(kbytes\): (\d+)", text)
    if clock is None or memory is None:
        raise SystemExit("this is no output of /usr/bin/time -v")
    seconds = 0.0
    for part in clock[1].split(":"):
        seconds = 60 * seconds + float(part)
    return {"wall_seconds": seconds, "peak_rss_gib": round(int(memory[1]) / 2**20, 2)}


if __name__ == "__main__":
    main()
