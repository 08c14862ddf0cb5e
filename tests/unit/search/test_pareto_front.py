"""Which candidate wins, which are on the front, and the reason that each of the rest is given."""

import itertools
import random

import pytest

from allnet_edge.search.pareto import Candidate, decide, dominates


def candidate(name: str, drop: float, ms: float, size: int = 100, refused: str | None = None):
    return Candidate(name, drop, ms, size, refused)


def test_the_fastest_acceptable_form_wins_and_not_the_fastest_of_all():
    found = decide(
        [
            candidate("float", 0.0, 9.0),
            candidate("int8", 0.004, 3.0),
            candidate("ruined", 0.2, 1.0, refused="sensitivity -20.0 points"),
        ],
        budget_ms=10,
    )
    assert found.winner == "int8"
    assert found.closest is None
    assert found.places["ruined"].status == "not-acceptable"
    assert "sensitivity -20.0 points" in found.places["ruined"].why
    assert found.places["float"].status == "slower"
    assert "3.00 x the winner's time" in found.places["float"].why


def test_the_front_holds_refused_candidates_and_no_dominated_one():
    found = decide(
        [
            candidate("a", 0.00, 5.0, 100),
            candidate("b", 0.01, 2.0, 50),
            candidate("c", 0.01, 3.0, 50),  # slower than b, nothing better
            candidate("d", 0.30, 1.0, 10, refused="too much"),
        ],
        budget_ms=10,
    )
    assert {name for name, place in found.places.items() if place.front} == {"a", "b", "d"}
    assert found.places["c"].status == "dominated"
    assert found.places["c"].dominated_by == "b"
    assert "dominated by b" in found.places["c"].why


def test_a_smaller_file_alone_keeps_a_candidate_on_the_front():
    found = decide([candidate("fast", 0, 1, 200), candidate("small", 0, 2, 100)], budget_ms=10)
    assert found.places["small"].front
    assert found.places["small"].status == "slower"


def test_equal_candidates_do_not_dominate_each_other_and_the_first_wins():
    found = decide([candidate("one", 0.01, 2.0), candidate("two", 0.01, 2.0)], budget_ms=10)
    assert found.winner == "one"
    assert all(place.front for place in found.places.values())


def test_of_two_that_are_equally_fast_the_smaller_wins():
    found = decide([candidate("big", 0, 2.0, 200), candidate("small", 0, 2.0, 100)], budget_ms=10)
    assert found.winner == "small"


def test_over_the_budget_says_by_how_much():
    found = decide([candidate("slow", 0, 12.5), candidate("ok", 0.01, 9.0)], budget_ms=10)
    assert found.winner == "ok"
    assert found.places["slow"].status == "over-budget"
    assert "2.5 ms (25%)" in found.places["slow"].why


def test_the_budget_itself_is_within():
    assert decide([candidate("just", 0, 10.0)], budget_ms=10).winner == "just"


def test_without_a_winner_an_acceptable_form_over_the_budget_is_closest():
    found = decide(
        [
            candidate("slow", 0, 12.5),
            candidate("slower", 0, 20.0),
            candidate("bad", 0.1, 1.0, refused="specificity -10.0 points"),
        ],
        budget_ms=10,
    )
    assert found.winner is None
    assert found.closest.startswith("slow is acceptable and takes 12.5 ms, 2.5 ms over")


def test_without_any_acceptable_form_the_smallest_loss_is_closest():
    found = decide(
        [
            candidate("bad", 0.1, 1.0, refused="specificity -10.0 points"),
            candidate("nearly", 0.02, 30.0, refused="specificity -2.0 points"),
        ],
        budget_ms=10,
    )
    assert found.winner is None
    assert found.closest.startswith("nearly comes closest")
    assert "specificity -2.0 points" in found.closest


def test_what_was_not_made_or_gives_no_usable_answers_never_wins_nor_dominates():
    found = decide(
        [
            Candidate("nan", None, 0.1, 1, "its answers are not finite"),
            Candidate("absent", None, None, None, "int8 alone is acceptable", made=False),
            candidate("real", 0.0, 5.0),
        ],
        budget_ms=10,
    )
    assert found.winner == "real"
    assert found.places["absent"].status == "not-made"
    assert found.places["absent"].why == "not made: int8 alone is acceptable"
    assert found.places["nan"].status == "not-acceptable"
    assert not found.places["nan"].front
    assert not found.places["absent"].front
    assert decide([Candidate("nan", None, 1.0, 1, "NaN")], 10).closest == (
        "no form gave usable answers"
    )


def test_unmeasured_is_never_the_winner():
    found = decide([Candidate("unmeasured", 0.0, None, 10)], budget_ms=10)
    assert found.winner is None
    assert found.places["unmeasured"].status == "not-acceptable"


@pytest.mark.parametrize("seed", range(20))
def test_dominance_is_a_strict_order_and_every_dominated_one_has_a_front_above(seed):
    rng = random.Random(seed)
    several = [
        candidate(f"c{at}", rng.randrange(4) / 100, float(rng.randrange(1, 5)), rng.randrange(1, 4))
        for at in range(12)
    ]
    places = decide(several, budget_ms=3).places
    front = [one for one in several if places[one.id].front]
    assert front
    for one, other in itertools.product(several, several):
        assert not (dominates(one, other) and dominates(other, one))
    for one in several:
        above = [other.id for other in front if dominates(other, one)]
        assert places[one.id].front is (not above)
        assert (places[one.id].dominated_by is not None) is bool(above)
