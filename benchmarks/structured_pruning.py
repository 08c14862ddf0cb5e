"""Prune a trained run to a share of its multiply-accumulates and write the result as a run.

    python benchmarks/structured_pruning.py --run RUN --data DATA --out PRUNED -o RESULT.json

The training part of the run's own split is pruned and fine-tuned on; the validation part is judged
after every epoch; the test part is never read. Whether the pruned network is good enough is for
the gate of a build to say, on cells that nothing here has seen.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    arguments = _arguments()
    import tf_keras

    from allnet_edge.compress.pruning import apply_pruning
    from allnet_edge.data.scan import load_index
    from allnet_edge.evaluation.seen import own_split
    from allnet_edge.measure.system import package_version
    from allnet_edge.models.storage import float_model
    from allnet_edge.models.storage.float_model import TrainingRecord
    from allnet_edge.spec.recipe import PruneSpec

    settings = PruneSpec(
        kind="channels",
        macs=arguments.keep,
        importance=arguments.importance,
        steps=arguments.steps,
        two_of_four=arguments.two_of_four,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
    )
    described, network = float_model.instantiate(tf_keras, arguments.run)
    split = own_split(arguments.run, described.split_sha256)
    with tempfile.TemporaryDirectory() as cache:
        index = load_index(arguments.data, cache=Path(cache))
    split.verify(index)
    train, validation = (
        _files(split.samples(part, index), arguments.images, index, described)
        for part in ("train", "validation")
    )
    began = time.monotonic()
    done = apply_pruning(
        network, described.spec, settings, train, validation, progress=_progress(began)
    )
    seconds = time.monotonic() - began
    arguments.out.mkdir(parents=True, exist_ok=True)
    float_model.save(
        arguments.out,
        done.arrays,
        done.spec,
        label_index=described.label_index,
        split_sha256=described.split_sha256,
        record=TrainingRecord(
            how="prune",
            parents=(described.weights_sha256,),
            settings=settings.model_dump(mode="json"),
            versions={"tf-keras": package_version("tf-keras") or "unknown"},
        ),
    )
    shutil.copyfile(arguments.run / "split.json", arguments.out / "split.json")
    result = {
        "network": described.spec.network,
        "input_size": described.spec.input_size,
        "settings": settings.model_dump(mode="json"),
        "images": {"train": len(train.paths), "validation": len(validation.paths)},
        "seconds": round(seconds, 1),
        **done.to_json(),
    }
    result.pop("kernels")
    arguments.result.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({k: v for k, v in result["channels"].items() if k != "channels"}, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the trained network")
    parser.add_argument("--data", type=Path, required=True, help="root of its data set")
    parser.add_argument("--out", type=Path, required=True, help="folder of the pruned network")
    parser.add_argument("--keep", type=float, default=0.5, help="share of the MACs (0.5)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--importance", choices=("taylor", "bn-scale"), default="taylor")
    parser.add_argument("--two-of-four", action="store_true", help="2:4 zeros in what is left")
    parser.add_argument("--images", type=int, help="images a part at most")
    parser.add_argument("-o", dest="result", type=Path, required=True, help="figures as JSON")
    return parser.parse_args()


def _files(samples, most, index, described):
    """Some of a part, drawn at random and the same every time."""
    import numpy as np

    from allnet_edge.compress.pruning import LabelledFiles

    chosen = np.sort(np.random.default_rng(0).permutation(len(samples))[:most])
    samples = [samples[number] for number in chosen]
    return LabelledFiles(
        [index.path(sample) for sample in samples],
        [described.label_index[sample.label] for sample in samples],
    )


def _progress(began: float):
    def show(what: str, done: int, total: int) -> None:
        if done in {1, total} or done % 10 == 0:
            print(f"{time.monotonic() - began:8.1f} s  {what} {done}/{total}", file=sys.stderr)

    return show


if __name__ == "__main__":
    main()
