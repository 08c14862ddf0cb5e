"""The gate on the device repeats the build's gate, from hashes and frozen answers alone."""

import json
import shutil

import numpy as np
import pytest

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.reference import REFERENCE, FrozenReference
from allnet_edge.cli.main import main
from allnet_edge.device.judge_again import judge_again
from allnet_edge.errors import DataError, IntegrityError, SplitError, UsageError

ALL = ("litert.int8", "litert.fp32", "onnx.fp32")


def verify(capsys, *arguments: object) -> tuple[int, dict]:
    code = main(["verify", *map(str, arguments), "--json", "--quiet"])
    return code, json.loads(capsys.readouterr().out)


class TestGate:
    def test_it_finds_what_the_build_found_to_the_last_digit(self, judged_bundle):
        made = judged_bundle()
        found = judge_again(Bundle.open(made.root), made.data, ALL)
        assert found.report == made.report
        assert found.in_use.id == "litert.int8"

    def test_numbers_stand_for_patients_in_their_order(self, judged_bundle):
        reference = Bundle.open(judged_bundle().root).reference()
        assert reference.patients.max() == 23
        assert b"hem:H" not in (reference.to_bytes())

    def test_folders_and_names_do_not_matter(self, judged_bundle, tmp_path):
        made = judged_bundle()
        flat = tmp_path / "flat"
        flat.mkdir()
        for number, path in enumerate(sorted(made.data.rglob("*.png"))):
            shutil.copy(path, flat / f"renamed{number}.png")
        assert judge_again(Bundle.open(made.root), flat, ALL).report == made.report

    def test_a_missing_cell_is_named(self, judged_bundle):
        made = judged_bundle()
        (made.data / "3" / "3.png").unlink()
        with pytest.raises(DataError, match=r"1 of the gate's 240 cells .*first: cell-3\)"):
            judge_again(Bundle.open(made.root), made.data, ALL)

    def test_a_cell_that_was_saved_again_is_missing(self, judged_bundle):
        made = judged_bundle()
        with (made.data / "3" / "3.png").open("ab") as stream:
            stream.write(b"\0")
        with pytest.raises(DataError, match="cell-3"):
            judge_again(Bundle.open(made.root), made.data, ALL)

    def test_no_folder(self, judged_bundle, tmp_path):
        with pytest.raises(UsageError, match="no such folder"):
            judge_again(Bundle.open(judged_bundle().root), tmp_path / "none", ALL)

    def test_a_bundle_without_frozen_answers(self, make_bundle, tmp_path):
        with pytest.raises(UsageError, match="no frozen answers"):
            judge_again(Bundle.open(make_bundle()), tmp_path, ALL)

    def test_a_calibration_image_is_not_judged_on(self, judged_bundle, make_bundle):
        made = judged_bundle()
        shutil.move(made.root, made.root.with_name("first"))
        reference = FrozenReference.read(made.root.with_name("first") / REFERENCE)
        listed = json.dumps({"images": [{"sha256": reference.sha256s[5]}]}).encode()
        with pytest.raises(SplitError, match="used for calibration"):
            judge_again(
                Bundle.open(
                    make_bundle(
                        reference=reference,
                        more={
                            "calibration.json": listed,
                            "reports/gate.json": (
                                made.root.with_name("first") / "reports/gate.json"
                            ).read_bytes(),
                        },
                    )
                ),
                made.data,
                ALL,
            )


class TestReferenceFile:
    def test_it_comes_back_as_it_was(self, judged_bundle, tmp_path):
        reference = Bundle.open(judged_bundle().root).reference()
        path = tmp_path / "again.npz"
        path.write_bytes(reference.to_bytes())
        again = FrozenReference.read(path)
        assert again.ids == reference.ids
        np.testing.assert_array_equal(again.scores, reference.scores)
        assert again.threshold == reference.threshold
        assert again.to_bytes() == reference.to_bytes()

    def test_unknown_patients_stay_unknown(self, tmp_path):
        path = tmp_path / "one.npz"
        path.write_bytes(_reference(None).to_bytes())
        assert FrozenReference.read(path).patients is None

    def test_names_become_numbers_in_their_order(self):
        assert _reference(("b", "a", "b")).patients.tolist() == [1, 0, 1]

    def test_rows_that_do_not_match(self, tmp_path):
        broken = _reference(None)
        path = tmp_path / "one.npz"
        path.write_bytes(
            FrozenReference(
                broken.ids, broken.sha256s[:2], broken.labels, None, broken.scores, 0.5
            ).to_bytes()
        )
        with pytest.raises(IntegrityError, match="one answer a cell"):
            FrozenReference.read(path)

    def test_something_else(self, tmp_path):
        path = tmp_path / "one.npz"
        np.savez(path, other=np.zeros(3))
        with pytest.raises(IntegrityError, match="no frozen answers"):
            FrozenReference.read(path)


def _reference(patients: tuple[str, ...] | None) -> FrozenReference:
    return FrozenReference.of(
        ids=("x", "y", "z"),
        sha256s=("0" * 64, "1" * 64, "2" * 64),
        labels=np.array([True, False, True]),
        patients=patients,
        scores=np.array([0.9, 0.1, 0.8], np.float32),
        threshold=0.5,
    )


class TestVerify:
    def test_with_data_it_judges_again(self, judged_bundle, capsys):
        made = judged_bundle()
        code, found = verify(capsys, made.root, "--data", made.data)
        assert code == 0
        assert found["in_use"] == "litert.int8"
        assert {c["id"]: c["verdict"] for c in found["gate"]["candidates"]} == dict.fromkeys(
            ALL, "pass"
        )

    def test_a_candidate_in_use_that_fails_ends_in_5(self, judged_bundle, capsys):
        from allnet_edge.artifacts.manifest import Threshold

        made = judged_bundle(
            thresholds={name: Threshold(threshold=1.0, fitted_on="validation") for name in ALL}
        )
        code, found = verify(capsys, made.root, "--data", made.data)
        assert code == 5
        assert found["ok"] is False

    def test_without_data_nothing_is_judged(self, judged_bundle, capsys):
        code, found = verify(capsys, judged_bundle().root)
        assert (code, found["gate"]) == (0, None)

    def test_missing_cells_end_in_9(self, judged_bundle, tmp_path, capsys):
        (tmp_path / "empty").mkdir()
        code, found = verify(capsys, judged_bundle().root, "--data", tmp_path / "empty")
        assert code == 9
        assert "240 of the gate's 240 cells" in found["error"]["what"]

    def test_people_get_a_table(self, judged_bundle, capsys):
        made = judged_bundle()
        assert main(["verify", str(made.root), "--data", str(made.data)]) == 0
        assert "gate onnx.fp32" in capsys.readouterr().out
