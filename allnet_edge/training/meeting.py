"""The processes of several hosts meet before the engine joins them, and hear of each other's end.

JAX alone ends a process with an abort and a page of addresses when the others do not come, and a
step that a lost process takes no part in may wait for ever. Here one line of JSON goes each way
over one TCP connection from every process to process 0, which stays open as long as the run.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from allnet_edge.errors import AllnetEdgeError, EnvironmentMismatch, UsageError, first_line
from allnet_edge.spec.training import Hosts

# Long enough for somebody who starts the processes by hand on several machines.
PATIENCE_SECONDS = 120.0
# A step that fails because a process is lost says so by itself within this time; one that does not
# waits inside the engine, where nothing can interrupt it.
_GRACE_SECONDS = 5.0
_HELLO_SECONDS = 5.0
_AGAIN_SECONDS = 0.2
_LONGEST_LINE = 4096


class _Link:
    """One connection; what is said on it are lines of JSON."""

    def __init__(self, connected: socket.socket) -> None:
        # A machine that lost its power says nothing: ask whether it is there.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._socket = connected
        self._lines = connected.makefile("rb")

    def say(self, **told: object) -> None:
        with contextlib.suppress(OSError):  # whoever left hears nothing any more
            self._socket.sendall(json.dumps(told).encode() + b"\n")

    def hear(self, seconds: float | None = None) -> Mapping[str, object]:
        """The next line; empty at the end, or where somebody else speaks."""
        try:
            self._socket.settimeout(seconds)
            told = json.loads(self._lines.readline(_LONGEST_LINE))
            self._socket.settimeout(None)
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that listens
        self._lines.close()
        self._socket.close()


class Meeting:
    """The processes that have met; from `meet`.

    Attributes:
        engine_port: Where process 0 lets the engine's own coordinator listen.
    """

    def __init__(self, links: Mapping[int, _Link], engine_port: int) -> None:
        self.engine_port = engine_port
        self._links = links
        self._changed = threading.Condition()
        self._gone: set[int] = set()
        self._lost: str | None = None
        self._shared_step = self._left = False
        for number, link in links.items():
            listen = threading.Thread(target=self._listen, args=(number, link), daemon=True)
            listen.start()

    @contextmanager
    def shared_step(self, failures: type[Exception]) -> Iterator[None]:
        """Around work that needs every process.

        Args:
            failures: What the engine raises in such work.

        Raises:
            EnvironmentMismatch: A process is lost, or the engine failed. Where the engine does not
                come back from a step, this PROCESS ends with the same message and exit code.
        """
        if self._lost is not None:
            raise self._error(self._lost)
        self._shared_step = True
        try:
            yield
        except AllnetEdgeError:
            raise
        except Exception as error:
            with self._changed:  # the engine may know before we do
                self._changed.wait_for(lambda: self._lost is not None, _GRACE_SECONDS)
            if self._lost is None and not isinstance(error, failures):
                raise
            raise self._error(self._lost or first_line(error)) from error
        finally:
            self._shared_step = False

    def leave(self, failure: BaseException | None) -> None:
        """Say goodbye. Process 0 is the last to go, since the engines of the others need it."""
        with self._changed:
            self._left = failure is not None
            for link in self._links.values():
                if failure is None:
                    link.say(done=True)
                else:
                    link.say(ended=first_line(failure))
            if 0 not in self._links and failure is None:
                self._changed.wait_for(lambda: self._lost is not None or self._all_gone())
            elif 0 not in self._links:
                self._changed.wait_for(self._all_gone, 2 * _GRACE_SECONDS)
            self._left = True
        if 0 in self._links and failure is not None:
            # The end of this process closes it. Process 0 waits for that: were it gone before, the
            # engine would abort here on its way out.
            return
        for link in self._links.values():
            link.close()

    def _all_gone(self) -> bool:
        return len(self._gone) == len(self._links)

    def _listen(self, number: int, link: _Link) -> None:
        told = link.hear()
        with self._changed:
            if "done" not in told and not self._left:
                why = f": {told['ended']}" if "ended" in told else ""
                self._lost = f"process {number} has ended{why}"
                threading.Thread(target=self._end_if_stuck, args=(self._lost,), daemon=True).start()
            self._changed.notify_all()
        while told:  # it has said goodbye; gone it is when the connection closes
            told = link.hear()
        with self._changed:
            self._gone.add(number)
            self._changed.notify_all()

    def _end_if_stuck(self, lost: str) -> None:
        stuck = 0.0
        while not self._left and stuck < _GRACE_SECONDS:
            time.sleep(_AGAIN_SECONDS)
            stuck = stuck + _AGAIN_SECONDS if self._shared_step else 0.0
        if self._left:
            return
        sys.stderr.write(f"error: {self._error(lost)}\n")
        sys.stderr.flush()
        os._exit(EnvironmentMismatch.exit_code)

    def _error(self, why: str) -> EnvironmentMismatch:
        return EnvironmentMismatch(
            f"the processes cannot go on together: {why}",
            fix="see what the others said; then start all of them again with --resume",
        )


def meet(hosts: Hosts, patience: float = PATIENCE_SECONDS) -> Meeting:
    """Wait until all processes are there.

    Args:
        hosts: With its coordinator.
        patience: In seconds.

    Raises:
        EnvironmentMismatch: They did not come in time; says which, or what was the matter.
        UsageError: This process does not fit the others.
    """
    host, port = address(str(hosts.coordinator))
    end = time.monotonic() + patience
    if hosts.process == 0:
        return _receive(hosts, port, end)
    return _visit(hosts, host, port, end)


def address(coordinator: str) -> tuple[str, int]:
    """Of ``HOST:PORT``, which `Hosts` has checked."""
    host, _, port = coordinator.rpartition(":")
    return host.strip("[]"), int(port)


def _receive(hosts: Hosts, port: int, end: float) -> Meeting:
    links: dict[int, _Link] = {}
    expected = range(1, hosts.processes or 0)
    try:
        with _server(port) as server:
            while len(links) < len(expected):
                server.settimeout(max(0.001, end - time.monotonic()))
                link = _Link(server.accept()[0])
                _admit(link, links, hosts)
    except OSError as error:
        for link in links.values():
            link.close()
        missing = ", ".join(str(number) for number in expected if number not in links)
        what = f"process {missing} did not come" if _is_timeout(error) else error.strerror
        raise _not_met(hosts, str(what)) from error
    with _server(0) as free:
        engine_port = int(free.getsockname()[1])
    for link in links.values():
        link.say(engine_port=engine_port)
    return Meeting(links, engine_port)


def _admit(link: _Link, links: dict[int, _Link], hosts: Hosts) -> None:
    told = link.hear(_HELLO_SECONDS)
    number = told.get("process")
    if not isinstance(number, int):
        link.close()  # no process of ours
        return
    if told.get("processes") != hosts.processes:
        refused = f"process 0 was started with --processes {hosts.processes}"
    elif number in links:
        refused = f"there is a process {number} already"
    else:
        links[number] = link
        return
    link.say(refused=refused)
    link.close()


def _visit(hosts: Hosts, host: str, port: int, end: float) -> Meeting:
    while True:
        left = max(0.001, end - time.monotonic())
        try:
            connected = socket.create_connection((host, port), timeout=left)
            # Where nobody listens yet, a connection within one machine may meet its own end.
            if connected.getsockname() != connected.getpeername():
                break
            connected.close()
        except OSError as error:
            if time.monotonic() + _AGAIN_SECONDS >= end:
                why = "nobody answered" if _is_timeout(error) else error.strerror
                raise _not_met(hosts, f"process 0: {why}") from error
            time.sleep(_AGAIN_SECONDS)
    link = _Link(connected)
    link.say(process=hosts.process, processes=hosts.processes)
    # Process 0 gives up at its own time, and closes.
    told = link.hear()
    port_told = told.get("engine_port")
    if isinstance(port_told, int):
        return Meeting({0: link}, port_told)
    link.close()
    if "refused" in told:
        raise UsageError(
            f"this is --process {hosts.process} of --processes {hosts.processes}, but "
            f"{told['refused']}",
            where=hosts.coordinator,
            fix="give all processes the same --processes, and each a --process of its own",
        )
    raise _not_met(hosts, "process 0 left before all were there")


def _server(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _is_timeout(error: OSError) -> bool:
    return isinstance(error, TimeoutError) and error.errno is None


def _not_met(hosts: Hosts, why: str) -> EnvironmentMismatch:
    return EnvironmentMismatch(
        f"the processes did not find each other: {why}",
        where=hosts.coordinator,
        fix="start every process with the same --coordinator HOST:PORT and --processes, each with "
        "its own --process, HOST being where process 0 runs; or run under Slurm or MPI",
    )
