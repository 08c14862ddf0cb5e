"""Judging a form on the selection cells."""

from dataclasses import replace

import numpy as np
import pytest

from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.search.selection import Selection
from allnet_edge.spec.gate import GateSpec


def selection(n: int = 400, gate: GateSpec | None = None) -> Selection:
    rng = np.random.default_rng(1)
    labels = np.arange(n) % 2 == 0
    reference = np.where(labels, rng.uniform(0.6, 0.99, n), rng.uniform(0.01, 0.4, n))
    reference = reference.astype(np.float32)
    cells = Cells(tuple(map(str, range(n))), tuple(f"{i:064d}" for i in range(n)), labels)
    images = np.zeros((n, 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(n) % 251
    scores = Scores(reference, 0.5)
    return Selection(cells, images, scores, scores, gate or GateSpec())


def test_the_float_network_itself_is_acceptable_on_any_number_of_cells():
    for n in (20, 400):
        whole = selection(n)
        judged = whole.judge(whole.reference.scores)
        assert judged.acceptable
        assert judged.cost.logit_snr_db is None
        assert (judged.cost.flips, judged.cost.noise) == (0, 0.0)


def test_a_shift_that_the_threshold_undoes_is_acceptable():
    whole = selection()
    shifted = (whole.reference.scores * 0.5).astype(np.float32)
    assert whole.cost(shifted).flips == 200
    assert whole.judge(shifted).acceptable


def test_lost_cells_of_one_class_are_named():
    whole = selection()
    worse = whole.reference.scores.copy()
    worse[:12:2], worse[1:13:2] = worse[1:13:2], worse[:12:2].copy()  # six of each class trade
    judged = whole.judge(worse)
    assert not judged.acceptable
    assert "sensitivity -3.0 points" in judged.why
    assert judged.cost.flips == 12


def test_half_a_margin_is_the_limit_where_no_form_can_pass():
    whole = selection(200, GateSpec(accuracy_ratio=0.9, auc=0.1))
    assert whole.judge(whole.reference.scores).verdict == "inconclusive"
    for traded, acceptable in ((1, True), (2, False)):  # of 100: 1 and 2 points
        worse = whole.reference.scores.copy()
        at = np.arange(traded) * 2
        worse[at], worse[at + 1] = worse[at + 1], worse[at].copy()
        assert whole.judge(worse).acceptable is acceptable


def test_where_the_float_network_passes_a_form_has_to_pass_too():
    whole = selection(400, GateSpec(accuracy_ratio=0.9, auc=0.1))
    worse = whole.reference.scores.copy()
    worse[:4:2], worse[1:5:2] = worse[1:5:2], worse[:4:2].copy()  # 1 point of each class
    judged = whole.judge(worse)
    assert judged.verdict == "inconclusive"
    assert judged.why == "inconclusive where the float network itself is pass"


@pytest.mark.parametrize("answer", [np.nan, 0.5])
def test_answers_that_are_no_probabilities_are_refused(answer):
    whole = selection()
    judged = whole.judge(np.full(len(whole.cells), answer, np.float32))
    assert not judged.acceptable
    assert judged.verdict == "fail"
    assert judged.cost is None


def test_every_cell_is_asked_one_by_one_in_order():
    whole = selection(30)
    answers = whole.answers(lambda image: image[:, 0, 0, :1].astype(np.float32))
    np.testing.assert_array_equal(answers, whole.images[:, 0, 0, 0])


def test_noise_is_the_inverse_of_the_snr():
    whole = selection()
    cost = whole.cost(np.clip(whole.reference.scores + 0.05, 0, 0.999).astype(np.float32))
    assert cost.noise == pytest.approx(10 ** (-cost.logit_snr_db / 10))
    assert 0 < cost.noise < 1


def test_a_student_is_judged_against_its_teacher_at_its_own_threshold():
    whole = selection()
    own = (whole.reference.scores * 0.5).astype(np.float32)  # ranks as its teacher, at 0.25
    student = replace(whole, base=Scores(own, 0.25))
    judged = student.judge(own)
    assert judged.acceptable
    assert judged.cost.flips == 0  # the cost is that against the student itself
    swapped = np.where(whole.cells.labels, 0.1, 0.9).astype(np.float32)
    assert not student.judge(swapped).acceptable


def test_one_cell_may_be_lost_where_half_a_margin_is_less():
    whole = selection(60, GateSpec(accuracy_ratio=0.5, auc=0.5))
    worse = whole.reference.scores.copy()
    worse[:2], worse[2:4] = worse[:2][::-1], worse[2:4]  # one of each class, 3.3 points
    assert whole.judge(worse).why is None
    worse[4:6] = worse[4:6][::-1]
    assert "sensitivity -6.7 points" in whole.judge(worse).why
