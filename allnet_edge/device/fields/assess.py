"""One field of view: its cells found, cut out, checked, decided on."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.data.images import Tensor, fit
from allnet_edge.device.cameras.frame import Frame
from allnet_edge.device.cameras.profile import NOT_CALIBRATED
from allnet_edge.device.caveats import caveats
from allnet_edge.device.fields.abstention import Quality
from allnet_edge.device.fields.geometry import Geometry
from allnet_edge.device.fields.results import CellResult, FieldResult, Reason
from allnet_edge.device.session import Session, Verdict
from allnet_edge.engines.base import Images
from allnet_edge.errors import UsageError
from allnet_edge.segmentation.cell import Cell, Field
from allnet_edge.segmentation.cutting import cut_out
from allnet_edge.segmentation.finding import find_cells
from allnet_edge.segmentation.outline import outline

_log = logging.getLogger(__name__)
CUT = "the border of the field cuts through it"


class FieldAssessor:
    """From a frame to a decision about each of its cells, or the reason why there is none.

    One frame after the other, by one thread.

    Attributes:
        session: Active; whose network decides.
        shadow: Active; a second candidate of the same bundle that is asked beside, never decides.
        scale: Pixels of a training image for one of the camera.
        scale_known: Where it comes from, in the words of ``CameraProfile.scale``.
        geometry: Of the cut-outs.
        notes: What holds for every field, in whole sentences.
        compared: Cells that both networks judged.
        disagreed: Of them, those on different sides of their thresholds.

    Raises:
        UsageError: A scale that is not positive, or a shadow of another bundle.
    """

    def __init__(
        self,
        session: Session,
        *,
        scale: float = 1.0,
        scale_known: str = NOT_CALIBRATED,
        shadow: Session | None = None,
    ) -> None:
        if not 0 < scale < float("inf"):
            raise UsageError(f"a scale of {scale} is not positive", fix="calibrate the camera")
        if shadow is not None and shadow.bundle.sha256 != session.bundle.sha256:
            raise UsageError(
                "the shadow is of another bundle", where=shadow.bundle.root,
                fix="name a candidate of the same bundle",
            )  # fmt: skip
        self.session, self.shadow = session, shadow
        self.scale, self.scale_known = scale, scale_known
        self.geometry = Geometry.of(session.bundle, scale, scale_known)
        self._quality = Quality(session.bundle.appearance)
        self.notes = (*caveats(session), *self.geometry.notes)
        self.compared = self.disagreed = 0

    @property
    def bundle(self) -> Bundle:
        """Whose network decides."""
        return self.session.bundle

    def assess(self, frame: Frame) -> FieldResult:
        """Find the cells of a frame and decide on each.

        A cell that the border cuts, or that does not look as the training cells do, is not shown
        to the network; one inside the uncertain band is, and is not assessed either.

        Raises:
            IntegrityError: The network gave a value that is no probability.
        """
        clock = _Clock()
        cells = find_cells(frame.rgb, diameter=self.geometry.nucleus)
        clock.lap("find")
        tensors, refused = self._tensors(frame.rgb, cells)
        clock.lap("cut_out")
        shown = self._batch(tensors.values())
        outputs = self.session.infer(shown)
        clock.lap("infer")
        verdicts = self.session.judge(outputs, _name(frame))
        judged = {
            index: self._judged(index, cells[index], tensor, verdict)
            for (index, tensor), verdict in zip(tensors.items(), verdicts, strict=True)
        }
        clock.lap("judge")
        if self.shadow is not None:
            beside = self.shadow.judge(self.shadow.infer(shown), _name(frame))
            judged = self._compared(frame, judged, beside)
            clock.lap("shadow")
        results = judged | refused
        return FieldResult(
            frame.number,
            frame.name,
            frame.taken,
            frame.rgb.shape[1],
            frame.rgb.shape[0],
            tuple(results[index] for index in range(len(cells))),
            spans_ns=clock.spans,
        )

    def _tensors(
        self, rgb: Field, cells: Sequence[Cell]
    ) -> tuple[dict[int, Tensor], dict[int, CellResult]]:
        """What the network is to be shown, and the cells that it is not, both by index."""
        tensors, refused = dict[int, Tensor](), dict[int, CellResult]()
        for index, cell in enumerate(cells):
            if cell.cut:
                refused[index] = _refused(index, cell, Reason.cut, CUT, None)
                continue
            tensor = self._tensor(rgb, cell)
            why = self._quality.check(cell, tensor, self.scale)
            if why is None:
                tensors[index] = tensor
            else:
                distance = self._quality.stain_distance(tensor)
                refused[index] = _refused(index, cell, *why, distance)
        return tensors, refused

    def _tensor(self, rgb: Field, cell: Cell) -> Tensor:
        geometry = self.geometry
        picture = cut_out(
            rgb, cell, side=geometry.side, scale=geometry.scale, background=geometry.background
        )
        return fit(Image.fromarray(picture), self.bundle.preprocess)

    def _batch(self, tensors: Iterable[Tensor]) -> Images:
        size = self.bundle.preprocess.size
        return np.array(list(tensors), np.uint8).reshape(-1, size, size, 3)

    def _judged(self, index: int, cell: Cell, tensor: Tensor, verdict: Verdict) -> CellResult:
        return CellResult(
            index,
            cell.box,
            outline(cell),
            verdict.label,
            verdict.probability,
            Reason.uncertain if verdict.uncertain else None,
            verdict.uncertain,
            stain_distance=self._quality.stain_distance(tensor),
            picture=tensor,
        )

    def _compared(
        self, frame: Frame, judged: dict[int, CellResult], beside: Sequence[Verdict]
    ) -> dict[int, CellResult]:
        """The results with what the shadow says; a disagreement is counted and logged."""
        for result, other in zip(judged.values(), beside, strict=True):
            self.compared += 1
            if other.label != result.label:
                self.disagreed += 1
                _log.info(
                    "shadow disagrees: %s, cell %d: %s (%.3f), shadow %s (%.3f)",
                    _name(frame), result.index, result.label, result.probability, other.label,
                    other.probability,
                )  # fmt: skip
        return {
            index: replace(result, shadow=other.probability)
            for (index, result), other in zip(judged.items(), beside, strict=True)
        }


def refused_field(frame: Frame, reason: Reason, detail: str) -> FieldResult:
    """The result of a frame that is not assessed as a whole."""
    height, width = frame.rgb.shape[:2]
    return FieldResult(frame.number, frame.name, frame.taken, width, height, (), reason, detail)


def _refused(
    index: int, cell: Cell, reason: Reason, detail: str, distance: float | None
) -> CellResult:
    return CellResult(
        index, cell.box, outline(cell), None, None, reason, detail, stain_distance=distance
    )


def _name(frame: Frame) -> str:
    return frame.name or f"frame {frame.number}"


class _Clock:
    """Nanoseconds of one step after the other."""

    def __init__(self) -> None:
        self.spans = dict[str, int]()
        self._at = time.monotonic_ns()

    def lap(self, name: str) -> None:
        now = time.monotonic_ns()
        self.spans[name], self._at = now - self._at, now
