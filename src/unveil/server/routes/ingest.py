"""Adding videos and images from the page: what may be named, files that are sent, jobs that run."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool

from unveil.gallery.sources.roots import Missing, SourceMissingError
from unveil.server.ingest.jobs import LIVE
from unveil.server.routes.names import ERRORS, GalleryName, Operator, TheService, body_of_bytes
from unveil.server.schemas.ingest import (
    EntryOut,
    IngestIn,
    JobOut,
    PlacesOut,
    ReceivedOut,
    Source,
    SteerIn,
    UploadIn,
    UploadOut,
)

router = APIRouter(prefix="/galleries/{gallery}", tags=["adding"], responses=ERRORS)
MAX_ENTRIES = 500
STATUS: dict[Missing, int] = {"off": 404, "live": 422, "outside": 403, "gone": 404, "changed": 409, "unreadable": 422}
JobNumber = Annotated[int, Path(ge=1, le=2**62, description="Number of a job.")]
UploadName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{10,40}$", description="Name that an upload was given.")]


@router.get("/places")
def list_places(
    gallery: GalleryName,
    caller: Operator,
    *,
    service: TheService,
    under: Annotated[Source | None, Query(description="a folder of an earlier answer")] = None,
) -> PlacesOut:
    """List the streams and folders that the operator named, or what lies in a folder: folders, videos, images."""
    name = service.gallery(gallery, caller).name
    try:
        found = service.ingest_roots.of(name).listed(under)
    except SourceMissingError as e:
        raise HTTPException(STATUS[e.state], str(e)) from None
    entries = [EntryOut(name=path.name or str(path), path=str(path), folder=folder) for path, folder in found]
    if under is None:
        streams = service.ingests.streams
        entries += [EntryOut(name=name, path=f"{LIVE}{name}", folder=False, live=True) for name in streams]
    return PlacesOut(entries=entries[:MAX_ENTRIES], more=len(entries) > MAX_ENTRIES)


@router.post("/uploads", status_code=201)
def begin_upload(gallery: GalleryName, body: UploadIn, *, caller: Operator, service: TheService) -> UploadOut:
    """Begin to send a video or an image in pieces."""
    service.gallery(gallery, caller)
    token = service.uploads.begin(caller, gallery, name=body.name, size=body.bytes)
    return UploadOut(upload=token, piece=service.settings.limits.upload)


@router.post("/uploads/{upload}", openapi_extra=body_of_bytes())
async def send_piece(
    gallery: GalleryName,
    upload: UploadName,
    *,
    request: Request,
    caller: Operator,
    service: TheService,
    offset: Annotated[int, Query(ge=0, le=2**50, description="bytes that were sent before")] = 0,
) -> ReceivedOut:
    """Send the next piece (the body is the bytes); the last one names the file to be added."""
    data = await request.body()
    received, path = await run_in_threadpool(
        service.uploads.take, caller, gallery, token=upload, offset=offset, data=data
    )
    return ReceivedOut(received=received, source=None if path is None else str(path))


@router.delete("/uploads/{upload}", status_code=204)
def give_up_upload(gallery: GalleryName, upload: UploadName, *, caller: Operator, service: TheService) -> None:
    """Give up a file that is on its way."""
    service.uploads.forget(caller, gallery, token=upload)


@router.get("/ingests")
def list_jobs(gallery: GalleryName, caller: Operator, *, service: TheService) -> list[JobOut]:
    """List the jobs of a gallery since the server began, the newest first."""
    return [JobOut.of(job) for job in service.ingests.all(service.gallery(gallery, caller).name)]


@router.post("/ingests", status_code=201)
def begin_job(gallery: GalleryName, body: IngestIn, *, caller: Operator, service: TheService) -> JobOut:
    """Add a video, an image or a folder, one after the other, or a live stream, beside them."""
    info = service.gallery(gallery, caller)
    service.searcher(info)  # refuses a gallery of another model
    try:
        job = service.ingests.submit(info.name, body.source, settings=body.to_settings(), caller=caller)
    except SourceMissingError as e:
        raise HTTPException(STATUS[e.state], str(e)) from None
    return JobOut.of(job)


@router.put("/ingests/{job}")
def steer_job(gallery: GalleryName, job: JobNumber, *, body: SteerIn, caller: Operator, service: TheService) -> JobOut:
    """Pause, resume or cancel a job; what it added stays."""
    name = service.gallery(gallery, caller).name
    return JobOut.of(getattr(service.ingests, body.action)(name, job))
