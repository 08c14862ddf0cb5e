"""The live view: pictures, events, and the operator's wishes."""

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from allnet_edge.device.service import wire
from allnet_edge.device.service.desk import Desk
from allnet_edge.device.service.hub import EventStream
from allnet_edge.device.service.problems import gives, responses
from allnet_edge.errors import UsageError

_BUSY = responses(HTTPStatus.SERVICE_UNAVAILABLE)


def router(desk: Desk) -> APIRouter:
    """The routes for one desk."""
    routes = APIRouter(tags=["live"])

    @routes.get(
        "/live/frame.jpg",
        response_class=Response,
        responses=gives("image/jpeg")
        | {204: {"description": "There is no picture yet."}}
        | responses(HTTPStatus.UNPROCESSABLE_ENTITY)
        | _BUSY,
    )
    async def frame(picture: Literal["field", "camera"] = "field") -> Response:
        """The field assessed last, or the camera's newest picture; ``X-Picture`` names it."""
        shot = desk.bench.shot(picture)
        if shot is None:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        jpegs = desk.jpegs[picture]
        made = jpegs.known(shot)
        if made is None:
            made = await run_in_threadpool(jpegs.of, shot)
        return Response(made.data, media_type="image/jpeg", headers={"X-Picture": made.key})

    @routes.get(
        "/live/events",
        response_class=Response,
        responses=gives("text/event-stream") | _BUSY,
    )
    async def events() -> Response:
        """Server-sent: ``status``, ``field``, ``correction``; ``lost`` for a slow reader."""
        reader = desk.hub.join()
        try:
            first = await run_in_threadpool(desk.first_events)
        except BaseException:
            desk.hub.leave(reader)
            raise
        return EventStream(desk.hub, reader, first, desk.settings.limits.reader_seconds)

    @routes.post(
        "/capture",
        status_code=HTTPStatus.ACCEPTED,
        responses=responses(HTTPStatus.CONFLICT) | _BUSY,
    )
    def capture() -> wire.CapturedOut:
        """In manual capture: the next frame of the camera becomes a field."""
        live = desk.bench.live
        if live is None:
            raise UsageError("there is no camera", fix="send a field to /api/v1/fields")
        live.capture()
        return wire.CapturedOut()

    @routes.post("/go-on", responses=responses(HTTPStatus.CONFLICT) | _BUSY)
    def go_on() -> wire.StatusOut:
        """After the disk was full or failing: store again what could not be stored."""
        live = desk.bench.live
        if live is None:
            raise UsageError("there is no camera")
        live.go_on()
        desk.answers.changed()
        return desk.status()

    return routes
