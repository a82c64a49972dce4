"""Cases: searches and sightings that people keep, their notes and members, and the archive that hands them on."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path as FilePath
from typing import Annotated

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Query, Response
from fastapi.responses import FileResponse
from PIL import Image
from starlette.types import Receive, Scope, Send

from unveil.atomic_io import sha256
from unveil.gallery.case_records import Case, NewQuery, QueryImage
from unveil.gallery.cases.log import case_entries
from unveil.gallery.cases.package import write_package
from unveil.gallery.records import EmbeddingSpace, Item
from unveil.gallery.search.records import Query as GalleryQuery
from unveil.models.card import Card
from unveil.models.foreign.reid_card import ReidCard
from unveil.server.access.cases import is_owner
from unveil.server.routes.names import ERRORS, GalleryName, Reader, Reads, RowNumber, TheService
from unveil.server.schemas.case import (
    AddedBookmarkOut,
    BookmarkNoteIn,
    CaseOut,
    CaseQueryIn,
    CaseSummaryOut,
    CaseTextIn,
    MembersIn,
    NewBookmarkIn,
    NewCaseIn,
    QueryKeptOut,
    VersionOut,
)
from unveil.server.search.queries import QueryItems
from unveil.server.service import Service

router = APIRouter(prefix="/cases", tags=["cases"], responses=ERRORS)
MAX_CLIPS = 40  # of a package that a page waits for
CaseNumber = Annotated[int, Path(ge=1, le=2**62, description="Number of a case.")]
QueryNumber = Annotated[int, Path(ge=1, le=2**62, description="Number of a search of the case.")]
ImageNumber = Annotated[int, Path(ge=0, le=1000, description="Which of the images of the search, from 0.")]


@router.get("")
def list_cases(caller: Reads, service: TheService) -> list[CaseSummaryOut]:
    """List the cases that are open to the caller, the one that changed last first."""
    return [CaseSummaryOut.of(case) for case in service.cases.all(caller)]


@router.post("", status_code=201)
def open_case(body: NewCaseIn, caller: Reader, *, service: TheService) -> CaseOut:
    """Begin a case; whoever does may name its members."""
    made = service.store.cases.create(body.name, caller.name)
    service.cases.log(made.id, caller, what="begin")
    return CaseOut.of(made, {}, owned=True, hidden=0)


@router.get("/{case}")
def show_case(case: CaseNumber, caller: Reads, *, service: TheService) -> CaseOut:
    """Show a case: notes, searches, sightings, members, and what went from it with rows that were removed."""
    found, hidden = service.cases.find(case, caller)
    service.cases.opened(found, caller)
    return CaseOut.of(found, _rows(found, service), owned=is_owner(found, caller), hidden=hidden)


@router.delete("/{case}", status_code=204)
def remove_case(case: CaseNumber, caller: Reader, *, service: TheService) -> None:
    """Remove a case with everything in it; rows of galleries stay."""
    service.cases.owned(case, caller)
    service.cases.log(case, caller, what="remove")
    service.store.cases.delete(case)


@router.put("/{case}/texts")
def write_texts(case: CaseNumber, body: CaseTextIn, *, caller: Reader, service: TheService) -> VersionOut:
    """Change name and notes; 409 with the text as it is now where somebody else changed it since it was read."""
    service.cases.find(case, caller)
    version = service.store.cases.write(case, caller.name, name=body.name, notes=body.notes, version=body.version)
    service.cases.log(case, caller, what="write")
    return VersionOut(version=version)


@router.put("/{case}/members", status_code=204)
def set_members(case: CaseNumber, body: MembersIn, *, caller: Reader, service: TheService) -> None:
    """Say who may open the case beside its creator and admins, by the names of their tokens."""
    service.cases.owned(case, caller)
    service.cases.log(case, caller, what="members", details={"members": sorted(set(body.members))})
    service.store.cases.set_members(case, body.members)


@router.post("/{case}/bookmarks", status_code=201)
def add_bookmark(case: CaseNumber, body: NewBookmarkIn, *, caller: Reader, service: TheService) -> AddedBookmarkOut:
    """Add a row of a gallery; one that is there stays as it is."""
    service.cases.find(case, caller)
    gallery = service.gallery(body.gallery, caller).name
    service.cases.log(case, caller, what="add bookmark", gallery=gallery, rows=[body.item])
    added = service.store.cases.bookmark(case, gallery, item=body.item, who=caller.name, note=body.note)
    return AddedBookmarkOut(added=added)


@router.put("/{case}/bookmarks/{gallery}/{item}")
def write_note(
    case: CaseNumber,
    gallery: GalleryName,
    *,
    item: RowNumber,
    body: BookmarkNoteIn,
    caller: Reader,
    service: TheService,
) -> VersionOut:
    """Change the note of a bookmark; 409 with the note as it is now where somebody else changed it since."""
    service.cases.find(case, caller)
    name = service.gallery(gallery, caller).name
    version = service.store.cases.write_note(
        case, name, item=item, who=caller.name, note=body.note, version=body.version
    )
    service.cases.log(case, caller, what="write note", gallery=name, rows=[item])
    return VersionOut(version=version)


@router.delete("/{case}/bookmarks/{gallery}/{item}", status_code=204)
def remove_bookmark(
    case: CaseNumber, gallery: GalleryName, *, item: RowNumber, caller: Reader, service: TheService
) -> None:
    """Remove a bookmark with its note."""
    service.cases.find(case, caller)
    name = service.gallery(gallery, caller).name
    service.cases.log(case, caller, what="remove bookmark", gallery=name, rows=[item])
    if not service.store.cases.remove_bookmark(case, name, item=item):
        raise HTTPException(404, f"case {case} has no bookmark of row {item} of gallery {name!r}")


@router.post("/{case}/queries", status_code=201)
def keep_query(case: CaseNumber, body: CaseQueryIn, *, caller: Reader, service: TheService) -> QueryKeptOut:
    """Keep a search with its images, filters and feedback, so that it can be asked again."""
    service.cases.find(case, caller)
    gallery = service.gallery(body.gallery, caller).name
    others = tuple(service.gallery(name, caller).name for name in body.others)
    asked = body.search
    pieces = (*asked.positives, *asked.negatives)
    if max(len(asked.positives), len(asked.negatives)) > service.settings.limits.pieces:
        raise HTTPException(422, f"a search has at most {service.settings.limits.pieces} pieces of a kind")
    items = QueryItems(pieces, caller, images=service.images, decoder=service.decoder)
    positives = service.queries.embed(items, asked.positives, gallery=gallery)
    assert positives is not None  # there is at least one piece
    images = [
        QueryImage(_png(crop), negative)
        for negative, side in ((False, asked.positives), (True, asked.negatives))
        for _, _, crop in items.places(side)
    ]
    kept = NewQuery(
        name=body.name,
        settings=asked.model_dump(
            mode="json",
            exclude={"positives", "negatives", "confirmed", "rejected", "skip_person_check"},
            exclude_defaults=True,
        ),
        hash=GalleryQuery(positives, service.engine.fingerprint).hash,
        images=tuple(images),
        positives=tuple(piece.item for piece in asked.positives if piece.item is not None),
        negatives=tuple(piece.item for piece in asked.negatives if piece.item is not None),
        confirmed=asked.confirmed,
        rejected=asked.rejected,
        others=others,
    )
    details = {"query": kept.hash, "others": list(others)}
    service.cases.log(case, caller, what="add search", gallery=gallery, details=details)
    return QueryKeptOut(query=service.store.cases.add_query(case, gallery, query=kept, who=caller.name))


@router.delete("/{case}/queries/{query}", status_code=204)
def remove_query(case: CaseNumber, query: QueryNumber, *, caller: Reader, service: TheService) -> None:
    """Remove a search with its images."""
    found, _ = service.cases.find(case, caller)
    _check_query(found, query)
    service.cases.log(case, caller, what="remove search", details={"search": query})
    service.store.cases.remove_query(case, query)


@router.get(
    "/{case}/queries/{query}/images/{number}",
    response_class=Response,
    responses={200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}},
)
def show_image(
    case: CaseNumber, query: QueryNumber, *, number: ImageNumber, caller: Reads, service: TheService
) -> Response:
    """Return an image that a search was made with (PNG)."""
    found, _ = service.cases.find(case, caller)
    _check_query(found, query)
    service.cases.opened(found, caller)
    images = service.store.cases.images(case, query)
    if number >= len(images):
        raise HTTPException(404, f"search {query} has {len(images)} images")
    return Response(images[number].data, media_type="image/png")


@router.post(
    "/{case}/exports",
    response_class=Response,
    responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
def export_case(
    case: CaseNumber,
    caller: Reader,
    *,
    service: TheService,
    blur: Annotated[bool, Query(description="blur faces; readers cannot switch it off")] = True,
    clips: Annotated[bool, Query(description="cut clips around sightings, where faces may be seen")] = True,
) -> Response:
    """Return the case as one archive that `unveil case verify` checks; the audit log gets its SHA-256."""
    whole, open_to = service.cases.whole(case, caller), service.cases.open_to(caller)
    found, _ = whole.part(open_to)
    if not blur and not caller.may("operator"):
        raise HTTPException(403, f"exports with faces need the role operator; {caller.name} is {caller.role}")
    if not service.packing.acquire(blocking=False):
        raise HTTPException(503, "another case is being exported: try again in a moment", {"Retry-After": "10"})
    try:
        with tempfile.NamedTemporaryFile(prefix="unveil-case-", suffix=".zip", delete=False) as file:
            path = FilePath(file.name)
        try:
            manifest = write_package(
                service.store, whole, out=path, sources=service.sources, blurred=blur, open_to=open_to,
                most_clips=MAX_CLIPS if clips else 0, card_of=lambda space: _card(space, service),
            )  # fmt: skip
            details = {"sha256": sha256(path), "faces": manifest.faces}
            for told in case_entries(found, "export", who=caller.name, role=caller.role, rows=True, **details):
                service.store.log(told)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    finally:
        service.packing.release()
    return _SentOnce(
        path,
        media_type="application/zip",
        filename=f"unveil-case-{case}.zip",
        headers={"x-content-sha256": details["sha256"]},
    )


class _SentOnce(FileResponse):
    """A file that is removed when it was sent, or could not be: a background task is left out where a client stalls."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: PLR0917 (as ASGI calls it)
        try:
            await super().__call__(scope, receive, send)
        finally:
            FilePath(self.path).unlink(missing_ok=True)


def _rows(case: Case, service: Service) -> dict[tuple[str, int], Item]:
    numbers: dict[str, list[int]] = {}
    for mark in case.bookmarks:
        numbers.setdefault(mark.gallery, []).append(mark.item)
    return {
        (gallery, item.id): item
        for gallery, wanted in numbers.items()
        for item in service.store.items(gallery, wanted)
        if item.id is not None
    }


def _check_query(case: Case, query: int) -> None:
    if query not in {kept.id for kept in case.queries}:
        raise HTTPException(404, f"case {case.id} has no search {query}")


def _card(space: EmbeddingSpace, service: Service) -> Card | ReidCard | None:
    card = getattr(service.engine.metadata, "card", None)
    return card if space.fingerprint == service.engine.fingerprint else None


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
