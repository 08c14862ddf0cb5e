"""ONNX -> TensorRT engine, with TensorRT or TensorRT-RTX: the same builder interface.

On a host without a GPU TensorRT-RTX still parses and builds ahead of time. What comes out proves
that the graph is legal and buildable. It is NOT an engine for a Jetson and is never called one:
TensorRT-RTX has no SM 8.7, and engines for a Jetson are built on the Jetson.
"""

from pathlib import Path
from types import ModuleType

from allnet_edge.errors import ConversionError


def engine_from_onnx(trt: ModuleType, graph: Path, *, sm: int | None = None) -> bytes:
    """Build an engine.

    Args:
        trt: ``tensorrt`` or ``tensorrt_rtx``.
        sm: Compute capability without the dot, for an ahead-of-time build by TensorRT-RTX; None
            builds for the GPU of this machine.

    Returns:
        The serialized engine.

    Raises:
        ConversionError: The graph does not parse or build (the first reason that TensorRT gave),
            or TensorRT-RTX does not know the compute capability.
    """
    logger = _Collector(trt)
    builder = trt.Builder(logger.sink)
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, logger.sink)
    if not parser.parse(graph.read_bytes()):
        why = parser.get_error(0).desc() if parser.num_errors else logger.first
        raise ConversionError(f"TensorRT cannot parse the graph: {why}", where=graph)
    config = builder.create_builder_config()
    if sm is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(_capability(trt, sm), 0)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ConversionError(
            f"TensorRT cannot build the graph: {logger.first or 'no reason given'}", where=graph
        )
    return bytes(engine)


def _capability(trt: ModuleType, sm: int) -> object:
    known = trt.ComputeCapability.__members__
    if f"SM{sm}" not in known:
        raise ConversionError(
            f"TensorRT-RTX {trt.__version__} cannot build for SM {sm / 10:.1f}",
            fix=f"it knows: {', '.join(sorted(name for name in known if name.startswith('SM')))}",
        )
    return known[f"SM{sm}"]


def _network_flags(trt: ModuleType) -> int:
    """Precision comes from the graph where the version knows that; told apart by feature."""
    flags = getattr(trt, "NetworkDefinitionCreationFlag", None)
    found = 0
    for name in ("EXPLICIT_BATCH", "STRONGLY_TYPED"):
        flag = getattr(flags, name, None)
        if flag is not None:
            found |= 1 << int(flag)
    return found


class _Collector:
    """Keeps what TensorRT complains about; its logger classes cannot be typed."""

    def __init__(self, trt: ModuleType) -> None:
        messages: list[str] = []

        class Sink(trt.ILogger):  # type: ignore[misc,name-defined]  # a class of the given module
            def log(self, severity: object, message: str) -> None:
                if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                    messages.append(message)

        self._messages = messages
        self.sink = Sink()

    @property
    def first(self) -> str | None:
        return self._messages[0] if self._messages else None
