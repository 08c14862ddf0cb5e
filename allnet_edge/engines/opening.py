"""From a model file, or from a bundle, to the runner that this machine can use."""

import importlib
import logging
from dataclasses import dataclass
from pathlib import Path

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.engines.base import Runner
from allnet_edge.errors import EnvironmentMismatch, MissingDependencyError, UsageError

ENGINE_OF_SUFFIX = {".tflite": "litert", ".onnx": "onnx", ".engine": "tensorrt"}
"""The name of an engine is its module here and the extra that installs its runtime."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Selection:
    """The candidate that this machine uses.

    Attributes:
        skipped: Candidates that come before it in order, each with the reason why they are not
            used: their runtime is not here, or they did not pass the gate.
    """

    candidate: Candidate
    skipped: tuple[tuple[str, str], ...]

    @property
    def note(self) -> str:
        """What a person should know about the choice; empty when nothing was skipped."""
        if not self.skipped:
            return ""
        reasons = "; ".join(f"{name}: {why}" for name, why in self.skipped)
        return f"using candidate {self.candidate.id} ({reasons})"


def open_runner(
    source: Bundle | Path | str, candidate: str | None = None, threads: int | None = None
) -> Runner:
    """The runner of a bundle's chosen candidate or of one model file, to be used in ``with``.

    Args:
        source: An open bundle, a bundle's folder, or a ``.tflite`` / ``.onnx`` / ``.engine`` file.
        candidate: Id of a bundle's candidate, to use this one and no other.
        threads: CPU threads for one inference; all usable cores by default.

    Raises:
        UsageError: Nothing there, an unknown suffix or candidate.
        MissingDependencyError: The runtime is not installed; the message names the extra.
        EnvironmentMismatch: No candidate that passed its gate can run here.
        IntegrityError: The bundle was changed.
    """
    if not isinstance(source, Bundle):
        path = Path(source)
        if not path.is_dir():
            return open_file(path, threads)
        source = Bundle.open(path)
    selection = select(source, candidate)
    if selection.note:
        _log.warning("%s", selection.note)
    return open_candidate(source, selection.candidate, threads)


def open_candidate(bundle: Bundle, candidate: Candidate, threads: int | None = None) -> Runner:
    """The runner of one candidate of an open bundle; raises like ``open_runner``."""
    return _load(candidate.engine, bundle.path(candidate.file), threads)


def open_file(path: Path, threads: int | None = None) -> Runner:
    """The runner of a model file, by its suffix; raises like ``open_runner``."""
    engine = ENGINE_OF_SUFFIX.get(path.suffix)
    if engine is None or not path.is_file():
        raise UsageError(
            "this is neither a bundle's folder nor a model file",
            where=path,
            fix=f"name a bundle, or a file ending in {', '.join(ENGINE_OF_SUFFIX)}",
        )
    return _load(engine, path, threads)


def select(bundle: Bundle, candidate: str | None = None) -> Selection:
    """Choose the candidate to run: the named one, else the bundle's choice if this machine has
    its runtime, else the first in the manifest's order that passed its gate and can run here.

    Raises:
        UnknownNameError: No candidate of this name.
        MissingDependencyError: The named candidate's runtime is not installed.
        EnvironmentMismatch: None is left.
    """
    if candidate is not None:
        named = bundle.candidate(candidate)
        require(named.engine)
        return Selection(named, ())
    skipped: list[tuple[str, str]] = []
    chosen = bundle.chosen
    others = [one for one in bundle.manifest.candidates if one is not chosen]
    for one in ([chosen] if chosen else []) + others:
        why = _why_not(one, chosen)
        if why is None:
            return Selection(one, tuple(skipped))
        skipped.append((one.id, why))
    reasons = "; ".join(f"{name}: {why}" for name, why in skipped)
    raise EnvironmentMismatch(
        f"no candidate of this bundle can be used here ({reasons})",
        where=bundle.root,
        fix="install one of the runtimes: pip install 'allnet-edge[litert]' or 'allnet-edge[onnx]'",
    )


def require(engine: str) -> None:
    """Load the runtime of an engine.

    Raises:
        MissingDependencyError: It is not installed, or does not load on this machine.
    """
    try:
        importlib.import_module(f"allnet_edge.engines.{engine}")
    except ImportError as error:
        raise MissingDependencyError(
            f"the {engine} runtime is not available here: {error}",
            fix=f"pip install 'allnet-edge[{engine}]'",
        ) from error


def _why_not(candidate: Candidate, chosen: Candidate | None) -> str | None:
    """A choice made by a person or a gate stands; a fallback must have passed."""
    if candidate is not chosen and candidate.verdict != "pass":
        return f"gate verdict {candidate.verdict or 'unknown'}"
    try:
        require(candidate.engine)
    except MissingDependencyError as error:
        return error.what
    return None


def _load(engine: str, path: Path, threads: int | None) -> Runner:
    require(engine)
    runner: Runner = importlib.import_module(f"allnet_edge.engines.{engine}").open_file(
        path, threads
    )
    return runner
