"""Every network of the zoo, second half: trained, resumed, evaluated and brought to a bundle."""

import pytest
from system_road import HALVES, walk


@pytest.mark.slow
@pytest.mark.parametrize("network", HALVES[1])
def test_it_trains_resumes_is_evaluated_and_reaches_a_bundle(network, few_cells, tmp_path):
    walk(network, few_cells, tmp_path)
