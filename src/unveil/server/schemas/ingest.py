"""What the API takes and gives of adding videos and images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from unveil.server.ingest.records import IngestSettings, Job, State
from unveil.server.schemas.base import In, Label, Number

Source = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]


class IngestIn(In):
    """A video, an image or a folder to be added, and what is said of it."""

    source: Source = Field(description="path below a folder that the operator named, or live:NAME of a stream")
    camera: Label | None = None
    start: Number | None = Field(None, description="of the first frame, seconds since the epoch")
    tags: Annotated[tuple[Label, ...], Field(max_length=50)] = ()
    fps: Annotated[float, Field(gt=0, le=1000)] | None = Field(None, description="frames per second of videos, at most")
    scenes: bool = Field(default=False, description="find people on images; else each image is the crop of one person")

    def to_settings(self) -> IngestSettings:
        """Return what the jobs take."""
        return IngestSettings(self.camera, self.start, self.tags, self.fps, self.scenes)


class SteerIn(In):
    """What a job is to do."""

    action: Literal["pause", "resume", "cancel"]


class UploadIn(In):
    """A file that is going to be sent in pieces."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]
    bytes: int = Field(ge=1, le=2**50)


class UploadOut(BaseModel):
    """Where its pieces go, and how large one may be."""

    upload: str
    piece: int


class ReceivedOut(BaseModel):
    """How many bytes are there; ``source`` names the file when it is whole."""

    received: int
    source: str | None


class JobOut(BaseModel):
    """A job: how far it is, what it added, and what could not be read. Times are seconds since the epoch."""

    id: int
    gallery: str
    source: str
    who: str
    camera: str | None
    state: State
    what: str
    part: int
    parts: int
    done: int
    total: int | None
    crops: int
    tracklets: int
    known: int
    errors: list[str]
    more_errors: int
    notes: list[str]
    began: float | None
    ended: float | None

    @staticmethod
    def of(job: Job) -> JobOut:
        """Describe a job."""
        return JobOut(
            id=job.id, gallery=job.gallery, source=job.source, who=job.who, camera=job.settings.camera,
            state=job.state, what=job.what, part=job.part, parts=job.parts, done=job.done, total=job.total,
            crops=job.crops, tracklets=job.tracklets, known=job.known, errors=list(job.errors),
            more_errors=job.more_errors, notes=list(job.notes), began=job.began, ended=job.ended,
        )  # fmt: skip


class EntryOut(BaseModel):
    """A folder, a file or a live stream that may be named."""

    name: str
    path: str
    folder: bool
    live: bool = False


class PlacesOut(BaseModel):
    """What lies in a folder that may be named, or the folders that the operator named."""

    entries: list[EntryOut]
    more: bool
