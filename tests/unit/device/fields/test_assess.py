"""One field of view to decisions: the one way, in the geometry of the training images."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from phantom_fields import phantom_field
from PIL import Image

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.data.images import fit
from allnet_edge.device.cameras.frame import Frame
from allnet_edge.device.cameras.profile import MICROMETRES, NOT_CALIBRATED
from allnet_edge.device.field import find_cells
from allnet_edge.device.fields.assess import FieldAssessor
from allnet_edge.device.fields.files import assess_files
from allnet_edge.device.fields.results import Reason
from allnet_edge.device.session import Session
from allnet_edge.errors import UsageError
from allnet_edge.segmentation.cell import Field
from allnet_edge.segmentation.cutting import cut_out


def frame(rgb: Field, number: int = 0) -> Frame:
    return Frame(number, rgb, datetime.now(timezone.utc), time.monotonic_ns(), "field.png")


@pytest.fixture(scope="module")
def field() -> Field:
    return phantom_field(3, 5, (300, 400), 40.0)[0]


@pytest.fixture
def bundle(make_bundle: Callable[..., Path]) -> Bundle:
    return Bundle.open(make_bundle())


@pytest.fixture
def session(bundle: Bundle) -> Iterator[Session]:
    with Session(bundle, threads=1) as opened:
        yield opened


class TestAssess:
    def test_each_cell_is_decided_as_its_cut_out_alone_would_be(self, session, bundle, field):
        result = FieldAssessor(session).assess(frame(field))
        found = find_cells(field)
        assert len(found) == len(result.cells) == 5
        judge = session.judge
        for cell, told in zip(found, result.cells, strict=True):
            assert told.box == cell.box
            picture = cut_out(field, cell, side=32, scale=1.0, background="smear")
            tensor = fit(Image.fromarray(picture), bundle.preprocess)
            assert np.array_equal(told.picture, tensor)
            alone = judge(session.infer(tensor[None]))[0]
            assert (told.label, told.probability) == (alone.label, alone.probability)
            assert told.reason is (Reason.uncertain if alone.uncertain else None)
        assert list(result.spans_ns) == ["find", "cut_out", "infer", "judge"]
        assert all(ns > 0 for ns in result.spans_ns.values())
        assert (result.name, result.width, result.height) == ("field.png", 400, 300)

    def test_a_file_and_its_field_of_one_cell_are_decided_alike(self, session, tmp_path, field):
        cell = find_cells(field)[0]
        picture = cut_out(field, cell, side=32, scale=1.0, background="smear")
        Image.fromarray(picture).save(tmp_path / "cell.png")
        decided = session.decide(tmp_path / "cell.png")
        told = FieldAssessor(session).assess(frame(field)).cells[0]
        assert (told.label, told.probability) == (decided.label, decided.probability)

    def test_a_cut_cell_is_told_and_not_run(self, session, field):
        middle = round(find_cells(field)[0].centre[0])
        result = FieldAssessor(session).assess(frame(field[:, middle:].copy()))
        cut = [cell for cell in result.cells if cell.reason is Reason.cut]
        assert cut
        assert {(one.label, one.probability, one.picture) for one in cut} == {(None, None, None)}
        assert all(one.outline and one.detail for one in cut)

    def test_a_blurred_cell_is_not_run(self, session, field):
        from PIL import ImageFilter

        blurred = np.asarray(Image.fromarray(field).filter(ImageFilter.GaussianBlur(9)))
        result = FieldAssessor(session).assess(frame(blurred))
        assert result.cells
        assert {cell.reason for cell in result.cells} <= {Reason.blurred, Reason.cut}

    def test_an_empty_field_has_no_cell(self, session):
        result = FieldAssessor(session).assess(frame(np.full((240, 320, 3), 230, np.uint8)))
        assert result.cells == ()
        assert result.reason is None

    def test_the_scale_changes_what_the_network_is_shown(self, session, field):
        pictures = {
            scale: FieldAssessor(session, scale=scale, scale_known=MICROMETRES)
            .assess(frame(field))
            .cells[0]
            .picture
            for scale in (0.5, 1.0)
        }
        smaller, plain = pictures[0.5], pictures[1.0]
        dark = [int((one.mean(axis=2) < 140).sum()) for one in (smaller, plain)]
        assert dark[0] < dark[1]

    def test_what_a_person_should_know_is_said(self, session):
        notes = " ".join(FieldAssessor(session).notes)
        assert "not calibrated" in notes
        assert "appearance" in notes
        calibrated = FieldAssessor(session, scale=0.7, scale_known=MICROMETRES)
        assert "not calibrated" not in " ".join(calibrated.notes)
        assert FieldAssessor(session).scale_known == NOT_CALIBRATED

    @pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_scale_that_is_none_is_refused(self, scale, session):
        with pytest.raises(UsageError, match="scale"):
            FieldAssessor(session, scale=scale)


class TestShadow:
    def test_it_is_asked_beside_and_never_decides(self, session, bundle, field):
        alone = FieldAssessor(session).assess(frame(field))
        with Session(bundle, candidate="onnx.fp32", threads=1) as shadow:
            assessor = FieldAssessor(session, shadow=shadow)
            both = assessor.assess(frame(field))
            expected = shadow.infer(np.stack([cell.picture for cell in both.cells]))
        assert [cell.shadow for cell in both.cells] == pytest.approx(expected.tolist())
        assert [(c.label, c.probability) for c in both.cells] == [
            (c.label, c.probability) for c in alone.cells
        ]
        assert all(cell.shadow is None for cell in alone.cells)
        assert assessor.compared == 5

    def test_disagreements_are_counted_and_logged(self, make_bundle, field, caplog):
        from allnet_edge.artifacts.manifest import Threshold

        ids = ("litert.int8", "litert.fp32", "onnx.fp32")
        limits = {name: Threshold(threshold=0.0, fitted_on="fixed") for name in ids}
        limits["onnx.fp32"] = Threshold(threshold=1.0, fitted_on="fixed")
        bundle = Bundle.open(make_bundle(thresholds=limits))
        with (
            caplog.at_level("INFO"),
            Session(bundle, threads=1) as session,
            Session(bundle, candidate="onnx.fp32", threads=1) as shadow,
        ):
            assessor = FieldAssessor(session, shadow=shadow)
            assessor.assess(frame(field))
        assert assessor.disagreed == assessor.compared == 5
        assert sum("shadow disagrees" in line for line in caplog.messages) == 5

    def test_one_of_another_bundle_is_refused(self, session, make_bundle, tmp_path_factory):
        root = tmp_path_factory.mktemp("other") / "bundle"
        session.bundle.root.rename(root)
        other = Bundle.open(make_bundle(name="another"))
        with Session(other, threads=1) as shadow, pytest.raises(UsageError, match="another bundle"):
            FieldAssessor(session, shadow=shadow)


class TestFiles:
    def test_each_is_a_field_and_bad_ones_are_told(self, session, field, tmp_path):
        Image.fromarray(field).save(tmp_path / "a.png")
        (tmp_path / "b.png").write_bytes(b"")
        Image.fromarray(np.zeros_like(field)).save(tmp_path / "c.png")
        Image.fromarray(field[:200, :260]).save(tmp_path / "d.png")
        paths = [tmp_path / f"{name}.png" for name in "abcd"]
        found = list(assess_files(FieldAssessor(session), paths))
        assert [one.reason for one in found] == [None, Reason.damaged, Reason.dark, None]
        assert [one.name for one in found] == [str(path) for path in paths]
        assert "zero-byte" in found[1].detail
        assert len(found[0].cells) == 5


def test_real_fields_have_cells_that_are_decided(session, shared_data):
    files = sorted((shared_data / "bccd" / "JPEGImages").glob("*.jpg"))[:8]
    if not files:
        pytest.skip("BCCD is absent")
    found = list(assess_files(FieldAssessor(session, scale=0.3), files))
    assert sum(len(one.cells) for one in found) >= 8
    assert any(cell.label for one in found for cell in one.cells)
