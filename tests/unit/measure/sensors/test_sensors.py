"""Parsers of what devices say about themselves, on files written after their documentation."""

from collections.abc import Callable
from pathlib import Path

import pytest
from recorded_devices import unpack

from allnet_edge.measure.sensors.conditions import read_conditions
from allnet_edge.measure.sensors.cpufreq import read_cpu_clocks
from allnet_edge.measure.sensors.devfreq import gpu_clock, read_device_clocks
from allnet_edge.measure.sensors.gpu_memory import read_gpu_memory_mb, read_used_mb
from allnet_edge.measure.sensors.ina3221 import read_rails, total_mw
from allnet_edge.measure.sensors.jetson_clocks import parse_jetson_clocks, read_jetson_clocks
from allnet_edge.measure.sensors.nv_tegra_release import jetpack_of, parse_release
from allnet_edge.measure.sensors.nvpmodel import PowerMode, parse_nvpmodel
from allnet_edge.measure.sensors.readings import Reading, read_now, throttling
from allnet_edge.measure.sensors.source import Source, ask, recorded
from allnet_edge.measure.sensors.tegrastats import last_line, parse_tegrastats
from allnet_edge.measure.sensors.thermal import read_temperatures, slowed_by
from allnet_edge.measure.sensors.throttle_counters import grown, read_counters
from allnet_edge.measure.sensors.vcgencmd import parse_throttled
from allnet_edge.measure.system import describe

