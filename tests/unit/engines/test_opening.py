import importlib
import logging

import numpy as np
import pytest
from device_models import Weights, cell_images, onnx_model

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.engines import open_runner
from allnet_edge.engines.opening import open_candidate, require, select
from allnet_edge.errors import (
    ConversionError,
    EnvironmentMismatch,
    IntegrityError,
    MissingDependencyError,
    UnknownNameError,
    UsageError,
)


@pytest.fixture
def without(monkeypatch):
    """Makes a runtime of this machine unavailable."""
    real = importlib.import_module

    def hide(*engines: str) -> None:
        hidden = {f"allnet_edge.engines.{engine}" for engine in engines}

        def load(name: str, package: str | None = None):
            if name in hidden:
                raise ModuleNotFoundError(f"No module named '{name}'", name=name)
            return real(name, package)

        monkeypatch.setattr(importlib, "import_module", load)

    return hide


def test_a_bundle_opens_with_its_chosen_candidate(make_bundle):
    folder = make_bundle()
    bundle = Bundle.open(folder)
    for source in (bundle, folder, str(folder)):
        with open_runner(source) as runner:
            assert runner.path == folder / "model/model.int8.tflite"
            golden = bundle.golden()
            np.testing.assert_array_equal(
                runner.infer(golden.images), golden.outputs["litert.int8"]
            )


def test_a_named_candidate_is_used_whatever_its_verdict(make_bundle):
    bundle = Bundle.open(make_bundle(verdicts={"onnx.fp32": "fail"}))
    with open_runner(bundle, "onnx.fp32") as runner:
        assert runner.engine == "onnx"


def test_a_named_candidate_without_its_runtime_is_not_replaced(make_bundle, without):
    bundle = Bundle.open(make_bundle())
    without("litert")
    with pytest.raises(MissingDependencyError, match=r"pip install 'allnet-edge\[litert\]'"):
        open_runner(bundle, "litert.fp32")


def test_an_unknown_candidate_is_refused(make_bundle):
    with pytest.raises(UnknownNameError, match=r"onnx\.fp32"):
        open_runner(make_bundle(), "onnx.fp23")


def test_without_the_chosen_runtime_the_next_that_passed_is_used_and_told(
    make_bundle, without, caplog
):
    bundle = Bundle.open(make_bundle())
    without("litert")
    with caplog.at_level(logging.WARNING):
        runner = open_runner(bundle)
    assert runner.engine == "onnx"
    assert "using candidate onnx.fp32 (litert.int8: the litert runtime is not" in caplog.text


def test_a_fallback_must_have_passed_its_gate(make_bundle, without):
    verdicts = {"litert.fp32": "fail", "onnx.fp32": "inconclusive"}
    bundle = Bundle.open(make_bundle(verdicts=verdicts))
    without("litert")
    with pytest.raises(EnvironmentMismatch, match="gate verdict inconclusive") as caught:
        open_runner(bundle)
    assert "litert.fp32: gate verdict fail" in str(caught.value)


def test_a_choice_stands_although_it_failed(make_bundle):
    selection = select(Bundle.open(make_bundle(verdicts={"litert.int8": "fail"})))
    assert selection.candidate.id == "litert.int8"
    assert selection.note == ""


def test_without_a_choice_the_first_that_passed_is_used(make_bundle):
    bundle = Bundle.open(make_bundle(chosen="none", verdicts={"litert.int8": "fail"}))
    selection = select(bundle)
    assert selection.candidate.id == "litert.fp32"
    assert "litert.int8: gate verdict fail" in selection.note


def test_a_changed_model_is_not_opened(make_bundle):
    folder = make_bundle()
    (folder / "model/model.int8.tflite").write_bytes(b"x")
    with pytest.raises(IntegrityError):
        open_runner(folder)


@pytest.mark.parametrize("name", ["model.bin", "absent.onnx", "absent"])
def test_what_is_no_model_is_a_usage_error(name, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(UsageError, match="neither a bundle's folder nor a model file"):
        open_runner(tmp_path / name)


def test_a_runtime_that_is_not_there_names_its_extra():
    with pytest.raises(MissingDependencyError, match=r"allnet-edge\[nonsense\]"):
        require("nonsense")


def test_all_candidates_of_a_bundle_open(make_bundle):
    bundle = Bundle.open(make_bundle())
    for candidate in bundle.manifest.candidates:
        with open_candidate(bundle, candidate, threads=1) as runner:
            assert runner.infer(cell_images(2)).shape == (2,)


@pytest.mark.parametrize(
    ("pixels", "batch", "message"),
    [("UINT8", 4, r"\[4, 32, 32, 3\]"), ("INT64", 1, "tensor\\(int64\\)")],
    ids=["a batch of four", "integers"],
)
def test_a_graph_of_another_shape_or_type_is_refused(pixels, batch, message, tmp_path):
    path = onnx_model(Weights.random(1), tmp_path / "m.onnx", pixels, batch)
    with pytest.raises(ConversionError, match=message), open_runner(path):
        pass
