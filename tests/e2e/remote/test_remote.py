"""``allnet-edge device`` on a real OpenSSH server, and on a device that is not as hoped."""

import json
import subprocess
import sys

import pytest
from build_support import run
from remote_desk import MIB, files_of, told, wrapper
from ssh_server import NAME


class TestRoad:
    def test_a_bundle_goes_there_is_verified_there_and_its_results_come_back(
        self, desk, make_bundle, tmp_path
    ):
        bundle = make_bundle()
        pushed = desk.device("push", bundle, "--json")
        assert pushed.returncode == 0, pushed.stderr
        assert files_of(desk.there / "bundles" / "small") == files_of(bundle)
        verified = desk.device("verify", "--json")
        assert verified.returncode == 0, verified.stderr
        assert told(verified)["result"]["ok"] is True
        (desk.there / "bundles/small/engine").mkdir()
        (desk.there / "bundles/small/engine/timing.cache").write_bytes(b"made there")
        (desk.there / "bench/small").mkdir(parents=True)
        (desk.there / "bench/small/bench.json").write_text("{}")
        back = desk.device("pull", "-o", tmp_path / "back", "--json")
        assert back.returncode == 0, back.stderr
        assert files_of(tmp_path / "back") == {
            "small/engine/timing.cache": b"made there",
            "small/bench/bench.json": b"{}",
        }

    def test_what_is_there_is_not_sent_again_and_engines_stay(self, desk, make_bundle):
        bundle = make_bundle()
        assert desk.device("push", bundle).returncode == 0
        engine = desk.there / "bundles/small/engine/own.cache"
        engine.parent.mkdir()
        engine.write_bytes(b"made there")
        again = desk.device("push", bundle, "--json")
        assert told(again)["bundle"]["bytes_sent"] == 0
        model = desk.there / "bundles/small/model/model.fp32.onnx"
        model.write_bytes(b"damaged")
        mended = desk.device("push", bundle, "--json")
        assert (
            told(mended)["bundle"]["bytes_sent"]
            == (bundle / "model/model.fp32.onnx").stat().st_size
        )
        assert engine.read_bytes() == b"made there"
        assert model.read_bytes() == (bundle / "model/model.fp32.onnx").read_bytes()

    def test_another_bundle_of_the_name_takes_its_place_whole(self, desk, make_bundle):
        bundle = make_bundle()
        assert desk.device("push", bundle).returncode == 0
        own = desk.there / "bundles/small/engine/own.cache"
        own.parent.mkdir()
        own.write_bytes(b"of the older bundle")
        newer = make_bundle(abstain=None)
        assert desk.device("push", newer).returncode == 0
        assert files_of(desk.there / "bundles/small") == files_of(newer)
        assert [path.name for path in (desk.there / "bundles").iterdir()] == ["small"]

    def test_a_wheel_is_copied_and_not_installed(self, desk, make_bundle, tmp_path):
        wheel = tmp_path / "allnet_edge-1-py3-none-any.whl"
        wheel.write_bytes(b"a wheel")
        pushed = told(desk.device("push", make_bundle(), "--wheel", wheel, "--json"))
        assert (desk.there / "wheels" / wheel.name).read_bytes() == b"a wheel"
        assert "pip install" in pushed["install"]

    def test_the_exit_code_and_the_words_of_the_device_come_through(self, desk, make_bundle):
        assert desk.device("push", make_bundle()).returncode == 0
        (desk.there / "bundles/small/preprocess.json").write_text("{}")
        failed = desk.device("verify", "--json")
        assert failed.returncode == 7
        assert "has changed since the bundle was made" in failed.stderr
        assert told(failed)["exit_code"] == 7

    def test_options_after_the_dashes_are_the_commands(self, desk, make_bundle):
        assert desk.device("push", make_bundle()).returncode == 0
        failed = desk.device("verify", "--", "--public-key", "00" * 32)
        assert failed.returncode == 7, failed.stderr

    def test_compile_chooses_there_and_its_choice_comes_back(self, desk, make_bundle, tmp_path):
        assert desk.device("push", make_bundle()).returncode == 0
        done = desk.device("compile", "--json", "--", "--target", "x86")
        assert done.returncode in (0, 6), done.stderr  # 6: the times of a busy machine
        assert told(done)["exit_code"] == done.returncode
        assert "litert.int8" in done.stderr  # what goes on is told while it goes on
        assert desk.device("pull", "-o", tmp_path / "back").returncode == 0
        choice = json.loads((tmp_path / "back/small/engine/choice.json").read_text())
        assert choice["chosen"] in {"litert.int8", "litert.fp32", "onnx.fp32"}

    def test_without_a_bundle_there_the_message_says_how_to_bring_one(self, desk):
        failed = desk.device("verify")
        assert failed.returncode == 2
        assert f"allnet-edge device push {NAME} BUNDLE" in failed.stderr


class TestDevice:
    def test_bytes_that_are_wrong_over_there_are_sent_again(self, desk, large):
        part = desk.there / "bundles/.small.part/reports"
        part.mkdir(parents=True)
        sha = json.loads((large / "manifest.json").read_text())["files"]["reports/noise.bin"]
        (part / f"noise.bin.{sha[:12]}.part").write_bytes(bytes(10 * MIB))
        pushed = desk.device("push", large, "--json")
        assert pushed.returncode == 0, pushed.stderr
        assert told(pushed)["bundle"]["bytes_sent"] > 24 * MIB
        assert files_of(desk.there / "bundles/small") == files_of(large)

    def test_a_bundle_that_was_changed_here_does_not_leave(self, desk, make_bundle):
        bundle = make_bundle()
        (bundle / "docs/model_card.md").write_text("changed")
        assert desk.device("push", bundle).returncode == 7
        assert not desk.there.exists()

    def test_no_python_there(self, desk, make_bundle):
        failed = desk.device("push", make_bundle(), "--python", "/nowhere/python3")
        assert failed.returncode == 3
        assert "no Python at '/nowhere/python3'" in failed.stderr

    def test_a_python_without_the_package(self, desk, make_bundle, tmp_path):
        python = wrapper(tmp_path / "python", f'exec {sys.executable} -I -S "$@"')
        assert desk.device("push", make_bundle(), "--python", python).returncode == 0
        failed = desk.device("verify", "--python", python)
        assert failed.returncode == 3
        assert "does not have this package" in failed.stderr

    def test_a_chatty_login_does_no_harm(self, desk, make_bundle, tmp_path):
        python = wrapper(tmp_path / "python", f'echo welcome; exec {sys.executable} "$@"')
        assert desk.device("push", make_bundle(), "--python", python).returncode == 0

    def test_a_disk_that_refuses_in_mid_copy(self, desk, large, tmp_path):
        python = wrapper(tmp_path / "python", f'ulimit -f 8192; exec {sys.executable} "$@"')
        failed = desk.device("push", large, "--python", python)
        assert failed.returncode == 3
        assert "the disk of" in failed.stderr
        assert not (desk.there / "bundles/small").exists()

    def test_a_disk_that_is_too_small_is_told_before_anything_is_sent(self, desk, large):
        desk.there.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=20m", "none", desk.there],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
        try:
            failed = desk.device("push", large)
            assert failed.returncode == 3
            assert "MiB are needed" in failed.stderr
            assert not list(desk.there.rglob("*.part/*"))
        finally:
            subprocess.run(["umount", desk.there], check=True)

    def test_a_host_that_looks_like_an_option(self):
        failed = run("device", "verify", "--", "-oProxyCommand=touch /tmp/x")
        assert failed.returncode == 2
