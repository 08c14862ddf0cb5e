"""Every network of the zoo, with either head, trains on TensorFlow and on PyTorch."""

import importlib.util
import math

import pytest
from train_once import Step, steps_on

from allnet_edge import models

CASES = [f"{network}:{classes}" for network in models.network_names() for classes in (2, 4)]


@pytest.fixture(scope="module", params=["tensorflow", "torch"])
def steps(request: pytest.FixtureRequest) -> dict[str, Step]:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return steps_on(request.param, CASES)


@pytest.mark.parametrize("case", CASES)
def test_one_step_changes_every_weight_and_breaks_none(steps, case):
    assert math.isfinite(steps[case]["loss"])
    assert not steps[case]["unchanged"]
    assert not steps[case]["broken"]
