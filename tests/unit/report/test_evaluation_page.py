"""The page of an evaluation: whole, self-contained, and honest about what its figures are worth."""

import re

import pytest
from evaluation_example import background, document, folds, probe
from report_example import plain
from test_report_html import HOSTILE, Page, check_sound

from allnet_edge.report.evaluation_document import EvaluationDocument
from allnet_edge.report.evaluation_page import render_evaluation

BOTH = pytest.mark.parametrize("k", [2, 4], ids=["two classes", "four classes"])


def said(found: EvaluationDocument) -> str:
    """What is read, with a blank between the cells of a table."""
    html = render_evaluation(found)
    check_sound(html)
    return Page(re.sub(r"(</td>|</th>|<small>)", r" \1", html)).visible


@BOTH
def test_a_document_survives_its_file(k):
    found = document(k)
    assert EvaluationDocument.from_json(found.to_json()) == found


@BOTH
def test_nothing_comes_from_another_host(k):
    html = render_evaluation(document(k))
    for outside in ("http:", "https:", "//", "url(", "@import", "<link", "<iframe", "<img", "src="):
        assert outside not in html, outside


@BOTH
def test_it_reads_without_scripts_and_links_stay_inside(k):
    html = render_evaluation(document(k))
    page = check_sound(html)
    assert Page(re.sub(r"<script>.*?</script>", "", html, flags=re.S)).visible == page.visible
    assert {target[1:] for target in page.attributes("href")} <= set(page.attributes("id"))


@BOTH
def test_every_figure_stands_with_its_interval_and_n(k):
    found = document(k)
    text = said(found)
    for name, figure in found.performance.figures.items():
        if "roc" in name or "f1" in name:
            expected = f"{figure.value:.3f} {figure.lower:.3f}-{figure.upper:.3f}"
            assert expected in text, name
    assert "288 images, 24 patients, split by patient" in text
    for method in {figure.method for figure in found.performance.figures.values()}:
        assert method in text


def test_each_class_and_the_whole_matrix_are_told():
    found = document(4)
    text = said(found)
    assert "Classes Each class against all others" in text
    page = Page(render_evaluation(found))
    for row in found.performance.confusion:
        for count in row:
            assert str(count) in page.text("svg")
    assert "Macro F1" in text
    assert "macro F1" in text  # in the sentence


def test_two_classes_have_figures_at_half_and_at_a_prevalence():
    text = said(document(2))
    assert "at a threshold of 0.5" in text
    assert "at a prevalence of 10.0 %" in text
    assert "fitted on the validation part, for the best balanced accuracy, n = 300" in text


@pytest.mark.parametrize(
    ("exposure", "leaking", "sign", "words"),
    [
        ("unseen", False, "✔", "Unseen patients"),
        ("patients-unknown", False, "?", "Unseen images, patients unknown"),
        ("not-proven", False, "?", "Not shown to be unseen"),
        ("leaking", True, "✖", "LEAKING split: too good"),
        ("validation", False, "✖", "Seen: chosen on these cells"),
        ("train", True, "✖", "Seen: trained on these cells; LEAKING split"),
    ],
)
def test_what_was_seen_comes_first_and_differs_without_colour(exposure, leaking, sign, words):
    text = said(document(2, exposure=exposure, leaking=leaking))
    assert f"{sign} {words}" in text
    assert text.index(words) < text.index("Figures")


def test_a_leaking_split_is_named_at_every_heading_and_figure():
    page = check_sound(render_evaluation(document(2, exposure="leaking", leaking=True)))
    figures = sum(tag == "figcaption" for tag, _ in page.tags)
    assert figures == 4
    assert page.text("figcaption").count("LEAKING") == figures
    assert page.text("h2").count("LEAKING") == 8
    assert "split by patient, LEAKING" in page.text("p")


def test_a_clean_split_is_not_called_leaking():
    assert "LEAKING" not in said(document(2))


def test_phantoms_are_named_at_every_figure():
    page = check_sound(render_evaluation(document(4, layout="phantom")))
    figures = sum(tag == "figcaption" for tag, _ in page.tags)
    assert page.text("figcaption").count("phantom data") == figures
    assert "Every cell judged here is synthetic" in page.visible
    assert "288 phantom (synthetic) cells" in page.visible


def test_a_probe_within_the_interval_is_called_so():
    text = said(document(2, probes=(probe(2, within=("roc_auc",)), background())))
    assert "? not below the network" in text
    assert "? Unseen patients, but no better than a shortcut" in text
    assert "the network is not shown to see more than this shortcut" in text
    assert "not applicable: 100% of the training images are cells on black" in text
    assert "✔ below the network" in said(document(2))


def test_patients_are_listed_the_lowest_first():
    found = document(2)
    text = said(found)
    places = [text.index(f" {row.patient} ") for row in found.patients]
    assert places == sorted(places)
    text = said(document(2, known=False))
    assert "Patients are unknown in this data set" in text
    assert "288 images, patients unknown" in text


def test_pooled_runs_are_listed_each_with_its_threshold():
    found = document(2)
    text = said(document(2, folds=folds(found)))
    assert "fold-0 144 12 0.4000" in text
    assert "fold-1 144 12 0.4100" in text


@BOTH
def test_every_drawing_is_described(k):
    page = Page(render_evaluation(document(k)))
    drawings = [attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("role") == "img"]
    assert len(drawings) == 4
    wanted = {name for one in drawings for name in one["aria-labelledby"].split()}
    assert wanted <= set(page.attributes("id"))


@BOTH
def test_no_missing_value_is_printed_as_none_or_nan(k):
    text = said(document(k, known=False, probes=(background(),)))
    assert not re.search(r"\b(None|nan|null)\b", text)


def test_an_undefined_figure_is_called_so():
    found = document(2)
    none = found.performance.figures["ppv"].model_copy(
        update={"value": None, "lower": None, "upper": None, "method": "undefined"}
    )
    changed = found.performance.model_copy(
        update={"figures": found.performance.figures | {"ppv": none}}
    )
    assert "undefined" in said(found.model_copy(update={"performance": changed}))


@BOTH
def test_hostile_names_stay_text(k):
    found = document(k, title=HOSTILE, why=HOSTILE, not_proven=(HOSTILE,), warnings=(HOSTILE,))
    network = found.network.model_copy(update={"name": HOSTILE, "network": HOSTILE})
    html = render_evaluation(found.model_copy(update={"network": network}))
    page = check_sound(html)
    assert "<script>alert" not in html
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert plain(HOSTILE) in page.text("h1")
