"""run and infer --field, from their arguments to their exit codes."""

import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from phantom_fields import phantom_field
from PIL import Image

from allnet_edge.artifacts.manifest import DataOrigin
from allnet_edge.cli.main import main
from allnet_edge.device.store.store import Store


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    """Four fields with three white cells each, and a damaged file."""
    folder = tmp_path / "fields"
    folder.mkdir()
    for seed in range(4):
        Image.fromarray(phantom_field(seed, 3, (240, 320), 36.0)[0]).save(folder / f"{seed}.png")
    (folder / "1a.png").write_bytes(b"no image at all")
    return folder


def called(capsys, *arguments: object) -> tuple[int, dict]:
    code = main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def started(bundle: Path, fields: Path, store: Path) -> "subprocess.Popen[str]":
    """A slide that does not end by itself."""
    command = [
        sys.executable, "-m", "allnet_edge", "run", str(bundle), "--source", str(fields),
        "--repeat", "--rate", "20", "--store", str(store), "--format", "jsonl",
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class TestRun:
    def test_a_folder_becomes_a_slide_with_a_summary(self, make_bundle, fields, tmp_path, capsys):
        store = tmp_path / "store"
        code, found = called(
            capsys, "run", make_bundle(), "--source", fields, "--store", store, "--name", "smear 7"
        )
        assert code == 0
        counters, summary = found["status"]["counters"], found["summary"]
        assert (counters["read"], counters["assessed"], counters["damaged"]) == (5, 4, 1)
        assert (summary["fields"], summary["found"]) == (4, 12)
        assert summary["refused"] == {"damaged": 1}
        assert "makes a diagnosis" in summary["sentence"]
        assert "not calibrated" in summary["sentence"]
        with Store.open(store) as opened:
            slide = opened.slides()[0]
        assert (slide.facts.name, slide.state, slide.fields, slide.cells) == (
            "smear 7",
            "ended",
            5,
            12,
        )

    def test_jsonl_has_a_line_a_field_and_the_summary_last(self, make_bundle, fields, capsys):
        bundle = str(make_bundle())
        assert main(["run", bundle, "--source", str(fields), "--format", "jsonl"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["kind"] for line in lines] == ["field"] * 5 + ["summary"]
        names = [line["path"] for line in lines[:5]]
        assert names == ["0.png", "1.png", "1a.png", "2.png", "3.png"]
        assert lines[2]["reason"] == "damaged"
        assert all(len(line["cells"]) == 3 for line in lines[:5] if line["usable"])

    def test_run_and_infer_say_the_same_of_each_cell(self, make_bundle, fields, capsys):
        bundle = str(make_bundle())
        main(["run", bundle, "--source", str(fields), "--format", "jsonl"])
        live = [json.loads(line) for line in capsys.readouterr().out.splitlines()][:-1]
        main(["infer", bundle, str(fields), "--field", "--format", "jsonl"])
        files = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        for one, other in zip(live, files, strict=True):
            told = [{k: v for k, v in cell.items() if k != "id"} for cell in one["cells"]]
            assert told == other["cells"]

    def test_the_table_is_for_people(self, make_bundle, fields, capsys):
        assert main(["run", str(make_bundle()), "--source", str(fields)]) == 0
        out, err = capsys.readouterr()
        assert "cells found" in out
        assert "Research use only" in err

    def test_shadow_mode_counts_what_it_compared(self, make_bundle, fields, capsys):
        code, found = called(
            capsys, "run", make_bundle(), "--source", fields, "--shadow", "litert.fp32"
        )
        assert code == 0
        assert found["status"]["compared"] == 12

    def test_it_ends_after_as_many_fields_as_asked(self, make_bundle, fields, capsys):
        code, found = called(
            capsys, "run", make_bundle(), "--source", fields, "--repeat", "--max-fields", 6
        )
        assert code == 0
        assert found["summary"]["fields"] == 6

    def test_micrometres_need_a_bundle_that_knows_its_own(self, make_bundle, fields, capsys):
        code, found = called(capsys, "run", make_bundle(), "--source", fields, "--um-per-px", "0.1")
        assert code == 0
        assert "not calibrated" in found["summary"]["sentence"]
        code, found = called(capsys, "run", make_bundle(), "--source", fields, "--um-per-px", "-1")
        assert code == 2

    def test_no_usable_field_is_an_error(self, make_bundle, tmp_path, capsys):
        black = tmp_path / "black"
        black.mkdir()
        Image.fromarray(np.zeros((240, 320, 3), np.uint8)).save(black / "a.png")
        code, found = called(capsys, "run", make_bundle(), "--source", black)
        assert code == 9
        assert found["summary"]["refused"] == {"dark": 1}

    @pytest.mark.parametrize(
        ("source", "expected"), [("v4l2:///dev/video77", 3), ("nowhere/at/all", 2)]
    )
    def test_an_absent_source(self, source, expected, make_bundle, capsys):
        code, found = called(capsys, "run", make_bundle(), "--source", source)
        assert code == expected
        assert found["error"]["exit_code"] == expected

    def test_a_changed_bundle_decides_nothing(self, make_bundle, fields, capsys):
        bundle = make_bundle()
        (bundle / "threshold.json").write_text("{}")
        assert called(capsys, "run", bundle, "--source", fields)[0] == 7

    def test_a_store_in_use_is_refused(self, make_bundle, fields, tmp_path, capsys):
        with Store.open(tmp_path / "store"):
            code, found = called(
                capsys, "run", make_bundle(), "--source", fields, "--store", tmp_path / "store"
            )
        assert code == 2
        assert found["error"]["kind"] == "OutputDirError"

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_in_mid_slide_ends_it_in_order(self, number, make_bundle, fields, tmp_path):
        process = started(make_bundle(), fields, tmp_path / "store")
        first = [process.stdout.readline() for _ in range(3)]
        process.send_signal(number)
        rest, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        lines = [json.loads(line) for line in [*first, *rest.splitlines()]]
        assert lines[-1]["kind"] == "summary"
        told = [line for line in lines if line["kind"] == "field"]
        with Store.open(tmp_path / "store") as store:
            slide = store.slides()[0]
            assert (slide.state, slide.why) == ("ended", "interrupted")
            assert slide.fields == len(told) >= 3
            kept = [cell.id for cell in store.cells(slide.id, order="time", limit=1000)]
        assert kept == [cell["id"] for line in told for cell in line["cells"]]

    def test_a_bundle_changed_in_mid_slide_ends_it(self, make_bundle, fields, tmp_path):
        bundle = make_bundle()
        process = started(bundle, fields, tmp_path / "store")
        process.stdout.readline()
        path = bundle / "threshold.json"
        path.write_bytes(path.read_bytes().replace(b"0.5", b"0.1"))
        _, err = process.communicate(timeout=60)
        assert process.returncode == 7, err
        assert "threshold.json has changed while the bundle was in use" in err

    def test_a_full_disk_ends_it_and_what_was_told_is_kept(self, make_bundle, fields, tmp_path):
        """A limit on the size of files stands for the disk: SQLite is told EFBIG."""
        store = tmp_path / "store"
        arguments = ["run", str(make_bundle()), "--source", str(fields), "--repeat", "--rate", "50",
                     "--store", str(store), "--keep-pictures", "--format", "jsonl"]  # fmt: skip
        limited = (
            "import resource, signal, sys; from allnet_edge.cli.main import main; "
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000)); "
            "sys.exit(main(sys.argv[1:]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", limited, *arguments],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 3, done.stderr
        assert "error: the disk" in done.stderr
        told = [json.loads(line) for line in done.stdout.splitlines()]
        assert told
        assert {line["kind"] for line in told} == {"field"}
        with Store.open(store) as opened:
            slide = opened.slides()[0]
            assert slide.state == "interrupted"
            assert slide.fields == len(told)


