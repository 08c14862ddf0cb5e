from pathlib import Path

import pytest

import allnet_edge
from allnet_edge.errors import EnvironmentMismatch, RecipeError, UnknownNameError
from allnet_edge.spec.shipped import shipped_folder
from allnet_edge.spec.target import Target, all_targets, load_target, targets_in
from allnet_edge.spec.target_checks import PYTHON_OF_PACKAGE, version

TARGETS = {target.name: target for target in all_targets()}
JETSONS = {name: target for name, target in TARGETS.items() if target.kind == "jetson"}

# SM, CUDA cores, tensor cores, GPU MHz, dense FP16 and INT8 TOPS of the GPU, DLAs, GB, GB/s.
# The figures as the project's sources have them, typed here a second time.
MODULES = {
    "jetson-nano": ("5.3", 128, 0, 921, 0.47, None, 0, 4, 25.6),
    "jetson-tx2": ("6.2", 256, 0, 1300, 1.33, None, 0, 8, 59.7),
    "jetson-xavier-nx": ("7.2", 384, 48, 1100, 6.8, 13.5, 2, 8, 59.7),
    "jetson-agx-xavier": ("7.2", 512, 64, 1377, 11.3, 22.6, 2, 32, 136.5),
    "jetson-orin-nano": ("8.7", 1024, 32, 625, 10.2, 20.5, 0, 8, 68),
    "jetson-orin-nano-super": ("8.7", 1024, 32, 1020, 16.7, 33.4, 0, 8, 102),
    "jetson-orin-nx-16": ("8.7", 1024, 32, 918, 15, 30, 2, 16, 102),
    "jetson-orin-nx-16-super": ("8.7", 1024, 32, 1173, 19.2, 38.4, 2, 16, 102),
    "jetson-orin-nx-8": ("8.7", 1024, 32, 765, 12.5, 25, 1, 8, 102),
    "jetson-orin-nx-8-super": ("8.7", 1024, 32, 1173, 19.2, 38.4, 1, 8, 102),
    "jetson-agx-orin-32": ("8.7", 1792, 56, 930, 26.7, 53, 2, 32, 204.8),
    "jetson-agx-orin-64": ("8.7", 2048, 64, 1301, 42.6, 85, 2, 64, 204.8),
    "jetson-thor-t5000": ("11.0", 2560, 96, 1575, 258, 517, 0, 128, 273),
    "jetson-thor-t4000": ("11.0", 1536, 64, None, 150, 300, 0, 64, 273),
}


def test_every_device_of_the_table_is_there():
    assert set(TARGETS) == {*MODULES, "raspberry-pi-4", "raspberry-pi-5", "x86"}
    assert list(TARGETS) == sorted(TARGETS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("jetson", "jetson-orin-nano-super"), ("pi", "raspberry-pi-5"), ("x86", "x86")],
)
def test_names_and_aliases_lead_to_a_device(name, expected):
    assert load_target(name).name == expected


@pytest.mark.parametrize("name", MODULES)
def test_a_jetson_has_the_figures_of_its_module(name):
    target = TARGETS[name]
    module = target.module
    assert module is not None

    def value(figure):
        return figure.value if figure else None

    found = (
        module.sm, value(module.cuda_cores), value(module.tensor_cores) or 0,
        value(module.gpu_mhz), value(module.fp16_tops), value(module.int8_tops),
        module.dla, module.memory_gb.value, module.bandwidth_gb_s.value,
    )  # fmt: skip
    assert found == MODULES[name]
    assert module.fp16_tops.source.startswith("computed")


@pytest.mark.parametrize("name", [name for name, row in MODULES.items() if row[2] and row[3]])
def test_computed_figures_can_be_computed(name):
    """Operations a tensor core and clock: 128 (Volta), 512 (Ampere); Thor 2048 on 4 a real SM."""
    _, cuda, cores, mhz, fp16, int8, *_ = MODULES[name]
    if name == "jetson-thor-t5000":
        cores, each = cuda / 128 * 4, 2048
    else:
        each = {"7.2": 128, "8.7": 512}[MODULES[name][0]]
    assert fp16 == pytest.approx(cores * each * mhz / 1e6, rel=0.01)
    assert int8 == pytest.approx(2 * fp16, rel=0.03)


@pytest.mark.parametrize("target", JETSONS.values(), ids=JETSONS)
def test_what_a_jetson_can_be_given(target):
    assert target.runtimes[0] == "tensorrt"
    assert not target.tensorrt.dla
    assert not target.tensorrt.sparse_weights
    assert target.tensorrt.workspace_mb.value <= 128 * target.module.memory_gb.value
    old = target.name in {"jetson-nano", "jetson-tx2"}
    assert ("int8" in target.precisions) is not old
    assert target.trt_proof_sms == {"8.7": (86, 89), "11.0": (120,)}.get(target.module.sm, ())


def test_python_3_6_means_opset_13_and_trtexec():
    rows = [row for one in JETSONS.values() for row in one.jetpack if row.python == "3.6"]
    assert len(rows) == 4  # Nano, TX2, Xavier NX, AGX Xavier
    assert {(row.opset, row.serve) for row in rows} == {(13, "trtexec")}


def test_a_release_says_the_same_on_every_board():
    seen = {}
    for target in JETSONS.values():
        for row in target.jetpack:
            facts = row.model_dump(exclude={"source"})
            assert seen.setdefault(row.version, facts) == facts
    assert len(seen) == 7


def test_super_modes_need_the_release_that_has_them():
    for name, target in JETSONS.items():
        if name.endswith("-super"):
            assert target.power_modes[0].name == "MAXN_SUPER"
            assert {"5.1.x", "6.0"}.isdisjoint(row.version for row in target.jetpack)


