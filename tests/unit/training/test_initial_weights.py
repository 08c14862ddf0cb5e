"""Initial weights: Keras' own files, a run's, and what is refused with which words."""

from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from allnet_edge import models
from allnet_edge.errors import EnvironmentMismatch, IntegrityError, UsageError
from allnet_edge.models.storage.weights import arrays_of
from allnet_edge.spec.network import NetworkSpec, Preprocess
from allnet_edge.training import applications
from allnet_edge.training.initial import initialise

SIDES = {"vgg16": 64, "resnet50": 64, "inceptionv3": 80, "mobilenetv2": 64, "allnet": 96}
TOPS = {
    "vgg16": "block5_pool", "resnet50": "conv5_block3_out", "inceptionv3": "mixed10",
    "mobilenetv2": "out_relu",
}  # fmt: skip


def spec_of(network: str, classes: int = 2, width: float = 1.0) -> NetworkSpec:
    return NetworkSpec(
        network=network,
        preprocess=Preprocess(size=SIDES.get(network, 64)),
        classes=tuple("abcd"[:classes]),
        width=width,
    )


def randomised(model: keras.Model) -> keras.Model:
    """As after training: fresh batch norms would hide a wrong order."""
    rng = np.random.default_rng(1)
    model.set_weights(
        [rng.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else w for w in model.get_weights()]
    )
    return model


