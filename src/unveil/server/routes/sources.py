"""What lies around a row: all crops of its tracklet, the whole frame it was cut from, and the video before and after.

Who may see thumbnails may see these, and each look is entered as theirs are.
"""

from __future__ import annotations

import io
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from PIL import Image

from unveil.gallery.ingest.adding import shrunk
from unveil.gallery.records import Item
from unveil.gallery.sources.roots import Missing, SourceMissingError
from unveil.gallery.sources.source_frame import AFTER, BEFORE, SourceFrame, clip_around, find_source_frame
from unveil.server.routes.names import ERRORS, ClipName, GalleryName, Reader, Reads, RowNumber, TheService
from unveil.server.schemas.rows import ClipOut, ItemOut, SourceOut
from unveil.server.search.held_searches import HeldClip
from unveil.server.service import Service

router = APIRouter(prefix="/galleries/{gallery}", tags=["sources"], responses=ERRORS)
SIDE = 1920  # longest side of a frame that is shown, pixels
STATUS: dict[Missing, int] = {"off": 404, "live": 404, "outside": 403, "gone": 404, "changed": 409, "unreadable": 422}
Around = Annotated[float, Query(ge=0, le=15, description="seconds")]


@router.get("/items/{item}/source")
def describe_source(gallery: GalleryName, item: RowNumber, *, caller: Reader, service: TheService) -> SourceOut:
    """Say whether the frame of a row can be shown, where the person is on it, and which crops its tracklet has."""
    row = service.item(gallery, item, caller=caller)
    crops = _crops(row, gallery, service=service)
    service.views.seen(caller, gallery, what="sources", rows=[item, *(c.id for c in crops if c.id is not None)])
    shown = [ItemOut.of(crop) for crop in crops]
    try:
        source_frame = _source_frame(row, service)
    except SourceMissingError as e:
        return SourceOut(state=e.state, words=str(e), crops=shown)
    height, width = source_frame.image.shape[:2]
    box = list(source_frame.box) if source_frame.box else None
    video = source_frame.seconds is not None
    return SourceOut(state="there", words="", width=width, height=height, box=box, video=video, crops=shown)


@router.get(
    "/items/{item}/frame",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}},
)
def show_frame(gallery: GalleryName, item: RowNumber, *, caller: Reader, service: TheService) -> Response:
    """Return the whole frame that a row was cut from (JPEG), made smaller where it is large."""
    row = service.item(gallery, item, caller=caller)
    service.views.seen(caller, gallery, what="frames", rows=[item])
    source_frame = _found(row, service)
    buffer = io.BytesIO()
    Image.fromarray(shrunk(source_frame.image, SIDE)).save(buffer, "JPEG", quality=88)
    return Response(buffer.getvalue(), media_type="image/jpeg")


@router.post("/items/{item}/clips", status_code=201)
def make_clip(
    gallery: GalleryName,
    item: RowNumber,
    *,
    caller: Reader,
    service: TheService,
    before: Around = BEFORE,
    after: Around = AFTER,
) -> ClipOut:
    """Cut the part of a video in which a row is seen, with some seconds before and after, without sound."""
    row = service.item(gallery, item, caller=caller)
    service.views.seen(caller, gallery, what="clips", rows=[item])
    source_frame = _found(row, service)
    try:
        with service.cutting:
            clip = clip_around(
                row, source_frame, crops=_crops(row, gallery, service=service), before=before, after=after
            )
    except SourceMissingError as e:
        raise HTTPException(STATUS[e.state], str(e)) from None
    held = HeldClip(gallery, item, clip.data, clip.media_type)
    name = service.clips.put(caller.name, held, size=len(clip.data))
    return ClipOut(
        clip=name, media_type=clip.media_type, bytes=len(clip.data), start=clip.start, end=clip.end,
        at=max(0.0, (source_frame.seconds or 0.0) - clip.start), copied=clip.copied,
    )  # fmt: skip


@router.get(
    "/clips/{clip}",
    response_class=Response,
    responses={
        200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("video/mp4",)}},
        206: {"description": "A part, as the header Range asks"},
        416: {"description": "No such part"},
    },
)
def play_clip(
    gallery: GalleryName, clip: ClipName, *, request: Request, caller: Reads, service: TheService
) -> Response:
    """Return a clip, or the part of it that the header ``Range`` asks for."""
    held = service.clip(caller, service.gallery(gallery, caller).name, name=clip)
    whole = len(held.data)
    headers = {"accept-ranges": "bytes"}
    asked = request.headers.get("range")
    part = None if asked is None else _range(asked, whole)
    if asked is not None and part is None:
        raise HTTPException(
            416, f"no such part of {whole} bytes: {asked[:50]!r}", {"content-range": f"bytes */{whole}"}
        )
    if part is None:
        return Response(held.data, media_type=held.media_type, headers=headers)
    headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{whole}"
    return Response(held.data[part.start : part.stop], 206, media_type=held.media_type, headers=headers)


def _source_frame(row: Item, service: Service) -> SourceFrame:
    with service.cutting:
        return find_source_frame(row, service.sources)


def _found(row: Item, service: Service) -> SourceFrame:
    try:
        return _source_frame(row, service)
    except SourceMissingError as e:
        raise HTTPException(STATUS[e.state], str(e)) from None


def _crops(row: Item, gallery: str, *, service: Service) -> list[Item]:
    """Return all stored crops of the tracklet that a row is, or belongs to, by time; of a crop alone itself."""
    tracklet = row.key if row.kind == "tracklet" else row.tracklet
    crops = [row] if tracklet is None else service.store.crops_of(gallery, tracklet)
    return sorted(crops, key=lambda crop: (crop.time or 0.0, crop.id or 0))


def _range(text: str, size: int) -> slice | None:
    """Return the one range of bytes that a header asks for (RFC 9110, 14.1.2); ``None`` for what cannot be given."""
    unit, _, spec = text.partition("=")
    first, dash, last = spec.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or not (first or last):
        return None
    if not all(part.isascii() and (part.isdigit() or not part) and len(part) < 19 for part in (first, last)):
        return None
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    return slice(start, stop) if start < stop else None
