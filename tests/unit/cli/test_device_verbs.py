"""infer, verify, targets and doctor, from their arguments to their exit codes."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from device_models import cell_images
from PIL import Image

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.manifest import DataOrigin
from allnet_edge.cli.main import main
from allnet_edge.engines import open_runner


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three images of the network's own size, in two folders."""
    folder = tmp_path / "images"
    (folder / "below").mkdir(parents=True)
    for name, pixels in zip(("a.png", "b.bmp", "below/c.png"), cell_images(3, 8), strict=True):
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"x")
    return folder


def infer(capsys, *arguments: object) -> tuple[int, dict]:
    code = main(["infer", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


class TestInfer:
    def test_probabilities_are_those_of_the_runner(self, make_bundle, images, capsys):
        bundle = make_bundle(abstain=None)
        code, found = infer(capsys, bundle, images)
        assert code == 0
        with open_runner(bundle) as runner:
            expected = runner.infer(cell_images(3, 8))
        assert [row["probability"] for row in found["results"]] == expected.tolist()
        for row in found["results"]:
            assert row["label"] == ("all" if row["probability"] >= 0.5 else "hem")
            assert (row["abstained"], row["usable"], row["reason"]) == (False, True, "")
        names = [Path(row["path"]).relative_to(images).as_posix() for row in found["results"]]
        assert names == ["a.png", "b.bmp", "below/c.png"]
        assert found["counts"]["images"] == 3
        assert found["counts"]["hem"] + found["counts"]["all"] == 3

    def test_inside_the_band_it_abstains_and_says_why(self, make_bundle, images, capsys):
        code, found = infer(capsys, make_bundle(abstain=(0.0, 1.0)), images)
        assert code == 0
        assert all(row["abstained"] and "uncertain" in row["reason"] for row in found["results"])
        assert found["counts"]["abstained"] == 3
        assert found["counts"]["hem"] == found["counts"]["all"] == 0

    def test_an_unusable_image_is_told_and_the_run_goes_on(self, make_bundle, images, capsys):
        (images / "aa.png").write_bytes(b"")
        (images / "ab.jpg").write_bytes(b"no image at all")
        code, found = infer(capsys, make_bundle(), images)
        assert code == 0
        assert [row["usable"] for row in found["results"]] == [True, False, False, True, True]
        broken = found["results"][1]
        assert (broken["probability"], broken["label"], broken["abstained"]) == (None, None, True)
        assert "zero-byte" in broken["reason"]

    def test_strict_makes_an_unusable_image_an_error(self, make_bundle, images, capsys):
        bundle = make_bundle()
        assert infer(capsys, bundle, images, "--strict")[0] == 0
        (images / "aa.png").write_bytes(b"")
        assert infer(capsys, bundle, images, "--strict")[0] == 9

    def test_without_any_usable_image_it_is_an_error(self, make_bundle, tmp_path, capsys):
        (tmp_path / "x.png").write_bytes(b"")
        code, found = infer(capsys, make_bundle(), tmp_path / "x.png")
        assert code == 9
        assert len(found["results"]) == 1

    @pytest.mark.parametrize("absent", [True, False], ids=["no such folder", "an empty folder"])
    def test_paths_without_images_are_a_usage_error(self, absent, make_bundle, tmp_path, capsys):
        if not absent:
            (tmp_path / "nothing").mkdir()
        code, found = infer(capsys, make_bundle(), tmp_path / "nothing")
        assert code == 2
        assert found["error"]["where"] == str(tmp_path / "nothing")

    @pytest.mark.parametrize("verdict", ["fail", "inconclusive", None])
    def test_a_bundle_that_did_not_pass_says_so_at_each_run(
        self, verdict, make_bundle, images, capsys
    ):
        bundle = make_bundle(verdicts={"litert.int8": verdict})
        for _ in range(2):
            assert main(["infer", str(bundle), str(images), "--quiet"]) == 0
            assert "did not pass its gate" in capsys.readouterr().err

    def test_a_bundle_that_passed_says_only_that_it_is_for_research(
        self, make_bundle, images, capsys
    ):
        main(["infer", str(make_bundle()), str(images)])
        err = capsys.readouterr().err
        assert "Research use only" in err
        assert "warning" not in err

    def test_a_bundle_made_from_phantoms_says_so_at_each_run(self, make_bundle, images, capsys):
        bundle = make_bundle(data=DataOrigin(layout="phantom", split="patient", leaking=False))
        assert main(["infer", str(bundle), str(images), "--json", "--quiet"]) == 0
        out, err = capsys.readouterr()
        assert "made from phantom (synthetic) cells: it knows nothing about real ones" in err
        assert json.loads(out)["phantom"] is True

    def test_a_bundle_made_from_real_cells_does_not(self, make_bundle, images, capsys):
        bundle = make_bundle(data=DataOrigin(layout="cnmc", split="patient", leaking=False))
        assert main(["infer", str(bundle), str(images), "--json"]) == 0
        out, err = capsys.readouterr()
        assert "phantom" not in err
        assert json.loads(out)["phantom"] is False

    def test_a_candidate_can_be_named(self, make_bundle, images, capsys):
        code, found = infer(capsys, make_bundle(), images, "--candidate", "onnx.fp32")
        assert code == 0
        assert found["candidate"]["engine"] == "onnx"
        assert infer(capsys, make_bundle(), images, "--candidate", "onnx.fp23")[0] == 2

    def test_csv_and_jsonl_have_a_row_an_image(self, make_bundle, images, capsys):
        bundle, (images_folder) = str(make_bundle()), str(images)
        assert main(["infer", bundle, images_folder, "--format", "csv"]) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert main(["infer", bundle, images_folder, "--format", "jsonl"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [row["path"] for row in rows] == [line["path"] for line in lines]
        assert [float(row["probability"]) for row in rows] == [
            line["probability"] for line in lines
        ]

    def test_the_table_names_each_image(self, make_bundle, images, capsys):
        assert main(["infer", str(make_bundle()), str(images)]) == 0
        out = capsys.readouterr().out
        assert "a.png" in out
        assert "c.png" in out

    def test_a_changed_bundle_decides_nothing(self, make_bundle, images, capsys):
        bundle = make_bundle()
        (bundle / "threshold.json").write_text("{}")
        code, found = infer(capsys, bundle, images)
        assert code == 7
        assert found["error"]["kind"] == "IntegrityError"

    def test_a_model_of_another_size_than_the_preprocessing_is_refused(
        self, make_bundle, images, capsys
    ):
        from allnet_edge.spec.network import Preprocess

        code, found = infer(capsys, make_bundle(preprocess=Preprocess(size=48)), images)
        assert code == 7
        assert "(48, 48, 3)" in found["error"]["what"]


class TestVerify:
    def verify(self, capsys, *arguments: object) -> tuple[int, dict]:
        code = main(["verify", *map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    def test_a_sound_bundle(self, make_bundle, capsys):
        code, found = self.verify(capsys, make_bundle())
        assert code == 0
        assert found["ok"] is True
        assert found["signature"]["status"] == "valid"
        assert "not who signed" in found["signature"]["proves"]
        assert [one["status"] for one in found["golden"]] == ["match"] * 3

    def test_phantoms_are_named(self, make_bundle, capsys):
        bundle = make_bundle(data=DataOrigin(layout="phantom", split="patient", leaking=False))
        assert main(["verify", str(bundle), "--json", "--quiet"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["phantom"] is True
        assert "it knows nothing about real ones" in err

    def test_the_pinned_key_must_have_signed(self, make_bundle, signing_key, capsys):
        bundle = make_bundle()
        assert self.verify(capsys, bundle, "--public-key", f"{signing_key}.pub")[0] == 0
        code, found = self.verify(capsys, bundle, "--public-key", "ab" * 32)
        assert code == 7
        assert "pinned" in found["error"]["what"]

    def test_golden_tensors_that_differ_fail(self, make_bundle, capsys):
        from allnet_edge.artifacts.golden import Golden

        true = Bundle.open(make_bundle()).golden()
        wrong = {**true.outputs, "onnx.fp32": true.outputs["onnx.fp32"] + np.float32(0.01)}
        bundle = make_bundle(golden=Golden(true.images, wrong, true.tolerance))
        code, found = self.verify(capsys, bundle)
        assert code == 7
        assert found["ok"] is False
        status = {one["candidate"]: one["status"] for one in found["golden"]}
        assert status == {"litert.int8": "match", "litert.fp32": "match", "onnx.fp32": "differ"}
        assert found["golden"][2]["largest"] == pytest.approx(0.01, abs=1e-4)

    def test_nan_is_no_match(self, make_bundle, capsys):
        from allnet_edge.artifacts.golden import Golden

        true = Bundle.open(make_bundle()).golden()
        wrong = {**true.outputs, "onnx.fp32": np.full(4, np.nan, np.float32)}
        code, _ = self.verify(
            capsys, make_bundle(golden=Golden(true.images, wrong, true.tolerance))
        )
        assert code == 7

    def test_a_candidate_without_golden_tensors_fails(self, make_bundle, capsys):
        from allnet_edge.artifacts.golden import Golden

        true = Bundle.open(make_bundle()).golden()
        some = {"litert.int8": true.outputs["litert.int8"]}
        bundle = make_bundle(golden=Golden(true.images, some, {"litert.int8": 1e-5}))
        assert self.verify(capsys, bundle)[0] == 7

    def test_an_unsigned_bundle_is_told_and_fails_a_pin(self, make_bundle, capsys):
        bundle = make_bundle(sign=False)
        code, found = self.verify(capsys, bundle)
        assert code == 0
        assert found["signature"]["status"] == "absent"
        assert self.verify(capsys, bundle, "--public-key", "ab" * 32)[0] == 7

    def test_a_manifest_changed_together_with_a_file_fails_the_signature(self, make_bundle, capsys):
        import hashlib

        bundle = make_bundle()
        card = bundle / "docs/model_card.md"
        card.write_text("approved for diagnosis")
        manifest = json.loads((bundle / "manifest.json").read_text())
        manifest["files"]["docs/model_card.md"] = hashlib.sha256(card.read_bytes()).hexdigest()
        (bundle / "manifest.json").write_text(json.dumps(manifest))
        code, found = self.verify(capsys, bundle)
        assert code == 7
        assert "signature" in found["error"]["what"]

    def test_a_copied_bundle_is_sound(self, make_bundle, tmp_path, capsys):
        shutil.copytree(make_bundle(), tmp_path / "copy")
        assert self.verify(capsys, tmp_path / "copy")[0] == 0

    def test_people_get_a_table(self, make_bundle, capsys):
        assert main(["verify", str(make_bundle())]) == 0
        out = capsys.readouterr().out
        assert "golden litert.int8" in out
        assert "match" in out


class TestTargets:
    def test_the_list(self, capsys):
        assert main(["targets", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["targets"]
        assert "jetson" in {alias for one in found for alias in one["aliases"]}

    def test_one_in_full_shows_its_sources(self, capsys):
        assert main(["targets", "jetson"]) == 0
        out = capsys.readouterr().out
        assert "MAXN_SUPER" in out
        assert "data sheet" in out

    def test_an_unknown_one(self, capsys):
        assert main(["targets", "jetsn", "--json"]) == 2
        assert "did you mean jetson" in json.loads(capsys.readouterr().out)["error"]["fix"]


class TestDoctor:
    def test_it_tells_what_can_be_done_here(self, capsys):
        assert main(["doctor", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        can = {one["ability"]: one["can"] for one in found["abilities"]}
        assert can["run .onnx"] is True
        assert can["run .tflite"] is True
        assert found["machine"]["cores"] >= 1

    def test_what_is_missing_comes_with_the_extra_that_brings_it(self):
        from allnet_edge.device.abilities import Ability, examine

        trial = Ability("fly", (("no_such_module", "no-such-package"),), "train", engine="wings")
        (found,) = examine([trial])
        assert not found.can
        assert found.missing == ("no-such-package",)
        assert found.fix == "pip install 'allnet-edge[train]'"

    def test_a_runtime_that_is_there_and_does_not_load_is_missing(self):
        from allnet_edge.device.abilities import Ability, examine

        (found,) = examine([Ability("run", (("numpy", "numpy"),), "onnx", engine="nonsense")])
        assert not found.can
        assert "nonsense" in found.missing[0]

    def test_one_of_several_is_enough(self):
        from allnet_edge.device.abilities import Ability, examine

        several = Ability("train", (), "train", any_of=("no_such_module", "numpy"))
        none = Ability("train", (), "train", any_of=("no_such_module",))
        assert [one.can for one in examine([several, none])] == [True, False]

    def test_people_get_a_table(self, capsys):
        assert main(["doctor"]) == 0
        assert "compile TensorRT engines" in capsys.readouterr().out


class TestExtras:
    def test_a_build_needs_what_signs_its_bundle(self, monkeypatch):
        """Without it a build would end in an error after its last stage."""
        from allnet_edge.device import abilities
        from allnet_edge.errors import MissingDependencyError

        monkeypatch.setattr(abilities, "_present", lambda module: module != "cryptography")
        with pytest.raises(MissingDependencyError, match="cryptography not installed") as caught:
            abilities.require_ability(abilities.BUILD)
        assert "allnet-edge[build]" in str(caught.value.fix)

    @pytest.mark.parametrize(
        ("module", "extra"),
        [
            ("cryptography", "onnx"), ("onnxruntime", "onnx"), ("ai_edge_litert", "litert"),
            ("safetensors", "train"), ("tensorflow", "build"), ("numpy", None),
        ],
    )  # fmt: skip
    def test_a_missing_package_asks_for_the_smallest_extra_that_has_it(self, module, extra):
        from allnet_edge.device.abilities import extra_of

        assert extra_of(module) == extra
