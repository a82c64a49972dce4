"""What a folder or a file holds that can be added to a gallery: images, videos, numbered images that are a video."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unveil.data.media_types import VIDEO_SUFFIXES, media_type
from unveil.data.text import is_file
from unveil.data.walk import walk
from unveil.errors import DataError
from unveil.records import Sample
from unveil.video.image_sequence import is_sequence

Kind = Literal["video", "stream", "images"]


@dataclass(frozen=True)
class Work:
    """One thing to be added: a video file or a folder of numbered images, a live stream, or images.

    Args:
        source: what it is called.
        kind: what it is.
        samples: the images.
        crops: whether a dataset says that the images are crops of people.
        shards: whether it is a folder of shards, whose crops are embedded already.
    """

    source: str
    kind: Kind
    samples: tuple[Sample, ...] = ()
    crops: bool = False
    shards: bool = False


def works_in_folder(folder: Path, *, without: Path | None = None) -> tuple[list[Work], str]:
    """Return what a folder holds, and in words what of it is left out.

    Args:
        folder: to look through.
        without: a folder inside it that is left out.

    Raises:
        DataError: it holds neither an image nor a video.
    """
    found = walk(folder, without=without)
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in found.images:
        by_folder[path.parent].append(path)
    sequences = [place for place, images in by_folder.items() if is_sequence(images)]
    images = [path for path in found.images if path.parent not in sequences]
    said = str(found.left_out)
    samples = tuple(Sample(path.relative_to(folder).as_posix(), path) for path in images)
    works = [Work(str(folder), "images", samples)] if samples else []
    works += [Work(str(path), "video") for path in (*sequences, *found.videos)]
    if not works:
        raise DataError(f"{folder}: neither an image nor a video was found{f' ({said})' if said else ''}")
    return works, said


def work_of_file(path: Path) -> Work:
    """Return what one file is.

    Raises:
        DataError: there is no such file.
    """
    if not is_file(path):
        raise DataError(f"{path}: no such file")
    if path.suffix.lower() in VIDEO_SUFFIXES or media_type(path) != "image":
        return Work(str(path), "video")
    return Work(str(path), "images", (Sample(path.name, path),))
