"""How long work tells that it goes on, without knowing whether a terminal listens."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; ``total`` 0 means unknown."""


def silent(what: str, done: int, total: int) -> None:
    """A listener that ignores everything: the default of library functions."""
