"""Every attribute that we use is in the real bindings of TensorRT 8.6 to 11."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
RESULT = ROOT / "benchmarks" / "results" / "trt_conformance.json"


@pytest.fixture(scope="module")
def conformance() -> ModuleType:
    path = ROOT / "benchmarks" / "trt_conformance.py"
    spec = importlib.util.spec_from_file_location("trt_conformance", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_result_is_about_the_attributes_that_the_code_lists(conformance):
    found = json.loads(RESULT.read_text())
    assert found["required"] == {h: conformance.flat(a) for h, a in conformance.REQUIRED.items()}
    assert found["optional"] == {h: conformance.flat(a) for h, a in conformance.WANTED.items()}
    assert tuple(found["versions"]) == tuple(sorted(conformance.VERSIONS))


def test_no_cuda_runtime_lacks_a_function_that_we_call(conformance):
    found = json.loads(RESULT.read_text())["cuda"]
    assert found["functions"] == sorted(conformance.FUNCTIONS)
    assert len(found["missing"]) == len(conformance.CUDA)
    assert not any(found["missing"].values())


def test_no_version_lacks_what_is_required():
    found = json.loads(RESULT.read_text())["versions"]
    assert [version for version, row in found.items() if row["missing"]] == []


def test_what_the_versions_do_not_have_is_what_the_code_branches_on():
    found = json.loads(RESULT.read_text())["versions"]
    gone_in_11 = {
        "BuilderFlag.FP16",
        "BuilderFlag.INT8",
        "NetworkDefinitionCreationFlag.EXPLICIT_BATCH",
    }
    new_in_10 = {
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
        "ParserError.node_name",
        "ParserError.node_operator",
    }
    for version, row in found.items():
        expected = {"8": new_in_10, "11": gone_in_11}.get(version.partition(".")[0], set())
        assert set(row["optional_absent"]) == expected, version


@pytest.mark.parametrize("version", ["10.3.0", "11.4.0.106"])
def test_the_real_bindings_say_so_now(conformance, version):
    """Wheels of 1 MB: those of JetPack 6.2 and of the newest TensorRT."""
    try:
        row = conformance.examine(version)
    except (subprocess.CalledProcessError, SystemExit) as error:
        pytest.skip(f"no package index, no wheel for this Python, or no C compiler: {error}")
    assert row == json.loads(RESULT.read_text())["versions"][version]


def test_an_attribute_that_does_not_exist_is_found_missing(conformance, monkeypatch):
    monkeypatch.setattr(conformance, "REQUIRED", {"runtime": {"ICudaEngine": ("no_such_thing",)}})
    try:
        row = conformance.examine("10.3.0")
    except (subprocess.CalledProcessError, SystemExit) as error:
        pytest.skip(f"no package index, no wheel for this Python, or no C compiler: {error}")
    assert row["missing"] == ["ICudaEngine.no_such_thing"]
