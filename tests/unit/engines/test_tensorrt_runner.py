"""The runtime half of TensorRT, through the one I/O path, over stand-ins of driver and library."""

from pathlib import Path

import fake_tensorrt
import numpy as np
import pytest
from device_models import SIZE, ModelFile, cell_images

from allnet_edge.convert.engine_from_onnx import BUILDER_ATTRIBUTES, BUILDER_OPTIONAL
from allnet_edge.engines.tensorrt_runner import ATTRIBUTES, OPTIONAL, TensorRtRunner
from allnet_edge.errors import (
    ConversionError,
    DeviceMismatchError,
    EnvironmentMismatch,
    IntegrityError,
)
from allnet_edge.measure.queries import TimesCopies


@pytest.fixture(params=["onnx.uint8.1", "onnx.float.1", "onnx.uint8.3"])
def model(request, model_files) -> ModelFile:
    return model_files[request.param]


def engine_of(gpu, model: ModelFile, folder: Path) -> Path:
    path = folder / "small.engine"
    path.write_bytes(fake_tensorrt.pack(gpu.trt.__version__, "8.7", model.path.read_bytes()))
    return path


def runner_of(gpu, path: Path, **options: object) -> TensorRtRunner:
    return TensorRtRunner(path, gpu.trt, cuda=gpu.cuda, **options)


class TestRunner:
    """What tests/contracts asks of every runtime, of this one."""

    @pytest.mark.parametrize("graph", [True, False], ids=["graph", "no graph"])
    def test_probabilities_are_those_of_the_network(self, gpu, model, tmp_path, graph):
        images = cell_images(6)
        with runner_of(gpu, engine_of(gpu, model, tmp_path), graph=graph) as runner:
            assert runner.uses_graph is graph
            actual = runner.infer(images)
        expected = model.weights.probabilities(images)
        assert actual.dtype == np.float32
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, atol=1e-5)

    def test_an_image_does_not_depend_on_its_neighbours(self, gpu, model, tmp_path):
        images = cell_images(4)
        with runner_of(gpu, engine_of(gpu, model, tmp_path)) as runner:
            together = runner.infer(images)
            alone = [runner.infer(images[i : i + 1])[0] for i in range(4)]
        np.testing.assert_array_equal(together, np.stack(alone))

    def test_an_answer_is_not_written_over_by_the_next(self, gpu, model, tmp_path):
        images = cell_images(2)
        with runner_of(gpu, engine_of(gpu, model, tmp_path)) as runner:
            first = runner.infer(images[:1])
            kept = first.copy()
            runner.infer(images[1:])
            np.testing.assert_array_equal(first, kept)

    def test_a_second_activation_repeats_the_first(self, gpu, model, tmp_path):
        images, runner = cell_images(2), runner_of(gpu, engine_of(gpu, model, tmp_path))
        with runner:
            first = runner.infer(images)
        with runner:
            np.testing.assert_array_equal(runner.infer(images), first)

    def test_pixels_that_may_not_be_written_and_views_are_taken(self, gpu, model, tmp_path):
        images = cell_images(2)[:, :, ::-1]
        images.flags.writeable = False
        with runner_of(gpu, engine_of(gpu, model, tmp_path)) as runner:
            np.testing.assert_array_equal(runner.infer(images), runner.infer(images.copy()))

    def test_it_says_what_it_is(self, gpu, model, tmp_path):
        with runner_of(gpu, engine_of(gpu, model, tmp_path), threads=2) as runner:
            assert (runner.engine, runner.threads) == ("tensorrt", 2)
            assert runner.input_shape == (SIZE, SIZE, 3)

    def test_other_images_are_refused(self, gpu, model, tmp_path):
        with (
            runner_of(gpu, engine_of(gpu, model, tmp_path)) as runner,
            pytest.raises(ValueError, match="32, 32, 3"),
        ):
            runner.infer(np.zeros((1, SIZE, SIZE + 1, 3), np.uint8))

    def test_outside_the_with_block_it_does_not_work(self, gpu, model, tmp_path):
        runner = runner_of(gpu, engine_of(gpu, model, tmp_path))
        with pytest.raises(RuntimeError, match="not active"):
            runner.infer(cell_images(1))

    def test_an_error_in_the_block_gives_everything_back(self, gpu, model, tmp_path):
        before, held = gpu.live, []

        def work() -> None:
            with runner_of(gpu, engine_of(gpu, model, tmp_path)):
                held.append(gpu.live)
                raise KeyError

        with pytest.raises(KeyError):
            work()
        assert held[0] > before
        assert gpu.live == before

    @pytest.mark.parametrize("graph", [True, False])
    def test_the_copies_are_timed_apart(self, gpu, model, tmp_path, graph):
        with runner_of(gpu, engine_of(gpu, model, tmp_path), graph=graph) as runner:
            assert isinstance(runner, TimesCopies)
            runner.infer(cell_images(1))
            # The clock of the stand-in moves on by 1 ms at each mark.
            assert runner.copy_times() == (1_000_000, 1_000_000, 1_000_000)


