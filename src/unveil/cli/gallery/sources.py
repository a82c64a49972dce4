"""What the sources of ``unveil gallery add`` are: videos, live streams, numbered images that are a video, images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from unveil.errors import DataError

if TYPE_CHECKING:
    from unveil.gallery.ingest.works import Work


def works_of(source: str) -> list[Work]:
    """Return what a source holds.

    Raises:
        DataError: there is nothing of that name.
    """
    from unveil.bulk.shards import check_folder, shard_files
    from unveil.cli.sources import crops_of
    from unveil.data.media_types import VIDEO_SUFFIXES, media_type
    from unveil.data.text import is_file
    from unveil.data.walk import is_dir
    from unveil.datasets.sources import is_dataset
    from unveil.gallery.ingest.works import Work
    from unveil.video.addresses import is_address

    path = Path(source)
    if is_address(source):
        return [Work(source, "stream")]
    if is_dataset(source):
        return [
            Work(source, "images", crops_of(source).samples, source.partition(":")[0] not in ("folder", "manifest"))
        ]
    if is_dir(path) and shard_files(path):
        check_folder(path)
        return [Work(source, "images", crops=True, shards=True)]
    if is_dir(path):
        return _in_folder(path)
    if path.suffix.lower() in VIDEO_SUFFIXES and not is_file(path):  # said before a model is loaded
        raise DataError(f"{source}: no such video")
    if is_file(path) and path.suffix.lower() != ".csv" and media_type(path) != "image":
        return [Work(source, "video")]
    return [Work(source, "images", crops_of(source).samples)]


def _in_folder(folder: Path) -> list[Work]:
    from unveil.gallery.ingest.works import works_in_folder

    works, said = works_in_folder(folder)
    if said:
        typer.echo(f"{folder}: {said}", err=True)
    return works


def check_options(works: Sequence[Work], given: dict[str, bool], *, boxes: bool, detector: bool) -> bool:
    """Refuse options that would do nothing; return whether people are to be found on images.

    Args:
        works: what is to be added.
        given: options about videos and streams, by name -> whether they were given.
        boxes: whether boxes are given.
        detector: whether a detector is named.

    Boxes are for the one video, if there is one: images beside it are crops.

    Raises:
        DataError: names the option and what it is for.
    """
    kinds = {work.kind for work in works}
    for option, is_given in given.items():
        wanted = ("stream",) if option in ("--tries",) else ("video", "stream")
        if is_given and kinds.isdisjoint(wanted):
            what = "a live stream" if wanted == ("stream",) else "a video, a folder of numbered images or a live stream"
            raise DataError(f"{option} would do nothing: none of the sources is {what}")
    videos = sum(work.kind != "images" for work in works)
    if boxes and (videos > 1 or (not videos and len(works) > 1)):
        raise DataError(f"--boxes belong to one video or one folder of images: name exactly one, not {len(works)}")
    finds = detector or (boxes and not videos)
    if finds and not videos and all(work.crops for work in works):
        option = "--boxes" if boxes else "--detector"
        raise DataError(f"{option} would do nothing: {works[0].source} is a dataset whose images are crops of people")
    return finds
