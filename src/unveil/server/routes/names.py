"""Types that several routes share: what stands in a path, who calls, which errors there are."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path

from unveil.server.access.tokens import Caller
from unveil.server.middleware.authenticator import require
from unveil.server.schemas.base import ErrorOut
from unveil.server.service import Service, service_of

READ = 0.05  # a page of results reads some dozens of thumbnails

GalleryName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,63}$", description="Name of a gallery.")]
RowNumber = Annotated[int, Path(ge=1, le=2**63 - 1, description="Id of a row.")]
SearchName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{10,40}$", description="Name that a search was given.")]
ClipName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{10,40}$", description="Name that a clip was given.")]
ImageName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{10,40}$", description="Name that an image was given.")]
TheService = Annotated[Service, Depends(service_of)]
Reads = Annotated[Caller, Depends(require("reader", READ))]
Reader = Annotated[Caller, Depends(require("reader"))]
Operator = Annotated[Caller, Depends(require("operator"))]
Admin = Annotated[Caller, Depends(require("admin"))]

_ERRORS = {
    400: "the request cannot be read", 401: "no token, or one that is not known",
    403: "the role is not enough, or a foreign page asks", 404: "nothing of that name",
    408: "the body took too long", 409: "embedded by another model, or changed by somebody else",
    410: "not held any more", 413: "the body is too large", 415: "a body of another type is expected",
    422: "something in it is wrong", 429: "too many requests", 503: "the store or a part of the server is not there",
}  # fmt: skip
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorOut, "description": text.capitalize()} for status, text in _ERRORS.items()
}


def body_of_bytes(*types: str) -> dict[str, Any]:
    """Return how OpenAPI says that the body is bytes, of one of these media types where they are known."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": dict.fromkeys((*types, "application/octet-stream"), binary)}}


BODY_OF_AN_IMAGE = body_of_bytes("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")
