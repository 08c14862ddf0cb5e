"""What a target must not say: each contradiction in plain words."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allnet_edge.spec.target import Format, JetPack, Module, Precision, Runtime, Target

FORMATS_OF_RUNTIME: dict["Runtime", "Format"] = {
    "tensorrt": "onnx",
    "onnx": "onnx",
    "litert": "tflite",
}
PYTHON_OF_PACKAGE = (3, 10)
"""As ``requires-python`` in pyproject.toml says; a test holds the two together."""
FIRST_SPARSE_SM = (8, 0)
FIRST_TENSORRT_OF_OPSET_17 = (8, 5)
OPSET_BEFORE = 13
"""Of TensorRT 8.0 to 8.4."""


def contradictions(target: "Target") -> tuple[str, ...]:
    """Everything that cannot be true of one device at once; empty for a sound target."""
    return (
        *_twice(target),
        *_formats(target),
        *_hardware(target),
        *_precisions(target),
        *_tensorrt(target),
        *(problem for row in target.jetpack for problem in _release(row)),
    )


def version(text: str) -> tuple[int, ...]:
    """``8.0-8.2.1`` -> (8, 0): the lowest version that a row names."""
    return tuple(int(part) for part in text.partition("-")[0].split("."))


def precisions_of(runtime: "Runtime", module: "Module | None") -> frozenset["Precision"]:
    """What a runtime computes on this module. TensorRT is on the GPU, the other two on the CPU."""
    if runtime != "tensorrt":
        return frozenset(("fp32", "int8", "mixed"))
    found: set[Precision] = {"fp32"}
    if module is not None and module.fp16_tops is not None:
        found.add("fp16")
    if module is not None and module.int8_tops is not None:
        found |= {"int8", "mixed"}
    return frozenset(found)


def _twice(target: "Target") -> Iterator[str]:
    lists: dict[str, Sequence[str]] = {
        "aliases": (target.name, *target.aliases),
        "runtimes": target.runtimes,
        "precisions": target.precisions,
        "formats": target.formats,
        "jetpack": [row.version for row in target.jetpack],
        "power_modes": [mode.name for mode in target.power_modes],
    }
    for key, names in lists.items():
        for name, times in Counter(names).items():
            if times > 1:
                yield f"{key} names '{name}' {times} times"


def _formats(target: "Target") -> Iterator[str]:
    unread = {FORMATS_OF_RUNTIME[runtime] for runtime in target.runtimes} ^ set(target.formats)
    if unread:
        yield f"formats and runtimes do not match: {', '.join(sorted(unread))}"


def _hardware(target: "Target") -> Iterator[str]:
    module = target.module
    if target.kind == "jetson":
        if not (target.jetpack and module and module.sm):
            yield "a jetson needs jetpack rows and the module's sm"
        if not target.power_modes:
            yield "a jetson needs power_modes, the one to measure in first"
        return
    if target.jetpack:
        yield f"a target of kind '{target.kind}' has no jetpack"
    if module and (module.sm or module.dla or module.fp16_tops or module.int8_tops):
        yield f"sm, dla, fp16_tops and int8_tops belong to a jetson, not to '{target.kind}'"


def _precisions(target: "Target") -> Iterator[str]:
    module = target.module
    for precision in target.precisions:
        if (
            target.kind == "jetson"
            and precision in {"int8", "mixed"}
            and not (module and module.int8_tops)
        ):
            # The CPU runtimes could, but nobody buys a Jetson for its CPU.
            yield f"{precision} on a module with no fast INT8: it has no int8_tops"
        elif not any(precision in precisions_of(one, module) for one in target.runtimes):
            yield f"no runtime of this target ({', '.join(target.runtimes)}) computes {precision}"


def _tensorrt(target: "Target") -> Iterator[str]:
    if "tensorrt" not in target.runtimes:
        if target.tensorrt or target.trt_proof_sms:
            yield "[tensorrt] and trt_proof_sms need 'tensorrt' among the runtimes"
        return
    if not target.jetpack:
        yield "the tensorrt runtime needs jetpack rows: on these devices it comes with JetPack"
    options, module = target.tensorrt, target.module
    if options is None:
        yield "the tensorrt runtime needs [tensorrt] with its workspace_mb"
        return
    if module is None:
        return
    if options.dla and module.dla == 0:
        yield "tensorrt.dla on a module without a DLA (module.dla is 0)"
    if options.sparse_weights and version(module.sm or "0.0") < FIRST_SPARSE_SM:
        yield f"tensorrt.sparse_weights needs SM 8.0 or newer, this module has SM {module.sm}"
    if options.workspace_mb.value >= 1000 * module.memory_gb.value:
        yield "tensorrt.workspace_mb is as much as the whole memory"


def _release(row: "JetPack") -> Iterator[str]:
    named = f"JetPack {row.version}"
    if version(row.tensorrt) < FIRST_TENSORRT_OF_OPSET_17 and row.opset > OPSET_BEFORE:
        most = f"reads opset {OPSET_BEFORE} at most, not {row.opset}"
        yield f"{named}: TensorRT {row.tensorrt} {most}"
    if row.serve == "package" and row.python and version(row.python) < PYTHON_OF_PACKAGE:
        needs = ".".join(map(str, PYTHON_OF_PACKAGE))
        yield (
            f"{named} has Python {row.python}, allnet-edge needs {needs}: serve must be 'trtexec'"
        )
