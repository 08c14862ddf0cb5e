"""The forms of one network that a build makes, and where each lies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from allnet_edge.spec.recipe import Recipe
from allnet_edge.spec.target import Format, Precision, Target

Engine = Literal["onnx", "litert"]


@dataclass(frozen=True, slots=True)
class Form:
    """One candidate before it was judged.

    Attributes:
        id: Used everywhere: gate.json, bench.json, the bundle.
        rung: Its step of the ladder in words.
        before: Id of the form that it was made from; ``keras`` is the float network.
        stage: Whose folder holds ``file``.
        optional: Its stage may find that there is nothing to make.
        trained: By quantization-aware training, if the recipe asks for that.
    """

    id: str
    rung: str
    before: str
    engine: Engine
    precision: Precision
    format: Format
    stage: str
    file: str
    optional: bool = False
    trained: bool = False

    def path(self, stages: Mapping[str, Path]) -> Path:
        """Where the file lies, given the folder of each stage."""
        return stages[self.stage] / self.file


_FORMS = (
    Form("onnx-fp32", "onnx", "keras", "onnx", "fp32", "onnx", "export_onnx", "model.fp32.onnx"),
    Form(
        "litert-fp32", "tflite", "keras", "litert", "fp32", "tflite", "export_tflite",
        "model.fp32.tflite",
    ),
    Form("onnx-fp16", "fp16", "onnx-fp32", "onnx", "fp16", "onnx", "half", "model.fp16.onnx"),
    Form("onnx-int8", "int8", "onnx-fp32", "onnx", "int8", "onnx", "quantize", "model.int8.onnx"),
    Form(
        "litert-int8", "int8", "litert-fp32", "litert", "int8", "tflite", "quantize",
        "model.int8.tflite",
    ),
    Form(
        "onnx-qat", "qat", "keras", "onnx", "int8", "onnx", "qat_onnx", "model.qat.onnx",
        trained=True,
    ),
    Form(
        "litert-qat", "qat", "keras", "litert", "int8", "tflite", "qat_tflite", "model.qat.tflite",
        trained=True,
    ),
    Form(
        "onnx-mixed", "mixed", "onnx-fp32", "onnx", "mixed", "onnx", "mixed", "model.mixed.onnx",
        optional=True,
    ),
    Form(
        "litert-mixed", "mixed", "litert-fp32", "litert", "mixed", "tflite", "mixed",
        "model.mixed.tflite", optional=True,
    ),
)  # fmt: skip


def forms(recipe: Recipe, target: Target) -> tuple[Form, ...]:
    """The candidates of a build: what the recipe asks for and the target can use."""
    wanted = set(recipe.precisions) & set(target.precisions)
    trained = recipe.qat.epochs > 0
    return tuple(
        f
        for f in _FORMS
        if f.format in target.formats and f.precision in wanted and (trained or not f.trained)
    )


def made(recipe: Recipe, target: Target, stages: Mapping[str, Path]) -> tuple[Form, ...]:
    """The candidates that there are, once the stages which make them have run."""
    return tuple(f for f in forms(recipe, target) if not f.optional or f.path(stages).is_file())
