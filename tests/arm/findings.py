"""What is looked at, and what was found wrong with it."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """A bundle under test, as ``bundles.py`` tells of it."""

    name: str
    bundle: str
    probe: str
    public_key: str
    models: dict[str, str]


class Failures(list[str]):
    """What does not hold, told at once."""

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            sys.stdout.write(f"  FAILED: {what}\n")
            sys.stdout.flush()
            self.append(what)

    def add(self, found: list[str], where: str) -> None:
        for one in found:
            self.check(False, f"{where}: {one}")
