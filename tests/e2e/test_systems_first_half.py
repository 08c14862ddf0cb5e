"""Every network of the zoo, first half: trained, resumed, evaluated and brought to a bundle."""

import pytest
from system_road import HALVES, walk

from allnet_edge.models import network_names


@pytest.mark.slow
@pytest.mark.parametrize("network", HALVES[0])
def test_it_trains_resumes_is_evaluated_and_reaches_a_bundle(network, few_cells, tmp_path):
    walk(network, few_cells, tmp_path)


def test_the_halves_are_the_zoo():
    assert sorted(HALVES[0] + HALVES[1]) == sorted(network_names())
