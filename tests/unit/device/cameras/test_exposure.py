"""What cameras say of their automatics, and what is made of it."""

from pathlib import Path

import pytest

from allnet_edge.device.cameras.exposure import (
    Automatic,
    from_listing,
    from_opencv,
    from_v4l2_ctl,
    of_pipeline,
)

# As v4l2-ctl 1.22 prints the controls of a UVC camera; the names are those since Linux 5.17.
AUTO = """
User Controls

                     brightness 0x00980900 (int)    : min=-64 max=64 step=1 default=0 value=0
        white_balance_automatic 0x0098090c (bool)   : default=1 value=1
                           gain 0x00980913 (int)    : min=0 max=100 step=1 default=0 value=0

Camera Controls

                  auto_exposure 0x009a0901 (menu)   : min=0 max=3 default=3 value=3 (Aperture Mode)
         exposure_time_absolute 0x009a0902 (int)    : min=1 max=5000 default=157 value=157
"""
MANUAL_BEFORE_5_17 = """
 white_balance_temperature_auto 0x0098090c (bool)   : default=1 value=0
                  exposure_auto 0x009a0901 (menu)   : min=0 max=3 default=3 value=1
"""


def test_a_listing_of_v4l2_ctl() -> None:
    assert from_listing(AUTO) == Automatic(exposure=True, white_balance=True)
    assert from_listing(MANUAL_BEFORE_5_17) == Automatic(exposure=False, white_balance=False)
    assert from_listing("autogain 0x00980912 (bool) : value=1").gain is True
    assert from_listing("") == from_listing("garbage") == Automatic()


@pytest.mark.parametrize(
    ("exposure", "white", "word"),
    [(0, 1, "auto"), (3, 0, "auto"), (1, 0, "manual"), (1, 1, "auto"), (1, -1, "manual"),
     (-1, -1, "unknown"), (-1, 1, "auto")],
)  # fmt: skip
def test_properties_of_opencv(exposure: float, white: float, word: str) -> None:
    assert from_opencv(exposure, white).word == word


def test_warnings_name_what_is_on_and_what_is_unknown() -> None:
    on = Automatic(exposure=True, white_balance=True).warnings("there")
    assert len(on) == 2
    assert on[0].startswith("Automatic exposure is on")
    assert on[1].startswith("Automatic white balance is on")
    assert all(text.endswith("there.") for text in on)
    assert Automatic(exposure=False, white_balance=False, gain=False).warnings("there") == ()
    (unknown,) = Automatic().warnings("there")
    assert unknown.startswith("It is unknown whether exposure is automatic")


def test_the_tool_itself(tmp_path: Path) -> None:
    listing = tmp_path / "listing"
    listing.write_text(AUTO)
    tool = tmp_path / "v4l2-ctl"
    tool.write_text(f'#!/bin/sh\ntest "$2" = /dev/video0 && cat {listing}\n')
    tool.chmod(0o755)
    assert from_v4l2_ctl("/dev/video0", str(tool)) == Automatic(exposure=True, white_balance=True)
    assert from_v4l2_ctl("/dev/video1", str(tool)) is None  # it fails
    assert from_v4l2_ctl("/dev/video0", str(tmp_path / "absent")) is None


@pytest.mark.parametrize(
    ("pipeline", "word"),
    [
        ("nvarguscamerasrc sensor-id=0 ! appsink", "auto"),
        ("nvarguscamerasrc aelock=true ! appsink", "auto"),  # white balance is not locked
        ("nvarguscamerasrc aelock=true awblock=true ! appsink", "manual"),
        ('nvarguscamerasrc exposuretimerange="1 1" wbmode=0 ! appsink', "manual"),
        ("libcamerasrc ! appsink", "auto"),
        ("libcamerasrc ae-enable=false awb-enable=false ! appsink", "manual"),
        ("v4l2src ! appsink", "unknown"),
    ],
)
def test_pipelines(pipeline: str, word: str) -> None:
    assert of_pipeline(pipeline).word == word
