"""Scores with intervals, against samples that are really drawn, cell by cell."""

import numpy as np
import pytest
from scipy import stats

from allnet_edge.measure import performance
from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.measure.clusters import auc_clustered, patient_weights, wilson_clustered
from allnet_edge.measure.estimates import CLUSTERED, INDEPENDENT, Estimates, estimate
from allnet_edge.measure.intervals import Interval, auc_score, wilson
from allnet_edge.measure.metrics import roc_auc

NAMES = ("accuracy", "sensitivity", "specificity", "auc")
RESAMPLES = 300


def cells_of(labels: np.ndarray, patients: tuple[str, ...] | None) -> Cells:
    ids = tuple(f"cell {number}" for number in range(len(labels)))
    return Cells(ids, tuple(f"hash of {one}" for one in ids), labels, patients)


def made(seed: int, *, patients: int, per_patient: int, decimals: int = 6) -> tuple[Cells, Scores]:
    """Cells of patients with one class each, as in C-NMC; few decimals make ties."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), per_patient)
    labels = owner % 2 == 0
    lean = rng.normal(0, 0.1, patients)[owner]
    scores = np.clip(0.5 + 0.15 * (2 * labels - 1) + lean + rng.normal(0, 0.2, len(owner)), 0, 1)
    names = tuple(f"{'all' if p % 2 == 0 else 'hem'}:{p}" for p in owner)
    return cells_of(labels, names), Scores(np.round(scores, decimals), 0.5)


def drawn(cells: Cells, scores: Scores, seed: int) -> dict[str, np.ndarray]:
    """Every score of every resample, each computed on the cells that it really holds."""
    names, owner = np.unique(cells.patients, return_inverse=True)
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    (weights,) = patient_weights(len(names), RESAMPLES, seed)
    for row in weights:
        chosen = np.repeat(np.arange(len(cells)), row[owner])
        labels, values = cells.labels[chosen], scores.scores[chosen]
        right = (values >= scores.threshold) == labels
        found["accuracy"].append(right.mean())
        if labels.any():
            found["sensitivity"].append(right[labels].mean())
        if not labels.all():
            found["specificity"].append(right[~labels].mean())
        if labels.any() and not labels.all():
            found["auc"].append(roc_auc(labels, values))
    return {name: np.array(values) for name, values in found.items()}


def score_interval(name: str, cells: Cells, scores: Scores) -> Interval:
    names = np.array(cells.patients)
    owner = np.unique(names, return_inverse=True)[1]
    if name == "auc":
        return auc_clustered(cells.labels, scores.scores, owner, 0.975)
    of_name = {"accuracy": cells.labels | True, "sensitivity": cells.labels}
    group = of_name.get(name, ~cells.labels)
    right = (scores.decisions == cells.labels) & group
    counts = [
        [mask[names == patient].sum() for patient in sorted(set(names))] for mask in (right, group)
    ]
    return wilson_clustered(np.array(counts[0]), np.array(counts[1]), 0.975)


class TestPatients:
    @pytest.mark.parametrize(
        ("patients", "per_patient", "decimals"),
        [(20, 9, 6), (20, 9, 1), (4, 5, 6), (2, 6, 1)],
        ids=["many", "ties", "few, so that a class is missing in some draws", "one a class"],
    )
    def test_intervals_are_the_wider_of_the_drawn_samples_and_the_score_interval(
        self, patients, per_patient, decimals
    ):
        cells, scores = made(1, patients=patients, per_patient=per_patient, decimals=decimals)
        found = estimate(cells, scores, resamples=RESAMPLES, seed=4)
        assert found.method == CLUSTERED
        for name, values in drawn(cells, scores, seed=4).items():
            resampled = Interval(*np.quantile(values, [0.025, 0.975]))
            expected = resampled.hull(score_interval(name, cells, scores))
            np.testing.assert_allclose(getattr(found, name).interval, expected, atol=1e-12)

    def test_a_perfect_network_on_few_patients_is_not_known_to_be_perfect(self):
        """Every draw of these two leukemic and two healthy patients is perfect, too."""
        cells, _ = made(0, patients=4, per_patient=5)
        found = estimate(cells, Scores(cells.labels.astype(float), 0.5), resamples=RESAMPLES)
        for name in NAMES:
            value, (lower, upper) = getattr(found, name)
            assert (value, upper) == (1.0, 1.0)
            assert 0 < lower < 0.8

    @pytest.mark.parametrize("wrong", [0, 1])
    def test_one_healthy_patient_says_nothing_about_the_specificity(self, wrong):
        """20 cells of one patient; resampling that patient gives 0.95..0.95 in every draw."""
        labels = np.array([True] * 40 + [False] * 20)
        names = tuple(["all:1"] * 20 + ["all:2"] * 20 + ["hem:1"] * 20)
        values = np.where(labels, 0.9, 0.1)
        values[40 : 40 + wrong] = 0.8
        found = estimate(cells_of(labels, names), Scores(values, 0.5), resamples=RESAMPLES)
        assert found.specificity == (1 - wrong / 20, (0.0, 1.0))
        assert found.auc.interval == (0.0, 1.0)
        assert 0 < found.sensitivity.interval.lower < found.sensitivity.interval.upper

    @pytest.mark.parametrize("name", ["sensitivity", "auc"])
    def test_the_interval_holds_the_truth_as_often_as_it_promises(self, name):
        """Three patients a class whose chances differ: the bootstrap alone covers 73 and 79 %."""
        rng = np.random.default_rng(8)
        covered = []
        for _ in range(60):
            owner = np.repeat(np.arange(6), 25)
            labels = owner % 2 == 0
            lean = rng.normal(0, 0.5, 6)[owner]
            values = stats.norm.cdf((2 * labels - 1) * 0.8 + lean + rng.normal(0, 1, owner.size))
            cells = cells_of(labels, tuple(map(str, owner)))
            lower, upper = getattr(estimate(cells, Scores(values, 0.5), resamples=200), name)[1]
            spread = np.sqrt(1.25)
            truth = {
                "sensitivity": stats.norm.cdf(0.8 / spread),
                "auc": stats.norm.cdf(1.6 / spread / np.sqrt(2)),
            }
            covered.append(lower <= truth[name] <= upper)
        assert np.mean(covered) >= 0.93

    def test_memory_blocks_change_nothing(self, monkeypatch):
        cells, scores = made(2, patients=12, per_patient=4)
        whole = estimate(cells, scores, resamples=RESAMPLES)
        original = patient_weights
        monkeypatch.setattr(
            performance,
            "patient_weights",
            lambda n, resamples, seed, **_: original(n, resamples, seed, block=7 * n),
        )
        assert estimate(cells, scores, resamples=RESAMPLES) == whole

    def test_the_seed_decides(self):
        cells, scores = made(3, patients=12, per_patient=4)
        assert estimate(cells, scores, seed=1) == estimate(cells, scores, seed=1)
        assert estimate(cells, scores, seed=1) != estimate(cells, scores, seed=2)

    def test_the_names_of_patients_and_the_order_of_cells_change_little_or_nothing(self):
        cells, scores = made(3, patients=12, per_patient=4)
        order = np.random.default_rng(0).permutation(len(cells))
        mixed = cells_of(cells.labels[order], tuple(cells.patients[i] for i in order))
        again = estimate(mixed, Scores(scores.scores[order], 0.5), seed=1)
        expected = estimate(cells, scores, seed=1)
        for name in NAMES:
            np.testing.assert_allclose(
                np.hstack(getattr(again, name)), np.hstack(getattr(expected, name)), atol=1e-12
            )

    def test_alike_cells_of_a_patient_widen_the_interval(self):
        cells, scores = made(5, patients=10, per_patient=40)
        clustered = estimate(cells, scores)
        alone = estimate(cells_of(cells.labels, None), scores)

        def width(found: Estimates, name: str) -> float:
            lower, upper = getattr(found, name).interval
            return upper - lower

        assert all(width(clustered, name) > width(alone, name) for name in NAMES)

    def test_one_patient_says_nothing_and_is_no_error(self):
        cells = cells_of(np.array([True, True, False]), ("a", "a", "a"))
        found = estimate(cells, Scores(np.array([0.9, 0.2, 0.1]), 0.5), resamples=50)
        assert found.sensitivity == (0.5, (0.0, 1.0))
        assert found.auc == (1.0, (0.0, 1.0))

    def test_where_no_draw_holds_both_classes_the_area_is_unknown(self):
        cells = cells_of(np.array([True, False]), ("a", "b"))
        scores = Scores(np.array([0.9, 0.1]), 0.5)
        (weights,) = patient_weights(2, 1, seed=3)
        assert weights.max() == 2, "this seed draws one patient twice"
        assert estimate(cells, scores, resamples=1, seed=3).auc == (1.0, (0.0, 1.0))


class TestIndependentCells:
    @pytest.fixture
    def found(self) -> tuple[Cells, Scores, Estimates]:
        cells, scores = made(1, patients=30, per_patient=7)
        cells = cells_of(cells.labels, None)
        return cells, scores, estimate(cells, scores)

    def test_values_are_the_plain_ones(self, found):
        cells, scores, result = found
        right = (scores.scores >= 0.5) == cells.labels
        assert result.method == INDEPENDENT
        assert result.accuracy.value == pytest.approx(right.mean())
        assert result.sensitivity.value == pytest.approx(right[cells.labels].mean())
        assert result.specificity.value == pytest.approx(right[~cells.labels].mean())
        assert result.auc.value == pytest.approx(roc_auc(cells.labels, scores.scores))

    def test_rates_have_wilsons_two_sided_95_percent(self, found):
        cells, scores, result = found
        right = (scores.scores >= 0.5) == cells.labels
        for name, group in (("sensitivity", cells.labels), ("specificity", ~cells.labels)):
            k, n = int(right[group].sum()), int(group.sum())
            expected = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
            np.testing.assert_allclose(getattr(result, name).interval, expected, atol=1e-9)
        assert result.accuracy.interval == wilson(int(right.sum()), len(cells), 0.975)

    def test_the_area_has_the_wider_of_delongs_and_newcombes(self, found):
        """Placement values, as DeLong 1988 wrote them down: all pairs."""
        cells, scores, result = found
        up, down = scores.scores[cells.labels], scores.scores[~cells.labels]
        wins = (up[:, None] > down).astype(float) + 0.5 * (up[:, None] == down)
        variance = wins.mean(axis=1).var(ddof=1) / len(up) + wins.mean(axis=0).var(ddof=1) / len(
            down
        )
        half = stats.norm.ppf(0.975) * np.sqrt(variance)
        expected = Interval(wins.mean() - half, wins.mean() + half).hull(
            auc_score(wins.mean(), len(up), len(down), 0.975)
        )
        np.testing.assert_allclose(result.auc.interval, expected, atol=1e-9)

    @pytest.mark.parametrize("n", [1, 5, 300])
    def test_a_perfect_network_has_an_interval_too(self, n):
        """DeLong's variance is 0 here."""
        cells = cells_of(np.repeat([True, False], n), None)
        found = estimate(cells, Scores(np.repeat([0.9, 0.1], n), 0.5))
        rate = n / (n + stats.norm.ppf(0.975) ** 2)
        assert found.sensitivity.interval == pytest.approx((rate, 1.0))
        assert found.auc.value == 1.0
        lower, upper = found.auc.interval
        assert upper == 1.0
        assert rate - 1e-9 <= lower < 1.0  # n pairs of cells say no less than n cells

    def test_bounds_stay_in_0_1(self):
        cells = cells_of(np.array([True, True, True, False, False]), None)
        found = estimate(cells, Scores(np.array([0.9, 0.8, 0.3, 0.4, 0.1]), 0.5))
        for name in NAMES:
            lower, upper = getattr(found, name).interval
            assert 0 <= lower <= getattr(found, name).value <= upper <= 1
