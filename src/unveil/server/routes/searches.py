"""Searching, and what can be done with a search: heat maps, feedback, export."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request, Response
from PIL import Image, ImageFilter

from unveil.data.images import read_image
from unveil.gallery.output.heat_map import heat_map
from unveil.gallery.output.report import write_report
from unveil.gallery.search.records import Hit, SearchResult
from unveil.gallery.search.records import Query as GalleryQuery
from unveil.server.routes.names import (
    ERRORS,
    GalleryName,
    Reader,
    RowNumber,
    SearchName,
    TheService,
)
from unveil.server.schemas.base import finite
from unveil.server.schemas.rows import ItemOut
from unveil.server.schemas.search import FeedbackIn, HitOut, ModelOut, SearchIn, SearchOut
from unveil.server.search.held_searches import Search
from unveil.server.search.queries import QueryItems

router = APIRouter(prefix="/galleries/{gallery}/searches", tags=["searches"], responses=ERRORS)
TYPES = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json"}


@router.post("", status_code=201)
def search(gallery: GalleryName, body: SearchIn, *, request: Request, caller: Reader, service: TheService) -> SearchOut:
    """Ask where else a person is, by images, boxes on them, or rows of the gallery; the audit log keeps who asked."""
    limits = service.settings.limits
    info = service.gallery(gallery, caller)
    searcher = service.searcher(info)
    if service.settings.require_why and not body.why:
        raise HTTPException(422, "this server wants a reason for each search: give it as 'why'")
    if body.top > limits.top:
        raise HTTPException(422, f"top: expected at most {limits.top}, got {body.top}")
    for name, pieces in (("positives", body.positives), ("negatives", body.negatives)):
        if len(pieces) > limits.pieces:
            raise HTTPException(422, f"{name}: expected at most {limits.pieces}, got {len(pieces)}")
    items = QueryItems((*body.positives, *body.negatives), caller, images=service.images, decoder=service.decoder)
    if not body.skip_person_check:
        service.queries.check_people(items, body.positives)
    positives = service.queries.embed(items, body.positives, gallery=info.name)
    assert positives is not None  # there is at least one piece
    query = GalleryQuery(
        positives=positives,
        fingerprint=service.engine.fingerprint,
        negatives=service.queries.embed(items, body.negatives, gallery=info.name),
        where=body.where.to_filter(),
        confirmed=body.confirmed,
        rejected=body.rejected,
        own=tuple(piece.item for piece in body.positives if piece.item is not None),
        rows=body.rows,
        top=body.top,
        rescore=body.rescore,
        mode=body.mode,
        rerank=body.rerank,
    )
    found = searcher.search(query)
    service.log(
        caller,
        request,
        action="search",
        gallery=info.name,
        why=body.why,
        query=found.query_hash,
        where=body.where.model_dump(exclude_defaults=True),
        mode=body.mode,
        results=_ids(found),
    )
    images = service.queries.shown(items, body.positives, gallery=info.name)
    held = sum(len(hit.item.thumbnail) for hit in found.hits) + sum(one.nbytes for one in images)
    name = service.searches.put(
        caller.name, Search(info.name, positives, images, found, (*query.own, *query.confirmed)), size=held
    )
    service.metrics.searches.labels(info.name).inc()
    return SearchOut(
        search=name, query_hash=found.query_hash, model=ModelOut.model_validate(found.model.to_dict()),
        calibrated=found.calibrated, match=found.match, threshold=found.threshold,
        candidates=found.candidates, rescored=found.rescored,
        milliseconds=round(found.milliseconds, 3), notes=list(found.notes), unseen=found.unseen,
        hits=[_hit(rank, hit) for rank, hit in enumerate(found.hits, 1)],
    )  # fmt: skip


@router.get(
    "/{search}/hits/{item}/heat",
    response_class=Response,
    responses={200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}},
)
def show_heat(
    gallery: GalleryName, search: SearchName, *, item: RowNumber, caller: Reader, service: TheService
) -> Response:
    """Return where on a hit's image the likeness comes from: a see-through layer of the same shape (PNG)."""
    held = service.search(caller, service.gallery(gallery, caller).name, name=search)
    image = read_image(_hit_of(held, item).item.thumbnail, name=f"row {item}")
    service.views.seen(caller, gallery, what="heat maps", rows=[item])
    with service.heating:
        heat = heat_map(service.engine, held.positives, image=image)
    return Response(_layer(heat, image.shape[:2]), media_type="image/png")


