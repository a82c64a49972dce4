"""Searching by what people wear and carry alone."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request

from unveil.gallery.search.by_attributes import list_by_attributes
from unveil.server.routes.names import ERRORS, GalleryName, Reader, TheService
from unveil.server.schemas.listing import ListingIn, ListingOut, SightingOut
from unveil.server.schemas.rows import ItemOut

router = APIRouter(prefix="/galleries/{gallery}/listings", tags=["searches"], responses=ERRORS)


@router.post("")
def list_rows(
    gallery: GalleryName, body: ListingIn, *, request: Request, caller: Reader, service: TheService
) -> ListingOut:
    """List the rows whose people look like that, the surest first; the audit log keeps who asked."""
    info = service.gallery(gallery, caller)
    if service.settings.require_why and not body.why:
        raise HTTPException(422, "this server wants a reason for each search: give it as 'why'")
    if body.top > service.settings.limits.top:
        raise HTTPException(422, f"top: expected at most {service.settings.limits.top}, got {body.top}")
    found = list_by_attributes(service.store, info.name, where=body.where.to_filter(body.rows), top=body.top)
    service.log(
        caller,
        request,
        action="search",
        gallery=info.name,
        why=body.why,
        where=body.where.model_dump(exclude_defaults=True),
        by="attributes",
        results=[one.item.id for one in found.sightings if one.item.id is not None],
    )
    service.metrics.searches.labels(info.name).inc()
    sightings = [SightingOut(item=ItemOut.of(one.item), sureness=one.sureness) for one in found.sightings]
    return ListingOut(sightings=sightings, candidates=found.candidates, unseen=found.unseen, notes=list(found.notes))