DEVICES = (
    "jetson-nano-jp4", "jetson-xavier-nx-jp5", "jetson-orin-nano-jp6", "jetson-thor-jp7",
    "raspberry-pi-5", "x86",
)  # fmt: skip
JETSONS = {
    "jetson-nano-jp4": ("32.7.4", "4.6.4", "MAXN", 0),
    "jetson-xavier-nx-jp5": ("35.4.1", "5.1.2", "MODE_15W_6CORE", 2),
    "jetson-orin-nano-jp6": ("36.4.3", "6.2", "MAXN_SUPER", 2),
    "jetson-thor-jp7": ("38.2.0", "7.0", "120W", 1),
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    return {name: unpack(name, tmp_path_factory.mktemp(name)) for name in DEVICES}


@pytest.fixture
def device(roots) -> Callable[[str], Source]:
    return lambda name: recorded(roots[name])


@pytest.mark.parametrize("name", JETSONS)
def test_the_settings_of_every_jetpack(roots, device, name):
    l4t, jetpack, mode, number = JETSONS[name]
    found = read_conditions(device(name))
    assert (found.jetpack, found.power_mode, found.power_mode_id) == (jetpack, mode, number)
    machine = describe(root=roots[name])
    assert machine.device_class == "jetson"
    assert machine.l4t == l4t


@pytest.mark.parametrize(
    ("name", "rails", "total"),
    [
        ("jetson-nano-jp4", {"POM_5V_IN": 3214, "POM_5V_GPU": 120, "POM_5V_CPU": 842}, 3214),
        (
            "jetson-xavier-nx-jp5",
            {"VDD_IN": 6048, "VDD_CPU_GPU_CV": 1610.24, "VDD_SOC": 1207.68},
            6048,
        ),
        (
            "jetson-orin-nano-jp6",
            {"VDD_IN": 5087.232, "VDD_CPU_GPU_CV": 1550.016, "VDD_SOC": 1468.16},
            5087.232,
        ),
        (
            "jetson-thor-jp7",
            {"VDD_GPU": -95.808, "VDD_CPU_SOC_MSS": 6510.592, "VIN_SYS_5V0": 6501.6, "VIN": 26400},
            26400,
        ),
        ("raspberry-pi-5", {}, None),
        ("x86", {}, None),
    ],
)
def test_power_rails_by_the_boards_own_names(device, name, rails, total):
    found = read_rails(device(name))
    assert found == pytest.approx(rails)
    assert total_mw(found) == pytest.approx(total)


def test_without_an_input_rail_the_total_is_the_sum():
    assert total_mw({"VDD_GPU_SOC": 2340.0, "VDD_CPU_CV": 390.0, "VIN_SYS_5V0": 4025.0}) == 6755


def test_temperatures_without_those_of_parts_that_sleep(device):
    assert read_temperatures(device("jetson-orin-nano-jp6")) == {
        "cpu-thermal": 48.625,
        "gpu-thermal": 49.062,
        "soc0-thermal": 47.0,
        "tj-thermal": 49.062,
    }
    assert "gpu-thermal" not in read_temperatures(device("jetson-thor-jp7"))
    assert read_temperatures(device("x86")) == {
        "x86_pkg_temp": 61.0,
        "acpitz": 27.8,
        "acpitz#2": 29.8,
    }


@pytest.mark.parametrize(
    ("name", "slowed"),
    [
        ("jetson-nano-jp4", ()),  # its fan turns, which slows nothing down
        ("jetson-xavier-nx-jp5", ("cpu-throttle-alert",)),
        ("jetson-orin-nano-jp6", ()),
        ("raspberry-pi-5", ("cpufreq-cpu0",)),
        ("x86", ("Processor",)),
    ],
)
def test_what_slows_a_machine_down(device, name, slowed):
    assert slowed_by(device(name)) == slowed


def test_where_nothing_can_tell_throttling_is_unknown_and_not_absent(tmp_path):
    reading = read_now(recorded(tmp_path))
    assert reading.throttled is None
    assert throttling([reading, reading]) is None
    assert throttling([]) is None


@pytest.mark.parametrize(
    ("name", "node", "now", "load"),
    [
        ("jetson-nano-jp4", "57000000.gpu", 921.6, 0.992),
        ("jetson-xavier-nx-jp5", "17000000.gv11b", 1109.25, 0.870),
        ("jetson-orin-nano-jp6", "17000000.gpu", 1020, 0.998),
        ("jetson-thor-jp7", "gpu-gpc-0", 1575, None),
    ],
)
def test_the_clock_of_the_gpu(device, name, node, now, load):
    clocks = read_device_clocks(device(name))
    found = gpu_clock(clocks)
    assert found == clocks[node]
    assert (found.now, found.high, found.load) == (now, now, load)


def test_a_machine_without_a_gpu_has_no_such_clock(device):
    assert gpu_clock(read_device_clocks(device("x86"))) is None


def test_processors_in_their_order(device):
    clocks = read_cpu_clocks(device("jetson-thor-jp7"))
    assert list(clocks) == [f"cpu{number}" for number in range(14)]
    assert clocks["cpu0"].now == 2601
    nano = read_conditions(device("jetson-xavier-nx-jp5"))
    assert (nano.cpu_mhz, nano.cpu_hardware_mhz, nano.cpu_governor) == (1420.8, 1907.2, "schedutil")


class TestJetsonClocks:
    def test_dynamic_clocks_are_not_locked(self, device):
        found = read_jetson_clocks(device("jetson-nano-jp4"))
        assert found.locked is False
        assert found.units["GPU"].high == 921_600_000
        assert found.units["EMC"].override is False

    def test_locked_clocks(self, device):
        found = read_jetson_clocks(device("jetson-xavier-nx-jp5"))
        assert found.locked is True
        assert len(found.units) == 8

    def test_memory_alone_can_spoil_it(self, roots):
        text = (roots["jetson-xavier-nx-jp5"] / "commands/jetson_clocks_--show.txt").read_text()
        assert parse_jetson_clocks(text.replace("FreqOverride=1", "FreqOverride=0")).locked is False

    def test_a_processor_that_is_off_does_not_count(self, roots):
        text = (roots["jetson-xavier-nx-jp5"] / "commands/jetson_clocks_--show.txt").read_text()
        off = "cpu9: Online=0 Governor=x MinFreq=1 MaxFreq=2 CurrentFreq=1\n"
        assert parse_jetson_clocks(text + off).locked is True

    def test_without_root_it_is_unknown(self, device):
        assert read_jetson_clocks(device("jetson-orin-nano-jp6")) is None
        assert read_conditions(device("jetson-orin-nano-jp6")).clocks_locked is None
        assert parse_jetson_clocks("Error: Run this script as a root user") is None


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: MAXN\n0\n", PowerMode("MAXN", 0)),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: 5W\n1\n", PowerMode("5W", 1)),
        ("NVPM VERB: Config file: x\nNV Fan Mode:quiet\nNV Power Mode: MODE_30W_ALL\n3\n",
         PowerMode("MODE_30W_ALL", 3)),
        ("NV Power Mode: 25W", PowerMode("25W", None)),
        ("NVPM ERROR: no mode", None),
    ],
)  # fmt: skip
def test_nvpmodel(text, mode):
    assert parse_nvpmodel(text) == mode