def legacy_h5(model: keras.Model, path: Path) -> Path:
    """A weight file in the form of those that Keras downloads."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.weights, strict=True):
                group[name] = np.asarray(weight)
    return path


@pytest.mark.parametrize("network", TOPS)
def test_a_file_of_keras_applications_gives_the_tower_its_numbers(network, tmp_path):
    spec = spec_of(network)
    theirs = randomised(applications.TOWERS[network][0].reference(spec, None))
    path = legacy_h5(theirs, tmp_path / "notop.h5")
    theirs.load_weights(path)  # Keras itself reads the file that this test wrote
    ours = models.build(keras, spec)
    head = arrays_of(ours)["logits/kernel"]
    recorded = initialise(ours, spec, str(path))
    assert len(recorded["initial weights sha256"]) == 64
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, *theirs.input_shape[1:]))
    tower = keras.Model(ours.get_layer("standardise").output, ours.get_layer(TOPS[network]).output)
    found, expected = (np.asarray(m(pixels.astype(np.float32))) for m in (tower, theirs))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(arrays_of(ours)["logits/kernel"], head)


@pytest.mark.parametrize("network", TOPS)
def test_a_file_that_keras_3_saved_gives_the_tower_the_same(network, tmp_path):
    spec = spec_of(network)
    theirs = randomised(applications.TOWERS[network][0].reference(spec, None))
    theirs.save_weights(tmp_path / "tower.weights.h5")
    new, old = models.build(keras, spec), models.build(keras, spec)
    initialise(new, spec, str(tmp_path / "tower.weights.h5"))
    initialise(old, spec, str(legacy_h5(theirs, tmp_path / "notop.h5")))
    expected = arrays_of(old)
    for name, array in arrays_of(new).items():
        if not name.startswith("head") and not name.startswith("logits"):
            np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize(
    ("other", "width", "named"),
    [
        ("vgg16", 1.0, r"'Conv1/0' has shape \(3, 3, 3, 64\)"),
        ("mobilenetv2", 0.5, "block_1_project"),
    ],
    ids=["network", "width"],
)
def test_a_file_of_keras_3_of_another_network_names_the_first_layer(tmp_path, other, width, named):
    saved = applications.TOWERS[other][0].reference(spec_of(other, width=width), None)
    saved.save_weights(tmp_path / "other.weights.h5")
    spec = spec_of("mobilenetv2", width=0.35)
    with pytest.raises(IntegrityError, match=named):
        initialise(models.build(keras, spec), spec, str(tmp_path / "other.weights.h5"))


def test_a_file_of_another_network_names_the_first_layer_that_differs(tmp_path):
    other = applications.TOWERS["vgg16"][0].reference(spec_of("vgg16"), None)
    path = legacy_h5(other, tmp_path / "vgg16.h5")
    spec = spec_of("mobilenetv2")
    with pytest.raises(IntegrityError, match=r"'block1_conv1/kernel:0' has shape \(3, 3, 3, 64\)"):
        initialise(models.build(keras, spec), spec, str(path))


@pytest.mark.parametrize("content", [b"", b"not a weight file", b"\x89HDF\r\n\x1a\n" + b"x" * 99])
def test_a_damaged_h5_file(tmp_path, content):
    path = tmp_path / "broken.h5"
    path.write_bytes(content)
    spec = spec_of("mobilenetv2", width=0.35)
    with pytest.raises(IntegrityError, match="no weight file") as caught:
        initialise(models.build(keras, spec), spec, str(path))
    assert caught.value.where == str(path)


class TestARunsWeights:
    @pytest.fixture
    def stored(self, tmp_path) -> Path:
        spec = spec_of("custom_cnn", width=0.25)
        path = tmp_path / "model.safetensors"
        save_file(arrays_of(models.build(keras, spec)), path)
        return path

    def test_all_of_them(self, stored):
        spec = spec_of("custom_cnn", width=0.25)
        model = models.build(keras, spec)
        before = arrays_of(model)
        recorded = initialise(model, spec, str(stored))
        assert recorded["initial head"] == "from the file"
        after = arrays_of(model)
        assert any((after[name] != before[name]).any() for name in after)
        again = models.build(keras, spec)
        initialise(again, spec, str(stored))
        for name, array in arrays_of(again).items():
            np.testing.assert_array_equal(array, after[name])

    def test_another_number_of_classes_keeps_a_fresh_head(self, stored):
        spec = spec_of("custom_cnn", classes=4, width=0.25)
        model = models.build(keras, spec)
        head = arrays_of(model)["logits/kernel"]
        assert initialise(model, spec, str(stored))["initial head"].startswith("fresh")
        assert head.shape[1] == 4
        np.testing.assert_array_equal(arrays_of(model)["logits/kernel"], head)

    @pytest.mark.parametrize(
        ("network", "width", "named"),
        [("custom_cnn", 0.5, "conv1/kernel"), ("alnett", 0.25, "stem")],
        ids=["width", "network"],
    )
    def test_another_network_is_refused_by_its_first_layer(self, stored, network, width, named):
        spec = spec_of(network, width=width)
        with pytest.raises(IntegrityError, match=named) as caught:
            initialise(models.build(keras, spec), spec, str(stored))
        assert caught.value.where == str(stored)

    def test_a_cut_file(self, stored):
        stored.write_bytes(stored.read_bytes()[:100])
        spec = spec_of("custom_cnn", width=0.25)
        with pytest.raises(IntegrityError, match="no safetensors"):
            initialise(models.build(keras, spec), spec, str(stored))


class TestImageNet:
    def test_keras_own_files_are_used_where_they_lie(self, tmp_path, monkeypatch):
        """The real path of keras.applications, with a file that is there already."""
        spec = spec_of("mobilenetv2", width=0.35)
        tower = applications.TOWERS["mobilenetv2"][0]
        theirs = randomised(tower.reference(spec, None))
        kept = tmp_path / "models" / tower.file_name(spec)
        kept.parent.mkdir()
        legacy_h5(theirs, kept)
        real = keras.utils.get_file

        def without_network(fname: str, origin: str, **how: object) -> str:
            assert fname == kept.name  # the name that we tell the user is the one Keras wants
            assert real is not None
            return str(kept)

        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        monkeypatch.setattr("keras.src.utils.file_utils.get_file", without_network)
        ours = models.build(keras, spec)
        recorded = initialise(ours, spec, "imagenet")
        assert recorded.keys() == {f"sha256 of {kept.name}"}
        np.testing.assert_array_equal(
            arrays_of(ours)["Conv1/kernel"], np.asarray(theirs.get_layer("Conv1").kernel)
        )

    def test_without_a_network_it_says_which_file_to_put_where(self, tmp_path, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))

        def no_network(*_: object, **__: object) -> str:
            raise OSError("URL fetch failure: name or service not known")

        monkeypatch.setattr("keras.src.utils.file_utils.get_file", no_network)
        spec = spec_of("vgg16")
        with pytest.raises(EnvironmentMismatch, match="URL fetch failure") as caught:
            initialise(models.build(keras, spec), spec, "imagenet")
        assert caught.value.exit_code == 3
        assert caught.value.where.startswith(str(tmp_path / "models" / "vgg16_weights"))
        assert "--weights FILE" in caught.value.fix

    @pytest.mark.parametrize("network", ["se_resnext50", "alnett", "custom_cnn"])
    def test_networks_that_keras_has_none_for(self, network):
        spec = spec_of(network, width=0.125)
        with pytest.raises(UsageError, match=f"no ImageNet weights for {network}"):
            initialise(models.build(keras, spec), spec, "imagenet")

    @pytest.mark.parametrize(("network", "width"), [("vgg16", 0.5), ("mobilenetv2", 0.9)])
    def test_widths_that_keras_has_none_for(self, network, width):
        spec = spec_of(network, width=width)
        with pytest.raises(UsageError, match=f"at the width {width}") as caught:
            initialise(models.build(keras, spec), spec, "imagenet")
        assert "--width" in caught.value.fix


def test_allnet_gets_all_three_towers():
    """Every weight of a tower that ALLNet holds is among those of the applications."""
    spec = spec_of("allnet")
    named: dict[str, tuple[int, ...]] = {}
    for tower in applications.TOWERS["allnet"]:
        values = tower.reference(spec, None).get_weights()
        named |= {name: array.shape for name, array in tower.named(spec, values).items()}
    own = {name: array.shape for name, array in arrays_of(models.build(keras, spec)).items()}
    fresh = {name.split("/")[0] for name in own.keys() - named.keys()}
    assert all(name.startswith(("tap", "fusion", "head", "logits")) for name in fresh), fresh
    assert {name: own[name] for name in named} == named


@pytest.mark.parametrize("weights", ["imagnet", "absent.safetensors"])
def test_no_such_file(weights):
    spec = spec_of("custom_cnn", width=0.25)
    with pytest.raises(UsageError, match="there is no file"):
        initialise(models.build(keras, spec), spec, weights)


def test_none_changes_nothing_and_another_kind_of_file_is_refused(tmp_path):
    spec = spec_of("custom_cnn", width=0.25)
    model = models.build(keras, spec)
    before = arrays_of(model)
    assert initialise(model, spec, "none") == {}
    path = tmp_path / "weights.pkl"
    path.write_bytes(b"x")
    with pytest.raises(UsageError, match=r"does not read files like 'weights.pkl'"):
        initialise(model, spec, str(path))
    for name, array in arrays_of(model).items():
        np.testing.assert_array_equal(array, before[name])
