import json
from collections.abc import Callable
from pathlib import Path

import pytest

from allnet_edge.cli.main import main
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import load_split

MakeCnmc = Callable[..., Path]

CELLS = {
    f"fold_{person % 3}/{label}/UID_{mark}{person}_1_{cell}_{label}": 10 * person + cell + shift
    for label, mark, shift in (("all", "", 0), ("hem", "H", 1000))
    for person in range(1, 5)
    for cell in range(1, 3)
}


def test_check_prints_one_json_object(
    make_cnmc: MakeCnmc, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(make_cnmc(CELLS)), "--json"]) == 0
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert report["classes"] == {"all": 8, "hem": 8}
    assert "problems" not in report
    assert "reading images 16/16" in output.err


def test_check_of_an_unusable_set_reports_and_leaves_with_9(
    make_cnmc: MakeCnmc, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_cnmc({name: seed for name, seed in CELLS.items() if "all" in name})
    assert main(["data", "check", str(root), "--quiet"]) == 9
    assert "NOT usable: only one class" in capsys.readouterr().out
    assert main(["data", "check", str(root), "--json"]) == 9
    assert json.loads(capsys.readouterr().out)["classes"] == {"all": 8}


def test_check_of_nothing_leaves_with_9(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(tmp_path)]) == 9
    assert "no images of any known layout" in capsys.readouterr().err


def test_check_shows_what_is_wrong(make_cnmc: MakeCnmc, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_cnmc({**CELLS, "fold_0/all/UID_9_1_1_all": 11})
    (root / "fold_0" / "all" / "UID_9_1_2_all.bmp").write_bytes(b"")
    assert main(["data", "check", str(root)]) == 0
    shown = capsys.readouterr().out
    assert "UID_9_1_2_all.bmp" in shown
    assert "zero-byte" in shown
    assert "all:1 = all:9" in shown


@pytest.mark.parametrize("protocol", ["patient", "random", "paper"])
def test_split_writes_what_it_says(
    make_cnmc: MakeCnmc, tmp_path: Path, capsys: pytest.CaptureFixture[str], protocol: str
) -> None:
    output = tmp_path / "split.json"
    command = ["data", "split", str(make_cnmc(CELLS)), "--protocol", protocol, "-o", str(output)]
    assert main([*command, "--seed", "4", "--json"]) == 0
    printed = capsys.readouterr()
    said = json.loads(printed.out)
    split = load_split(output)
    assert said["leaking"] is split.leaking is (protocol != "patient")
    assert ("warning: this split leaks" in printed.err) is split.leaking
    assert ("LEAKING" in said["why"]) is split.leaking
    assert said["seed"] == split.seed == 4
    assert {part: sum(n.values()) for part, n in said["parts"].items()} == {
        part: len(held) for part, held in split.parts.items()
    }
    assert main([*command, "--quiet"]) == 0
    assert split.parts.keys() == load_split(output).parts.keys()


def test_split_refuses_what_it_does_not_know(
    make_cnmc: MakeCnmc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, output = str(make_cnmc(CELLS)), str(tmp_path / "s.json")
    assert main(["data", "split", root, "--protocol", "patients", "-o", output]) == 2
    assert "did you mean patient?" in capsys.readouterr().err
    wrong = ["--protocol", "patient", "-o", output, "--fractions", "a,b"]
    assert main(["data", "split", root, *wrong]) == 2
    assert main(["data", "split", root, "--protocol", "block", "-o", output]) == 9
    assert not Path(output).exists()


def test_folds_are_written_to_a_folder(
    make_cnmc: MakeCnmc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = make_cnmc(CELLS), tmp_path / "folds"
    command = ["data", "split", str(root), "--protocol", "patient", "-o", str(out), "--seed", "2"]
    assert main([*command, "--folds", "4", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    files = [out / f"fold-{number}.json" for number in range(1, 5)]
    assert sorted(out.iterdir()) == files
    assert said["output"] == str(out)
    assert (said["protocol"], said["leaking"], said["seed"]) == ("patient", False, 2)
    assert [fold["split"] for fold in said["folds"]] == [str(path) for path in files]
    assert [fold["parts"]["test"] for fold in said["folds"]] == [{"all": 2, "hem": 2}] * 4
    index = load_index(root)
    for path, fold in zip(files, said["folds"], strict=True):
        split = load_split(path)
        split.verify(index)
        assert fold["why"] == split.why
    assert main([*command, "--folds", "3"]) == 0
    shown = capsys.readouterr().out
    assert "fold 1 of 3: 8 patients" in shown
    assert sorted(out.iterdir()) == files[:3]


@pytest.mark.parametrize(
    ("extra", "code", "said"),
    [
        (["--protocol", "patient", "--folds", "2"], 2, "2 folds are too few"),
        (["--protocol", "patient", "--folds", "5"], 9, "use --folds 4 or fewer"),
        (["--protocol", "random", "--folds", "3"], 2, "--folds deals patients"),
        (["--protocol", "patient", "--folds", "3", "--fractions", "0.6,0.2,0.2"], 2, "contradict"),
        (["--protocol", "paper", "--fractions", "0.8,0.1,0.1"], 2, "the published split is 0.6"),
    ],
)
def test_split_refuses_what_makes_no_sense(
    make_cnmc: MakeCnmc,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    extra: list[str],
    code: int,
    said: str,
) -> None:
    out = tmp_path / "out"
    assert main(["data", "split", str(make_cnmc(CELLS)), "-o", str(out), *extra]) == code
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_folds_leave_a_folder_of_other_things_alone(
    make_cnmc: MakeCnmc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(make_cnmc(CELLS))
    command = ["data", "split", root, "--protocol", "patient", "--folds", "3", "-o", str(tmp_path)]
    assert main(command) == 2
    assert "something that is no fold (set)" in capsys.readouterr().err
    assert len(load_index(Path(root)).samples) == 16


def test_phantom_makes_a_set_that_can_be_checked_and_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "cells")
    assert main(["data", "phantom", out, "--images", "36", "--patients", "9", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["data", "check", out, "--json", "--quiet"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["layout"], report["usable"]) == ("phantom", 36)
    assert report["near_duplicates"] == []
    split = str(tmp_path / "split.json")
    assert main(["data", "split", out, "--protocol", "patient", "-o", split, "--quiet"]) == 0
