"""Runs the service: listens at once, opens the work meanwhile, ends in order."""

import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import anyio.to_thread
import uvicorn

from allnet_edge.device.service.app import guarded
from allnet_edge.device.service.desk import Desk
from allnet_edge.device.service.settings import ServiceSettings
from allnet_edge.device.service.workbench import WorkOptions
from allnet_edge.errors import UsageError

GRACE_SECONDS = 5
THREADS = 4
SWITCH_SECONDS = 0.0005
"""How long one thread may keep the others waiting for the interpreter; by default ten times that,
and then a hundred readers slow down the live loop, which needs it often and briefly."""


class OrderlyServer(uvicorn.Server):
    """Ends live events first, and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours stay until the slide is stored, so nothing is caught here."""
        yield

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Once: end in order. Twice: do not wait for clients."""
        self.force_exit = self.should_exit
        self.should_exit = True

    def end(self) -> None:
        """End in order; from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As the base, with few threads: each that waits for the interpreter delays the rest."""
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As the base, but live events end first: they never would by themselves."""
        self._ending()
        await super().shutdown(sockets)


def serve(
    options: WorkOptions, settings: ServiceSettings, listening: Callable[[str], None]
) -> bool:
    """Serve until a signal comes.

    Args:
        options: What to work with.
        settings: Where to listen.
        listening: Told the address when the server answers.

    Returns:
        Whether it ended in the middle of a slide.

    Raises:
        UsageError: The address is taken, or none of this machine.
        AllnetEdgeError: What kept the work from being opened, or ended it.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    before = sys.getswitchinterval()
    with bound(settings) as listener:
        desk, server = made(options, settings)
        with _signals(server.on_signal):
            sys.setswitchinterval(SWITCH_SECONDS)
            try:
                desk.start()
                listening(address(listener))
                server.run(sockets=[listener])
            finally:
                sys.setswitchinterval(before)
                interrupted = desk.close()
    if desk.error is not None:
        raise desk.error
    return interrupted


def made(options: WorkOptions, settings: ServiceSettings) -> tuple[Desk, "OrderlyServer"]:
    """A desk, and the server in front of it; neither is started."""
    desk = Desk(options, settings)
    config = uvicorn.Config(
        guarded(desk), log_config=None, access_log=False, server_header=False, lifespan="off",
        ws="none", proxy_headers=False, timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=30,
    )  # fmt: skip
    server = OrderlyServer(config, desk.hub.close)
    desk.when_failed(server.end)
    return desk, server


def bound(settings: ServiceSettings) -> socket.socket:
    """A socket that listens where the settings say.

    Raises:
        UsageError: The address is taken, or none of this machine.
    """
    host, port = settings.host, settings.port
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen(512)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        raise UsageError(
            f"cannot listen on {host} port {port}: {getattr(error, 'strerror', None) or error}",
            fix="choose another --port, or end the server that has it",
        ) from error
    return listener


def address(listener: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Hand SIGTERM and Ctrl-C to ``handler`` until the block ends."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)
