"""How a video is sampled, and what is said of all of it."""

from __future__ import annotations

from dataclasses import dataclass

from unveil.errors import DataError
from unveil.video.decode import WAITS

DEFAULT_FPS = 6.0  # frames per second that are sampled unless told otherwise: enough to follow people who walk


@dataclass(frozen=True)
class VideoSettings:
    """How a video is sampled, and what is said of all of it.

    Args:
        camera: label of its camera.
        start_time: of its first frame, seconds since the epoch; a live stream begins now. Without it, times count from
            the first frame.
        tags: of all rows.
        every: sample every n-th frame.
        fps: sample at most this many frames per second, whatever the video's rate; instead of ``every``.
        crops: at most this many of each tracklet are kept.
        shortest: tracklets of fewer boxes are left out.
        seconds: stop after that much video.
        retention_seconds: seconds after which the rows of a new gallery expire.
        waits: seconds before each try to open a live stream again that broke.
    """

    camera: str | None = None
    start_time: float | None = None
    tags: tuple[str, ...] = ()
    every: int = 1
    fps: float | None = None
    crops: int = 4
    shortest: int = 5
    seconds: float | None = None
    retention_seconds: float | None = None
    waits: tuple[float, ...] = WAITS

    def __post_init__(self) -> None:
        if not 1 <= self.crops <= 100 or self.shortest < 1 or (self.seconds is not None and not self.seconds > 0):
            raise DataError(
                f"expected 1 to 100 crops, shortest >= 1 and seconds > 0, got {self.crops}, {self.shortest} and "
                f"{self.seconds}"
            )
