import io
import json
import math

import pytest
import rich.console

from allnet_edge.cli import console as module
from allnet_edge.cli.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


class TestResult:
    def test_json_is_one_object_on_stdout(self, capsys):
        Console(as_json=True).result({"a": [1, {"b": "ü"}]}, "for people")
        captured = capsys.readouterr()
        assert json.loads(captured.out) == {"a": [1, {"b": "ü"}]}
        assert captured.out.count("\n") == 1
        assert captured.err == ""

    def test_numbers_that_json_does_not_know_become_null(self, capsys):
        Console(as_json=True).result({"a": math.nan, "b": (math.inf, 1.5)}, "")
        assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5]}

    def test_people_get_the_text_as_it_is(self, capsys):
        text = "[bold]not markup[/bold] :cross_mark: " + "long " * 100
        Console().result({}, text)
        assert capsys.readouterr().out == text + "\n"


class TestNotes:
    def test_notes_go_to_stderr_and_are_silent_when_quiet(self, capsys):
        Console(as_json=True).say("hello [path]")
        Console(quiet=True).say("unheard")
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err == "hello [path]\n"

    def test_warnings_are_seen_also_when_quiet(self, capsys):
        Console(quiet=True).warn("not passed")
        assert capsys.readouterr().err == "warning: not passed\n"


class TestProgress:
    def test_elsewhere_than_in_a_terminal_it_prints_a_line_now_and_then(self, capsys, clock):
        with Console().progress() as progress:
            for done in range(101):
                clock[0] += 0.3
                progress("images", done, 100)
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "images 0/100"
        assert lines[-1] == "images 100/100"
        assert 4 <= len(lines) <= 6
        assert all(line.startswith("images ") for line in lines)

    def test_each_thing_has_its_own_line(self, capsys):
        with Console().progress() as progress:
            progress("epoch 1", 0, 10)
            progress("loading", 5, 0)
            progress("waiting", 0, 0)
        assert capsys.readouterr().err == "epoch 1 0/10\nloading 5\nwaiting\n"

    def test_quiet_is_quiet(self, capsys):
        with Console(quiet=True).progress() as progress:
            progress("images", 1, 2)
        assert capsys.readouterr() == ("", "")

    def test_in_a_terminal_it_draws_bars(self, monkeypatch):
        terminal = Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with Console().progress() as progress:
            progress("images [a]", 3, 7)
            progress("unknown", 2, 0)
        drawn = terminal.getvalue()
        assert "images [a]" in drawn
        assert "3/7" in drawn
        assert "\x1b[" in drawn

    def test_stdout_stays_free_for_the_result(self, capsys):
        with Console(as_json=True).progress() as progress:
            progress("images", 1, 2)
        assert capsys.readouterr().out == ""


def test_a_table_in_a_pipe_is_not_cut_to_eighty_columns(capsys):
    table = rich.console.Group("x" * 150)
    Console().result({}, table)
    assert "x" * 150 in capsys.readouterr().out
