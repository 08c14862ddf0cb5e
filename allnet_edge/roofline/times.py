"""How long one kernel takes on one GPU: what its work takes at the peaks, then the constants."""

from dataclasses import dataclass
from typing import Literal

from allnet_edge.roofline.constants import Constants
from allnet_edge.roofline.gpu import Gpu
from allnet_edge.roofline.kernels import Arithmetic, Kernel, Product

Bound = Literal["compute", "memory", "launch"]

_TILES = (
    (256, 128), (128, 128), (128, 64), (64, 128), (64, 64), (64, 32), (32, 64), (32, 32), (16, 64),
    (64, 16),
)  # fmt: skip
"""Rows x columns of the output that one block of threads computes; the best one is taken, as
TensorRT takes the fastest kernel."""
_FRAGMENT = 16
"""Side of a tensor core's own tile: a block loads its rows and columns once for so much depth."""
_DEPTH_STEP: dict[Arithmetic, int] = {"fp32": 8, "fp16": 16, "int8": 32}
"""Depth that one tensor-core instruction takes; a smaller one is filled up with zeros."""
_FEW_CHANNELS = 4
"""First layers with 3 channels have kernels of their own, which fill up to 4."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one kernel would take if nothing were lost.

    Attributes:
        compute_seconds: At peak arithmetic, with tiles that are not full and processors that idle.
        memory_seconds: At peak bandwidth.
        winograd: Whether the kernel can be computed with fewer multiplications.
        gigahertz: The clock that the floor goes with.
    """

    compute_seconds: float
    memory_seconds: float
    winograd: bool
    gigahertz: float


def work_of(kernel: Kernel, gpu: Gpu) -> Work:
    """The work of a kernel on a GPU."""
    arithmetic = kernel.arithmetic if kernel.arithmetic in gpu.tera_ops else "fp16"
    compute, winograd = 0.0, False
    product = kernel.product
    if product is not None and kernel.kind == "depthwise":
        compute = 2e-12 * product.macs / gpu.plain_tera_ops
    elif product is not None:
        tensor = arithmetic in gpu.on_tensor_cores
        compute = _tiled_seconds(product, gpu, arithmetic if tensor else None, arithmetic)
        winograd = not tensor and product.window == 9 and product.stride == 1
    memory = 1e-9 * kernel.bytes / gpu.gigabytes_a_second
    return Work(compute, memory, winograd, 1e-3 * gpu.megahertz)


def seconds_of(work: Work, constants: Constants) -> tuple[float, Bound]:
    """The estimated time of a kernel, and what it is bound by."""
    compute = work.compute_seconds / constants.efficiency
    if work.winograd:
        compute /= constants.winograd_gain
    floor = 1e-6 * constants.launch_microseconds_ghz / work.gigahertz
    busy = max(compute, work.memory_seconds)
    if floor > busy:
        return busy + floor, "launch"
    return busy + floor, "compute" if compute >= work.memory_seconds else "memory"


def _tiled_seconds(
    product: Product, gpu: Gpu, tensor: Arithmetic | None, arithmetic: Arithmetic
) -> float:
    """The fastest tile: whole waves of tiles, each at the rate that its size allows."""
    depth = _filled_depth(product, tensor) if tensor else product.depth
    rate = 1e12 * gpu.tera_ops[arithmetic] / gpu.processors
    best = float("inf")
    for rows, columns in _TILES:
        tiles = -(-product.rows // rows) * -(-product.columns // columns) * product.groups
        waves = -(-tiles // gpu.processors)
        area = rows * columns
        share = area / (area + _FRAGMENT * (rows + columns))
        best = min(best, 2.0 * waves * area * depth / (rate * share))
    return best


def _filled_depth(product: Product, tensor: Arithmetic) -> int:
    if product.depth <= _FEW_CHANNELS * product.window:
        return _FEW_CHANNELS * product.window
    step = _DEPTH_STEP[tensor]
    return -(-product.depth // step) * step
