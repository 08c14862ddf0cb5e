"""What a bundle brings for a JetPack whose Python is too old for this package: graphs and a script.

The script builds engines with the board's own trtexec, gives each one golden image, and times it.
What comes of it is not judged by a gate, and the script says so.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from allnet_edge.artifacts.files import sha256_bytes, sha256_file
from allnet_edge.artifacts.golden import ENGINE_TOLERANCE, Golden
from allnet_edge.convert.opset13_from_onnx import OPSET, opset13_from_onnx
from allnet_edge.engines.base import Images, Probabilities
from allnet_edge.engines.opening import open_file
from allnet_edge.errors import ConversionError
from allnet_edge.pipeline.candidates import Form
from allnet_edge.spec.target import Target

SCRIPT = "engine/build_with_trtexec.sh"
PIXELS = "golden/trtexec.pixels"
_FLAGS = {"fp32": "--noTF32", "fp16": "--fp16", "int8": "--int8", "mixed": "--int8"}
_SAME = 1e-6  # the lowered graph computes the same in the same runtime
_TARGET_HAS_NO_WORKSPACE = 512


@dataclass(frozen=True, slots=True)
class _Graph:
    """One engine of the script."""

    id: str
    file: str
    sha256: str
    source: str
    expected: float
    tolerance: float
    flags: str


def trtexec_files(
    target: Target, forms: Sequence[Form], stages: dict[str, Path], golden: Golden
) -> dict[str, bytes]:
    """The script, and the graphs that it needs beside those of the bundle.

    Args:
        target: Nothing is made unless one of its JetPacks is served by trtexec.
        forms: Of the bundle.
        stages: Folder of each stage.
        golden: To compare the lowered graphs with the others, and the engines with the graphs.

    Returns:
        Contents by path in the bundle.

    Raises:
        ConversionError: A graph that cannot be lowered, or that computes something else then.
    """
    served = [row for row in target.jetpack if row.serve == "trtexec"]
    graphs = [form for form in forms if form.format == "onnx"]
    if not served or not graphs:
        return {}
    lower = min(row.opset for row in served) <= OPSET
    chosen = _most_telling([golden.outputs[form.id] for form in graphs])
    pixels = golden.images[chosen].astype(np.float32 if lower else np.uint8)
    files: dict[str, bytes] = {PIXELS: pixels.tobytes()}
    rows: list[_Graph] = []
    for form in graphs:
        path, name = form.path(stages), f"model/{form.file}"
        model, digest = onnx.load(path), sha256_file(path)
        if lower:
            name = f"model/{Path(form.file).stem}.opset{OPSET}.onnx"
            files[name] = _lowered(model, path, golden.images)
            digest = sha256_bytes(files[name])
        rows.append(
            _Graph(
                form.id,
                name,
                digest,
                model.graph.input[0].name,
                float(golden.outputs[form.id][chosen]),
                ENGINE_TOLERANCE[form.precision],
                _FLAGS[form.precision],
            )
        )
    releases = ", ".join(f"{row.version} (TensorRT {row.tensorrt})" for row in served)
    files[SCRIPT] = _script(target, releases, rows).encode()
    return files


def _most_telling(outputs: Sequence[Probabilities]) -> int:
    """The image whose probabilities are nearest to the middle, where an error shows most."""
    return int(np.abs(np.stack(outputs) - 0.5).max(axis=0).argmin())


def _lowered(model: onnx.ModelProto, path: Path, images: Images) -> bytes:
    data: bytes = opset13_from_onnx(model).SerializeToString(deterministic=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(data)
        with open_file(path) as before, open_file(copy) as after:
            difference = float(np.abs(before.infer(images) - after.infer(images)).max())
    if not difference <= _SAME:
        raise ConversionError(
            f"in opset {OPSET} the graph computes something else: a difference of {difference:.3g}",
            where=path,
        )
    return data


def _script(target: Target, releases: str, rows: Sequence[_Graph]) -> str:
    told = target.tensorrt
    workspace = int(told.workspace_mb.value) if told else _TARGET_HAS_NO_WORKSPACE
    builds = "\n".join(
        f"run {row.id} {row.file} {row.sha256} {row.source} {row.expected:.6f} "
        f"{row.tolerance:g} {row.flags}"
        for row in rows
    )
    text = Path(__file__).with_name(Path(SCRIPT).name).read_text(encoding="utf-8")
    parts = {
        "title": target.title,
        "releases": releases,
        "workspace": str(workspace),
        "pixels": PIXELS,
        "builds": builds,
    }
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text
