"""How well a threshold carries over from the float network to a compressed one, from few cells.

    python benchmarks/threshold_transfer.py NAME=BUILD [NAME=BUILD ...]

BUILD is a finished `allnet-edge build`. Of its test cells so many are drawn as it has validation
cells, 200 times; the threshold is transferred on them, and the rest tell how many more (or fewer)
cells the compressed form calls positive than its float network, in points. None would be perfect.
Labels play no part here; but the local line was chosen among some twenty variants on the builds
that results/threshold_transfer.json lists, so other builds tell more. Three ways: the logits' local
line (what the gate does), the same count of positive cells, and the float threshold as it is.
Writes results/threshold_transfer.json.
"""

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts.files import read_json, write_json
from allnet_edge.measure.thresholds import transfer_threshold

RESULT = Path(__file__).parent / "results" / "threshold_transfer.json"
DRAWS = 200
Values = npt.NDArray[np.float64]
Way = Callable[[Values, float, Values], float]


def same_count(before: Values, threshold: float, after: Values) -> float:
    """The midpoint of the gap at which as many cells are called positive."""
    called = int((before >= threshold).sum())
    falling = np.append(np.insert(np.sort(after)[::-1], 0, 1.0), 0.0)
    return float((falling[called] + falling[called + 1]) / 2)


WAYS: dict[str, Way] = {
    "local line": transfer_threshold,
    "same count": same_count,
    "float threshold": lambda _before, threshold, _after: threshold,
}


def excess(
    way: Way, before: Values, threshold: float, after: Values, known: int
) -> dict[str, float]:
    found = []
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        order = rng.permutation(before.size)
        few, rest = order[:known], order[known:]
        got = way(before[few], threshold, after[few])
        found.append(float((after[rest] >= got).mean() - (before[rest] >= threshold).mean()))
    return {
        "rms_points": 100 * float(np.sqrt(np.mean(np.square(found)))),
        "mean_points": 100 * float(np.mean(found)),
    }


def rows_of(name: str, build: Path) -> list[dict[str, object]]:
    frozen = np.load(build / "reference" / "reference.npz")
    known, threshold = int(frozen["validation_scores"].size), float(frozen["threshold"])
    before = frozen["test_scores"].astype(float).reshape(-1)
    answers = np.load(build / "gate" / "scores.npz")
    thresholds = read_json(build / "gate" / "thresholds.json")
    pairs = []
    if "keras-pruned" in answers:
        pruned = answers["keras-pruned"].astype(float)
        pairs.append(("pruned float", before, threshold, pruned))
        before, threshold = pruned, thresholds["keras-pruned"]["threshold"]
    pairs += [
        (form, before, threshold, answers[form].astype(float))
        for form in answers.files
        if form.endswith(("int8", "mixed"))
    ]
    return [
        {
            "build": name,
            "form": form,
            "cells": int(was.size),
            "drawn": known,
            "ways": {title: excess(way, was, at, now, known) for title, way in WAYS.items()},
        }
        for form, was, at, now in pairs
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("builds", nargs="+", metavar="NAME=BUILD")
    rows = []
    for given in parser.parse_args().builds:
        name, _, folder = given.partition("=")
        rows += rows_of(name, Path(folder))
    for row in rows:
        told = "; ".join(f"{k} {v['rms_points']:.2f}" for k, v in row["ways"].items())
        print(f"{row['build']} {row['form']}: {told}")
    write_json(RESULT, {"date": date.today().isoformat(), "draws": DRAWS, "rows": rows})


if __name__ == "__main__":
    main()
