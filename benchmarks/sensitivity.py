"""What quantizing each part of a network costs on validation cells, and how long finding out takes.

    python benchmarks/sensitivity.py --build BUILD --run RUN --data DIR --target NAME --name NAME

BUILD is a finished `allnet-edge build`; its ranges are used, nothing is observed again. Writes
benchmarks/results/sensitivity-NAME.json.
"""

import argparse
import logging
import tempfile
import time
from datetime import date
from pathlib import Path

import tf_keras

from allnet_edge import models
from allnet_edge.artifacts.files import write_json
from allnet_edge.measure.system import describe
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.plan import make_plan
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.mixed import OnnxForms, TfliteForms
from allnet_edge.pipeline.stages.selecting import selection_of
from allnet_edge.progress import silent
from allnet_edge.search.groups import layers_of, parts
from allnet_edge.search.sensitivity import answers_of, measure

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--build", "--run", "--data"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--cells", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    plan = make_plan(arguments.build, arguments.target, run=arguments.run, data=arguments.data)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        stages = {path.name: path for path in arguments.build.iterdir() if path.is_dir()}
        work = Work(
            folder, folder, stages, plan.recipe, plan.target, plan.sources, silent,
            logging.getLogger(__name__),
        )  # fmt: skip
        write_json(RESULTS / f"sensitivity-{arguments.name}.json", result(work, arguments))


def result(work: Work, arguments: argparse.Namespace) -> dict[str, object]:
    selection = selection_of(work, arguments.cells)
    spec = float_model.read(work.float_model).spec
    groups = parts(layers_of(models.build(tf_keras, spec)), spec.network)
    formats = {}
    for forms in (OnnxForms(work), TfliteForms(work)):
        began = time.perf_counter()
        rows = measure(groups, forms.quantize, selection, threads=arguments.threads)
        seconds = time.perf_counter() - began
        whole = selection.judge(
            answers_of(forms.quantize(frozenset()), selection, arguments.threads)
        )
        formats[forms.format] = {
            "seconds": seconds,
            "parts": [row.model_dump(mode="json") for row in rows],
            "all_int8": whole.model_dump(mode="json"),
        }
        for row in rows:
            print(forms.format, row.group, row.cost.logit_snr_db, row.cost.flips, flush=True)
        print(forms.format, "all", whole, f"{seconds:.0f} s", flush=True)
    return {
        "date": date.today().isoformat(),
        "machine": describe(("ai-edge-litert", "onnxruntime")).model_dump(mode="json"),
        "network": spec.network,
        "input_size": spec.input_size,
        "cells": {
            "n": len(selection.cells),
            "positives": selection.cells.positives,
            "part": "validation",
        },
        "threads": arguments.threads,
        "formats": formats,
    }


if __name__ == "__main__":
    main()
