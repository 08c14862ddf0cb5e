"""`compare`: what may be compared, what is refused, and how it ends."""

import json
from pathlib import Path

import pytest
from bench_folder import MACHINE, write_bench
from gate_in_bundle import GATE, gate_json

from allnet_edge.cli.main import main
from allnet_edge.measure.sensors.conditions import Conditions


def compare(capsys, *arguments: object) -> tuple[int, dict]:
    code = main(["compare", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


class TestBenchmarks:
    def test_a_slower_candidate_is_a_regression(self, tmp_path, capsys):
        a = write_bench(tmp_path / "a", {"x": 10.0, "y": 5.0})
        b = write_bench(tmp_path / "b", {"x": 11.0, "y": 5.0}, seed=2)
        code, found = compare(capsys, a, b)
        assert code == found["exit_code"] == 5
        assert [one["verdict"] for one in found["speed"]] == ["slower", "no difference seen"]
        first = found["speed"][0]
        assert first["lower"] < 1.1 < first["upper"]
        assert found["regressions"][0].startswith("x: slower")

    def test_a_faster_one_is_none(self, tmp_path, capsys):
        a = write_bench(tmp_path / "a", {"x": 10.0})
        b = write_bench(tmp_path / "b", {"x": 8.0}, seed=2)
        code, found = compare(capsys, a, b)
        assert (code, found["speed"][0]["verdict"]) == (0, "faster")

    def test_the_margin_is_the_users(self, tmp_path, capsys):
        a = write_bench(tmp_path / "a", {"x": 10.0})
        b = write_bench(tmp_path / "b", {"x": 11.0}, seed=2)
        assert compare(capsys, a, b, "--margin", 0.2)[0] == 0

    def test_the_same_twice(self, tmp_path, capsys):
        a = write_bench(tmp_path / "a", {"x": 10.0})
        code, found = compare(capsys, a, a / "bench.json")
        assert (code, found["changes"]) == (0, [])

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"device": MACHINE.model_copy(update={"model": "another board"})}, "different device"),
            ({"scenario": "camera"}, "different scenario"),
            ({"conditions": Conditions(power_mode="15W")}, "different power mode"),
            ({"conditions": Conditions(power_mode="MAXN", clocks_locked=True)}, "clocks locked"),
        ],
    )
    def test_what_cannot_be_compared_is_not_told(self, tmp_path, capsys, changes, why):
        maxn = Conditions(power_mode="MAXN", clocks_locked=False)
        a = write_bench(tmp_path / "a", {"x": 10.0}, conditions=maxn)
        b = write_bench(tmp_path / "b", {"x": 20.0}, **({"conditions": maxn} | changes))
        code, found = compare(capsys, a, b)
        assert code == 8
        assert why in found["refused"][0]
        assert found["speed"][0]["verdict"] == "cannot be told"
        assert found["speed"][0]["ratio"] is None

    def test_other_modes_and_software_are_told(self, tmp_path, capsys):
        a = write_bench(tmp_path / "a", {"x": 10.0}, tool_version="1")
        b = write_bench(tmp_path / "b", {"x": 10.0}, mode="full", tool_version="2", seed=3)
        code, found = compare(capsys, a, b)
        assert code == 0
        assert found["warnings"] == ["different modes: standard and full"]
        assert {"what": "tool", "a": "1", "b": "2"} in found["changes"]

    def test_an_invalid_side_is_named(self, tmp_path, capsys):
        a = write_bench(tmp_path / "a", {"x": 10.0})
        b = write_bench(tmp_path / "b", {"x": 10.0}, spread=0.2)
        code, found = compare(capsys, a, b)
        assert code == 6
        assert found["invalid"][0].startswith("B: x: process")
        assert found["speed"][0]["verdict"] == "cannot be told"

    def test_a_worse_verdict_of_the_gate_is_a_regression(self, tmp_path, capsys):
        a = write_bench(tmp_path / "a", {"x": 10.0})
        b = write_bench(tmp_path / "b", {"x": 10.0}, verdict="inconclusive", seed=2)
        code, found = compare(capsys, a, b)
        assert (code, found["regressions"]) == (5, ["x: gate pass -> inconclusive"])

    def test_candidates_of_one_side_only_are_listed(self, tmp_path, capsys):
        a = write_bench(tmp_path / "a", {"x": 10.0, "y": 1.0})
        b = write_bench(tmp_path / "b", {"x": 10.0, "z": 1.0}, seed=2)
        _, found = compare(capsys, a, b)
        names = {(one["what"], one["a"]) for one in found["changes"]}
        assert {("candidate y", "measured"), ("candidate z", "not measured")} <= names

    def test_without_raw_samples_nothing_is_told(self, tmp_path, capsys):
        a = write_bench(tmp_path / "a", {"x": 10.0})
        report = json.loads((a / "bench.json").read_text())
        report["rows"][0]["samples"] = []
        (tmp_path / "b.json").write_text(json.dumps(report))
        code, found = compare(capsys, a, tmp_path / "b.json")
        assert code == 8
        assert "no raw samples" in found["speed"][0]["why"]

    def test_a_lost_file_of_samples_is_damage(self, tmp_path, capsys):
        a = write_bench(tmp_path / "a", {"x": 10.0})
        (a / "samples" / "x.p1.jsonl").unlink()
        code, found = compare(capsys, a, a)
        assert code == 7
        assert "cannot read the samples" in found["error"]["what"]

    def test_people_read_a_table(self, tmp_path, capsys):
        a = write_bench(tmp_path / "a", {"x": 10.0})
        b = write_bench(tmp_path / "b", {"x": 12.0}, seed=2)
        assert main(["compare", str(a), str(b)]) == 5
        out = capsys.readouterr().out
        assert "slower" in out
        assert "B is worse than A" in out


