"""Channels are chosen to a budget: the least important for what they save, in multiples."""

import numpy as np
import pytest
import tf_keras

from allnet_edge.compress.channel_choice import choose_channels
from allnet_edge.compress.channel_graph import channel_graph
from allnet_edge.compress.channel_groups import channel_groups, macs_of_kept
from allnet_edge.compress.rebuild import channels_left
from allnet_edge.errors import RecipeError


def chain(*filters: int):
    """Convolutions one after another on a map of 16x16."""
    inputs = tf_keras.Input((16, 16, 3))
    x = inputs
    for number, count in enumerate(filters, start=1):
        x = tf_keras.layers.Conv2D(count, 3, padding="same", name=f"c{number}")(x)
    x = tf_keras.layers.GlobalAveragePooling2D()(x)
    return tf_keras.Model(inputs, tf_keras.layers.Dense(1, name="logits")(x))


@pytest.fixture(scope="module")
def graph():
    return channel_graph(chain(32, 64, 24, 12))


def whole(graph):
    return macs_of_kept(graph, np.ones(graph.count, bool))


def random(graph, seed=0):
    return np.random.default_rng(seed).random(graph.count)


@pytest.mark.parametrize("keep", [0.9, 0.7, 0.5, 0.3])
def test_the_budget_is_met_in_multiples_of_eight_or_less_where_there_are_few(graph, keep):
    choice = choose_channels(graph, random(graph), int(keep * whole(graph)))
    before, after = choice.macs
    assert before == whole(graph)
    assert after == macs_of_kept(graph, choice.kept) <= keep * before
    left = channels_left(graph, choice.kept)
    for name, full, multiple in (("c1", 32, 8), ("c2", 64, 8), ("c3", 24, 4), ("c4", 12, 4)):
        assert left.get(name, full) % multiple == 0
        assert left.get(name, full) >= max(multiple, 0.1 * full)


def test_within_a_layer_the_least_important_go(graph):
    importance = random(graph)
    choice = choose_channels(graph, importance, int(0.5 * whole(graph)))
    for group in channel_groups(graph)[0]:
        kept = choice.kept[group.units]
        if 0 < kept.sum() < len(kept):
            ranks = importance[group.units]
            assert ranks[kept].min() > ranks[~kept].max()


def test_what_matters_for_what_it_saves_decides_between_layers(graph):
    """One layer of no importance goes first, as far as it may."""
    importance = np.ones(graph.count)
    importance[graph.layers["c2"].writes] = 1e-9
    choice = choose_channels(graph, importance, int(0.5 * whole(graph)))
    assert set(channels_left(graph, choice.kept)) == {"c2"}
    importance[:] = 1.0
    first = choose_channels(graph, importance, whole(graph) - 1)
    # All alike: c1 and c2 save most for a channel, and one block is enough.
    assert len(channels_left(graph, first.kept)) == 1


def test_the_last_block_is_no_larger_than_it_must_be():
    """A block that ends it with less importance is taken before a cheaper one that overshoots."""
    graph = channel_graph(chain(64, 64, 8))
    importance = np.ones(graph.count)
    importance[graph.layers["c2"].writes] = 0.9
    importance[graph.layers["c3"].writes] = 1.1
    choice = choose_channels(graph, importance, whole(graph) - 1)
    assert channels_left(graph, choice.kept) == {"c3": 4}


def test_a_budget_that_cannot_be_met_names_the_closest(graph):
    with pytest.raises(RecipeError, match="the fewest that pruning can leave are") as caught:
        choose_channels(graph, random(graph), int(0.001 * whole(graph)))
    closest = float(caught.value.fix.split("at least ")[1].split(" ")[0])
    choose_channels(graph, random(graph), int(closest * whole(graph)))
    with pytest.raises(RecipeError):
        choose_channels(graph, random(graph), int((closest - 0.002) * whole(graph)))


def test_in_a_later_step_shares_are_still_those_of_the_unpruned_network(graph):
    def closest(**options):
        with pytest.raises(RecipeError) as caught:
            choose_channels(graph, random(graph), int(0.001 * whole(graph)), **options)
        return float(str(caught.value.what).split("can leave are ")[1].rstrip("%"))

    assert closest(unpruned=2 * whole(graph)) == pytest.approx(closest() / 2, abs=0.1)


def test_a_group_of_unknown_importance_is_left_whole_and_named(graph):
    importance = random(graph)
    importance[graph.layers["c2"].writes] = np.nan
    choice = choose_channels(graph, importance, int(0.6 * whole(graph)))
    assert choice.kept[graph.layers["c2"].writes].all()
    assert choice.left == {
        "logits": "it is the network's output", "c2": "it has no batch norm with a scale",
    }  # fmt: skip


def test_the_same_importance_gives_the_same_choice(graph):
    one, other = (choose_channels(graph, np.ones(graph.count), whole(graph) // 2) for _ in "ab")
    np.testing.assert_array_equal(one.kept, other.kept)
