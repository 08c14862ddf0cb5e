"""What every verb shares: its flags, its progress bars and its one result.

A verb is one file of this folder, named like the verb; a file that is not there is a verb that
does not exist. The first line of the file's docstring is its help in ``allnet-edge --help``, read
without importing the file. The file itself imports only light things at its top (typer, this
module, pathlib): what does the work is imported inside the function, so that help is quick::

    \"\"\"Decide on images with a bundle.\"\"\"

    from pathlib import Path
    from typing import Annotated

    import typer

    from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app

    app = verb_app()

    @app.command()
    def infer(
        bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
        as_json: JsonFlag = False,
        quiet: QuietFlag = False,
    ) -> None:
        \"\"\"Decide on images with a bundle; the long help of the verb.\"\"\"
        from allnet_edge.device.session import decide

        console = Console(as_json=as_json, quiet=quiet)
        with console.progress() as progress:
            report = decide(bundle, progress=progress)
        console.result(report.to_json(), report.as_text())

One ``@app.command()`` makes ``allnet-edge infer``; several make ``allnet-edge data check`` and so
on. To fail, raise an ``AllnetEdgeError``: ``main`` prints it and leaves with its code. To fail
AFTER ``result`` (a report that says "gate failed"), raise ``typer.Exit(code)``, so that stdout
keeps its one JSON object.
"""

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TextIO

import rich.console
import rich.progress
import typer

from allnet_edge.errors import GateFailed, GateInconclusive
from allnet_edge.progress import Progress, silent

if TYPE_CHECKING:
    from allnet_edge.spec.gate import Verdict

JsonFlag = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout, everything else on stderr.")
]
QuietFlag = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no notes; warnings stay.")
]

PLAIN_INTERVAL_SECONDS = 10.0
PIPE_WIDTH = 160  # columns of a table that is not shown in a terminal


def verb_app() -> typer.Typer:
    """The Typer application of one verb, with the settings that all verbs share."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        # One command is the verb itself; several are its sub-commands.
        rich_markup_mode="rich",
    )


def leave(verdict: "Verdict") -> None:
    """End a command whose result is a gate's verdict, with the exit code of that verdict.

    Raises:
        typer.Exit: It is not ``pass``.
    """
    if verdict != "pass":
        raise typer.Exit((GateFailed if verdict == "fail" else GateInconclusive).exit_code)


class Console:
    """Where a command speaks: notes and progress to stderr, its result to stdout.

    Args:
        as_json: The result is one JSON object instead of text.
        quiet: Neither progress nor notes.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._err = _rich_console(sys.stderr)
        self._out = _rich_console(sys.stdout)

    def say(self, text: str) -> None:
        """A note for the person who watches; nothing when quiet."""
        if not self.quiet:
            self._err.print(text, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Something that must be seen; printed also when quiet."""
        self._err.print(f"warning: {text}", soft_wrap=True)

    def line(self, text: str) -> None:
        """One line of a result that is written as it comes (csv, jsonl); not with --json."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def result(self, payload: Mapping[str, object], human: rich.console.RenderableType) -> None:
        """Print what the command found: once, as its last act.

        Args:
            payload: For ``--json``: plain data; numbers that are not finite become null.
            human: For people: text, or anything that rich can draw.
        """
        if self.as_json:
            sys.stdout.write(json.dumps(_finite(payload), ensure_ascii=False) + "\n")
            sys.stdout.flush()
        else:
            self._out.print(human, soft_wrap=isinstance(human, str))

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show what goes on: bars in a terminal, a line now and then elsewhere."""
        if self.quiet:
            yield silent
        elif self._err.is_terminal:
            with _bars(self._err) as bars:
                yield _on_bars(bars)
        else:
            yield _plain(self._err)


def _rich_console(stream: TextIO) -> rich.console.Console:
    width = None if stream.isatty() else PIPE_WIDTH
    return rich.console.Console(
        file=stream, width=width, markup=False, highlight=False, emoji=False
    )


def _bars(console: rich.console.Console) -> rich.progress.Progress:
    return rich.progress.Progress(
        rich.progress.SpinnerColumn(),
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TimeRemainingColumn(),
        console=console,
    )


def _on_bars(bars: rich.progress.Progress) -> Progress:
    """One bar for each ``what``; it pulses while the total is unknown."""
    tasks: dict[str, rich.progress.TaskID] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total or None)
        bars.update(tasks[what], completed=done, total=total or None)

    return show


def _plain(console: rich.console.Console) -> Progress:
    """A line when a ``what`` begins, when it ends, and every few seconds between."""
    shown: dict[str, float] = {}

    def show(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        ended = total > 0 and done >= total
        if what in shown and not ended and now - shown[what] < PLAIN_INTERVAL_SECONDS:
            return
        shown[what] = now
        counts = f" {done}/{total}" if total else (f" {done}" if done else "")
        console.print(f"{what}{counts}", soft_wrap=True)

    return show


def _finite(value: object) -> object:
    """The value with NaN and infinities as None: JSON has no other word for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
