"""Weights of keras.applications for the towers that networks of the zoo are built on.

Our towers have their layers' weights in the same shapes and the same order, so that weights are
copied by position; a standalone tower gives each its name in the network.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import h5py
import keras
import numpy as np

from allnet_edge.artifacts.files import sha256_file
from allnet_edge.errors import EnvironmentMismatch, IntegrityError, UsageError, first_line
from allnet_edge.models.storage.weights import Arrays, arrays_of
from allnet_edge.models.towers.api import Tensor
from allnet_edge.models.towers.inception import inceptionv3
from allnet_edge.models.towers.mobilenet import mobilenetv2
from allnet_edge.models.towers.resnet import resnet50
from allnet_edge.models.towers.vgg import vgg16
from allnet_edge.spec.network import NetworkSpec

_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_SIDES = (96, 128, 160, 192, 224)


@dataclass(frozen=True, slots=True)
class Application:
    """A network of keras.applications, without its top.

    Attributes:
        ours: Builds the same tower under the names of the zoo.
        theirs: Its class in keras.applications.
        file: Name under which Keras keeps its ImageNet weights; ``{alpha}`` and ``{side}`` are
            filled in.
    """

    ours: Callable[..., dict[str, Tensor]]
    theirs: str
    file: str

    def reference(self, spec: NetworkSpec, weights: str | None) -> keras.Model:
        """The network of keras.applications at the width and input of ``spec``."""
        build = getattr(keras.applications, self.theirs)
        more = {"alpha": spec.width} if self.theirs == "MobileNetV2" else {}
        side = spec.input_size if weights is None else _side(spec)
        shape = (side, side, 3)
        model: keras.Model = build(weights=weights, include_top=False, input_shape=shape, **more)
        return model

    def named(self, spec: NetworkSpec, values: list[np.ndarray]) -> Arrays:
        """Values in the order of keras.applications under the names of our tower."""
        pixels = keras.Input((spec.input_size, spec.input_size, 3))
        tower = keras.Model(pixels, list(self.ours(keras, pixels, spec.width).values())[-1])
        tower.set_weights(values)
        return arrays_of(tower)

    def file_name(self, spec: NetworkSpec) -> str:
        """Of the ImageNet weights in Keras' own folder."""
        alpha = "1.0" if spec.width == 1 else str(spec.width)
        return self.file.format(alpha=alpha, side=_side(spec))


