"""The entry point: finds the verb, runs it, and turns every failure into its exit code."""

import ast
import errno
import importlib
import json
import os
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import typer

from allnet_edge import __version__, cli
from allnet_edge.errors import (
    AllnetEdgeError,
    EnvironmentMismatch,
    MissingDependencyError,
    StorageError,
    UsageError,
)

PROGRAM = "allnet-edge"
NOT_VERBS = frozenset({"main", "console"})
INTERRUPTED = 130
STORAGE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})

HELP = """\
Usage: allnet-edge COMMAND [OPTIONS] [ARGUMENTS]

From a trained leukemia cell classifier to the device beside the microscope, with sensitivity and
specificity gates. Research use only: nothing here makes a diagnosis.

Commands:
{verbs}

Each command prints its own help with --help, takes --json (one JSON object on stdout) and --quiet.

Exit codes: 0 passed, 1 a bug of ours, 2 usage, 3 environment or device, 4 conversion, 5 gate
failed, 6 benchmark invalid, 7 integrity, 8 inconclusive, 9 input data, 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments without the program's name; those of the process by default.

    Returns:
        The exit code, as the contract lists them.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        return _run(arguments)
    except AllnetEdgeError as error:
        return _fail(error, as_json)
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        # The reader of our stdout left, as `head` does: nobody is there to be told more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        return _fail(
            EnvironmentMismatch(
                "this machine has too little free memory for the command",
                fix="close other programs, or use a smaller --input-size",
            ),
            as_json,
        )
    except Exception as error:  # noqa: BLE001 - the last resort, which reports every bug
        known = _storage_error(error) or _missing_package(error)
        return _fail(known, as_json) if known else _bug(error, as_json)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        sys.stdout.write(HELP.format(verbs=_verb_lines()))
        return 0
    if arguments[0] in ("--version", "-V"):
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        return 0
    return _run_verb(arguments[0], arguments[1:])


def verbs() -> list[str]:
    """The commands that exist: the files of this folder."""
    names = (module.name for module in pkgutil.iter_modules(cli.__path__) if not module.ispkg)
    return sorted(name for name in names if name not in NOT_VERBS and not name.startswith("_"))


def _verb_lines() -> str:
    names = verbs()
    width = max((len(name) for name in names), default=0)
    return "\n".join(f"  {name:<{width}}  {_summary(name)}" for name in names)


def _summary(verb: str) -> str:
    """The first line of the verb file's docstring, read without importing the file."""
    source = (Path(__file__).parent / f"{verb}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def _run_verb(verb: str, arguments: list[str]) -> int:
    if verb.startswith("-"):
        raise UsageError(f"unknown option {verb}", fix=f"see {PROGRAM} --help")
    if verb not in verbs():
        from allnet_edge.spec.base import known_name

        known_name("command", verb, verbs())
    app: typer.Typer = importlib.import_module(f"{cli.__name__}.{verb}").app
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name=f"{PROGRAM} {verb}", standalone_mode=False)
    except typer.Abort:
        return _interrupted()
    except Exception as error:
        usage = _usage_error(error, verb)
        if usage is None:
            raise
        raise usage from error
    # Typer swallows Ctrl-C and reports it as this code.
    return _interrupted() if code == INTERRUPTED else int(code or 0)


def _usage_error(error: Exception, verb: str) -> UsageError | None:
    """Ours for an error of Typer's parser, which has no public base class in all versions."""
    message = getattr(error, "format_message", None)
    if message is None:
        return None
    context = getattr(error, "ctx", None)
    path = context.command_path if context else f"{PROGRAM} {verb}"
    # Called bare, a verb with sub-commands "fails" with its own help as the message.
    text = str(message()).strip() or "a command is missing"
    return UsageError(text, fix=f"see {path} --help")


def _storage_error(error: BaseException) -> StorageError | None:
    """A full or failing disk, also where a library wrapped it into an error of its own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in STORAGE_ERRNOS:
            return StorageError(
                f"the disk refuses to write: {seen.strerror}",
                where=seen.filename,
                fix="free some space or choose another output folder, then run the same command "
                "again: finished stages are kept",
            )
        seen = seen.__cause__ or seen.__context__
    return None


def _missing_package(error: Exception) -> MissingDependencyError | None:
    """A package of an extra that a command imports and that is not installed."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    from allnet_edge.device.abilities import extra_of

    module = error.name.partition(".")[0]
    extra = extra_of(module)
    if extra is None:
        return None
    return MissingDependencyError(
        f"this command needs the package {module}, which is not installed",
        fix=f"pip install 'allnet-edge[{extra}]'",
    )


def _fail(error: AllnetEdgeError, as_json: bool) -> int:
    sys.stderr.write(f"error: {error}\n")
    if as_json:
        _json_error(type(error).__name__, error.what, error.where, error.fix, error.exit_code)
    return error.exit_code


def _bug(error: Exception, as_json: bool) -> int:
    traceback.print_exception(error)
    sys.stderr.write("error: this is a bug of allnet-edge; please report it with the lines above\n")
    if as_json:
        _json_error(type(error).__name__, str(error), None, None, 1)
    return 1


def _interrupted() -> int:
    sys.stderr.write("interrupted; run the same command again to resume\n")
    return INTERRUPTED


def _json_error(kind: str, what: str, where: str | None, fix: str | None, code: int) -> None:
    body = {"kind": kind, "what": what, "where": where, "fix": fix, "exit_code": code}
    sys.stdout.write(json.dumps({"error": body}, ensure_ascii=False) + "\n")
