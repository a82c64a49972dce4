"""What one job does: its source is read, people are found and embedded, and the audit log says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from unveil.data.walk import is_dir
from unveil.errors import DataError
from unveil.gallery.audit import audited
from unveil.gallery.ingest.adding import counted
from unveil.gallery.ingest.images import ImageSettings, add_images
from unveil.gallery.ingest.scenes import add_scenes
from unveil.gallery.ingest.video import add_video
from unveil.gallery.ingest.video_settings import DEFAULT_FPS, VideoSettings
from unveil.gallery.ingest.works import Work, work_of_file, works_in_folder
from unveil.gallery.sources.roots import SourceMissingError, SourceRoots
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.progress import observed
from unveil.server.ingest.running import RunningJob
from unveil.video.addresses import without_password
from unveil.video.decode import DAY_OF_WAITS
from unveil.video.detectors.detect import Detector


class JobRunner:
    """Adds the source of a job to its gallery.

    Args:
        store: where galleries are.
        engine: embeds.
        roots: folders below which sources may be named.
        detector: makes what finds people; called once for videos and images, and once for each stream.
        parser: makes what says how much of a body shows; called as often.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        *,
        roots: SourceRoots,
        detector: Callable[[], Detector],
        parser: Callable[[], OnnxParser | None],
    ) -> None:
        self._store = store
        self._engine = engine
        self._roots = roots
        self._make_detector, self._make_parser = detector, parser
        self._tools: tuple[Detector, OnnxParser | None] | None = None

    def run(self, running: RunningJob) -> None:
        """Add everything, with an audit entry before and one after.

        Raises:
            CancelledError: the job was cancelled; what it had added stays.
            UnveilError: the source as a whole cannot be read.
        """
        job, place = running.job, running.place
        if isinstance(place, str):
            works, said = [Work(place, "stream")], ""
        else:
            # What was sent to other galleries is not even named.
            folder = is_dir(place)
            works, said = works_in_folder(place, without=self._roots.closed) if folder else ([work_of_file(place)], "")
        running.change(parts=len(works), notes=(said,) if said else ())
        entry = {
            "who": job.who, "role": running.role, "action": "add", "gallery": job.gallery,
            "details": {"source": without_password(str(place)), "camera": job.settings.camera, "job": job.id},
        }  # fmt: skip
        with audited(self._store.log, entry) as outcome:
            try:
                with observed(running.step), counted(running.count):
                    for number, work in enumerate(works, 1):
                        what = Path(work.source).name if isinstance(place, Path) else job.source
                        running.change(part=number, done=0, total=None, what=what)
                        self._add(running, work)
            finally:
                outcome |= {"crops": running.job.crops, "tracklets": running.job.tracklets, "known": running.job.known}

    def _add(self, running: RunningJob, work: Work) -> None:
        """Add one video, a stream, or all images; a video that cannot be read is an error of that file alone."""
        settings, name = running.job.settings, running.job.gallery
        footage = VideoSettings(settings.camera, settings.start_time, settings.tags, fps=settings.fps or DEFAULT_FPS)
        add_this_video = partial(add_video, self._store, name, engine=self._engine, source=work.source)
        if work.kind == "stream":
            detector, parser, footage = self._make_detector(), self._make_parser(), replace(footage, waits=DAY_OF_WAITS)
            running.close_count(add_this_video(detector=detector, settings=footage, parser=parser))
            return
        try:
            samples = [sample for sample in work.samples if self._inside(running, sample.path or work.source)]
            if work.kind == "video" and not self._inside(running, work.source):
                return
            detector, parser = self._made_tools()
            images = ImageSettings(settings.camera, settings.start_time, settings.tags)
            if work.kind == "video":
                added = add_this_video(detector=detector, settings=footage, parser=parser)
            elif settings.scenes:
                added = add_scenes(
                    self._store, name, engine=self._engine, samples=samples, detector=detector, source=work.source,
                    settings=images, parser=parser,
                )  # fmt: skip
            else:
                added = add_images(
                    self._store,
                    name,
                    engine=self._engine,
                    samples=samples,
                    source=work.source,
                    settings=images,
                    parser=parser,
                )
        except DataError as e:
            running.note([str(e)])
            return
        running.close_count(added)

    def _inside(self, running: RunningJob, path: Path | str) -> bool:
        """Return whether a file is where it may be read: links in a folder may lead out of it."""
        try:
            self._roots.of(running.job.gallery).check(Path(path), str(path))
        except SourceMissingError as e:
            running.note([str(e)])
            return False
        return True

    def _made_tools(self) -> tuple[Detector, OnnxParser | None]:
        if self._tools is None:
            self._tools = (self._make_detector(), self._make_parser())
        return self._tools
