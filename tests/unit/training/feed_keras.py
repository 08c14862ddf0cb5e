"""Run by test_loader in a process for each backend: what Keras makes of our batches, as JSON."""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
from training_support import Cells

from allnet_edge.data.batches import ImageBatches, shuffled
from allnet_edge.data.open_pixels import open_pixels
from allnet_edge.data.pixels import ImageFiles, PixelSource
from allnet_edge.errors import AllnetEdgeError
from allnet_edge.spec.network import Preprocess
from allnet_edge.training.loader import KerasBatches

SIZE, BATCH = 32, 5


class Watched(keras.Model):
    """Notes the type in which pixels reach a compiled step."""

    types: ClassVar[set[str]] = set()

    def train_step(self, *args):  # (data) with TensorFlow, (state, data) with JAX
        self.types.add(keras.backend.standardize_dtype(args[-1][0].dtype))
        return super().train_step(*args)


def network(kind: type[keras.Model] = Watched) -> keras.Model:
    """Small, with one weight layer on the pixels and one after it."""
    keras.utils.set_random_seed(4)
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    features = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(pixels / 255.0)
    features = keras.layers.GlobalAveragePooling2D()(features)
    model = kind(pixels, keras.layers.Dense(1, activation="sigmoid")(features))
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="binary_crossentropy")
    return model


def differences(source: PixelSource, truth: list[int]) -> dict[str, float]:
    """Largest difference of a weight between ours and float32 pixels, batch by batch by hand."""
    order = shuffled(len(source), (3, 2))
    weights = np.linspace(0.2, 3, len(source), dtype=np.float32)
    pixels, labels = source.rows(np.arange(len(source))), np.array(truth, np.float32)[:, None]
    found = {}
    for name, chosen in (("plain", None), ("weighted", weights)):
        ours, by_hand = network(), network(keras.Model)
        for rows in (order, order[::-1]):
            batches = ImageBatches(source, truth, BATCH, order=rows, weights=chosen)
            with KerasBatches(batches) as data:
                ours.fit(data, epochs=1, shuffle=False, verbose=0)
            for start in range(0, len(rows), BATCH):
                at = rows[start : start + BATCH]
                by_hand.train_on_batch(
                    pixels[at].astype(np.float32),
                    labels[at],
                    None if chosen is None else chosen[at],
                )
        pairs = zip(ours.get_weights(), by_hand.get_weights(), strict=True)
        found[name] = max(float(np.abs(a - b).max()) for a, b in pairs)
    with KerasBatches(ImageBatches(source, truth, BATCH)) as data:
        predicted = by_hand.predict(data, verbose=0)
    found["predict"] = float(np.abs(predicted - by_hand.predict_on_batch(pixels)).max())
    found["moved"] = float(np.abs(by_hand.get_weights()[0] - network().get_weights()[0]).max())
    return found


class KillsAWorker(keras.callbacks.Callback):
    """After the second batch."""

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002 - Keras passes it by name
        if batch == 1:
            os.kill(workers()[0], signal.SIGKILL)


class Interrupts(keras.callbacks.Callback):
    """As Ctrl-C does, after the second batch."""

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002 - Keras passes it by name
        if batch == 1:
            raise KeyboardInterrupt


def workers() -> list[int]:
    """Our processes that decode."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [
        int(pid)
        for pid in children
        if b"decode_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def failure(files: ImageFiles, *callbacks: keras.callbacks.Callback) -> dict[str, object]:
    """How a fit ends whose images, or workers, are not well."""
    rows = np.arange(len(files.paths)).repeat(40)
    try:
        with open_pixels(files, workers=2) as source:
            labels = [0] * len(source)
            with KerasBatches(ImageBatches(source, labels, BATCH, order=rows)) as data:
                network().fit(data, epochs=1, verbose=0, callbacks=list(callbacks))
    except KeyboardInterrupt:
        return {"kind": "KeyboardInterrupt"}
    except AllnetEdgeError as error:
        return {"kind": type(error).__name__, "where": error.where, "context": _shown(error)}
    return {"kind": "none"}


def _shown(error: BaseException) -> bool:
    """Whether a traceback would go on with what the engine made of it."""
    return error.__cause__ is not None or not error.__suppress_context__


def left() -> list[str]:
    """Threads of Python's own making, and processes."""
    threads = [t.name for t in threading.enumerate() if not isinstance(t, threading._DummyThread)]
    return sorted(threads) + [str(pid) for pid in workers()]


def main() -> None:
    cells = Cells.of(Path(sys.argv[1]))
    bad = Path(sys.argv[2])
    paths, truth = cells.paths("train"), cells.truth("train")
    preprocess = Preprocess(size=SIZE)
    before = left()
    with open_pixels(ImageFiles(paths, preprocess), workers=2) as source:
        found: dict[str, object] = {"differences": differences(source, truth)}
    found["types"] = sorted(Watched.types)
    found["left"] = [before, left()]
    found["bad image"] = failure(ImageFiles([*paths[:12], bad], preprocess))
    found["killed"] = failure(ImageFiles(paths, preprocess), KillsAWorker())
    found["interrupted"] = failure(ImageFiles(paths, preprocess), Interrupts())
    found["left by failures"] = [before, left()]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
