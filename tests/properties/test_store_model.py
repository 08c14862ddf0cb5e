"""Whatever is done with a store, it answers like a plain list in memory would."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from store_samples import new_slide

from allnet_edge.device.fields.counts import FieldCounts
from allnet_edge.device.fields.results import CellResult, FieldResult, Reason
from allnet_edge.device.store.export import json_chunks
from allnet_edge.device.store.records import StoredCell
from allnet_edge.device.store.store import Store

BINARY, SEVERAL = ("healthy", "blast"), ("healthy", "blast", "reactive")
SHARE = st.floats(0, 1) | st.just(-0.0)
POINT = st.tuples(st.integers(0, 4096), st.integers(0, 4096))


@dataclass
class Cell:
    """The model of one cell."""

    result: CellResult
    said: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def counts_as(self) -> str | None:
        verdict, label = self.said[-1] if self.said else ("agree", None)
        if verdict == "not_a_cell":
            return None
        return label or (self.result.label if self.result.reason is None else None)


@dataclass
class Slide:
    """The model of one slide: its fields, each a result and its cells by id."""

    classes: tuple[str, ...]
    state: str = "running"
    fields: list[tuple[FieldResult, dict[int, Cell]]] = field(default_factory=list)

    def cells(self) -> dict[int, Cell]:
        return {key: cell for _, cells in self.fields for key, cell in cells.items()}


@st.composite
def results(draw: st.DrawFn, classes: Sequence[str]) -> FieldResult:
    cells = []
    for index in range(draw(st.integers(0, 4))):
        run = draw(st.booleans())
        reason = draw(st.sampled_from([None, Reason.uncertain] if run else [Reason.cut]))
        x, y = draw(POINT)
        cells.append(
            CellResult(
                index,
                (x, y, x + draw(st.integers(1, 99)), y + 7),
                tuple(draw(st.lists(POINT, max_size=3))),
                draw(st.sampled_from(classes)) if run else None,
                draw(SHARE) if run else None,
                reason,
                draw(st.text(st.characters(codec="utf-8", categories=["L", "P"]), max_size=9)),
                draw(st.none() | SHARE),
                draw(st.none() | st.floats(0, 1e9)),
            )
        )
    taken = draw(st.datetimes(datetime(1970, 1, 1), timezones=st.just(timezone.utc)))
    number = draw(st.integers(0, 2**40))
    refused = draw(st.sampled_from([None, Reason.dark])) if not cells else None
    spans = draw(st.dictionaries(st.sampled_from(["find", "infer"]), st.integers(0, 2**50)))
    return FieldResult(number, "", taken, 640, 480, tuple(cells), refused, "", spans)


class StoreMachine(RuleBasedStateMachine):
    """Slides, fields and corrections in any order, with openings in between."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._store = Store.open(Path(self._folder.name))
        self._slides: dict[int, Slide] = {}

    def teardown(self) -> None:
        self._store.check()
        self._store.close()
        self._folder.cleanup()

    def _pick(self, data: st.DataObject, state: str | None = None) -> int:
        keys = [key for key, one in self._slides.items() if state in {None, one.state}]
        return data.draw(st.sampled_from(keys))

    def _any(self, state: str) -> bool:
        return any(one.state == state for one in self._slides.values())

    @rule(classes=st.sampled_from([BINARY, SEVERAL]))
    def start(self, classes: tuple[str, ...]) -> None:
        key = self._store.start_slide(new_slide(classes=classes))
        assert key == len(self._slides) + 1
        self._slides[key] = Slide(classes)

    @precondition(lambda self: self._any("running"))
    @rule(data=st.data())
    def add(self, data: st.DataObject) -> None:
        slide = self._pick(data, "running")
        model = self._slides[slide]
        result = data.draw(results(model.classes))
        ids = self._store.add_field(slide, result)
        cells = {key: Cell(cell) for key, cell in zip(ids, result.cells, strict=True)}
        model.fields.append((result, cells))

    @precondition(lambda self: any(one.cells() for one in self._slides.values()))
    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        known = {k: (s, c) for s in self._slides.values() for k, c in s.cells().items()}
        key = data.draw(st.sampled_from(sorted(known)))
        slide, cell = known[key]
        verdict = data.draw(st.sampled_from(["agree", "disagree", "not_a_cell"]))
        others = [name for name in slide.classes if name != cell.result.label]
        label = data.draw(st.sampled_from(others)) if verdict == "disagree" else None
        self._store.correct(key, verdict, label)
        cell.said.append((verdict, label))

    @precondition(lambda self: self._any("running"))
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        slide = self._pick(data, "running")
        self._store.end_slide(slide, "done")
        self._slides[slide].state = "ended"

    @rule()
    def open_again(self) -> None:
        self._store.close()
        self._store = Store.open(Path(self._folder.name))
        for one in self._slides.values():
            one.state = "interrupted" if one.state == "running" else one.state

    @invariant()
    def slides_are_those(self) -> None:
        found = {one.id: one for one in self._store.slides()}
        assert list(found) == sorted(self._slides, reverse=True)
        for key, model in self._slides.items():
            cells = model.cells().values()
            known = found[key]
            assert known.state == model.state
            assert known.facts.classes == model.classes
            assert (known.fields, known.cells) == (len(model.fields), len(cells))
            assert known.assessed == sum(one.result.assessed for one in cells)
            assert known.corrected == sum(bool(one.said) for one in cells)

    @precondition(lambda self: bool(self._slides))
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        slide = self._pick(data)
        model = self._slides[slide]
        by_time = self._store.cells(slide, "time")
        assert [one.id for one in by_time] == list(model.cells())
        for one, cell in zip(by_time, model.cells().values(), strict=True):
            _same(one, cell)
        in_order = [one.id for one in self._store.cells(slide)]
        assert in_order == sorted(model.cells(), key=lambda key: _place(model, key))
        paged: list[int] = []
        for _ in range(0, len(in_order), 2):
            last = paged[-1] if paged else None
            paged += [one.id for one in self._store.cells(slide, limit=2, after=last)]
        assert paged == in_order

    @precondition(lambda self: bool(self._slides))
    @rule(data=st.data(), corrected=st.booleans())
    def count(self, data: st.DataObject, *, corrected: bool) -> None:
        slide = self._pick(data)
        model = self._slides[slide]
        found = self._store.counts(slide, corrected)
        for counts, (result, cells) in zip(found, model.fields, strict=True):
            wanted = _counts(model.classes, result, cells, corrected=corrected)
            assert (counts.labels, counts.not_assessed) == (wanted.labels, wanted.not_assessed)
            assert counts.refused == wanted.refused
            assert _close(counts.stain_distance, wanted.stain_distance)

    @precondition(lambda self: bool(self._slides))
    @rule(data=st.data())
    def export(self, data: st.DataObject) -> None:
        slide = self._pick(data)
        document = json.loads("".join(json_chunks(self._store, slide)))
        model = self._slides[slide]
        for plain, (result, cells) in zip(document["fields"], model.fields, strict=True):
            assert datetime.fromisoformat(plain["taken"]) == result.taken
            assert (plain["number"], plain["spans_ns"]) == (result.number, result.spans_ns)
            for one, (key, cell) in zip(plain["cells"], cells.items(), strict=True):
                given = cell.result
                assert (one["id"], one["counts_as"]) == (key, cell.counts_as)
                assert (one["probability"], one["shadow"]) == (given.probability, given.shadow)
                assert one["stain_distance"] == given.stain_distance
                assert tuple(one["box"]) == given.box
                assert one["detail"] == given.detail


