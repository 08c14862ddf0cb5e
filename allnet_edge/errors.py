"""Every error that allnet-edge raises on purpose, with the exit code it ends the program with.

AllnetEdgeError                 1   a bug of ours, if it is ever seen bare
+-- UsageError                  2   the command, a setting or a path is wrong
|   +-- UnknownNameError            a target, model, stage or key that does not exist
|   +-- RecipeError                 a recipe or target file that cannot be used
|   +-- OutputDirError              an output folder that is not ours, busy or not writable
+-- EnvironmentMismatch         3   this machine cannot do it
|   +-- MissingDependencyError      an extra that is not installed
|   +-- DeviceMismatchError         a bundle or engine made for another device
|   +-- StorageError                the disk is full or failing
|   +-- CameraError                 a camera that is absent, gone, or gives nothing
|       +-- FrameTimeout                no frame in time; the camera may still be there
+-- ConversionError             4   a graph could not be converted or compiled
+-- GateFailed                  5   the compressed network is worse than the margin allows
+-- BenchmarkInvalid            6   the measurement cannot be trusted
+-- IntegrityError              7   a hash, a signature or a golden tensor differs
+-- GateInconclusive            8   too few cells to decide
+-- DataError                   9   the input data cannot be used
    +-- ImageError                  one image that cannot be decoded or is refused
    +-- SplitError                  a split that cannot be made or that leaks
"""

from collections.abc import Mapping


class AllnetEdgeError(Exception):
    """Base of the tree.

    Args:
        what: What is wrong, in one sentence, naming the offending value.
        where: The file, folder or key that it concerns, if there is one.
        fix: What the user can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: object = None, fix: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.what]
        if self.where is not None:
            lines.append(f"where: {self.where}")
        if self.fix is not None:
            lines.append(f"fix: {self.fix}")
        return "\n".join(lines)


class UsageError(AllnetEdgeError):
    """The command, a setting or a path is wrong."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is in no list; the message gives the nearest match and the list."""


class RecipeError(UsageError):
    """A recipe or target file with an unknown key, a wrong type or a contradiction."""


class OutputDirError(UsageError):
    """An output folder that is not ours, in use by another process, or not writable."""


class EnvironmentMismatch(AllnetEdgeError):  # noqa: N818 - a state, not a fault of the program
    """This machine cannot do it."""

    exit_code = 3


class MissingDependencyError(EnvironmentMismatch):
    """A package of an extra that this command needs."""


class DeviceMismatchError(EnvironmentMismatch):
    """A bundle or an engine that was made for another device or another runtime."""


class StorageError(EnvironmentMismatch):
    """The disk is full, read-only or failing."""


class CameraError(EnvironmentMismatch):
    """A camera that is absent, was unplugged, or gives no frame."""


class FrameTimeout(CameraError):  # noqa: N818 - a state that may pass, as a queue's Empty
    """No frame within the time allowed; the camera may still be there."""


class ConversionError(AllnetEdgeError):
    """A graph could not be converted or compiled."""

    exit_code = 4


class GateFailed(AllnetEdgeError):  # noqa: N818 - a verdict
    """The compressed network is worse than the margin allows."""

    exit_code = 5


class BenchmarkInvalid(AllnetEdgeError):  # noqa: N818 - a verdict
    """The measurement cannot be trusted."""

    exit_code = 6


class IntegrityError(AllnetEdgeError):
    """A hash, a signature or a golden tensor differs."""

    exit_code = 7


class GateInconclusive(AllnetEdgeError):  # noqa: N818 - a verdict
    """Too few cells to decide."""

    exit_code = 8


class DataError(AllnetEdgeError):
    """The input data cannot be used."""

    exit_code = 9


class ImageError(DataError):
    """One image that cannot be decoded, or that is refused by name."""


class SplitError(DataError):
    """A split that cannot be made, or whose parts share an image or a patient."""


def first_line(error: BaseException) -> str:
    """What another library's error says, without the pages that follow; its name if it is mute."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def error_to_json(error: AllnetEdgeError) -> dict[str, str | None]:
    """An error of the tree as plain data, to travel from a worker to its parent."""
    return {
        "kind": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "fix": error.fix,
    }


def error_from_json(message: Mapping[str, str | None]) -> AllnetEdgeError:
    """The same error again, of the same class."""
    kind = globals().get(str(message["kind"]), AllnetEdgeError)
    made: AllnetEdgeError = kind(str(message["what"]), where=message["where"], fix=message["fix"])
    return made
