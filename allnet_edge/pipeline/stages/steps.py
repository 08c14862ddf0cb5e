"""Float networks between the reference and the candidates: judged, so that a loss can be named."""

from dataclasses import dataclass
from pathlib import Path

from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.scoring import OWN, PRUNED


@dataclass(frozen=True, slots=True)
class Step:
    """A float network in Keras that is no candidate.

    Attributes:
        rung: Its step of the ladder in words, and the name of its verdict in the gate's folder.
        stage: Whose folder holds ``file``, with its probabilities on both parts.
        shows: What its figures tell.
    """

    id: str
    rung: str
    stage: str
    file: str
    shows: str

    def verdict(self, gate: Path) -> Path:
        """Where the gate keeps its verdict."""
        return gate / f"{self.rung}.json"


_STEPS = (
    Step(
        "keras-own", "own", "reference", OWN,
        "a step of the ladder, not a candidate: the network that is built, before any conversion; "
        "the gate compares with another one",
    ),
    Step(
        "keras-pruned", "pruned", "prune", PRUNED,
        "a step of the ladder, not a candidate: shows what pruning alone lost",
    ),
)  # fmt: skip


def steps_of(work: Work) -> tuple[Step, ...]:
    """Those of this build, each after the one that it was made from."""
    return tuple(
        step
        for step in _STEPS
        if step.stage in work.stages and (work.stages[step.stage] / step.file).is_file()
    )


def is_step(candidate: str) -> bool:
    """Whether this is the id of a step and not of a candidate."""
    return candidate in {step.id for step in _STEPS}
