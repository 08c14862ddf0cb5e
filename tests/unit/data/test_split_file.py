"""The file of a split: what is written, what is read back, and what is refused."""

import hashlib
import json
from pathlib import Path

import pytest
from split_support import PATIENTS

from allnet_edge.data.folds import make_folds
from allnet_edge.data.split import Split, load_split, make_split, save_split
from allnet_edge.errors import OutputDirError, SplitError

# Written, and named in the model.json of runs, before splits had folds.
OLD = (
    '{"schema_version":1,"protocol":"patient","leaking":false,'
    '"why":"6 patients, dealt whole and balanced by class; no patient stands in two parts",'
    '"seed":1,"fractions":[0.6,0.2,0.2],"layout":"folders",'
    '"index_sha256":"9e4433955909ff0154fc739efda736c1bfd586fbdd8e77becebfaac7e7c7eb20",'
    '"parts":{"train":[{"id":"all/1.png","sha256":"all1all1all1all1","label":"all",'
    '"patient":"all:1"},{"id":"hem/0.png","sha256":"hem0hem0hem0hem0","label":"hem",'
    '"patient":"hem:0"}],"validation":[{"id":"all/0.png","sha256":"all0all0all0all0",'
    '"label":"all","patient":"all:0"},{"id":"hem/1.png","sha256":"hem1hem1hem1hem1",'
    '"label":"hem","patient":"hem:1"}],"test":[{"id":"all/2.png","sha256":"all2all2all2all2",'
    '"label":"all","patient":"all:2"},{"id":"hem/2.png","sha256":"hem2hem2hem2hem2",'
    '"label":"hem","patient":"hem:2"}]},"left_out":[],'
    '"proof":{"images_disjoint":true,"patients_disjoint":true}}'
)
OLD_SHA256 = "638c82ccc36e069e9f6be0ce35881279dea3b56b53b37ad95693d28870a5a99e"


def test_an_old_split_keeps_its_hash(tmp_path: Path) -> None:
    assert hashlib.sha256(OLD.encode()).hexdigest() == OLD_SHA256
    path = tmp_path / "split.json"
    path.write_text(OLD)
    split = load_split(path)
    assert split.fold is None
    assert split.sha256 == OLD_SHA256
    assert split.model_dump_json() == OLD
    save_split(split, path)
    assert "fold" not in json.loads(path.read_text())


def test_the_fold_is_part_of_the_identity(tmp_path: Path) -> None:
    fold = make_folds(PATIENTS, 3)[1]
    path = tmp_path / "split.json"
    save_split(fold, path)
    assert json.loads(path.read_text())["fold"] == {"number": 2, "of": 3}
    assert load_split(path) == fold
    assert fold.sha256 != fold.model_copy(update={"fold": None}).sha256


@pytest.mark.parametrize("protocol", ["patient", "random", "paper"])
def test_what_is_written_is_read_back(tmp_path: Path, protocol: str) -> None:
    split = make_split(PATIENTS, protocol)
    path = tmp_path / "split.json"
    save_split(split, path)
    assert load_split(path) == split
    first = path.read_bytes()
    save_split(make_split(PATIENTS, "patient", seed=3), path)  # a split may replace a split
    save_split(split, path)
    assert path.read_bytes() == first


def test_a_split_replaces_nothing_else(tmp_path: Path) -> None:
    split = make_split(PATIENTS, "patient")
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    for path in (precious, tmp_path, tmp_path / "absent" / "split.json"):
        with pytest.raises(OutputDirError):
            save_split(split, path)
    assert precious.read_text() == "years of work"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a split: file: Invalid JSON"),
        ("\x00\x01", "not a split: file: Invalid JSON"),
        ("[]", "not a split: file"),
        ("{}", "not a split: protocol"),
        ('{"schema_version": 1}', "not a split: protocol"),
    ],
)
def test_what_is_no_split(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(SplitError, match=reason) as caught:
        load_split(path)
    assert caught.value.exit_code == 9
    assert caught.value.where == str(path)


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="cannot read the split"):
        load_split(tmp_path / "absent.json")


def edited(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "split.json"
    path.write_text(json.dumps({**json.loads(OLD), **changes}))
    return path


def test_a_split_of_another_version(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="version 2: this program reads version 1") as caught:
        load_split(edited(tmp_path, schema_version=2, parts="of another kind"))
    assert caught.value.exit_code == 9
    assert "data split" in (caught.value.fix or "")


def test_an_unknown_key_or_protocol(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="not a split: sede"):
        load_split(edited(tmp_path, sede=1))
    with pytest.raises(SplitError, match=r"not a split: protocol: .*'paper'"):
        load_split(edited(tmp_path, protocol="alternating"))


def test_a_part_that_is_missing_or_unknown(tmp_path: Path) -> None:
    parts = json.loads(OLD)["parts"]
    del parts["test"]
    with pytest.raises(SplitError, match=r"not a split: parts: .*no part test"):
        load_split(edited(tmp_path, parts=parts))
    with pytest.raises(SplitError, match=r"not a split: parts\.holdout"):
        load_split(edited(tmp_path, parts={**json.loads(OLD)["parts"], "holdout": []}))


def test_a_split_survives_a_copy_with_changes() -> None:
    split = Split.model_validate_json(OLD)
    assert Split.model_validate(split.model_dump() | {"why": "another"}).sha256 != split.sha256
