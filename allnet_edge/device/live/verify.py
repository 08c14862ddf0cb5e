"""Before a session begins: does the candidate still give what it gave when it was built?"""

from allnet_edge.artifacts.bundle import COPY_AGAIN
from allnet_edge.device.golden_check import check_candidate
from allnet_edge.device.session import Session
from allnet_edge.errors import DeviceMismatchError, IntegrityError

WARM_UP = 4


def verify(session: Session) -> None:
    """Run the golden tensors of the candidate in use, and warm it up.

    Args:
        session: Active.

    Raises:
        IntegrityError: It gives other probabilities than when the bundle was made.
        DeviceMismatchError: An engine of another device.
    """
    bundle, candidate = session.bundle, session.candidate
    golden = bundle.golden()
    found = check_candidate(bundle, candidate, golden, session.threads)
    if found.status == "differ":
        raise IntegrityError(
            f"the golden tensors of candidate {candidate.id} do not match: {found.why}",
            where=bundle.path(candidate.file),
            fix=COPY_AGAIN,
        )
    if found.status != "match":
        raise DeviceMismatchError(
            f"candidate {candidate.id} cannot be verified here: {found.why}",
            where=bundle.path(candidate.file),
        )
    session.infer(golden.images[:WARM_UP])
