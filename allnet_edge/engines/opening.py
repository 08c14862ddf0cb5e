"""From a model file, or from a bundle, to the runner that this machine can use."""

import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.device_files import FOLDER
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.engines.base import Runner
from allnet_edge.engines.tensorrt_fit import Here, why_unfit
from allnet_edge.errors import (
    DeviceMismatchError,
    EnvironmentMismatch,
    MissingDependencyError,
    UsageError,
)
from allnet_edge.measure.system import describe

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
        DeviceMismatchError: An engine of the bundle was made for another device, or is damaged; the
            message names the command that mends it.
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
    if candidate.engine == "tensorrt":
        require_fit(bundle, candidate)
    return _load(candidate.engine, bundle.path(candidate.file), threads)


def require_fit(bundle: Bundle, candidate: Candidate) -> None:
    """Refuse an engine that was not made on this device from the graph that was signed.

    Raises:
        MissingDependencyError: TensorRT is not here.
        EnvironmentMismatch: There is no GPU.
        DeviceMismatchError: What does not fit.
    """
    record = next(one for one in bundle.device.engines if one.id == candidate.id)
    why = why_unfit(bundle, record, Here.of(load_tensorrt()))
    if why is not None:
        raise DeviceMismatchError(
            f"the engine {record.id} cannot be used here: {why}",
            where=bundle.path(record.file),
            fix=_mend(bundle),
        )


def _mend(bundle: Bundle) -> str:
    return f"make it anew on this device: allnet-edge compile {bundle.root}"


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
    """Choose the candidate to run: the named one; else this device's own choice; else the build's
    choice if this machine has its runtime; else the first in order that passed and can run here.

    Raises:
        UnknownNameError: No candidate of this name.
        MissingDependencyError: The named candidate's runtime is not installed.
        DeviceMismatchError: The device's choice is damaged, of another bundle, or of a device that
            this one is not.
        EnvironmentMismatch: None is left.
    """
    if candidate is not None:
        named = bundle.candidate(candidate)
        require(named.engine)
        return Selection(named, ())
    chosen, order, skipped = _order(bundle)
    for one in order:
        why = _why_not(one, chosen)
        if why is None:
            return Selection(one, tuple(skipped))
        skipped.append((one.id, why))
    reasons = "; ".join(f"{name}: {why}" for name, why in skipped)
    raise EnvironmentMismatch(
        f"no candidate of this bundle can be used here ({reasons})",
        where=bundle.root,
        fix="install a runtime: pip install 'allnet-edge[litert]' or 'allnet-edge[onnx]'; on a "
        f"device with TensorRT: allnet-edge compile {bundle.root}",
    )


def _order(
    bundle: Bundle,
) -> tuple[Candidate | None, list[Candidate], list[tuple[str, str]]]:
    """The choice, the order in which to try them, and what is passed over from the start."""
    own = _own_order(bundle)
    if own is not None:
        return own[0], own, []
    chosen, notes = bundle.chosen, list[tuple[str, str]]()
    if bundle.device.choice is not None:
        notes.append((FOLDER, "chosen on another machine; compile again to choose here"))
    others = [one for one in bundle.manifest.candidates if one is not chosen]
    return chosen, ([chosen] if chosen else []) + others, notes


def _own_order(bundle: Bundle) -> list[Candidate] | None:
    """What this device chose; None where it has not.

    An engine is bound to its device, so that a choice among engines is never passed over in
    silence; among the runtimes of the processor another machine's choice is only the wrong speed.
    """
    choice, engines = bundle.device.choice, {one.id for one in bundle.device.engines}
    if bundle.device.damaged:
        raise _misfit(bundle, f"what this device compiled is damaged: {bundle.device.damaged[0]}")
    if choice is None:
        return None
    if choice.manifest_sha256 != bundle.sha256:
        raise _misfit(bundle, "what this device compiled was made from another bundle")
    if choice.chosen in engines:
        require_fit(bundle, bundle.candidate(choice.chosen))
    elif not is_same_machine(choice.machine):
        return None
    if choice.chosen is None:
        raise _misfit(bundle, "no candidate of this bundle may be used on this device")
    return [bundle.candidate(name) for name in choice.order]


def is_same_machine(machine: Mapping[str, object]) -> bool:
    """Whether a choice was measured on a machine of this model and processor."""
    here = describe()
    return (machine.get("model"), machine.get("cpu")) == (here.model, here.cpu)


def _misfit(bundle: Bundle, what: str) -> DeviceMismatchError:
    return DeviceMismatchError(what, where=bundle.path(FOLDER), fix=_mend(bundle))


def require(engine: str) -> None:
    """Load the runtime of an engine.

    Raises:
        MissingDependencyError: It is not installed, or does not load on this machine.
    """
    try:
        importlib.import_module(f"allnet_edge.engines.{engine}")
    except ImportError as error:
        jetpack = "; TensorRT comes with JetPack: make the environment with --system-site-packages"
        raise MissingDependencyError(
            f"the {engine} runtime is not available here: {error}",
            fix=f"pip install 'allnet-edge[{engine}]'{jetpack if engine == 'tensorrt' else ''}",
        ) from error


def load_tensorrt() -> ModuleType:
    """The TensorRT of this machine, for what builds engines.

    Raises:
        MissingDependencyError: There is none.
    """
    require("tensorrt")
    module: ModuleType = importlib.import_module("allnet_edge.engines.tensorrt").TRT
    return module


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
