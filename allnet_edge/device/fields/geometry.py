"""How a cell of a field becomes an image like those that a bundle was trained on."""

from dataclasses import dataclass

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.device.cameras import profile
from allnet_edge.segmentation.cutting import Background

NO_APPEARANCE = (
    "The bundle does not say what its training images look like (no appearance.json): cells are "
    "cut out with their surroundings, and neither stain, exposure nor size is checked."
)
NOT_CALIBRATED = (
    "The camera is not calibrated: cells are shown to the network at the size they have in the "
    "picture, which may not be the size that it was trained on."
)
MATCHED = (
    "The scale was matched by cell size, not measured: the size of a cell says nothing about it."
)


@dataclass(frozen=True, slots=True)
class Geometry:
    """Of a cut-out, and what a person should know about it.

    Attributes:
        side: Of the square picture, in pixels of a training image.
        scale: Pixels of a training image for one of the field.
        background: What stands around the cell.
        nucleus: Expected diameter of a nucleus in pixels of the field; None where unknown.
        notes: Whole sentences.
    """

    side: int
    scale: float
    background: Background
    nucleus: float | None
    notes: tuple[str, ...]

    @classmethod
    def of(cls, bundle: Bundle, scale: float, known: str) -> "Geometry":
        """The geometry of a bundle's training images.

        Args:
            bundle: Whose network is asked.
            scale: See ``scale``.
            known: Where it comes from; one that is not known tells nothing about a nucleus.
        """
        notes = {profile.NOT_CALIBRATED: [NOT_CALIBRATED], profile.MATCHED: [MATCHED]}.get(
            known, []
        )
        appearance = bundle.appearance
        if appearance is None:
            side = bundle.preprocess.crop or bundle.preprocess.size
            return cls(side, scale, "smear", None, (NO_APPEARANCE, *notes))
        told = known != profile.NOT_CALIBRATED and appearance.diameter_of == "nucleus"
        nucleus = appearance.diameter[1] / scale if told and appearance.diameter else None
        return cls(appearance.side, scale, appearance.background, nucleus, tuple(notes))