@pytest.mark.parametrize(
    ("l4t", "jetpack"),
    [
        ("32.7.1", "4.6.1"), ("32.7.4", "4.6.4"), ("35.1", "5.0.2"), ("35.1.0", "5.0.2"),
        ("35.4.1", "5.1.2"), ("36.4.0", "6.1"), ("36.4.7", "6.2.1+"), ("38.2.1", "7.0+"),
        ("39.2.0", "7.2"), ("28.1", None), ("99.0", None),
    ],
)  # fmt: skip
def test_jetpack_of_a_release(l4t, jetpack):
    assert jetpack_of(l4t) == jetpack


def test_a_file_that_is_no_release():
    assert parse_release("hello") is None


@pytest.mark.parametrize(
    ("text", "now", "since"),
    [
        ("throttled=0x0", (), ()),
        ("throttled=0x50005", ("under-voltage", "throttled"), ("under-voltage", "throttled")),
        ("throttled=0xe0008", ("soft temperature limit",),
         ("frequency capped", "throttled", "soft temperature limit")),
        ("throttled=0x50000", (), ("under-voltage", "throttled")),
    ],
)  # fmt: skip
def test_get_throttled(text, now, since):
    found = parse_throttled(text)
    assert (found.now, found.since_boot) == (now, since)


def test_no_line_of_vcgencmd():
    assert parse_throttled("VCHI initialization failed") is None


class TestTegrastats:
    @pytest.mark.parametrize(
        ("field", "load", "clock"),
        [
            ("GR3D_FREQ 35%@921", 0.35, 921),
            ("GR3D_FREQ 0%@[1300,1275]", 0.0, 1300),
            ("GR3D_FREQ @[1000,1002,1001]", None, 1002),
            ("GR3D_FREQ 12%", 0.12, None),
            ("", None, None),
        ],
    )
    def test_the_forms_of_the_gpu(self, field, load, clock):
        found = parse_tegrastats(f"RAM 1/2MB (lfb 1x4MB) CPU [0%@345] EMC_FREQ 0% {field} APE 150")
        assert (found.gpu_load, found.gpu_mhz) == (load, clock)

    def test_a_line_of_jetpack_4(self, roots):
        found = last_line(roots["jetson-nano-jp4"] / "tegrastats.log")
        assert (found.ram_mb, found.ram_total_mb) == (1409, 3964)
        assert found.cpu_load == (0.22, 0.67, None, None)
        assert found.emc_mhz == 1600
        assert found.rails == {"POM_5V_IN": 2003, "POM_5V_GPU": 0, "POM_5V_CPU": 320}
        assert found.temperatures["thermal"] == 31.25

    def test_a_line_of_an_agx_orin(self):
        line = (
            "04-11-2025 10:36:27 RAM 4321/62801MB (lfb 1759x4MB) SWAP 19/31400MB (cached 0MB) CPU "
            "[0%@729,1%@729] EMC_FREQ 0%@2133 GR3D_FREQ 0%@[0,0] VIC_FREQ 729 APE 174 CV0@-256C "
            "CPU@44.562C Tboard@32C GPU@-256C tj@44.343C VDD_GPU_SOC 2340mW/2341mW VDD_CPU_CV "
            "390mW/391mW VIN_SYS_5V0 4025mW/4026mW NC 0mW/0mW"
        )
        found = parse_tegrastats(line)
        assert found.rails == {"VDD_GPU_SOC": 2340, "VDD_CPU_CV": 390, "VIN_SYS_5V0": 4025}
        assert found.temperatures == {"CPU": 44.562, "Tboard": 32, "tj": 44.343}
        assert found.gpu_mhz == 0

    def test_a_line_of_a_thor_has_no_gpu_field_and_a_rail_below_zero(self, roots):
        found = last_line(roots["jetson-thor-jp7"] / "tegrastats.log")
        assert found.gpu_load is None
        assert found.rails["VDD_GPU"] == -392
        assert found.rails["VIN"] == 26000
        assert found.temperatures == {"cpu": 53.718, "tj": 55.093}

    def test_another_line_is_none(self):
        assert parse_tegrastats("tegrastats: command not found") is None

    def test_a_log_whose_last_line_is_still_being_written(self, tmp_path):
        log = tmp_path / "log"
        log.write_text("RAM 1/8MB x\nRAM 2/8MB x\nRAM 3")
        assert last_line(log).ram_mb == 2
        assert last_line(tmp_path / "absent") is None

    def test_a_log_fills_in_what_files_do_not_tell(self, roots):
        log = roots["jetson-nano-jp4"] / "tegrastats.log"
        root = roots["x86"]
        reading = read_now(Source(root, recorded(root).ask, log))
        assert reading.total_mw == 2003
        assert reading.clocks_mhz["gpu"] == 921
        assert reading.temperatures_c["x86_pkg_temp"] == 61  # files come first


