import pytest
from report_example import example, latency, plain

from allnet_edge.report.document import Summary
from allnet_edge.report.render import render_markdown


@pytest.fixture(scope="module")
def markdown(document):
    return plain(render_markdown(document))


def test_it_opens_with_title_use_and_verdict(markdown, document):
    assert markdown.splitlines()[:8] == [
        "# ALLNet on C-NMC cells, int8",
        "",
        "_Research use only. Nothing here makes a diagnosis._",
        "",
        "**✔ pass**",
        "",
        plain(document.verdict.sentence),
        "",
    ]
    assert markdown.rstrip().endswith("_Research use only. Nothing here makes a diagnosis._")


def test_the_ladder_has_a_row_a_network(markdown):
    rows = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert (
        "| tflite-int8 | ✖ fail | 642 | 93.3 % (91.9-94.7 %) | 90.9 % (89.5-92.3 %) "
        "| 98.1 % (95.6-100 %) | 0.992 (0.984-1.000) | 30 | 1 | 0.310 |" in rows
    )
    assert any(row.startswith("| **onnx-int8** (chosen) | ✔ pass |") for row in rows)
    assert any("| ? inconclusive |" in row for row in rows)


def test_the_gate_names_what_it_demands(markdown):
    assert "| lower bound at least -2.00 pp | ✖ fail |" in markdown
    assert "| difference at least -0.0100 | ✔ pass |" in markdown


def test_latency_says_where(markdown):
    where = "host-proxy: measured on this machine, not on a Jetson (quick, single-stream)."
    assert where in markdown
    assert "- onnx-int8-2to4 not measured: the runtime refused the graph" in markdown


def test_an_invalid_benchmark_gives_no_figures():
    text = render_markdown(example(latency=latency(valid=False)))
    assert "**Invalid**" in text
    assert "14.2" not in text


def test_every_table_row_has_the_cells_of_its_head(document):
    ladder = tuple(rung.model_copy(update={"id": f"a|b\n`{rung.id}`"}) for rung in document.ladder)
    summary = Summary(verdict="pass", sentence="<b>x</b>", chosen="a|b\n`onnx-int8`")
    text = render_markdown(example(ladder=ladder, verdict=summary, flips=(), latency=None))
    assert "<b>" not in text.replace("\\<b\\>", "")
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("| ")]
    assert len(blocks) == 2
    for block in blocks:
        widths = {line.replace("\\|", "").count("|") for line in block}
        assert len(widths) == 1, block


def test_a_bare_document_is_short(bare_document):
    text = render_markdown(bare_document)
    assert text.count("not measured") == 3
    assert len(text.splitlines()) < 30


def test_phantoms_are_named(markdown):
    assert "**Phantom data**" in render_markdown(example(phantom=True))
    assert "hantom" not in markdown
