"""The page of a search: whole, self-contained, every candidate with its reason."""

import re

import pytest
from pareto_example import document
from report_example import plain
from test_report_html import HOSTILE, Page, check_sound

from allnet_edge.report.pareto_document import EstimatedLatency, OptimizeDocument
from allnet_edge.report.pareto_page import render_optimize
from allnet_edge.report.pareto_plot import log_ticks, pareto


def said(found: OptimizeDocument) -> str:
    """What is read, with a blank between the cells of a table."""
    html = render_optimize(found)
    check_sound(html)
    return Page(re.sub(r"(</td>|</th>|<small>)", r" \1", html)).visible


@pytest.mark.parametrize("won", [True, False])
def test_a_document_survives_its_file(won):
    found = document(won=won)
    assert OptimizeDocument.from_json(found.to_json()) == found


def test_numbers_that_are_not_finite_are_refused():
    content = document().model_dump()
    content["rows"][0]["latency"]["p50"] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        OptimizeDocument.model_validate(content)


@pytest.mark.parametrize("won", [True, False])
def test_nothing_comes_from_another_host_and_links_stay_inside(won):
    html = render_optimize(document(won=won))
    for outside in ("http:", "https:", "//", "url(", "@import", "<link", "<iframe", "<img", "src="):
        assert outside not in html, outside
    page = check_sound(html)
    assert Page(re.sub(r"<script>.*?</script>", "", html, flags=re.S)).visible == page.visible
    assert {target[1:] for target in page.attributes("href")} <= set(page.attributes("id"))


@pytest.mark.parametrize("won", [True, False])
def test_every_candidate_stands_in_the_table_with_its_reason(won):
    found = document(won=won)
    text = said(found)
    for row in found.rows:
        assert re.search(rf"{row.number} {row.form} ", text), row.form
        assert row.why in text
    assert "not measured" in text  # the form that was not made
    assert "no file" in text
    assert "pruning: 50% of the MACs, 2:4" in text


def test_the_host_is_never_taken_for_the_device():
    text = said(document())
    assert "Latency on Jetson Orin Nano Super: not measured" in text
    assert "host-proxy: measured on the machine that searched, never on the device" in text
    assert "2.50 ms a cell on this host" in text


def test_an_estimate_never_stands_without_that_name_and_its_error():
    found = document()
    assert "estimate" not in said(found)
    estimate = EstimatedLatency(milliseconds=1.25, error_median=0.3, error_p90=0.61, error_n=26)
    rows = (found.rows[0].model_copy(update={"estimate": estimate}), *found.rows[1:])
    found = found.model_copy(update={"rows": rows})
    text = said(found)
    assert re.search(r"1\.25 ms ?estimate, not measured", text)
    assert "(n = 26) it was off by 30 % in the middle case and by 61 % in nine of ten" in text
    assert "The choice goes by the latency on this host." in text
    # Also where the winner has none, and where there is no winner.
    moved = (found.rows[1].model_copy(update={"estimate": estimate}), *found.rows[2:])
    for others in ((document().rows[0], *moved), moved):
        told = said(found.model_copy(update={"rows": others}))
        assert "never measured; on published times" in told
    settings = found.settings.model_copy(update={"rank_by": "estimate"})
    by_it = found.model_copy(update={"settings": settings})
    assert "The choice goes by them." in said(by_it)
    assert "milliseconds a cell on the target: estimate" in pareto(by_it, "key")
    # Only what has an estimate can stand in the plot.
    assert len(TestPlot().discs(by_it)) == 1


def test_the_gate_is_said_to_have_run_once_and_after_the_choice():
    text = said(document())
    assert "The choice was made on validation cells alone. The gate then ran once" in text
    assert "256 validation cells (128 positive, 14 patients), never on the gate's" in text
    assert text.startswith("Research use only.")
    assert text.endswith("Research use only. Nothing here makes a diagnosis.")
    assert "Phantom data." in text


