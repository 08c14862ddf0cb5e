"""The ONNX graph in half precision."""

from allnet_edge.convert.fp16_from_onnx import fp16_from_onnx
from allnet_edge.pipeline.stage import Work


def run(work: Work) -> None:
    """Write ``model.fp16.onnx``."""
    fp16_from_onnx(work.stages["export_onnx"] / "model.fp32.onnx", work.folder / "model.fp16.onnx")
