"""What a bundle brings for a JetPack whose Python is too old for this package: graphs and a script.

The script builds engines with the board's own trtexec and times them. What comes of it is neither
checked with golden tensors nor judged by a gate, and it says so.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from allnet_edge.artifacts.files import sha256_bytes, sha256_file
from allnet_edge.convert.opset13_from_onnx import OPSET, opset13_from_onnx
from allnet_edge.engines.base import Images
from allnet_edge.engines.opening import open_file
from allnet_edge.errors import ConversionError
from allnet_edge.pipeline.candidates import Form
from allnet_edge.spec.target import Target

SCRIPT = "engine/build_with_trtexec.sh"
_FLAGS = {"fp32": "--noTF32", "fp16": "--fp16", "int8": "--int8", "mixed": "--int8"}
_SAME = 1e-6  # the lowered graph computes the same in the same runtime
_TARGET_HAS_NO_WORKSPACE = 512


@dataclass(frozen=True, slots=True)
class _Graph:
    """One engine of the script."""

    id: str
    file: str
    sha256: str
    flags: str


def trtexec_files(
    target: Target, forms: Sequence[Form], stages: dict[str, Path], images: Images
) -> dict[str, bytes]:
    """The script, and the graphs that it needs beside those of the bundle.

    Args:
        target: Nothing is made unless one of its JetPacks is served by trtexec.
        forms: Of the bundle.
        stages: Folder of each stage.
        images: To compare the lowered graphs with the others.

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
    files: dict[str, bytes] = {}
    rows: list[_Graph] = []
    for form in graphs:
        path, name = form.path(stages), f"model/{form.file}"
        digest = sha256_file(path)
        if lower:
            name = f"model/{Path(form.file).stem}.opset{OPSET}.onnx"
            files[name] = _lowered(path, images)
            digest = sha256_bytes(files[name])
        rows.append(_Graph(form.id, name, digest, _FLAGS[form.precision]))
    releases = ", ".join(f"{row.version} (TensorRT {row.tensorrt})" for row in served)
    files[SCRIPT] = _script(target, releases, rows).encode()
    return files


def _lowered(path: Path, images: Images) -> bytes:
    data: bytes = opset13_from_onnx(onnx.load(path)).SerializeToString(deterministic=True)
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
    builds = "\n".join(f"run {row.id} {row.file} {row.sha256} {row.flags}" for row in rows)
    return _TEMPLATE.format(
        title=target.title, releases=releases, workspace=workspace, builds=builds
    )


_TEMPLATE = """\
#!/bin/sh
# Engines for {title} with the board's own trtexec, for JetPack {releases},
# whose Python is too old for allnet-edge.
#
#   sh engine/build_with_trtexec.sh [FOLDER] [OPTIONS OF TRTEXEC...]
#
# Engines, times and logs go to FOLDER (trtexec-engines where you stand). Set TRTEXEC to the program
# if it lies elsewhere. For a DLA add: --useDLACore=0 --allowGPUFallback
#
# Research use only. Engines made in this way are NOT checked with the golden tensors and NOT
# judged by the gate on this board: sensitivity and specificity were proven for the graphs alone.
set -eu

TRTEXEC=${{TRTEXEC:-/usr/src/tensorrt/bin/trtexec}}
out=${{1:-trtexec-engines}}
[ $# -eq 0 ] || shift
bundle=$(cd "$(dirname "$0")/.." && pwd)

if ! command -v "$TRTEXEC" >/dev/null 2>&1; then
  echo "error: there is no trtexec at $TRTEXEC" >&2
  echo "fix: install it with JetPack (package libnvinfer-bin), or set TRTEXEC" >&2
  exit 3
fi
mkdir -p "$out"

# Its name changed in TensorRT 8.4.
if "$TRTEXEC" --help 2>&1 | grep -q memPoolSize; then
  workspace=--memPoolSize=workspace:{workspace}
else
  workspace=--workspace={workspace}
fi

# build ID GRAPH SHA256 FLAGS...: one engine, timed from ready input to finished output.
build() {{
  id=$1 graph=$bundle/$2 wanted=$3
  shift 3
  found=$(sha256sum "$graph" | cut -d ' ' -f 1)
  if [ "$found" != "$wanted" ]; then
    echo "error: $graph has changed since the bundle was made" >&2
    echo "fix: copy the whole bundle again" >&2
    exit 7
  fi
  echo "building $id" >&2
  if ! "$TRTEXEC" --onnx="$graph" --saveEngine="$out/$id.engine" "$workspace" \\
    --warmUp=1000 --duration=10 --percentile=99 --exportTimes="$out/$id.times.json" \\
    "$@" >"$out/$id.log" 2>&1; then
    echo "error: trtexec could not build $id, see $out/$id.log" >&2
    failed=1
  fi
}}

failed=0
options="$*"
run() {{
  # shellcheck disable=SC2086  # options are words, to be split
  build "$@" $options
}}
{builds}
exit $((failed * 4))
"""
