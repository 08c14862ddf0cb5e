"""Processes that train together find each other, or say who is missing; and hear who has ended."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from training_support import free_port

from allnet_edge.errors import EnvironmentMismatch, UsageError
from allnet_edge.spec.training import Hosts
from allnet_edge.training import meeting
from allnet_edge.training.meeting import Meeting, meet

SOON = 30.0  # seconds that a test may take on a busy machine


class EngineError(RuntimeError):
    """What an engine raises."""


Come = Callable[..., "Future[Meeting]"]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def come(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Come]:
    """``come(1, of=2)``: process 1 of two comes, in a thread."""
    monkeypatch.setattr(meeting, "_GRACE_SECONDS", 0.3)
    with ThreadPoolExecutor(8) as pool, ExitStack() as left:

        def one(process: int, of: int = 2, patience: float = SOON) -> "Future[Meeting]":
            hosts = Hosts(coordinator=f"127.0.0.1:{port}", processes=of, process=process)
            future = pool.submit(meet, hosts, patience)
            left.callback(lambda: future.exception() or future.result().leave(RuntimeError()))
            return future

        yield one


def both(come: Come) -> tuple[Meeting, Meeting]:
    first, second = come(0), come(1)
    return first.result(SOON), second.result(SOON)


def eventually(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + SOON
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)], ids=["0 first", "0 last"])
def test_all_learn_where_the_engines_meet(come, port, order):
    came = [come(number, of=3) for number in order]
    ports = {one.result(SOON).engine_port for one in came}
    assert len(ports) == 1
    assert port not in ports


def test_process_0_is_the_last_to_leave(come):
    with ThreadPoolExecutor(1) as pool:
        first, second = both(come)
        leaving = pool.submit(first.leave, None)
        with pytest.raises(TimeoutError):
            leaving.result(0.3)
        with second.shared_step(EngineError):
            pass  # though process 0 is done, nobody is lost
        second.leave(None)
        leaving.result(SOON)


def test_process_0_outlives_one_that_failed(come, port, monkeypatch):
    monkeypatch.setattr(meeting, "_GRACE_SECONDS", SOON)
    first = come(0)
    came: list[socket.socket] = []

    def arrive() -> bool:
        with contextlib.suppress(OSError):
            came.append(socket.create_connection(("127.0.0.1", port)))
        return bool(came)

    assert eventually(arrive)
    with ThreadPoolExecutor(1) as pool, came[0] as second:
        second.sendall(b'{"process": 1, "processes": 2}\n')
        assert b"engine_port" in second.recv(100)
        second.sendall(b'{"ended": "an image is broken"}\n')
        leaving = pool.submit(first.result(SOON).leave, RuntimeError())
        with pytest.raises(TimeoutError):
            leaving.result(0.3)  # its engine is still there
        second.close()
        leaving.result(SOON)


class TestNobodyComes:
    def test_those_who_did_not_are_named(self, come):
        first, second = come(0, of=4, patience=1.0), come(2, of=4)
        with pytest.raises(EnvironmentMismatch, match="process 1, 3 did not come") as caught:
            first.result(SOON)
        assert caught.value.exit_code == 3
        with pytest.raises(EnvironmentMismatch, match="process 0 left before all were there"):
            second.result(SOON)

    def test_no_process_0(self, come, port):
        with pytest.raises(EnvironmentMismatch, match="process 0: Connection refused") as caught:
            come(1, patience=0.5).result(SOON)
        assert caught.value.where == f"127.0.0.1:{port}"
        assert "--coordinator HOST:PORT" in caught.value.fix

    def test_a_port_that_is_taken(self, come, port):
        with socket.create_server(("", port)), pytest.raises(EnvironmentMismatch, match="in use"):
            come(0).result(SOON)


class TestWhoDoesNotFit:
    def test_two_of_one_number(self, come):
        first = come(0, of=3)
        come(1, of=3)
        time.sleep(0.3)
        with pytest.raises(UsageError, match="there is a process 1 already") as caught:
            come(1, of=3).result(SOON)
        assert caught.value.exit_code == 2
        come(2, of=3).result(SOON)
        first.result(SOON)

    def test_another_number_of_processes(self, come):
        first = come(0, of=2)
        with pytest.raises(UsageError, match="process 0 was started with --processes 2"):
            come(1, of=3).result(SOON)
        come(1, of=2).result(SOON)
        first.result(SOON)

    @pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"", b"[1]\n", b"\xff" * 9000])
    def test_strangers_are_passed_over(self, come, port, said):
        first = come(0)

        def visit() -> bool:
            with socket.socket() as stranger:
                if stranger.connect_ex(("127.0.0.1", port)):
                    return False
                stranger.sendall(said)
                return True

        assert eventually(visit)
        come(1).result(SOON)
        first.result(SOON)


class TestAnEndOfAnother:
    def test_its_reason_is_told_by_the_step_that_fails(self, come):
        first, second = both(come)
        second.leave(ValueError("an image is broken\nand more lines"))
        with (
            pytest.raises(
                EnvironmentMismatch, match="process 1 has ended: an image is broken\n"
            ) as caught,
            first.shared_step(EngineError),
        ):
            raise EngineError("connection reset")
        assert "--resume" in caught.value.fix

    def test_no_step_begins_after_it(self, come):
        first, second = both(come)
        first.leave(KeyboardInterrupt())
        assert eventually(lambda: second._lost is not None)
        with (
            pytest.raises(EnvironmentMismatch, match="process 0 has ended: KeyboardInterrupt"),
            second.shared_step(EngineError),
        ):
            pytest.fail("a step that cannot end")

    def test_every_other_process_hears_of_it(self, come):
        came = [come(number, of=3) for number in range(3)]
        first, second, third = (one.result(SOON) for one in came)
        third.leave(ValueError("no memory"))
        with pytest.raises(EnvironmentMismatch) as caught, first.shared_step(EngineError):
            raise EngineError
        first_leaves = threading.Thread(target=first.leave, args=[caught.value])
        first_leaves.start()
        with (
            pytest.raises(EnvironmentMismatch, match="process 2 has ended: no memory"),
            second.shared_step(EngineError),
        ):
            raise EngineError
        second.leave(RuntimeError())
        first_leaves.join(SOON)

    def test_a_step_that_fails_by_itself_says_why(self, come):
        first, _ = both(come)
        with (
            pytest.raises(EnvironmentMismatch, match="cannot go on together: out of memory"),
            first.shared_step(EngineError),
        ):
            raise EngineError("out of memory\npages")

    def test_errors_that_are_not_the_engines_come_out_as_they_are(self, come):
        first, _ = both(come)
        with pytest.raises(UsageError, match="ours"), first.shared_step(EngineError):
            raise UsageError("ours")

    def test_a_process_that_waits_in_a_step_for_ever_ends_with_the_message(self, come, port):
        script = (
            "import time; from allnet_edge.training import meeting as m\n"
            "from allnet_edge.spec.training import Hosts\n"
            "m._GRACE_SECONDS = 0.3\n"
            f"hosts = Hosts(coordinator='127.0.0.1:{port}', processes=2, process=0)\n"
            "with m.meet(hosts).shared_step(ValueError):\n"
            "    print('begun', flush=True)\n"
            f"    time.sleep({SOON})\n"
        )
        command, pipe = [sys.executable, "-c", script], subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe) as waiting:
            other = come(1).result(SOON)
            assert waiting.stdout.readline() == b"begun\n"
            other.leave(ValueError("an image is broken"))
            _, said = waiting.communicate(timeout=SOON)
        assert waiting.returncode == 3, said
        assert b"error: the processes cannot go on together: process 1 has ended: an im" in said
