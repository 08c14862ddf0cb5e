"""The tree of errors."""

import pytest

from allnet_edge.errors import first_line


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
