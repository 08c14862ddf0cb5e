"""The tree of errors."""

import pytest

from allnet_edge.errors import (
    AllnetEdgeError,
    SplitError,
    error_from_json,
    error_to_json,
    first_line,
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("the operator is not known", "the operator is not known"),
        ("the first line\n  and pages\n  of others", "the first line"),
        ("\n\n  after blank lines\nmore", "after blank lines"),
        ("", "RuntimeError"),
        (" \n ", "RuntimeError"),
    ],
)
def test_first_line(message: str, expected: str) -> None:
    assert first_line(RuntimeError(message)) == expected


def test_an_error_survives_the_way_to_the_parent() -> None:
    error = SplitError("it leaks", where="split.json", fix="split again")
    again = error_from_json(error_to_json(error))
    assert type(again) is SplitError
    assert str(again) == str(error)
    assert again.exit_code == 9


def test_an_error_of_an_unknown_kind_is_still_one_of_ours() -> None:
    again = error_from_json({"kind": "NoSuchError", "what": "odd", "where": None, "fix": None})
    assert type(again) is AllnetEdgeError
    assert str(again) == "odd"