class TestRefusals:
    @pytest.mark.parametrize("keep", [0, 5, 17, 40, 0.5, 0.99])
    def test_a_cut_engine(self, gpu, model_files, tmp_path, keep):
        path = engine_of(gpu, model_files["onnx.uint8.1"], tmp_path)
        whole = path.read_bytes()
        path.write_bytes(whole[: keep if isinstance(keep, int) else int(len(whole) * keep)])
        with pytest.raises(DeviceMismatchError, match="cannot load this engine: stand-in") as found:
            runner_of(gpu, path).__enter__()
        assert found.value.exit_code == 3
        assert "allnet-edge compile" in found.value.fix

    def test_an_engine_of_another_tensorrt(self, gpu, model_files, tmp_path):
        path = tmp_path / "small.engine"
        graph = model_files["onnx.uint8.1"].path.read_bytes()
        path.write_bytes(fake_tensorrt.pack("8.6.2", "8.7", graph))
        with pytest.raises(DeviceMismatchError, match="version tag does not match"):
            runner_of(gpu, path).__enter__()

    def test_no_engine(self, gpu, tmp_path):
        with pytest.raises(IntegrityError, match="cannot read the engine"):
            runner_of(gpu, tmp_path / "no.engine").__enter__()

    def test_a_tensorrt_without_named_tensors(self, gpu, model_files, tmp_path):
        del gpu.trt.IExecutionContext.execute_async_v3
        with pytest.raises(EnvironmentMismatch, match=r"needs 8\.5 or newer") as caught:
            runner_of(gpu, engine_of(gpu, model_files["onnx.uint8.1"], tmp_path)).__enter__()
        assert "build_with_trtexec.sh" in caught.value.fix

    def test_a_batch_that_is_not_fixed(self, gpu, model_files, tmp_path):
        with pytest.raises(ConversionError, match="not static"):
            runner_of(gpu, engine_of(gpu, model_files["onnx.named-batch.1"], tmp_path)).__enter__()

    @pytest.mark.parametrize(
        "function", ["cudaStreamCreate", "cudaHostAlloc", "cudaMalloc", "cudaEventCreate"]
    )
    def test_too_little_memory_gives_back_what_was_taken(
        self, gpu, model_files, tmp_path, function
    ):
        path, before = engine_of(gpu, model_files["onnx.uint8.1"], tmp_path), gpu.live
        gpu.fail(function, 2)
        with pytest.raises(EnvironmentMismatch, match="too little free memory"):
            runner_of(gpu, path).__enter__()
        assert gpu.live == before

    def test_a_driver_that_tensorrt_cannot_use(self, gpu, model_files, tmp_path):
        gpu.trt.shared.no_driver = True
        with pytest.raises(EnvironmentMismatch, match="cannot start: CUDA initialization failure"):
            runner_of(gpu, engine_of(gpu, model_files["onnx.uint8.1"], tmp_path)).__enter__()

    def test_no_gpu(self, gpu, model_files, tmp_path):
        gpu.fail("cudaGetDeviceCount", 100)
        with pytest.raises(EnvironmentMismatch, match="no NVIDIA GPU"):
            runner_of(gpu, engine_of(gpu, model_files["onnx.uint8.1"], tmp_path)).__enter__()

    def test_an_engine_that_fails_while_it_runs(self, gpu, model_files, tmp_path):
        with runner_of(gpu, engine_of(gpu, model_files["onnx.uint8.1"], tmp_path)) as runner:
            gpu.fail("cudaStreamSynchronize", 700)
            with pytest.raises(EnvironmentMismatch, match=r"error 700"):
                runner.infer(cell_images(1))
            gpu.fail("", 0)


def test_the_stand_in_has_only_what_the_real_bindings_have(gpu):
    """Held to the lists that benchmarks/trt_conformance.py finds in the real bindings."""
    allowed: dict[str, set[str]] = {}
    for listed in (ATTRIBUTES, OPTIONAL, BUILDER_ATTRIBUTES, BUILDER_OPTIONAL):
        for owner, names in listed.items():
            allowed.setdefault(owner, set()).update(names)
    for owner in set(vars(gpu.trt)) - {"shared"}:
        if owner.startswith("__") and owner != "__version__":
            continue
        assert owner in allowed[""] or owner in allowed, owner
        if owner in allowed:
            public = {name for name in vars(getattr(gpu.trt, owner)) if not name.startswith("_")}
            private_to_it = {"OUTPUT", "GPU", "session", "tensors", "told", "log"}
            assert public - allowed[owner] <= private_to_it, owner
