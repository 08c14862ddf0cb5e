"""What the end-to-end tests share: the small recipe, and how the command is run."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# The smallest network of the zoo on few phantom cells: every stage is real, only small.
RECIPE = """
precisions = ["fp32", "fp16", "int8", "mixed"]
[phantom]
images = 900
patients = 40
seed = 3
[train]
model = "custom_cnn"
input_size = 64
width = 0.25
epochs = 3
learning_rate = 2e-3
seed = 3
[prune]
kind = "2:4"
epochs = 1
[calibration]
images = 32
[mixed]
sensitivity = "blocks"
# So few cells and so few epochs decide nothing: here only the road counts.
[gate]
accuracy_ratio = 0.5
sensitivity = 0.5
specificity = 0.5
auc = 0.5
"""


@dataclass(frozen=True)
class Build:
    recipe: Path
    out: Path
    process: "subprocess.CompletedProcess[str]"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "allnet_edge", *(str(argument) for argument in arguments)]


def run(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, **options
    )


STAGES = (
    "cells", "train", "reference", "prune", "export_onnx", "export_tflite", "quantize", "mixed",
    "half", "compile", "appearance", "gate", "benchmark", "report",
)  # fmt: skip
