"""Whether a camera changes its exposure or its colours by itself."""

import re
import shutil
import subprocess
from dataclasses import dataclass

# The names of V4L2 controls: before Linux 5.17 and since.
_EXPOSURE = ("auto_exposure", "exposure_auto")
_WHITE = ("white_balance_automatic", "white_balance_temperature_auto")
_GAIN = ("gain_automatic", "autogain")
_LINE = re.compile(r"^\s*(\w+)\s+0x[0-9a-f]+\s+\(\w+\)\s*:.*?\bvalue=(-?\d+)", re.M)
MANUAL = 1  # V4L2_EXPOSURE_MANUAL; 0 automatic, 2 shutter priority, 3 aperture priority
SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Automatic:
    """What runs by itself; None where the camera does not say."""

    exposure: bool | None = None
    white_balance: bool | None = None
    gain: bool | None = None

    @property
    def word(self) -> str:
        """``auto`` if anything is known to; ``manual`` if exposure is known not to; ``unknown``."""
        if any((self.exposure, self.white_balance, self.gain)):
            return "auto"
        return "unknown" if self.exposure is None else "manual"

    def warnings(self, how: str) -> tuple[str, ...]:
        """What a person should set otherwise.

        Args:
            how: Where that is done, as the end of a sentence.
        """
        said = []
        for name, state in (
            ("exposure", self.exposure),
            ("white balance", self.white_balance),
            ("gain", self.gain),
        ):
            if state:
                said.append(
                    f"Automatic {name} is on: pictures of one slide will differ by themselves; "
                    f"switch it off {how}."
                )
        if self.exposure is None:
            said.append(
                "It is unknown whether exposure is automatic: the camera does not say; make sure "
                f"that exposure and white balance are fixed {how}."
            )
        return tuple(said)


def from_opencv(auto_exposure: float, auto_white_balance: float) -> Automatic:
    """What OpenCV's V4L2 properties mean; a negative value is a control that is not there.

    Args:
        auto_exposure: ``cv2.CAP_PROP_AUTO_EXPOSURE``, the raw V4L2 menu value.
        auto_white_balance: ``cv2.CAP_PROP_AUTO_WB``.
    """
    return Automatic(
        exposure=None if auto_exposure < 0 else round(auto_exposure) != MANUAL,
        white_balance=None if auto_white_balance < 0 else bool(round(auto_white_balance)),
    )


def from_listing(text: str) -> Automatic:
    """What ``v4l2-ctl --list-ctrls`` printed."""
    values = {name: int(value) for name, value in _LINE.findall(text)}

    def value(names: tuple[str, ...]) -> int | None:
        return next((values[name] for name in names if name in values), None)

    exposure, white, gain = value(_EXPOSURE), value(_WHITE), value(_GAIN)
    return Automatic(
        exposure=None if exposure is None else exposure != MANUAL,
        white_balance=None if white is None else bool(white),
        gain=None if gain is None else bool(gain),
    )


def from_v4l2_ctl(device: str, program: str = "v4l2-ctl") -> Automatic | None:
    """Ask ``v4l2-ctl``; None where it is not installed or does not answer.

    Args:
        device: Such as ``/dev/video0``.
        program: The tool's name or path.
    """
    found = shutil.which(program)
    if found is None:
        return None
    try:
        asked = subprocess.run(
            [found, "-d", device, "--list-ctrls"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return from_listing(asked.stdout)


def of_pipeline(pipeline: str) -> Automatic:
    """What a GStreamer pipeline with a CSI source asks for.

    ``nvarguscamerasrc`` and ``libcamerasrc`` expose automatically unless they are told not to.
    """
    text = pipeline.replace(" =", "=").replace("= ", "=").lower()
    if "nvarguscamerasrc" in text:
        return Automatic(
            exposure="aelock=true" not in text and "exposuretimerange=" not in text,
            white_balance="awblock=true" not in text and "wbmode=0" not in text,
        )
    if "libcamerasrc" in text:
        exposure = "ae-enable=false" in text or "exposure-time-mode=manual" in text
        return Automatic(exposure=not exposure, white_balance="awb-enable=false" not in text)
    return Automatic()
