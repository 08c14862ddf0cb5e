"""The token of a server that other machines reach, and the cookie that stands for it."""

import hashlib
import hmac
import stat
import time
from pathlib import Path

from allnet_edge.errors import UsageError

MIN_LENGTH = 20
MAX_BYTES = 4096
COOKIE = "allnet-edge"
COOKIE_SECONDS = 12 * 3600
MAKE_ONE = (
    'make one: python3 -c "import secrets; print(secrets.token_urlsafe(32))" > FILE; chmod 600 FILE'
)


def read_token(path: Path) -> str:
    """The token in a file: its one line.

    Raises:
        UsageError: Absent, readable by everybody on this machine, too short, or no plain text.
    """
    try:
        mode = path.stat().st_mode
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"the token file cannot be read: {error.strerror}", where=path, fix=MAKE_ONE
        ) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise UsageError(
            "everybody on this machine can read or write the token file",
            where=path,
            fix=f"chmod 600 {path}, and put a new token into it",
        )
    try:
        token = raw.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise UsageError("the token is no plain ASCII", where=path, fix=MAKE_ONE) from error
    if not MIN_LENGTH <= len(token) <= MAX_BYTES - 1 or not token.isprintable() or " " in token:
        raise UsageError(
            f"the token must be one line of {MIN_LENGTH} characters or more, without spaces",
            where=path,
            fix=MAKE_ONE,
        )
    return token


class Gatekeeper:
    """Knows the token; every comparison takes the same time, whatever it is handed."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._key = hashlib.sha256(b"allnet-edge cookie:" + self._token).digest()

    def knows(self, offered: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(offered.encode("utf-8", "surrogateescape"), self._token)

    def cookie(self) -> str:
        """A new cookie: when it ends and a seal over that, so that it does not hold the token."""
        until = str(int(time.time()) + COOKIE_SECONDS)
        return f"{until}.{self._seal(until)}"

    def accepts(self, cookie: str) -> bool:
        """Whether this cookie is ours and still holds."""
        until, _, seal = cookie.partition(".")
        sealed = hmac.compare_digest(
            seal.encode("utf-8", "surrogateescape"), self._seal(until).encode()
        )
        return sealed and until.isdecimal() and int(until) > time.time()

    def _seal(self, until: str) -> str:
        return hmac.new(
            self._key, until.encode("utf-8", "surrogateescape"), hashlib.sha256
        ).hexdigest()
