"""What all of the API's models share: texts and numbers within bounds, errors, and who asks."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from unveil.server.access.tokens import Role

Label = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]
Labels = Annotated[tuple[Label, ...], Field(max_length=200)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e15, le=1e15)]
RowId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Why = Annotated[str, StringConstraints(max_length=500, strip_whitespace=True, pattern=r"^[^\x00]*$")]


class In(BaseModel):
    """What clients send: nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ConflictOut(BaseModel):
    """A text that somebody else changed since it was read: who, the text as it is now, and its version."""

    who: str
    text: str
    version: int


class ErrorOut(BaseModel):
    """What went wrong, and the id of the request in the server's log."""

    error: str
    request: str
    conflict: ConflictOut | None = Field(None, description="the text that was not overwritten")
    skip_person_check: bool = Field(
        default=False, description="whether the same search is answered with its field `skip_person_check` set"
    )


class LimitsOut(BaseModel):
    """Limits that a client should know."""

    upload: int
    pixels: int
    pieces: int
    top: int


class SessionOut(BaseModel):
    """Who asks, and what this server asks of them."""

    name: str
    role: Role
    require_why: bool
    detector: bool
    version: str
    limits: LimitsOut


def finite(value: float) -> float | None:
    """Return a number that JSON can hold; ``None`` for what nothing could be compared in."""
    return float(value) if math.isfinite(value) else None
