"""Percentiles that n supports, and the refusal of those that are none."""

import numpy as np
import pytest
from scipy import stats

from allnet_edge.errors import UsageError
from allnet_edge.measure.percentiles import percentile, queries_needed, supported


@pytest.mark.parametrize(("share", "n"), [(0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636)])
def test_the_published_minimums_of_early_stopping(share, n):
    assert queries_needed(share) == n


@pytest.mark.parametrize("share", [0.5, 0.75, 0.98, 0.9999, 0.99999])
def test_any_share_follows_the_binomial(share):
    n = queries_needed(share)
    assert stats.binom.cdf(1, n, 1 - share) <= 0.01 < stats.binom.cdf(1, n - 1, 1 - share)


@pytest.mark.parametrize("share", [0.0, 1.0, 99.9, -0.5])
def test_what_is_no_percentile_is_refused(share):
    with pytest.raises(UsageError, match="is no percentile"):
        queries_needed(share)


def test_one_query_too_few_is_unknown():
    samples = np.arange(6636.0)
    assert supported(samples[1:], 0.999) is None
    assert supported(samples, 0.999) == percentile(samples, 0.999) == 6629
