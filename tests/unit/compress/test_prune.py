"""Pruning: where the zeros are, which weights they take, and what stays as it was."""

import numpy as np
import pytest
import tf_keras
from in_memory_pixels import InMemory
from zoo import tiny

from allnet_edge.compress.prune import _Turned, prune, report
from allnet_edge.errors import ConversionError
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.spec.recipe import PruneSpec

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


def run(network, spec, images, **settings: object) -> dict[str, np.ndarray]:
    return prune(network, spec, PruneSpec(**settings), *images, batch_size=8, seed=3)


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
def pruned(before, network, spec, images):
    return run(network, spec, images, kind="2:4", epochs=2, learning_rate=1e-2)


@pytest.fixture(scope="module")
def thinned(before, network, spec, images):
    return run(network, spec, images, kind="unstructured", sparsity=0.3, **STILL)


class TestTwoOfFour:
    def test_every_block_of_every_eligible_kernel_has_two_zeros(self, pruned):
        for name in ELIGIBLE:
            zeros = (blocks(pruned[name]) == 0).sum(axis=1)
            np.testing.assert_array_equal(zeros, 2, err_msg=name)

    def test_stem_and_logits_stay_dense(self, pruned):
        for name in DENSE:
            assert pruned[name].all()

    def test_the_report_says_so(self, pruned):
        told = report(pruned)
        assert set(told) == ELIGIBLE | DENSE
        for name in ELIGIBLE:
            assert told[name] == {"sparsity": 0.5, "valid_2_4": 1.0}
        for name in DENSE:
            assert told[name] == {"sparsity": 0.0, "valid_2_4": None}

    def test_fine_tuning_has_moved_what_is_left(self, pruned, before):
        for name in ELIGIBLE | DENSE:
            kept = pruned[name] != 0
            assert (pruned[name][kept] != before[name][kept]).mean() > 0.5  # some units are dead

    def test_the_larger_two_of_each_block_are_kept(self, before, network, spec, images):
        still = run(network, spec, images, kind="2:4", **STILL)
        for name in ELIGIBLE:
            old, new = blocks(before[name]), blocks(still[name])
            smaller = np.argsort(np.abs(old), axis=1)[:, :2]
            assert not np.take_along_axis(new, smaller, axis=1).any()
            np.testing.assert_allclose(new[new != 0], old[new != 0], atol=1e-6)


class TestUnstructured:
    def test_every_eligible_kernel_reaches_the_asked_share(self, thinned, network, spec, images):
        most = run(network, spec, images, kind="unstructured", sparsity=0.8, epochs=2)
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


def test_labels_count_only_where_the_answers_of_the_float_network_do_not(network, spec, images):
    """With ``distil`` 1 wrong labels change nothing, so that the same seed gives the same bits."""
    paths, labels = images
    wrong = [1 - label for label in labels]
    settings = {"kind": "2:4", "epochs": 1, "distil": 1.0}
    first = run(network, spec, (paths, labels), **settings)
    second = run(network, spec, (paths, wrong), **settings)
    labelled = run(network, spec, (paths, wrong), **settings | {"distil": 0.0})
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
    assert any((labelled[name] != array).any() for name, array in first.items())


def test_more_than_two_classes(spec, images):
    paths, labels = images
    many = spec.model_copy(update={"classes": ("benign", "early", "pre")})
    network = tiny.build(tf_keras, many)
    pruned = prune(
        network, many, PruneSpec(kind="2:4", epochs=1, distil=0.5),
        paths, [(label + n) % 3 for n, label in enumerate(labels)], batch_size=8,
    )  # fmt: skip
    assert pruned["logits/kernel"].shape == (16, 3)
    assert report(pruned)["head_conv/kernel"]["valid_2_4"] == 1.0


def test_progress_counts_every_batch(network, spec, images):
    told = []
    prune(
        network, spec, PruneSpec(kind="2:4", epochs=2), *images, batch_size=10,
        progress=lambda *args: told.append(args),
    )  # fmt: skip
    assert told == [(f"fine-tuning epoch {e}/2", n, 3) for e in (1, 2) for n in (1, 2, 3)]


def test_a_pattern_that_did_not_come_out_is_an_error(network, spec, images, monkeypatch):
    from allnet_edge.compress import prune as module

    monkeypatch.setattr(module, "share_of_valid_blocks", lambda _: 0.997)
    with pytest.raises(ConversionError, match=r"only 99.7% valid 2:4 blocks"):
        run(network, spec, images, kind="2:4", **STILL)


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
        turned = _Turned(InMemory(images), range(5), 2, (3, epoch))
        drawn, labels = (np.concatenate(part) for part in zip(*turned, strict=True))
        assert len(turned) == 3
        assert sorted(labels.ravel()) == list(range(5))
        assert drawn.dtype == np.float32
        for image, label in zip(drawn, labels.ravel().astype(int), strict=True):
            (which,) = np.flatnonzero((symmetries[label] == image).all(axis=(1, 2, 3)))
            seen.add(which)
        np.testing.assert_array_equal(np.concatenate([image for image, _ in turned]), drawn)
    assert seen == set(range(8))
