"""What the model knows of a GPU, from the figures of a target."""

from dataclasses import dataclass

from allnet_edge.errors import UsageError
from allnet_edge.roofline.kernels import Arithmetic
from allnet_edge.spec.target import Module, Target

_CORES_OF_SM = {"7.2": 64}
"""CUDA cores of a multiprocessor; 128 in all other generations of Jetson (CUDA C guide, table of
compute capabilities)."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """Peaks of one GPU in its fastest mode; operations count a multiply and an add as two.

    Attributes:
        processors: Streaming multiprocessors.
        tera_ops: Of a dense matrix product, by arithmetic; absent where the GPU has no fast one.
        on_tensor_cores: Which of these are peaks of tensor cores.
        plain_tera_ops: fp32 on CUDA cores, for depth-wise convolutions.
    """

    processors: int
    megahertz: float
    gigabytes_a_second: float
    tera_ops: dict[Arithmetic, float]
    on_tensor_cores: frozenset[Arithmetic]
    plain_tera_ops: float


def gpu_of(target: Target) -> Gpu:
    """The GPU of a target.

    Raises:
        UsageError: It has none, or its clock is not known.
    """
    module = target.module
    if module is None or module.sm is None:
        raise UsageError(
            f"no estimate for {target.title}: the latency model knows GPUs only, for processors "
            "there are too few published times to check one against",
            fix="measure it: allnet-edge bench on the device",
        )
    if not (module.gpu_mhz and module.cuda_cores and module.fp16_tops):
        raise UsageError(
            f"no estimate for {target.title}: the clock of its GPU is not known",
            fix="measure it: allnet-edge bench on the device",
        )
    plain = 2e-6 * module.cuda_cores.value * module.gpu_mhz.value
    tensor: set[Arithmetic] = set()
    tera: dict[Arithmetic, float] = {"fp32": plain, "fp16": module.fp16_tops.value}
    if module.int8_tops:
        tera["int8"] = module.int8_tops.value
    if module.tensor_cores:
        tensor |= {"fp16", "int8"}
    if _has_tf32(module):
        # TensorRT computes fp32 in TF32 unless told otherwise, at half the rate of FP16.
        tera["fp32"] = module.fp16_tops.value / 2
        tensor.add("fp32")
    return Gpu(
        processors=round(module.cuda_cores.value / _CORES_OF_SM.get(module.sm, 128)),
        megahertz=module.gpu_mhz.value,
        gigabytes_a_second=module.bandwidth_gb_s.value,
        tera_ops=tera,
        on_tensor_cores=frozenset(tensor),
        plain_tera_ops=plain,
    )


def _has_tf32(module: Module) -> bool:
    return module.sm is not None and float(module.sm) >= 8.0
