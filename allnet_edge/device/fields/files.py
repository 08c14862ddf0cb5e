"""Image files as fields of view, one after the other."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic_ns

import numpy as np

from allnet_edge.data.images import decode
from allnet_edge.device.cameras.frame import Frame
from allnet_edge.device.cameras.health import FrameCheck
from allnet_edge.device.fields.assess import FieldAssessor, refused_field
from allnet_edge.device.fields.results import FieldResult, Reason
from allnet_edge.errors import ImageError


def assess_files(assessor: FieldAssessor, paths: Iterable[Path]) -> Iterator[FieldResult]:
    """Decide on the cells of each file; an unusable one is told with its reason, not raised.

    Args:
        assessor: Of an active session.
        paths: Image files of any size, in this order; ``FieldResult.name`` is the path as given.
    """
    check = FrameCheck(fixed_size=False)
    for number, path in enumerate(paths):
        taken = datetime.now(timezone.utc)
        try:
            rgb = np.asarray(decode(path), dtype=np.uint8)
        except ImageError as error:
            yield FieldResult(number, str(path), taken, 0, 0, (), Reason.damaged, error.what)
            continue
        frame = Frame(number, rgb, taken, monotonic_ns(), str(path))
        why = check.check(frame)
        yield assessor.assess(frame) if why is None else refused_field(frame, *why)
