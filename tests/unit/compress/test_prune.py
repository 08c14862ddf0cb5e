"""Pruning: where the zeros are, which weights they take, and what stays as it was."""

import numpy as np
import pytest
import tf_keras
from in_memory_pixels import InMemory
from zoo import tiny

from allnet_edge.compress.deployed_rows import deployed_rows
from allnet_edge.compress.finetune import FineTuning, Referee
from allnet_edge.compress.prune import prune, report
from allnet_edge.compress.teacher import Teacher
from allnet_edge.compress.turned import LabelledImages, TurnedBatches
from allnet_edge.errors import ConversionError
from allnet_edge.models.storage.weights import arrays_of, assign

pytestmark = pytest.mark.xdist_group("prune")
ELIGIBLE = {
    f"{name}/kernel"
    for name in (
        "block_1_conv", "block_2_conv", "left", "right_conv", "head_conv", "head_dense",
    )
}  # fmt: skip
DENSE = {"stem_conv/kernel", "logits/kernel"}
# So small a rate that fine-tuning moves nothing: what is left are the choices of the masks.
STILL = {"epochs": 1, "learning_rate": 1e-12}


def run(network, images, pattern, *, epochs, learning_rate=1e-4, distil=1.0):
    tuning = FineTuning(epochs, learning_rate, distil, batch_size=8, seed=3)
    return prune(network, pattern, images, tuning)[0]


def as_deployed(arrays, network):
    """Kernels in the order in which the device reads them."""
    rows = deployed_rows(network)
    assert set(rows) == {"head_dense"}, "the map that is flattened is 3x3"
    return {
        name: array[rows[name.partition("/")[0]]] if name == "head_dense/kernel" else array
        for name, array in arrays.items()
    }


def blocks(kernel: np.ndarray) -> np.ndarray:
    """[blocks, 4] along the input channels, written down by index."""
    *outer, channels, out = kernel.shape
    flat = kernel.reshape(int(np.prod(outer)), channels, out)
    return np.array(
        [
            flat[place, start : start + 4, unit]
            for place in range(flat.shape[0])
            for start in range(0, channels, 4)
            for unit in range(out)
        ]
    )


@pytest.fixture(scope="module")
def before(network):
    """The weights before any test pruned the network."""
    return arrays_of(network)


@pytest.fixture(scope="module")
def pruned(before, network, images):
    return run(network, images, "2:4", epochs=2, learning_rate=1e-2)


@pytest.fixture(scope="module")
def thinned(before, network, images):
    return run(network, images, 0.3, **STILL)


class TestTwoOfFour:
    def test_every_block_of_every_eligible_kernel_has_two_zeros(self, pruned, network):
        deployed = as_deployed(pruned, network)
        for name in ELIGIBLE:
            zeros = (blocks(deployed[name]) == 0).sum(axis=1)
            np.testing.assert_array_equal(zeros, 2, err_msg=name)

    def test_stem_and_logits_stay_dense(self, pruned):
        for name in DENSE:
            assert pruned[name].all()

    def test_the_report_says_so(self, pruned, network):
        told = report(pruned, deployed_rows(network))
        assert set(told) == ELIGIBLE | DENSE
        for name in ELIGIBLE:
            weights = pruned[name].size
            assert told[name] == {"weights": weights, "sparsity": 0.5, "valid_2_4": 1.0}
        for name in DENSE:
            weights = pruned[name].size
            assert told[name] == {"weights": weights, "sparsity": 0.0, "valid_2_4": None}

    def test_fine_tuning_has_moved_what_is_left(self, pruned, before):
        for name in ELIGIBLE | DENSE:
            kept = pruned[name] != 0
            assert (pruned[name][kept] != before[name][kept]).mean() > 0.5  # some units are dead

    def test_the_larger_two_of_each_block_are_kept(self, before, network, images):
        still = as_deployed(run(network, images, "2:4", **STILL), network)
        for name in ELIGIBLE:
            old, new = blocks(as_deployed(before, network)[name]), blocks(still[name])
            smaller = np.argsort(np.abs(old), axis=1)[:, :2]
            assert not np.take_along_axis(new, smaller, axis=1).any()
            np.testing.assert_allclose(new[new != 0], old[new != 0], atol=1e-6)


class TestUnstructured:
    def test_every_eligible_kernel_reaches_the_asked_share(self, thinned, network, images):
        most = run(network, images, 0.8, epochs=2)
        for pruned, sparsity in ((thinned, 0.3), (most, 0.8)):
            for name in ELIGIBLE:
                zeros = float((pruned[name] == 0).mean())
                assert zeros == pytest.approx(sparsity, abs=1 / pruned[name].size), name
            for name in DENSE:
                assert pruned[name].all()

    def test_the_smallest_of_the_layer_are_taken(self, thinned, before):
        for name in ELIGIBLE:
            gone = np.abs(before[name])[thinned[name] == 0]
            kept = np.abs(before[name])[thinned[name] != 0]
            assert gone.max() <= kept.min() + 1e-6


