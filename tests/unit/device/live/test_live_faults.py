"""What goes wrong in mid-slide: a camera that leaves, a full disk, a changed bundle, an end."""

import sqlite3
import threading
from contextlib import closing

import numpy as np
import pytest
from device_models import cell_images
from live_support import Gate, accounted
from scripted_camera import ScriptedCamera, wait_until

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.golden import Golden
from allnet_edge.device.cameras.reconnect import Backoff, Reconnecting
from allnet_edge.device.fields.assess import FieldAssessor
from allnet_edge.device.fields.results import FieldResult
from allnet_edge.device.live.session import Live
from allnet_edge.device.session import Session
from allnet_edge.device.store.store import Store
from allnet_edge.errors import (
    CameraError,
    IntegrityError,
    StorageError,
    UsageError,
)


class TestACameraThatLeaves:
    def test_the_slide_goes_on_when_it_is_back(self, start, fields, store):
        camera = ScriptedCamera()
        live = start(camera, store=store, capture="every")
        slide = live.start_slide()
        camera.give(*fields[:2])
        wait_until(lambda: live.status().counters.assessed == 2)
        camera.give(CameraError("unplugged"))
        wait_until(lambda: live.status().state == "camera lost")
        camera.give(CameraError("still away"), fields[2])
        wait_until(lambda: live.status().counters.assessed == 3)
        live.end_slide()
        assert store.slide(slide).fields == 3
        wait_until(lambda: "camera lost" in {one.kind for one in store.log_entries()})

    def test_listeners_are_told(self, start, fields):
        camera = ScriptedCamera()
        live = start(camera, capture="every", frame_timeout_s=5.0)
        with live.subscribe() as events:
            live.start_slide()
            camera.give(*fields[:1])
            wait_until(lambda: live.status().counters.read == 1)
            camera.give(CameraError("unplugged"))
            wait_until(lambda: live.status().state == "camera lost")
            camera.give(fields[1])
            wait_until(lambda: live.status().counters.assessed == 2)
            told = [e.detail for e in iter(lambda: events.get(0.2), None) if e.kind == "state"]
        assert told == ["running", "camera lost", "running"]

    def test_a_reconnecting_one_is_opened_anew(self, start, fields):
        cameras = [
            ScriptedCamera([fields[0], CameraError("unplugged")]),
            ScriptedCamera(fields[1:3]),
        ]
        left = iter(cameras)
        camera = Reconnecting(lambda: next(left), backoff=Backoff(first_s=0.01))
        live = start(camera, capture="manual")
        wait_until(lambda: live.status().counters.read == 3)
        assert [one.left for one in cameras] == [1, 0]
        assert live.view().number == 2
        assert accounted(live)

    def test_an_absent_one_is_an_error_and_leaves_no_thread(self, assessor):
        class Absent(ScriptedCamera):
            def __enter__(self) -> "ScriptedCamera":
                raise CameraError("there is no such camera")

        before = threading.active_count()
        with pytest.raises(CameraError), Live(assessor, Absent()):
            pass
        assert threading.active_count() == before

    def test_leaving_does_not_wait_for_one_that_is_being_opened_anew(self, assessor):
        class Hanging(ScriptedCamera):
            waited, let_go, gave_up = threading.Event(), threading.Event(), False

            def read(self, *_: object) -> None:
                self.waited.set()
                self.gave_up = not self.let_go.wait(5)
                raise CameraError("still away")

            def interrupt(self) -> None:
                self.let_go.set()

        camera = Hanging()
        with Live(assessor, camera):
            assert camera.waited.wait(5)
        assert camera.left == 1
        assert not camera.gave_up


