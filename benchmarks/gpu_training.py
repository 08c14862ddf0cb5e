"""How fast training runs on a GPU with JAX: images/s, step time, memory, share of the chip's peak.

    KERAS_BACKEND=jax python benchmarks/gpu_training.py [--data DIR] [-o RESULT.json]

Without a GPU, or without JAX, every row says `not measured` and why. `--try-on-cpu` runs the same
code at a small size, to see that it works; its rows carry the device `cpu` and are no result.

Two rows a precision: `compute` trains on one batch that is already decoded (what the chip can do),
`loader` on the files of --data through the package's own loader (what a user gets). The share of
the peak counts 2 operations a MAC and 3 times the forward pass (forward, and the gradients of
inputs and weights), the usual convention; the peaks are NVIDIA's dense figures without sparsity.
"""

import argparse
import importlib.util
import json
import os
import statistics
import time
from datetime import date
from pathlib import Path

import numpy as np

from allnet_edge.artifacts.files import write_json
from allnet_edge.measure.system import describe

RESULT = Path(__file__).parent / "results" / "gpu_training.json"
WARM_UP, STEPS = 10, 50
# Dense TFLOP/s with bfloat16 and with TF32 (what float32 convolutions use), from NVIDIA's data
# sheets; a chip that is not listed has no share of a peak.
PEAKS = {
    "H200": {"bfloat16": 989.0, "float32": 494.5},
    "H100": {"bfloat16": 989.0, "float32": 494.5},
    "A100": {"bfloat16": 312.0, "float32": 156.0},
    "L40S": {"bfloat16": 362.0, "float32": 183.0},
    "RTX 4090": {"bfloat16": 165.2, "float32": 82.6},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="allnet")
    parser.add_argument("--input-size", type=int, default=250)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--data", type=Path, help="data set for the rows with the loader")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--try-on-cpu", action="store_true")
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    why = why_not(cpu_will_do=arguments.try_on_cpu)
    if why is None:
        rows = [
            row for precision in ("float32", "bfloat16") for row in measure(arguments, precision)
        ]
    else:
        rows = [
            {"input": kind, "precision": precision, "images_per_second": "not measured", "why": why}
            for precision in ("float32", "bfloat16")
            for kind in ("compute", "loader")
        ]
    figures = {
        "date": date.today().isoformat(),
        "machine": describe().model_dump(mode="json"),
        "model": arguments.model,
        "input_size": arguments.input_size,
        "batch_size": arguments.batch_size,
        "width": arguments.width,
        "rows": rows,
    }
    write_json(arguments.output, figures)
    print(json.dumps(rows, indent=1))


def why_not(*, cpu_will_do: bool) -> str | None:
    """Why there is nothing to measure here; None where there is."""
    if importlib.util.find_spec("jax") is None:
        return "JAX is not installed"
    os.environ["KERAS_BACKEND"] = "jax"
    import jax

    if jax.default_backend() != "gpu" and not cpu_will_do:
        return f"JAX finds no GPU on this machine, only: {jax.default_backend()}"
    return None


def measure(arguments: argparse.Namespace, precision: str) -> list[dict[str, object]]:
    import jax

    from allnet_edge.models.storage.size import macs_of
    from allnet_edge.spec.network import NetworkSpec, Preprocess
    from allnet_edge.spec.training import TrainSettings
    from allnet_edge.training.assemble import assemble
    from allnet_edge.training.distribute import Crew

    settings = TrainSettings(
        model=arguments.model,
        input_size=arguments.input_size,
        batch_size=arguments.batch_size,
        width=arguments.width,
        augment="dihedral",
        precision=precision,
    )
    spec = NetworkSpec(
        network=settings.model,
        preprocess=Preprocess(size=settings.input_size, mean=(127.0,), sd=(64.0,)),
        classes=("hem", "all"),
        width=settings.width,
    )
    used = assemble(settings, spec, Crew(), steps=STEPS)
    macs = macs_of(used.network)
    seconds, compile_seconds = compute_steps(used.trained, settings)
    device = jax.devices()[0]
    common = {
        "precision": precision,
        "device": device.device_kind,
        "macs_per_image": macs,
        "peak_memory_gib": peak_memory(device),
        "first_step_seconds": round(compile_seconds, 1),
    }
    rows = [row_of("compute", seconds, settings, macs, device.device_kind) | common]
    if arguments.data is None:
        nothing = {"input": "loader", "images_per_second": "not measured", "why": "no --data"}
        return [*rows, nothing | common]
    seconds = loader_steps(used.trained, settings, arguments.data, arguments.workers)
    row = row_of("loader", seconds, settings, macs, device.device_kind)
    return [*rows, row | common | {"workers": arguments.workers}]


def compute_steps(trained: object, settings: object) -> tuple[list[float], float]:
    """Seconds of each step on one decoded batch, and of the first one, which compiles."""
    from allnet_edge.data.phantom import generate

    count, size = settings.batch_size, settings.input_size
    pixels = generate(max(count, 24), patients=6, seed=0, size=size).images[:count]
    labels = (np.arange(count) % 2).astype(np.float32)[:, None]
    seconds = []
    for _ in range(1 + WARM_UP + STEPS):
        began = time.perf_counter()
        trained.train_on_batch(pixels, labels)  # returns the loss, so it waits for the step
        seconds.append(time.perf_counter() - began)
    return seconds[1 + WARM_UP :], seconds[0]


def loader_steps(trained: object, settings: object, data: Path, workers: int) -> list[float]:
    """Seconds of each step of `fit` through the package's loader, from the second batch on."""
    import keras

    from allnet_edge.data.batches import ImageBatches, shuffled
    from allnet_edge.data.open_pixels import open_pixels
    from allnet_edge.data.pixels import ImageFiles
    from allnet_edge.data.scan import load_index
    from allnet_edge.spec.network import Preprocess
    from allnet_edge.training.loader import KerasBatches

    index = load_index(data)
    paths = [index.path(sample) for sample in index.samples]
    ends: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, *_: object, **__: object) -> None:
            ends.append(time.perf_counter())

    files = ImageFiles(paths, Preprocess(size=settings.input_size))
    with open_pixels(files, workers=workers) as source:
        order = shuffled(len(paths), (0, 1))
        whole = order[: len(order) // settings.batch_size * settings.batch_size]
        batches = ImageBatches(source, np.arange(len(paths)) % 2, settings.batch_size, order=whole)
        with KerasBatches(batches) as fed:
            trained.fit(fed, epochs=1, shuffle=False, verbose=0, callbacks=[Clock()])
    return np.diff(ends)[WARM_UP:].tolist()


def row_of(
    kind: str, seconds: list[float], settings: object, macs: int, chip: str
) -> dict[str, object]:
    step = statistics.median(seconds)
    rate = settings.batch_size / (sum(seconds) / len(seconds))
    peak = next((peaks for name, peaks in PEAKS.items() if name in chip), {})
    tflops = 6 * macs * rate / 1e12
    share = tflops / peak[settings.precision] if settings.precision in peak else None
    return {
        "input": kind,
        "n_steps": len(seconds),
        "images_per_second": round(rate, 1),
        "step_ms_median": round(1000 * step, 2),
        "tflops": round(tflops, 3),
        "share_of_peak": None if share is None else round(share, 4),
        "peak_tflops": peak.get(settings.precision),
    }


def peak_memory(device: object) -> float | None:
    """GiB that JAX took at most; None where the device does not tell."""
    stats = device.memory_stats()
    return round(stats["peak_bytes_in_use"] / 2**30, 2) if stats else None


if __name__ == "__main__":
    main()
