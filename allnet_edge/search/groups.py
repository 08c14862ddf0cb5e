"""The layers of a float graph, put together into blocks and parts that a search treats as one."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from allnet_edge.models.storage.size import macs_of_layer
from allnet_edge.models.towers.api import KerasModel

# Names of the zoo's layers begin with their block: conv2_block1_1_conv, mixed8_three_1_conv,
# block3_conv2, block_1_expand, tap1_vgg_reduce, stage1_block2_se_squeeze, cluster2_mix.
_BLOCK = re.compile(r"(conv\d+_block\d+|stage\d+_block\d+|block_\d+|tap\d+_[a-z]+|[A-Za-z]+\d*)")
_PARTS = {
    "allnet": (
        ("vgg", re.compile(r"block\d+_conv|tap\d+_vgg")),
        ("resnet", re.compile(r"conv\d+_|tap\d+_resnet")),
        ("inception", re.compile(r"stem_|mixed\d+_|tap\d+_inception")),
        ("head", re.compile(r"")),  # the fusion convolutions and what follows them
    )
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or a dense layer that can be quantized.

    Attributes:
        name: Of the Keras layer.
        macs: Multiply-accumulates of one image.
    """

    name: str
    macs: int


@dataclass(frozen=True, slots=True)
class Group:
    """Layers that keep or lose their precision together."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def names(self) -> frozenset[str]:
        """Of its layers."""
        return frozenset(layer.name for layer in self.layers)

    @property
    def macs(self) -> int:
        """Of all its layers, for one image."""
        return sum(layer.macs for layer in self.layers)


def layers_of(network: KerasModel) -> tuple[Layer, ...]:
    """Every layer that can be quantized, in the order of the network.

    The last one is left out: it stays float in every form, since an int8 logit has 256 values.
    """
    found = [Layer(one.name, macs) for one in network.layers if (macs := macs_of_layer(one))]
    return tuple(found[:-1])


def blocks(layers: Iterable[Layer]) -> tuple[Group, ...]:
    """Layers grouped by the first words of their names: residual blocks, Inception modules."""
    found: dict[str, list[Layer]] = {}
    for layer in layers:
        matched = _BLOCK.match(layer.name)
        found.setdefault(matched[0] if matched else layer.name, []).append(layer)
    return _groups(found)


def parts(layers: Iterable[Layer], network: str) -> tuple[Group, ...]:
    """The towers and the head of a network of several; the whole of any other, as one group."""
    known = _PARTS.get(network, ((network, re.compile("")),))
    found: dict[str, list[Layer]] = {name: [] for name, _ in known}
    for layer in layers:
        found[next(name for name, pattern in known if pattern.match(layer.name))].append(layer)
    return _groups(found)


def _groups(found: Mapping[str, list[Layer]]) -> tuple[Group, ...]:
    return tuple(Group(name, tuple(layers)) for name, layers in found.items() if layers)
