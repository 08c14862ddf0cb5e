import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from allnet_edge.artifacts import files
from allnet_edge.artifacts.bundle import Bundle, is_bundle_of
from allnet_edge.artifacts.manifest import BundleManifest, Candidate, DataOrigin, Source, Threshold
from allnet_edge.errors import IntegrityError, OutputDirError, UnknownNameError, UsageError


@pytest.fixture
def bundle(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle()


def edit(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change a JSON file in place."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_it_holds_what_the_contract_lists(bundle):
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert names == {
        "manifest.json",
        "signature",
        "preprocess.json",
        "threshold.json",
        "model/model.fp32.onnx",
        "model/model.fp32.tflite",
        "model/model.int8.tflite",
        "golden/inputs.npz",
        "golden/outputs.npz",
        "golden/tolerance.json",
        "docs/model_card.md",
        "docs/sbom.cdx.json",
    }
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert set(manifest["files"]) == names - {"manifest.json", "signature"}
    assert manifest["schema_version"] == 1
    assert (manifest["classes"], manifest["positive"]) == (["hem", "all"], "all")
    assert [one["id"] for one in manifest["candidates"] if one["chosen"]] == ["litert.int8"]
    assert set(manifest["source"]) >= {"run_sha256", "float_sha256"}


def test_an_open_bundle_gives_back_what_was_written(bundle):
    opened = Bundle.open(bundle)
    assert opened.preprocess.size == 32
    assert opened.thresholds["onnx.fp32"].abstain == (0.4, 0.6)
    assert opened.chosen is opened.candidate("litert.int8")
    golden = opened.golden()
    assert golden.images.dtype == np.uint8
    assert set(golden.outputs) == {"litert.int8", "litert.fp32", "onnx.fp32"}


def test_where_its_figures_come_from_is_kept(make_bundle):
    origin = DataOrigin(layout="phantom", split="patient", leaking=False)
    manifest = Bundle.open(make_bundle(data=origin)).manifest
    assert (manifest.data, manifest.phantom) == (origin, True)
    real = DataOrigin(layout="aria", split="block", leaking=True)
    assert not Bundle.open(make_bundle(data=real)).manifest.phantom


def test_a_manifest_that_does_not_say_where_its_figures_come_from_is_read(make_bundle):
    """Bundles are made without it by tests and were made so before it existed."""
    folder = make_bundle()
    edit(folder / "manifest.json", lambda raw: raw.pop("data"))
    manifest = Bundle.open(folder).manifest
    assert manifest.data is None
    assert not manifest.phantom


def test_an_unknown_candidate_is_refused_with_the_nearest(bundle):
    with pytest.raises(UnknownNameError, match=r"did you mean litert\.int8"):
        Bundle.open(bundle).candidate("litert.int9")


def test_equal_arguments_make_equal_bytes(bundle, make_bundle, tmp_path):
    first = files.hash_tree(bundle)
    shutil.rmtree(bundle)
    assert files.hash_tree(make_bundle()) == first


def test_it_takes_the_place_of_an_older_bundle(bundle, make_bundle):
    make_bundle(name="second")
    assert Bundle.open(bundle).manifest.name == "second"
    assert [entry.name for entry in bundle.parent.iterdir() if ".tmp-" in entry.name] == []


def test_a_folder_that_is_no_bundle_is_not_replaced(make_bundle, tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "thesis.docx").write_text("precious")
    with pytest.raises(OutputDirError):
        make_bundle()
    assert (tmp_path / "bundle" / "thesis.docx").read_text() == "precious"


def test_a_bundle_that_would_not_open_is_not_written(make_bundle, tmp_path):
    with pytest.raises(IntegrityError, match="every candidate"):
        make_bundle(thresholds={"litert.int8": Threshold(threshold=0.5, fitted_on="validation")})
    assert list(tmp_path.glob("bundle*")) == []


EVERY_FILE = [
    "preprocess.json",
    "threshold.json",
    "model/model.int8.tflite",
    "golden/outputs.npz",
    "docs/model_card.md",
]


@pytest.mark.parametrize("name", EVERY_FILE)
def test_one_changed_bit_is_found_and_the_file_named(name, bundle):
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(IntegrityError, match="has changed") as caught:
        Bundle.open(bundle)
    assert caught.value.where == str(bundle / name)
    assert caught.value.exit_code == 7
    assert "copy" in str(caught.value.fix)


@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_missing_file_is_found_and_named(name, bundle):
    (bundle / name).unlink()
    with pytest.raises(IntegrityError, match=f"{name} is missing"):
        Bundle.open(bundle)


def test_an_additional_file_is_found_and_named(bundle):
    (bundle / "model" / "evil.tflite").write_bytes(b"x")
    with pytest.raises(IntegrityError, match=r"model/evil\.tflite is not part"):
        Bundle.open(bundle)


def test_a_link_is_not_followed(bundle, tmp_path):
    card = bundle / "docs" / "model_card.md"
    card.rename(tmp_path / "card.md")
    card.symlink_to(tmp_path / "card.md")
    with pytest.raises(IntegrityError, match="is a link"):
        Bundle.open(bundle)


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "a/../../outside", "a//b", "./a", "a\\..\\b", "."]
)
def test_names_that_lead_outside_are_refused(name, bundle):
    edit(bundle / "manifest.json", lambda manifest: manifest["files"].update({name: "0" * 64}))
    with pytest.raises(IntegrityError, match="relative path"):
        Bundle.open(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(schema_version=2), "schema version 2"),
        (lambda m: m.update(schema_version="1"), "schema version '1'"),
        (lambda m: m.pop("schema_version"), "schema version None"),
        (lambda m: m.update(surprise=1), "unknown key surprise"),
        (lambda m: m.pop("classes"), "classes"),
        (lambda m: m["candidates"][1].update(chosen=True), "more than one candidate is chosen"),
        (lambda m: m["candidates"][1].update(id="litert.int8"), "two candidates have one id"),
        (lambda m: m["candidates"][0].update(file="model/none"), "is not among the files"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(change, message, bundle):
    edit(bundle / "manifest.json", change)
    with pytest.raises(IntegrityError, match=message) as caught:
        Bundle.open(bundle)
    assert caught.value.fix


def test_a_newer_schema_asks_for_an_update(bundle):
    edit(bundle / "manifest.json", lambda manifest: manifest.update(schema_version=2))
    with pytest.raises(IntegrityError, match="update allnet-edge"):
        Bundle.open(bundle)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\x00" * 50])
def test_a_manifest_that_is_no_manifest_is_refused(content, bundle):
    (bundle / "manifest.json").write_bytes(content)
    with pytest.raises(IntegrityError):
        Bundle.open(bundle)


def test_a_folder_without_a_manifest_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no bundle here"):
        Bundle.open(tmp_path)


def test_is_bundle_of_tells_the_work_and_sees_damage(bundle):
    assert is_bundle_of(bundle, "cd" * 32)
    assert not is_bundle_of(bundle, "ab" * 32)
    (bundle / "preprocess.json").write_text("{}")
    assert not is_bundle_of(bundle, "cd" * 32)
    assert not is_bundle_of(bundle / "nowhere", "cd" * 32)


@pytest.mark.parametrize("band", [(0.6, 0.7), (0.2, 0.4), (0.6, 0.4)])
def test_an_abstain_band_that_misses_the_threshold_is_refused(band):
    with pytest.raises(ValueError, match="must hold the threshold"):
        Threshold(threshold=0.5, fitted_on="validation", abstain=band)


def test_more_than_two_classes_have_no_positive_one():
    candidate = Candidate(id="a", engine="onnx", precision="fp32", file="m")
    manifest = {
        "name": "x",
        "model": "allnet",
        "target": "x86",
        "created": "now",
        "source": Source(float_sha256="0" * 64),
        "files": {"m": "0" * 64},
        "classes": ("a", "b", "c"),
        "candidates": (candidate,),
        "requires": {"allnet_edge": "0.1.0"},
    }
    assert BundleManifest(**manifest, positive=None).positive is None
    with pytest.raises(ValueError, match="not among the classes"):
        BundleManifest(**manifest, positive="d")
