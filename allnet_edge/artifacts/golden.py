"""Golden tensors: images with the probabilities that each candidate must give for them.

They prove on the device that nothing drifted: the model, the runtime, the preprocessing inside
the graph. Kept as ``golden/inputs.npz`` (``images``), ``golden/outputs.npz`` (one array for each
candidate id) and ``golden/tolerance.json`` (largest allowed difference for each candidate id).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from allnet_edge.artifacts import npz
from allnet_edge.artifacts.files import canonical_json, read_json
from allnet_edge.errors import IntegrityError

INPUTS = "golden/inputs.npz"
OUTPUTS = "golden/outputs.npz"
TOLERANCE = "golden/tolerance.json"

ENGINE_TOLERANCE = MappingProxyType({"fp32": 1e-3, "fp16": 1e-2, "int8": 5e-2, "mixed": 5e-2})
"""OUR READING: how far a probability of an engine may be from that of the graph it was built from.
TensorRT fuses layers and rounds where ONNX Runtime does not. This finds an engine that computes
something else; whether it decides as well as the float network is for the gate to say.
"""


@dataclass(frozen=True, slots=True)
class Golden:
    """Images and what must come out.

    Attributes:
        images: uint8 [n, height, width, 3], RGB.
        outputs: float32 [n] or [n, classes] for each candidate id.
        tolerance: Largest allowed absolute difference of a probability, for each candidate id.
    """

    images: NDArray[np.uint8]
    outputs: Mapping[str, NDArray[np.float32]]
    tolerance: Mapping[str, float]

    def to_files(self) -> dict[str, bytes]:
        """The three files, by their names in the bundle; equal tensors make equal bytes."""
        return {
            INPUTS: npz.pack({"images": self.images}),
            OUTPUTS: npz.pack(self.outputs),
            TOLERANCE: canonical_json(dict(self.tolerance)),
        }

    @classmethod
    def read(cls, bundle: Path) -> "Golden":
        """The golden tensors of a bundle's folder.

        Raises:
            IntegrityError: A file that cannot be read or that holds something else.
        """
        inputs, outputs = npz.unpack(bundle / INPUTS), npz.unpack(bundle / OUTPUTS)
        tolerance = read_json(bundle / TOLERANCE)
        images = inputs.get("images")
        if images is None or images.dtype != np.uint8 or images.ndim != 4:
            raise IntegrityError("holds no uint8 'images' [n, h, w, 3]", where=bundle / INPUTS)
        if not isinstance(tolerance, dict) or set(tolerance) != set(outputs):
            raise IntegrityError(
                "does not name the candidates of outputs.npz", where=bundle / TOLERANCE
            )
        if any(len(values) != len(images) for values in outputs.values()):
            raise IntegrityError(
                f"does not hold {len(images)} rows for each candidate", where=bundle / OUTPUTS
            )
        return cls(
            images.astype(np.uint8, copy=False),
            {key: values.astype(np.float32, copy=False) for key, values in outputs.items()},
            {key: float(value) for key, value in tolerance.items()},
        )
