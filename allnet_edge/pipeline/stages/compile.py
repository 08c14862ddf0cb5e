"""TensorRT on the machine that builds: an engine where there is a GPU, else a proof."""

import ctypes
import importlib
import importlib.util
import time
from types import ModuleType

from allnet_edge.artifacts.files import sha256_bytes, write_bytes, write_json
from allnet_edge.convert.engine_from_onnx import EngineBuilder
from allnet_edge.errors import ConversionError
from allnet_edge.measure.system import package_version
from allnet_edge.pipeline.candidates import Form
from allnet_edge.pipeline.stage import Work

NOTE = "proof that the graph is legal, not a Jetson engine"


def run(work: Work) -> None:
    """Write ``compile.json``: for each graph and architecture whether TensorRT built it.

    A refusal is recorded and shown in the report; it does not stop the build, since the graph may
    still serve other runtimes of the target.
    """
    graphs = [form for form in work.forms if form.format == "onnx"]
    rows: list[dict[str, object]] = []
    if _has_gpu() and (trt := _load("tensorrt")) is not None:
        real = EngineBuilder(trt)
        rows += [_row(work, real, form, None) for form in graphs]
    proof = _load("tensorrt_rtx")
    if proof is not None:
        ahead = EngineBuilder(proof)
        rows += [_row(work, ahead, form, sm) for form in graphs for sm in work.target.trt_proof_sms]
    why = None if rows else "neither tensorrt with a GPU nor tensorrt-rtx is installed here"
    write_json(work.folder / "compile.json", {"rows": rows, "not_proven": why})


def _row(work: Work, builder: EngineBuilder, form: Form, sm: int | None) -> dict[str, object]:
    tool = "tensorrt" if sm is None else "tensorrt-rtx"
    where = "this machine's GPU" if sm is None else f"SM {sm / 10:.1f}"
    work.progress(f"{form.id} for {where}", 0, 0)
    row: dict[str, object] = {
        "graph": form.file,
        "candidate": form.id,
        "sm": sm,
        "tool": f"{tool} {package_version(tool)}",
        "note": "built for the GPU of the build machine only" if sm is None else NOTE,
    }
    began = time.monotonic()
    try:
        engine = builder.build(form.path(work.stages), sm=sm)
    except ConversionError as error:
        work.log.info("%s", error)
        return {**row, "ok": False, "why": error.what}
    if sm is None:
        write_bytes(work.folder / f"{form.id}.engine", engine)
    work.log.info("%s: %s built by %s, %d bytes", form.id, where, tool, len(engine))
    return {
        **row,
        "ok": True,
        "seconds": round(time.monotonic() - began, 2),
        "engine_bytes": len(engine),
        "engine_sha256": sha256_bytes(engine),
    }


def _load(name: str) -> ModuleType | None:
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def _has_gpu() -> bool:
    """Whether the CUDA driver is there and finds a device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return (
        driver.cuInit(0) == 0
        and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
        and count.value > 0
    )
