"""An estimate of the latency of an ONNX graph on a target, with the error that goes with it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import onnx

from allnet_edge.errors import UsageError
from allnet_edge.roofline.constants import Constants, Error, fitted
from allnet_edge.roofline.fuse import fuse
from allnet_edge.roofline.gpu import Gpu, gpu_of
from allnet_edge.roofline.graph import Graph, read_graph
from allnet_edge.roofline.kernels import Arithmetic, Kernel
from allnet_edge.roofline.times import Bound, Work, seconds_of, work_of
from allnet_edge.roofline.traffic import set_traffic
from allnet_edge.spec.base import known_name
from allnet_edge.spec.target import Precision, Target


@dataclass(frozen=True, slots=True)
class LayerEstimate:
    """One kernel: the nodes that it computes, its work, its time and what bounds it."""

    operators: tuple[str, ...]
    kind: str
    arithmetic: str
    macs: int
    bytes: float
    milliseconds: float
    bound: Bound


@dataclass(frozen=True, slots=True)
class Estimate:
    """Not a measurement: ``label`` is always ``estimate``.

    Attributes:
        milliseconds: GPU time of one inference of batch 1 at the module's highest clocks, the
            sum of ``layers``; nothing of the host.
        error: Of the same model on published times of classifiers, boards unseen; the networks
            of this package are classifiers.
        error_all: The same on all published times, most of them of YOLO detectors on Orin.
        assumptions: What was taken for granted.
    """

    target: str
    precision: Precision
    milliseconds: float
    error: Error
    error_all: Error
    layers: tuple[LayerEstimate, ...]
    assumptions: tuple[str, ...]
    label: Literal["estimate"] = "estimate"

    def sentence(self) -> str:
        """For people: the number never stands without its error."""
        return (
            f"estimate: {self.milliseconds:.3g} ms on {self.target} in {self.precision}; on boards "
            f"that it had not seen the model was off by {self.error.median:.0%} in the middle "
            f"case and by up to {self.error.p90:.0%} in nine of ten (n {self.error.n}, "
            f"{self.error.over}). Not measured."
        )

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            **{name: getattr(self, name) for name in ("label", "target", "precision")},
            "milliseconds": self.milliseconds,
            "error": self.error.model_dump(mode="json"),
            "error_all": self.error_all.model_dump(mode="json"),
            "assumptions": list(self.assumptions),
            "layers": [asdict(layer) for layer in self.layers],
        }


def estimate(
    source: Path | onnx.ModelProto | Graph, target: Target, precision: Precision
) -> Estimate:
    """Estimate the latency of one inference of batch 1 under TensorRT.

    Args:
        source: An ONNX graph, or one already read. If it has Q/DQ they say what is int8; a float
            graph asked for in int8 is taken as if all of its products were.
        precision: One that the target is built for.

    Raises:
        UsageError: The target has no GPU whose figures are known, cannot use the precision, or
            graph and precision contradict each other.
        ConversionError: The graph cannot be read, or its shapes are not fixed.
    """
    gpu = gpu_of(target)
    if precision not in target.precisions:
        raise UsageError(
            f"{target.name} is not built for {precision}",
            fix=f"it can use: {', '.join(target.precisions)}",
        )
    graph = source if isinstance(source, Graph) else read_graph(source)
    _check(graph, precision)
    arithmetic: Arithmetic = "int8" if precision == "mixed" else precision
    found, known = fitted(), kernels_of(graph, arithmetic)
    layers = tuple(_layer(one, gpu, found.constants) for one in known)
    return Estimate(
        target=target.name,
        precision=precision,
        milliseconds=sum(layer.milliseconds for layer in layers),
        error=found.errors["classifiers"],
        error_all=found.errors["all"],
        layers=layers,
        assumptions=_assumptions(graph, target, precision),
    )


def precision_of(graph: Graph, asked: str | None = None) -> Precision:
    """The precision that is asked for, or else the one that the graph itself has.

    Raises:
        UnknownNameError: There is no such precision.
    """
    if asked is not None:
        known: dict[str, Precision] = {name: name for name in get_args(Precision)}
        return known[known_name("precision", asked, known)]
    if graph.quantized:
        return "int8"
    products = [one for one in kernels_of(graph, "fp32") if one.product is not None]
    return "fp16" if any(one.arithmetic == "fp16" for one in products) else "fp32"


def kernels_of(graph: Graph, arithmetic: Arithmetic) -> list[Kernel]:
    """The fused kernels of a graph with their traffic."""
    kernels = fuse(graph, joins_gates=arithmetic != "fp32")
    set_traffic(graph, kernels, arithmetic)
    return kernels


def works_of(graph: Graph, arithmetic: Arithmetic, gpu: Gpu) -> list[Work]:
    """The work of each kernel, before any constant."""
    return [work_of(one, gpu) for one in kernels_of(graph, arithmetic)]


def _layer(kernel: Kernel, gpu: Gpu, constants: Constants) -> LayerEstimate:
    seconds, bound = seconds_of(work_of(kernel, gpu), constants)
    return LayerEstimate(
        operators=tuple(kernel.operators),
        kind=kernel.kind,
        arithmetic=kernel.arithmetic,
        macs=kernel.macs,
        bytes=kernel.bytes,
        milliseconds=1e3 * seconds,
        bound=bound,
    )


def _check(graph: Graph, precision: Precision) -> None:
    if graph.quantized and precision in {"fp32", "fp16"}:
        raise UsageError(
            f"the graph is quantized, so it has no latency in {precision}",
            fix="ask for int8 or mixed, or give the float graph",
        )
    if precision == "mixed" and not graph.quantized:
        raise UsageError(
            "a float graph does not say which of its layers would be int8",
            fix="give the mixed graph of a build, or ask for int8",
        )


def _assumptions(graph: Graph, target: Target, precision: Precision) -> tuple[str, ...]:
    said = [f"GPU at its highest clock ({target.power_modes[0].name}), batch 1, host not included"]
    if not graph.quantized and precision == "int8":
        said.append("every convolution and matrix product with weights in int8")
    if precision == "fp32" and target.module and float(target.module.sm or 0) >= 8:
        said.append("fp32 computed in TF32, as TensorRT does unless told otherwise")
    return tuple(said)
