"""What a bundle answers: one script, run here and under emulation, so that the two can be compared.

    on_device.py BUNDLE PROBE ANSWERS.npz [--builtin] [IMAGE ...]

It uses the device side of the package as it is installed. PROBE is the int8 TFLite model of the
bundle with its last int8 tensors as further outputs: the raw values, before the float tail.
``--builtin`` takes XNNPACK out of the package's hands: the kernel path that must be noticed.
"""

import functools
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.data.images import load
from allnet_edge.engines import litert
from allnet_edge.engines.opening import open_candidate

BUILTIN = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def main(bundle_folder: str, probe: str, target: str, *others: str) -> None:
    if "--builtin" in others:
        litert.Interpreter = functools.partial(Interpreter, experimental_op_resolver_type=BUILTIN)
    bundle = Bundle.open(Path(bundle_folder))
    files = [Path(name) for name in others if name != "--builtin"]
    decoded = [load(path, bundle.preprocess) for path in files]
    pixels = np.concatenate([bundle.golden().images, *(image[None] for image in decoded)])
    arrays, delegated = {"pixels": pixels}, {}
    for candidate in bundle.manifest.candidates:
        with open_candidate(bundle, candidate, threads=1) as runner:
            arrays[candidate.id] = runner.infer(pixels)
            if candidate.engine == "litert":
                # The package hides which kernels run, so the test has to look inside.
                delegated[candidate.id] = takes_all(runner._interpreter)
    for number, values in enumerate(raw(Path(probe), pixels)):
        arrays[f"raw {number}"] = values
    np.savez(target, **arrays)
    packages = ("ai-edge-litert", "numpy", "onnxruntime", "pillow")
    versions = {name: version(name) for name in packages} | {"python": sys.version.split()[0]}
    sys.stdout.write(json.dumps({"delegated": delegated, "versions": versions}) + "\n")


def takes_all(interpreter: Interpreter) -> bool:
    """Whether one delegate runs the graph from its input to its output.

    The delegate is the last node: it reads what the operators that it replaced read.
    """
    nodes = [op for op in interpreter._get_ops_details() if op["op_name"] == "DELEGATE"]
    ends = (interpreter.get_input_details(), interpreter.get_output_details())
    first, last = ({one["index"] for one in end} for end in ends)
    return len(nodes) == 1 and first <= set(nodes[0]["inputs"]) and last <= set(nodes[0]["outputs"])


def raw(probe: Path, pixels: np.ndarray) -> list[np.ndarray]:
    """Every int8 output of the probe: [images, ...] each."""
    interpreter = litert.Interpreter(model_path=str(probe), num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    outputs = [one for one in interpreter.get_output_details() if one["dtype"] == np.int8]
    rows: list[list[np.ndarray]] = [[] for _ in outputs]
    for image in pixels:
        interpreter.set_tensor(source["index"], (image[None] ^ np.uint8(0x80)).view(np.int8))
        interpreter.invoke()
        for row, one in zip(rows, outputs, strict=True):
            row.append(interpreter.get_tensor(one["index"])[0])
    return [np.stack(row) for row in rows]


main(*sys.argv[1:])
