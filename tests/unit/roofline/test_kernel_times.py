"""One kernel's time, against arithmetic done by hand."""

from dataclasses import replace

import pytest

from allnet_edge.errors import UsageError
from allnet_edge.roofline.constants import Constants
from allnet_edge.roofline.gpu import Gpu, gpu_of
from allnet_edge.roofline.kernels import Kernel, Product
from allnet_edge.roofline.times import seconds_of, work_of
from allnet_edge.spec.target import load_target

TENSOR = Gpu(
    processors=8,
    megahertz=1000.0,
    gigabytes_a_second=100.0,
    tera_ops={"fp32": 8.0, "fp16": 16.0, "int8": 32.0},
    on_tensor_cores=frozenset(("fp32", "fp16", "int8")),
    plain_tera_ops=2.0,
)
PLAIN = replace(TENSOR, on_tensor_cores=frozenset())
PLAIN_CONSTANTS = Constants(
    efficiency=0.5, winograd_gain=2.0, launch_microseconds_ghz=10.0, host_milliseconds=0.0
)


def kernel(product=None, arithmetic="fp16", kind="conv", moved=0.0) -> Kernel:
    made = Kernel(kind, ["k"], ["x"], "y", arithmetic, product)
    made.read_bytes = moved
    return made


def compute(product, gpu=TENSOR, arithmetic="fp16", kind="conv") -> float:
    return work_of(kernel(product, arithmetic, kind), gpu).compute_seconds


def test_a_full_gpu_computes_at_its_peak_less_the_loading_of_its_tiles():
    """64 x 8 tiles of 256 x 128: whole waves, none of it in vain."""
    product = Product(rows=256 * 64, columns=1024, depth=1024)
    at_peak = 2 * product.macs / 16e12
    share = 256 * 128 / (256 * 128 + 16 * (256 + 128))
    assert compute(product) == pytest.approx(at_peak / share)


def test_one_tile_more_than_there_are_processors_takes_a_second_wave():
    eight, nine = (compute(Product(16 * tiles, 64, 512)) for tiles in (8, 9))
    # 8 tiles of 16x64 are one wave; 9 of them are two, unless larger tiles do it in one.
    assert nine > eight
    assert compute(Product(8 * 256, 128, 512)) < compute(Product(8 * 256 + 1, 128, 512))


def test_few_channels_do_not_fill_a_tile():
    """16 columns at least are computed where there are 3."""
    assert compute(Product(4096, 3, 64)) == compute(Product(4096, 16, 64))
    assert compute(Product(4096, 3, 64)) < compute(Product(4096, 128, 64))


@pytest.mark.parametrize(("arithmetic", "step"), [("fp32", 8), ("fp16", 16), ("int8", 32)])
def test_depth_is_filled_up_on_tensor_cores_alone(arithmetic, step):
    short, full = Product(4096, 64, 64 + 1), Product(4096, 64, 64 + step)
    assert compute(short, TENSOR, arithmetic) == compute(full, TENSOR, arithmetic)
    assert compute(short, PLAIN, arithmetic) < compute(full, PLAIN, arithmetic)


def test_a_first_layer_with_three_channels_is_filled_up_to_four():
    three, four = Product(4096, 64, 3 * 49, window=49), Product(4096, 64, 4 * 49, window=49)
    sixteen = Product(4096, 64, 16 * 49, window=49)
    assert compute(three) == compute(four) == pytest.approx(compute(sixteen) / 4)


def test_groups_are_products_of_their_own():
    grouped = compute(Product(4096, 64, 64, groups=4))
    assert grouped == pytest.approx(4 * compute(Product(4096, 64, 64)), rel=0.3)


def test_depthwise_runs_on_cuda_cores():
    product = Product(10_000, 1, 9, groups=64, window=9)
    assert compute(product, kind="depthwise") == pytest.approx(2 * product.macs / 2e12)


@pytest.mark.parametrize(
    ("gpu", "window", "stride", "gains"),
    [(PLAIN, 9, 1, True), (PLAIN, 9, 2, False), (PLAIN, 1, 1, False), (TENSOR, 9, 1, False)],
)
def test_winograd_is_for_3x3_of_stride_1_on_cuda_cores(gpu, window, stride, gains):
    product = Product(4096, 64, 64 * window, window=window, stride=stride)
    assert work_of(kernel(product), gpu).winograd is gains


def test_an_arithmetic_that_the_gpu_lacks_is_done_in_fp16():
    old = replace(PLAIN, tera_ops={"fp32": 8.0, "fp16": 16.0})
    product = Product(4096, 64, 64)
    assert compute(product, old, "int8") == compute(product, old, "fp16")


def test_the_longer_of_the_two_and_the_floor():
    product = Product(256 * 64, 1024, 1024)
    compute_s = compute(product)
    busy = work_of(kernel(product, moved=1.0), TENSOR)
    assert seconds_of(busy, PLAIN_CONSTANTS) == (pytest.approx(2 * compute_s + 1e-5), "compute")
    slow = work_of(kernel(product, moved=1e9), TENSOR)  # 10 ms at 100 GB/s
    assert seconds_of(slow, PLAIN_CONSTANTS) == (pytest.approx(1e-2 + 1e-5), "memory")
    small = work_of(kernel(kind="copy", moved=1e5), TENSOR)
    assert seconds_of(small, PLAIN_CONSTANTS) == (pytest.approx(1e-6 + 1e-5), "launch")


def test_the_floor_goes_with_the_clock():
    half = replace(TENSOR, megahertz=500.0)
    assert seconds_of(work_of(kernel(kind="copy"), half), PLAIN_CONSTANTS)[0] == pytest.approx(2e-5)


class TestGpuOfATarget:
    @pytest.mark.parametrize(
        ("name", "processors"),
        [
            ("jetson-nano", 1), ("jetson-tx2", 2), ("jetson-xavier-nx", 6),
            ("jetson-agx-xavier", 8), ("jetson-orin-nano-super", 8), ("jetson-agx-orin-32", 14),
            ("jetson-agx-orin-64", 16),
            ("jetson-thor-t5000", 20),
        ],
    )  # fmt: skip
    def test_multiprocessors(self, name, processors):
        assert gpu_of(load_target(name)).processors == processors

    def test_cuda_cores_only(self):
        nano = gpu_of(load_target("jetson-nano"))
        assert not nano.on_tensor_cores
        assert "int8" not in nano.tera_ops
        assert nano.tera_ops["fp32"] == pytest.approx(0.236, rel=0.01)

    def test_fp32_is_tf32_from_ampere_on(self):
        orin, xavier = gpu_of(load_target("jetson")), gpu_of(load_target("jetson-agx-xavier"))
        assert orin.tera_ops["fp32"] == pytest.approx(16.7 / 2)
        assert xavier.tera_ops["fp32"] == pytest.approx(1.41, rel=0.01)
        assert "fp32" not in xavier.on_tensor_cores

    @pytest.mark.parametrize(
        ("name", "why"),
        [("pi", "knows GPUs only"), ("x86", "knows GPUs only"), ("jetson-thor-t4000", "clock")],
    )
    def test_what_cannot_be_estimated_is_refused_plainly(self, name, why):
        with pytest.raises(UsageError, match=why) as caught:
            gpu_of(load_target(name))
        assert "bench" in str(caught.value.fix)
