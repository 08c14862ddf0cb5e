"""``allnet-edge train`` with a split file that somebody edited: the message and the exit code."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from allnet_edge.cli.main import main
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import make_split, save_split

MakeCnmc = Callable[..., Path]
Plain = dict[str, dict[str, list[dict[str, object]]]]

CELLS = {
    f"fold_{person % 3}/{label}/UID_{mark}{person}_1_{cell}_{label}": 10 * person + cell + shift
    for label, mark, shift in (("all", "", 0), ("hem", "H", 1000))
    for person in range(1, 4)
    for cell in range(1, 3)
}


def copy_to_test(plain: Plain) -> None:
    plain["parts"]["test"].append(plain["parts"]["train"][0])


def move_to_test(plain: Plain) -> None:
    plain["parts"]["test"].append(plain["parts"]["train"].pop(0))


def twice(plain: Plain) -> None:
    plain["parts"]["train"].append(plain["parts"]["train"][0])


def one_class(plain: Plain) -> None:
    rows = plain["parts"]["validation"]
    plain["parts"]["validation"] = [row for row in rows if row["label"] == "all"]


def of_other_files(plain: Plain) -> None:
    for rows in plain["parts"].values():
        for row in rows:
            row["sha256"] = "0" * 64


def next_version(plain: Plain) -> None:
    plain.update(schema_version=2)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (copy_to_test, "1 images stand in two parts: fold_"),
        (move_to_test, "1 patients stand in two parts: hem:H3 (test and train)"),
        (twice, "1 images stand twice in train: fold_"),
        (one_class, "validation holds no image of class hem"),
        (of_other_files, "this split belongs to another data set"),
        (next_version, "a split of version 2: this program reads version 1"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_train_refuses_it(
    make_cnmc: MakeCnmc,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Plain], None],
    said: str,
) -> None:
    root, path = make_cnmc(CELLS), tmp_path / "split.json"
    save_split(make_split(load_index(root), "patient"), path)
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
    out = tmp_path / "run"
    run = ["train", "--model", "custom_cnn", "--data", str(root), "--split", str(path)]
    assert main([*run, "--input-size", "32", "--epochs", "1", "-o", str(out)]) == 9
    assert f"error: {said}" in capsys.readouterr().err
    assert not (out / "model.json").exists()


def test_train_refuses_a_split_and_a_protocol(
    make_cnmc: MakeCnmc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, path = make_cnmc(CELLS), tmp_path / "split.json"
    save_split(make_split(load_index(root), "patient"), path)
    run = ["train", "--model", "custom_cnn", "--data", str(root), "--split", str(path)]
    assert main([*run, "--protocol", "patient", "-o", str(tmp_path / "run")]) == 2
    assert "both a split file" in capsys.readouterr().err
