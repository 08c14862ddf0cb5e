"""The page itself, its files, and the login; no part of the documented interface."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from allnet_edge.device.service.desk import Desk
from allnet_edge.device.service.guard import LOGIN
from allnet_edge.device.service.problems import Refusal
from allnet_edge.device.service.static import LOGIN as LOGIN_PAGE
from allnet_edge.device.service.static import PAGE, SERVED, PageFile, page_files
from allnet_edge.device.service.token import COOKIE, COOKIE_SECONDS, Gatekeeper

_REFUSED = b'<p class="refused" role="alert">This is not the token.</p>'
_PLACE = b"<!--refused-->"


def router(desk: Desk) -> APIRouter:
    """The routes for one desk."""
    routes = APIRouter(include_in_schema=False)
    held = page_files()
    token = desk.settings.token
    keeper = None if token is None else Gatekeeper(token)

    @routes.get("/")
    async def index(request: Request) -> Response:
        return _answer(held[PAGE], request.headers)

    @routes.get("/static/{name}")
    async def static(name: str, request: Request) -> Response:
        if name not in SERVED:
            raise Refusal(HTTPStatus.NOT_FOUND, "the page has no such file")
        return _answer(held[name], request.headers)

    @routes.get(LOGIN)
    async def login_form() -> Response:
        return Response(held[LOGIN_PAGE].data, media_type=held[LOGIN_PAGE].media_type)

    @routes.post(LOGIN)
    async def login(request: Request) -> Response:
        offered = parse_qs((await request.body()).decode("utf-8", "replace")).get("token", [""])[0]
        if keeper is None or not keeper.knows(offered.strip()):
            refused = held[LOGIN_PAGE].data.replace(_PLACE, _REFUSED)
            return Response(refused, HTTPStatus.UNAUTHORIZED, media_type="text/html; charset=utf-8")
        answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            COOKIE, keeper.cookie(), max_age=COOKIE_SECONDS, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    @routes.post("/logout")
    async def logout() -> Response:
        answer = RedirectResponse(LOGIN, HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return routes


def _answer(file: PageFile, headers: Mapping[str, str]) -> Response:
    known = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if headers.get("if-none-match") == file.etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=known)
    return Response(file.data, media_type=file.media_type, headers=known)
