"""Every refusal as problem+json (RFC 9457): what is wrong, where, and what would mend it."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from allnet_edge.errors import (
    AllnetEdgeError,
    DataError,
    EnvironmentMismatch,
    IntegrityError,
    OutputDirError,
    StorageError,
    UnknownNameError,
    UsageError,
)

_log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_SHOWN = 300
_STATUS: tuple[tuple[type[AllnetEdgeError], HTTPStatus], ...] = (
    (UnknownNameError, HTTPStatus.NOT_FOUND),
    (OutputDirError, HTTPStatus.SERVICE_UNAVAILABLE),
    (UsageError, HTTPStatus.CONFLICT),
    (DataError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (StorageError, HTTPStatus.INSUFFICIENT_STORAGE),
    (EnvironmentMismatch, HTTPStatus.SERVICE_UNAVAILABLE),
    (IntegrityError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class Problem(BaseModel):
    """A refusal.

    Attributes:
        detail: What is wrong, in one sentence.
        where: The file, field or key that it concerns.
        fix: What can be done about it.
    """

    type: str = "about:blank"
    title: str = Field(description="The words of the HTTP status.")
    status: int = Field(ge=400, le=599)
    detail: str
    where: str | None = None
    fix: str | None = None


class Refusal(HTTPException):
    """An answer that is no success; raised anywhere below a route.

    It is Starlette's own kind, because FastAPI turns every other error that the reading of a body
    raises into one without words.
    """

    def __init__(
        self,
        status: HTTPStatus,
        what: str,
        *,
        where: str | None = None,
        fix: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(int(status), what, dict(headers or {}))
        self.where = where
        self.fix = fix

    @classmethod
    def of(cls, error: AllnetEdgeError) -> "Refusal":
        """One for an error of our tree."""
        status = next(
            (status for kind, status in _STATUS if isinstance(error, kind)),
            HTTPStatus.INTERNAL_SERVER_ERROR,
        )
        return cls(status, error.what, where=error.where, fix=error.fix)

    @property
    def problem(self) -> Problem:
        """The document."""
        return Problem(
            title=HTTPStatus(self.status_code).phrase,
            status=self.status_code,
            detail=self.detail,
            where=self.where,
            fix=self.fix,
        )

    def response(self) -> Response:
        """As it is sent."""
        return Response(
            self.problem.model_dump_json(),
            status_code=self.status_code,
            headers={"Cache-Control": "no-store", **(self.headers or {})},
            media_type=MEDIA_TYPE,
        )


def busy(what: str, seconds: int = 1) -> Refusal:
    """Too much at the same time; the client is told when to come back."""
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        what,
        fix=f"ask again after {seconds} s",
        headers={"Retry-After": str(seconds)},
    )


# Any in these two: the type that FastAPI declares for `responses`.
def responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for its OpenAPI document."""
    return {
        int(status): {
            "description": status.phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def gives(media_type: str) -> dict[int | str, dict[str, Any]]:
    """An answer that is a file, for the OpenAPI document."""
    return {200: {"description": "The file.", "content": {media_type: {}}}}


def install(app: FastAPI) -> None:
    """Make every error of an app an answer in words."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(AllnetEdgeError, _ours)
    app.add_exception_handler(Exception, _bug)


async def _http(_request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        return error.response()
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for this kind
    return Refusal(
        HTTPStatus(error.status_code), str(error.detail), headers=error.headers
    ).response()


async def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AllnetEdgeError)  # noqa: S101 - it is registered for this kind
    return Refusal.of(error).response()


async def _bug(_request: Request, error: Exception) -> Response:
    _log.error("a bug, told to a client", exc_info=error)
    return Refusal(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"this is a bug of allnet-edge: {type(error).__name__}",
        fix="report it with the lines that the server printed",
    ).response()


async def _invalid(_request: Request, error: Exception) -> Response:
    """What was sent has another form; the first fault is told, and it is not echoed whole."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is registered for this kind
    first = error.errors()[0]
    where = ".".join(str(part) for part in first.get("loc", ()))[:_SHOWN]
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"the request is not as the service takes it: {str(first.get('msg', ''))[:_SHOWN]}",
        where=where or None,
        fix="see /api/v1/openapi.json",
    ).response()
