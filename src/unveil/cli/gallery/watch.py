"""``unveil watch``: alerts when somebody on a list passes a camera."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unveil.cli import help_panels
from unveil.cli.gallery.stores import FolderOption, StoreOption, opened
from unveil.errors import DataError
from unveil.pretrained import DEFAULT_MODEL

if TYPE_CHECKING:
    from unveil.gallery.alert_records import Alert, WatchEntry
    from unveil.gallery.store.protocol import Store
    from unveil.inference.engine import Engine
    from unveil.parsing.onnx_parser import OnnxParser


def command(
    source: Annotated[str, typer.Argument(help="rtsp://, http:// ..., or a video that is played as a stream.")],
    gallery: Annotated[str, typer.Option(help="Gallery whose model and calibration are used, and that keeps alerts.")],
    watch_list: Annotated[
        Path | None,
        typer.Option(
            "--list",
            help="CSV with the columns name and path: images of each person; several rows make one entry.",
            rich_help_panel=help_panels.QUERY,
        ),
    ] = None,
    queries: Annotated[
        list[Path] | None,
        typer.Option(
            "--query", help="Image of a person, named by its file; repeat it.", rich_help_panel=help_panels.QUERY
        ),
    ] = None,
    case: Annotated[
        str | None, typer.Option(help="Case whose searches are the list.", rich_help_panel=help_panels.QUERY)
    ] = None,
    model: Annotated[Path, typer.Option(help="Model of the gallery.")] = Path(DEFAULT_MODEL),
    camera: Annotated[str | None, typer.Option(help="Label of the camera.")] = None,
    mode: Annotated[Literal["same", "changed"], typer.Option(help="Clothes: the same, or may have changed.")] = "same",
    cool_down: Annotated[
        float, typer.Option(min=0, help="Seconds after an alert in which the same entry raises no other.")
    ] = 60.0,
    threshold: Annotated[
        float | None,
        typer.Option(help="Distance up to which an alert is raised, without a calibration.", min=0),
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(help="Address that gets each alert as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many false alarms are to be expected, and end.")
    ] = False,
    fps: Annotated[
        float | None,
        typer.Option(min=0.1, help="Sample at most this many frames per second.", rich_help_panel=help_panels.VIDEO),
    ] = 6.0,
    real_time: Annotated[
        bool,
        typer.Option(help="Play a video in real time.", rich_help_panel=help_panels.VIDEO),
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(help="Stop after that much video.", rich_help_panel=help_panels.VIDEO)
    ] = None,
    detector: Annotated[
        Path | None,
        typer.Option(
            help="Detector; the best installed, else the package's own, by default.",
            rich_help_panel=help_panels.VIDEO,
        ),
    ] = None,
    skip_person_check: Annotated[
        bool,
        typer.Option(
            "--skip-person-check",
            help="Take images too on which no person is seen.",
            rich_help_panel=help_panels.QUERY,
        ),
    ] = False,
    why: Annotated[
        str | None, typer.Option(help="Reason, for the audit log.", rich_help_panel=help_panels.AUDIT)
    ] = None,
    engine: Annotated[
        Literal["auto", "torch", "onnx", "openvino"],
        typer.Option(help="What runs the model.", rich_help_panel=help_panels.EXECUTION),
    ] = "auto",
    store: StoreOption = None,
    folder: FolderOption = None,
) -> None:
    """Watch a live stream, or a video as one, for people on a list, and raise an alert for each.

    Alerts are lines of JSON on standard output; the page shows them too, and a webhook may get them. How many false
    alarms are to be expected is printed before it starts, from the gallery's calibration; without one it refuses,
    unless `--threshold` is given. A stream that breaks is opened again after 1, 2, 4 ... 60 s, and says so. Ctrl-C ends
    it.

    **Examples:** `unveil watch rtsp://camera/1 --gallery station --case "Stolen bicycle" --camera gate`,
    `unveil watch monday.mp4 --gallery station --query coat.png --dry-run`
    """
    from unveil.gallery.audit import audited, user
    from unveil.gallery.ingest.quality import find_parser
    from unveil.gallery.watching.removed import without_removed
    from unveil.gallery.watching.watch_list import WatchList, calibrated_threshold, expected_false_alarms
    from unveil.gallery.watching.watcher import Watcher, WatchSettings
    from unveil.gallery.watching.webhook import Webhook
    from unveil.inference.load import load_engine
    from unveil.models.catalogue.detectors import chosen_detector
    from unveil.video.decode import DAY_OF_WAITS, Video
    from unveil.video.detectors.detect import load_detector

    with opened(store, folder) as found:
        info = found.info(gallery)
        ready, parser = load_engine(model, engine, check=info.space.check_model), find_parser()
        fitted = None if threshold is not None else calibrated_threshold(info, mode)
        entries = _entries(watch_list, queries, case, found, ready, parser, skip_person_check)
        limit = threshold if fitted is None else fitted.threshold
        assert limit is not None  # one of the two is there
        listed = WatchList(entries, limit, mode=mode, without_removed=partial(without_removed, found))
        if fitted is None:
            typer.echo(
                f"{len(entries)} entries; not calibrated: how many false alarms to expect is not known", err=True
            )
        else:
            expected = expected_false_alarms(info, fitted, entries=len(entries))
            typer.echo(f"{len(entries)} entries; {expected}. {fitted.about()}", err=True)
        if dry_run:
            return
        finder = load_detector(chosen_detector(detector)[0])
        hook = None if webhook is None else Webhook(webhook, lambda words: _say("webhook failed", {"words": words}))
        who = user()

        def raised(alert: Alert) -> None:
            # What cannot be logged is not told.
            found.log(
                {
                    "who": who, "action": "alert", "gallery": gallery, "query": alert.query,
                    "details": {"camera": alert.camera, "time": alert.time, "distance": alert.distance},
                }
            )  # fmt: skip
            found.alerts.add(gallery, alert)
            _say("alert", alert.to_dict())
            if hook is not None:
                hook.send(alert.to_dict())

        settings = WatchSettings(camera, fps, cool_down, real_time, seconds)
        entry = {
            "who": who, "action": "watch", "gallery": gallery, "why": why,
            "details": {"camera": camera, "entries": [e.hash for e in entries], "threshold": limit},
        }  # fmt: skip
        try:
            with (
                audited(found.log, entry) as outcome,
                Video(
                    source, waits=DAY_OF_WAITS, broke=lambda words, wait: _say("lost", {"words": words, "wait": wait})
                ) as video,
            ):
                watcher = Watcher(
                    listed, ready, detector=finder, parser=parser, settings=settings, calibration=fitted,
                    raise_alert=raised, tell=_say,
                )  # fmt: skip
                del entries, listed  # the watcher drops what is removed; nothing else may keep it in memory
                outcome |= asdict(watcher.watch(video))
        finally:
            if hook is not None:
                hook.close()


def _say(event: str, details: dict[str, Any]) -> None:
    typer.echo(json.dumps({"event": event, **details}))


def _entries(
    watch_list: Path | None,
    queries: list[Path] | None,
    case: str | None,
    store: Store,
    engine: Engine,
    parser: OnnxParser | None,
    skip_person_check: bool,
) -> list[WatchEntry]:
    """Return the entries of a list, of images, and of the searches of a case."""
    from unveil.data.images import read_image

    found: dict[str, list[Any]] = {}
    for name, path in [*(_listed(watch_list) if watch_list else []), *((path.stem, path) for path in queries or ())]:
        found.setdefault(name, []).append((str(path), read_image(path)))
    entries = [
        _entry(name, shown, engine=engine, parser=parser, skip_person_check=skip_person_check)
        for name, shown in found.items()
    ]
    if case is not None:
        entries += _of_case(case, store, engine, parser)
    if not entries:
        raise DataError("nobody to watch for: name images with --list or --query, or a case with --case")
    return entries


def _listed(path: Path) -> list[tuple[str, Path]]:
    """Return name and image of each row of a list.

    Raises:
        DataError: it cannot be read, or is no such list.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise DataError(f"{path} cannot be read as a list: {e}") from None
    if not rows or not {"name", "path"} <= set(rows[0]):
        raise DataError(f"{path}: expected a CSV with the columns name and path")
    bad = [number for number, row in enumerate(rows, 2) if not (row["name"] or "").strip() or not row["path"]]
    if bad:
        raise DataError(f"{path}: line {bad[0]} has no name or no path")
    return [(row["name"].strip(), path.parent / row["path"]) for row in rows]


