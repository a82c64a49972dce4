"""Images to search with: they are held in memory for a while, for their sender only, and never written down."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from unveil.gallery.ingest.adding import shrunk
from unveil.server.routes.names import BODY_OF_AN_IMAGE, ERRORS, ImageName, Reader, TheService
from unveil.server.schemas.search import ImageOut, PeopleOut, PersonOut
from unveil.server.search.queries import HeldImage, held_image
from unveil.video.records import Box

router = APIRouter(prefix="/images", tags=["images"], responses=ERRORS)
MAX_PEOPLE = 100
LONGEST_SIDE = 3840  # pixels in which people are looked for: those of a large image are large


@router.post("", status_code=201, openapi_extra=BODY_OF_AN_IMAGE)
async def send_image(request: Request, caller: Reader, *, service: TheService) -> ImageOut:
    """Send an image (the body is the file) to search with; it is held for half an hour after its last use."""
    data = await request.body()
    width, height = await run_in_threadpool(service.decoder.checked_size, data)
    name = service.images.put(caller.name, HeldImage(data, width, height), size=len(data))
    return ImageOut(image=name, width=width, height=height)


@router.get("/{image}/people")
def find_people(image: ImageName, caller: Reader, *, service: TheService) -> PeopleOut:
    """Find the people on an image, to choose whom to search for."""
    if service.detector is None:
        raise HTTPException(503, "this server has no detector of people: draw a box instead")
    held = held_image(service.images, caller, name=image)
    with service.decoder.decoded(held.data, longest_side=LONGEST_SIDE) as pixels, service.detecting:
        small = shrunk(pixels, LONGEST_SIDE)
        found = service.detector.detect(small)
        factor = held.width / small.shape[1]
    found = [Box(factor * b.x, factor * b.y, factor * b.w, factor * b.h, b.score) for b in found]
    people = []
    # Detectors also give what only a tracker can use; it is offered where there is nothing better.
    sure = [box for box in found if box.score >= service.detector.high] or found
    for box in sure[:MAX_PEOPLE]:
        whole = box.whole(held.width, held.height)
        if whole:
            x, y, width, height = whole
            people.append(PersonOut(x=x, y=y, width=width, height=height, score=round(box.score, 4)))
    return PeopleOut(people=people)