@router.post("/{search}/feedback", status_code=204)
def give_feedback(
    gallery: GalleryName,
    search: SearchName,
    *,
    body: FeedbackIn,
    request: Request,
    caller: Reader,
    service: TheService,
) -> None:
    """Keep feedback: this hit is, or is not, the person; search again with it among positives or negatives.

    With `"same": null` what was said of the hit before is taken back.
    """
    info = service.gallery(gallery, caller)
    searcher = service.searcher(info)
    held = service.search(caller, info.name, name=search)
    _hit_of(held, body.item)
    query = held.found.query_hash
    service.log(caller, request, action="feedback", gallery=gallery, query=query, results=[body.item], same=body.same)
    if body.same is None:
        service.store.feedback.take_back(info.name, query, item=body.item)
    else:
        searcher.keep_feedback(held.positives, query, item=body.item, same=body.same, who=caller.name)


@router.get(
    "/{search}/report",
    response_class=Response,
    responses={200: {"content": {name: {"schema": {"type": "string"}} for name in TYPES.values()}}},
)
def export(
    gallery: GalleryName,
    search: SearchName,
    *,
    request: Request,
    caller: Reader,
    service: TheService,
    format: Annotated[Literal["html", "csv", "json"], Query()] = "html",
    blur: Annotated[bool, Query(description="blur faces; readers cannot switch it off")] = True,
) -> Response:
    """Export the results of a search with how they were found."""
    held = service.search(caller, service.gallery(gallery, caller).name, name=search)
    if not blur and not caller.may("operator"):
        raise HTTPException(403, f"exports with faces need the role operator; {caller.name} is {caller.role}")
    query = held.found.query_hash
    service.log(
        caller,
        request,
        action="export",
        gallery=gallery,
        query=query,
        results=_ids(held.found),
        format=format,
        blur=blur,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"report.{format}"
        write_report(held.found, held.images, path=path, blur_faces=blur, distances=service.distances(held.gallery))
        data = path.read_bytes()
    name = f"unveil-{gallery}-{query[:12]}.{format}"
    return Response(data, media_type=TYPES[format], headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _ids(found: SearchResult) -> list[int]:
    return [hit.item.id for hit in found.hits if hit.item.id is not None]


def _hit(rank: int, hit: Hit) -> HitOut:
    parts = {name: value for name, value in ((n, finite(d)) for n, d in hit.parts.items()) if value is not None}
    return HitOut(
        rank=rank, item=ItemOut.of(hit.item), distance=finite(hit.distance), probability=hit.probability,
        parts=parts, reason=hit.reason,
    )  # fmt: skip


def _hit_of(search: Search, item: int) -> Hit:
    for hit in search.found.hits:
        if hit.item.id == item:
            return hit
    raise HTTPException(404, f"row {item} is no result of this search")


def _layer(heat: np.ndarray, shape: tuple[int, int]) -> bytes:
    """Return a PNG in one warm colour, the more opaque the hotter; ``heat (h, w)`` in [0, 1]."""
    height, width = shape
    soft = Image.fromarray((np.clip(heat, 0, 1) * 255).astype(np.uint8)).resize((width, height))
    # The map comes in cells of a coarse grid; their edges say nothing.
    soft = soft.filter(ImageFilter.GaussianBlur((width / 16, height / 32)))
    level = np.asarray(soft, np.float32) / 255
    level /= max(float(level.max()), 1e-6)
    layer = np.empty((*shape, 4), np.uint8)
    layer[..., 0] = 255
    layer[..., 1] = (60 + 180 * level).astype(np.uint8)
    layer[..., 2] = 20
    layer[..., 3] = (215 * level).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(layer).save(buffer, "PNG")
    return buffer.getvalue()
