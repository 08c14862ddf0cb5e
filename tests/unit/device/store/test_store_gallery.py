"""Corrections, what they do to counts, and the order and the pages of the gallery."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_samples import cell, field, new_slide

from allnet_edge.device.fields.results import Reason
from allnet_edge.device.store.store import Store
from allnet_edge.errors import UsageError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def test_the_newest_correction_counts_and_all_are_kept(store: Store) -> None:
    slide = store.start_slide(new_slide())
    (key,) = store.add_field(slide, field(0, [cell(0, 0.9)]))
    assert store.cell(key).counts_as == "blast"
    for verdict, label, counts_as in [
        ("disagree", "healthy", "healthy"),
        ("not_a_cell", None, None),
        ("agree", None, "blast"),
        ("disagree", None, "healthy"),
    ]:
        store.correct(key, verdict, label)
        assert store.cell(key).counts_as == counts_as
    said = [one.verdict for one in store.corrections(key)]
    assert said == ["disagree", "not_a_cell", "agree", "disagree"]
    assert store.cells(slide)[0].correction == store.corrections(key)[-1]


def test_counts_with_and_without_corrections(store: Store) -> None:
    slide = store.start_slide(new_slide())
    first = store.add_field(
        slide,
        field(
            0,
            [
                cell(0, 0.9, stain_distance=1.0),
                cell(1, 0.8, stain_distance=2.0),
                cell(2, 0.1, stain_distance=6.0),
                cell(3, 0.5, reason=Reason.uncertain),
                cell(4, None, reason=Reason.cut),
                cell(5, None, reason=Reason.cut),
            ],
        ),
    )
    store.add_field(slide, field(1))
    store.add_field(slide, field(2, reason=Reason.dark))
    one, none, refused = store.counts(slide, corrected=False)
    assert one.labels == {"healthy": 1, "blast": 2}
    assert one.not_assessed == {Reason.uncertain: 1, Reason.cut: 2}
    assert one.stain_distance == pytest.approx(3.0)
    assert (none.assessed, none.refused, none.stain_distance) == (0, None, None)
    assert refused.refused is Reason.dark
    store.correct(first[0], "disagree")
    store.correct(first[1], "agree")
    store.correct(first[2], "not_a_cell")
    store.correct(first[3], "disagree", "blast")
    store.correct(first[4], "not_a_cell")
    store.correct(first[5], "agree")
    assert store.counts(slide, corrected=False)[0] == one
    corrected = store.counts(slide, corrected=True)
    assert corrected[0].labels == {"healthy": 1, "blast": 2}
    assert corrected[0].not_assessed == {Reason.cut: 1}
    assert corrected[0].stain_distance == pytest.approx(1.5)
    assert corrected[1:] == [none, refused]


@pytest.mark.parametrize(
    ("index", "verdict", "label", "match"),
    [
        (0, "disagree", "blast", "already"),
        (0, "disagree", "lymphocyte", "no class"),
        (2, "disagree", None, "needs a label"),
        (0, "agree", "blast", "no correction"),
        (0, "not_a_cell", "blast", "no correction"),
        (0, "perhaps", None, "no correction"),
    ],
)
def test_a_correction_without_sense_is_refused(
    store: Store, index: int, verdict: str, label: str | None, match: str
) -> None:
    slide = store.start_slide(new_slide())
    cells = [cell(0, 0.9), cell(1, 0.1), cell(2, None, reason=Reason.cut)]
    ids = store.add_field(slide, field(0, cells))
    with pytest.raises(UsageError, match=match):
        store.correct(ids[index], verdict, label)
    assert store.corrections(ids[index]) == []


def test_with_three_classes_disagreeing_names_one(store: Store) -> None:
    slide = store.start_slide(new_slide(classes=("a", "b", "c"), positive=None))
    (key,) = store.add_field(slide, field(0, [cell(0, 0.9, label="a")]))
    with pytest.raises(UsageError, match="needs a label"):
        store.correct(key, "disagree")
    store.correct(key, "disagree", "c")
    assert store.cell(key).counts_as == "c"


def test_the_gallery_begins_with_the_most_suspicious(store: Store) -> None:
    slide = store.start_slide(new_slide())
    ids = store.add_field(
        slide,
        field(
            0,
            [
                cell(0, None, reason=Reason.cut),
                cell(1, 0.2),
                cell(2, 0.55, reason=Reason.uncertain),
                cell(3, 0.9),
                cell(4, 0.9),
                cell(5, 0.45, reason=Reason.uncertain),
                cell(6, 0.0),
            ],
        ),
    )
    order = [ids.index(one.id) for one in store.cells(slide)]
    assert order == [3, 4, 1, 6, 2, 5, 0]
    assert [one.id for one in store.cells(slide, "time")] == ids


def test_the_gallery_of_several_classes(store: Store) -> None:
    cells = [
        cell(0, 0.95, label="a"),
        cell(1, 0.60, label="p"),
        cell(2, 0.99, label="p"),
        cell(3, 0.50, label="b"),
    ]
    slide = store.start_slide(new_slide(classes=("a", "b", "p"), positive="p"))
    store.add_field(slide, field(0, cells))
    assert [one.index for one in store.cells(slide)] == [2, 1, 3, 0]
    slide = store.start_slide(new_slide(classes=("a", "b", "p"), positive=None))
    store.add_field(slide, field(0, cells))
    assert [one.index for one in store.cells(slide)] == [3, 1, 0, 2]


def test_no_cell_comes_twice_while_cells_are_added(store: Store) -> None:
    slide = store.start_slide(new_slide())
    ids = store.add_field(slide, field(0, [cell(k, 0.4 + 0.01 * k) for k in range(9)]))
    seen = [one.id for one in store.cells(slide, limit=4)]
    store.add_field(slide, field(1, [cell(0, 0.99)]))  # ahead of all
    for _ in range(2):
        seen += [one.id for one in store.cells(slide, limit=4, after=seen[-1])]
    assert seen == ids[::-1]
    by_time = [one.id for one in store.cells(slide, "time", limit=4)]
    store.add_field(slide, field(2, [cell(0, 0.5)]))
    by_time += [one.id for one in store.cells(slide, "time", limit=100, offset=4)]
    assert by_time == sorted(by_time)
    assert len(by_time) == len(set(by_time)) == 11


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (-1, 0), (1001, 0), (10, -1), (10, 2**70)])
def test_a_page_without_sense_is_refused(store: Store, limit: int, offset: int) -> None:
    slide = store.start_slide(new_slide())
    with pytest.raises(UsageError, match="no page"):
        store.cells(slide, limit=limit, offset=offset)
