"""What every runtime must do, whichever it is: one class, run on each form of a small network."""

import pkgutil

import numpy as np
import pytest
from device_models import FORMS, SIZE, ModelFile, Weights, cell_images

from allnet_edge import engines
from allnet_edge.engines import open_runner
from allnet_edge.engines.opening import ENGINE_OF_SUFFIX
from allnet_edge.errors import ConversionError, IntegrityError

NOT_RUNTIMES = {
    "base", "opening", "cuda", "cuda_graph", "tensorrt_fit", "tensorrt_log", "tensorrt_runner",
}  # fmt: skip
WITHOUT_SMALL_MODEL = {"tensorrt"}  # held to it by a stand-in: tests/unit/engines/test_tensorrt_*


def test_every_runtime_of_the_package_is_held_to_the_contract():
    runtimes = {module.name for module in pkgutil.iter_modules(engines.__path__)} - NOT_RUNTIMES
    tested = {form.partition(".")[0] for form in FORMS}
    assert runtimes - WITHOUT_SMALL_MODEL == tested
    assert runtimes <= set(ENGINE_OF_SUFFIX.values())


@pytest.fixture(params=[f"{form}.{units}" for form in FORMS for units in (1, 3)])
def model(request: pytest.FixtureRequest, model_files: dict[str, ModelFile]) -> ModelFile:
    return model_files[request.param]


class TestRunner:
    def test_probabilities_are_those_of_the_network(self, model):
        images = cell_images(12)
        expected = model.weights.probabilities(images)
        with open_runner(model.path) as runner:
            actual = runner.infer(images)
        assert actual.dtype == np.float32
        assert actual.shape == expected.shape
        assert expected.std() > 0.02, "the images must tell a working runner from a constant"
        np.testing.assert_allclose(actual, expected, atol=model.tolerance)

    def test_an_image_does_not_depend_on_its_neighbours(self, model):
        images = cell_images(5)
        with open_runner(model.path) as runner:
            together = runner.infer(images)
            alone = [runner.infer(images[i : i + 1])[0] for i in range(5)]
        np.testing.assert_array_equal(together, np.stack(alone))

    def test_a_second_activation_repeats_the_first(self, model):
        images, runner = cell_images(3), open_runner(model.path, threads=1)
        with runner:
            first = runner.infer(images)
        with runner:
            np.testing.assert_array_equal(runner.infer(images), first)

    def test_black_and_white_images_are_in_range(self, model):
        extremes = np.stack([np.zeros((SIZE, SIZE, 3)), np.full((SIZE, SIZE, 3), 255)])
        images = extremes.astype(np.uint8)
        with open_runner(model.path) as runner:
            actual = runner.infer(images)
        np.testing.assert_allclose(
            actual, model.weights.probabilities(images), atol=2 * model.tolerance
        )
        assert ((actual >= 0) & (actual <= 1)).all()

    def test_pixels_are_not_written_to(self, model):
        images = cell_images(2)
        images.flags.writeable = False
        with open_runner(model.path) as runner:
            runner.infer(images)

    def test_a_view_of_a_larger_array_is_taken(self, model):
        wide = cell_images(2)[:, :, ::-1]
        with open_runner(model.path) as runner:
            np.testing.assert_array_equal(runner.infer(wide), runner.infer(wide.copy()))

    def test_no_images_give_no_probabilities(self, model):
        with open_runner(model.path) as runner:
            assert len(runner.infer(cell_images(2)[:0])) == 0

    def test_it_says_what_it_is(self, model):
        with open_runner(model.path, threads=2) as runner:
            assert runner.input_shape == (SIZE, SIZE, 3)
            assert runner.threads == 2
            assert runner.path == model.path
            assert runner.engine == ENGINE_OF_SUFFIX[model.path.suffix]

    @pytest.mark.parametrize(
        "images",
        [
            np.zeros((1, SIZE, SIZE + 1, 3), np.uint8),
            np.zeros((1, 3, SIZE, SIZE), np.uint8),
            np.zeros((SIZE, SIZE, 3), np.uint8),
            np.zeros((1, SIZE, SIZE, 3), np.float32),
        ],
        ids=["wrong side", "channels first", "no batch", "float"],
    )
    def test_other_images_are_refused_with_the_expected_shape(self, model, images):
        with open_runner(model.path) as runner, pytest.raises(ValueError, match="32, 32, 3"):
            runner.infer(images)

    def test_outside_the_with_block_it_does_not_work(self, model):
        runner = open_runner(model.path)
        with pytest.raises(RuntimeError, match="not active"):
            runner.infer(cell_images(1))
        with runner:
            pass
        with pytest.raises(RuntimeError, match="not active"):
            runner.infer(cell_images(1))

    def test_an_error_in_the_block_passes_through_and_releases(self, model):
        runner = open_runner(model.path)
        with pytest.raises(KeyError), runner:
            raise KeyError("mine")
        with pytest.raises(RuntimeError, match="not active"):
            runner.infer(cell_images(1))


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
@pytest.mark.parametrize("keep", [0, 1, 7, 64, 0.25, 0.5, 0.9, -1])
def test_a_cut_file_is_refused_in_a_sentence(suffix, keep, model_files, tmp_path):
    whole = next(m.path for m in model_files.values() if m.path.suffix == suffix).read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises((IntegrityError, ConversionError)) as caught, open_runner(cut):
        pass
    assert caught.value.where == str(cut)
    assert caught.value.fix


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_a_foreign_file_is_refused_in_a_sentence(suffix, tmp_path):
    path = tmp_path / f"foreign{suffix}"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 16)
    with pytest.raises((IntegrityError, ConversionError)), open_runner(path):
        pass


def test_the_oracle_is_a_network_and_no_constant():
    spread = Weights.random(3).probabilities(cell_images(20)).std(axis=0)
    assert (spread > 0.02).all()
