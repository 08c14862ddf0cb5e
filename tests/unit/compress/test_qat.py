"""Quantization-aware training: what is rounded, what is learned, and what stays as it was."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from zoo import tiny

from allnet_edge.compress.finetune import FineTuning
from allnet_edge.compress.qat import as_rounded, largest_outputs, train_quantized
from allnet_edge.compress.qat_network import qat_network
from allnet_edge.compress.qat_placement import place
from allnet_edge.compress.qat_quantizers import FakeQuantized, NormUntil, PerChannel
from allnet_edge.errors import ConversionError
from allnet_edge.models.storage.weights import arrays_of, assign

pytestmark = pytest.mark.xdist_group("qat")
RNG = np.random.default_rng(6)
TUNING = FineTuning(epochs=2, learning_rate=1e-3, distil=1.0, batch_size=8, seed=3)


def on_grid(values: np.ndarray, step: np.ndarray | float) -> np.ndarray:
    """To the nearest of -128..127 steps, ties to even."""
    return np.clip(np.rint(values / step), -128, 127) * step


class TestKernels:
    @pytest.mark.parametrize(("shape", "kept"), [((3, 3, 4, 5), 1), ((7, 6), 1), ((3, 3, 4, 1), 2)])
    def test_every_output_channel_has_a_grid_of_its_own(self, shape, kept):
        kernel = RNG.normal(0, 1, shape).astype(np.float32) * RNG.uniform(0.01, 9, shape[-kept:])
        others = tuple(range(len(shape) - kept))
        kernel = kernel.astype(np.float32)
        found = PerChannel(others)(tf.constant(kernel), True, {}).numpy()
        step = np.abs(kernel).max(axis=others, keepdims=True) / np.float32(127)
        np.testing.assert_allclose(found, on_grid(kernel, step), rtol=1e-6)
        assert np.abs(found - kernel).max() > 0

    def test_to_round_and_then_fold_is_to_fold_and_then_round(self):
        kernel = RNG.normal(0, 1, (3, 3, 4, 16)).astype(np.float32)
        factor = RNG.normal(0, 2, 16).astype(np.float32)  # of a batch norm: negative too
        rounds = PerChannel((0, 1, 2))
        before = rounds(tf.constant(kernel), False, {}).numpy() * factor
        after = rounds(tf.constant(kernel * factor), False, {}).numpy()
        np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-7)

    def test_a_channel_of_zeros_stays_zero_and_the_gradient_passes(self):
        kernel = tf.Variable(
            np.stack([np.zeros(6), RNG.normal(0, 1, 6)], axis=1).astype(np.float32)
        )
        with tf.GradientTape() as tape:
            rounded = PerChannel((0,))(kernel, True, {})
            total = tf.reduce_sum(rounded * 3.0)
        assert not rounded[:, 0].numpy().any()
        np.testing.assert_allclose(tape.gradient(total, kernel), 3.0)


class TestTensors:
    def test_they_are_rounded_to_whole_steps_and_saturate(self):
        values = RNG.normal(0, 3, 500).astype(np.float32)
        layer = FakeQuantized(4.0, "x")
        np.testing.assert_allclose(layer(values).numpy(), on_grid(values, 4 / 127), atol=1e-6)

    @pytest.mark.parametrize(("largest", "grows"), [(0.5, True), (60.0, False)])
    def test_the_range_is_learned_towards_less_error(self, largest, grows):
        values = tf.constant(RNG.normal(0, 3, 4000).astype(np.float32))
        layer = FakeQuantized(largest, "x")
        layer(values)
        optimiser = tf_keras.optimizers.Adam(1e-2)
        for _ in range(30):
            with tf.GradientTape() as tape:
                error = tf.reduce_mean((layer(values) - values) ** 2)
            optimiser.minimize(error, layer.trainable_variables, tape=tape)
        assert (layer.largest > largest) == grows

    def test_one_that_was_always_zero_gets_a_range_all_the_same(self):
        assert FakeQuantized(0.0, "x").largest == pytest.approx(1.0)


class TestPlacement:
    def test_what_each_form_rounds(self, network):
        both, fewer = place(network), place(network, "onnx")
        assert both.rounded == (
            "standardise", "stem_relu", "block_1_relu", "block_2_bn", "block_out", "right_average",
            "left_relu", "right_relu", "head_conv_relu", "head_dense",
        )  # fmt: skip
        # The last branch of the sum is added in the convolution; the head reads floats.
        assert set(both.rounded) - set(fewer.rounded) == {"block_2_bn", "head_dense"}
        assert both.group == fewer.group

    def test_pools_and_concatenations_share_a_scale(self, network):
        group = place(network).group
        joined = {name for name, leader in group.items() if leader == group["joined"]}
        assert joined == {"left_relu", "left_pool", "right_relu", "joined"}
        assert group["right_average"] == group["block_out"]

    def test_a_layer_that_nobody_knows_is_named(self):
        pixels = tf_keras.Input((8, 8, 3))
        x = tf_keras.layers.Conv2D(4, 3, name="conv")(pixels)
        x = tf_keras.layers.LayerNormalization(name="strange")(x)
        x = tf_keras.layers.GlobalAveragePooling2D()(x)
        model = tf_keras.Model(pixels, tf_keras.layers.Dense(1, name="logits")(x))
        with pytest.raises(ConversionError, match="'strange' \\(LayerNormalization\\)"):
            place(model)

    def test_an_activation_that_int8_has_not_is_named(self):
        pixels = tf_keras.Input((8, 8, 3))
        x = tf_keras.layers.Activation("gelu", name="smooth")(pixels)
        x = tf_keras.layers.GlobalAveragePooling2D()(x)
        model = tf_keras.Model(pixels, tf_keras.layers.Dense(1, name="logits")(x))
        with pytest.raises(ConversionError, match="'smooth': int8 has no activation 'gelu'"):
            place(model)


@pytest.fixture(scope="module")
def learned(network, images):
    return train_quantized(network, images, TUNING)


class TestTraining:
    def test_weights_keep_their_names_and_shapes_and_have_moved(self, learned, network, spec):
        before = arrays_of(network)
        assert [(n, a.shape) for n, a in learned.arrays.items()] == [
            (n, a.shape) for n, a in before.items()
        ]
        kernels = [name for name in before if name.endswith("/kernel")]
        assert all((learned.arrays[name] != before[name]).any() for name in kernels)
        assign(tiny.build(tf_keras, spec), learned.arrays)

    def test_the_given_network_is_left_as_it_was(self, network, images):
        before = arrays_of(network)
        train_quantized(network, images, FineTuning(epochs=1, learning_rate=1e-2, distil=1.0))
        for name, array in arrays_of(network).items():
            np.testing.assert_array_equal(array, before[name], err_msg=name)

    def test_ranges_are_symmetric_shared_and_learned(self, learned, network, images):
        still = train_quantized(network, images, FineTuning(0, 1e-3, 1.0, batch_size=8, seed=3))
        assert learned.ranges.keys() == still.ranges.keys()
        assert all(one.low == -one.high < 0 for one in learned.ranges.values())
        for name, leader in place(network).group.items():
            assert learned.ranges[name] == learned.ranges[leader]
        assert learned.ranges["block_2_conv"] == learned.ranges["block_2_bn"]
        moved = [name for name in still.ranges if learned.ranges[name] != still.ranges[name]]
        assert len(moved) > len(still.ranges) / 2

    def test_the_same_seed_gives_the_same_bytes(self, learned, network, images):
        again = train_quantized(network, images, TUNING)
        assert again.ranges == learned.ranges
        for name, array in again.arrays.items():
            np.testing.assert_array_equal(array, learned.arrays[name], err_msg=name)

    def test_it_comes_nearer_to_the_float_answers_than_rounding_alone(self, network, images):
        """From ranges that are four times too wide; the batch norms of this network have averages
        of their own, which it keeps.
        """
        found = largest_outputs(network, place(network).group, [images.source.images])
        wide = {name: 4 * value for name, value in found.items()}
        pixels = images.source.images.astype(np.float32)
        exact = network.predict(pixels, verbose=0)
        errors = []
        for epochs in (0, 8):
            tuning = FineTuning(epochs, 1e-4, 1.0, batch_size=8)
            result = train_quantized(network, images, tuning, initial=wide, averages_until=0.0)
            model = tf_keras.models.clone_model(network)
            assign(model, result.arrays)
            rounded = as_rounded(model, result.ranges, "tflite").predict(pixels, verbose=0)
            errors.append(np.abs(rounded - exact).mean())
        assert errors[1] < 0.8 * errors[0], errors

    def test_zeros_of_a_pruned_kernel_stay_zero(self, network, images):
        pruned = tf_keras.models.clone_model(network)
        arrays = arrays_of(network)
        holes = RNG.random(arrays["head_conv/kernel"].shape) < 0.5
        arrays["head_conv/kernel"] = np.where(holes, 0, arrays["head_conv/kernel"])
        assign(pruned, arrays)
        result = train_quantized(pruned, images, TUNING)
        assert not result.arrays["head_conv/kernel"][holes].any()
        assert (result.arrays["head_conv/kernel"][~holes] != 0).all()

    def test_batch_norms_use_their_averages_from_the_step_on_that_was_told(self, network, images):
        kept = train_quantized(network, images, TUNING, averages_until=0.0)
        moving = [name for name in kept.arrays if "/moving_" in name]
        before = arrays_of(network)
        assert moving
        for name in moving:
            np.testing.assert_array_equal(kept.arrays[name], before[name], err_msg=name)
        assert (kept.arrays["stem_bn/gamma"] != before["stem_bn/gamma"]).any()

    def test_activations_that_are_no_numbers_are_named(self, network, images):
        broken = tf_keras.models.clone_model(network)
        arrays = arrays_of(network)
        arrays["block_2_bn/beta"] = np.full_like(arrays["block_2_bn/beta"], np.nan)
        assign(broken, arrays)
        with pytest.raises(ConversionError, match="'block_2_bn' is NaN or infinite"):
            train_quantized(broken, images, TUNING)


def test_the_network_that_is_trained_has_the_weights_of_the_plain_one(network):
    placement = place(network)
    built = qat_network(network, placement, dict.fromkeys(placement.group.values(), 8.0))
    for name, array in built.arrays().items():
        np.testing.assert_array_equal(array, arrays_of(network)[name], err_msg=name)
    norms = [layer for layer in built.model.layers if isinstance(layer, NormUntil)]
    assert len(norms) == 4
