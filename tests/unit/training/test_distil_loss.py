"""What a student is told in one step, against the sum written down with numpy."""

import keras
import numpy as np
import pytest

from allnet_edge import models
from allnet_edge.errors import RecipeError, UnknownNameError
from allnet_edge.models.storage.float_model import FloatModel, TrainingRecord
from allnet_edge.spec.base import parse
from allnet_edge.spec.network import NetworkSpec, Preprocess
from allnet_edge.spec.training import Distil, Hint, TrainSettings
from allnet_edge.training.distil import lesson
from allnet_edge.training.distil_hints import HintError, choose_hints
from allnet_edge.training.distil_loss import DistilLoss, Told
from allnet_edge.training.teacher import Teacher, resized

RNG = np.random.default_rng(4)


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def by_hand(student, teacher, classes, temperature, weight) -> np.ndarray:
    if student.shape[1] == 1:
        student, teacher = (np.hstack([0 * one, one]) for one in (student, teacher))
    hard = -np.log(softmax(student)[np.arange(len(classes)), classes])
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    soft = (p * np.log(p / q)).sum(axis=1)
    return (1 - weight) * hard + weight * temperature**2 * soft


def loss_of(told: Told, settings: Distil, truth: np.ndarray, row: np.ndarray) -> np.ndarray:
    loss = DistilLoss(settings, told)
    return keras.ops.convert_to_numpy(
        loss.call(*(keras.ops.convert_to_tensor(one.astype(np.float32)) for one in (truth, row)))
    )


@pytest.mark.parametrize("units", [1, 4])
@pytest.mark.parametrize(("temperature", "weight"), [(1.0, 0.5), (4.0, 0.9), (20.0, 1.0)])
def test_the_sum_of_hard_and_soft_targets(units, temperature, weight):
    student, teacher = RNG.normal(0, 3, (2, 16, units))
    classes = RNG.integers(0, max(2, units), 16)
    found = loss_of(
        Told(units),
        Distil(temperature=temperature, weight=weight),
        classes[:, None],
        np.hstack([student, teacher]),
    )
    expected = by_hand(student, teacher, classes, temperature, weight)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-4)


def test_a_sigmoid_unit_is_softened_like_two_classes():
    student, teacher = RNG.normal(0, 3, (2, 8, 1))
    settings, truth = Distil(temperature=3.0, weight=0.7), RNG.integers(0, 2, (8, 1))
    one = loss_of(Told(1), settings, truth, np.hstack([student, teacher]))
    nothing = np.zeros_like(student)
    wide = np.hstack([nothing, student, nothing, teacher])
    np.testing.assert_allclose(one, loss_of(Told(2), settings, truth, wide), rtol=1e-5)


def test_with_all_weight_on_the_teacher_the_class_counts_nothing_and_a_copy_of_it_loses_nothing():
    logits = RNG.normal(0, 3, (8, 1))
    settings, row = Distil(weight=1.0), np.hstack([logits, logits])
    for truth in (np.zeros((8, 1)), np.ones((8, 1))):
        np.testing.assert_allclose(loss_of(Told(1), settings, truth, row), 0, atol=1e-5)


@pytest.mark.parametrize("units", [1, 3])
def test_a_stored_answer_is_looked_up_by_the_symmetry_that_was_drawn(units):
    student, answers = RNG.normal(0, 3, (8, units)), RNG.normal(0, 3, (8, 8, units))
    drawn, classes = RNG.permutation(8), RNG.integers(0, max(2, units), 8)
    truth = np.hstack([classes[:, None], answers.reshape(8, -1)])
    found = loss_of(
        Told(units, stored=8), Distil(temperature=2.0), truth, np.hstack([student, drawn[:, None]])
    )
    expected = by_hand(student, answers[np.arange(8), drawn], classes, 2.0, 0.9)
    np.testing.assert_allclose(found, expected, rtol=2e-4)


def test_accuracy_is_the_students():
    told = Told(1)
    row = np.array([[2.0, -9], [-2.0, 9], [0.5, 0]], np.float32)
    truth = np.array([[1.0], [1.0], [1.0]], np.float32)
    found = keras.ops.convert_to_numpy(told.accuracy(truth, keras.ops.convert_to_tensor(row)))
    np.testing.assert_array_equal(found, [1, 0, 1])


