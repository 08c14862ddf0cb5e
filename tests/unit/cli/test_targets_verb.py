"""targets NAME shows all that the file says, with its sources."""

import json

import pytest

from allnet_edge.cli.main import main
from allnet_edge.spec.target import all_targets


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """No cell is wrapped."""
    monkeypatch.setenv("COLUMNS", "300")


def shown(capsys, name: str) -> str:
    """The table without its frame."""
    assert main(["targets", name]) == 0
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


@pytest.mark.parametrize("target", all_targets(), ids=lambda one: one.name)
def test_every_target_in_full(target, capsys):
    assert main(["targets", target.name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == target.model_dump(mode="json", exclude_none=True)


def test_options_releases_and_modes_are_shown(capsys):
    text = shown(capsys, "jetson-xavier-nx")
    for part in ("tensorrt.workspace_mb", "serve trtexec", "opset 13", "MODE_20W_6CORE", "notes"):
        assert part in text
    assert "tensorrt.sparse_weights no" in text


def test_plain_facts_of_a_module_have_the_source_beside_them(capsys):
    text = shown(capsys, "jetson-xavier-nx")
    assert "module.dla 2 NVIDIA Jetson Xavier NX data sheet" in text
    assert "module.source" not in text


def test_what_is_computed_or_known_from_memory_says_so(capsys):
    text = shown(capsys, "jetson-agx-orin-32")
    assert "module.gpu_mhz 930 from memory, verify" in text
    assert "module.int8_tops 53 computed" in text
