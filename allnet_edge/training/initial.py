"""Where the weights of a network start: at random, at ImageNet's, or from a file."""

from pathlib import Path

import keras

from allnet_edge.artifacts.files import sha256_bytes, sha256_file
from allnet_edge.errors import IntegrityError, UsageError
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.weights import Arrays, arrays_of, assign
from allnet_edge.spec.network import NetworkSpec
from allnet_edge.training.applications import from_h5, imagenet

_HEAD = "logits/"


def initialise(model: keras.Model, spec: NetworkSpec, weights: str) -> dict[str, str]:
    """Give a fresh network its initial weights.

    Args:
        model: Of the zoo, as it was built.
        weights: ``none`` keeps what it has; ``imagenet`` copies keras.applications' weights into
            the towers, the rest stays as it was built; else a file: ``.safetensors`` of a run of
            the same network, whose head may have other classes (then it stays as it was built), or
            an ``.h5`` file of keras.applications without its top.

    Returns:
        What to record, by name.

    Raises:
        UsageError: No such file, one of another kind, or weights that this network cannot have.
        EnvironmentMismatch: ImageNet's weights cannot be had.
        IntegrityError: The file is damaged, or of another network: names the first layer that
            differs.
    """
    if weights == "none":
        return {}
    if weights == "imagenet":
        arrays, recorded = imagenet(spec)
        assign(model, arrays_of(model) | _known(arrays, model))
        return recorded
    path = Path(weights)
    if not path.is_file():
        raise UsageError(
            f"--weights: there is no file '{weights}'",
            fix="give none, imagenet, a run's model.safetensors or a .h5 of keras.applications",
        )
    if path.suffix == ".h5":
        assign(model, arrays_of(model) | _known(from_h5(path, spec), model))
        return {"initial weights": path.name, "initial weights sha256": sha256_file(path)}
    if path.suffix == ".safetensors":
        data = path.read_bytes()
        head = _assign_but_head(model, float_model.undump(data, where=path), path)
        recorded = {"initial weights": path.name, "initial weights sha256": sha256_bytes(data)}
        return recorded | {"initial head": head}
    raise UsageError(
        f"--weights does not read files like '{path.name}'",
        where=path,
        fix="give a run's model.safetensors or a .h5 of keras.applications",
    )


def _known(arrays: Arrays, model: keras.Model) -> Arrays:
    """Arrays of a tower that are in the network: what lies behind its last tap is not."""
    names = arrays_of(model).keys()
    return {name: array for name, array in arrays.items() if name in names}


def _assign_but_head(model: keras.Model, arrays: Arrays, path: Path) -> str:
    """Assign everything; a head of another number of classes stays as it was built."""
    own = arrays_of(model)
    heads = [name for name in own if name.startswith(_HEAD)]
    fits = all(name in arrays and arrays[name].shape == own[name].shape for name in heads)
    if not fits:
        arrays = {n: a for n, a in arrays.items() if not n.startswith(_HEAD)}
        arrays |= {name: own[name] for name in heads}
    try:
        assign(model, arrays)
    except IntegrityError as error:
        raise IntegrityError(error.what, where=path, fix=error.fix) from error
    return "from the file" if fits else "fresh: the file is of other classes"
