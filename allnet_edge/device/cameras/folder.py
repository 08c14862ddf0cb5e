"""A folder of image files, or one image, as a recording."""

from pathlib import Path

import numpy as np

from allnet_edge.data.images import decode
from allnet_edge.device.cameras.frame import CameraFacts
from allnet_edge.device.session import image_files
from allnet_edge.errors import CameraError, ImageError
from allnet_edge.segmentation.cell import Field


class ImageFiles:
    """A ``Recording``: the images below a folder in the order of their names, or a single one.

    The list is made once, when it is opened. A file that vanished since or that is damaged is told
    as ``ImageError``, and the next one follows; a folder that vanished is a lost camera.

    Args:
        path: The folder or the image.
        facts: As of ``facts_of``.
    """

    def __init__(self, path: Path, facts: CameraFacts) -> None:
        self._path, self._facts = path, facts
        self._files: list[Path] = []
        self._at = 0

    def open(self) -> CameraFacts:
        """List the images.

        Raises:
            UsageError: The path does not exist, or holds no image.
        """
        self._files = image_files([self._path])
        self._at = 0
        return self._facts

    def next(self) -> tuple[Field, str] | None:
        """Decode the next image."""
        if self._at >= len(self._files):
            return None
        path = self._files[self._at]
        self._at += 1
        try:
            rgb = np.asarray(decode(path), dtype=np.uint8)
        except ImageError:
            if not self._path.exists():
                raise CameraError(
                    f"the folder vanished after {self._at - 1} of {len(self._files)} images",
                    where=self._path,
                    fix="mount or restore it, then start again",
                ) from None
            raise
        rgb.setflags(write=False)
        return rgb, self._name(path)

    def skip(self, count: int) -> int:
        """Pass over files without reading them."""
        passed = max(0, min(count, len(self._files) - 1 - self._at))
        self._at += passed
        return passed

    def close(self) -> None:
        """Nothing is held."""

    def _name(self, path: Path) -> str:
        return path.name if path == self._path else path.relative_to(self._path).as_posix()


def facts_of(shown: str, kind: str, rate_hz: float | None) -> CameraFacts:
    """What is known of recorded pictures before the first one is seen."""
    return CameraFacts(shown, kind, None, None, rate_hz, "unknown")
