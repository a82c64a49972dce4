"""Alerts that watches raised, for the page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel

from unveil.gallery.store.postgresql.desk.alert_tables import StoredAlert
from unveil.server.routes.names import ERRORS, Admin, GalleryName, Reads, TheService
from unveil.server.schemas.rows import DeletedOut

router = APIRouter(prefix="/galleries/{gallery}/alerts", tags=["alerts"], responses=ERRORS)
AlertNumber = Annotated[int, Path(ge=1, le=2**62, description="Number of an alert.")]


class AlertOut(BaseModel):
    """An alert; its image is at ``.../{id}/image``. ``time`` counts from the epoch, or since the video began."""

    id: int
    raised: float
    entry: str
    distance: float
    threshold: float
    probability: float | None
    camera: str | None
    source: str
    time: float
    frame: int
    box: list[int]

    @staticmethod
    def of(stored: StoredAlert) -> AlertOut:
        """Describe an alert."""
        told = stored.alert
        return AlertOut(
            id=stored.id, raised=stored.raised, entry=told.entry, distance=told.distance, threshold=told.threshold,
            probability=told.probability, camera=told.camera, source=told.source, time=told.time, frame=told.frame,
            box=list(told.box),
        )  # fmt: skip


@router.get("")
def list_alerts(
    gallery: GalleryName,
    caller: Reads,
    *,
    service: TheService,
    after: Annotated[int, Query(ge=0, le=2**62, description="only alerts with a greater number")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[AlertOut]:
    """List the newest alerts, the newest first."""
    name = service.gallery(gallery, caller).name
    found = service.store.alerts.newest(name, limit, after=after)
    if found:
        service.views.seen(caller, name, what="alerts", rows=[])
    return [AlertOut.of(alert) for alert in found]


@router.get(
    "/{alert}/image",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}},
)
def show_alert(gallery: GalleryName, alert: AlertNumber, *, caller: Reads, service: TheService) -> Response:
    """Return the image of an alert (JPEG)."""
    name = service.gallery(gallery, caller).name
    found = service.store.alerts.newest(name, 1, after=alert - 1, up_to=alert)
    if not found:
        raise HTTPException(404, f"no alert {alert} in gallery {gallery!r}")
    service.views.seen(caller, name, what="alerts", rows=[])
    return Response(found[0].alert.image, media_type="image/jpeg")


@router.delete("")
def remove_alerts(gallery: GalleryName, request: Request, *, caller: Admin, service: TheService) -> DeletedOut:
    """Remove all alerts of a gallery, and their bytes."""
    name = service.gallery(gallery, caller).name
    with service.audited(caller, request, action="delete", gallery=name, details={"alerts": "all"}) as outcome:
        outcome["deleted"] = gone = service.store.alerts.remove(name)
    return DeletedOut(deleted=gone)
