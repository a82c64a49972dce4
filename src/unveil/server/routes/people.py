"""Probable people of a gallery: looked through without a search, split and merged by hand. Never certain."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request

from unveil.errors import DataError
from unveil.gallery.grouping.group import group_gallery
from unveil.gallery.records import GalleryInfo
from unveil.gallery.scoring import calibration
from unveil.gallery.store.postgresql.desk.group_tables import Order
from unveil.server.routes.names import ERRORS, GalleryName, Operator, Reads, TheService
from unveil.server.schemas.group import (
    GroupedRowOut,
    GroupedRowsOut,
    GroupIn,
    GroupingOut,
    MergeIn,
    PersonNumberOut,
    ProbablePeopleOut,
    ProbablePersonOut,
    SplitIn,
)
from unveil.server.schemas.rows import ItemOut
from unveil.server.service import Service

router = APIRouter(prefix="/galleries/{gallery}/people", tags=["people"], responses=ERRORS)
PAGE = 200
MAX_ROWS = 5_000  # that the server groups itself: it takes some seconds of a core
Person = Annotated[int, Path(ge=1, le=2**62, description="Number of a probable person.")]
Offset = Annotated[int, Query(ge=0, le=10**9)]


@router.get("")
def list_people(
    gallery: GalleryName,
    caller: Reads,
    *,
    service: TheService,
    order: Annotated[Order, Query(description="most rows first, or first seen first")] = "rows",
    least: Annotated[int, Query(ge=1, le=10**6, description="only people of at least so many rows")] = 1,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 60,
) -> ProbablePeopleOut:
    """List probable people."""
    name = service.gallery(gallery, caller).name
    state = service.store.groups.state(name)
    found = [] if state is None else service.store.groups.people(name, limit, offset=offset, order=order, least=least)
    if found:
        shown = [row for person in found for row in person.images]
        service.views.seen(caller, name, what="people", rows=shown)
    return ProbablePeopleOut(
        grouping=None if state is None else GroupingOut.of(state),
        people=[ProbablePersonOut.of(person) for person in found],
        next=offset + limit if len(found) == limit else None,
    )


@router.post("/groupings", status_code=201)
def group_people(
    gallery: GalleryName, body: GroupIn, *, request: Request, caller: Operator, service: TheService
) -> GroupingOut:
    """Group the tracklets of a gallery anew; what was split and merged by hand stays."""
    info = service.gallery(gallery, caller)
    if max(info.tracklets, info.crops if not info.tracklets else 0) > MAX_ROWS:
        raise HTTPException(
            422,
            f"the server groups up to {MAX_ROWS:,} tracklets, {info.name!r} has more: `unveil gallery group "
            f"{info.name}` groups them",
        )
    details = {"mode": body.mode, "threshold": body.threshold}
    if not service.grouping.acquire(blocking=False):
        raise HTTPException(503, "another gallery is grouped at this time: try again in a moment", {"Retry-After": "5"})
    try:
        with service.audited(
            caller, request, action="group", gallery=info.name, why=body.why, details=details
        ) as outcome:
            done = group_gallery(service.store, info.name, mode=body.mode, threshold=body.threshold)
            outcome |= {"rows": done.rows, "people": done.people, "distance": done.grouping.threshold}
    finally:
        service.grouping.release()
    state = service.store.groups.state(info.name)
    assert state is not None  # it was made above
    return GroupingOut.of(state)


@router.get("/{person}")
def show_person(
    gallery: GalleryName,
    person: Person,
    *,
    caller: Reads,
    service: TheService,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 100,
) -> GroupedRowsOut:
    """Show the rows of a probable person, those that are least like the others first."""
    info = service.gallery(gallery, caller)
    try:
        found, rows = service.store.groups.person(info.name, person)
    except DataError as e:
        raise HTTPException(404, str(e)) from None
    asked = rows[offset : offset + limit]
    items = {item.id: item for item in service.store.items(info.name, [row.item for row in asked])}
    if items:
        service.views.seen(caller, info.name, what="people", rows=[row for row in items if row is not None])
    fitted = _calibration(service, info)
    told = [
        GroupedRowOut(
            item=ItemOut.of(items[row.item]), distance=row.distance,
            probability=None if fitted is None or row.distance is None else fitted.probability(row.distance),
        )
        for row in asked
        if row.item in items
    ]  # fmt: skip
    following = offset + limit if offset + limit < len(rows) else None
    return GroupedRowsOut(person=ProbablePersonOut.of(found), rows=told, next=following)


@router.post("/{person}/splits", status_code=201)
def split_person(
    gallery: GalleryName, person: Person, *, body: SplitIn, request: Request, caller: Operator, service: TheService
) -> PersonNumberOut:
    """Say that some rows of a probable person show somebody else, who becomes a person of their own."""
    name = service.gallery(gallery, caller).name
    details = {"person": person, "rows": list(body.items)}
    with service.audited(
        caller, request, action="split people", gallery=name, why=body.why, details=details
    ) as outcome:
        outcome["made"] = made = service.store.groups.split(name, person, items=body.items)
    return PersonNumberOut(person=made)


@router.post("/{person}/merges")
def merge_people(
    gallery: GalleryName, person: Person, *, body: MergeIn, request: Request, caller: Operator, service: TheService
) -> PersonNumberOut:
    """Say that two probable people are one; the first keeps its number."""
    name = service.gallery(gallery, caller).name
    details = {"person": person, "other": body.other}
    with service.audited(
        caller, request, action="merge people", gallery=name, why=body.why, details=details
    ) as outcome:
        outcome["rows"] = service.store.groups.merge(name, person, other=body.other)
    return PersonNumberOut(person=person)


def _calibration(service: Service, info: GalleryInfo) -> calibration.Calibration | None:
    """Return the calibration that the distances of the groups go by; ``None`` where there is none."""
    state = service.store.groups.state(info.name)
    if state is None or state.other_model or state.recalibrated or not state.grouping.calibrated:
        return None
    return calibration.of(info, state.grouping.mode)
