"""What the gate will be able to decide: the number of its cells is known before anything runs."""

from collections.abc import Sequence

from allnet_edge.data.proof import Member
from allnet_edge.data.split import load_split
from allnet_edge.measure.power import chance_of_pass, fewest_cells
from allnet_edge.pipeline.plan import Plan
from allnet_edge.spec.base import Frozen

CHANGED = (0.01, 0.02, 0.05, 0.1)
"""Shares of changed decisions that are looked at; int8 and pruning changed 2 to 10 % on Aria."""


class Chance(Frozen):
    """How often the check of a rate passes a truly equal candidate.

    Attributes:
        changed: Share of the class's cells whose decision it changes, 0..1.
        passes: Probability, 0..1, an upper limit where patients are known; see `chance_of_pass`.
    """

    changed: float
    passes: float


class Outlook(Frozen):
    """One class of the gate's cells.

    Attributes:
        metric: ``sensitivity`` or ``specificity``.
        labels: Of the class, as the data set has them.
        n: Cells of the class in the test part.
        patients: Of them; None where any patient of the test part is unknown.
        validation: Cells of the class in the validation part, which the threshold is fitted on.
        margin: Largest allowed drop, 0..1.
        fewest: Cells with which a candidate passes that changes no decision; None where no number
            does: for a margin of 0, and for one patient.
        chances: For each of `CHANGED`; empty where there is no cell.
    """

    metric: str
    labels: tuple[str, ...]
    n: int
    patients: int | None
    validation: int
    margin: float
    fewest: int | None
    chances: tuple[Chance, ...]

    @property
    def warning(self) -> str | None:
        """What to say where a candidate that changes no decision does not pass."""
        told = f"{self.metric}: with {self.n} held-out cells ({', '.join(self.labels)}) "
        if self.patients == 1:
            return (
                f"{told}of one patient nothing can be shown about others. Expect 'inconclusive' "
                "(exit code 8), or hold out more patients (data split) and train on that split"
            )
        if self.fewest is None or self.n >= self.fewest:
            return None
        of = "" if self.patients is None else f" of {self.patients} patients"
        return (
            f"{told}a candidate that changes no decision is not yet shown to stay within the "
            f"margin of {100 * self.margin:g} points; that takes {self.fewest}{of}. Expect "
            "'inconclusive' (exit code 8), or deal a larger test part (data split --fractions) and "
            "train on that split, or accept a wider margin "
            f"(--max-drop {self.metric}=...)"
        )


def outlook(plan: Plan) -> tuple[Outlook, ...]:
    """Sensitivity and specificity; nothing for the embedded default, whose cells are yet to come.

    Raises:
        SplitError: There is no split file, or it cannot be used.
        IntegrityError: The run's description is damaged.
    """
    if plan.embedded:
        return ()
    parts = load_split(plan.sources.split_path).parts
    classes = plan.sources.model().label_index
    gate = plan.recipe.gate
    found = []
    for metric, number, margin in (
        ("sensitivity", 1, gate.sensitivity),
        ("specificity", 0, gate.specificity),
    ):
        labels = tuple(sorted(label for label, index in classes.items() if index == number))
        n = sum(member.label in labels for member in parts["test"])
        patients = _patients(parts["test"], labels)
        found.append(
            Outlook(
                metric=metric,
                labels=labels,
                n=n,
                patients=patients,
                validation=sum(member.label in labels for member in parts["validation"]),
                margin=margin,
                fewest=fewest_cells(margin, gate.confidence, patients),
                chances=tuple(
                    Chance(
                        changed=share,
                        passes=chance_of_pass(n, share, margin, gate.confidence, patients),
                    )
                    for share in (CHANGED if n else ())
                ),
            )
        )
    return tuple(found)


def _patients(members: Sequence[Member], labels: Sequence[str]) -> int | None:
    """Of the cells of a class; None where the gate takes patients for unknown."""
    if any(member.patient is None for member in members):
        return None
    return len({member.patient for member in members if member.label in labels})
