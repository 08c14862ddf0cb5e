"""What both exports share: the network that is exported, and the comparison with Keras."""

import numpy as np
import numpy.typing as npt
import tf_keras

from allnet_edge.convert.exact import require_full_float32
from allnet_edge.data.phantom import generate
from allnet_edge.engines.opening import open_file
from allnet_edge.errors import ConversionError
from allnet_edge.measure.agreement import compare
from allnet_edge.models.storage import float_model
from allnet_edge.models.towers.api import KerasModel
from allnet_edge.pipeline.stage import Work

TOLERANCE = 1e-4
_PROBES = 8


def network_of(work: Work) -> tuple[KerasModel, int]:
    """The network that goes to the device, pruned if it was, and the side of its input."""
    require_full_float32()
    model, network = float_model.instantiate(tf_keras, work.float_model)
    return network, model.spec.input_size


def difference_from_keras(work: Work, network: KerasModel, size: int, file: str) -> float:
    """Largest difference of a probability between a graph just written and Keras.

    Raises:
        ConversionError: It is more than 1e-4.
    """
    path = work.folder / file
    probes = probe_images(size)
    expected = network.predict(probes.astype(np.float32), verbose=0).ravel()
    with open_file(path) as runner:
        agreement = compare(expected, runner.infer(probes).ravel())
    work.log.info("%s against Keras: largest difference %.2e", file, agreement.max_abs)
    if agreement.max_abs > TOLERANCE:
        raise ConversionError(
            f"{file} differs from Keras by {agreement.max_abs:.2e} of a probability "
            f"({TOLERANCE:.0e} is allowed)",
            where=path,
            fix="this is a fault of the converter's version; see requirements/ for those tried",
        )
    return agreement.max_abs


def probe_images(size: int) -> npt.NDArray[np.uint8]:
    """uint8 [8, size, size, 3]: phantom cells, so that no real cell travels with a model."""
    images: npt.NDArray[np.uint8] = generate(_PROBES, patients=6, seed=20_211, size=size).images
    return images
