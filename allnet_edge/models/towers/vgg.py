"""VGG16 without its top (Simonyan & Zisserman 2014, arXiv 1409.1556).

Layer names, weight shapes and their order are those of ``keras.applications.VGG16``.

Without weights to start from, kernels are drawn as He et al. 2015 (arXiv 1502.01852) say for ReLU.
Keras' own way (Glorot) halves the variance at each of the thirteen layers, which no batch norm
here restores: on Aria the top then differed by 1e-5 between cells, and ALLNet never used it.
Narrowed towers keep Keras' start: from He's, the 2:4 form of the embedded default, an eighth as
wide, misses its gate (accuracy -1.1 points on 4,100 phantom cells after three epochs of
fine-tuning, -1.3 after four with half of the target from the labels).
"""

from types import ModuleType

from allnet_edge.models.towers.api import Tensor
from allnet_edge.models.towers.blocks import scaled

_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def vgg16(keras: ModuleType, x: Tensor, width: float = 1.0) -> dict[str, Tensor]:
    """Apply the tower.

    Args:
        x: [n, h, w, 3], standardised.

    Returns:
        The outputs of ``block1_pool`` to ``block5_pool`` by name.
    """
    taps: dict[str, Tensor] = {}
    start = "he_normal" if width == 1.0 else "glorot_uniform"
    for block, (channels, depth) in enumerate(_BLOCKS, start=1):
        for conv in range(1, depth + 1):
            x = keras.layers.Conv2D(
                scaled(channels, width),
                3,
                padding="same",
                activation="relu",
                kernel_initializer=start,
                name=f"block{block}_conv{conv}",
            )(x)
        name = f"block{block}_pool"
        x = taps[name] = keras.layers.MaxPooling2D(2, strides=2, name=name)(x)
    return taps
