"""Watching a stream or a video: people are found and followed, compared while they are in sight, and alerts raised."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unveil.errors import UnveilError
from unveil.gallery.alert_records import Alert, WatchEntry
from unveil.gallery.ingest.adding import mean_embedding, thumbnail
from unveil.gallery.ingest.best_crops import Candidate, OpenTrack
from unveil.gallery.ingest.quality import without_occluded
from unveil.gallery.scoring.calibration import Calibration
from unveil.gallery.watching.watch_list import WatchList
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.records import Embedding
from unveil.video.decode import Video
from unveil.video.detectors.detect import Detector
from unveil.video.prefetch import ReadAhead
from unveil.video.records import Frame
from unveil.video.tracks import Tracker

MIN_BOXES = 3  # of a track before it is compared: what shows once is often nobody
CROPS = 3  # of a track that are compared
LOOK_AGAIN = 2.0  # seconds of video between two comparisons of one track
ASK_AGAIN = 60.0  # seconds after which it is asked what of the list was removed
Event = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class WatchSettings:
    """How a stream is watched.

    Args:
        camera: label of its camera.
        fps: frames per second that are sampled, at most.
        cool_down: seconds after an alert in which the same entry raises no other.
        real_time: play a video as fast as it was filmed, not as fast as it can be processed.
        seconds: stop after that much video.
    """

    camera: str | None = None
    fps: float | None = None
    cool_down: float = 60.0
    real_time: bool = False
    seconds: float | None = None


@dataclass
class Counts:
    """What a watch saw: frames, people (tracks), alerts, tracks that the cool-down held back, breaks of the stream.

    And how many entries went from the list because their rows were removed.
    """

    frames: int = 0
    people: int = 0
    alerts: int = 0
    held_back: int = 0
    breaks: int = 0
    removed: int = 0


@dataclass(eq=False)
class _Seen:
    track: OpenTrack = field(default_factory=lambda: OpenTrack(CROPS, remembers=False))
    compared_at: float = -np.inf
    compared_boxes: int = 0
    raised: set[str] = field(default_factory=set)
    held_back: set[str] = field(default_factory=set)


class Watcher:
    """Watches one stream.

    Args:
        watch_list: whom to look for. What of it is still there is asked every minute, and before an alert.
        engine: embeds who passes; its model must be that of the list.
        detector: finds people.
        parser: says which parts are occluded.
        settings: see `WatchSettings`.
        calibration: gives alerts a probability.
        raise_alert: called with each alert; what it raises ends the watch.
        tell: called with what happens to the stream: "connected", "lost", "reconnected", "ended"; and to the list:
            "removed".
    """

    def __init__(
        self,
        watch_list: WatchList,
        engine: Engine,
        *,
        detector: Detector,
        parser: OnnxParser | None,
        settings: WatchSettings,
        calibration: Calibration | None,
        raise_alert: Callable[[Alert], None],
        tell: Event,
    ) -> None:
        self._list: WatchList | None = watch_list
        self._threshold = watch_list.threshold
        self._engine = engine
        self._detector = detector
        self._parser = parser
        self._settings = settings
        self._calibration = calibration
        self._raise = raise_alert
        self._tell = tell
        self._seen: dict[str, _Seen] = {}
        self._asked = time.monotonic()
        self._last_alert: dict[str, float] = {}
        self.counts = Counts()

    def watch(self, video: Video) -> Counts:
        """Watch until the stream ends for good, the video ends, Ctrl-C is pressed, or nobody is left on the list.

        Returns:
            What was seen.

        Raises:
            DataError: not one frame can be read.
        """
        began = time.time()
        self._tell("connected", {"source": video.source, "live": video.live})
        frames = ReadAhead(video.frames(fps=self._settings.fps), drop=video.live)
        tracker = Tracker(self._detector.high)
        part = 0
        try:
            for frame in self._paced(frames, video):
                if frame.part != part:  # whoever is there now need not be who was there before the break
                    part = frame.part
                    self.counts.breaks += 1
                    self._end(set(), video, began=began)
                    tracker = Tracker(self._detector.high)
                    self._tell("reconnected", {"source": video.source, "breaks": self.counts.breaks})
                self.counts.frames += 1
                boxes = self._detector.detect(frame.image)
                for name, box in tracker.update(frame, boxes):
                    self._seen.setdefault(name, _Seen()).track.see(
                        frame, box, others=[o for o in boxes if o is not box]
                    )
                self._compare(
                    [s for s in self._seen.values() if self._due(s, frame.time)], video, began=began, now=frame.time
                )
                self._end(tracker.alive, video, began=began)
                if time.monotonic() - self._asked >= ASK_AGAIN:
                    with contextlib.suppress(UnveilError):  # it is asked again before an alert
                        self._drop_removed()
                if self._list is None:
                    break
        except KeyboardInterrupt:
            pass
        finally:
            video.stop()
            frames.close()
        self._end(set(), video, began=began)
        why = "all rows of the list were removed" if self._list is None else video.lost or "it ended, or was stopped"
        self._tell("ended", {"source": video.source, "why": why})
        return self.counts

    def _paced(self, frames: ReadAhead, video: Video) -> Iterator[Frame]:
        begun = time.monotonic()
        for frame in frames:
            if self._settings.seconds is not None and frame.time >= self._settings.seconds:
                return
            if self._settings.real_time and not video.live:
                time.sleep(max(0.0, begun + frame.time - time.monotonic()))
            yield frame

    def _due(self, seen: _Seen, now: float) -> bool:
        fresh = seen.track.boxes >= MIN_BOXES and seen.track.boxes > seen.compared_boxes
        return fresh and now - seen.compared_at >= LOOK_AGAIN

    def _end(self, alive: set[str], video: Video, *, began: float) -> None:
        """Compare the tracks that have ended a last time, and let them go."""
        over = [self._seen.pop(name) for name in [name for name in self._seen if name not in alive]]
        whole = [seen for seen in over if seen.track.boxes >= MIN_BOXES]
        self.counts.people += len(whole)
        self._compare([s for s in whole if s.track.boxes > s.compared_boxes], video, began=began, now=np.inf)

    def _compare(self, seen: list[_Seen], video: Video, *, began: float, now: float) -> None:
        if not seen or self._list is None:
            return
        crops = [sorted(s.track.pool, key=lambda c: -c.quality)[:CROPS] for s in seen]
        images = [crop.image for found in crops for crop in found]
        cameras = [self._settings.camera] * len(images)
        embedding = without_occluded(self._engine.embed(images, cameras=cameras), images, parser=self._parser)
        rows, start = [], 0
        for found in crops:
            quality = np.array([crop.quality for crop in found])
            rows.append(mean_embedding(embedding.select(slice(start, start + len(found))), quality))
            start += len(found)
        people = Embedding.concatenate(rows)
        listed = self._list
        matches = listed.matches(people)
        if any(matches) and self._drop_removed():
            listed = self._list
            if listed is None:
                return
            matches = listed.matches(people)
        for one, found, near in zip(seen, crops, matches, strict=True):
            one.compared_at, one.compared_boxes = now, one.track.boxes
            for number, distance in near:
                self._alert(listed.entries[number], distance, seen=one, crop=found[0], video=video, began=began)

    def _drop_removed(self) -> bool:
        """Take what was removed since from the list, and say so; return whether anything was."""
        if self._list is None:
            return False
        self._asked = time.monotonic()
        left = {entry.name: entry for entry in self._list.still_there()}
        changed = [entry for entry in self._list.entries if left.get(entry.name) is not entry]
        for entry in changed:
            crops = len(left[entry.name].embedding) if entry.name in left else 0
            self.counts.removed += not crops
            self._tell("removed", {"entry": entry.name, "crops_left": crops})
        if changed:
            self._list = self._list.of(list(left.values())) if left else None
        return bool(changed)

    def _alert(
        self, entry: WatchEntry, distance: float, *, seen: _Seen, crop: Candidate, video: Video, began: float
    ) -> None:
        """Raise an alert, once a track and entry, and not within the cool-down of the entry's last one."""
        if entry.name in seen.raised:
            return
        timestamp = seen.track.end
        if timestamp - self._last_alert.get(entry.name, -np.inf) < self._settings.cool_down:
            self.counts.held_back += entry.name not in seen.held_back
            seen.held_back.add(entry.name)  # who stays is compared again: an alert comes once the entry has cooled down
            return
        seen.raised.add(entry.name)
        self._last_alert[entry.name] = timestamp
        self.counts.alerts += 1
        sure = None if self._calibration is None else self._calibration.probability(distance)
        self._raise(
            Alert(
                entry.name, entry.hash, distance, self._threshold, sure, self._settings.camera, video.source,
                began + timestamp if video.live else timestamp, crop.frame, crop.box, thumbnail(crop.image),
            )
        )  # fmt: skip
