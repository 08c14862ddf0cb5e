"""ALLNet's shapes at every kind of input side."""

import keras
import pytest

from allnet_edge import models
from allnet_edge.errors import RecipeError


@pytest.fixture(scope="module")
def published(make_spec):
    """At the paper's own input and width."""
    return models.build(keras, make_spec(size=250, width=1.0))


def shape(model: keras.Model, layer: str) -> tuple[int, ...]:
    return tuple(model.get_layer(layer).output.shape[1:])


def test_the_published_network_has_67_196_385_parameters(published):
    assert published.count_params() == 67_196_385


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("concatenate1", (6, 6, 1536)),
        ("fusion2", (6, 6, 512)),
        ("concatenate2", (6, 6, 4608)),
        ("concatenate3", (6, 6, 5120)),
        ("head_pool", (2, 2, 5120)),
        ("head_conv", (2, 2, 512)),
        ("head_dense", (256,)),
        ("logits", (1,)),
        ("probability", (1,)),
        # Taps after their pool: 7, 8 and 7 for the shallow ones, 7, 8 and 6 for the deep ones.
        ("tap1_vgg_pool", (7, 7, 256)),
        ("tap1_resnet_pool", (8, 8, 512)),
        ("tap1_inception_pool", (7, 7, 288)),
        ("tap2_vgg_pool", (7, 7, 512)),
        ("tap2_resnet_pool", (8, 8, 1024)),
        ("tap2_inception_pool", (6, 6, 768)),
    ],
)
def test_maps_of_the_published_network(published, layer, expected):
    assert shape(published, layer) == expected


@pytest.mark.parametrize(
    ("size", "side", "head"),
    [(96, 1, 1), (128, 2, 1), (450, 12, 5)],
    ids=["96, the smallest", "128", "450, the largest"],
)
def test_everything_is_brought_to_the_side_of_the_smallest_top(make_spec, size, side, head):
    model = models.build(keras, make_spec(size=size))
    tops = [shape(model, name)[0] for name in ("block5_pool", "conv5_block3_out", "mixed10")]
    assert min(tops) == side
    for layer in ("concatenate1", "concatenate2", "concatenate3", "fusion2"):
        assert shape(model, layer)[:2] == (side, side)
    assert shape(model, "head_pool")[:2] == (head, head)
    assert model.output_shape == (None, 1)


@pytest.mark.parametrize("size", [32, 95, 451, 1024])
def test_other_sides_are_refused_with_the_range(make_spec, size):
    with pytest.raises(RecipeError, match=f"96 to 450 pixels, not {size}") as caught:
        models.build(keras, make_spec(size=size))
    assert "--input-size 250" in caught.value.fix


def test_every_layer_has_a_name_that_does_not_depend_on_earlier_networks(make_spec):
    spec = make_spec()
    first, second = (models.build(keras, spec) for _ in range(2))
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
