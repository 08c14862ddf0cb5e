"""What a server is started with, and the limits that protect it."""

import ipaddress
from dataclasses import dataclass, field

from allnet_edge.errors import UsageError

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of the server; more is refused in words, never served badly.

    Attributes:
        body_bytes: Of any request but an upload.
        upload_bytes: Of one uploaded field, as a file.
        upload_pixels: Of one uploaded field; 24 million are 6000 x 4000.
        uploads: In work or waiting at the same time; one more is told to come back.
        body_seconds: Until the whole body of a request has arrived.
        readers: Of live events at the same time.
        reader_events: That wait for one reader; the oldest is dropped beyond.
        reader_seconds: A reader that takes nothing for so long is let go.
    """

    body_bytes: int = 64 * 1024
    upload_bytes: int = 32 * 1024 * 1024
    upload_pixels: int = 24_000_000
    uploads: int = 4
    body_seconds: float = 30.0
    readers: int = 128
    reader_events: int = 64
    reader_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Where the server listens and whom it lets in.

    Attributes:
        host: Address or name; a loopback one needs no token.
        port: 0 lets the system choose.
        token: What a client must know; None only on loopback.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not self.local and self.token is None:
            raise UsageError(
                f"{self.host} can be reached by other machines, and no token is asked of them",
                fix="give --token-file FILE, or listen on 127.0.0.1 alone",
            )

    @property
    def local(self) -> bool:
        """Whether only programs of this machine can reach it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address, or the name localhost, is of this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
