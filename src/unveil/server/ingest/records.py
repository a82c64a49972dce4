"""What is said of an addition from the page, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["waiting", "running", "paused", "done", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class IngestSettings:
    """What is said of a source, and how it is sampled.

    Args:
        camera: label of the camera.
        start_time: of the first frame or of images, seconds since the epoch.
        tags: of all rows.
        fps: frames per second of videos that are sampled, at most; 6 by default.
        scenes: whether images are whole scenes, on which people are to be found, not crops of one person.
    """

    camera: str | None = None
    start_time: float | None = None
    tags: tuple[str, ...] = ()
    fps: float | None = None
    scenes: bool = False


@dataclass(frozen=True)
class Job:
    """A job as it is at one moment.

    Args:
        id: number of it.
        gallery: that is added to.
        source: path that was named, as people may see it.
        who: named it.
        settings: see `IngestSettings`.
        state: what it does.
        what: which video or step is under way.
        part: number of the video or step, from 1, and `parts` how many there are.
        parts: see ``part``.
        done: frames or batches done of the step.
        total: how many there are, where that is known.
        crops: rows added that are crops.
        tracklets: rows added that are tracklets.
        known: what was there before.
        errors: a line for each file that could not be read; of many the first.
        more_errors: how many more there are.
        notes: sentences that a user must see.
        began: seconds since the epoch; ``None`` while it waits.
        ended: seconds since the epoch.
    """

    id: int
    gallery: str
    source: str
    who: str
    settings: IngestSettings
    state: State = "waiting"
    what: str = ""
    part: int = 0
    parts: int = 0
    done: int = 0
    total: int | None = None
    crops: int = 0
    tracklets: int = 0
    known: int = 0
    errors: tuple[str, ...] = ()
    more_errors: int = 0
    notes: tuple[str, ...] = ()
    began: float | None = None
    ended: float | None = None
