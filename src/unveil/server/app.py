"""The application: routes, errors in one shape, and the middlewares around them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from threading import Lock
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from unveil import __version__
from unveil.errors import DataError, UnveilError
from unveil.gallery.case_records import CaseChangedError
from unveil.gallery.group_records import GroupChangedError
from unveil.gallery.search.query import NoPersonDetectedError
from unveil.gallery.store.postgresql.desk.plan_tables import PlanChangedError
from unveil.server.connections import Connections
from unveil.server.middleware.admission import AdmissionMiddleware
from unveil.server.middleware.body_limit import BodyLimitMiddleware
from unveil.server.middleware.errors import error_body
from unveil.server.middleware.origin import OriginMiddleware
from unveil.server.middleware.request_log import RequestLogMiddleware
from unveil.server.middleware.security_headers import SecurityHeadersMiddleware
from unveil.server.routes import (
    alerts,
    attributes,
    cases,
    galleries,
    images,
    ingest,
    operations,
    people,
    plans,
    searches,
    sources,
    users,
)
from unveil.server.routes.page import page_router
from unveil.server.service import OtherModelError, Service

log = logging.getLogger("unveil.server")
API = "/api/v1"
ABOUT = """Find a person again in crops and video. Send images to `/images`, ask `/galleries/{gallery}/searches` \
with their names, boxes on them or rows of the gallery. Every search is written to the audit log. \
All times are seconds since the epoch, or since the recordings began; distances begin at 0."""


def create_app(service: Service) -> FastAPI:
    """Return the application over a service; the service is closed when the application ends."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    # The interactive pages of FastAPI load scripts from elsewhere, so they are off; the description itself is there.
    app = FastAPI(
        title="unveil", description=ABOUT, version=__version__, lifespan=life, openapi_url=None, docs_url=None,
        redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.service = service
    app.state.connections = Connections(service.settings.limits)
    limits = service.settings.limits
    # The last one is the outermost.
    app.add_middleware(BodyLimitMiddleware, limits=limits)
    app.add_middleware(OriginMiddleware, auth_disabled=service.authenticator.tokens is None)
    app.add_middleware(AdmissionMiddleware, connections=app.state.connections, limits=limits)
    app.add_middleware(RequestLogMiddleware, metrics=service.metrics)
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(UnveilError, _unusable)
    reading = (operations, images, galleries, sources, searches, attributes, people, plans, cases)
    for part in (*reading, ingest, alerts, users):
        app.include_router(part.router, prefix=API)
    app.include_router(operations.open_router)
    app.include_router(page_router())

    one_at_a_time = Lock()

    @cache  # FastAPI would write it out for every request
    def description() -> bytes:
        return bytes(JSONResponse(app.openapi()).body)

    @app.get(f"{API}/openapi.json", include_in_schema=False)
    def openapi() -> Response:  # in a thread: the first one takes seconds on a busy machine, and health has to be told
        with one_at_a_time:
            return Response(description(), media_type="application/json")

    return app


def _answer(
    request: Request, status: int, *, message: str, headers: Any = None, skip_person_check: bool = False
) -> JSONResponse:
    body = error_body(message, request.state.request, skip_person_check=skip_person_check)
    return JSONResponse(body, status, headers)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _answer(request, error.status_code, message=str(error.detail), headers=error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _answer(request, 422, message=f"{where}: {first['msg']}")


async def _unusable(request: Request, error: Exception) -> JSONResponse:
    """Data that cannot be used is the client's matter; anything else of ours means that a part is not there."""
    if isinstance(error, DataError):
        if isinstance(error, CaseChangedError):
            conflict = {"who": error.who, "text": error.text, "version": error.version}
            return JSONResponse(error_body(str(error), request.state.request) | {"conflict": conflict}, 409)
        status = 409 if isinstance(error, (OtherModelError, GroupChangedError, PlanChangedError)) else 422
        return _answer(request, status, message=str(error), skip_person_check=isinstance(error, NoPersonDetectedError))
    log.error("request %s: %s", request.state.request, error)
    return _answer(request, 503, message="a part of the server does not answer; its log says which")