def test_counters_that_grow_are_throttling(device):
    before = read_counters(device("jetson-orin-nano-jp6"))
    assert before["instantaneous over-current (oc3)"] == 7
    after = before | {"instantaneous over-current (oc3)": 9}
    assert grown(before, after) == ("instantaneous over-current (oc3) (+2)",)
    readings = [Reading(0.0, counters=before), Reading(1.0, counters=after)]
    assert throttling(readings) == ("instantaneous over-current (oc3) (+2)",)
    assert throttling(readings[:1]) == ()


def test_counters_of_a_processor(device):
    assert read_counters(device("x86")) == {
        "cpu0 core": 11,
        "cpu0 package": 30,
        "cpu1 core": 9,
    }


def test_memory_that_the_gpu_holds(device):
    assert read_gpu_memory_mb(device("jetson-orin-nano-jp6")) == 206
    assert read_gpu_memory_mb(device("x86")) is None
    assert read_used_mb(device("x86")) == pytest.approx(7_000_000 / 1024)


@pytest.mark.parametrize(
    ("name", "module", "cuda"),
    [
        ("jetson-nano-jp4", "nvidia,p3449-0000-b00+p3448-0000-b00", "10.2.300"),
        ("jetson-orin-nano-jp6", "nvidia,p3768-0000+p3767-0005-super", "12.6.11"),
        ("x86", None, None),
    ],
)
def test_module_and_cuda(device, name, module, cuda):
    found = read_conditions(device(name))
    assert (found.module, found.cuda) == (module, cuda)


def test_one_reading_of_a_hot_pi(roots, device):
    reading = read_now(device("raspberry-pi-5"), clock=lambda: 3.5)
    assert reading.at == 3.5
    assert reading.throttled == ("cpufreq-cpu0", "soft temperature limit")
    assert reading.temperatures_c == {"cpu-thermal": 82.35}
    assert reading.clocks_mhz == {"cpu": 2200}
    assert reading.total_mw is None
    assert describe(root=roots["raspberry-pi-5"]).device_class == "raspberry-pi"


class TestAsking:
    def test_what_a_command_prints(self):
        assert ask(("echo", "hello")) == "hello\n"

    @pytest.mark.parametrize("command", [("false",), ("no-such-command-anywhere", "-q")])
    def test_a_command_that_fails_says_nothing(self, command):
        assert ask(command) is None

    def test_a_file_that_cannot_be_read_says_nothing(self, tmp_path):
        (tmp_path / "number").write_text("none")
        source = recorded(tmp_path)
        assert source.number("number") is None
        assert source.number("absent") is None
        assert source.text(".") is None
