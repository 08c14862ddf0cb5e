"""Networks of the zoo whose answers depend on every layer, without training them."""

import numpy as np
import tf_keras

from allnet_edge import models
from allnet_edge.compress.batch_norms import renew_averages
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.spec.network import NetworkSpec, Preprocess

SMALLEST = {"allnet": 96, "inceptionv3": 75, "vgg16": 64}


def patches(count: int, size: int) -> np.ndarray:
    """Patches of colour, float32 [n, size, size, 3] in 0..255: noise alone looks all alike."""
    rng = np.random.default_rng(3)
    side = -(-size // 4)
    drawn = rng.integers(0, 256, (count, 4, 4, 3)).repeat(side, 1).repeat(side, 2)
    return drawn[:, :size, :size].astype(np.float32)


def living(
    network: str,
    width: float = 0.25,
    classes: tuple[str, ...] = ("hem", "all"),
    uneven: bool = False,
) -> tuple[tf_keras.Model, NetworkSpec, np.ndarray]:
    """A network of random weights whose batch norms have the averages of the images, and those.

    Args:
        uneven: Read the channels with weights of very unlike size, as trained networks do.
    """
    size = SMALLEST.get(network, 48)
    spec = NetworkSpec(
        network=network,
        preprocess=Preprocess(size=size, mean=(127.0,), sd=(74.0,)),
        classes=classes,
        width=width,
    )
    tf_keras.utils.set_random_seed(5)
    model = models.build(tf_keras, spec)
    images = patches(6, size)
    arrays = arrays_of(model)
    rng = np.random.default_rng(5)
    for name, array in arrays.items():
        if name.endswith("/kernel"):
            grown = array * rng.choice([0.2, 1, 5], (array.shape[-2], 1)) if uneven else array
            # Times the root of two, so that maps do not fade from ReLU to ReLU.
            arrays[name] = grown * (np.linalg.norm(array) / np.linalg.norm(grown) * np.sqrt(2))
        if name.endswith(("/bias", "/beta")):
            arrays[name] = rng.normal(0, 0.1, array.shape).astype(np.float32)
        if name.endswith("/gamma"):
            arrays[name] = rng.normal(1, 0.2, array.shape).astype(np.float32)
    assign(model, arrays)
    renew_averages(model, [images])
    inner = tf_keras.Model(model.input, model.get_layer("logits").output)
    raw = inner.predict(images, verbose=0)
    arrays = arrays_of(model)
    # Probabilities around one half, where they move with the logits.
    gain = 0.5 / raw.std(axis=0)
    arrays["logits/kernel"] = arrays["logits/kernel"] * gain
    arrays["logits/bias"] = (arrays["logits/bias"] - raw.mean(axis=0)) * gain
    assign(model, arrays)
    return model, spec, images
