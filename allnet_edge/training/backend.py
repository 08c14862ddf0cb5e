"""Which engine Keras 3 runs on; decided once, before Keras is first imported."""

import importlib.util
import os
import random

from allnet_edge.errors import MissingDependencyError, UsageError

_PREFERENCE = (("tensorflow", "tensorflow"), ("jax", "jax"), ("torch", "torch"))


def named_backend() -> str | None:
    """What ``KERAS_BACKEND`` says, else the first engine that is installed; None without any."""
    return os.environ.get("KERAS_BACKEND", next(iter(_installed()), None))


def choose_backend() -> str:
    """Set ``KERAS_BACKEND`` where the user has not, to the first engine that is installed.

    Returns:
        ``tensorflow``, ``jax`` or ``torch``.

    Raises:
        UsageError: ``KERAS_BACKEND`` names no engine.
        MissingDependencyError: Keras or its engine is not installed.
    """
    if importlib.util.find_spec("keras") is None:
        raise MissingDependencyError(
            "training needs Keras 3", fix="install the extra: pip install 'allnet-edge[train]'"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    wanted = named_backend()
    if wanted is None:
        raise MissingDependencyError(
            "Keras has no engine to run on", fix="install one of: tensorflow, jax, torch"
        )
    if wanted not in dict(_PREFERENCE):
        raise UsageError(
            f"KERAS_BACKEND is '{wanted}'", fix="set it to tensorflow, jax or torch, or unset it"
        )
    installed = _installed()
    if wanted not in installed:
        raise MissingDependencyError(
            f"KERAS_BACKEND is '{wanted}', which is not installed",
            fix=f"install it, or set KERAS_BACKEND to one of: {', '.join(installed) or '(none)'}",
        )
    os.environ["KERAS_BACKEND"] = wanted
    return wanted


def _installed() -> list[str]:
    return [name for name, package in _PREFERENCE if importlib.util.find_spec(package)]


def make_deterministic(engine: str, seed: int) -> None:
    """Fix the initial weights, and ask the engine for the same result in every run.

    Keras draws the seed of every layer from Python's generator. Its own ``set_random_seed`` would
    do too, but imports TensorFlow whichever engine is chosen: seconds and hundreds of megabytes.

    Args:
        engine: ``tensorflow``, ``jax`` (on one device deterministic unasked) or ``torch``.
    """
    random.seed(seed)
    if engine == "tensorflow":
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.random.set_seed(seed)
        tensorflow.config.experimental.enable_op_determinism()
    elif engine == "torch":
        importlib.import_module("torch").manual_seed(seed)


def engine_version(engine: str) -> str:
    """The engine's version, however its package is called (``tensorflow-cpu``...)."""
    return str(importlib.import_module(engine).__version__)