def _same(one: StoredCell, cell: Cell) -> None:
    given = cell.result
    for name in ("index", "box", "outline", "label", "probability", "reason", "detail", "shadow"):
        assert getattr(one, name) == getattr(given, name), name
    assert one.stain_distance == given.stain_distance
    said = None if one.correction is None else (one.correction.verdict, one.correction.label)
    assert said == (cell.said[-1] if cell.said else None)
    assert one.counts_as == cell.counts_as


def _place(model: Slide, key: int) -> tuple[bool, float, int]:
    """Assessed first, the suspicious ahead; computed as the store does, so that ties are ties."""
    given = model.cells()[key].result
    if given.probability is None:
        return (True, 3.0, key)
    binary = len(model.classes) == 2 or given.label == "blast"
    suspicion = given.probability if binary else 1 - given.probability
    return (not given.assessed, (0.0 if given.assessed else 2.0) - suspicion, key)


def _counts(
    classes: Sequence[str], result: FieldResult, cells: dict[int, Cell], *, corrected: bool
) -> FieldCounts:
    labels = dict.fromkeys(classes, 0)
    not_assessed: dict[Reason, int] = {}
    distances = []
    for cell in cells.values():
        given, said = cell.result, cell.said[-1:] if corrected else []
        if said and said[0][0] == "not_a_cell":
            continue
        if given.stain_distance is not None:
            distances.append(given.stain_distance)
        label = cell.counts_as if corrected else given.label if given.assessed else None
        if label is not None:
            labels[label] += 1
        elif given.reason is not None:
            not_assessed[given.reason] = not_assessed.get(given.reason, 0) + 1
    mean = sum(distances) / len(distances) if distances else None
    return FieldCounts(labels, not_assessed, mean, result.reason)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= 1e-9 * max(abs(one), abs(other))


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
