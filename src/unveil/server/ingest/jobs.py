"""Adding videos, images and live streams from the page, as jobs that can be paused, resumed and cancelled.

Videos and images are added one after the other; a live stream has a thread of its own, until it ends or is cancelled. A
job is kept for as long as the server runs, whoever looks. What it added stays; the same video named again resumes where
it stopped, after a restart too, as the store has how far each video is.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from unveil.data.file_reads import longest_read
from unveil.errors import DataError, UnveilError
from unveil.gallery.sources.roots import SourceMissingError, SourceRoots
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.server.access.tokens import Caller
from unveil.server.ingest.records import ENDED, IngestSettings, Job, State
from unveil.server.ingest.runner import JobRunner
from unveil.server.ingest.running import CancelledError, RunningJob
from unveil.video.addresses import is_address
from unveil.video.detectors.detect import Detector

MAX_KEPT, MAX_WAITING, MAX_STREAMS = 100, 50, 8
LIVE = "live:"  # before the name of a stream, where a path stands otherwise
LEAVE = 5.0  # seconds that a stream or file that does not come is waited for when the server ends
log = logging.getLogger("unveil.server")


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
        *,
        roots: SourceRoots,
        streams: Mapping[str, str],
        detector: Callable[[], Detector],
        parser: Callable[[], OnnxParser | None],
    ) -> None:
        self._runner = JobRunner(store, engine, roots=roots, detector=detector, parser=parser)
        self._roots = roots
        self.streams = streams
        self._numbers = itertools.count(1)
        self._news = threading.Condition()
        self._jobs: dict[int, RunningJob] = {}
        self._closed = False
        self._thread: threading.Thread | None = None
        self._live: list[threading.Thread] = []

    def close(self) -> None:
        """Cancel what runs, and wait until it has ended.

        A stream of which nothing comes is left to itself, and so is a job whose file does not come.
        """
        with self._news:
            self._closed = True
            for running in self._jobs.values():
                running.cancel()
            self._news.notify_all()
        for thread in (*self._live, *([self._thread] if self._thread else [])):
            while thread.is_alive() and longest_read() < LEAVE:
                thread.join(LEAVE / 50)

    def all(self, gallery: str) -> list[Job]:
        """Return the jobs of a gallery, the newest first."""
        with self._news:
            return [running.job for running in reversed(self._jobs.values()) if running.job.gallery == gallery]

    def submit(self, gallery: str, source: str, *, settings: IngestSettings, caller: Caller) -> Job:
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
        place = self._address(source) if live else self._roots.of(gallery).find(source)
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
            running = self._jobs[job.id] = RunningJob(job, place, role=caller.role, lock=self._news)
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
        return self._steer(gallery, number, states=("running",), change=lambda r: r.resume.clear(), state="paused")

    def resume(self, gallery: str, number: int) -> Job:
        """Let a paused job continue."""
        return self._steer(gallery, number, states=("paused",), change=lambda r: r.resume.set(), state="running")

    def cancel(self, gallery: str, number: int) -> Job:
        """End a job; what it added stays."""
        return self._steer(
            gallery, number, states=("waiting", "running", "paused"), change=RunningJob.cancel, state=None
        )

    def _steer(
        self,
        gallery: str,
        number: int,
        *,
        states: tuple[State, ...],
        change: Callable[[RunningJob], None],
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

    def _attempt(self, running: RunningJob) -> None:
        state: State = "done"
        try:
            self._runner.run(running)
        except CancelledError:
            state = "cancelled"
        except UnveilError as e:
            state = "failed"
            running.note([str(e)])
        except Exception:
            log.exception("job %d", running.job.id)
            state = "failed"
            running.note(["a part of the server failed; its log says which"])
        running.change(state=state, ended=time.time())

    def _next(self) -> RunningJob | None:
        return next((r for r in self._jobs.values() if r.job.state == "waiting"), None)
