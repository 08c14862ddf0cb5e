"""ALLNet (Mattapalli & Athavale 2021, arXiv 2108.08195): VGG16, ResNet50 and InceptionV3 fused.

From the paper: the three towers, the concatenation of their tops (``concatenate2``), two taps a
tower through a max pool and convolutions into ``concatenate1``, two 1x1 convolutions, the joint
``concatenate3``, a 3x3 max pool of stride 2, a 1x1 convolution, two fully connected layers and a
sigmoid. OUR READING, because the figure with the details is missing: which layers are tapped, that
everything is brought to the side of the smallest top (6 at an input of 250), the kernel sizes
that follow from it, and the channel counts 256 and 512 and 256 of the fusion.

Not to be confused with Genovese 2022 "ALLNet", Sampathila 2022 "ALLNET" or ALNett.
"""

from types import ModuleType

from allnet_edge.errors import RecipeError
from allnet_edge.models.towers.api import KerasModel, Tensor
from allnet_edge.models.towers.blocks import classifier, conv_relu, scaled, standardised_input
from allnet_edge.models.towers.inception import inceptionv3
from allnet_edge.models.towers.resnet import resnet50
from allnet_edge.models.towers.vgg import vgg16
from allnet_edge.spec.network import NetworkSpec

SMALLEST, LARGEST = 96, 450
_SHALLOW = (("block3_pool", "vgg"), ("conv3_block4_out", "resnet"), ("mixed2", "inception"))
_DEEP = (("block4_pool", "vgg"), ("conv4_block6_out", "resnet"), ("mixed7", "inception"))
_TOPS = (("block5_pool", "vgg"), ("conv5_block3_out", "resnet"), ("mixed10", "inception"))


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    """Build ALLNet for any input side from 96 to 450 (about 67 M parameters at 250).

    Raises:
        RecipeError: The input side is outside 96..450.
    """
    if not SMALLEST <= spec.input_size <= LARGEST:
        raise RecipeError(
            f"allnet takes inputs of {SMALLEST} to {LARGEST} pixels, not {spec.input_size}",
            fix="give --input-size 250 (the paper's) or another value in that range",
        )
    pixels, x = standardised_input(keras, spec)
    taps = {
        **vgg16(keras, x, spec.width),
        **resnet50(keras, x, spec.width, spec.bn_momentum),
        **inceptionv3(keras, x, spec.width, spec.bn_momentum),
    }
    side = min(taps[name].shape[1] for name, _ in _TOPS)
    tops = [_crop_pool(keras, taps[name], side, f"top_{tower}") for name, tower in _TOPS]
    branches = [
        _branch(keras, taps[name], f"tap{depth}_{tower}", pool=pool, side=side, width=spec.width)
        for depth, pool, group in ((1, 4, _SHALLOW), (2, 2, _DEEP))
        for name, tower in group
    ]
    fused = keras.layers.Concatenate(axis=-1, name="concatenate1")(branches)
    fused = conv_relu(keras, fused, scaled(512, spec.width), 1, "fusion1")
    fused = conv_relu(keras, fused, scaled(512, spec.width), 1, "fusion2")
    joined = keras.layers.Concatenate(axis=-1, name="concatenate2")(tops)
    joined = keras.layers.Concatenate(axis=-1, name="concatenate3")([fused, joined])
    # Below an input of about 150 the maps are smaller than the pool: it shrinks with them.
    joined = keras.layers.MaxPooling2D(min(3, side), strides=2, name="head_pool")(joined)
    joined = conv_relu(keras, joined, scaled(512, spec.width), 1, "head_conv")
    flat = keras.layers.Flatten(name="head_flatten")(joined)
    dense = keras.layers.Dense(scaled(256, spec.width), activation="relu", name="head_dense")
    return classifier(keras, spec, pixels, dense(flat))


def _crop_pool(keras: ModuleType, x: Tensor, side: int, name: str) -> Tensor:
    """Bring a map to ``side`` with a stride-1 max pool; nothing to do where it already has it."""
    excess = x.shape[1] - side
    if excess == 0:
        return x
    out: Tensor = keras.layers.MaxPooling2D(excess + 1, strides=1, name=name)(x)
    return out


def _branch(
    keras: ModuleType, x: Tensor, name: str, *, pool: int, side: int, width: float
) -> Tensor:
    """Max pool, 1x1 convolution, and a valid convolution whose kernel fits the map to ``side``."""
    x = keras.layers.MaxPooling2D(pool, name=f"{name}_pool")(x)
    x = conv_relu(keras, x, scaled(256, width), 1, f"{name}_reduce")
    return conv_relu(keras, x, scaled(256, width), x.shape[1] - side + 1, f"{name}_fit")