class TestInferField:
    def test_csv_has_a_row_a_cell(self, make_bundle, fields, capsys):
        bundle = str(make_bundle())
        assert main(["infer", bundle, str(fields), "--field", "--format", "csv"]) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert len(rows) == 4 * 3 + 1
        assert [Path(row["path"]).name for row in rows if not row["cell"]] == ["1a.png"]
        assert {row["reason"] for row in rows if not row["cell"]} == {"damaged"}

    def test_json_counts_cells_and_says_how_the_scale_is_known(self, make_bundle, fields, capsys):
        code, found = called(capsys, "infer", make_bundle(), fields, "--field")
        assert code == 0
        counts = found["counts"]
        assert (counts["fields"], counts["usable"], counts["cells"]) == (5, 4, 12)
        assert counts["assessed"] + sum(counts["not_assessed"].values()) == 12
        assert found["scale"] == {"training_px_per_px": 1.0, "known": "not calibrated"}
        assert found["research_use_only"] is True

    def test_exit_codes_are_those_of_infer(self, make_bundle, fields, capsys):
        bundle = make_bundle()
        assert called(capsys, "infer", bundle, fields, "--field", "--strict")[0] == 9
        assert called(capsys, "infer", bundle, fields / "1a.png", "--field")[0] == 9
        assert called(capsys, "infer", bundle, fields / "0.png", "--field")[0] == 0
        assert called(capsys, "infer", bundle, fields, "--um-per-px", "0.2")[0] == 2

    def test_the_table_names_each_cell(self, make_bundle, fields, capsys):
        assert main(["infer", str(make_bundle()), str(fields), "--field"]) == 0
        out = capsys.readouterr().out
        assert "3.png" in out
        assert "1a.png" in out

    def test_a_bundle_of_phantoms_says_so(self, make_bundle, fields, capsys):
        origin = DataOrigin(layout="phantom", split="patient", leaking=False)
        code, found = called(capsys, "run", make_bundle(data=origin), "--source", fields)
        assert code == 0
        assert "knows nothing about real ones" in found["summary"]["sentence"]
        assert found["phantom"] is True
