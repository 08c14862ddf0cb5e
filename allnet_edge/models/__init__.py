"""The zoo: every module directly in this package is one network with ``build(keras, spec)``.

A network is written once against the API that Keras 3 and tf-keras (Keras 2) share; the module
is passed in, every layer has a name. ``towers`` and ``storage`` hold what networks share.
"""

import importlib
import pkgutil
from types import ModuleType

from allnet_edge.models.towers.api import KerasModel
from allnet_edge.models.towers.narrowed import narrowed
from allnet_edge.spec.base import known_name
from allnet_edge.spec.network import NetworkSpec


def network_names() -> tuple[str, ...]:
    """Names of all networks, found by looking into this package."""
    found = pkgutil.iter_modules(__path__)
    return tuple(sorted(module.name for module in found if not module.ispkg))


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    """Build ``spec.network`` with freshly initialised weights.

    Args:
        keras: ``keras`` (3) or ``tf_keras``.
        spec: What to build; ``spec.channels`` narrows single layers of it.

    Returns:
        A functional model: float32 or uint8 pixels [n, size, size, 3] in 0..255 to float32
        probabilities [n, 1] (sigmoid) or [n, classes] (softmax).

    Raises:
        UnknownNameError: No such network.
        RecipeError: ``spec.channels`` does not fit the network.
    """
    name = known_name("model", spec.network, network_names())
    model: KerasModel = importlib.import_module(f"allnet_edge.models.{name}").build(keras, spec)
    return narrowed(keras, model, spec.channels) if spec.channels else model