def test_a_second_look_at_the_gates_cells_is_never_called_the_only_one():
    found = document()
    assert found.gate is not None
    again = found.model_copy(update={"gate": found.gate.model_copy(update={"looks": 2})})
    text = said(again)
    assert "look number 2 at the test cells" in text
    assert "ran once" not in text


def test_without_a_winner_there_is_no_gate_and_the_closest_is_named():
    text = said(document(won=False))
    assert "No candidate" in text
    assert "so no gate was run" in text
    assert "net/litert-int8 comes closest" in text
    assert "The gate then ran once" not in text


def test_refused_trials_and_notes_are_told():
    text = said(document())
    assert "the fewest that pruning can leave are 61.0%" in text
    assert "a note to be read" in text
    assert "LEAKING" not in text
    assert "LEAKING" in said(document(leaking=True))


def test_names_of_others_cannot_break_out():
    html = render_optimize(document(network=HOSTILE))
    check_sound(html)
    assert "<script>alert" not in html
    assert "onerror=alert(2)>" not in html
    assert "49" not in Page(html).text("h1")


class TestPlot:
    def discs(self, found):
        page = Page(pareto(found, "key"))
        return [
            attributes for tag, attributes in page.tags
            if tag == "circle" and attributes["class"].startswith("form")
        ]  # fmt: skip

    def test_each_measured_candidate_has_a_disc_and_its_number(self):
        found = document()
        assert len(self.discs(found)) == 4
        page = Page(pareto(found, "key"))
        beside = [kind for kind in page.attributes("class") if kind.startswith("halo")]
        assert beside == ["halo strong", "halo", "halo", "halo"]
        told = [data for path, data in page.texts if "text" in path]
        assert {str(row.number) for row in found.rows[:4]} <= set(told[-4:])

    def test_discs_lie_where_their_figures_are(self):
        places = {
            disc["class"].split()[1]: (float(disc["cx"]), float(disc["cy"]))
            for disc in self.discs(document())
        }
        assert places["winner"][0] < places["dominated"][0] < places["over-budget"][0]
        assert places["not-acceptable"][1] < places["winner"][1] < places["over-budget"][1]

    def test_the_area_is_the_size(self):
        radius = {disc["class"].split()[1]: float(disc["r"]) for disc in self.discs(document())}
        assert (radius["winner"] / radius["dominated"]) ** 2 == pytest.approx(0.25, rel=0.01)

    def test_a_ruined_candidate_lies_at_the_edge_and_does_not_flatten_the_rest(self):
        page = Page(pareto(document(), "key"))
        ticks = [float(data) for path, data in page.texts if re.fullmatch(r"[\d.]+", data)]
        assert max(ticks) < 13  # 30 pp are lost by one
        assert "30.00 pp lost" in plain(page.text("desc"))

    def test_one_line_of_acceptance_for_each_limit(self):
        for specificity, lines in ((0.02, 1), (0.06, 2)):
            page = Page(pareto(document(specificity=specificity), "key"))
            assert page.attributes("class").count("accept") == lines

    def test_a_budget_within_reach_is_drawn(self):
        found = document()
        assert "budget" in Page(pareto(found, "key")).attributes("class")
        far = found.settings.model_copy(update={"budget_ms": 5000.0})
        content = pareto(found.model_copy(update={"settings": far}), "key")
        assert "budget" not in Page(content).attributes("class")

    def test_nothing_measured_draws_nothing(self):
        found = document()
        assert not pareto(found.model_copy(update={"rows": found.rows[4:]}), "key")

    @pytest.mark.parametrize(
        ("low", "high", "ticks"),
        [
            (0.9, 21, [1, 2, 5, 10, 20]),
            (0.001, 5000, [0.001, 0.01, 0.1, 1, 10, 100, 1000]),
            (2.1, 2.9, [2.2, 2.4, 2.6, 2.8]),
        ],
    )
    def test_ticks_are_round(self, low, high, ticks):
        assert log_ticks(low, high) == pytest.approx(ticks)
