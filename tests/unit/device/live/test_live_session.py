"""Reader, queue, worker, store: what becomes of every frame, whatever happens."""

from datetime import timedelta

import numpy as np
import pytest
from live_support import Gate, accounted, settle
from scripted_camera import ScriptedCamera, wait_until

from allnet_edge.device.fields.results import Reason
from allnet_edge.errors import (
    ImageError,
    UsageError,
)


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
