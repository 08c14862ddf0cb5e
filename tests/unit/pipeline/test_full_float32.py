"""No stage that runs the float network rounds it: on a GPU TF32 would."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf


class Reached(Exception):  # noqa: N818 - where the stage is stopped
    """The network is about to be made."""


@pytest.fixture
def tf32() -> Iterator[None]:
    """As TensorFlow starts: with TF32."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(True)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)


@pytest.mark.usefixtures("tf32")
@pytest.mark.parametrize(
    ("name", "function"), [("reference", "run"), ("prune", "run"), ("exporting", "network_of")]
)
def test_tf32_is_off_before_the_network_is_made(
    name: str, function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = importlib.import_module(f"allnet_edge.pipeline.stages.{name}")
    seen = []

    def instantiate(*_: object) -> None:
        seen.append(tf.config.experimental.tensor_float_32_execution_enabled())
        raise Reached

    monkeypatch.setattr(stage.float_model, "instantiate", instantiate)
    work = SimpleNamespace(
        sources=SimpleNamespace(run=tmp_path, reference=tmp_path), float_model=tmp_path
    )
    with pytest.raises(Reached):
        getattr(stage, function)(work)
    assert seen == [False]
