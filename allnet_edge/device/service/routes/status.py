"""How the server stands, and what it works with."""

from http import HTTPStatus

from fastapi import APIRouter

from allnet_edge.device.service import facts, wire
from allnet_edge.device.service.desk import Desk
from allnet_edge.device.service.problems import responses


def router(desk: Desk) -> APIRouter:
    """The routes for one desk."""
    routes = APIRouter(tags=["status"])

    @routes.get("/status")
    def status() -> wire.StatusOut:
        """How everything stands; answers also while the server is starting."""
        return desk.status()

    @routes.get("/bundle", responses=responses(HTTPStatus.SERVICE_UNAVAILABLE))
    def bundle() -> wire.BundleOut:
        """The bundle, the candidate in use, its gate verdict, and versions."""
        return facts.bundle_out(desk.bench)

    return routes
