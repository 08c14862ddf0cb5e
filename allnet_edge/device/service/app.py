"""The service as an ASGI application."""

from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from allnet_edge.device.service import problems
from allnet_edge.device.service.desk import Desk
from allnet_edge.device.service.guard import Guard
from allnet_edge.device.service.routes import cells, fields, live, page, slides, status
from allnet_edge.intended import RESEARCH_USE

ROOT = "/api/v1"
DESCRIPTION = f"""{RESEARCH_USE}

Fields of view of a camera microscope, the white cells in them, what a network says about each, and
what a person said about that. Every refusal is a problem document (RFC 9457). Where the server was
started with a token, send `Authorization: Bearer TOKEN`.
"""


def make_app(desk: Desk) -> FastAPI:
    """The application without its guard; what it serves is documented by itself.

    Args:
        desk: Started and closed by the caller.
    """
    app = FastAPI(
        title="allnet-edge",
        version=version("allnet-edge"),
        description=DESCRIPTION,
        openapi_url=f"{ROOT}/openapi.json",
        docs_url=None,  # these pages would load scripts from another host
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.install(app)
    for group in (status, slides, cells, fields, live):
        app.include_router(group.router(desk), prefix=ROOT)
    app.include_router(page.router(desk))
    return app


def guarded(desk: Desk) -> ASGIApp:
    """The application as it is served."""
    return Guard(make_app(desk), desk.settings, desk.first)
