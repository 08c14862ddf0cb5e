"""Intervals of what is made of several shares, from the intervals of these.

Sources: the method of variance estimates recovery, Zou & Donner 2008 (Statistics in Medicine
27:1693) for sums; Donner & Zou 2012 (Statistical Methods in Medical Research 21:347) for ratios; F1
as a share, F1 = 2 J / (1 + J) with J = tp / (tp + fp + fn): Hand, Christen & Kirielle 2021 (Machine
Learning 110:451).
"""

import math
from collections.abc import Sequence

from allnet_edge.measure.intervals import Interval


def square_and_add(
    values: Sequence[float], intervals: Sequence[Interval], weights: Sequence[float]
) -> Interval:
    """Interval of a weighted mean of shares that are independent of each other, within 0..1.

    Args:
        values: The shares.
        intervals: Of each.
        weights: Of each, with the sum 1.
    """
    middle = sum(w * v for w, v in zip(weights, values, strict=True))
    parts = list(zip(weights, values, intervals, strict=True))
    down = math.sqrt(sum((w * (value - own.lower)) ** 2 for w, value, own in parts))
    up = math.sqrt(sum((w * (own.upper - value)) ** 2 for w, value, own in parts))
    return Interval(max(0.0, middle - down), min(1.0, middle + up))


def together(intervals: Sequence[Interval], weights: Sequence[float]) -> Interval:
    """Interval of a weighted mean of shares that rise and fall together: the mean of the bounds."""
    return Interval(
        sum(w * own.lower for w, own in zip(weights, intervals, strict=True)),
        sum(w * own.upper for w, own in zip(weights, intervals, strict=True)),
    )


def f1_of_share(share: Interval) -> Interval:
    """Interval of F1 from that of J = tp / (tp + fp + fn), of which it is a rising function."""
    return Interval(*(2 * bound / (1 + bound) for bound in share))


def ratio(over: float, over_in: Interval, under: float, under_in: Interval) -> Interval:
    """Interval of ``over / under`` for two independent shares; the upper bound may be infinite.

    Args:
        over: 0..1.
        over_in: Its interval.
        under: 0..1.
        under_in: Its interval.
    """
    product = over * under
    low_inside = product**2 - over_in.lower * under_in.upper * (2 * over - over_in.lower) * (
        2 * under - under_in.upper
    )
    high_inside = product**2 - over_in.upper * under_in.lower * (2 * over - over_in.upper) * (
        2 * under - under_in.lower
    )
    low_under = under_in.upper * (2 * under - under_in.upper)
    high_under = under_in.lower * (2 * under - under_in.lower)
    lower = 0.0
    if abs(low_under) > 1e-12:
        lower = max(0.0, (product - math.sqrt(max(low_inside, 0.0))) / low_under)
    upper = math.inf
    if high_under > 1e-12:
        upper = (product + math.sqrt(max(high_inside, 0.0))) / high_under
    return Interval(lower, upper)


def predictive_value(
    prevalence: float, found: float, found_in: Interval, cleared: float, cleared_in: Interval
) -> Interval:
    """Interval of the positive predictive value at a given prevalence (Bayes' theorem).

    It falls with the ratio of false alarms to hits, (1 - specificity) / sensitivity, whose interval
    is ``ratio``'s. For the negative one swap the roles and give ``1 - prevalence``.

    Args:
        prevalence: 0 < p < 1.
        found: Sensitivity.
        found_in: Its interval.
        cleared: Specificity.
        cleared_in: Its interval.
    """
    alarms = Interval(1 - cleared_in.upper, 1 - cleared_in.lower)
    odds = (1 - prevalence) / prevalence
    low, high = ratio(1 - cleared, alarms, found, found_in)
    return Interval(1 / (1 + odds * high), 1 / (1 + odds * low))