@pytest.mark.parametrize("kind", ["pruned", "thinned"])
def test_weights_keep_their_names_order_and_shapes(request, spec, before, kind):
    after = request.getfixturevalue(kind)
    assert [(n, a.shape, a.dtype) for n, a in after.items()] == [
        (n, a.shape, a.dtype) for n, a in before.items()
    ]
    assign(tiny.build(tf_keras, spec), after)


def test_the_given_network_is_left_as_it_was(pruned, thinned, network, before):
    for name, array in arrays_of(network).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_labels_count_only_where_the_answers_of_the_float_network_do_not(network, images):
    """With ``distil`` 1 wrong labels change nothing, so that the same seed gives the same bits."""
    wrong = LabelledImages(images.source, [1 - label for label in images.labels])
    first = run(network, images, "2:4", epochs=1)
    second = run(network, wrong, "2:4", epochs=1)
    labelled = run(network, wrong, "2:4", epochs=1, distil=0.0)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
    assert any((labelled[name] != array).any() for name, array in first.items())


def test_more_than_two_classes(spec, images):
    many = spec.model_copy(update={"classes": ("benign", "early", "pre")})
    network = tiny.build(tf_keras, many)
    labels = [(label + n) % 3 for n, label in enumerate(images.labels)]
    tuning = FineTuning(1, 1e-4, 0.5, batch_size=8)
    pruned, _ = prune(network, "2:4", LabelledImages(images.source, labels), tuning)
    assert pruned["logits/kernel"].shape == (16, 3)
    assert report(pruned, {})["head_conv/kernel"]["valid_2_4"] == 1.0


def test_progress_counts_every_batch(network, images):
    told = []
    tuning = FineTuning(2, 1e-4, 1.0, batch_size=10)
    prune(network, "2:4", images, tuning, progress=lambda *args: told.append(args))
    assert told == [(f"fine-tuning epoch {e}/2", n, 3) for e in (1, 2) for n in (1, 2, 3)]


def test_a_pattern_that_did_not_come_out_is_an_error(network, images, monkeypatch):
    from allnet_edge.compress import prune as module

    monkeypatch.setattr(module, "share_of_valid_blocks", lambda _: 0.997)
    with pytest.raises(ConversionError, match=r"only 99.7% valid 2:4 blocks"):
        run(network, images, "2:4", **STILL)


def test_every_epoch_is_judged_on_the_validation_images(network, images):
    referee = Referee(network, images)
    assert referee.judge(network) == {
        "agreement": 1.0,
        "accuracy": pytest.approx(np.mean(calls(network, images) == images.labels)),
        "mean_difference": 0.0,
    }
    tuning = FineTuning(2, 1e-2, 1.0, batch_size=8)
    _, epochs = prune(network, "2:4", images, tuning, referee=referee)
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    assert all(0 < epoch.mean_difference < 1 for epoch in epochs)
    assert epochs[0].mean_difference != epochs[1].mean_difference
    assert (
        Referee(network, LabelledImages(InMemory(np.empty((0, 32, 32, 3), np.uint8)), [])).judge(
            network
        )
        == {}
    )


def calls(network, images):
    pixels = images.source.rows(np.arange(len(images.source))).astype(np.float32)
    return network.predict(pixels, verbose=0)[:, 0] >= 0.5


def test_fine_tuning_sees_each_image_with_its_label_in_any_of_the_eight_symmetries():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 6, 6, 3)).astype(np.uint8)
    symmetries = [
        np.stack([turned[:, ::step] for turned in (np.rot90(image, k) for k in range(4))])
        for image in images
        for step in (1, -1)
    ]
    symmetries = np.stack(symmetries).reshape(5, 8, 6, 6, 3)
    seen = set()
    for epoch in range(12):
        turned = TurnedBatches(LabelledImages(InMemory(images), range(5)), 2, (3, epoch))
        drawn, labels, how, rows = (
            np.concatenate([getattr(batch, part) for batch in turned])
            for part in ("pixels", "labels", "symmetries", "rows")
        )
        assert len(turned) == 3
        assert sorted(labels.ravel()) == list(range(5))
        np.testing.assert_array_equal(labels.ravel(), rows)
        assert drawn.dtype == np.float32
        for image, row, which in zip(drawn, rows, how, strict=True):
            np.testing.assert_array_equal(symmetries[row, which], image)
            seen.add(int(which))
        again = np.concatenate([batch.pixels for batch in turned])
        np.testing.assert_array_equal(again, drawn)
    assert seen == set(range(8))


def test_a_teacher_is_asked_about_an_image_in_a_symmetry_once(network, images):
    class Counting:
        asked = 0

        def predict_on_batch(self, pixels):
            self.asked += len(pixels)
            return network.predict_on_batch(pixels)

    model = Counting()
    teacher = Teacher(model, len(images.source), 1)
    seen = set()
    for epoch in range(6):
        for batch in TurnedBatches(images, 7, (0, epoch)):
            seen |= set(zip(batch.rows.tolist(), batch.symmetries.tolist(), strict=True))
            expected = network.predict(batch.pixels, verbose=0)
            np.testing.assert_allclose(teacher.answers(batch), expected, atol=1e-6)
    assert model.asked == len(seen) < 6 * len(images.source)
