"""For those who run the server: is it alive, is it ready, how much does it do, who asked what."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, HTTPException, Query, Response

from unveil import __version__
from unveil.errors import UnveilError
from unveil.server.routes.names import ERRORS, Admin, Reads, TheService
from unveil.server.schemas.base import LimitsOut, SessionOut
from unveil.server.schemas.rows import AuditOut

open_router = APIRouter(tags=["operations"])
router = APIRouter(tags=["operations"], responses=ERRORS)
MAX_ENTRIES = 1000
READY_THREADS = 2


@cache
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(READY_THREADS)


@open_router.get("/healthz")
@open_router.head("/healthz", include_in_schema=False)
async def alive() -> dict[str, str]:
    """Answer while the process is alive; in the loop, so that no queue of requests keeps it waiting."""
    return {"status": "alive"}


@open_router.get("/readyz", responses={503: ERRORS[503]})
async def ready(service: TheService) -> dict[str, Any]:
    """Answer 200 when the store answers and a gallery can be searched; on a thread that is kept for it."""
    try:
        found = await to_thread.run_sync(service.galleries, limiter=_limiter())
    except UnveilError:
        raise HTTPException(503, "the store does not answer") from None
    if not any(info.space.fingerprint == service.engine.fingerprint for info in found):
        raise HTTPException(503, "no gallery that this server's model can search")
    return {"status": "ready"}


@open_router.get(
    "/metrics",
    response_class=Response,
    responses={
        401: ERRORS[401],
        403: ERRORS[403],
        429: ERRORS[429],
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
    },
)
def show_metrics(caller: Reads, service: TheService) -> Response:
    """Return figures for Prometheus; its scrape configuration (`authorization`) needs a token for all galleries."""
    if caller.galleries:
        raise HTTPException(403, f"figures are of all galleries, {caller.name} may see {', '.join(caller.galleries)}")
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/session")
def session(caller: Reads, service: TheService) -> SessionOut:
    """Say who asks, as what, and what the limits are."""
    limits = service.settings.limits
    return SessionOut(
        name=caller.name, role=caller.role, require_why=service.settings.require_why,
        detector=service.detector is not None, version=__version__,
        limits=LimitsOut(upload=limits.upload, pixels=limits.pixels, pieces=limits.pieces, top=limits.top),
    )  # fmt: skip


@router.get("/audit")
def read_audit(
    caller: Admin,
    service: TheService,
    *,
    gallery: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,63}$")] = None,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="number of the entry after which to begin")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_ENTRIES)] = 100,
) -> AuditOut:
    """Read the audit log in order; `unveil audit verify` checks its chain of hashes."""
    if caller.galleries and not (gallery and caller.may_see(gallery)):
        raise HTTPException(403, f"{caller.name} may read about {', '.join(caller.galleries)}: name one of them")
    page = service.store.entries_after(after, limit, gallery=gallery)
    return AuditOut(entries=page, next=page[-1]["number"] if len(page) == limit else None)