_VGG16 = Application(vgg16, "VGG16", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5")
_RESNET50 = Application(
    resnet50, "ResNet50", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
_INCEPTIONV3 = Application(
    inceptionv3, "InceptionV3", "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
_MOBILENETV2 = Application(
    mobilenetv2,
    "MobileNetV2",
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{side}_no_top.h5",
)
TOWERS = {
    "allnet": (_VGG16, _RESNET50, _INCEPTIONV3),
    "vgg16": (_VGG16,),
    "resnet50": (_RESNET50,),
    "inceptionv3": (_INCEPTIONV3,),
    "mobilenetv2": (_MOBILENETV2,),
}


def imagenet(spec: NetworkSpec) -> tuple[Arrays, dict[str, str]]:
    """The towers' ImageNet weights, from Keras' folder or downloaded by Keras.

    Returns:
        The weights by name, and the SHA-256 of each file.

    Raises:
        UsageError: Keras has no ImageNet weights for this network or this width.
        EnvironmentMismatch: A file is not there and cannot be downloaded.
    """
    towers = TOWERS.get(spec.network)
    if towers is None:
        raise UsageError(
            f"Keras has no ImageNet weights for {spec.network}",
            fix=f"use --weights none, --weights FILE, or one of: {', '.join(TOWERS)}",
        )
    widths = _ALPHAS if spec.network == "mobilenetv2" else (1.0,)
    if spec.width not in widths:
        raise UsageError(
            f"there are no ImageNet weights for {spec.network} at the width {spec.width:g}",
            fix=f"use --width {' or '.join(f'{width:g}' for width in widths)}, or --weights none",
        )
    arrays: Arrays = {}
    hashes: dict[str, str] = {}
    for tower in towers:
        kept = _folder() / tower.file_name(spec)
        try:
            with redirect_stdout(sys.stderr):  # where Keras tells of its download
                theirs = tower.reference(spec, "imagenet")
        except Exception as error:  # whatever Keras' downloader raises, the way out is the same
            raise EnvironmentMismatch(
                f"the ImageNet weights of {tower.theirs} cannot be had: {first_line(error)}",
                where=kept,
                fix=f"download {kept.name} (keras.applications) on a machine with a network and "
                "copy it to the path above, give it with --weights FILE, or use --weights none",
            ) from error
        arrays |= tower.named(spec, theirs.get_weights())
        if kept.is_file():
            hashes[f"sha256 of {kept.name}"] = sha256_file(kept)
    return arrays, hashes


def from_h5(path: Path, spec: NetworkSpec) -> Arrays:
    """A file of keras.applications without a top: ``..._notop.h5``, or Keras 3's ``.weights.h5``.

    Raises:
        UsageError: The network is not built on one tower of keras.applications.
        IntegrityError: The file is damaged or of another network; names the first layer that
            differs.
    """
    towers = TOWERS.get(spec.network, ())
    if len(towers) != 1:
        raise UsageError(
            f"{spec.network} is not one network of keras.applications: it takes no .h5 file",
            where=path,
            fix="give the model.safetensors of a run of the same network",
        )
    theirs = towers[0].reference(spec, None)
    names, values = _read(path, theirs)
    shapes = [tuple(weight.shape) for weight in theirs.weights]
    for name, value, shape in zip(names, values, shapes, strict=False):
        if value.shape != shape:
            raise IntegrityError(
                f"'{name}' has shape {value.shape}, {towers[0].theirs} has {shape} there",
                where=path,
                fix=f"give a file of {towers[0].theirs} without its top, of the same width",
            )
    if len(values) != len(shapes):
        odd = names[len(shapes)] if len(values) > len(shapes) else theirs.weights[len(values)].path
        raise IntegrityError(
            f"the file has {len(values)} arrays, {towers[0].theirs} {len(shapes)}; "
            f"the first that is not in both is '{odd}'",
            where=path,
            fix=f"give a file of {towers[0].theirs} without its top",
        )
    return towers[0].named(spec, values)


_Values = tuple[list[str], list[np.ndarray]]


def _read(path: Path, theirs: keras.Model) -> _Values:
    """Names and arrays in the order of the layers."""
    try:
        with h5py.File(path) as file:
            if "layers" in file and "layer_names" not in file.attrs:
                return _read_numbered(file["layers"], theirs)
            return _read_named(file.get("model_weights", file))
    except (OSError, KeyError) as error:
        raise IntegrityError(
            f"this is no weight file of keras.applications: {first_line(error)}", where=path
        ) from error


def _read_named(root: h5py.Group) -> _Values:
    """The form of the files that Keras downloads: names and their order stand in the file."""
    names, values = [], []
    for layer in root.attrs["layer_names"]:
        group = root[_text(layer)]
        for weight in group.attrs["weight_names"]:
            names.append(_text(weight))
            values.append(np.asarray(group[_text(weight)]))
    return names, values


def _read_numbered(root: h5py.Group, theirs: keras.Model) -> _Values:
    """What Keras 3 saves: the layers of each class are counted (``conv2d``, ``conv2d_1``...)."""
    names, values = [], []
    seen: Counter[str] = Counter()
    for layer in theirs.layers:
        kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", type(layer).__name__).lower()
        stored = root.get(f"{kind}_{seen[kind]}/vars" if seen[kind] else f"{kind}/vars", {})
        seen[kind] += 1
        for number in sorted(stored, key=int):
            names.append(f"{layer.name}/{number}")
            values.append(np.asarray(stored[number]))
    return names, values


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _side(spec: NetworkSpec) -> int:
    """Input side that the ImageNet weights were trained at; MobileNetV2 has several."""
    return spec.input_size if spec.input_size in _SIDES else 224


def _folder() -> Path:
    """Where Keras keeps what it downloaded."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
