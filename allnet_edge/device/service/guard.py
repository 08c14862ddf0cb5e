"""What stands before every route: who may come in, how much they may send, what is sent along."""

import asyncio
import time
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from allnet_edge.device.service.live_first import LiveFirst
from allnet_edge.device.service.problems import Refusal
from allnet_edge.device.service.settings import LOCAL_NAMES, Limits, ServiceSettings
from allnet_edge.device.service.token import COOKIE, Gatekeeper

LOGIN = "/login"
UPLOAD = "/api/v1/fields"
OPEN_TO_ALL = frozenset({LOGIN, "/static/login.css", "/static/tokens.css"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
SAFE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it a form of our own page is sent with the origin "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware, outside of everything else.

    Args:
        app: What it guards.
        settings: Whom it lets in.
        first: What requests wait for.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, first: LiveFirst) -> None:
        self._app, self._settings, self._first = app, settings, first
        self._gatekeeper = None if settings.token is None else Gatekeeper(settings.token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no web sockets
        await self._first.wait()
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        if refused is not None:
            if scope["method"] not in READING:
                refused.headers["Connection"] = "close"  # so that no body is read for nothing
            await refused(scope, receive, _with_headers(send))
            return
        limit = _limit(scope, self._settings.limits)
        body = _Body(receive, limit, self._settings.limits.body_seconds)
        await self._app(scope, body, _with_headers(send))

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        for check in (self._host, self._origin, self._size, self._token):
            refused = check(scope, headers)
            if refused is not None:
                return refused.response() if isinstance(refused, Refusal) else refused
        return None

    def _host(self, _scope: Scope, headers: Headers) -> Refusal | None:
        """A page of another site whose name was bound to this machine has its own Host."""
        if not self._settings.local:
            return None  # there the token protects: a rebound name has no cookie of ours
        name = _hostname(headers.get("host", ""))
        if name in LOCAL_NAMES or name == self._settings.host.lower():
            return None
        return Refusal(
            HTTPStatus.MISDIRECTED_REQUEST,
            "this server answers to localhost alone",
            where="Host",
            fix="open http://127.0.0.1 with the server's port",
        )

    def _origin(self, scope: Scope, headers: Headers) -> Refusal | None:
        """What changes something must come from our own page, or from no page at all."""
        if scope["method"] in READING:
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        same = origin is None or _same_origin(origin, headers.get("host", ""), scope["scheme"])
        if same and site in {"same-origin", "none"}:
            return None
        return Refusal(
            HTTPStatus.FORBIDDEN,
            "this request comes from another site",
            where="Origin",
            fix="use the page that this server gives",
        )

    def _size(self, scope: Scope, headers: Headers) -> Refusal | None:
        said = headers.get("content-length")
        limit = _limit(scope, self._settings.limits)
        if said is None or (said.isascii() and said.isdecimal() and int(said) <= limit):
            return None
        return too_large(limit)

    def _token(self, scope: Scope, headers: Headers) -> Refusal | Response | None:
        keeper = self._gatekeeper
        if keeper is None or scope["path"] in OPEN_TO_ALL or _admitted(keeper, headers):
            return None
        if scope["path"] == "/" and scope["method"] == "GET":
            return RedirectResponse(LOGIN, HTTPStatus.SEE_OTHER)
        return Refusal(
            HTTPStatus.UNAUTHORIZED,
            "this server needs its token",
            fix="send 'Authorization: Bearer TOKEN', or log in at /login",
            headers={"WWW-Authenticate": 'Bearer realm="allnet-edge"'},
        )


def too_large(limit: int) -> Refusal:
    """The body has more bytes than are taken here."""
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {limit:,} bytes",
        where="body",
        fix="send a smaller image: one field of view, compressed",
        headers={"Connection": "close"},
    )


def _limit(scope: Scope, limits: Limits) -> int:
    return limits.upload_bytes if scope["path"] == UPLOAD else limits.body_bytes


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _same_origin(origin: str, host: str, scheme: str) -> bool:
    # Behind a proxy that speaks TLS the scheme differs and the host does not.
    return origin.lower() in {f"{scheme}://{host}".lower(), f"https://{host}".lower()}


def _admitted(keeper: Gatekeeper, headers: Headers) -> bool:
    kind, _, offered = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return keeper.knows(offered.strip())
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return False
    return cookie is not None and keeper.accepts(cookie.value)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SAFE_HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


class _Body:
    """Hands a body on while it counts and times it; afterwards only hands on."""

    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive = receive
        self._limit = limit
        self._until = time.monotonic() + seconds
        self._read = 0
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._until - time.monotonic())
        except asyncio.TimeoutError as error:
            raise Refusal(
                HTTPStatus.REQUEST_TIMEOUT,
                "the body of the request did not arrive in time",
                where="body",
                headers={"Connection": "close"},
            ) from error
        self._read += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._read > self._limit:
            raise too_large(self._limit)
        return message
