"""Listeners: bounded, never waited for, told what they lost."""

import threading

from scripted_camera import wait_until

from allnet_edge.device.live.events import Event, Hub


def event(number: int) -> Event:
    return Event("field", None, number)


def test_each_listener_hears_everything_from_then_on():
    hub = Hub()
    first = hub.subscribe()
    hub.publish(event(1))
    second = hub.subscribe()
    hub.publish(event(2))
    assert [first.get(0).slide, first.get(0).slide, first.get(0)] == [1, 2, None]
    assert [second.get(0).slide, second.get(0)] == [2, None]


def test_a_slow_one_loses_the_oldest_and_is_told_how_many():
    hub = Hub()
    slow, quick = hub.subscribe(limit=3), hub.subscribe(limit=100)
    for number in range(10):
        hub.publish(event(number))
    assert [slow.get(0).slide for _ in range(3)] == [7, 8, 9]
    assert (slow.dropped, quick.dropped) == (7, 0)


def test_the_end_wakes_whoever_waits_and_leaves_what_was_told():
    hub, heard = Hub(), []
    listener = hub.subscribe()
    thread = threading.Thread(target=lambda: heard.extend(one.slide for one in listener))
    thread.start()
    hub.publish(event(1))
    hub.end()
    thread.join(10)
    assert not thread.is_alive()
    assert heard == [1]
    assert hub.subscribe().closed


def test_one_that_left_is_forgotten():
    hub = Hub()
    with hub.subscribe() as listener:
        pass
    hub.publish(event(1))
    assert listener.get(0) is None
    assert listener.closed


def test_a_hundred_at_once_do_not_hold_up_the_publisher():
    hub, heard = Hub(), []
    threads = [
        threading.Thread(target=lambda one=one: heard.append(sum(1 for _ in one)))
        for one in [hub.subscribe(limit=1000) for _ in range(100)]
    ]
    for thread in threads:
        thread.start()
    for number in range(200):
        hub.publish(event(number))
    hub.end()
    wait_until(lambda: len(heard) == 100)
    assert set(heard) == {200}
