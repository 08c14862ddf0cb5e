"""Requests wait while a field is in work, and never for long."""

import asyncio
import threading

from allnet_edge.device.service import live_first
from allnet_edge.device.service.live_first import LiveFirst


def test_nobody_waits_while_nothing_is_in_work():
    first = LiveFirst()

    async def ask() -> None:
        await asyncio.wait_for(first.wait(), 0.05)

    asyncio.run(ask())


def test_all_who_wait_go_on_when_the_field_is_done(monkeypatch):
    monkeypatch.setattr(live_first, "MOST_SECONDS", 60.0)
    first, order = LiveFirst(), []
    begun, end = threading.Event(), threading.Event()

    def work() -> None:
        with first.working(), first.working():
            begun.set()
            assert end.wait(20)
            order.append("field")

    async def ask() -> None:
        asking = [asyncio.create_task(first.wait()) for _ in range(100)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in asking)
        end.set()
        await asyncio.wait_for(asyncio.gather(*asking), 20)
        order.append("requests")

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(20)
    asyncio.run(ask())
    thread.join()
    assert order == ["field", "requests"]


def test_a_field_without_an_end_holds_nobody_for_ever(monkeypatch):
    monkeypatch.setattr(live_first, "MOST_SECONDS", 0.01)
    first = LiveFirst()

    async def ask() -> None:
        with first.working():
            await asyncio.wait_for(first.wait(), 20)

    asyncio.run(ask())


def test_a_field_that_fails_lets_go_as_well():
    first = LiveFirst()
    try:
        with first.working():
            raise ValueError
    except ValueError:
        pass

    async def ask() -> bool:
        return await asyncio.wait_for(first.wait(), 0.05) is None

    assert asyncio.run(ask())
