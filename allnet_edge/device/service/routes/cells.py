"""Cells: one of them, its picture, and what the operator says about it."""

from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import Response

from allnet_edge.device.service import facts, wire
from allnet_edge.device.service.desk import Desk
from allnet_edge.device.service.pictures import png
from allnet_edge.device.service.problems import Refusal, gives, responses

_WORK = responses(
    HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
)


def router(desk: Desk) -> APIRouter:
    """The routes for one desk."""
    routes = APIRouter(prefix="/cells", tags=["cells"])

    def out(cell: int) -> wire.CellOut:
        bench = desk.bench
        known = bench.store.cell(cell)
        positive = bench.store.slide(known.slide).facts.positive
        return facts.cell_out(known, positive, picture=bench.has_picture(known))

    @routes.get("/{cell}", responses=_WORK)
    def one(cell: wire.Key) -> wire.CellOut:
        """One cell with the newest correction of it."""
        return out(cell)

    @routes.get(
        "/{cell}/picture",
        response_class=Response,
        responses=gives("image/png") | _WORK,
    )
    def picture(cell: wire.Key) -> Response:
        """What the network was shown of a cell."""
        bench = desk.bench
        bench.store.cell(cell)
        held = bench.held_picture(cell)
        kept = None if held is not None else bench.store.cell_picture(cell)
        if held is None and kept is None:
            raise Refusal(
                HTTPStatus.NOT_FOUND,
                f"there is no picture of cell {cell}: the network was not shown it, or it gave way "
                "to newer ones in memory",
                fix="start the server with --keep-images to keep all",
            )
        data, media = (png(held), "image/png") if held is not None else (b"", "")
        if kept is not None:
            data, media = kept.data, kept.media_type
        return Response(
            data, media_type=media, headers={"Cache-Control": "private, max-age=3600, immutable"}
        )

    @routes.post(
        "/{cell}/corrections",
        status_code=HTTPStatus.CREATED,
        responses=_WORK
        | responses(HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.INSUFFICIENT_STORAGE),
    )
    def correct(cell: wire.Key, said: wire.CorrectionIn) -> wire.CellOut:
        """Agree, disagree, or say that it is no cell; a newer word replaces an older one."""
        desk.bench.store.correct(cell, said.verdict, said.label)
        desk.answers.changed()
        changed = out(cell)
        desk.hub.publish("correction", {"slide": changed.slide, "cell": cell})
        return changed

    return routes
