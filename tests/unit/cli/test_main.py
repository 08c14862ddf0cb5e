"""The frame: which verbs there are, and how each failure ends."""

import errno
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from allnet_edge import __version__, cli, errors
from allnet_edge.cli import main as frame
from allnet_edge.cli.main import main, verbs


@pytest.fixture
def verb(tmp_path, monkeypatch):
    """Adds a verb ``trial`` whose body is the given code, and runs it."""
    sys.modules.pop("allnet_edge.cli.trial", None)
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])

    def run(body: str, *arguments: str) -> int:
        source = '"""A trial."""\n' + textwrap.dedent(
            """\
            import errno, os, typer
            from allnet_edge import errors
            from allnet_edge.cli.console import *
            app = verb_app()
            @app.command()
            def trial(number: int = 1, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
                console = Console(as_json=as_json, quiet=quiet)
            """
        )
        (tmp_path / "trial.py").write_text(source + textwrap.indent(textwrap.dedent(body), "    "))
        try:
            return main(["trial", *arguments])
        finally:
            sys.modules.pop("allnet_edge.cli.trial", None)

    return run


def every_error() -> list[type[errors.AllnetEdgeError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in found if issubclass(kind, errors.AllnetEdgeError)]


class TestHelp:
    def test_the_top_lists_each_verb_with_one_line(self, capsys):
        assert main([]) == 0
        out = capsys.readouterr().out
        for name in verbs():
            line = next(line for line in out.splitlines() if line.strip().startswith(f"{name} "))
            assert len(line.split(maxsplit=1)[1]) > 20
        assert "Research use only" in out

    def test_every_verb_of_the_contract_so_far_is_there(self):
        assert {"doctor", "infer", "targets", "verify"} <= set(verbs())
        assert not {"main", "console"} & set(verbs())

    @pytest.mark.parametrize("name", verbs())
    def test_each_verb_has_its_own_help_and_the_two_shared_flags(self, name, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "200")
        assert main([name, "--help"]) == 0
        out = capsys.readouterr().out
        commands = re.search(r"Commands ─", out)
        if not commands:  # of a verb with sub-commands, each has its own
            assert "--json" in out
            assert "--quiet" in out

    def test_version(self, capsys):
        assert main(["--version"]) == 0
        assert capsys.readouterr().out == f"allnet-edge {__version__}\n"


class TestUsage:
    def test_an_unknown_verb_names_the_nearest(self, capsys):
        assert main(["verfiy"]) == 2
        assert "did you mean verify?" in capsys.readouterr().err

    @pytest.mark.parametrize("arguments", [["--verbos"], ["doctor", "--verbos"], ["doctor", "x"]])
    def test_an_unknown_option_or_argument_is_refused(self, arguments, capsys):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("error: ")
        assert "--help" in captured.err
        assert captured.out == ""

    def test_a_missing_argument_is_named(self, capsys):
        assert main(["verify"]) == 2
        assert "BUNDLE" in capsys.readouterr().err.upper()

    def test_a_value_of_the_wrong_type_is_named(self, verb, capsys):
        assert verb("pass", "--number", "many") == 2
        assert "'--number'" in capsys.readouterr().err

    def test_a_path_of_a_verb_file_is_no_verb(self):
        assert main(["../main"]) == 2
        assert main(["main"]) == 2


class TestFailures:
    @pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
    def test_each_error_ends_with_its_code_and_without_a_traceback(self, kind, verb, capsys):
        body = f"raise errors.{kind.__name__}('it is wrong', where='here', fix='do that')"
        assert verb(body) == kind.exit_code
        assert capsys.readouterr().err == "error: it is wrong\nwhere: here\nfix: do that\n"

    def test_with_json_the_error_is_one_object(self, verb, capsys):
        assert verb("raise errors.GateFailed('worse', where='x')", "--json") == 5
        captured = capsys.readouterr()
        assert json.loads(captured.out) == {
            "error": {
                "kind": "GateFailed",
                "what": "worse",
                "where": "x",
                "fix": None,
                "exit_code": 5,
            }
        }

    def test_a_usage_error_is_one_object_too(self, capsys):
        assert main(["doctor", "--wrong", "--json"]) == 2
        assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 2

    def test_the_exit_codes_are_those_of_the_contract(self):
        assert {kind.exit_code for kind in every_error()} == set(range(1, 10))

    def test_a_bug_shows_its_traceback_and_says_whose_it_is(self, verb, capsys):
        assert verb("{}['x']") == 1
        err = capsys.readouterr().err
        assert "KeyError" in err
        assert "Traceback" in err
        assert "bug of allnet-edge" in err

    @pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT", "EROFS", "EIO"])
    def test_a_failing_disk_is_no_bug(self, number, verb, capsys):
        code = getattr(errno, number)
        assert verb(f"raise OSError({code}, os.strerror({code}), '/out/x')") == 3
        err = capsys.readouterr().err
        assert "/out/x" in err
        assert "Traceback" not in err

    def test_a_full_disk_is_seen_through_the_error_of_a_library(self, verb, capsys):
        body = """
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError as error:
                raise RuntimeError("cannot save") from error
        """
        assert verb(body) == 3
        assert "No space left" in capsys.readouterr().err

    def test_ctrl_c_can_be_resumed(self, verb, capsys):
        assert verb("raise KeyboardInterrupt") == 130
        assert "run the same command again to resume" in capsys.readouterr().err

    def test_a_command_may_choose_its_code_after_its_result(self, verb, capsys):
        body = """
            console.result({"verdict": "fail"}, "gate failed")
            raise typer.Exit(5)
        """
        assert verb(body, "--json") == 5
        assert json.loads(capsys.readouterr().out) == {"verdict": "fail"}

    def test_a_package_of_an_extra_names_the_extra(self, verb, capsys):
        body = "raise ModuleNotFoundError('No module named keras', name='keras.layers')"
        assert verb(body) == 3
        err = capsys.readouterr().err
        assert "allnet-edge[train]" in err
        assert "Traceback" not in err

    def test_a_module_of_ours_that_is_not_there_is_a_bug(self, verb):
        assert verb("import allnet_edge.no_such_module") == 1

    def test_too_little_memory_is_no_bug(self, verb, capsys):
        assert verb("raise MemoryError") == 3
        assert "memory" in capsys.readouterr().err


def test_the_process_exits_with_the_code(tmp_path):
    command = [sys.executable, "-m", "allnet_edge", "verify", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: there is no bundle here")


def test_a_reader_that_leaves_early_gets_no_traceback():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "allnet_edge", "targets", "--json"]
    done = subprocess.run(command, check=False, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert "Traceback" not in done.stderr
    assert done.stderr == ""


def test_typer_is_told_nothing_that_would_prompt():
    for name in verbs():
        text = (Path(frame.__file__).parent / f"{name}.py").read_text()
        assert "prompt" not in text
        assert "input(" not in text
