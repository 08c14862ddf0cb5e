"""The stages of a build, in order: data, checked before anything runs."""

from allnet_edge.errors import RecipeError
from allnet_edge.pipeline.candidates import forms
from allnet_edge.pipeline.stage import Stage
from allnet_edge.spec.recipe import Recipe
from allnet_edge.spec.target import Target
from allnet_edge.training.backend import named_backend

_ALL = (
    Stage(
        "cells", "generate phantom cells (synthetic)", tools=("numpy", "pillow"),
        settings=lambda r, _: {"phantom": r.phantom.model_dump(mode="json") if r.phantom else None},
    ),
    Stage(
        "train", "train the float network", after=("cells",),
        tools=("keras", "tensorflow", "jax", "torch"),
        settings=lambda r, _: {
            "train": r.train.model_dump(mode="json") if r.train else None,
            "backend": named_backend(),
        },
    ),
    Stage(
        "reference", "freeze the float network's answers", after=("train",),
        tools=("tensorflow", "tf-keras"), reads_cells=True, reads_run=True,
    ),
    Stage(
        "prune", "prune and fine-tune", after=("train",),
        tools=("tensorflow", "tf-keras", "tensorflow-model-optimization"),
        settings=lambda r, _: {"prune": r.prune.model_dump(mode="json")},
        reads_cells=True, reads_run=True,
    ),
    Stage(
        "equalise", "equalise channels across layers", after=("train", "prune"),
        tools=("tensorflow", "tf-keras"), reads_run=True,
    ),
    Stage(
        "export_onnx", "export to ONNX", after=("train", "prune", "equalise"),
        tools=("tensorflow", "tf-keras", "tf2onnx", "onnx", "onnxruntime"), reads_run=True,
    ),
    Stage(
        "export_tflite", "export to TFLite", after=("train", "prune", "equalise"),
        tools=("tensorflow", "tf-keras", "ai-edge-litert"), reads_run=True,
    ),
    Stage(
        "quantize", "quantize to int8", after=("export_onnx", "export_tflite"),
        tools=("onnx", "onnxruntime", "ai-edge-quantizer", "ai-edge-litert"),
        settings=lambda r, t: {
            "calibration": r.calibration.model_dump(mode="json"), "formats": list(t.formats),
        },
        reads_cells=True, reads_run=True,
    ),
    Stage(
        "qat", "train for int8", after=("train", "prune", "equalise"),
        tools=("tensorflow", "tf-keras", "tensorflow-model-optimization"),
        settings=lambda r, _: {"qat": r.qat.model_dump(mode="json")},
        reads_cells=True, reads_run=True,
    ),
    Stage(
        "qat_onnx", "export what was trained for int8 to ONNX", after=("qat",),
        tools=("tensorflow", "tf-keras", "tf2onnx", "onnx"),
    ),
    Stage(
        "qat_tflite", "export what was trained for int8 to TFLite", after=("qat", "quantize"),
        tools=("tensorflow", "tf-keras", "ai-edge-quantizer", "ai-edge-litert"),
    ),
    Stage(
        "mixed", "give back precision where int8 costs too much",
        after=("reference", "prune", "export_onnx", "export_tflite", "quantize"),
        tools=("onnx", "onnxruntime", "ai-edge-quantizer", "ai-edge-litert", "numpy"),
        settings=lambda r, t: {
            "mixed": r.mixed.model_dump(mode="json"), "gate": r.gate.model_dump(mode="json"),
            "formats": list(t.formats), "threads": r.bench.threads,
        },
        reads_cells=True, reads_run=True,
    ),
    Stage("half", "convert to float16", after=("export_onnx",), tools=("onnx", "onnxruntime")),
    Stage(
        "compile", "prove that TensorRT can build the graphs",
        after=("export_onnx", "quantize", "qat_onnx", "mixed", "half"),
        tools=("tensorrt-rtx", "tensorrt"),
        settings=lambda r, t: {"sms": list(t.trt_proof_sms), "forms": [f.id for f in forms(r, t)]},
    ),
    Stage(
        "appearance", "look at how the training cells look", after=("train",),
        tools=("numpy", "pillow", "opencv-python-headless"),
        settings=lambda r, _: {"appearance": r.appearance.model_dump(mode="json")},
        reads_cells=True, reads_run=True,
    ),
    Stage(
        "gate", "judge every candidate against the float network",
        after=("reference", "prune", "export_onnx", "export_tflite", "quantize", "qat_onnx",
               "qat_tflite", "mixed", "half"),
        tools=("onnxruntime", "ai-edge-litert", "numpy"),
        settings=lambda r, t: {
            "gate": r.gate.model_dump(mode="json"), "forms": [f.id for f in forms(r, t)],
            "threads": r.bench.threads,
        },
        reads_cells=True, reads_run=True,
    ),
    Stage(
        "benchmark", "measure latency on this machine",
        after=("export_onnx", "export_tflite", "quantize", "qat_onnx", "qat_tflite", "mixed",
               "half", "gate"),
        tools=("onnxruntime", "ai-edge-litert"),
        settings=lambda r, _: {"bench": r.bench.model_dump(mode="json")},
        reads_cells=True, reads_run=True,
    ),
    Stage(
        "report", "write the report",
        after=("train", "reference", "prune", "equalise", "export_onnx", "export_tflite",
               "quantize", "qat", "qat_onnx", "qat_tflite", "mixed", "half", "compile", "gate",
               "benchmark"),
        tools=("jinja2",),
        settings=lambda r, t: {
            "recipe": r.model_dump(mode="json"), "target": t.model_dump(mode="json"),
        },
        reads_cells=True, reads_run=True,
    ),
)  # fmt: skip

