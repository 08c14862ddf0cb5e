from pathlib import Path

import pytest

import allnet_edge
from allnet_edge.errors import UsageError
from allnet_edge.spec.target import all_targets
from allnet_edge.spec.targets_table import END, START, main, render, replace

README = Path(allnet_edge.__file__).parents[1] / "README.md"


def test_the_readme_has_the_table_of_the_targets():
    """Red? Run python -m allnet_edge.spec.targets_table README.md."""
    text = README.read_text(encoding="utf-8")
    assert replace(text, render(all_targets())) == text


def test_a_row_has_what_a_buyer_asks():
    rows = render(all_targets()).splitlines()
    (nano,) = [row for row in rows if row.startswith("| `jetson-nano`")]
    assert "trtexec" in nano
    assert "0.47 / none" in nano
    assert "int8" not in nano
    (kit,) = [row for row in rows if "`jetson`" in row]
    assert "16.7 / 33.4" in kit
    assert {row.count("|") for row in rows} == {9}


def test_only_the_table_is_rewritten(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    main(path)
    text = path.read_text()
    assert text == f"before\n{START}\n{render(all_targets())}{END}\nafter\n"
    main(path)
    assert path.read_text() == text


@pytest.mark.parametrize("text", ["", START, END, f"{END}{START}", f"{START}{END}{START}{END}"])
def test_a_page_without_the_two_markers_is_refused(text):
    with pytest.raises(UsageError, match="no place for the table"):
        replace(text, "x")
