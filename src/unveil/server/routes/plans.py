"""The floor plan of a gallery: an admin sends an image and places the cameras, everybody sees it."""

from __future__ import annotations

import io

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from PIL import Image

from unveil.errors import DataError
from unveil.gallery.ingest.adding import shrunk
from unveil.gallery.plan_records import LARGEST
from unveil.server.access.tokens import Caller
from unveil.server.routes.names import BODY_OF_AN_IMAGE, ERRORS, Admin, GalleryName, Reads, TheService
from unveil.server.schemas.plan import FloorPlanOut, PlanIn
from unveil.server.service import Service

router = APIRouter(prefix="/galleries/{gallery}/plan", tags=["plans"], responses=ERRORS)
QUALITY = 90


@router.get("")
def show_plan(gallery: GalleryName, caller: Reads, *, service: TheService) -> FloorPlanOut | None:
    """Show where the cameras stand; null where the gallery has no plan."""
    plan = service.store.plans.get(service.gallery(gallery, caller).name)
    return None if plan is None else FloorPlanOut.of(plan)


@router.get(
    "/image",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}},
)
def show_image(gallery: GalleryName, caller: Reads, *, service: TheService) -> Response:
    """Return the image of the plan (JPEG)."""
    image = service.store.plans.image(service.gallery(gallery, caller).name)
    if image is None:
        raise HTTPException(404, f"gallery {gallery!r} has no plan")
    return Response(image, media_type="image/jpeg")


@router.post("", status_code=201, openapi_extra=BODY_OF_AN_IMAGE)
async def send_plan(gallery: GalleryName, request: Request, *, caller: Admin, service: TheService) -> FloorPlanOut:
    """Send the image of a plan (the body is the file); cameras that stood on another one are placed anew."""
    data = await request.body()
    return await run_in_threadpool(_keep, gallery, data, request=request, caller=caller, service=service)


@router.put("")
def place_cameras(
    gallery: GalleryName, body: PlanIn, *, request: Request, caller: Admin, service: TheService
) -> FloorPlanOut:
    """Say where the cameras stand and how long a metre is."""
    name = service.gallery(gallery, caller).name
    cameras = {placed.camera: (placed.x, placed.y) for placed in body.cameras}
    if len(cameras) < len(body.cameras):
        raise DataError("a camera stands at one place of the plan: it was sent twice")
    scale = None if body.scale is None else body.scale.to_scale()
    details = {"what": "cameras", "cameras": len(cameras), "metres": None if scale is None else scale.metres}
    with service.audited(caller, request, action="floor plan", gallery=name, details=details):
        plan = service.store.plans.write(name, cameras=cameras, scale=scale, version=body.version, who=caller.name)
    return FloorPlanOut.of(plan)


@router.delete("", status_code=204)
def remove_plan(gallery: GalleryName, request: Request, *, caller: Admin, service: TheService) -> None:
    """Remove the plan, with the bytes of its image."""
    name = service.gallery(gallery, caller).name
    if service.store.plans.get(name) is None:
        raise HTTPException(404, f"gallery {gallery!r} has no plan")
    with service.audited(caller, request, action="floor plan", gallery=name, details={"what": "remove"}):
        service.store.plans.remove(name)


def _keep(gallery: str, data: bytes, *, request: Request, caller: Caller, service: Service) -> FloorPlanOut:
    """Keep the pixels of an image, written anew: nothing else of a file that somebody sent is given to others."""
    name = service.gallery(gallery, caller).name
    with service.decoder.decoded(data, longest_side=LARGEST) as image:
        small = shrunk(image, LARGEST)
        out = io.BytesIO()
        Image.fromarray(small).save(out, "JPEG", quality=QUALITY, subsampling=0)
    height, width = small.shape[:2]
    details = {"what": "image", "width": width, "height": height}
    with service.audited(caller, request, action="floor plan", gallery=name, details=details):
        plan = service.store.plans.put(name, out.getvalue(), width=width, height=height, who=caller.name)
    return FloorPlanOut.of(plan)
