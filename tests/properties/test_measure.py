"""What holds for every input of the measures."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from allnet_edge.measure.clusters import PairedCounts, bootstrap, tango_clustered
from allnet_edge.measure.gate import CandidateVerdict, Cells, Scores, judge
from allnet_edge.measure.intervals import tango, wilson
from allnet_edge.measure.metrics import confusion, roc_auc, roc_curve
from allnet_edge.measure.thresholds import fit_threshold, transfer_threshold
from allnet_edge.spec.gate import GateSpec

COARSE = st.integers(0, 20).map(lambda k: k / 20)  # scores with many ties, as int8 gives them


@st.composite
def labelled(draw: st.DrawFn, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(2, size))
    labels = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(labels.any() and not labels.all())
    return labels, np.array(draw(st.lists(COARSE, min_size=n, max_size=n)))


@st.composite
def discordance(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 3000))
    gains = draw(st.integers(0, n))
    return gains, draw(st.integers(0, n - gains)), n


@given(labelled())
def test_auc_is_the_share_of_pairs_in_order(cells: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = cells
    apart = scores[labels][:, None] - scores[~labels]
    assert roc_auc(labels, scores) == pytest.approx(((apart > 0) + 0.5 * (apart == 0)).mean())


@given(labelled(), st.integers(2, 12))
def test_roc_curve_rises_from_corner_to_corner(
    cells: tuple[np.ndarray, np.ndarray], points: int
) -> None:
    curve = roc_curve(*cells, points=points)
    assert curve.fpr.size <= points
    assert (np.diff(curve.fpr) >= 0).all()
    assert (np.diff(curve.tpr) >= 0).all()
    assert (np.diff(curve.thresholds) < 0).all()
    assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 0, 1, 1)


@given(discordance(), st.sampled_from([0.9, 0.95, 0.975, 0.999]))
@settings(deadline=None)
def test_tango_holds_the_estimate_and_mirrors_with_the_roles(
    counts: tuple[int, int, int], confidence: float
) -> None:
    gains, losses, n = counts
    lower, upper = tango(gains, losses, n, confidence)
    assert -1 <= lower <= (gains - losses) / n + 1e-12
    assert (gains - losses) / n - 1e-12 <= upper <= 1
    assert upper > lower
    mirrored = tango(losses, gains, n, confidence)
    assert mirrored == pytest.approx((-upper, -lower), abs=1e-9)


@given(discordance(), st.integers(2, 50))
@settings(deadline=None)
def test_tango_narrows_with_more_of_the_same(counts: tuple[int, int, int], times: int) -> None:
    once = tango(*counts)
    more = tango(*(times * part for part in counts))
    assert more.lower >= once.lower - 1e-9
    assert more.upper <= once.upper + 1e-9


@given(discordance())
@settings(deadline=None)
def test_tango_narrows_with_less_confidence(counts: tuple[int, int, int]) -> None:
    assert tango(*counts, 0.8).lower >= tango(*counts, 0.99).lower


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_proportion(counts: tuple[int, int]) -> None:
    successes, n = counts
    lower, upper = wilson(successes, n)
    assert 0 <= lower <= successes / n <= upper <= 1


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 40)), min_size=2),
    st.integers(0, 3),
)
@settings(deadline=None, max_examples=60)
def test_intervals_of_patients_hold_the_estimate_and_ignore_their_order(
    patients: list[tuple[int, int, int]], seed: int
) -> None:
    rows = [(gains, losses, gains + losses + rest + 1) for gains, losses, rest in patients]
    counts = PairedCounts(*(np.array(column) for column in zip(*rows, strict=True)))
    back = PairedCounts(*(np.array(column) for column in zip(*rows[::-1], strict=True)))
    score = tango_clustered(counts)
    assert score.lower - 1e-12 <= counts.difference <= score.upper + 1e-12
    assert score == pytest.approx(tango_clustered(back))
    lower, upper = bootstrap(counts, resamples=200, seed=seed)
    assert -1 <= lower <= upper <= 1


@given(labelled())
def test_fitted_threshold_is_the_best_of_all(cells: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = cells
    assume(np.unique(scores).size > 1)
    inner = np.unique(scores)[1:]
    best = max(confusion(labels, scores, level).balanced_accuracy for level in inner)
    got = confusion(labels, scores, fit_threshold(labels, scores))
    assert got.balanced_accuracy == pytest.approx(best)


@given(labelled(), COARSE)
def test_transfer_to_mirrored_scores_gives_the_mirrored_threshold(
    cells: tuple[np.ndarray, np.ndarray], threshold: float
) -> None:
    """It takes no side: which of the two classes is called positive does not matter."""
    _, after = cells
    before = np.roll(after, 1)
    got = transfer_threshold(before, threshold, after)
    mirrored = transfer_threshold(1 - before, 1 - threshold, 1 - after)
    assert mirrored == pytest.approx(1 - got, abs=1e-6)


@given(labelled(), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_the_gate_does_not_depend_on_the_order_of_the_cells(
    cells: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    labels, scores = cells
    rng = np.random.default_rng(seed)
    after = np.clip(scores + rng.choice([-0.05, 0, 0.05], labels.size), 0, 1)
    patients = rng.choice(["p", "q", "r", "s"], labels.size)

    def verdict(take: np.ndarray) -> CandidateVerdict:
        names = tuple(f"c{k}" for k in take)
        judged = Cells(names, names, labels[take], tuple(patients[take].tolist()))
        spec = GateSpec(resamples=200)
        return judge(judged, Scores(scores[take], 0.5), Scores(after[take], 0.5), spec)

    one, other = verdict(np.arange(labels.size)), verdict(rng.permutation(labels.size))
    assert (one.verdict, one.flips) == (other.verdict, other.flips)
    assert one.checks[:3] == other.checks[:3]
    areas = [(c.float, c.edge, c.lower, c.upper) for c in (one.checks[3], other.checks[3])]
    assert areas[0] == pytest.approx(areas[1])  # sums of fractions round by their order


@given(labelled(), st.booleans())
@settings(deadline=None, max_examples=40)
def test_the_gate_never_passes_a_handful_of_cells(
    cells: tuple[np.ndarray, np.ndarray], with_patients: bool
) -> None:
    labels, scores = cells
    names = tuple(f"c{k}" for k in range(labels.size))
    patients = tuple(f"p{k % 7}" for k in range(labels.size)) if with_patients else None
    same = Scores(scores, 0.5)
    judged = Cells(names, names, labels, patients)
    assert judge(judged, same, same, GateSpec(resamples=200)).verdict != "pass"
