import re
import xml.etree.ElementTree as ET

import pytest
from report_example import plain

from allnet_edge.report import bars, forest, history, plots
from allnet_edge.report.document import Confusion, Epoch


def drawing(svg):
    return ET.fromstring(svg)  # noqa: S314 - as above


def marks(svg, kind):
    return [node for node in drawing(svg).iter() if node.get("class") == kind]


def percent(node, name="x1"):
    return float(node.get(name).rstrip("%"))


@pytest.fixture
def scale(document):
    return forest.span(document.ladder, ("sensitivity", "specificity"))


def test_forest_has_a_row_for_each_candidate(document, scale):
    svg = forest.forest(document.ladder, "sensitivity", "f", scale, 0.95)
    assert len(marks(svg, "mark pass")) == 4
    assert len(marks(svg, "mark fail")) == 1
    assert "tflite-int8" in svg
    # The margin's line crosses the names as well as the numbers: both stand on the card's colour.
    halos = [*marks(svg, "halo"), *marks(svg, "halo strong")]
    assert len(halos) == 2 * len(forest.shown(document.ladder, "sensitivity"))


def test_forest_places_margin_zero_and_difference_on_one_scale(document, scale):
    svg = forest.forest(document.ladder, "specificity", "f", scale, 0.95)
    low, high = scale

    def expected(value):
        return 100 * (value - low) / (high - low)

    margin = percent(marks(svg, "limit")[0])
    assert margin == pytest.approx(expected(-0.02), abs=0.01)
    check = next(c for c in document.ladder[5].checks if c.metric == "specificity")
    point = marks(svg, "mark inconclusive hollow")[0]
    assert percent(point, "cx") == pytest.approx(expected(check.delta), abs=0.01)
    ends = [percent(node) for node in marks(svg, "interval inconclusive")]
    assert min(ends) == pytest.approx(expected(check.lower), abs=0.01)
    assert min(ends) < margin < max(ends)


def test_one_bad_candidate_does_not_flatten_the_rest(document):
    checks = [c.model_copy(update={"delta": -0.6, "lower": -0.7, "upper": -0.5})
              for c in document.ladder[4].checks]  # fmt: skip
    ladder = (*document.ladder[:4], document.ladder[4].model_copy(update={"checks": tuple(checks)}))
    scale = forest.span(ladder, ("sensitivity",))
    assert scale[0] >= -0.11
    svg = forest.forest(ladder, "sensitivity", "f", scale, 0.95)
    assert "\N{BLACK LEFT-POINTING TRIANGLE}" in svg
    assert "-60.00 (bound -70.00)" in plain(svg)
    assert not marks(svg, "mark fail")


def test_a_check_without_figures_keeps_its_row(document, scale):
    nothing = {"edge": None, "delta": None, "lower": None, "upper": None, "verdict": "fail"}
    checks = tuple(c.model_copy(update=nothing) for c in document.ladder[4].checks)
    svg = forest.forest(
        (document.ladder[4].model_copy(update={"checks": checks}),), "sensitivity", "f", scale, 0.95
    )
    assert "not measured ✖" in svg
    assert not marks(svg, "interval fail")


def test_roc_draws_each_curve_with_its_operating_point(document):
    svg = plots.roc(document.ladder, "r")
    assert len(re.findall(r"<polyline", svg)) == 6
    for at in range(6):
        assert len(marks(svg, f"series s{at}")) == len(marks(svg, f"dot s{at}")) == 1
    dot = marks(svg, "dot s4")[0]
    matrix = document.ladder[4].confusion
    up = 1 - (float(dot.get("cy")) - 12) / 304
    assert up == pytest.approx(matrix.tp / (matrix.tp + matrix.fn), abs=1e-3)


def test_the_enlarged_corner_leaves_out_what_lies_outside(document):
    svg = plots.roc(document.ladder, "r", corner=0.05)
    assert not marks(svg, "dot s4")  # misses 9 % of the positive cells
    assert len(marks(svg, "dot s0")) == 1


def test_a_matrix_tells_its_counts_in_words():
    svg = plots.confusion(Confusion(tp=9, fn=1, tn=0, fp=0), "HEM", "ALL", "m", "float")
    assert "Of 10 cells of ALL: 9 found, 1 missed" in svg
    assert "no cells" in svg


def test_latency_bars_grow_with_the_time(document):
    rows = document.latency.rows
    longest = bars.slowest(rows)
    svg = bars.latency(rows, "l", longest, "here")
    dots = [percent(node, "cx") for node in marks(svg, "median")]
    assert dots == pytest.approx([100 * row.latency_ms.p50 / longest for row in rows], abs=0.01)
    assert "p99 not measured" in svg


def test_end_to_end_says_where_it_was_not_measured(document):
    rows = document.latency.rows
    svg = bars.latency(rows, "l", bars.slowest(rows), "here", whole=True)
    assert len(marks(svg, "median")) == len(rows) - 1
    assert ">not measured<" in svg


def test_zipped_bytes_lie_inside_the_raw_bar(document):
    svg = bars.sizes(document.sizes, "s")
    for raw, zipped in zip(marks(svg, "raw"), marks(svg, "zipped"), strict=True):
        assert percent(zipped, "width") <= percent(raw, "width")
    assert percent(marks(svg, "raw")[0], "width") == 100


def test_history_stands_alone_as_a_file(document):
    svg = history.training_svg(document.training.history)
    root = drawing(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    best = max(document.training.history, key=lambda e: (e.val_accuracy, -e.epoch)).epoch
    assert svg.count(f"best, {best}<") == 2
    assert f"best epoch {best}" in svg


def test_history_marks_the_epoch_that_was_kept(document):
    assert "best, 7<" in history.training_svg(document.training.history, best=7)


@pytest.mark.parametrize(
    "epochs",
    [
        (),
        (Epoch(epoch=1, loss=0.7, accuracy=0.5),),
        (Epoch(epoch=1), Epoch(epoch=2)),
        (Epoch(epoch=1, loss=0.0, val_loss=0.0), Epoch(epoch=2, loss=0.0, val_loss=0.0)),
    ],
    ids=["none", "one without validation", "empty", "all zero"],
)
def test_a_short_history_is_drawn_all_the_same(epochs):
    svg = history.training_svg(epochs)
    drawing(svg)
    assert "nan" not in svg
    assert ("not measured" in svg) == (not any(e.loss is not None for e in epochs) or
                                       not any(e.accuracy is not None for e in epochs))  # fmt: skip


def test_the_first_of_equal_epochs_is_best():
    epochs = [Epoch(epoch=at, val_accuracy=value) for at, value in ((1, 0.8), (2, 0.9), (3, 0.9))]
    assert history.best_epoch(epochs) == 2
    assert history.best_epoch([Epoch(epoch=1)]) is None
