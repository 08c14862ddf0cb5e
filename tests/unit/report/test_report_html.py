import re
from html.parser import HTMLParser

import pytest
from report_example import example, latency, plain

from allnet_edge.report.document import Summary
from allnet_edge.report.render import render_html

VOID = {"meta", "img", "br", "hr", "input", "link", "col", "wbr"}
SECTIONS = [
    "ladder", "lost", "errors", "roc-curves", "latency", "sizes", "pruning", "quantization",
    "flipped", "data", "training",
    "proofs", "lineage", "versions", "recipe",
]  # fmt: skip
HOSTILE = "</style><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}&amp;|`"


class Page(HTMLParser):
    """Collects what the tests ask for and insists that every element is closed."""

    def __init__(self, content):
        super().__init__()
        self.open, self.tags, self.texts, self.problems = [], [], [], []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append((tag, self.getpos()))

    def handle_data(self, data):
        self.texts.append((tuple(self.open), data))

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.tags if attrs.get(name) is not None]

    def text(self, *tags):
        chosen = [data for path, data in self.texts if not tags or any(t in path for t in tags)]
        return " ".join(plain("".join(chosen)).split())

    @property
    def visible(self):
        hidden = {"script", "style", "title", "desc"}
        kept = [data for path, data in self.texts if not hidden & set(path)]
        return " ".join(plain("".join(kept)).split())


@pytest.fixture(scope="module")
def html(document):
    return render_html(document)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def check_sound(content):
    page = Page(content)
    assert not page.open
    assert not page.problems
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    return page


def test_elements_are_balanced_and_ids_unique(html):
    check_sound(html)


def test_nothing_comes_from_another_host(html):
    without_pictures = re.sub(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+", "", html)
    for outside in ("http:", "https:", "//", "url(", "@import", "<link", "<iframe", "<object"):
        assert outside not in without_pictures, outside


def test_pictures_and_links_stay_inside(page):
    assert all(source.startswith("data:image/") for source in page.attributes("src"))
    assert all(target.startswith("#") for target in page.attributes("href"))
    assert {target[1:] for target in page.attributes("href")} <= set(page.attributes("id"))


def test_all_sections_are_there_and_the_verdict_comes_first(html):
    places = [html.index(f'id="{name}"') for name in ["verdict", *SECTIONS]]
    assert places == sorted(places)


def test_it_reads_without_scripts(html):
    bare = re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    assert Page(bare).visible == Page(html).visible


def test_research_use_stands_at_top_and_bottom(page):
    assert page.visible.startswith("Research use only. Nothing here makes a diagnosis.")
    assert page.visible.endswith("Research use only. Nothing here makes a diagnosis.")


def test_the_verdict_is_told_in_words_and_figures(page, document):
    said = page.visible
    assert plain(document.verdict.sentence) in said
    assert said.index("Pass") < said.index("Ladder")
    assert "n = 430" in said
    assert "n = 212" in said


@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive"])
def test_verdicts_differ_without_colour(page, verdict):
    sign = {"pass": "✔", "fail": "✖", "inconclusive": "?"}[verdict]
    assert f"{sign} {verdict}" in page.visible


def test_every_drawing_is_described(page):
    labels = [label.split() for label in page.attributes("aria-labelledby") if "-desc" in label]
    drawings = [attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("role") == "img"]
    # two forests, four distinct matrices, two ROC, two latencies, sizes, two of training
    assert len(drawings) == len(labels) == 13
    assert {name for pair in labels for name in pair} <= set(page.attributes("id"))


def test_networks_with_equal_counts_share_a_matrix(page):
    assert "keras-fp32, onnx-fp32, onnx-fp16, n = 642" in page.text("figcaption")


def test_phantoms_are_named_in_every_heading():
    content = render_html(example(phantom=True))
    page = check_sound(content)
    figures = sum(tag == "figcaption" for tag, _ in page.tags)
    assert figures == 13
    assert page.text("figcaption").count("phantom data") == figures
    assert "Every cell in this report is synthetic" in page.visible


def test_real_cells_are_not_called_phantoms(page):
    assert "phantom" not in page.visible.lower()


def test_a_host_is_no_jetson(page):
    said = page.visible
    assert "host-proxy: measured on this machine, not on a Jetson" in said
    assert re.search(r"Jetson Orin Nano 8 GB ?the target itself ?not measured; run", said)


def test_a_measured_device_carries_its_name():
    device = latency().device.model_copy(update={"device_class": "jetson", "model": "Orin NX"})
    content = render_html(example(latency=latency().model_copy(update={"device": device})))
    said = Page(content).visible
    assert "jetson Orin NX" in said
    assert "measured on this machine" not in said[said.index("Ladder") :]
    assert "the target itself" not in said


def test_what_was_not_measured_is_said(page):
    table = page.text("table")
    assert "p99 not measured" in page.visible  # tflite-int8 had too few queries
    assert "not measured: the runtime refused the graph" in table
    assert "6.8 MB, zipped not measured" in page.visible


def test_no_missing_value_is_printed_as_none_or_nan(page, bare_document):
    for said in (page.visible, Page(render_html(bare_document)).visible):
        assert not re.search(r"\b(None|nan|null|undefined)\b", said)


def test_an_invalid_benchmark_has_no_drawing_and_no_headline():
    content = render_html(example(latency=latency(valid=False)))
    page = check_sound(content)
    assert "must not be quoted" in page.visible
    assert "standard deviation 7.1 %" in page.visible
    assert "From image file to decision" not in page.text("figcaption")
    assert "Median time a cell not measured" in page.visible


def test_without_a_chosen_network_the_reasons_are_listed(document):
    ladder = tuple(rung.model_copy(update={"chosen": False}) for rung in document.ladder)
    summary = Summary(verdict="fail", sentence="Nothing may run.")
    page = check_sound(render_html(example(ladder=ladder, verdict=summary)))
    said = page.visible
    assert "No network goes to the device." in said
    assert re.search(r"✖ fail tflite-int8, sensitivity: 97.0 % → 90.9 %", said)
    assert "about 2,900 cells of this class would decide" in said


def test_missed_cells_come_before_false_alarms(page):
    said = page.visible
    assert said.index("ALL → HEM 30 cells, 26 of them now missed") < said.index("HEM → ALL 9 cells")


def test_a_bare_document_says_that_nothing_was_measured(bare_document):
    page = check_sound(render_html(bare_document))
    assert "No candidate was judged." in page.visible
    for what in (
        "The ladder",
        "Flips",
        "Paired differences",
        "Confusion matrices",
        "ROC curves",
        "Latency",
    ):
        assert f"{what}: not measured." in page.visible


def test_a_candidate_that_failed_for_another_reason_is_listed(document):
    rung = document.ladder[1].model_copy(
        update={"verdict": "fail", "why": "its output is constant"}
    )
    ladder = (document.ladder[0], rung)
    summary = Summary(verdict="fail", sentence="Nothing may run.")
    content = render_html(example(ladder=ladder, verdict=summary, flips=(), latency=None))
    assert "✖ fail onnx-fp32: its output is constant" in Page(content).visible


def test_unknown_patients_are_not_called_disjoint(document):
    data = document.data.model_copy(update={"patients": None, "protocol": "block"})
    said = Page(render_html(example(data=data))).visible
    assert "? patients unknown" in said
    assert "✔ disjoint" not in said


def test_a_leaking_split_is_called_so(document):
    data = document.data.model_copy(update={"leaking": True, "protocol": "random"})
    assert "✖ leaking" in Page(render_html(example(data=data))).visible


def test_hostile_names_stay_text(document):
    name = HOSTILE + "onnx-int8"
    ladder = tuple(
        rung.model_copy(update={"id": HOSTILE + rung.id, "why": rung.why and HOSTILE})
        for rung in document.ladder
    )
    flips = tuple(
        flip.model_copy(
            update={
                "id": HOSTILE + flip.id,
                "label": HOSTILE if flip.label == "ALL" else flip.label,
                "candidate": HOSTILE + flip.candidate,
            }
        )
        for flip in document.flips
    )
    rows = tuple(row.model_copy(update={"id": HOSTILE + row.id}) for row in document.latency.rows)
    hostile = example(
        title=HOSTILE,
        verdict=Summary(verdict="pass", sentence=HOSTILE, chosen=name, why=HOSTILE),
        data=document.data.model_copy(update={"classes": ("HEM", HOSTILE), "positive": (HOSTILE,)}),
        ladder=ladder,
        flips=flips,
        latency=latency().model_copy(update={"rows": rows}),
        warnings=(HOSTILE,),
        versions=dict.fromkeys([HOSTILE, "a", "b"], HOSTILE),
        recipe={HOSTILE: HOSTILE},
    )
    content = render_html(hostile)
    page = check_sound(content)
    assert "<script>alert" not in content
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert all("onerror" not in attrs for _, attrs in page.tags)
    assert "49" not in page.text("h1")
    assert page.text("h1") == HOSTILE
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in Page(render_html(document)).tags]