def _entry(
    name: str, found: list[Any], engine: Engine, parser: OnnxParser | None, skip_person_check: bool
) -> WatchEntry:
    from unveil.gallery.alert_records import WatchEntry
    from unveil.gallery.scoring.ranking import query_hash
    from unveil.gallery.search.query import embed_person

    paths, images = [path for path, _ in found], [image for _, image in found]
    embedding = embed_person(images, paths, engine=engine, parser=parser, skip_person_check=skip_person_check)
    return WatchEntry(name, embedding, query_hash(embedding, engine.fingerprint))


def _of_case(name: str, store: Store, engine: Engine, parser: OnnxParser | None) -> list[WatchEntry]:
    """Return an entry for each search of a case: its images, its rows, and the rows that were confirmed."""
    from unveil.data.images import read_image
    from unveil.gallery.alert_records import MAX_CROPS, WatchEntry
    from unveil.gallery.search.query import embed_person
    from unveil.records import Embedding

    entries = []
    found = store.cases.named(name)
    for query in found.queries:
        shown = [p.data for p in store.cases.images(found.id, query.id) if not p.negative]
        images = [read_image(data, name=query.name) for data in shown]
        names = [query.name] * len(images)
        parts = [embed_person(images, names, engine=engine, parser=parser, skip_person_check=True)] if images else []
        rows: list[int | None] = [None] * len(images)
        if named := [*query.positives, *query.confirmed]:
            if store.info(query.gallery).space.fingerprint != engine.fingerprint:
                raise DataError(
                    f"search {query.name!r} has rows of gallery {query.gallery!r}, which is of another model"
                )
            there, of_rows = store.embeddings(query.gallery, named)
            parts.append(of_rows)
            rows += there.tolist()
        embedding = Embedding.concatenate(parts).select(slice(0, MAX_CROPS))
        # By the hash under which the case knows it: its alerts go when a row that it names is deleted.
        entries.append(WatchEntry(query.name, embedding, query.hash, query.gallery, tuple(rows[:MAX_CROPS])))
    if not entries:
        raise DataError(f"case {name!r} has no search: keep one on the page")
    return entries