SELECT = Stage(
    "select", "judge every form on validation cells",
    after=("reference", "prune", "export_onnx", "export_tflite", "quantize", "qat_onnx",
           "qat_tflite", "mixed", "half"),
    tools=("onnxruntime", "ai-edge-litert", "numpy"),
    settings=lambda r, t: {
        "gate": r.gate.model_dump(mode="json"), "forms": [f.id for f in forms(r, t)],
        "images": r.mixed.images, "threads": r.bench.threads,
    },
    reads_cells=True, reads_run=True,
)  # fmt: skip
"""Only of ``optimize``: a build judges its candidates once, on the gate's cells."""


def stages_of(recipe: Recipe, target: Target) -> tuple[Stage, ...]:
    """The stages that this recipe needs for this target, each after what it reads.

    Raises:
        RecipeError: Nothing is left to build.
    """
    made = forms(recipe, target)
    if not made:
        raise RecipeError(
            f"{target.name} can use none of the precisions {', '.join(recipe.precisions)}",
            fix=f"it can use: {', '.join(target.precisions)}",
        )
    left_out = set()
    if recipe.train is None:
        left_out |= {"cells", "train"}
    if recipe.prune.kind == "none":
        left_out.add("prune")
    if not recipe.equalise:
        left_out.add("equalise")
    left_out |= {
        stage
        for stage, name in (("qat_onnx", "onnx-qat"), ("qat_tflite", "litert-qat"))
        if not any(form.id == name for form in made)
    }
    if {"qat_onnx", "qat_tflite"} <= left_out:
        left_out.add("qat")
    left_out |= {f"export_{name}" for name in ("onnx", "tflite") if name not in target.formats}
    if not any(form.precision in {"int8", "mixed"} for form in made):
        left_out.add("quantize")
    if not any(form.precision == "mixed" for form in made):
        left_out.add("mixed")
    if not any(form.precision == "fp16" for form in made):
        left_out.add("half")
    if not (target.trt_proof_sms and "tensorrt" in target.runtimes):
        left_out.add("compile")
    return tuple(stage for stage in _ALL if stage.name not in left_out)
