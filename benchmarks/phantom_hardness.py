"""How hard the phantom cells are: a small network and a size-and-brightness probe, unseen patients.

The network learns on folds 0 and 1 and is tested on fold 2, so that no patient is on both sides.
The probe is logistic regression on what C-NMC leaks without any morphology: area and brightness.
Intervals are 95 % percentile bootstraps over whole patients (Field & Welsh 2007, cluster scheme).

Usage: python benchmarks/phantom_hardness.py [--cells 3750] [--patients 90] [--seeds 0,1]
"""

import argparse
import json
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from allnet_edge.data.phantom import Phantoms, generate
from allnet_edge.data.phantom.write import GENERATOR_VERSION

RESULT = Path(__file__).parent / "results" / "phantom_hardness.json"
Bools = npt.NDArray[np.bool_]


def main() -> None:
    args = _arguments()
    runs = [_one_seed(args, seed) for seed in args.seeds]
    document = {
        "what": "phantom cells: small CNN and size-and-brightness probe on unseen patients",
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine_class": f"{platform.machine()} {platform.system()}, {args.threads} thread(s)",
        "generator_version": GENERATOR_VERSION,
        "cells": args.cells,
        "patients": args.patients,
        "size": args.size,
        "input": args.input,
        "epochs": args.epochs,
        "runs": runs,
    }
    args.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=3750, help="in all; a third is for testing")
    parser.add_argument("--patients", type=int, default=90)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--input", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seeds", type=lambda text: [int(s) for s in text.split(",")], default=[0])
    parser.add_argument("--output", type=Path, default=RESULT)
    return parser.parse_args()


def _one_seed(args: argparse.Namespace, seed: int) -> dict[str, object]:
    cells = generate(args.cells, patients=args.patients, seed=seed, size=args.size)
    positive = np.array([label == "all" for label in cells.labels])
    held_out = np.array([_fold(name) == 2 for name in cells.patients])
    patients = np.array(cells.patients)[held_out]
    history, network = _network(cells, positive, held_out, args, seed)
    probe = _probe(cells, positive, held_out)
    truth = positive[held_out]
    return {
        "seed": seed,
        "train_cells": int((~held_out).sum()),
        "test_cells": int(held_out.sum()),
        "test_patients": len(set(patients)),
        "network": _scores(network == truth, truth, patients),
        "network_accuracy_by_epoch": history,
        "probe": _scores(probe == truth, truth, patients),
    }


def _fold(patient: str) -> int:
    return (int(patient.split(":")[1].lstrip("H")) - 1) % 3


def _scores(right: Bools, truth: Bools, patients: npt.NDArray[np.str_]) -> dict[str, object]:
    groups = [right[patients == name] for name in np.unique(patients)]
    rng = np.random.default_rng(0)
    means = [
        np.concatenate([groups[k] for k in rng.integers(0, len(groups), len(groups))]).mean()
        for _ in range(2000)
    ]
    return {
        "accuracy": round(float(right.mean()), 4),
        "interval_95": [round(float(q), 4) for q in np.quantile(means, [0.025, 0.975])],
        "sensitivity": round(float(right[truth].mean()), 4),
        "specificity": round(float(right[~truth].mean()), 4),
    }


def _probe(cells: Phantoms, positive: Bools, held_out: Bools) -> Bools:
    """Logistic regression on area, brightness of the cell, brightness of the image, and squares."""
    mask = cells.images.max(axis=3) > 0
    area = mask.sum(axis=(1, 2))
    total = cells.images.astype(np.float64).mean(axis=3).sum(axis=(1, 2))
    facts = np.stack([np.sqrt(area), total / area, total], axis=1)
    model = make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression())
    model.fit(facts[~held_out], positive[~held_out])
    return np.asarray(model.predict(facts[held_out]), dtype=bool)


def _network(
    cells: Phantoms, positive: Bools, held_out: Bools, args: argparse.Namespace, seed: int
) -> tuple[list[float], Bools]:
    """Accuracy on the test cells after each epoch, and the last epoch's decisions."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
        tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    pixels = _shrunk(cells.images, args.input)
    blocks = [layers.Rescaling(1 / 64), layers.RandomFlip()]
    for width in (16, 32, 64, 96):
        blocks += [
            layers.Conv2D(width, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(),
        ]
    head = [layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(1)]
    model = keras.Sequential([keras.Input((args.input, args.input, 3)), *blocks, *head])
    steps = args.epochs * int(np.ceil((~held_out).sum() / 32))
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)],
    )
    fitted = model.fit(
        pixels[~held_out],
        positive[~held_out].astype(np.float32),
        batch_size=32,
        epochs=args.epochs,
        validation_data=(pixels[held_out], positive[held_out].astype(np.float32)),
        verbose=2 if sys.stderr.isatty() else 0,
    )
    scores = [round(float(a), 4) for a in fitted.history["val_binary_accuracy"]]
    logits = np.asarray(model.predict(pixels[held_out], verbose=0))
    return scores, logits[:, 0] > 0


def _shrunk(images: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    kernel = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(x).resize((side, side), kernel)) for x in images])


if __name__ == "__main__":
    main()
