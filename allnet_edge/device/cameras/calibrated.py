"""A camera with its profile: warns where the calibration does not hold for what it gives."""

from dataclasses import replace
from types import TracebackType

from allnet_edge.device.cameras.frame import Camera, CameraFacts, Frame
from allnet_edge.device.cameras.profile import CameraProfile
from allnet_edge.device.cameras.reconnect import Interruptible


class Calibrated:
    """The same camera, its facts completed by what its profile says.

    Args:
        camera: Any camera.
        profile: What its calibration was made for.
    """

    def __init__(self, camera: Camera, profile: CameraProfile) -> None:
        self._camera, self.profile = camera, profile

    @property
    def facts(self) -> CameraFacts:
        """Those of the camera, and a warning if its size is not the profile's."""
        facts = self._camera.facts
        misfit = self.profile.misfit(facts.width, facts.height)
        return replace(facts, warnings=(*facts.warnings, misfit)) if misfit else facts

    @property
    def finite(self) -> bool:
        """As of the camera."""
        return self._camera.finite

    def read(self, timeout_s: float) -> Frame | None:
        """As of the camera."""
        return self._camera.read(timeout_s)

    def interrupt(self) -> None:
        """As of the camera, where it can."""
        if isinstance(self._camera, Interruptible):
            self._camera.interrupt()

    def __enter__(self) -> "Calibrated":
        self._camera.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._camera.__exit__(kind, error, trace)
