"""``unveil gallery add``: images, manifests, videos and live streams into a gallery."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unveil.cli import help_panels
from unveil.cli.gallery.sources import check_options, works_of
from unveil.cli.gallery.stores import FolderOption, StoreOption, duration, opened, timestamp
from unveil.errors import DataError
from unveil.gallery.audit import audited, user
from unveil.pretrained import DEFAULT_MODEL

if TYPE_CHECKING:
    from unveil.gallery.ingest.adding import Added
    from unveil.gallery.records import GalleryInfo
    from unveil.gallery.store.protocol import Store
    from unveil.video.detectors.detect import Detector
    from unveil.video.detectors.precomputed import GivenBoxes

LINES_SHOWN = 20
LONGEST_WAIT = 60.0  # seconds


def command(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Folders, manifests (.csv), images, name:root of datasets, videos, rtsp:// or http://, folders of "
            "shards (`unveil embed --ray`)."
        ),
    ],
    gallery: Annotated[str, typer.Option(help="Name of the gallery; made when it is not there.")],
    model: Annotated[Path, typer.Option(help="A model file, the folder of a run, or an exported model.")] = Path(
        DEFAULT_MODEL
    ),
    camera: Annotated[str | None, typer.Option(help="Label of the camera.")] = None,
    start_time: Annotated[
        str | None, typer.Option(help="When it was filmed: 2026-03-01T08:30 (UTC unless it names a zone) or seconds.")
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Word to filter by; may be given again.")] = None,
    detector: Annotated[
        Path | None,
        typer.Option(
            help="Detector: card or model file, or a name: of an installed one, unveil:detector (the "
            "package's own) or hog (OpenCV's); the best installed, else the package's own, by default.",
            rich_help_panel=help_panels.VIDEO,
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="Boxes that are known already: CSV, JSON or MOT; no detector runs.",
            rich_help_panel=help_panels.VIDEO,
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Sample every n-th frame of videos; 1 samples all.",
            rich_help_panel=help_panels.VIDEO,
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Sample at most this many frames per second; 6 by default, all with --boxes.",
            rich_help_panel=help_panels.VIDEO,
        ),
    ] = None,
    crops: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Crops kept of each tracklet of a video; 4 by default.",
            rich_help_panel=help_panels.VIDEO,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Stop after that much of each video.",
            rich_help_panel=help_panels.VIDEO,
        ),
    ] = None,
    tries: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=20,
            help="Tries to open a broken live stream again, after 1, 2, 4 ... s; 5 by default.",
            rich_help_panel=help_panels.VIDEO,
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            help="Remove what a video gave before, and process it anew.",
            rich_help_panel=help_panels.VIDEO,
        ),
    ] = False,
    engine: Annotated[
        Literal["auto", "torch", "onnx", "openvino"],
        typer.Option(
            help="What runs the model; the fastest by default.",
            rich_help_panel=help_panels.EXECUTION,
        ),
    ] = "auto",
    parser: Annotated[bool, typer.Option(help="Say how much of each body shows.")] = True,
    retention: Annotated[
        str | None, typer.Option(help="How long a new gallery keeps rows: 90d, 12h ..., or forever, the default.")
    ] = None,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print what was added as JSON.",
            rich_help_panel=help_panels.OUTPUT,
        ),
    ] = False,
) -> None:
    """Find people in images and videos, embed them and keep them. What is there already is skipped, by content.

    Stopped or killed, the same command resumes. A live stream is read until Ctrl-C, and opened again where
    it breaks. In a folder images and videos are taken, and numbered images of scenes (`img1/000001.jpg`) are a video;
    files that cannot be read are listed, and the others added. An image is the crop of one person; with `--detector`
    or `--boxes` the people on it are found.

    **Examples:**

    `unveil gallery add crops/ --gallery shop --camera door`

    `unveil gallery add monday.mp4 --gallery station --camera gate --start-time 2026-03-02T08:00`

    `unveil gallery add rtsp://camera/1 --gallery yard --model runs/best --detector yolox.json --fps 5`
    """
    from unveil.gallery.ingest.adding import Added, open_gallery
    from unveil.gallery.ingest.embedded import add_shards
    from unveil.gallery.ingest.images import ImageSettings, add_images
    from unveil.gallery.ingest.quality import find_parser
    from unveil.gallery.ingest.scenes import add_scenes
    from unveil.gallery.ingest.video import add_video
    from unveil.gallery.ingest.video_job import OtherChoicesError
    from unveil.gallery.ingest.video_settings import DEFAULT_FPS, VideoSettings
    from unveil.inference.load import load_engine
    from unveil.video.addresses import without_password
    from unveil.video.decode import WAITS

    if every is not None and fps is not None:
        raise DataError("give --every or --fps, not both")
    if detector is not None and boxes is not None:
        raise DataError("give --detector or --boxes, not both")
    began, labels = timestamp(start_time, "--start-time"), tuple(tags or ())
    kept = None if retention is None else duration(retention)
    waits = WAITS if tries is None else tuple(min(2.0**n, LONGEST_WAIT) for n in range(tries))
    # Boxes that are known may be of a few frames only.
    rate = DEFAULT_FPS if fps is None and every is None and boxes is None else fps
    footage = VideoSettings(
        camera, began, labels, every or 1, rate, crops or 4, seconds=seconds, retention_seconds=kept, waits=waits
    )
    images = ImageSettings(camera, began, labels, kept)
    works = [work for source in sources for work in works_of(source)]
    about_videos = {
        "--every": every is not None, "--fps": fps is not None, "--seconds": seconds is not None,
        "--crops": crops is not None, "--again": again, "--tries": tries is not None,
    }  # fmt: skip
    finds = check_options(works, about_videos, boxes=boxes is not None, detector=detector is not None)
    needs_finder = finds or any(work.kind != "images" for work in works)
    finder = _finder(detector, boxes) if needs_finder else None
    results: list[Added] = []
    with opened(store, folder) as found:
        if retention is not None:
            _check_retention(found, gallery, kept)
        there = _there(found, gallery)
        ready = load_engine(model, engine, check=None if there is None else there.space.check_model)
        sees = find_parser() if parser else None
        for work in works:
            details: dict[str, Any] = {"source": without_password(work.source)}
            if again and work.kind != "images":
                details["again"] = True  # rows go, and of a failure no further entry says how many
            entry = {"who": user(), "action": "add", "gallery": gallery, "details": details}
            try:
                with audited(found.log, entry) as outcome:
                    if work.kind != "images":
                        assert finder is not None
                        added = add_video(
                            found,
                            gallery,
                            engine=ready,
                            source=work.source,
                            detector=finder,
                            settings=footage,
                            parser=sees,
                            again=again,
                        )
                    elif work.shards:
                        added = add_shards(
                            found, gallery, engine=ready, folder=Path(work.source), settings=images, parser=sees
                        )
                    elif finds and not work.crops:
                        assert finder is not None
                        added = add_scenes(
                            found,
                            gallery,
                            engine=ready,
                            samples=work.samples,
                            detector=finder,
                            source=work.source,
                            settings=images,
                            parser=sees,
                        )
                    else:
                        added = add_images(
                            found,
                            gallery,
                            engine=ready,
                            samples=work.samples,
                            source=work.source,
                            settings=images,
                            parser=sees,
                        )
                    outcome |= {name: getattr(added, name) for name in ("crops", "tracklets", "known", "removed")}
            except DataError as e:
                if work.kind == "images" or len(works) == 1 or isinstance(e, OtherChoicesError):
                    raise
                # A name or a model that does not fit is no fault of the video: it is refused here again.
                open_gallery(found, gallery, engine=ready, retention_seconds=kept)
                added = Added(without_password(work.source), bad=(str(e),))
            results.append(added)
            _tell(added, as_json)
        info = found.info(gallery)
    if as_json:
        typer.echo(json.dumps({"gallery": gallery, "crops": info.crops, "tracklets": info.tracklets,
                               "engine": ready.kind, "added": [asdict(r) for r in results]}, indent=2))  # fmt: skip
    else:
        typer.echo(f"{gallery}: {info.crops} crops, {info.tracklets} tracklets; embedded by {ready.kind}")
    raise typer.Exit(1 if any(r.bad for r in results) else 0)


def _finder(detector: Path | None, boxes: Path | None) -> Detector | GivenBoxes:
    from unveil.models.catalogue.detectors import chosen_detector
    from unveil.video.detectors.detect import load_detector
    from unveil.video.detectors.precomputed import GivenBoxes

    if boxes is not None:
        return GivenBoxes(boxes)
    chosen, about = chosen_detector(detector)
    if about:
        typer.echo(about, err=True)
    return load_detector(chosen)


def _there(store: Store, name: str) -> GalleryInfo | None:
    return next((info for info in store.galleries() if info.name == name), None)


def _check_retention(store: Store, name: str, retention: float | None) -> None:
    """Refuse to say of a gallery that is there how long it keeps its rows: adding does not change that."""
    there = _there(store, name)
    if there is not None and there.retention_seconds != retention:
        raise DataError(
            f"--retention is for a new gallery and {name!r} is there: `unveil gallery expire {name} --retention ...`"
        )


def _tell(added: Added, as_json: bool) -> None:
    for note in added.notes:
        typer.echo(f"warning: {note}", err=True)
    for line in added.bad[:LINES_SHOWN]:
        typer.echo(f"left out: {line}", err=True)
    if len(added.bad) > LINES_SHOWN:
        typer.echo(f"left out: {len(added.bad) - LINES_SHOWN} more (--json lists them all)", err=True)
    if not as_json:
        typer.echo(str(added))
