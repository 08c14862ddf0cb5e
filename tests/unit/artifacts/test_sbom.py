import json
import re

from allnet_edge.artifacts.sbom import make_sbom

MODELS = {"model/model.int8.tflite": "ab" * 32}


def bom(**changes: object) -> dict:
    arguments = {"name": "small", "created": "2026-01-02T03:04:05Z", "models": MODELS}
    return json.loads(make_sbom(**(arguments | changes)))


def test_it_is_cyclonedx_with_the_required_fields():
    found = bom()
    assert (found["bomFormat"], found["specVersion"], found["version"]) == ("CycloneDX", "1.5", 1)
    uuid = r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert re.fullmatch(uuid, found["serialNumber"])
    references = [component["bom-ref"] for component in found["components"]]
    assert len(set(references)) == len(references)
    assert all(component["type"] and component["name"] for component in found["components"])


def test_it_lists_the_runtimes_their_dependencies_and_no_tools_of_the_build():
    import numpy

    libraries = {
        component["name"]: component["version"]
        for component in bom()["components"]
        if component["type"] == "library"
    }
    assert libraries["numpy"] == numpy.__version__
    assert {"allnet-edge", "onnxruntime", "ai-edge-litert", "typing_extensions"} <= set(libraries)
    assert not {"tensorflow", "keras", "tf_keras", "pytest", "onnx"} & set(libraries)


def test_models_stand_with_their_hashes():
    models = [one for one in bom()["components"] if one["type"] == "machine-learning-model"]
    assert [(one["name"], one["hashes"][0]["content"]) for one in models] == list(MODELS.items())


def test_every_library_has_a_licence():
    libraries = [one for one in bom()["components"] if one["type"] == "library"]
    assert [one["name"] for one in libraries if not one.get("licenses")] == []


def test_it_depends_on_what_it_lists_alone():
    assert bom() == bom()
    assert bom()["serialNumber"] != bom(name="other")["serialNumber"]
    assert len(bom(packages=["numpy", "not-installed-anywhere"])["components"]) == 3
