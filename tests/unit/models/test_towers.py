"""Each tower is the network of keras.applications, layer for layer and number for number."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from allnet_edge.models.towers.blocks import scaled
from allnet_edge.models.towers.inception import inceptionv3
from allnet_edge.models.towers.mobilenet import mobilenetv2
from allnet_edge.models.towers.resnet import resnet50
from allnet_edge.models.towers.vgg import vgg16


@dataclass(frozen=True)
class Tower:
    name: str
    build: Callable[..., dict[str, object]]
    reference: Callable[..., keras.Model]
    side: int
    same_names: bool

    def ours(self) -> tuple[keras.Model, dict[str, object]]:
        inputs = keras.Input((self.side, self.side, 3))
        taps = self.build(keras, inputs)
        return keras.Model(inputs, list(taps.values())[-1]), taps

    def theirs(self) -> keras.Model:
        shape = (self.side, self.side, 3)
        return self.reference(weights=None, include_top=False, input_shape=shape)


TOWERS = [
    Tower("vgg16", vgg16, keras.applications.VGG16, 64, True),
    Tower("resnet50", resnet50, keras.applications.ResNet50, 64, True),
    # Its convolutions carry automatic names in keras.applications.
    Tower("inceptionv3", inceptionv3, keras.applications.InceptionV3, 75, False),
    Tower("mobilenetv2", mobilenetv2, keras.applications.MobileNetV2, 64, True),
    # Odd sides, down to 3: its paddings depend on whether a side is odd.
    Tower("mobilenetv2, odd", mobilenetv2, keras.applications.MobileNetV2, 75, True),
]


@pytest.fixture(scope="module", params=TOWERS, ids=lambda tower: tower.name)
def pair(request: pytest.FixtureRequest) -> tuple[Tower, keras.Model, keras.Model]:
    tower = request.param
    return tower, tower.ours()[0], tower.theirs()


def moved(weights: list[np.ndarray]) -> list[np.ndarray]:
    """Weights as after training: fresh batch norms would hide a wrong epsilon or order."""
    rng = np.random.default_rng(0)
    return [
        rng.uniform(0.8, 1.2, array.shape).astype(np.float32) if array.ndim == 1 else array
        for array in weights
    ]


class TestTower:
    def test_weights_have_the_shapes_and_the_order_of_keras_applications(self, pair):
        _, ours, theirs = pair
        assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]

    def test_with_the_same_weights_it_gives_the_same_map(self, pair):
        tower, ours, theirs = pair
        weights = moved(theirs.get_weights())
        ours.set_weights(weights)
        theirs.set_weights(weights)
        images = np.random.default_rng(1).normal(size=(2, tower.side, tower.side, 3))
        expected = theirs.predict(images.astype(np.float32), verbose=0)
        actual = ours.predict(images.astype(np.float32), verbose=0)
        assert expected.std() > 0, "a dead map would prove nothing"
        scale = np.abs(expected).max()
        np.testing.assert_allclose(actual / scale, expected / scale, atol=1e-6)

    def test_layers_with_weights_are_named_alike(self, pair):
        tower, ours, theirs = pair
        if not tower.same_names:
            pytest.skip("the reference names its layers automatically")
        assert [layer.name for layer in ours.layers if layer.weights] == [
            layer.name for layer in theirs.layers if layer.weights
        ]


@pytest.mark.parametrize(
    ("tower", "tap", "side", "channels"),
    [
        (TOWERS[0], "block3_pool", 31, 256),
        (TOWERS[0], "block4_pool", 15, 512),
        (TOWERS[0], "block5_pool", 7, 512),
        (TOWERS[1], "conv3_block4_out", 32, 512),
        (TOWERS[1], "conv4_block6_out", 16, 1024),
        (TOWERS[1], "conv5_block3_out", 8, 2048),
        (TOWERS[2], "mixed2", 28, 288),
        (TOWERS[2], "mixed7", 13, 768),
        (TOWERS[2], "mixed10", 6, 2048),
        (TOWERS[3], "out_relu", 8, 1280),
    ],
    ids=lambda value: getattr(value, "name", None) or str(value),
)
def test_maps_at_an_input_of_250_have_the_sides_of_the_paper(tower, tap, side, channels):
    taps = tower.build(keras, keras.Input((250, 250, 3)))
    assert taps[tap].shape == (None, side, side, channels)


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.3, 1.4])
def test_mobilenets_width_is_the_alpha_of_keras_applications(width):
    inputs = keras.Input((32, 32, 3))
    ours = keras.Model(inputs, mobilenetv2(keras, inputs, width)["out_relu"])
    theirs = keras.applications.MobileNetV2(
        alpha=width, weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [
        (30, 1.0, 30),  # exact, whatever the number
        (64, 0.5, 32),
        (64, 0.125, 8),
        (32, 0.125, 8),  # never below 8
        (80, 0.2, 16),
        (96, 0.2, 16),  # 19.2, to the nearest multiple of 8
        (512, 2.0, 1024),
    ],
)
def test_scaled_channels(channels, width, expected):
    assert scaled(channels, width) == expected


def test_a_fresh_vgg_tower_tells_cells_apart_at_its_top():
    """It has no batch norm: with Keras' own start the difference shrinks fifty times on the way."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((64, 64, 3))
    taps = vgg16(keras, inputs)
    tower = keras.Model(inputs, [taps["block1_pool"], taps["block5_pool"]])
    flat = np.random.default_rng(0).normal(size=(6, 1, 1, 3)).astype(np.float32)
    first, last = tower.predict_on_batch(np.broadcast_to(flat, (6, 64, 64, 3)))
    assert last.std(axis=0).mean() > 0.2 * first.std(axis=0).mean()
