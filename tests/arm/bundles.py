"""Two bundles of seeded networks, by the package's own converters; equal bytes wherever it runs.

    bundles.py FOLDER

Weights are uniform numbers of a seeded generator, and what is observed (ranges, the spread of the
logits) is rounded to powers of two, so that no machine's last bit gets into a file. The networks
have learned nothing, which changes no kernel and no count.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import tf_keras
from numpy.typing import NDArray
from PIL import Image

from allnet_edge import models
from allnet_edge.artifacts.bundle_writer import write_bundle
from allnet_edge.artifacts.files import sha256_bytes, sha256_file
from allnet_edge.artifacts.golden import Golden
from allnet_edge.artifacts.manifest import Candidate, DataOrigin, Source, Threshold
from allnet_edge.artifacts.signing import read_signature
from allnet_edge.convert.estimators import estimate_all
from allnet_edge.convert.int8_from_tflite import int8_from_tflite
from allnet_edge.convert.observe_onnx import observe_onnx
from allnet_edge.convert.observe_tflite import observe_tflite
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.ranges import Observation, Range
from allnet_edge.convert.tflite_from_keras import tflite_from_keras
from allnet_edge.convert.tflite_graph import read_graph, schema, write_graph
from allnet_edge.data.phantom import generate
from allnet_edge.engines import open_runner
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.models.towers.api import KerasModel
from allnet_edge.spec.network import NetworkSpec, Preprocess

SEED = 5
CELLS = 6
CREATED = "2026-01-01T00:00:00Z"
# LiteRT's int8 path is exact on both machines; that of ONNX Runtime is not (docs/arm.md).
TOLERANCE = {"litert-fp32": 1e-5, "litert-int8": 1e-5, "onnx-fp32": 1e-5, "onnx-int8": 2e-2}
FILES = {name: f"model/model.{_p}.{_s}" for name, _p, _s in (
    ("litert-int8", "int8", "tflite"), ("litert-fp32", "fp32", "tflite"),
    ("onnx-int8", "int8", "onnx"), ("onnx-fp32", "fp32", "onnx"),
)}  # fmt: skip


@dataclass(frozen=True)
class Network:
    """Small, but real: inverted residuals; dilated depthwise convolutions, concatenated."""

    name: str
    size: int
    width: float

    @property
    def bundle(self) -> str:
        return f"{self.name}-{self.width:g}-at-{self.size}"


NETWORKS = (Network("mobilenetv2", 96, 0.35), Network("alnett", 64, 0.5))


def main(folder: Path) -> None:
    made = []
    for network in NETWORKS:
        cells = generate(CELLS, patients=6, seed=SEED, size=network.size).images
        made.append(_make(network, cells, folder / network.bundle))
    images = folder / "phantoms"
    images.mkdir()
    for number, pixels in enumerate(generate(6, patients=6, seed=SEED + 1, size=160).images):
        Image.fromarray(pixels).save(images / f"phantom-{number}.png")
    (folder / "bundles.json").write_text(json.dumps(made, indent=1))


def _make(network: Network, cells: NDArray[np.uint8], folder: Path) -> dict[str, object]:
    preprocess = Preprocess(size=network.size, mean=(127.5,), sd=(127.5,))
    spec = NetworkSpec(
        network=network.name, preprocess=preprocess, classes=("hem", "all"), width=network.width
    )
    model = _seeded(models.build(tf_keras, spec), cells)
    files = _forms(model, network.size, cells, folder)
    outputs = {}
    for candidate, file in files.items():
        with open_runner(file, threads=1) as runner:
            outputs[candidate] = runner.infer(cells)
    bundle = write_bundle(
        folder / "bundle",
        name=network.bundle,
        model=network.name,
        target="raspberry-pi-5",
        source=Source(float_sha256=_sha256_of(model)),
        classes=spec.classes,
        candidates=tuple(
            Candidate(
                id=name, engine=name.partition("-")[0], precision=name.partition("-")[2],
                file=FILES[name], verdict="pass", chosen=name == "litert-int8", why="a test",
            )
            for name in FILES
        ),
        thresholds={name: Threshold(threshold=0.5, fitted_on="fixed") for name in FILES},
        preprocess=preprocess,
        golden=Golden(cells, outputs, TOLERANCE),
        contents={FILES[name]: file for name, file in files.items()},
        data=DataOrigin(layout="phantom", split="patient", leaking=False),
        created=CREATED,
    )  # fmt: skip
    probe = folder / "probe.tflite"
    probe.write_bytes(_probe(files["litert-int8"]))
    return {
        "name": network.bundle,
        "bundle": str(bundle.root),
        "probe": str(probe),
        "public_key": read_signature(bundle.root / "signature").public_key,
        "models": {name: sha256_file(file) for name, file in files.items()},
    }


def _seeded(model: KerasModel, cells: NDArray[np.uint8]) -> KerasModel:
    """Uniform weights that keep the maps alive through the depth, and answers with a spread."""
    rng = np.random.default_rng(SEED)
    arrays = arrays_of(model)
    for name, array in arrays.items():
        layer, _, kind = name.rpartition("/")
        if kind == "kernel":
            each_channel = "Depthwise" in type(model.get_layer(layer)).__name__
            fan_in = np.prod(array.shape[:2] if each_channel else array.shape[:-1])
            values = rng.uniform(-1, 1, array.shape) * np.sqrt(6 / fan_in)
        elif kind in ("gamma", "moving_variance"):
            values = rng.uniform(0.7, 1.4, array.shape)
        else:
            values = rng.uniform(-0.2, 0.2, array.shape)
        arrays[name] = values.astype(np.float32)
    assign(model, arrays)
    inner = tf_keras.Model(model.inputs, model.get_layer("logits").output)
    raw = inner.predict(cells.astype(np.float32), verbose=0)
    gain = np.exp2(np.round(np.log2(0.1 / raw.std()))).astype(np.float32)
    centre = np.round(raw.mean() * gain * 8) / 8
    arrays["logits/kernel"] = arrays["logits/kernel"] * gain
    arrays["logits/bias"] = arrays["logits/bias"] * gain - np.float32(centre)
    assign(model, arrays)
    return model


def _forms(model: KerasModel, size: int, cells: NDArray[np.uint8], folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True)
    found = {name: folder / Path(file).name for name, file in FILES.items()}
    onnx.save(onnx_from_keras(model, size), found["onnx-fp32"])
    found["litert-fp32"].write_bytes(tflite_from_keras(model, size))
    seen = observe_onnx(found["onnx-fp32"], cells)
    qdq_from_onnx(found["onnx-fp32"], found["onnx-int8"], _ranges(seen, symmetric=True))
    seen = observe_tflite(found["litert-fp32"], cells)
    int8 = int8_from_tflite(found["litert-fp32"], _ranges(seen, symmetric=False))
    found["litert-int8"].write_bytes(int8)
    return found


def _ranges(seen: Observation, *, symmetric: bool) -> dict[str, Range]:
    found = estimate_all(seen, "min-max", symmetric=symmetric)
    return {name: Range(_widened(one.low), _widened(one.high)) for name, one in found.items()}


def _widened(value: float) -> float:
    """To the next power of two away from zero: last bits differ between processors."""
    return 0.0 if value == 0 else float(np.copysign(2.0 ** np.ceil(np.log2(abs(value))), value))


def _probe(int8: Path) -> bytes:
    """The same graph that also gives what enters its float tail."""
    graph = read_graph(int8)
    ends = [
        int(operator.inputs[0])
        for operator in graph.operators
        if graph.kind(operator) == schema.BuiltinOperator.DEQUANTIZE
    ]
    main_graph = graph.model.subgraphs[0]
    main_graph.outputs = [*(int(at) for at in main_graph.outputs), *ends]
    return write_graph(graph)


def _sha256_of(model: KerasModel) -> str:
    return sha256_bytes(b"".join(array.tobytes() for array in arrays_of(model).values()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
