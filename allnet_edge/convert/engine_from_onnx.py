"""ONNX -> TensorRT engine, with TensorRT or TensorRT-RTX: the same builder interface.

On a host without a GPU TensorRT-RTX still parses and builds ahead of time. What comes out proves
that the graph is legal and buildable. It is NOT an engine for a Jetson and is never called one:
TensorRT-RTX has no SM 8.7, and engines for a Jetson are built on the Jetson.
"""

from pathlib import Path
from types import ModuleType
from typing import Protocol

from allnet_edge.errors import ConversionError


class EngineBuilder:
    """Builds engines with one version of TensorRT.

    TensorRT keeps the first logger that it was given for the life of the process and goes on
    writing to it. So make one builder, and keep it until the process ends.

    Args:
        trt: ``tensorrt`` or ``tensorrt_rtx``.
    """

    def __init__(self, trt: ModuleType) -> None:
        self._trt = trt
        self._errors: list[str] = []
        self._logger = _logger(trt, self._errors)

    def build(self, graph: Path, *, sm: int | None = None) -> bytes:
        """Build an engine.

        Args:
            graph: An ONNX file.
            sm: Compute capability without the dot, for an ahead-of-time build by TensorRT-RTX;
                None builds for the GPU of this machine.

        Returns:
            The serialized engine.

        Raises:
            ConversionError: The graph does not parse or build (the first reason that TensorRT
                gave), or this version cannot build for ``sm``.
        """
        self._errors.clear()
        builder = self._trt.Builder(self._logger)
        network = builder.create_network(_network_flags(self._trt))
        parser = self._trt.OnnxParser(network, self._logger)
        if not parser.parse(graph.read_bytes()):
            reason = _parse_error(parser) or self._reason
            raise ConversionError(f"TensorRT cannot parse the graph: {reason}", where=graph)
        config = builder.create_builder_config()
        if sm is not None:
            config.num_compute_capabilities = 1
            config.set_compute_capability(_capability(self._trt, sm), 0)
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise ConversionError(f"TensorRT cannot build the graph: {self._reason}", where=graph)
        return bytes(engine)

    @property
    def _reason(self) -> str:
        return self._errors[0] if self._errors else "no reason given"


class _ParserError(Protocol):
    def desc(self) -> str: ...


class _Parser(Protocol):
    @property
    def num_errors(self) -> int: ...
    def get_error(self, index: int, /) -> _ParserError: ...


def _parse_error(parser: _Parser) -> str | None:
    """The first error; the newer versions name its node and operator."""
    if not parser.num_errors:
        return None
    error = parser.get_error(0)
    named = [
        text
        for name in ("node_name", "node_operator")
        if (read := getattr(error, name, None)) and (text := read())
    ]
    return f"{error.desc()} ({', '.join(named)})" if named else str(error.desc())


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


def _logger(trt: ModuleType, errors: list[str]) -> object:
    """A logger that keeps what TensorRT complains about; its base class comes from ``trt``."""

    class Logger(trt.ILogger):  # type: ignore[misc,name-defined]  # a class of the given module
        def __init__(self) -> None:
            # Not super(): the binding needs the base's own initialiser called on the class.
            trt.ILogger.__init__(self)

        def log(self, severity: object, message: str) -> None:
            if severity in {trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR}:
                errors.append(message)

    return Logger()
