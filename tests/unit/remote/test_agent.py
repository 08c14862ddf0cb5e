"""The far side of a copy, spoken to as over a connection."""

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from allnet_edge.remote import agent

CONTENT = b"0123456789" * 100
FILE = {"size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}


def answers(*requests: object, payload: bytes = b"") -> list[dict]:
    sent = b"".join(json.dumps(one).encode() + b"\n" for one in requests) + payload
    sink = io.BytesIO()
    agent.Agent(io.BufferedReader(io.BytesIO(sent)), sink).serve()
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def put(root: Path, name: str = "f", offset: int = 0) -> dict:
    return {"do": "put", "root": str(root), "name": name, "file": FILE, "offset": offset}


def part(root: Path) -> Path:
    return root / f"f.{FILE['sha256'][:12]}.part"


def test_a_whole_file_takes_its_name(tmp_path):
    assert answers(put(tmp_path), payload=CONTENT) == [{"whole": True}]
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert not part(tmp_path).exists()


def test_wrong_bytes_take_no_name_and_are_thrown_away(tmp_path):
    assert answers(put(tmp_path), payload=b"x" * len(CONTENT)) == [{"whole": False}]
    assert list(tmp_path.iterdir()) == []


def test_what_came_before_the_end_is_kept_and_told_and_gone_on_with(tmp_path):
    with pytest.raises(SystemExit):
        answers(put(tmp_path), payload=CONTENT[:300])
    assert not (tmp_path / "f").exists()
    asked = {"do": "have", "root": str(tmp_path), "also": str(tmp_path / "n"), "files": {"f": FILE}}
    assert answers(asked) == [{"have": {"f": 300}}]
    assert answers(put(tmp_path, offset=300), payload=CONTENT[300:]) == [{"whole": True}]
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_part_of_another_content_is_not_gone_on_with(tmp_path):
    (tmp_path / "f.000000000000.part").write_bytes(b"older")
    asked = {"do": "have", "root": str(tmp_path), "also": str(tmp_path / "n"), "files": {"f": FILE}}
    assert answers(asked) == [{"have": {"f": 0}}]


@pytest.mark.parametrize("name", ["../f", "a/../../f", "/etc/f"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    [answer] = answers(put(tmp_path / "in", name), payload=CONTENT)
    assert "leads out" in answer["error"]
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_told_and_ends_the_agent(tmp_path):
    (tmp_path / "a").write_text("a file, no folder")
    told = answers(put(tmp_path / "a"), {"do": "free", "root": str(tmp_path)})
    assert len(told) == 1
    assert told[0]["disk"]["errno"]


def test_it_runs_by_itself_without_this_package(tmp_path):
    source = Path(agent.__file__).read_bytes()
    start = f"import sys;exec(sys.stdin.buffer.read({len(source)}).decode())"
    asked = json.dumps({"do": "folders", "root": str(tmp_path), "marker": "m"}).encode() + b"\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start], input=source + asked, capture_output=True,
        check=True,
    )  # fmt: skip
    hello, answer = map(json.loads, done.stdout.splitlines())
    assert hello["magic"] == agent.MAGIC
    assert answer == {"folders": []}
