"""Axes, curves and escaping hold for any input."""

import itertools
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.report import svg

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(numbers, st.floats(1e-6, 1e6), st.integers(1, 12))
def test_ticks_are_even_few_and_inside(low, width, about):
    high = low + width
    at = svg.ticks(low, high, about)
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert all(low - slack <= tick <= high + slack for tick in at)
    assert len(at) <= 2.5 * about + 2
    steps = [b - a for a, b in itertools.pairwise(at)]
    assert all(step == pytest.approx(steps[0], rel=1e-3, abs=slack) for step in steps)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=60))
def test_a_simplified_curve_keeps_its_ends_and_only_drops_points(points):
    curve = list(zip(sorted(x for x, _ in points), sorted(y for _, y in points), strict=True))
    kept = svg.simplified(curve)
    assert kept[0] == curve[0]
    assert kept[-1] == curve[-1]
    assert set(kept) <= set(curve)


@given(st.integers(300, 2000))
def test_a_long_curve_is_thinned(n):
    curve = [(at / n, (at / n) ** 0.5) for at in range(n + 1)]
    assert len(svg.simplified(curve, most=240)) <= 242


@given(st.text())
def test_text_is_escaped_once(content):
    drawn = svg.text(content, 0, 0)
    inner = drawn[drawn.index(">") + 1 : -len("</text>")]
    assert "<" not in inner
    assert unescape(inner) == content or "&" not in content


@given(st.text())
def test_attributes_cannot_be_broken_out_of(content):
    drawn = svg.tag("line", class_=content)
    assert drawn.count('"') == 2