class TestOtherThings:
    def test_a_folder_of_something_else(self, tmp_path, capsys):
        code, found = compare(capsys, tmp_path, tmp_path)
        assert code == 2
        assert "neither a benchmark" in found["error"]["what"]

    def test_a_file_that_is_no_benchmark(self, tmp_path, capsys):
        (tmp_path / "a.json").write_text('{"mode": "quick"}')
        code, found = compare(capsys, tmp_path / "a.json", tmp_path / "a.json")
        assert code == 7
        assert "not a bench.json" in found["error"]["what"]

    def test_a_bundle_and_a_benchmark(self, tmp_path, capsys, make_bundle):
        bench = write_bench(tmp_path / "a", {"x": 1.0})
        code, found = compare(capsys, make_bundle(), bench)
        assert code == 2
        assert "one is a bundle" in found["error"]["what"]


def two_bundles(make_bundle, tmp_path: Path, **changes: object) -> tuple[Path, Path]:
    first = make_bundle().rename(tmp_path / "first")
    return first, make_bundle(**changes)


class TestBundles:
    def test_the_same(self, make_bundle, capsys):
        bundle = make_bundle()
        code, found = compare(capsys, bundle, bundle)
        assert (code, found["kind"], found["changes"]) == (0, "bundles", [])

    def test_a_verdict_that_became_worse(self, make_bundle, tmp_path, capsys):
        pair = two_bundles(make_bundle, tmp_path, verdicts={"litert.int8": "inconclusive"})
        code, found = compare(capsys, *pair)
        assert code == 5
        assert found["regressions"] == ["litert.int8: gate pass -> inconclusive"]

    def test_another_choice_and_other_thresholds_are_changes(self, make_bundle, tmp_path, capsys):
        pair = two_bundles(make_bundle, tmp_path, chosen="litert.fp32", abstain=(0.3, 0.7))
        code, found = compare(capsys, *pair)
        assert code == 0
        changes = {one["what"]: (one["a"], one["b"]) for one in found["changes"]}
        assert changes["chosen"] == ("litert.int8", "litert.fp32")
        assert "abstains 0.3000 to 0.7000" in changes["threshold litert.int8"][1]
        assert "file threshold.json" in changes

    def test_the_gates_are_compared(self, make_bundle, tmp_path, capsys, model_files):
        files = {
            "model/model.int8.tflite": model_files["litert.int8.1"].path,
            "model/model.fp32.tflite": model_files["litert.fp32.1"].path,
            "model/model.fp32.onnx": model_files["onnx.uint8.1"].path,
        }
        pair = two_bundles(make_bundle, tmp_path, contents=files | {GATE: gate_json()})
        code, found = compare(capsys, *pair)
        changes = {one["what"]: (one["a"], one["b"]) for one in found["changes"]}
        assert code == 0
        assert changes["gate cells"] == (None, "100")