def test_the_old_cortex_is_warned_of_int8():
    assert TARGETS["raspberry-pi-4"].precisions[0] == "fp32"
    assert any("depth-wise" in note.text for note in TARGETS["raspberry-pi-4"].notes)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_budget_is_called_our_choice(target):
    assert target.latency_budget_ms.source.startswith("our choice")


def test_the_python_that_the_package_needs_is_that_of_pyproject():
    needs = ".".join(map(str, PYTHON_OF_PACKAGE))
    pyproject = Path(allnet_edge.__file__).parents[1] / "pyproject.toml"
    assert f'requires-python = ">={needs}"' in pyproject.read_text()


@pytest.mark.parametrize(
    ("text", "lowest"), [("8.0-8.2.1", (8, 0)), ("10.16", (10, 16)), ("8.7", (8, 7))]
)
def test_the_lowest_version_of_a_range(text, lowest):
    assert version(text) == lowest


def test_an_unknown_name_is_refused_with_the_nearest_and_the_list():
    with pytest.raises(UnknownNameError, match="did you mean raspberry-pi-5") as caught:
        load_target("rasberry-pi-5")
    assert "jetson" in str(caught.value.fix)
    assert caught.value.exit_code == 2


@pytest.fixture
def own(tmp_path: Path):
    """A target file of the user's own, changed."""

    def write(old: str, new: str, name: str = "x86.toml", of: str = "x86") -> Path:
        text = (shipped_folder("targets") / f"{of}.toml").read_text()
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new))
        return tmp_path / name

    return write


def test_a_file_of_the_users_own_is_read(own):
    assert load_target(str(own("Mini PC", "My PC"))).title.startswith("My PC")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Mini', 'tilte = "x"\ntitle = "Mini', "unknown key tilte, did you mean title"),
        ('"fp32"]', '"fp23"]', "precisions"),
        ('formats = ["onnx", "tflite"]', 'formats = ["onnx"]', "formats and runtimes"),
        ('kind = "x86"', 'kind = "jetson"', "jetson needs jetpack rows"),
        ("value = 100", "value = 0", "greater than 0"),
        ('source = "our choice:', 'sauce = "our choice:', "unknown key latency_budget_ms.sauce"),
        ("value = 100", "value = = 100", "not valid TOML"),
        ('runtimes = ["onnx", ', 'runtimes = ["onnx", "tensorrt", ', "comes with JetPack"),
        ('"fp32"]', '"fp16"]', r"no runtime of this target \(onnx, litert\) computes fp16"),
        ('["int8", "mixed", "fp32"]', '["int8", "int8"]', "precisions names 'int8' 2 times"),
        ("[latency", "trt_proof_sms = [86]\n[latency", "need 'tensorrt' among the runtimes"),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(old, new, message, own):
    with pytest.raises(RecipeError, match=message):
        load_target(str(own(old, new)))


@pytest.mark.parametrize(
    ("of", "old", "new", "message"),
    [
        ("nano", '["fp16"', '["int8", "fp16"', "int8 on a module with no fast INT8"),
        ("nano", '["fp16"', '["mixed", "fp16"', "mixed on a module with no fast INT8"),
        ("nano", "fp16_tops", "int8_tops", "computes fp16"),
        ("nano", "dla = false", "dla = true", r"without a DLA \(module.dla is 0\)"),
        ("xavier-nx", "weights = false", "weights = true", "this module has SM 7.2"),
        ("nano", "opset = 13", "opset = 17", "reads opset 13 at most, not 17"),
        ("nano", "opset = 13", "opset = 18", "jetpack.0.opset"),
        ("nano", '"trtexec"', '"package"', "has Python 3.6, allnet-edge needs 3.10"),
        ("nano", "value = 512", "value = 4000", "as much as the whole memory"),
        ("nano", '"5W"', '"MAXN"', "power_modes names 'MAXN' 2 times"),
        ("nano", "[tensorrt]", "[tensorrtt]", "unknown key tensorrtt, did you mean tensorrt"),
        ("nano", 'tensorrt = "8.0-8.2.1"', 'tensorrt = "8.x"', "jetpack.0.tensorrt"),
        ("nano", 'kind = "jetson"', 'kind = "pi"', "'pi' has no jetpack"),
        ("nano", 'sm = "5.3"', "", "needs jetpack rows and the module's sm"),
    ],
)
def test_a_jetson_that_contradicts_itself_is_refused(of, old, new, message, own):
    name = f"jetson-{of}"
    with pytest.raises(RecipeError, match=message):
        load_target(str(own(old, new, f"{name}.toml", name)))


def test_options_that_the_module_has_are_accepted(own):
    name = "jetson-orin-nx-8"
    for option in ("dla", "sparse_weights"):
        path = own(f"{option} = false", f"{option} = true", f"{name}.toml", name)
        assert getattr(load_target(str(path)).tensorrt, option) is True


def test_one_name_for_two_devices_is_refused(own, tmp_path):
    own('title = "Mini', 'aliases = ["box"]\ntitle = "Mini')
    other = own('name = "x86"', 'name = "y86"\naliases = ["box"]', "y86.toml")
    with pytest.raises(RecipeError, match=r"'box' is a name of two targets, x86.toml and y86.toml"):
        targets_in(tmp_path)
    other.unlink()
    assert [one.name for one in targets_in(tmp_path)] == ["x86"]


def test_a_target_survives_the_way_to_a_worker():
    for target in TARGETS.values():
        assert Target.model_validate_json(target.model_dump_json()) == target


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
