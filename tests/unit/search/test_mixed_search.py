"""The search for the fewest multiply-accumulates in higher precision."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allnet_edge.errors import GateFailed
from allnet_edge.search.groups import Group, Layer
from allnet_edge.search.mixed import find
from allnet_edge.search.selection import Judgement


def groups_of(macs: list[int]) -> tuple[Group, ...]:
    return tuple(Group(f"g{i}", (Layer(f"layer{i}", m),)) for i, m in enumerate(macs))


def judged(acceptable: bool) -> Judgement:
    why = None if acceptable else "specificity -3.0 points"
    return Judgement(verdict="pass" if acceptable else "fail", why=why, cost=None)


class Additive:
    """A network whose noise is the sum of its int8 groups': acceptable up to a limit."""

    def __init__(self, noise: list[float], limit: float) -> None:
        self.noise = {f"layer{i}": value for i, value in enumerate(noise)}
        self.limit = limit
        self.tried: list[frozenset[str]] = []

    def __call__(self, kept: frozenset[str]) -> Judgement:
        self.tried.append(kept)
        return judged(sum(v for n, v in self.noise.items() if n not in kept) <= self.limit)


def test_nothing_is_given_back_where_int8_is_acceptable():
    groups = groups_of([5, 5])
    attempt = Additive([1, 1], limit=2)
    found = find(groups, {"g0": 1, "g1": 1}, attempt)
    assert (found.kept, found.layers, found.macs_share) == ((), (), 0.0)
    assert attempt.tried == [frozenset()]


def test_the_noisiest_group_for_its_size_is_given_back():
    groups = groups_of([100, 10, 100])
    noise = [1.0, 4.0, 1.5]
    found = find(groups, {f"g{i}": v for i, v in enumerate(noise)}, Additive(noise, 3))
    assert found.kept == ("g1",)
    assert found.layers == ("layer1",)
    assert found.macs_share == pytest.approx(10 / 210)


def test_what_was_given_back_for_nothing_is_taken_again():
    # By noise a MAC the small group comes first, but only the large one makes a difference.
    groups = groups_of([1, 100])
    found = find(groups, {"g0": 0.5, "g1": 10.0}, Additive([0.5, 10.0], 1))
    assert found.kept == ("g1",)
    tried = {step.kept for step in found.steps}
    assert ("g0",) in tried
    assert ("g0", "g1") in tried


def test_no_mixture_helps_where_the_float_form_is_not_acceptable():
    groups = groups_of([1, 1])
    with pytest.raises(GateFailed, match=r"without any int8 layer: specificity -3\.0 points"):
        find(groups, {"g0": 1.0, "g1": 1.0}, lambda _kept: judged(False))


@settings(deadline=None)
@given(st.data())
def test_what_is_found_is_acceptable_and_no_group_of_it_is_spare(data):
    macs = data.draw(st.lists(st.integers(1, 1000), min_size=1, max_size=9))
    noise = data.draw(st.lists(st.floats(0, 10), min_size=len(macs), max_size=len(macs)))
    limit = data.draw(st.floats(0, 30))
    groups = groups_of(macs)
    attempt = Additive(noise, limit)
    found = find(groups, {f"g{i}": v for i, v in enumerate(noise)}, attempt)
    kept = frozenset(found.layers)
    assert attempt(kept).acceptable
    assert not any(attempt(kept - {name}).acceptable for name in kept)
    tried = [step.kept for step in found.steps]
    assert len(set(tried)) == len(tried)
    assert len(tried) <= 2 * len(macs) + 4