def test_quantization_tells_what_was_tried_and_what_each_part_costs(page):
    said = page.visible
    assert "onnx: ranges by entropy, biases corrected" in said
    assert "differ by 2.1 % (median of all tensors), 31.0 % at most" in said
    assert "5.0 dB less than entropy" in said
    for costs in (
        ("vgg", "9", "12.5", "41.2 dB", "+0.0012"),
        ("head", "9", "12.5", "no difference"),
    ):
        assert "".join(costs) in said  # cells of a table
    assert "mixed812.5 %1✔" in said
    assert "nothing0.0 %7specificity" in said
    assert "specificity -3.1 points" in said
    assert "? not stable" in said
    assert "msenot triedthe same ranges as entropy" in said


def test_quantization_tells_what_was_checked_what_stays_float_and_what_is_dead(page):
    said = page.visible
    assert "✔ checked The int8 graph: no violation of the Q/DQ rules (9 quantized act" in said
    assert "The int8 graph: 10 of 12 operators compute in int8; in float: net/logits." in said
    assert said.count("✔ checked") == 1  # a count is no check
    assert "1 tensor has the same value at every place of every image" in said
    assert "net/dead_relu" in said


def test_pruning_tells_what_was_removed_and_what_fine_tuning_gave_back(page):
    said = page.visible
    assert "12.0 → 5.9 million multiply-accumulates (49 %), 1.50 → 0.75 million parameters" in said
    assert "49.5 % of the kernels' weights are zero; 20 of 21 eligible kernels" in said
    assert "before fine-tuning97.8 %96.3 %0.0360" in said
    assert "zeros, epoch 199.5 %97.0 %0.0222" in said
    assert "block1_conv1645688 %" in said
    assert "stemread by a sum with the input" in said


def test_without_pruning_the_section_says_so(bare_document):
    assert "Nothing was pruned." in Page(render_html(bare_document)).visible


def test_without_int8_the_section_says_so(bare_document):
    assert "Nothing was quantized." in Page(render_html(bare_document)).visible
