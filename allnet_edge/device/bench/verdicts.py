"""The gate's verdict on every candidate; without one there is no latency."""

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.files import read_json
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.errors import IntegrityError, RecipeError
from allnet_edge.measure.gate_report import GateReport
from allnet_edge.spec.base import parse
from allnet_edge.spec.gate import Verdict

GATE = "reports/gate.json"
_VERDICTS: dict[str, Verdict] = {
    "pass": "pass",
    "fail": "fail",
    "inconclusive": "inconclusive",
}


class Verdicts:
    """What the gate said about the artifacts of one bundle.

    The signed ones are judged in ``reports/gate.json``, whose hash and theirs stand in one
    manifest; an engine that this device built is judged in its own sidecar.

    Raises:
        IntegrityError: gate.json cannot be read, or says otherwise than the manifest.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._said: dict[str, Verdict] = {}
        self._has_gate = GATE in bundle.manifest.files
        if self._has_gate:
            for judged in _read(bundle).candidates:
                self._said[judged.id] = judged.verdict
            _agree(bundle, self._said)
        for engine in bundle.device.engines:
            verdict = _VERDICTS.get(str(engine.verdict))
            if verdict is not None:
                self._said[engine.id] = verdict

    def of(self, candidate: Candidate) -> Verdict | None:
        """None where nobody judged it."""
        return self._said.get(candidate.id)

    def why_none(self, candidate: Candidate) -> str:
        """Why there is none, and what to do."""
        if candidate.engine == "tensorrt":
            return "no gate verdict on this device: allnet-edge compile BUNDLE --data DIR"
        missing = "does not judge it" if self._has_gate else "is not in the bundle"
        return f"no gate verdict: {GATE} {missing}"


def _read(bundle: Bundle) -> GateReport:
    path = bundle.path(GATE)
    try:
        return parse(read_json(path), GateReport, where=path)
    except RecipeError as error:
        raise IntegrityError(
            error.what, where=path, fix="copy the bundle again, or build it again"
        ) from error


def _agree(bundle: Bundle, said: dict[str, Verdict]) -> None:
    for candidate in bundle.manifest.candidates:
        verdict = said.get(candidate.id)
        if verdict is not None and candidate.verdict is not None and verdict != candidate.verdict:
            raise IntegrityError(
                f"the gate says {verdict} about {candidate.id}, the manifest {candidate.verdict}",
                where=bundle.path(GATE),
                fix="build the bundle again",
            )
