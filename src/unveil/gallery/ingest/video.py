"""A video into a gallery: people are found and followed, the best crops of each are embedded and kept as a tracklet.

What is written goes with a state from which the rest can be done: a time when nobody was in sight, or a cut after
`video_pass.CUT` seconds. Keys are made from the video, the frame and the box. So a video that is added again after a
kill resumes from the last such state, nothing is lost, and nothing is there twice.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from unveil.atomic_io import sha256
from unveil.data.file_reads import reading
from unveil.data.walk import is_dir
from unveil.gallery.ingest.adding import (
    Added,
    key_of,
    nothing,
    open_gallery,
)
from unveil.gallery.ingest.video_job import VideoJob
from unveil.gallery.ingest.video_pass import VideoPass
from unveil.gallery.ingest.video_settings import VideoSettings
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.video.addresses import is_address, without_password
from unveil.video.decode import Video
from unveil.video.detectors.detect import Detector
from unveil.video.detectors.precomputed import GivenBoxes
from unveil.video.image_sequence import ImageSequence

ADDED_BEFORE = (
    "{}: a recording of this address and length was added by an earlier version, which looked at nothing else; if it "
    "was the same, its people are there twice now: --again removes what was added then too"
)


def add_video(
    store: Store,
    name: str,
    *,
    engine: Engine,
    source: str | Path,
    detector: Detector | GivenBoxes,
    settings: VideoSettings | None = None,
    parser: OnnxParser | None = None,
    again: bool = False,
) -> Added:
    """Add the people of a video to a gallery, which is made when it is not there.

    Args:
        store: where galleries are.
        name: of the gallery.
        engine: embeds; its model must be the gallery's.
        source: a file, a folder of numbered images, or the address of a stream; a live one is read until it ends or
            Ctrl-C is pressed.
        detector: finds people, or boxes that are known already.
        settings: how it is sampled; `VideoSettings()` by default.
        parser: says how much of the body shows, which makes for better choices.
        again: remove what the video gave before, under whatever path, and process it anew.

    Raises:
        DataError: the gallery was made with another model, the video cannot be read, or it was begun with other
            settings.
    """
    began = time.monotonic()
    settings = settings or VideoSettings()
    with _opened(source, settings) as video:
        if isinstance(detector, GivenBoxes):
            detector.arrange(video.paths if isinstance(video, ImageSequence) else None)
        open_gallery(store, name, engine=engine, retention_seconds=settings.retention_seconds)
        label = without_password(str(source))
        if video.live and settings.start_time is None:
            settings = replace(settings, start_time=time.time())
        job = VideoJob(
            store,
            name,
            video=_identity(source, video, settings=settings),
            choices=_choices(detector, settings),
            live=video.live,
        )
        earlier = _known_by_length(source, video, job=job)
        removed, notes = 0, (ADDED_BEFORE.format(label),) if earlier else ()
        if earlier and (again or earlier.removing()):
            removed, notes = earlier.remove(nothing(engine)), ()
        removed += job.remove(nothing(engine)) if again or job.removing() else 0
        state = job.begin()
        if state["complete"]:
            return Added(label, known=state["tracklets"], seconds=time.monotonic() - began)
        work = VideoPass(engine, detector, settings, parser, job, video, label, int(state["tracklets"]))
        work.run(int(state["frame"]), float(state["time"]))
        bad = (video.lost,) if video.lost else ()
        return replace(
            work.added, source=label, bad=bad, notes=notes, removed=removed, seconds=time.monotonic() - began
        )


def _opened(source: str | Path, settings: VideoSettings) -> Video | ImageSequence:
    if not is_address(str(source)) and is_dir(Path(source)):
        return ImageSequence(source)
    with reading(Path(without_password(str(source)))):
        return Video(source, waits=settings.waits)


def _identity(source: str | Path, video: Video | ImageSequence, *, settings: VideoSettings) -> str:
    """Return what a video is known by: the content of files, the address of a stream with the time it began.

    What is at an address may be another recording the next day, of the same length: it is known by its size and
    beginning too, where the server tells the size.
    """
    if isinstance(video, ImageSequence):
        return key_of("sequence", *(sha256(path) for path in video.paths))
    if not is_address(str(source)):
        return sha256(Path(source))
    address = without_password(str(source))
    if video.size is None:
        return key_of(address, settings.start_time if video.live else video.seconds)
    return key_of(address, video.seconds, video.size, video.beginning())


def _known_by_length(source: str | Path, video: Video | ImageSequence, *, job: VideoJob) -> VideoJob | None:
    """Return the job of a recording at this address that was added when only its length told it from others."""
    if isinstance(video, ImageSequence) or not is_address(str(source)) or video.size is None or video.seconds is None:
        return None
    known_by = key_of(without_password(str(source)), video.seconds)
    earlier = VideoJob(job.store, job.gallery, video=known_by, choices=job.choices, live=False)
    return earlier if job.store.job_state(job.gallery, earlier.name) else None


def _choices(detector: Detector | GivenBoxes, settings: VideoSettings) -> dict[str, Any]:
    found = f"{detector.name}@{sha256(detector.path)[:12]}" if isinstance(detector, GivenBoxes) else detector.name
    chosen = asdict(settings) | {"detector": found, "tags": list(settings.tags)}
    return {k: v for k, v in chosen.items() if k not in ("seconds", "retention_seconds", "waits")}
