"""Where readings come from: files below a root, and the answers of a few read-only commands.

Both can be stood in for: a root by a folder of recorded files, a command by its recorded answer.
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Ask = Callable[[Sequence[str]], str | None]
"""Runs a command and returns what it printed; None where it is not there or fails."""

_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Source:
    """A device, or a recording of one.

    Attributes:
        root: Where ``proc``, ``sys`` and ``etc`` lie.
        ask: How commands are run.
        tegrastats_log: That a person lets ``tegrastats`` write meanwhile; None for none.
    """

    root: Path
    ask: Ask
    tegrastats_log: Path | None = None

    def text(self, path: str) -> str | None:
        """A file's text without blanks and NUL at its ends; None where it cannot be read."""
        try:
            text = (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:  # also EAGAIN, which the sensor of a part that sleeps gives
            return None
        return text.strip("\0\n \t") or None

    def number(self, path: str) -> int | None:
        """A file's whole number; None where there is none."""
        text = self.text(path)
        try:
            return None if text is None else int(text)
        except ValueError:
            return None

    def matching(self, pattern: str) -> Iterator[str]:
        """Paths below the root that match, sorted."""
        for path in sorted(self.root.glob(pattern)):
            yield path.relative_to(self.root).as_posix()


def this_device(tegrastats_log: Path | None = None) -> Source:
    """The machine that we run on."""
    return Source(Path("/"), ask, tegrastats_log)


def recorded(folder: Path) -> Source:
    """A recording: files as on the device, answers in ``commands/<words joined by _>.txt``."""

    def answer(command: Sequence[str]) -> str | None:
        path = folder / "commands" / ("_".join(command) + ".txt")
        return path.read_text(encoding="utf-8") if path.is_file() else None

    return Source(folder, answer)


def ask(command: Sequence[str]) -> str | None:
    """Run a read-only command of the system."""
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
