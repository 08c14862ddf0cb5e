"""One training step of networks in a process of its own, on the engine that KERAS_BACKEND names.

``python train_once.py NETWORK:CLASSES...``: one line of JSON for each on stdout. TensorFlow and
PyTorch run eagerly and JAX hardly optimises: it is the gradient that is asked for, not its speed.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parents[3]
SMALLEST = {"allnet": 96, "inceptionv3": 75, "vgg16": 64}


class Step(TypedDict):
    """``unchanged``: weights that the step left as they were; ``broken``: with NaN or infinity."""

    loss: float
    unchanged: list[str]
    broken: list[str]
    seconds: float


def steps_on(engine: str, cases: list[str]) -> dict[str, Step]:
    """The step of every case, ``NETWORK:CLASSES``."""
    settings = {
        "KERAS_BACKEND": engine, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAX_PLATFORMS": "cpu",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, __file__, *cases],
        env={**os.environ, **settings}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def step(network: str, classes: int) -> Step:
    import keras
    import numpy as np

    from allnet_edge import models
    from allnet_edge.models.storage.weights import arrays_of
    from allnet_edge.spec.network import NetworkSpec, Preprocess

    size = SMALLEST.get(network, 32)
    spec = NetworkSpec(
        network=network,
        preprocess=Preprocess(size=size, mean=(127.0,), sd=(74.0,)),
        classes=tuple(f"class {number}" for number in range(classes)),
        width=0.125,
        bn_momentum=0.9,
    )
    keras.utils.set_random_seed(1)
    model = models.build(keras, spec)
    before = arrays_of(model)
    model.compile(
        keras.optimizers.Adam(1e-3),
        "binary_crossentropy" if spec.units == 1 else "sparse_categorical_crossentropy",
        run_eagerly=keras.backend.backend() != "jax",
    )
    pixels = np.random.default_rng(2).integers(0, 256, (4, size, size, 3)).astype(np.float32)
    started = time.monotonic()
    loss = float(model.train_on_batch(pixels, np.arange(4) % classes))
    after = arrays_of(model)
    return {
        "loss": loss,
        "unchanged": [name for name in before if np.array_equal(before[name], after[name])],
        "broken": [name for name in after if not np.isfinite(after[name]).all()],
        "seconds": round(time.monotonic() - started, 2),
    }


if __name__ == "__main__":
    found = {case: step(case.split(":")[0], int(case.split(":")[1])) for case in sys.argv[1:]}
    print(json.dumps(found))  # noqa: T201 - the result
