"""``--prune`` from its text to settings, or to an error that says what can be given."""

import pytest

from allnet_edge.errors import RecipeError
from allnet_edge.spec.recipe import PruneSpec


@pytest.mark.parametrize(
    ("text", "kind", "sparsity"),
    [
        ("none", "none", 0.5),
        ("2:4", "2:4", 0.5),
        ("unstructured=0.5", "unstructured", 0.5),
        ("unstructured=.75", "unstructured", 0.75),
        ("unstructured=0.05", "unstructured", 0.05),
    ],
)
def test_good(text, kind, sparsity):
    spec = PruneSpec.parse(text)
    assert (spec.kind, spec.sparsity) == (kind, sparsity)


@pytest.mark.parametrize(
    "text",
    [
        "", "half", "2:5", "2:4 ", "None", "unstructured", "unstructured=", "unstructured=1",
        "unstructured=1.0", "unstructured=0", "unstructured=0.0", "unstructured=-0.5",
        "unstructured=50%", "unstructured=nan", "unstructured=0.99999999999999999999",
        "2:4=0.5", "none=0.5", "channels", "channels=", "channels=1", "channels=0", "channels=0.0",
        "channels=0.5,", "channels=0.5,2:5", "channels=0.5, 2:4", "unstructured=0.5,2:4",
    ],
)  # fmt: skip
def test_bad(text):
    with pytest.raises(RecipeError) as caught:
        PruneSpec.parse(text)
    assert caught.value.exit_code == 2
    assert f"'{text}'" in caught.value.what
    assert "unstructured=0.5" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "macs", "zeros"),
    [
        ("channels=0.5", 0.5, False), ("channels=.3", 0.3, False),
        ("channels=0.75,2:4", 0.75, True),
    ],
)  # fmt: skip
def test_channels(text, macs, zeros):
    spec = PruneSpec.parse(text, PruneSpec(macs=0.1, importance="bn-scale", two_of_four=not zeros))
    assert (spec.kind, spec.macs, spec.two_of_four) == ("channels", macs, zeros)
    assert spec.importance == "bn-scale"


def test_the_other_settings_of_a_recipe_stay():
    base = PruneSpec(kind="2:4", sparsity=0.3, epochs=7, learning_rate=1e-3, distil=0.2)
    assert PruneSpec.parse("unstructured=0.6", base) == base.model_copy(
        update={"kind": "unstructured", "sparsity": 0.6}
    )
    assert PruneSpec.parse("none", base) == base.model_copy(update={"kind": "none"})
