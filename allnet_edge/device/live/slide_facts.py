"""What a slide says of itself for ever: with what, and how calibrated, it was made."""

from importlib.metadata import version

from allnet_edge.device.fields.assess import FieldAssessor
from allnet_edge.device.store.records import NewSlide


def slide_facts(assessor: FieldAssessor, name: str, source: str) -> NewSlide:
    """The head of a new slide.

    Args:
        assessor: Of an active session.
        name: As the operator calls it.
        source: The camera, without a password, or ``uploads``.

    Raises:
        UsageError: The name cannot be used.
    """
    session, shadow = assessor.session, assessor.shadow
    manifest = session.bundle.manifest
    return NewSlide(
        name=name,
        bundle=manifest.name,
        bundle_sha256=session.bundle.sha256,
        candidate=session.candidate.id,
        verdict=session.candidate.verdict,
        model=manifest.model,
        classes=tuple(manifest.classes),
        positive=manifest.positive,
        phantom=manifest.phantom,
        source=source,
        scale=assessor.scale,
        scale_known=assessor.scale_known,
        versions={"allnet-edge": version("allnet-edge"), **manifest.requires.runtimes},
        threshold=session.threshold.threshold if len(manifest.classes) == 2 else None,
        shadow=None if shadow is None else shadow.candidate.id,
    )
