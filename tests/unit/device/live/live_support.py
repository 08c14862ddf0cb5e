"""What the tests of a live session wait for."""

import threading

import pytest
from scripted_camera import ScriptedCamera, wait_until

from allnet_edge.device.fields.assess import FieldAssessor
from allnet_edge.device.fields.results import FieldResult
from allnet_edge.device.live.session import Live


class Gate:
    """Holds the worker up until it is opened."""

    def __init__(self, assessor: FieldAssessor, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.entered = threading.Event(), threading.Event()
        assess = assessor.assess

        def wait(frame: object) -> FieldResult:
            self.entered.set()
            assert self.open.wait(20)
            return assess(frame)

        monkeypatch.setattr(assessor, "assess", wait)


def accounted(live: Live) -> bool:
    counters = live.status().counters
    return counters.read == counters.accounted


def settle(live: Live, camera: ScriptedCamera) -> None:
    """Until everything that the camera has was read and assessed."""

    def quiet() -> bool:
        counters = live.status().counters
        read = camera.given and counters.read == camera.delivered
        return read and not counters.waiting and counters.captured == counters.assessed

    wait_until(quiet)