class TestAFullDisk:
    def test_the_work_stops_and_goes_on_with_the_same_field(self, start, fields, store):
        camera = ScriptedCamera()
        live = start(camera, store=store, capture="every", queue=8)
        slide = live.start_slide()
        camera.give(*fields[:1])
        wait_until(lambda: live.status().counters.assessed == 1)
        store.full = True
        camera.give(*fields[1:4])
        wait_until(lambda: live.status().state == "failed")
        wait_until(lambda: live.status().counters.read == 4)
        assert "disk is full" in live.status().error
        assert live.status().counters.assessed == 1
        assert np.array_equal(live.latest()[0].rgb, fields[0])
        with pytest.raises(StorageError):
            live.end_slide()
        store.full = False
        live.go_on()
        wait_until(lambda: live.status().counters.assessed == 4)
        live.end_slide()
        assert [one.number for one in store.fields(slide)] == [0, 1, 2, 3]
        assert store.slide(slide).state == "ended"

    def test_a_database_that_another_program_locks_likewise(self, start, fields, tmp_path):
        with Store.open(tmp_path / "locked", busy_s=0.05) as store:
            with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
                camera = ScriptedCamera()
                live = start(camera, store=store, capture="every")
                slide = live.start_slide()
                other.execute("BEGIN IMMEDIATE")
                camera.give(fields[0])
                wait_until(lambda: live.status().state == "failed")
                assert "locked" in live.status().error
                other.execute("ROLLBACK")
            live.go_on()
            wait_until(lambda: live.status().counters.assessed == 1)
            live.end_slide()
            assert store.slide(slide).fields == 1

    def test_leaving_while_it_is_full_ends(self, assessor, fields, store):
        camera = ScriptedCamera(fields, finite=True, kind="folder")
        with Live(assessor, camera, store=store) as live:
            live.start_slide()
            store.full = True
            wait_until(lambda: live.status().state == "failed")
        assert camera.left == 1
        assert accounted(live)

    def test_there_is_nothing_to_go_on_with_otherwise(self, start):
        with pytest.raises(UsageError, match="nothing"):
            start(ScriptedCamera()).go_on()


class TestTheBundle:
    def test_changed_while_running_nothing_more_is_decided(self, start, bundle, fields):
        camera = ScriptedCamera()
        live = start(camera, capture="every")
        live.start_slide()
        camera.give(*fields[:1])
        wait_until(lambda: live.status().counters.assessed == 1)
        path = bundle.path("threshold.json")
        path.write_bytes(path.read_bytes().replace(b"0.5", b"0.1"))
        camera.give(fields[1])
        wait_until(lambda: live.status().state == "failed")
        assert isinstance(live.error, IntegrityError)
        assert live.status().counters.assessed == 1
        with pytest.raises(UsageError, match="nothing to go on"):
            live.go_on()

    def test_a_file_that_was_only_touched_is_no_change(self, start, bundle, fields):
        camera = ScriptedCamera()
        live = start(camera, capture="every")
        live.start_slide()
        camera.give(*fields[:1])
        wait_until(lambda: live.status().counters.assessed == 1)
        bundle.path("threshold.json").touch()
        camera.give(fields[1])
        wait_until(lambda: live.status().counters.assessed == 2)

    def test_other_probabilities_than_at_the_build_begin_no_session(self, make_bundle):
        images = cell_images(4)
        wrong = {name: np.full(4, 0.123, np.float32) for name in
                 ("litert.int8", "litert.fp32", "onnx.fp32")}  # fmt: skip
        golden = Golden(images, wrong, dict.fromkeys(wrong, 1e-5))
        camera = ScriptedCamera()
        with (
            Session(Bundle.open(make_bundle(golden=golden)), threads=1) as session,
            pytest.raises(IntegrityError, match="golden"),
            Live(FieldAssessor(session), camera),
        ):
            pass
        assert camera.entered == 0


class TestTheEnd:
    def test_leaving_in_mid_slide_finishes_the_field_in_work(
        self, assessor, fields, monkeypatch, store
    ):
        gate = Gate(assessor, monkeypatch)
        camera = ScriptedCamera(fields, finite=True, kind="folder")
        before = threading.active_count()
        with Live(assessor, camera, store=store) as live:
            slide = live.start_slide()
            assert gate.entered.wait(20)
            wait_until(lambda: live.status().counters.waiting == 4)
            threading.Timer(0.2, gate.open.set).start()
        stored = store.slide(slide)
        assert (stored.state, stored.why, stored.fields) == ("ended", "interrupted", 1)
        counters = live.status().counters
        assert counters.assessed == counters.captured == 1
        assert counters.dropped >= 4
        assert accounted(live)
        assert camera.left == 1
        wait_until(lambda: threading.active_count() == before)

    def test_listeners_hear_of_the_end(self, assessor, fields):
        with Live(assessor, ScriptedCamera(fields)) as live:
            events = live.subscribe()
        assert list(events)[-1:] == [] or events.closed
        assert live.subscribe().closed

    def test_a_bug_in_the_worker_is_told_not_lost(self, start, assessor, fields, monkeypatch):
        def broken(frame: object) -> FieldResult:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(assessor, "assess", broken)
        live = start(ScriptedCamera(fields, finite=True, kind="folder"))
        live.start_slide()
        wait_until(lambda: live.status().state == "failed")
        assert isinstance(live.error, ZeroDivisionError)
        assert accounted(live)
