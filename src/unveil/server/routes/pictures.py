"""Pictures to search with: they are held in memory for a while, for their sender only, and never written down."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from unveil.data.images import read_image
from unveil.server.routes.names import ERRORS, PictureName, Reader, TheService, body_of_a_picture
from unveil.server.schemas import PeopleOut, PersonOut, PictureOut
from unveil.server.service import Picture

router = APIRouter(prefix="/pictures", tags=["pictures"], responses=ERRORS)
MOST_PEOPLE = 100


@router.post("", status_code=201, openapi_extra=body_of_a_picture())
async def send_picture(request: Request, caller: Reader, service: TheService) -> PictureOut:
    """Send a picture (the body is the file) to search with; it is held for half an hour after its last use."""
    data = await body_of(request, service.settings.limits.upload_seconds)
    image = await run_in_threadpool(read_image, data, service.settings.limits.pixels, "the picture")
    height, width = image.shape[:2]
    name = service.pictures.put(caller.name, Picture(data, width, height), size=len(data))
    return PictureOut(picture=name, width=width, height=height)


@router.get("/{picture}/people")
def find_people(picture: PictureName, caller: Reader, service: TheService) -> PeopleOut:
    """Find the people on a picture, to choose whom to search for."""
    if service.detector is None:
        raise HTTPException(503, "this server has no detector of people: draw a box instead")
    held = service.picture(caller, picture)
    image = service.pixels(held)
    with service.detecting:
        found = service.detector.detect(image)
    people = []
    # Detectors also give what only a tracker can use; it is offered where there is nothing better.
    sure = [box for box in found if box.score >= service.detector.high] or found
    for box in sure[:MOST_PEOPLE]:
        whole = box.whole(held.width, held.height)
        if whole:
            x, y, width, height = whole
            people.append(PersonOut(x=x, y=y, width=width, height=height, score=round(box.score, 4)))
    return PeopleOut(people=people)


async def body_of(request: Request, seconds: float) -> bytes:
    """Return the whole body; 408 when it takes too long to arrive."""
    try:
        async with asyncio.timeout(seconds):
            return await request.body()
    except TimeoutError:
        raise HTTPException(408, f"the body did not arrive within {seconds:g} seconds") from None
