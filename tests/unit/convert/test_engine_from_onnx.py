"""TensorRT-RTX, without a GPU: every graph of ours is legal; others are refused in a sentence."""

import contextlib
from pathlib import Path

import fake_tensorrt
import numpy as np
import onnx
import pytest
from convert_support import Converted, model_of, ranges_of
from onnx import helper

from allnet_edge.convert.engine_from_onnx import BuildOptions, EngineBuilder, _network_flags
from allnet_edge.convert.fp16_from_onnx import fp16_from_onnx
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.engines.cuda import Cuda
from allnet_edge.engines.tensorrt_runner import TensorRtRunner, load_engine, require_attributes
from allnet_edge.errors import ConversionError, DeviceMismatchError, EnvironmentMismatch

pytestmark = pytest.mark.xdist_group("convert")


@pytest.fixture(scope="session")
def builder() -> EngineBuilder:
    """One for the whole session: TensorRT keeps its first logger for the life of the process."""
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed here")
    return EngineBuilder(trt)


def all_precisions(source: Converted) -> dict[str, Path]:
    half, integer = source.folder / "proof.fp16.onnx", source.folder / "proof.int8.onnx"
    fp16_from_onnx(source.onnx, half)
    qdq_from_onnx(source.onnx, integer, ranges_of(source))
    return {"fp32": source.onnx, "fp16": half, "int8": integer}


@pytest.fixture(scope="module")
def graphs(small):
    return all_precisions(small)


@pytest.mark.parametrize("sm", [86, 89])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_precision_is_parsed_and_built(builder, graphs, precision, sm):
    engine = builder.build(graphs[precision], BuildOptions(precision), sm=sm).engine
    assert isinstance(engine, bytes)
    assert len(engine) > 1000


class TestOptions:
    """What a device asks for, asked of a real builder."""

    def test_the_real_builder_takes_them(self, builder, graphs):
        options = BuildOptions("int8", workspace_mb=256, sparse=True)
        built = builder.build(graphs["int8"], options, sm=86)
        assert built.flags == ("SPARSE_WEIGHTS",)  # types come from the graph: no INT8 flag
        assert len(built.engine) > 1000
        assert built.timing_cache is None

    def test_too_little_workspace_is_told_in_the_builder_s_words(self, builder, graphs):
        with pytest.raises(ConversionError, match="within workspace limit"):
            builder.build(graphs["fp32"], BuildOptions("fp32", workspace_mb=1), sm=86)

    def test_a_dla_that_is_not_there(self, builder, graphs):
        with pytest.raises(EnvironmentMismatch, match="has 0 DLA cores") as caught:
            builder.build(graphs["fp16"], BuildOptions("fp16", dla_core=0), sm=86)
        assert caught.value.exit_code == 3

    def test_tensorrt_8_is_told_the_precision_and_nothing_more(self, graphs):
        trt = fake_tensorrt.make("8.6.2", None)
        EngineBuilder(trt).build(graphs["fp16"], BuildOptions("fp16"))
        EngineBuilder(trt).build(graphs["int8"], BuildOptions("int8"))
        EngineBuilder(trt).build(graphs["fp32"], BuildOptions("fp32"))
        assert trt.shared.built == [("FP16",), ("INT8",), ()]

    def test_a_dla_is_asked_for_with_the_gpu_behind_it(self, graphs):
        trt = fake_tensorrt.make("10.3.0", None)
        built = EngineBuilder(trt).build(graphs["int8"], BuildOptions("int8", dla_core=1))
        assert built.flags == ("DLA1", "GPU_FALLBACK")
        with pytest.raises(EnvironmentMismatch, match="2 DLA cores, so that there is no core 2"):
            EngineBuilder(trt).build(graphs["int8"], BuildOptions("int8", dla_core=2))


@pytest.fixture(scope="module")
def trt(builder):
    return pytest.importorskip("tensorrt_rtx")


@pytest.fixture(scope="module")
def engine(builder, graphs) -> bytes:
    return builder.build(graphs["fp32"], sm=86).engine


