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


class TestEstimate:
    @pytest.fixture
    def graph(self, tmp_path):
        import onnx

        from allnet_edge.roofline.networks import published_graph

        path = tmp_path / "model.onnx"
        onnx.save(published_graph("squeezenet1.1", 64), path)
        return str(path)

    def test_on_one_target(self, graph, capsys):
        assert main(["targets", "jetson", "--estimate", graph, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["label"], found["precision"]) == ("estimate", "fp32")
        assert 0 < found["milliseconds"] < 10
        assert main(["targets", "jetson", "--estimate", graph, "--precision", "int8"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("estimate: ")
        assert "Not measured" in out
        assert "slowest kernels" in out

    def test_on_all_with_the_reason_where_there_is_none(self, graph, capsys):
        assert main(["targets", "--estimate", graph, "--precision", "fp16", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        refused = {row["target"]: row["why"] for row in found["refused"]}
        assert set(refused) == {"raspberry-pi-4", "raspberry-pi-5", "x86", "jetson-thor-t4000"}
        assert "knows GPUs only" in refused["x86"]
        assert len(found["estimates"]) + len(refused) == len(all_targets())
        assert main(["targets", "--estimate", graph]) == 0
        assert "not measured" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            (["pi"], "knows GPUs only"),
            (["jetson-nano", "--precision", "int8"], "is not built for int8"),
            (["jetson", "--precision", "fp61"], "unknown precision"),
        ],
    )
    def test_what_cannot_be_estimated(self, graph, arguments, why, capsys):
        assert main(["targets", *arguments, "--estimate", graph, "--json"]) == 2
        assert why in json.loads(capsys.readouterr().out)["error"]["what"]

    def test_no_graph(self, tmp_path, capsys):
        (tmp_path / "no.onnx").write_text("no graph")
        command = ["targets", "jetson", "--estimate", str(tmp_path / "no.onnx"), "--json"]
        assert main(command) == 4
        assert "not an ONNX graph" in json.loads(capsys.readouterr().out)["error"]["what"]

    def test_a_precision_of_nothing(self, capsys):
        assert main(["targets", "jetson", "--precision", "int8", "--json"]) == 2
        assert "needs --estimate" in json.loads(capsys.readouterr().out)["error"]["what"]
