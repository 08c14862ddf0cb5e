"""Reader, queue, worker, store: what becomes of every frame, whatever happens."""

import sqlite3
import threading
from contextlib import closing
from datetime import timedelta

import numpy as np
import pytest
from device_models import cell_images
from scripted_camera import ScriptedCamera, wait_until

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.golden import Golden
from allnet_edge.device.cameras.reconnect import Backoff, Reconnecting
from allnet_edge.device.fields.assess import FieldAssessor
from allnet_edge.device.fields.results import FieldResult, Reason
from allnet_edge.device.live.session import Live
from allnet_edge.device.session import Session
from allnet_edge.device.store.store import Store
from allnet_edge.errors import (
    CameraError,
    ImageError,
    IntegrityError,
    StorageError,
    UsageError,
)


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


class TestASlide:
    def test_of_a_source_that_ends_every_picture_is_a_stored_field(self, start, fields, store):
        camera = ScriptedCamera(fields, finite=True, kind="folder")
        live = start(camera, store=store)
        slide = live.start_slide("smear 7")
        wait_until(lambda: live.status().state == "finished")
        stored = store.slide(slide)
        assert (stored.fields, stored.cells) == (6, live.status().cells)
        assert stored.cells > 6
        assert stored.facts.name == "smear 7"
        live.end_slide()
        assert store.slide(slide).state == "ended"
        assert live.summary().fields == 6
        assert live.status().counters.captured == live.status().counters.assessed == 6
        assert accounted(live)

    def test_results_do_not_depend_on_threads_or_queue(self, start, assessor, fields):
        live = start(ScriptedCamera(fields, finite=True, kind="folder"), queue=1)
        with live.subscribe(100) as events:
            live.start_slide()
            wait_until(lambda: live.status().state == "finished")
            told = [event.result for event in iter(lambda: events.get(0), None) if event.result]
        frames = ScriptedCamera(fields, finite=True)
        alone = [assessor.assess(frames.read(1)) for _ in fields]
        assert [[c.probability for c in one.cells] for one in told] == [
            [c.probability for c in one.cells] for one in alone
        ]

    def test_before_and_after_a_slide_frames_are_only_shown(self, start, fields):
        camera = ScriptedCamera(fields[:2])
        live = start(camera, capture="every")
        settle(live, camera)
        assert live.status().state in {"idle", "camera lost"}
        live.start_slide()
        camera.give(fields[2])
        settle(live, camera)
        live.end_slide()
        camera.give(fields[3])
        wait_until(lambda: live.status().counters.read == 4)
        counters = live.status().counters
        assert (counters.passed, counters.assessed) == (3, 1)
        assert np.array_equal(live.view().rgb, fields[3])

    def test_one_slide_at_a_time(self, start, fields):
        live = start(ScriptedCamera(fields))
        live.start_slide()
        with pytest.raises(UsageError, match="a slide is open"):
            live.start_slide()
        live.end_slide()
        with pytest.raises(UsageError, match="no slide is open"):
            live.end_slide()

    def test_ids_of_cells_lead_to_what_the_network_was_shown(self, start, fields, store):
        live = start(ScriptedCamera(fields, finite=True, kind="folder"), store=store)
        with live.subscribe(100) as events:
            slide = live.start_slide()
            wait_until(lambda: live.status().state == "finished")
            fields_told = [e for e in iter(lambda: events.get(0), None) if e.kind == "field"]
        ids = [identifier for event in fields_told for identifier in event.cells]
        assert ids == [cell.id for cell in store.cells(slide, order="time", limit=1000)]
        shown = [live.picture(identifier) for identifier in ids]
        judged = [cell.label is not None for e in fields_told for cell in e.result.cells]
        assert [picture is not None for picture in shown] == judged
        assert {picture.shape for picture in shown if picture is not None} == {(32, 32, 3)}
        live.end_slide()

    @pytest.mark.parametrize("keep", [False, True])
    def test_pictures_are_stored_only_if_asked_for(self, keep, start, fields, store):
        camera = ScriptedCamera(fields, finite=True, kind="folder")
        live = start(camera, store=store, keep_pictures=keep)
        slide = live.start_slide()
        wait_until(lambda: live.status().state == "finished")
        judged = [cell for cell in store.cells(slide, limit=1000) if cell.label]
        assert judged
        assert {store.cell_picture(cell.id) is not None for cell in judged} == {keep}
        field = store.fields(slide)[0].id
        assert (store.field_picture(field) is not None) is keep

    def test_it_ends_after_as_many_fields_as_were_settled(self, start, fields):
        live = start(ScriptedCamera(fields, finite=True, kind="folder"), most_fields=2)
        live.start_slide()
        wait_until(lambda: live.status().state == "finished")
        counters = live.status().counters
        assert live.status().fields == counters.assessed == counters.read == 2
        live.end_slide()


