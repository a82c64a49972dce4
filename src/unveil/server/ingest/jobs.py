"""Adding videos, images and live streams from the page, as jobs that can be paused, resumed and cancelled.

Videos and images are added one after the other; a live stream has a thread of its own, until it ends or is cancelled. A
job is kept for as long as the server runs, whoever looks. What it added stays; the same video named again goes on where
it was, after a restart too, as the store has how far each video is.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unveil.data.walk import is_dir
from unveil.errors import DataError, UnveilError
from unveil.gallery.audit import audited
from unveil.gallery.ingest.adding import Added
from unveil.gallery.ingest.images import PictureSettings, add_pictures
from unveil.gallery.ingest.scenes import add_scenes
from unveil.gallery.ingest.video import DEFAULT_FPS, VideoSettings, add_video
from unveil.gallery.ingest.works import Work, work_of_file, works_in_folder
from unveil.gallery.sources.roots import SourceMissingError, SourceRoots
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.progress import observed
from unveil.server.access.tokens import Caller
from unveil.server.ingest.records import ENDED, IngestSettings, Job, State
from unveil.video.decode import DAY_OF_WAITS, is_address, without_password
from unveil.video.detectors.detect import Detector

MAX_KEPT, MAX_WAITING, MAX_ERRORS, MAX_STREAMS = 100, 50, 200, 8
LIVE = "live:"  # before the name of a stream, where a path stands otherwise
LEAVE = 5.0  # seconds that a stream is waited for when the server ends
log = logging.getLogger("unveil.server")


class CancelledError(Exception):
    """Somebody ended the job."""


@dataclass
class _Running:
    job: Job
    place: Path | str  # a path, or the address of a stream
    role: str
    resume: threading.Event = field(default_factory=threading.Event)
    cancelled: bool = False


class IngestJobs:
    """Runs jobs of videos and images in one thread, so that searches keep most of the machine, and streams beside them.

    Args:
        store: where galleries are.
        engine: embeds.
        roots: folders below which sources may be named.
        streams: addresses of live streams that may be named, by name.
        detector: makes what finds people; called once for videos and images, and once for each stream.
        parser: makes what says how much of a body shows; called as often.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        roots: SourceRoots,
        *,
        streams: Mapping[str, str],
        detector: Callable[[], Detector],
        parser: Callable[[], OnnxParser | None],
    ) -> None:
        self._store = store
        self._engine = engine
        self._roots = roots
        self.streams = streams
        self._make_detector, self._make_parser = detector, parser
        self._tools: tuple[Detector, OnnxParser | None] | None = None
        self._numbers = itertools.count(1)
        self._news = threading.Condition()
        self._jobs: dict[int, _Running] = {}
        self._closed = False
        self._thread: threading.Thread | None = None
        self._live: list[threading.Thread] = []

    def close(self) -> None:
        """Cancel what runs, and wait until it has ended; a stream of which nothing comes is left to itself."""
        with self._news:
            self._closed = True
            for running in self._jobs.values():
                running.cancelled = True
                running.resume.set()
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join()
        until = time.monotonic() + LEAVE
        for thread in self._live:
            thread.join(max(0.0, until - time.monotonic()))

    def all(self, gallery: str) -> list[Job]:
        """Return the jobs of a gallery, the newest first."""
        with self._news:
            return [running.job for running in reversed(self._jobs.values()) if running.job.gallery == gallery]

    def submit(self, gallery: str, source: str, settings: IngestSettings, *, caller: Caller) -> Job:
        """Begin a job, or let it wait for those before it.

        Raises:
            SourceMissingError: the source is not there, or lies in no folder that may be named.
            DataError: it is no video, image or folder, or is being added already, or too many jobs wait.
        """
        if is_address(source):
            raise DataError(
                "an address cannot be named from here: `unveil serve --stream NAME=ADDRESS` gives it a name"
            )
        live = source.startswith(LIVE)
        place = self._address(source) if live else self._roots.find(source)
        if live and settings.camera is None:
            settings = replace(settings, camera=source.removeprefix(LIVE))
        with self._news:
            waiting = [r for r in self._jobs.values() if r.job.state not in ENDED]
            if any((r.job.gallery, r.place) == (gallery, place) for r in waiting):
                raise DataError(f"{source} is being added to {gallery!r} already")
            if len(waiting) >= MAX_WAITING:
                raise DataError(f"{MAX_WAITING} jobs wait already: let some of them end")
            if live and sum(isinstance(r.place, str) for r in waiting) >= MAX_STREAMS:
                raise DataError(f"{MAX_STREAMS} streams are being added already: cancel one of them")
            job = Job(next(self._numbers), gallery, source, caller.name, settings)
            running = self._jobs[job.id] = _Running(job, place, caller.role)
            running.resume.set()
            over = [number for number, r in self._jobs.items() if r.job.state in ENDED]
            for number in over[: max(0, len(self._jobs) - MAX_KEPT)]:
                del self._jobs[number]
            if live:
                running.job = replace(job, state="running", began=time.time())
                self._live = [thread for thread in self._live if thread.is_alive()]
                self._live.append(threading.Thread(target=self._attempt, args=(running,), name=source, daemon=True))
                self._live[-1].start()
            elif self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ingest", daemon=True)
                self._thread.start()
            self._news.notify_all()
            return running.job

    def _address(self, source: str) -> str:
        address = self.streams.get(source.removeprefix(LIVE))
        if address is None:
            known = ", ".join(f"{LIVE}{name}" for name in self.streams) or "none"
            raise SourceMissingError("gone", f"no stream {source!r} is open for this; those that are: {known}")
        return address

    def pause(self, gallery: str, number: int) -> Job:
        """Let a job wait before its next frame or batch; DataError where it does not run."""
        return self._steer(gallery, number, ("running",), lambda r: r.resume.clear(), state="paused")

    def resume(self, gallery: str, number: int) -> Job:
        """Let a paused job go on."""
        return self._steer(gallery, number, ("paused",), lambda r: r.resume.set(), state="running")

    def cancel(self, gallery: str, number: int) -> Job:
        """End a job; what it added stays."""

        def end(running: _Running) -> None:
            running.cancelled = True
            running.resume.set()

        return self._steer(gallery, number, ("waiting", "running", "paused"), end, state=None)

    def _steer(
        self,
        gallery: str,
        number: int,
        states: tuple[State, ...],
        change: Callable[[_Running], None],
        *,
        state: State | None,
    ) -> Job:
        with self._news:
            running = self._jobs.get(number)
            if running is None or running.job.gallery != gallery:
                raise DataError(f"gallery {gallery!r} has no job {number}")
            if running.job.state not in states:
                raise DataError(f"job {number} is {running.job.state}: it would have to be {' or '.join(states)}")
            change(running)
            if running.cancelled and running.job.state == "waiting":
                state = "cancelled"
            if state is not None:
                ended = time.time() if state == "cancelled" else None
                running.job = replace(running.job, state=state, ended=ended)
            self._news.notify_all()
            return running.job

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._closed or self._next() is not None)
                running = self._next()
                if self._closed or running is None:
                    return
                running.job = replace(running.job, state="running", began=time.time())
            self._attempt(running)

    def _attempt(self, running: _Running) -> None:
        state: State = "done"
        try:
            self._run(running)
        except CancelledError:
            state = "cancelled"
        except UnveilError as e:
            state = "failed"
            self._note(running, [str(e)])
        except Exception:
            log.exception("job %d", running.job.id)
            state = "failed"
            self._note(running, ["a part of the server failed; its log says which"])
        self._change(running, state=state, ended=time.time())

    def _next(self) -> _Running | None:
        return next((r for r in self._jobs.values() if r.job.state == "waiting"), None)

    def _run(self, running: _Running) -> None:
        job, place = running.job, running.place
        if isinstance(place, str):
            works, said = [Work(place, "stream")], ""
        else:
            works, said = works_in_folder(place) if is_dir(place) else ([work_of_file(place)], "")
        self._change(running, parts=len(works), notes=(said,) if said else ())
        entry = {
            "who": job.who, "role": running.role, "action": "add", "gallery": job.gallery,
            "details": {"source": without_password(str(place)), "camera": job.settings.camera, "job": job.id},
        }  # fmt: skip
        with audited(self._store.log, entry) as outcome:
            try:
                with observed(lambda what, done, total: self._step(running, what, done, total)):
                    for number, work in enumerate(works, 1):
                        what = Path(work.source).name if isinstance(place, Path) else job.source
                        self._change(running, part=number, done=0, total=None, what=what)
                        self._add(running, work)
            finally:
                outcome |= {"crops": running.job.crops, "tracklets": running.job.tracklets, "known": running.job.known}

    def _add(self, running: _Running, work: Work) -> None:
        """Add one video, a stream, or all images; a video that cannot be read is an error of that file alone."""
        settings, name = running.job.settings, running.job.gallery
        footage = VideoSettings(settings.camera, settings.start_time, settings.tags, fps=settings.fps or DEFAULT_FPS)
        if work.kind == "stream":
            detector, parser, footage = self._make_detector(), self._make_parser(), replace(footage, waits=DAY_OF_WAITS)
            self._count(running, add_video(self._store, name, self._engine, work.source, detector, footage, parser))
            return
        try:
            samples = [sample for sample in work.samples if self._inside(running, sample.path or work.source)]
            if work.kind == "video" and not self._inside(running, work.source):
                return
            detector, parser = self._ready()
            pictures = PictureSettings(settings.camera, settings.start_time, settings.tags)
            if work.kind == "video":
                added = add_video(self._store, name, self._engine, work.source, detector, footage, parser)
            elif settings.scenes:
                added = add_scenes(
                    self._store, name, self._engine, samples, detector, source=work.source, settings=pictures,
                    parser=parser,
                )  # fmt: skip
            else:
                added = add_pictures(self._store, name, self._engine, samples, work.source, pictures, parser)
        except DataError as e:
            self._note(running, [str(e)])
            return
        self._count(running, added)

    def _inside(self, running: _Running, path: Path | str) -> bool:
        """Return whether a file is where it may be read: links in a folder may lead out of it."""
        try:
            self._roots.check(Path(path), str(path))
        except SourceMissingError as e:
            self._note(running, [str(e)])
            return False
        return True

    def _ready(self) -> tuple[Detector, OnnxParser | None]:
        if self._tools is None:
            self._tools = (self._make_detector(), self._make_parser())
        return self._tools

    def _step(self, running: _Running, what: str, done: int, total: int | None) -> None:
        """Note how far a job is, wait while it is paused, and end it when it is cancelled."""
        self._change(running, done=done, total=total)
        running.resume.wait()
        if running.cancelled:
            raise CancelledError

    def _count(self, running: _Running, added: Added) -> None:
        job = running.job
        self._change(
            running, crops=job.crops + added.crops, tracklets=job.tracklets + added.tracklets,
            known=job.known + added.known, notes=(*job.notes, *added.notes),
        )  # fmt: skip
        self._note(running, added.bad)

    def _note(self, running: _Running, lines: Any) -> None:
        errors = (*running.job.errors, *lines)
        more = running.job.more_errors + max(0, len(errors) - MAX_ERRORS)
        self._change(running, errors=errors[:MAX_ERRORS], more_errors=more)

    def _change(self, running: _Running, **changes: Any) -> None:
        with self._news:
            running.job = replace(running.job, **changes)
