"""TensorRT on the machine that builds: a proof that every graph is legal, never an engine."""

import importlib
import importlib.util
import time
from types import ModuleType

from allnet_edge.artifacts.files import sha256_bytes, write_json
from allnet_edge.convert.engine_from_onnx import EngineBuilder
from allnet_edge.errors import ConversionError
from allnet_edge.measure.system import package_version
from allnet_edge.pipeline.candidates import Form
from allnet_edge.pipeline.stage import Work

NOTE = "proof that the graph is legal, not a Jetson engine"


def run(work: Work) -> None:
    """Write ``compile.json``: for each graph and architecture whether TensorRT-RTX built it.

    A refusal is recorded and shown in the report; it does not stop the build, since the graph may
    still serve other runtimes of the target. Engines are built by ``allnet-edge compile``, on the
    device alone.
    """
    graphs = [form for form in work.forms if form.format == "onnx"]
    rows: list[dict[str, object]] = []
    proof = _load("tensorrt_rtx")
    if proof is not None:
        ahead = EngineBuilder(proof)
        rows += [_row(work, ahead, form, sm) for form in graphs for sm in work.target.trt_proof_sms]
    why = None
    if not rows:
        why = "tensorrt-rtx is not installed here"
        if proof is not None:
            why = "the target names no GPU that TensorRT-RTX can build for"
    write_json(work.folder / "compile.json", {"rows": rows, "not_proven": why})


def _row(work: Work, builder: EngineBuilder, form: Form, sm: int) -> dict[str, object]:
    where = f"SM {sm / 10:.1f}"
    work.progress(f"{form.id} for {where}", 0, 0)
    row: dict[str, object] = {
        "graph": form.file,
        "candidate": form.id,
        "sm": sm,
        "tool": f"tensorrt-rtx {package_version('tensorrt-rtx')}",
        "note": NOTE,
    }
    began = time.monotonic()
    try:
        engine = builder.build(form.path(work.stages), sm=sm).engine
    except ConversionError as error:
        work.log.info("%s", error)
        return {**row, "ok": False, "why": error.what}
    work.log.info("%s: %s built by tensorrt-rtx, %d bytes", form.id, where, len(engine))
    return {
        **row,
        "ok": True,
        "seconds": round(time.monotonic() - began, 2),
        "engine_bytes": len(engine),
        "engine_sha256": sha256_bytes(engine),
    }


def _load(name: str) -> ModuleType | None:
    return importlib.import_module(name) if importlib.util.find_spec(name) else None
