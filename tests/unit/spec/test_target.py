from pathlib import Path

import pytest

import allnet_edge
from allnet_edge.errors import EnvironmentMismatch, RecipeError, UnknownNameError
from allnet_edge.spec.shipped import shipped_folder
from allnet_edge.spec.target import all_targets, load_target

TARGETS = {target.name: target for target in all_targets()}


def test_the_first_devices_are_there():
    names = {"jetson-orin-nano-super", "jetson-agx-orin-64", "raspberry-pi-5", "raspberry-pi-4"}
    assert names | {"x86"} <= set(TARGETS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("jetson", "jetson-orin-nano-super"), ("pi", "raspberry-pi-5"), ("x86", "x86")],
)
def test_names_and_aliases_lead_to_a_device(name, expected):
    assert load_target(name).name == expected


def test_no_name_leads_to_two_devices():
    names = [name for one in TARGETS.values() for name in (one.name, *one.aliases)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_device_is_complete_for_its_kind(target):
    assert all(target.latency_budget_ms.source.startswith(word) for word in ("our choice",))
    if target.kind == "jetson":
        assert target.power_modes
        assert target.trt_proof_sms == (86, 89)
        assert target.runtimes[0] == "tensorrt"
        module = target.module
        assert module is not None
        assert module.tensor_cores is not None
        assert module.gpu_mhz is not None
        assert module.fp16_tops is not None
        # Dense FP16: 512 floating point operations a tensor core and clock.
        computed = module.tensor_cores.value * 512 * module.gpu_mhz.value / 1e6
        assert module.fp16_tops.value == pytest.approx(computed, rel=0.01)
    else:
        assert "tensorrt" not in target.runtimes
    if target.kind == "pi":
        assert target.module is not None
        assert target.runtimes[0] == "litert"


def test_an_unknown_name_is_refused_with_the_nearest_and_the_list():
    with pytest.raises(UnknownNameError, match="did you mean raspberry-pi-5") as caught:
        load_target("rasberry-pi-5")
    assert "jetson" in str(caught.value.fix)
    assert caught.value.exit_code == 2


@pytest.fixture
def own(tmp_path: Path):
    """A target file of the user's own, changed."""

    def write(old: str, new: str, name: str = "x86.toml") -> Path:
        text = (shipped_folder("targets") / "x86.toml").read_text()
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new))
        return tmp_path / name

    return write


def test_a_file_of_the_users_own_is_read(own):
    assert load_target(str(own("PC with", "My PC with"))).title.startswith("My PC")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "PC', 'tilte = "x"\ntitle = "PC', "unknown key tilte, did you mean title"),
        ('"fp32"]', '"fp23"]', "precisions"),
        ('formats = ["onnx", "tflite"]', 'formats = ["onnx"]', "formats and runtimes"),
        ('kind = "x86"', 'kind = "jetson"', "jetson needs jetpack rows"),
        ("value = 100", "value = 0", "greater than 0"),
        ('source = "our choice', 'sauce = "our choice', "unknown key latency_budget_ms.sauce"),
        ("value = 100", "value = = 100", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(old, new, message, own):
    with pytest.raises(RecipeError, match=message):
        load_target(str(own(old, new)))


def test_a_file_that_does_not_bear_its_targets_name_is_refused(own):
    with pytest.raises(RecipeError, match="calls itself 'x86'"):
        load_target(str(own("PC with", "PC with", name="other.toml")))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="cannot read"):
        load_target(str(tmp_path / "none.toml"))


def test_the_wheels_own_copy_comes_before_a_folder_beside_the_package(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "allnet_edge"
    (package.parent / "targets").mkdir(parents=True)
    monkeypatch.setattr(allnet_edge, "__file__", str(package / "__init__.py"))
    assert shipped_folder("targets") == package.parent / "targets"
    (package / "_shipped" / "targets").mkdir(parents=True)
    assert shipped_folder("targets") == package / "_shipped" / "targets"
    with pytest.raises(EnvironmentMismatch, match="calibration"):
        shipped_folder("calibration")