class TestCapture:
    def test_auto_takes_a_new_field_that_stands_still_once(self, start, fields):
        camera = ScriptedCamera()
        live = start(camera)
        live.start_slide()
        rng = np.random.default_rng(5)
        for field in fields[:3]:
            for _ in range(4):
                noisy = field.astype(int) + rng.normal(0, 2, field.shape)
                camera.give(np.clip(noisy, 0, 255).astype(np.uint8))
        settle(live, camera)
        wait_until(lambda: live.status().counters.read == 12)
        counters = live.status().counters
        assert (counters.captured, counters.moving, counters.repeated) == (3, 3, 6)
        assert accounted(live)

    def test_manual_takes_what_is_asked_for(self, start, fields):
        camera = ScriptedCamera()
        live = start(camera, capture="manual")
        with pytest.raises(UsageError, match="no slide"):
            live.capture()
        live.start_slide()
        camera.give(*fields[:2])
        settle(live, camera)
        assert live.status().counters.captured == 0
        live.capture()
        camera.give(fields[2], fields[3])
        wait_until(lambda: live.status().counters.assessed == 1)
        assert np.array_equal(live.latest()[0].rgb, fields[2])

    def test_only_manual_can_be_asked(self, start, fields):
        live = start(ScriptedCamera(fields), capture="every")
        live.start_slide()
        with pytest.raises(UsageError, match="by themselves"):
            live.capture()


class TestAWorkerThatIsTooSlow:
    def test_of_a_live_camera_the_oldest_waiting_field_is_dropped_and_counted(
        self, start, assessor, fields, monkeypatch
    ):
        gate, camera = Gate(assessor, monkeypatch), ScriptedCamera()
        live = start(camera, capture="every", queue=2)
        live.start_slide()
        camera.give(fields[0])
        assert gate.entered.wait(20)
        camera.give(*fields[1:])
        wait_until(lambda: live.status().counters.read == 6)
        counters = live.status().counters
        assert (counters.captured, counters.waiting, counters.dropped) == (1, 2, 3)
        assert accounted(live)
        gate.open.set()
        settle(live, camera)
        assert live.status().counters.assessed == 3
        assert np.array_equal(live.latest()[0].rgb, fields[5])

    def test_a_source_that_ends_waits(self, start, assessor, fields, monkeypatch):
        gate = Gate(assessor, monkeypatch)
        live = start(ScriptedCamera(fields, finite=True, kind="folder"), queue=2)
        live.start_slide()
        assert gate.entered.wait(20)
        wait_until(lambda: live.status().counters.waiting == 2)
        gate.open.set()
        wait_until(lambda: live.status().state == "finished")
        assert live.status().counters.assessed == 6
        assert live.status().counters.dropped == 0

    def test_frames_that_the_camera_lost_are_counted(self, start, fields):
        camera = ScriptedCamera()
        live = start(camera, capture="every")
        live.start_slide()
        camera.give(*fields[:1])
        wait_until(lambda: live.status().counters.read == 1)
        camera.skip = 3
        camera.give(fields[1])
        wait_until(lambda: live.status().counters.read == 2)
        assert live.status().counters.missed == 3


class TestBadFrames:
    def test_of_a_live_camera_they_are_counted(self, start, fields):
        camera = ScriptedCamera()
        live = start(camera, capture="every")
        live.start_slide()
        camera.give(*[ImageError("damaged"), np.zeros_like(fields[0]), fields[0]])
        camera.give(np.full_like(fields[0], 255), fields[1][:120], fields[1])
        wait_until(lambda: live.status().counters.read == 6)
        settle(live, camera)
        counters = live.status().counters
        assert counters.damaged == 1
        assert counters.refused >= 2
        assert counters.refused + counters.assessed + counters.passed == 5
        assert accounted(live)

    def test_of_files_they_are_stored_with_their_reason(self, start, fields, store):
        script = [
            fields[0], ImageError("zero-byte file", where="x/broken.png"),
            np.zeros_like(fields[0]), fields[1],
        ]  # fmt: skip
        live = start(ScriptedCamera(script, finite=True, kind="folder"), store=store)
        slide = live.start_slide()
        wait_until(lambda: live.status().state == "finished")
        told = [(one.reason, one.name) for one in store.fields(slide)]
        assert told == [
            (None, ""),
            (Reason.damaged, "broken.png"),
            (Reason.dark, ""),
            (None, ""),
        ]
        live.end_slide()
        counters = live.status().counters
        assert (counters.assessed, counters.damaged, counters.refused) == (2, 1, 1)
        assert live.summary().refused == {Reason.damaged: 1, Reason.dark: 1}

    def test_a_clock_that_is_set_back_is_logged_and_breaks_no_order(self, start, fields, store):
        camera = ScriptedCamera()
        live = start(camera, store=store, capture="every")
        slide = live.start_slide()
        camera.give(*fields[:2])
        wait_until(lambda: live.status().counters.read == 2)
        camera.back_by = timedelta(hours=1)
        camera.give(*fields[2:4])
        wait_until(lambda: live.status().counters.assessed == 4)
        live.end_slide()
        assert [one.number for one in store.fields(slide)] == [0, 1, 2, 3]
        wait_until(lambda: "clock set back" in {one.kind for one in store.log_entries()})


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
