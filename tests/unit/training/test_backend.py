"""Which engine Keras 3 runs on, and that it is asked to be deterministic."""

import importlib.util
import os
import random

import pytest

from allnet_edge.errors import MissingDependencyError, UsageError
from allnet_edge.training.backend import choose_backend, engine_version, make_deterministic


@pytest.fixture
def installed(monkeypatch):
    """``installed("jax", "keras")``: a machine with only these packages."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")

    def only(*names: str) -> None:
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: object() if name in names else None
        )

    return only


@pytest.mark.parametrize(
    ("packages", "chosen"),
    [
        (("tensorflow", "jax", "torch"), "tensorflow"),
        (("jax", "torch"), "jax"),
        (("torch",), "torch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_the_first_engine_that_is_installed_is_chosen(installed, packages, chosen):
    installed("keras", *packages)
    assert choose_backend() == chosen
    assert os.environ["KERAS_BACKEND"] == chosen


@pytest.mark.parametrize("wanted", ["tensorflow", "jax", "torch"])
def test_the_users_choice_wins(installed, monkeypatch, wanted):
    installed("keras", "tensorflow", "jax", "torch")
    monkeypatch.setenv("KERAS_BACKEND", wanted)
    assert choose_backend() == wanted


def test_no_keras(installed):
    installed("tensorflow")
    with pytest.raises(MissingDependencyError, match="Keras 3") as caught:
        choose_backend()
    assert caught.value.exit_code == 3
    assert "allnet-edge[train]" in caught.value.fix


def test_no_engine(installed):
    installed("keras")
    with pytest.raises(MissingDependencyError, match="no engine") as caught:
        choose_backend()
    assert "tensorflow, jax, torch" in caught.value.fix
    assert "KERAS_BACKEND" not in os.environ


@pytest.mark.parametrize("wanted", ["theano", "", "TensorFlow"])
def test_a_name_of_no_engine(installed, monkeypatch, wanted):
    installed("keras", "tensorflow")
    monkeypatch.setenv("KERAS_BACKEND", wanted)
    with pytest.raises(UsageError, match=f"KERAS_BACKEND is '{wanted}'") as caught:
        choose_backend()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("packages", "named"), [(("jax",), "jax"), ((), "(none)")])
def test_an_engine_that_is_not_installed(installed, monkeypatch, packages, named):
    installed("keras", *packages)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(MissingDependencyError, match="not installed") as caught:
        choose_backend()
    assert named in caught.value.fix


def test_one_seed_makes_one_sequence():
    make_deterministic("jax", 3)
    first = random.random()
    make_deterministic("jax", 3)
    assert random.random() == first
    make_deterministic("jax", 4)
    assert random.random() != first


def test_versions_are_those_of_the_engine_itself():
    import tensorflow

    assert engine_version("tensorflow") == tensorflow.__version__
