"""What the stage ``mixed`` makes of a search, the answers of the forms being given."""

import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.mixed import _Forms, _Search
from allnet_edge.progress import silent
from allnet_edge.search.groups import Group, Layer
from allnet_edge.search.selection import Judgement, Selection
from allnet_edge.search.sensitivity import Sensitivity


class Forms:
    """Files whose name says which layers stay float."""

    format, export = "onnx", "export_onnx"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def quantize(self, kept: frozenset[str]) -> Path:
        return self.folder / f"trial-{'-'.join(sorted(kept))}"

    def write(self, kept: frozenset[str]) -> Path:
        path = self.folder / f"written-{'-'.join(sorted(kept))}"
        path.write_text("a graph")
        return path


class Answered(_Search):
    """A search in which ``bad`` costs too much in int8, and the file as written may too."""

    written_why: str | None = None

    def _judge_file(self, path: Path) -> Judgement:
        if path.name.startswith("written"):
            why = self.written_why
        else:
            why = None if "bad" in path.name else "specificity -3.0 points"
        return Judgement(verdict="pass" if why is None else "fail", why=why, cost=None)

    def _measure(self, groups: Sequence[Group]) -> tuple[Sensitivity, ...]:
        return tuple(
            cast(
                "Sensitivity",
                SimpleNamespace(
                    group=group.name, cost=SimpleNamespace(noise=1.0),
                    model_dump=lambda **_: {"group": "one"},
                ),
            )
            for group in groups
        )  # fmt: skip


@pytest.fixture
def search(tmp_path: Path) -> Answered:
    work = SimpleNamespace(
        recipe=SimpleNamespace(mixed=SimpleNamespace(sensitivity="none")), progress=silent,
        log=logging.getLogger("test"),
    )  # fmt: skip
    layers = [Layer("good", 100), Layer("bad", 10), Layer("other", 50)]
    return Answered(
        cast("Work", work), cast("_Forms", Forms(tmp_path)), cast("Selection", None), layers, "net"
    )


def test_the_mixture_that_the_search_found_is_made(search: Answered, tmp_path: Path) -> None:
    found = search.run()
    assert found["made"] is True
    assert [path.name for path in tmp_path.iterdir()] == ["written-bad"]


def test_a_mixture_whose_file_is_not_acceptable_is_taken_away_again(
    search: Answered, tmp_path: Path
) -> None:
    search.written_why = "auc -2.0 points"
    found = search.run()
    assert found["made"] is False
    assert found["why"] == "the mixture as written: auc -2.0 points"
    assert cast("dict[str, object]", found["written"])["why"] == "auc -2.0 points"
    assert list(tmp_path.iterdir()) == []
