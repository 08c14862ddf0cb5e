"""Every network of the zoo trains on JAX, compiled by XLA: minutes of two cores in all.

The head of four classes is the same code for all; the small networks show it.
"""

import math

import pytest
from train_once import Step, steps_on

from allnet_edge import models

pytest.importorskip("jax", reason="JAX is not installed")
CASES = [
    *(f"{network}:2" for network in models.network_names()),
    *(f"{network}:4" for network in ("alnett", "custom_cnn", "mobilenetv2")),
]


@pytest.fixture(scope="module")
def steps() -> dict[str, Step]:
    return steps_on("jax", CASES)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_one_step_changes_every_weight_and_breaks_none(steps, case):
    assert math.isfinite(steps[case]["loss"])
    assert not steps[case]["unchanged"]
    assert not steps[case]["broken"]
