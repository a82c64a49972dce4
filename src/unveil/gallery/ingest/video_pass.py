"""One pass through a video: people are found and followed, and the crops of each track are embedded and written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from unveil.attributes.from_parser import attributes_of
from unveil.data.file_reads import reading
from unveil.gallery.ingest.adding import (
    BATCH,
    Added,
    count,
    key_of,
    mean_embedding,
    thumbnail,
    tracklet_item,
)
from unveil.gallery.ingest.best_crops import OpenTrack, best_rows, view_of
from unveil.gallery.ingest.people_check import people_on
from unveil.gallery.ingest.quality import body_shares, combined_quality, looked_at, without_occluded_parts
from unveil.gallery.ingest.refining import settled
from unveil.gallery.ingest.video_job import VideoJob
from unveil.gallery.ingest.video_settings import VideoSettings
from unveil.gallery.records import Item
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser, Parsed
from unveil.progress import still, track
from unveil.records import Embedding
from unveil.video.decode import Video
from unveil.video.detectors.detect import Detector
from unveil.video.detectors.precomputed import GivenBoxes
from unveil.video.groups import without_groups
from unveil.video.image_sequence import ImageSequence
from unveil.video.prefetch import ReadAhead
from unveil.video.records import Box, Frame
from unveil.video.tracks import GivenTracks, Tracker

CUT = 600.0  # seconds of video after which every track is ended, so that a state can be kept and memory stays bounded
LIVE_CUT = 60.0
SAVE = 10.0  # seconds of video between two states, where nobody is in sight
CHECKED = 3  # crops of a tracklet on which the parser must see a person, most of them


@dataclass
class VideoPass:
    """One pass through a video."""

    engine: Engine
    detector: Detector | GivenBoxes
    settings: VideoSettings
    parser: OnnxParser | None
    job: VideoJob
    video: Video | ImageSequence
    label: str
    tracklets: int = 0
    added: Added = field(default_factory=lambda: Added(""))
    open: dict[str, OpenTrack] = field(default_factory=dict)
    finished: list[tuple[str, OpenTrack]] = field(default_factory=list)
    held: int = 0

    def run(self, first: int, since: float) -> None:
        """Go through the frames from ``first`` on; nobody was in sight, or all was cut, at ``since`` seconds."""
        tracker = self._tracker()
        cut = LIVE_CUT if self.video.live else CUT
        saved = last = since
        started: float | None = None
        number = first - 1
        stopped = False
        part, away = 0, 0.0
        frames = ReadAhead(
            self.video.frames(self.settings.every, self.settings.fps, first=first),
            drop=self.video.live,
            waits=lambda: still(self._what, self.added.frames, total=self._total(first)),
        )
        try:
            for frame in track(frames, self._what, total=self._total(first)):
                started = frame.time if started is None else started
                if self.settings.seconds is not None and frame.time - started >= self.settings.seconds:
                    stopped = True
                    break
                if frame.part != part:  # whoever is there now need not be who was there before the break
                    part, away = frame.part, away + frame.time - last
                    tracker = self._tracker()
                    self._close(set())
                    self._write()
                number, last = frame.number, frame.time
                boxes = self._boxes(frame)
                for name, box in tracker.update(frame, boxes):
                    seen = self.open.setdefault(name, OpenTrack(self.settings.crops, remembers=not self._tracked))
                    seen.see(frame, box, others=[other for other in boxes if other is not box])
                self.added = replace(self.added, frames=self.added.frames + 1, boxes=self.added.boxes + len(boxes))
                self._close(tracker.alive)
                if not tracker.idle and last - since >= cut:
                    tracker = self._tracker()
                    self._close(set())
                    self._write()
                if not self.open and tracker.idle:
                    since = last
                    if since - saved >= SAVE or self._waiting() >= BATCH:
                        self._write(number + 1, since)
                        saved = since
                elif self._waiting() >= BATCH and len(self.finished) > self.held:
                    self._write(now=last)
        except BaseException as e:  # Ctrl-C, or what an observer raises who cancels
            if self.video.live:  # what was seen cannot be seen again; a read that hangs must not delay it
                self._close(set())
                self._write()
            if not self.video.live or not isinstance(e, KeyboardInterrupt):
                raise
        finally:
            self.video.stop()
            with reading(Path(self.label)):
                frames.close()
        footage = 0.0 if started is None else last - started - away
        self.added = replace(self.added, footage=footage, dropped=frames.dropped, reopened=self.video.reopened)
        self._close(set())
        self._write(number + 1, last, complete=not stopped)

    def _tracker(self) -> Tracker | GivenTracks:
        if isinstance(self.detector, GivenBoxes):
            return GivenTracks(self.detector) if self.detector.tracked else Tracker(0.5)
        return Tracker(self.detector.high)

    @property
    def _tracked(self) -> bool:
        return isinstance(self.detector, GivenBoxes) and self.detector.tracked

    def _rate(self) -> float:
        own = self.video.rate
        return min(own, self.settings.fps) if self.settings.fps else own / self.settings.every

    @property
    def _what(self) -> str:
        return f"processing {self.label}"

    def _total(self, first: int) -> int | None:
        seconds = self.video.seconds
        return None if seconds is None else max(1, int(self._rate() * seconds) - first // self.settings.every)

    def _boxes(self, frame: Frame) -> list[Box]:
        if isinstance(self.detector, GivenBoxes):
            return self.detector.boxes(frame.number)
        return without_groups(self.detector.detect(frame.image))

    def _close(self, alive: set[str]) -> None:
        """End the tracks that have ended."""
        for name in [name for name in self.open if name not in alive]:
            ended = self.open.pop(name)
            if ended.boxes:
                self.finished.append((name, ended))

    def _waiting(self) -> int:
        return sum(min(len(ended.pool), self.settings.crops) for _, ended in self.finished)

    def _refined(self, now: float | None) -> list[tuple[str, OpenTrack]]:
        """Return the tracklets of the finished tracks, and hold back those that may still continue.

        Args:
            now: timestamp in the video, seconds; ``None``: nothing is held back.
        """
        if self._tracked:
            ready, self.finished = self.finished, []
        else:
            ready, self.finished = settled(self.finished, self.open.values(), now=now)
        self.held = len(self.finished)
        return [(name, track) for name, track in ready if track.boxes >= self.settings.shortest]

    def _shows_person(self, track: OpenTrack) -> bool:
        """Return whether the parser sees a person on most of the best crops of what a detector found."""
        if self.parser is None or isinstance(self.detector, GivenBoxes):
            return True
        best = best_rows([crop.quality for crop in track.pool], CHECKED)
        seen = people_on([track.pool[row].image for row in best], self.parser)
        return bool(2 * seen.sum() > len(seen))

    def _write(
        self, frame: int | None = None, timestamp: float = 0.0, *, complete: bool = False, now: float | None = None
    ) -> None:
        """Embed and write the finished tracks; with ``frame``, also the state from which the rest can be done."""
        before = self.finished
        try:
            self._write_refined(self._refined(now), frame=frame, timestamp=timestamp, complete=complete)
        except BaseException:  # Ctrl-C too: a live stream is ended with another try
            self.finished = before
            raise

    def _write_refined(
        self, refined: list[tuple[str, OpenTrack]], *, frame: int | None, timestamp: float, complete: bool
    ) -> None:
        there = self.job.known([self._key(ended) for _, ended in refined])
        refined = [(name, ended) for name, ended in refined if self._key(ended) not in there]
        refined = [(name, ended) for name, ended in refined if self._shows_person(ended)]
        why = tuple(f"{self._key(ended)}: {'; '.join(ended.reasons)}" for _, ended in refined if ended.reasons)
        rows = [self._crops(name, ended) for name, ended in refined]
        crops = [item for items, _, _ in rows for item in items]
        images = [image for _, found, _ in rows for image in found]
        cameras = [self.settings.camera] * len(images)
        embedding = self.engine.embed(images, cameras=cameras)
        whole, kept, means, start = [], [], [], 0
        for items, _, parsed in rows:
            scores = np.array([item.quality or 0.0 for item in items])
            kept.append(without_occluded_parts(embedding.select(slice(start, start + len(items))), parsed))
            means.append(mean_embedding(kept[-1], scores))
            whole.append(tracklet_item(str(items[0].tracklet), items))
            start += len(items)
        # The timestamps of a tracklet are those of its track, not only those of the crops that are kept.
        whole = [
            replace(item, time=self._timestamp(ended.begin), end=self._timestamp(ended.end))
            for item, (_, ended) in zip(whole, refined, strict=True)
        ]
        tracklets = self.tracklets + len(there) + len(whole)
        state = None if frame is None else self.job.state(frame, timestamp, tracklets=tracklets, complete=complete)
        together_with = Embedding.concatenate([*(kept or [embedding]), *means])
        new = self.job.write([*crops, *whole], together_with, state=state, fingerprint=self.engine.fingerprint)
        self.tracklets = tracklets
        self.added = replace(self.added, joined=self.added.joined + why)
        if new:
            sum_of = self.added
            self.added = replace(sum_of, crops=sum_of.crops + new - len(whole), tracklets=sum_of.tracklets + len(whole))
            count(new - len(whole), len(whole))

    def _crops(self, name: str, ended: OpenTrack) -> tuple[list[Item], list[Any], Parsed | None]:
        """Return the rows and the pixels of the crops of a track that are kept, and their parsing."""
        parsed = looked_at([c.image for c in ended.pool], self.parser)
        shown = body_shares(parsed, len(ended.pool))
        quality = [combined_quality(c.quality, share) for c, share in zip(ended.pool, shown, strict=True)]
        picked = best_rows(
            [q.score for q in quality], self.settings.crops, views=[view_of(c.image) for c in ended.pool]
        )
        images = [ended.pool[row].image for row in picked]
        parsed = None if parsed is None else parsed.select(picked)
        person = name if isinstance(self.detector, GivenBoxes) and self.detector.people else None
        items = [
            Item(
                self.job.key_of_crop(ended.pool[row].frame, ended.pool[row].box),
                "crop",
                thumbnail(ended.pool[row].image),
                source=self.label,
                camera=self.settings.camera,
                time=self._timestamp(ended.pool[row].time),
                person=person,
                tracklet=self._key(ended),
                frame=ended.pool[row].frame,
                box=ended.pool[row].box,
                tags=self.settings.tags,
                visible=quality[row].visible,
                quality=quality[row].score,
                attributes=looks,
            )
            for row, looks in zip(picked, attributes_of(images, parsed), strict=True)
        ]
        return items, images, parsed

    def _key(self, ended: OpenTrack) -> str:
        return key_of(self.job.video, "track", *(ended.first or ()))

    def _timestamp(self, seconds: float) -> float:
        return (self.settings.start_time or 0.0) + seconds
