"""Augmentation on the accelerator: layers in front of the network, outside the exported graph.

They see pixels 0..255 float32 [n, side, side, 3] and act in training only. Their random states are
variables, so that a checkpoint holds them and a resumed run goes on with the same draws.
"""

import math

import keras

from allnet_edge.spec.training import TrainSettings


class RandomSymmetry(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """One of the eight symmetries of the square, each with the same chance.

    Cells have no up and no left, and no pixel is resampled.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(name="random_symmetry", dtype="float32")
        self.draws = keras.random.SeedGenerator(seed)

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Pixels of the same shape; unchanged outside training."""
        return self.turned(images)[0] if training else images

    def turned(self, images: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Pixels of the same shape, and which symmetry each has, booleans [n, 3, 1, 1, 1]: turned
        over along the height, then along the width, then mirrored at the diagonal.
        """
        count = keras.ops.shape(images)[0]
        draws = keras.random.uniform((count, 3, 1, 1, 1), seed=self.draws) < 0.5
        images = keras.ops.where(draws[:, 0], keras.ops.flip(images, axis=1), images)
        images = keras.ops.where(draws[:, 1], keras.ops.flip(images, axis=2), images)
        turned = keras.ops.where(draws[:, 2], keras.ops.transpose(images, (0, 2, 1, 3)), images)
        return turned, draws


class RandomAffine(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Flips, a turn around the centre and a shift, in ONE bilinear resampling; black outside.

    Args:
        rotation: Largest turn to either side in degrees.
        translation: Largest shift to either side as a share of the side, for each axis.
    """

    def __init__(self, rotation: float, translation: float, seed: int) -> None:
        super().__init__(name="random_affine", dtype="float32")
        self.rotation, self.translation = math.radians(rotation), translation
        self.draws = keras.random.SeedGenerator(seed)

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Pixels of the same shape; unchanged outside training."""
        if not training:
            return images
        ops = keras.ops
        count, side = ops.shape(images)[0], images.shape[1]
        draws = keras.random.uniform((5, count), -1.0, 1.0, seed=self.draws)
        flip_x, flip_y = ops.where(draws[0] < 0, -1.0, 1.0), ops.where(draws[1] < 0, -1.0, 1.0)
        cosine, sine = ops.cos(draws[2] * self.rotation), ops.sin(draws[2] * self.rotation)
        shift_x, shift_y = draws[3] * self.translation * side, draws[4] * self.translation * side
        # From an output point to the input point: undo the shift, the turn and the flip, all
        # around the centre.
        centre = (side - 1) / 2
        a0, a1 = flip_x * cosine, flip_x * sine
        b0, b1 = -flip_y * sine, flip_y * cosine
        from_x, from_y = centre + shift_x, centre + shift_y
        a2 = centre - a0 * from_x - a1 * from_y
        b2 = centre - b0 * from_x - b1 * from_y
        nothing = ops.zeros_like(a0)
        rows = ops.stack([a0, a1, a2, b0, b1, b2, nothing, nothing], axis=1)
        return ops.image.affine_transform(images, rows, interpolation="bilinear", fill_value=0)


def with_augmentation(network: keras.Model, settings: TrainSettings) -> keras.Model:
    """The model that is trained: ``network`` itself, or the augmentation before it.

    Both share the weights; the network alone is what is judged, stored and exported.
    """
    layer = augmentation(settings)
    if layer is None:
        return network
    side = settings.input_size
    pixels = keras.Input((side, side, 3), name="pixels")
    return keras.Model(pixels, network(layer(pixels)), name="augmented")


def augmentation(settings: TrainSettings) -> keras.layers.Layer | None:
    """The layer in front of the network; None without augmentation."""
    if settings.augment == "none":
        return None
    if settings.augment == "dihedral":
        return RandomSymmetry(settings.seed)
    return RandomAffine(settings.rotation, settings.translation, settings.seed)
