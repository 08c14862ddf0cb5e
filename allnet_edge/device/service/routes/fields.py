"""Uploads: one field of view as an image file in the body of the request."""

from http import HTTPStatus
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Request

from allnet_edge.device.service import facts, wire
from allnet_edge.device.service.desk import Desk
from allnet_edge.device.service.problems import Refusal, busy, responses
from allnet_edge.device.service.uploads import MEDIA_TYPES, decoded
from allnet_edge.errors import UsageError

_REFUSED = responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.INSUFFICIENT_STORAGE,
)
_BODY = {
    "requestBody": {
        "required": True,
        "description": "One image file: one frame, 8 bits a channel.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES
        },
    }
}


def router(desk: Desk) -> APIRouter:
    """The routes for one desk."""
    routes = APIRouter(tags=["fields"])
    threads = anyio.CapacityLimiter(desk.settings.limits.uploads)

    @routes.post("/fields", status_code=HTTPStatus.CREATED, responses=_REFUSED, openapi_extra=_BODY)
    async def add(
        request: Request,
        name: Annotated[
            str, Query(max_length=120, description="What the sender calls it; no patient data.")
        ] = "",
    ) -> wire.FieldOut:
        """Find and assess the cells of one field, and add it to the open slide."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in MEDIA_TYPES:
            raise Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"{kind[:80] or 'no Content-Type'} is not taken",
                where="Content-Type",
                fix=f"one of {', '.join(MEDIA_TYPES)}",
            )
        with desk.places.one(busy("too many fields are sent at the same time")):
            data = await request.body()
            # Threads of their own: those of the other routes are few.
            return await anyio.to_thread.run_sync(_assessed, desk, data, name, limiter=threads)

    return routes


def _assessed(desk: Desk, data: bytes, name: str) -> wire.FieldOut:
    bench, most = desk.bench, desk.settings.limits.upload_pixels
    slide = bench.slide
    if slide is None:
        raise UsageError("no slide is open", fix="start one: POST /api/v1/slides")
    key, result, ids = bench.uploads.take(slide, decoded(data, most), name)
    positive = bench.session.bundle.manifest.positive
    field = facts.field_out(slide, key, result, ids, positive)
    desk.answers.changed()
    desk.tell_field(field)
    return field
