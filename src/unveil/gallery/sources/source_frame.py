"""The frame that a row shows, in the image or video that it came from, checked against the row's own image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unveil.data.images import read_image, resize
from unveil.errors import DataError, ImageError
from unveil.gallery.ingest.images import content_of
from unveil.gallery.records import Item
from unveil.gallery.sources.roots import SourceMissingError, SourceRoots
from unveil.records import Sample
from unveil.video.decode import Video
from unveil.video.image_sequence import ImageSequence
from unveil.video.playback.clip import Clip, cut_clip
from unveil.video.playback.frame import find_frame
from unveil.video.records import Image

# Mean difference in grey levels from the row's image up to which it is that frame; see docs/gallery.md for figures.
SAME = 6.0
BEFORE, AFTER = 4.0, 4.0  # seconds of playback around a sighting
LONGEST = 40.0  # seconds of playback; of a longer tracklet the part around its best crop is shown


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """A frame on which somebody was seen.

    Args:
        path: the image, the video, or the folder of numbered images.
        image: the whole frame, ``(H, W, 3)`` uint8 RGB.
        box: x, y, width, height of the person in pixels of the frame; ``None`` where the image is the crop itself.
        seconds: when it is in the video; ``None`` for an image.
    """

    path: Path
    image: Image
    box: tuple[int, int, int, int] | None
    seconds: float | None


def find_source_frame(item: Item, roots: SourceRoots) -> SourceFrame:
    """Return the frame that the image of a row was cut from.

    Args:
        item: the row; of a tracklet it is the frame of its best crop.
        roots: where sources may be read.

    Raises:
        SourceMissingError: the source may not be shown, is not there, cannot be read, or shows something else there.
    """
    path = roots.find(item.source)
    thumbnail = read_image(item.thumbnail, name=f"row {item.id}")

    def difference(image: Image) -> float:
        return _difference(image, item.box, thumbnail=thumbnail)

    try:
        if item.frame is None and path.is_file():
            image, seconds = read_image(content_of(Sample(str(path), path)), name=str(path)), None
        elif item.frame is None:
            raise SourceMissingError("changed", f"{path.name} is a folder now, and was an image")
        elif path.is_dir():
            images = ImageSequence(path)
            if item.frame >= len(images.paths):
                raise _changed(path)
            roots.check(images.paths[item.frame], item.source)
            image, seconds = read_image(images.paths[item.frame]), item.frame / images.rate
        else:
            with Video(path, waits=()) as video:
                found = find_frame(video, item.frame, difference=difference, enough=SAME)
            if found is None:
                raise _changed(path)
            image, seconds = found[0].image, found[0].time
    except SourceMissingError:
        raise
    except (DataError, ImageError) as e:
        raise SourceMissingError("unreadable", f"{path.name} cannot be read: {_without_path(e, path)}") from None
    if difference(image) > SAME:
        raise _changed(path)
    return SourceFrame(path, image, item.box, seconds)


def clip_around(
    item: Item, source_frame: SourceFrame, *, crops: Sequence[Item], before: float = BEFORE, after: float = AFTER
) -> Clip:
    """Return the part of a video in which a row is seen, with some seconds before and after.

    Args:
        item: the row.
        source_frame: where its image was found.
        crops: the stored crops of the tracklet, the item's own among them; they tell when the tracklet began.
        before: seconds before the sighting begins.
        after: seconds after it ends.

    Raises:
        SourceMissingError: the source is an image, or cannot be played.
    """
    if source_frame.seconds is None:
        raise SourceMissingError("unreadable", "it came from an image: there is nothing to play")
    at = source_frame.seconds
    own = next((c.time for c in crops if c.frame == item.frame and c.box == item.box), None)
    begin = end = at
    if item.kind == "tracklet" and own is not None and item.time is not None and item.end is not None:
        begin, end = at - (own - item.time), at + (item.end - own)
    start = max(begin - before, at - LONGEST / 2, 0.0)
    stop = min(end + after, at + LONGEST / 2)
    try:
        with (
            ImageSequence(source_frame.path)
            if source_frame.path.is_dir()
            else Video(source_frame.path, waits=()) as video
        ):
            return cut_clip(video, start, end=stop)
    except SourceMissingError:
        raise
    except DataError as e:
        raise SourceMissingError("unreadable", f"it cannot be played: {_without_path(e, source_frame.path)}") from None


def _difference(image: Image, box: tuple[int, int, int, int] | None, *, thumbnail: Image) -> float:
    """Return the mean difference in grey levels of a place on a frame and an image; infinity where it lies outside."""
    height, width = image.shape[:2]
    x, y, w, h = box or (0, 0, width, height)
    if x + w > width or y + h > height:
        return float("inf")
    cut = resize(image[y : y + h, x : x + w], *thumbnail.shape[:2])
    return float(np.abs(cut.astype(np.float32) - thumbnail).mean())


def _changed(path: Path) -> SourceMissingError:
    return SourceMissingError("changed", f"{path.name} has changed: where the person was seen it shows something else")


def _without_path(error: Exception, path: Path) -> str:
    return str(error).replace(str(path), path.name).removeprefix(f"{path.name}: ")