class TestHints:
    def test_the_error_is_relative_to_the_teachers_map_whatever_the_sides_and_channels(self):
        own, theirs = RNG.normal(0, 1, (4, 6, 6, 5)), RNG.normal(0, 7, (4, 12, 12, 3))
        layer = HintError(Hint(student="a", teacher="b"), 3)
        found = layer([own.astype(np.float32), theirs.astype(np.float32)])
        kernel, bias = (np.asarray(one) for one in layer.get_weights())
        small = keras.ops.convert_to_numpy(resized(theirs.astype(np.float32), 6))
        squares = ((own @ kernel[0, 0] + bias - small) ** 2).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(found)[:, 0], squares / (small**2).mean(), rtol=1e-4
        )

    def test_they_are_added_with_their_weight(self):
        logits, errors = RNG.normal(0, 3, (8, 2)), RNG.uniform(0, 1, (8, 3))
        truth = np.zeros((8, 1))
        told = {"temperature": 2.0, "weight": 0.5, "hint_weight": 10.0}
        without = loss_of(Told(1), Distil(**told), truth, logits)
        found = loss_of(Told(1, hints=3), Distil(**told), truth, np.hstack([logits, errors]))
        np.testing.assert_allclose(found, without + 10 * errors.mean(axis=1), rtol=1e-4)

    def test_auto_pairs_the_last_maps_of_equal_shares(self):
        student = network("mobilenetv2", 64, width=0.25)
        teacher = network("resnet50", 96, width=0.125)
        found = choose_hints(Distil(hints="auto"), student, teacher)
        sides = [
            (
                student.get_layer(h.student).output.shape[1],
                teacher.get_layer(h.teacher).output.shape[1],
            )
            for h in found
        ]
        assert sides == [(8, 12), (4, 6), (2, 3)]
        assert found[-1] == Hint(student="out_relu", teacher="conv5_block3_out")

    @pytest.mark.parametrize(
        ("hint", "error", "said"),
        [
            (Hint(student="conv5", teacher="conv1"), UnknownNameError, "layer of custom_cnn"),
            (Hint(student="conv1", teacher="nothing"), UnknownNameError, "layer of alnett"),
            (Hint(student="dense", teacher="cluster1_pool"), RecipeError, "'dense' of custom_cnn"),
        ],
    )
    def test_a_layer_that_is_no_map_is_refused(self, hint, error, said):
        student = network("custom_cnn", 32, width=0.125)
        teacher = network("alnett", 32, width=0.125)
        with pytest.raises(error, match=said):
            choose_hints(Distil(hints=(hint,)), student, teacher)

    def test_networks_without_a_common_share_are_told_so(self):
        pixels = keras.Input((32, 32, 3))
        flat = keras.layers.Flatten()(pixels)
        bare = keras.Model(pixels, keras.layers.Dense(1, name="logits")(flat), name="bare")
        with pytest.raises(RecipeError, match="no map of bare"):
            choose_hints(Distil(hints="auto"), bare, network("custom_cnn", 32, width=0.125))


def spec_of(name: str, size: int, width: float, classes: int = 2) -> NetworkSpec:
    return NetworkSpec(
        network=name,
        preprocess=Preprocess(size=size, mean=(30.0,), sd=(40.0,)),
        classes=tuple(f"class {number}" for number in range(classes)),
        width=width,
    )


def network(name: str, size: int, *, width: float) -> keras.Model:
    return models.build(keras, spec_of(name, size, width))


@pytest.mark.parametrize("classes", [2, 4])
def test_the_teacher_is_shown_the_students_pixels_at_its_own_size(classes):
    """From pixels to a row: both networks' logits, and the error of each hint."""
    student, teacher = (
        models.build(keras, spec_of(name, size, 0.125, classes))
        for name, size in (("custom_cnn", 32), ("alnett", 48))
    )
    description = FloatModel(
        spec=spec_of("alnett", 48, 0.125, classes),
        label_index={},
        weights_sha256="0",
        split_sha256="0",
        record=TrainingRecord(how="train"),
    )
    settings = TrainSettings(model="custom_cnn", input_size=32, distil=Distil(hints="auto"))
    taught = lesson(student, settings, settings.distil, Teacher(description, teacher))
    pixels = RNG.integers(0, 256, (5, 32, 32, 3)).astype(np.float32)
    row = taught.model.predict(pixels, verbose=0)
    units = 1 if classes == 2 else classes
    assert row.shape == (5, 2 * units + taught.told.hints)
    assert taught.told.hints > 1

    def logits(of: keras.Model, shown: np.ndarray) -> np.ndarray:
        return keras.Model(of.inputs, of.get_layer("logits").output).predict(shown, verbose=0)

    larger = keras.ops.convert_to_numpy(resized(keras.ops.convert_to_tensor(pixels), 48))
    np.testing.assert_allclose(row[:, :units], logits(student, pixels), atol=1e-5)
    np.testing.assert_allclose(row[:, units : 2 * units], logits(teacher, larger), atol=1e-4)
    own = {id(v) for v in taught.model.trainable_variables}
    assert not own & {id(v) for v in teacher.variables}
    assert own >= {id(v) for v in student.trainable_variables}


@pytest.mark.parametrize(
    ("key", "value"),
    [("temperature", 0), ("temperature", 101), ("weight", 1.1), ("hint_weight", 0), ("hint", 1),
     ("hints", "some"), ("hints", [{"student": "a"}])],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused_by_its_key(key, value):
    with pytest.raises(RecipeError, match=f"distil.{key}"):
        parse({"model": "allnet", "distil": {key: value}}, TrainSettings, where="train")


def test_settings_without_a_teacher_are_written_as_before():
    assert "distil" not in TrainSettings(model="allnet").model_dump()
    told = TrainSettings(model="allnet", distil=Distil(hints=(Hint(student="a", teacher="b"),)))
    assert TrainSettings.model_validate_json(told.model_dump_json()) == told
