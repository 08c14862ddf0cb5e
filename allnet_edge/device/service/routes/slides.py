"""Slides: start, end, list, sum up, export."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from allnet_edge.device.service import facts, wire
from allnet_edge.device.service.desk import Desk
from allnet_edge.device.service.problems import gives, responses
from allnet_edge.device.store.export import csv_chunks, json_chunks

_WORK = responses(
    HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
)
_CHANGE = _WORK | responses(
    HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.INSUFFICIENT_STORAGE
)


def router(desk: Desk) -> APIRouter:
    """The routes for one desk."""
    routes = APIRouter(prefix="/slides", tags=["slides"])

    @routes.get("", responses=_WORK)
    def slides(
        limit: Annotated[int, Query(ge=1, le=200)] = 50, before: wire.Key | None = None
    ) -> wire.SlidePage:
        """Slides of the store, the newest first."""
        found = desk.bench.store.slides(limit + 1, before=before)
        return wire.SlidePage(
            items=[facts.slide_out(one) for one in found[:limit]],
            next=found[limit - 1].id if len(found) > limit else None,
        )

    @routes.post("", status_code=HTTPStatus.CREATED, responses=_CHANGE)
    def start(new: wire.NewSlideIn) -> wire.SlideOut:
        """Start a slide; from now on fields belong to it."""
        bench = desk.bench
        slide = bench.store.slide(bench.start_slide(new.name))
        desk.changed()
        return facts.slide_out(slide)

    @routes.get("/{slide}", response_model=wire.SlideOut, responses=_WORK)
    async def one(slide: wire.Key) -> Response:
        """One slide."""
        return await desk.answers.give(
            ("slide", slide), lambda: facts.slide_out(desk.bench.store.slide(slide))
        )

    @routes.post("/{slide}/end", responses=_CHANGE)
    def end(slide: wire.Key) -> wire.SlideOut:
        """End the open slide; every field that was taken on is stored first."""
        bench = desk.bench
        bench.end_slide(slide)
        desk.changed()
        return facts.slide_out(bench.store.slide(slide))

    @routes.get("/{slide}/summary", response_model=wire.SummaryOut, responses=_WORK)
    async def summary(slide: wire.Key) -> Response:
        """The slide in figures: by the model alone, and with the operator's corrections."""
        bench = desk.bench
        return await desk.answers.give(
            ("summary", slide), lambda: facts.summary_out(bench, bench.store.slide(slide))
        )

    @routes.get("/{slide}/cells", response_model=wire.CellPage, responses=_WORK)
    async def cells(
        slide: wire.Key,
        order: Literal["suspicion", "time"] = "suspicion",
        limit: Annotated[int, Query(ge=1, le=1000)] = 60,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    ) -> Response:
        """Cells of a slide, by default the most suspicious first."""
        bench = desk.bench

        def page() -> wire.CellPage:
            known = bench.store.slide(slide)
            found = bench.store.cells(slide, order, limit, offset)
            positive = known.facts.positive
            return wire.CellPage(
                items=[
                    facts.cell_out(one, positive, picture=bench.has_picture(one)) for one in found
                ],
                total=known.cells,
            )

        return await desk.answers.give(("cells", slide, order, limit, offset), page)

    def exported(slide: int, form: str, chunks: Iterator[str], media_type: str) -> Response:
        return StreamingResponse(
            chunks,
            media_type=media_type,
            headers={"Content-Disposition": f'attachment; filename="slide-{slide}.{form}"'},
        )

    @routes.get(
        "/{slide}/export.csv",
        response_class=Response,
        responses=gives("text/csv") | _WORK,
    )
    def export_csv(slide: wire.Key) -> Response:
        """Every cell of a slide as a row."""
        return exported(
            slide, "csv", csv_chunks(desk.bench.store, slide), "text/csv; charset=utf-8"
        )

    @routes.get(
        "/{slide}/export.json",
        response_class=Response,
        responses=gives("application/json") | _WORK,
    )
    def export_json(slide: wire.Key) -> Response:
        """A slide whole: what it was started with, fields, cells, corrections."""
        return exported(slide, "json", json_chunks(desk.bench.store, slide), "application/json")

    return routes
