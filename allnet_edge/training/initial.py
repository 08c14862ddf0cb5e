"""Where the weights of a network start."""

import keras

from allnet_edge.errors import UsageError
from allnet_edge.spec.network import NetworkSpec


def initialise(model: keras.Model, spec: NetworkSpec, weights: str) -> dict[str, str]:
    """Start from ``weights``; returns what to record.

    Raises:
        UsageError: Only ``none`` is known so far.
    """
    if weights != "none":
        raise UsageError(f"--weights {weights} is not known for {spec.network} ({model.name})")
    return {}