class TestRealRuntime:
    """The runtime half up to where it needs a driver, on a real library."""

    def test_it_has_what_we_use(self, trt):
        require_attributes(trt)

    @pytest.mark.parametrize("keep", [0, 1, 64, 1000, 0.5, -1])
    def test_a_cut_engine_is_refused_in_its_own_words(self, trt, engine, tmp_path, keep):
        path = tmp_path / "cut.engine"
        path.write_bytes(engine[: int(len(engine) * keep) if isinstance(keep, float) else keep])
        with pytest.raises(DeviceMismatchError, match="cannot load this engine: ") as caught:
            load_engine(trt, path)
        assert "no reason given" not in caught.value.what
        assert "allnet-edge compile" in caught.value.fix

    def test_a_file_that_is_no_engine(self, trt, tmp_path):
        path = tmp_path / "no.engine"
        path.write_bytes(b"x" * 4096)
        with pytest.raises(DeviceMismatchError, match="cannot load this engine: "):
            load_engine(trt, path)

    def test_a_whole_engine_without_a_gpu(self, trt, engine, tmp_path):
        with contextlib.suppress(EnvironmentMismatch):
            pytest.skip(f"this machine has a GPU: {Cuda.load().gpu().name}")
        path = tmp_path / "whole.engine"
        path.write_bytes(engine)
        with pytest.raises((DeviceMismatchError, EnvironmentMismatch)) as caught:
            TensorRtRunner(path, trt).__enter__()
        assert caught.value.exit_code == 3
        assert "this machine has no " in caught.value.what


def test_allnet_is_parsed_and_built_in_every_precision(builder, allnet):
    for path in all_precisions(allnet).values():
        assert builder.build(path, sm=86)


def saved(tmp_path, nodes, weights=None):
    path = tmp_path / "graph.onnx"
    onnx.save(model_of(nodes, {"x": [1, 4]}, {"y": [1, 4]}, weights or {}), path)
    return path


class TestRefusals:
    def test_an_operator_that_it_does_not_know(self, builder, tmp_path):
        path = saved(tmp_path, [helper.make_node("Blast", ["x"], ["y"], domain="lab")])
        with pytest.raises(ConversionError, match=r"cannot parse the graph: .*Blast") as caught:
            builder.build(path, sm=86)
        assert caught.value.exit_code == 4
        assert caught.value.where == str(path)

    def test_a_zero_point_that_is_not_0(self, builder, tmp_path):
        weights = {"scale": np.array(0.1, np.float32), "zero": np.array(-128, np.int8)}
        path = saved(
            tmp_path,
            [
                helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
                helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
            ],
            weights,
        )
        with pytest.raises(ConversionError, match="zero point"):
            builder.build(path, sm=86)

    @pytest.mark.parametrize("data", [b"", b"no graph at all"], ids=["empty", "garbage"])
    def test_a_file_that_is_no_graph(self, builder, tmp_path, data):
        path = tmp_path / "graph.onnx"
        path.write_bytes(data)
        with pytest.raises(ConversionError, match="cannot"):
            builder.build(path, sm=86)

    def test_an_architecture_that_it_cannot_build_for(self, builder, graphs):
        with pytest.raises(ConversionError, match=r"cannot build for SM 8\.7") as caught:
            builder.build(graphs["fp32"], sm=87)
        assert "SM86" in caught.value.fix

    def test_after_a_refusal_it_still_builds(self, builder, graphs, tmp_path):
        path = saved(tmp_path, [helper.make_node("Blast", ["x"], ["y"], domain="lab")])
        with pytest.raises(ConversionError):
            builder.build(path, sm=86)
        assert builder.build(graphs["fp32"], sm=86)


class OldFlags:
    EXPLICIT_BATCH = 0


class NewFlags:
    STRONGLY_TYPED = 1


class Versions:
    """Stand-ins for the flags of TensorRT 8, 10 and 11."""

    class V8:
        NetworkDefinitionCreationFlag = OldFlags

    class V10:
        class NetworkDefinitionCreationFlag(OldFlags, NewFlags):
            pass

    class V11:
        pass


@pytest.mark.parametrize(
    ("version", "flags"), [(Versions.V8, 0b01), (Versions.V10, 0b11), (Versions.V11, 0)]
)
def test_flags_are_told_apart_by_feature(version, flags):
    assert _network_flags(version) == flags
