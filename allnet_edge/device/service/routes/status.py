"""How the server stands, and what it works with."""

from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import Response

from allnet_edge.device.service import facts, wire
from allnet_edge.device.service.desk import Desk
from allnet_edge.device.service.problems import responses


def router(desk: Desk) -> APIRouter:
    """The routes for one desk."""
    routes = APIRouter(tags=["status"])

    @routes.get("/status", response_model=wire.StatusOut)
    async def status() -> Response:
        """How everything stands; answers also while the server is starting."""
        return await desk.answers.give("status", desk.status)

    @routes.get(
        "/bundle",
        response_model=wire.BundleOut,
        responses=responses(HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def bundle() -> Response:
        """The bundle, the candidate in use, its gate verdict, and versions."""
        return await desk.answers.give("bundle", lambda: facts.bundle_out(desk.bench))

    return routes
