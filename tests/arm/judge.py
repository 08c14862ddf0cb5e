"""Do two machines answer alike? What may differ, by how much, and what may not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FLOAT = 1e-5
# ONNX Runtime multiplies int8 in different orders on different processors (docs/arm.md).
ALLOWED = {"litert-fp32": FLOAT, "litert-int8": FLOAT, "onnx-fp32": FLOAT, "onnx-int8": 2e-2}
SAME_VERSION = "ai-edge-litert"
FEWEST_VALUES = 20  # raw values that take fewer than so many levels would prove little


@dataclass(frozen=True)
class Answers:
    """What ``on_device.py`` found on one machine.

    Attributes:
        arrays: ``pixels``; ``raw <n>``, int8; probabilities by candidate id.
        delegated: For each LiteRT candidate, whether XNNPACK runs its whole graph.
    """

    arrays: Mapping[str, NDArray[np.generic]]
    delegated: Mapping[str, bool]
    versions: Mapping[str, str]

    @classmethod
    def read(cls, arrays: Path, printed: str) -> "Answers":
        """From the script's file, and from what it printed last."""
        told = json.loads(printed.strip().splitlines()[-1])
        with np.load(arrays) as stored:
            return cls(dict(stored), told["delegated"], told["versions"])


def differences(here: Answers, there: Answers) -> list[str]:
    """Every way in which the answers are not what they have to be, in words; empty is good."""
    return [*_conditions(here, there), *_pixels(here, there), *_raw(here, there),
            *_probabilities(here, there)]  # fmt: skip


def summary(here: Answers, there: Answers) -> dict[str, object]:
    """The figures behind ``differences``."""
    raw = [name for name in here.arrays if name.startswith("raw")]
    unequal = sum(_unequal(here.arrays[name], there.arrays[name]) for name in raw)
    return {
        "images": len(here.arrays["pixels"]),
        "int8_values": sum(here.arrays[name].size for name in raw),
        "int8_values_that_differ": unequal,
        "largest_difference": {
            name: _largest(here.arrays[name], there.arrays[name]) for name in ALLOWED
        },
    }


def _conditions(here: Answers, there: Answers) -> list[str]:
    found = []
    for side, answers in (("x86", here), ("aarch64", there)):
        if not answers.delegated:
            found.append(f"{side}: no LiteRT candidate ran")
        found += [
            f"{side}: XNNPACK did not take the whole graph of {name}"
            for name, taken in answers.delegated.items()
            if not taken
        ]
    ours, theirs = here.versions[SAME_VERSION], there.versions[SAME_VERSION]
    if ours != theirs:
        found.append(f"{SAME_VERSION} is {ours} on x86 and {theirs} on aarch64")
    return found


def _pixels(here: Answers, there: Answers) -> list[str]:
    unequal = _unequal(here.arrays["pixels"], there.arrays["pixels"])
    return [f"{unequal} pixels differ after decoding and resizing"] if unequal else []


def _raw(here: Answers, there: Answers) -> list[str]:
    names = [name for name in here.arrays if name.startswith("raw")]
    found = [] if names else ["the int8 network has no int8 end to compare"]
    for name in names:
        ours, theirs = here.arrays[name], there.arrays[name]
        unequal = _unequal(ours, theirs)
        if unequal:
            found.append(f"{unequal} of {ours.size} int8 values differ ({name})")
        if len(np.unique(ours)) < FEWEST_VALUES:
            found.append(f"{name} takes {len(np.unique(ours))} values only: equality proves little")
    return found


def _probabilities(here: Answers, there: Answers) -> list[str]:
    found = []
    for name, allowed in ALLOWED.items():
        largest = _largest(here.arrays[name], there.arrays[name])
        if not largest <= allowed:  # also NaN
            found.append(f"{name}: probabilities differ by {largest:.3g}, allowed {allowed:g}")
    return found


def _unequal(ours: NDArray[np.generic], theirs: NDArray[np.generic]) -> int:
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return max(ours.size, theirs.size, 1)
    return int(np.count_nonzero(ours != theirs))


def _largest(ours: NDArray[np.generic], theirs: NDArray[np.generic]) -> float:
    if ours.shape != theirs.shape:
        return float("nan")
    return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max(initial=0))
