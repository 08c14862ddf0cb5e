"""What a person has to know about a bundle whenever it says something."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allnet_edge.device.session import Session

PHANTOM = "The bundle is made from phantom (synthetic) cells: it knows nothing about real ones."
LEAKING = (
    "The network was judged on a split in which one patient may stand on both sides: its figures "
    "are too good."
)
ELSEWHERE = "Trained and judged on {} cells: for smears of another laboratory it is not validated."
_NAMES = {"cnmc": "C-NMC", "aria": "Aria"}


def caveats(session: "Session") -> tuple[str, ...]:
    """Whole sentences about the bundle and the candidate in use, the gravest first."""
    manifest, candidate = session.bundle.manifest, session.candidate
    found = [PHANTOM] if manifest.phantom else []
    if candidate.verdict != "pass":
        found.append(
            f"Candidate {candidate.id} did not pass its gate (verdict "
            f"{candidate.verdict or 'none'}): it may be worse than the network it was made from."
        )
    if manifest.data is not None and manifest.data.leaking:
        found.append(LEAKING)
    if manifest.data is not None and not manifest.phantom:
        layout = manifest.data.layout
        found.append(ELSEWHERE.format(_NAMES.get(layout, f"'{layout}'")))
    if session.note:
        found.append(f"{session.note[0].upper()}{session.note[1:]}.")
    return tuple(found)
