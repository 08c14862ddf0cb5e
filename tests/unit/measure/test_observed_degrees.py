"""Fewer degrees of freedom where few clusters carry the variance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.measure.clusters import wilson_clustered


def test_many_equal_clusters_keep_nearly_all_of_them() -> None:
    rng = np.random.default_rng(0)
    cells = np.full(400, 50)
    called = rng.binomial(50, 0.5, 400)
    plain = wilson_clustered(called, cells, 0.975)
    assert wilson_clustered(called, cells, 0.975, observed_degrees=True) == pytest.approx(
        plain, abs=2e-4
    )


def test_one_cluster_that_holds_every_positive_cell_widens_the_interval() -> None:
    called, cells = np.array([9] + [0] * 29), np.full(30, 10)
    plain = wilson_clustered(called, cells, 0.975)
    honest = wilson_clustered(called, cells, 0.975, observed_degrees=True)
    assert honest.upper > 1.5 * plain.upper
    assert honest.lower < plain.lower


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12)), min_size=2, max_size=40),
)
def test_it_is_never_the_narrower_one(rows: list[tuple[int, int]]) -> None:
    called = np.array([min(a, b) for a, b in rows])
    cells = np.array([b for _, b in rows])
    plain = wilson_clustered(called, cells, 0.975)
    honest = wilson_clustered(called, cells, 0.975, observed_degrees=True)
    assert 0 <= honest.lower <= plain.lower + 1e-12
    assert 1 >= honest.upper >= plain.upper - 1e-12
