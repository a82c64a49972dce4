"""Galleries and their rows: what there is, images of rows, adding an image, removing rows."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from unveil.errors import DataError
from unveil.gallery.derived import touched
from unveil.gallery.ingest.images import ImageSettings, add_images
from unveil.records import Sample
from unveil.server.access.tokens import Caller
from unveil.server.routes.names import (
    BODY_OF_AN_IMAGE,
    ERRORS,
    Admin,
    GalleryName,
    Operator,
    Reads,
    RowNumber,
    TheService,
)
from unveil.server.schemas.base import Label, Number
from unveil.server.schemas.rows import AddedOut, DeletedOut, DeletionIn, FilterIn, GalleryOut, ItemOut, ItemsOut
from unveil.server.service import Service

router = APIRouter(prefix="/galleries", tags=["galleries"], responses=ERRORS)
PAGE = 200
Several = Annotated[list[Label], Query(max_length=200)]


@router.get("")
def list_galleries(caller: Reads, service: TheService) -> list[GalleryOut]:
    """List the galleries of this server."""
    return [
        GalleryOut.of(info, service.engine.fingerprint, distances=service.distances(info.name))
        for info in service.galleries(caller)
    ]


@router.get("/{gallery}")
def describe_gallery(gallery: GalleryName, caller: Reads, *, service: TheService) -> GalleryOut:
    """Describe one gallery: rows, cameras, times, calibration."""
    info = service.gallery(gallery, caller)
    return GalleryOut.of(info, service.engine.fingerprint, distances=service.distances(info.name))


@router.get("/{gallery}/items")
def list_items(
    gallery: GalleryName,
    caller: Reads,
    *,
    service: TheService,
    camera: Several = [],  # noqa: B006 FastAPI copies it
    tag: Several = [],  # noqa: B006
    start: Number | None = None,
    end: Number | None = None,
    rows: Literal["tracklet", "crop"] = "tracklet",
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 50,
) -> ItemsOut:
    """List rows by ascending id."""
    try:
        where = FilterIn(cameras=tuple(camera), tags=tuple(tag), start=start, end=end).to_filter(rows)
    except ValidationError as e:  # each is in its bounds, but not all together
        raise DataError("; ".join(str(wrong["msg"]) for wrong in e.errors())) from None
    found = service.store.find(service.gallery(gallery, caller).name, where, limit=limit, after=after)
    service.views.seen(caller, gallery, what="listings", rows=[item.id for item in found if item.id is not None])
    return ItemsOut(items=[ItemOut.of(item) for item in found], next=found[-1].id if len(found) == limit else None)


@router.get("/{gallery}/items/{item}")
def describe_item(gallery: GalleryName, item: RowNumber, *, caller: Reads, service: TheService) -> ItemOut:
    """Describe one row."""
    found = service.item(gallery, item, caller=caller)
    service.views.seen(caller, gallery, what="rows", rows=[item])
    return ItemOut.of(found)


@router.get(
    "/{gallery}/items/{item}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}},
)
def show_thumbnail(gallery: GalleryName, item: RowNumber, *, caller: Reads, service: TheService) -> Response:
    """Return the image of a row (JPEG)."""
    found = service.item(gallery, item, caller=caller)
    service.views.seen(caller, gallery, what="thumbnails", rows=[item])
    return Response(found.thumbnail, media_type="image/jpeg")


@router.post("/{gallery}/items", status_code=201, openapi_extra=BODY_OF_AN_IMAGE)
async def add_item(
    gallery: GalleryName,
    request: Request,
    *,
    caller: Operator,
    service: TheService,
    camera: Annotated[Label | None, Query(description="where it was taken")] = None,
    time: Annotated[Number | None, Query(description="when, seconds")] = None,
    person: Annotated[Label | None, Query(description="who it is, where that is known")] = None,
    tag: Several = [],  # noqa: B006
    source: Annotated[Label, Query(description="where it comes from")] = "sent to the server",
) -> AddedOut:
    """Add a crop of one person (the body is the file); videos and folders are added on the command line."""
    data = await request.body()
    sample = Sample(source, data=data, camera=camera, time=time, person=person)
    return await run_in_threadpool(
        _add, gallery, sample, tags=tuple(tag), request=request, caller=caller, service=service
    )


@router.post("/{gallery}/deletions")
def delete_items(
    gallery: GalleryName, body: DeletionIn, *, request: Request, caller: Admin, service: TheService
) -> DeletedOut:
    """Remove rows for good: vectors, thumbnails and everything made from them."""
    name = service.gallery(gallery, caller).name
    details = {"where": body.where.model_dump(exclude_defaults=True)}
    with service.audited(caller, request, action="delete", gallery=name, why=body.why, details=details) as outcome:
        learnt = service.store.derived(name)
        outcome["deleted"] = gone = service.store.delete(name, body.where.to_filter())
        against = touched(learnt, service.store.derived(name))
        outcome |= {"learnt_by": [model.fingerprint for model in against]} if against else {}
    return DeletedOut(deleted=gone)


def _add(
    gallery: str, sample: Sample, *, tags: tuple[str, ...], request: Request, caller: Caller, service: Service
) -> AddedOut:
    info = service.gallery(gallery, caller)
    service.searcher(info)  # refuses a gallery of another model
    assert sample.data is not None  # the route made it of a body
    details = {"source": sample.key, "camera": sample.camera}
    with (
        service.decoder.reserved(sample.data),
        service.audited(caller, request, action="add", gallery=info.name, details=details) as outcome,
        service.queries.parsing,
    ):
        added = add_images(
            service.store, info.name, engine=service.engine, samples=[sample], settings=ImageSettings(tags=tags),
            parser=service.queries.parser,
        )  # fmt: skip
        outcome |= {"crops": added.crops, "known": added.known}
        if added.bad:
            raise HTTPException(422, added.bad[0])
    return AddedOut(added=added.crops, known=added.known)
