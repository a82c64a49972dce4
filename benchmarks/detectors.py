"""Detectors beside OpenCV's HOG on frames in which the people were counted by eye.

    python benchmarks/detectors.py --video vtest=vtest.avi --video intel=one-by-one-person-detection.mp4 hog yolox-nano
        [DETECTOR ...] [--out benchmarks/results/detectors.csv]

A DETECTOR is ``hog``, ``unveil:detector`` (the package's own), a card or model file, or the name of an installed one.
The boxes of the people are in ``benchmarks/truth/people.json``; the videos are fetched by whoever runs this. A box is
right when its intersection over union with somebody who has no better box yet is 0.5 or more, best scores first. Boxes
on people of whom less than half is seen count neither for nor against. Two rows a detector: boxes that may begin a
track, and all that it gives.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csv_rows import measured_on, write_rows
from unveil.atomic_io import sha256
from unveil.models.catalogue.detectors import named_detector
from unveil.video.decode import Video
from unveil.video.detectors.detect import Detector, load_detector
from unveil.video.records import Box

TRUTH = Path(__file__).parent / "truth" / "people.json"
RESULTS = Path(__file__).parent / "results" / "detectors.csv"
OVERLAP = 0.5  # intersection over union from which a box is somebody's


@dataclass
class Count:
    """What was counted of one detector on one video."""

    frames: int = 0
    people: int = 0
    boxes: int = 0
    right: int = 0
    unsure: int = 0

    @property
    def recall(self) -> float:
        """Share of the people who have a box."""
        return self.right / self.people

    @property
    def precision(self) -> float:
        """Share of the boxes that are somebody's, without those on people of whom too little is seen."""
        return self.right / max(self.boxes - self.unsure, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+")
    parser.add_argument("--video", action="append", required=True, metavar="NAME=FILE", help="name in the truth, file")
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV to write")
    args = parser.parse_args()
    rows = []
    for text in args.video:
        name, _, file = text.partition("=")
        truth = json.loads(TRUTH.read_text())["videos"][name]
        if sha256(Path(file)) != truth["sha256"]:
            raise SystemExit(f"{file} is not the {name} that was counted: its SHA-256 is not {truth['sha256']}")
        frames = list(sampled(Path(file), truth["frames"]))
        for wanted in args.detectors:
            detector = load_detector(named_detector(wanted), 1)
            detector.detect(frames[0][0])  # the first run builds what the others use
            found, seconds = [], 0.0
            for image, _, _ in frames:
                start = time.process_time()
                found.append(detector.detect(image))
                seconds += time.process_time() - start
            for what, least in (("begins a track", detector.high), ("all", 0.0)):
                count = counted(found, [f[1:] for f in frames], least=least)
                spent = {"cpu_seconds": f"{seconds / len(frames):.3f}"}
                rows.append(row(name, wanted, detector, what, count) | spent | measured_on())
                print(rows[-1], flush=True)
    write_rows(args.out, rows)


def sampled(file: Path, truth: dict[str, dict[str, list[list[float]]]]) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the frames that were counted with the boxes of their people, sure and unsure: ``(N, 4)`` x, y, w, h."""
    with Video(file) as video:
        for frame in video.frames():
            if (counted := truth.get(str(frame.number))) is not None:
                yield (
                    frame.image,
                    *(np.array(counted[kind], float).reshape(-1, 4) for kind in ("people", "unsure")),
                )


def counted(found: Sequence[Sequence[Box]], truth: Sequence[tuple[np.ndarray, ...]], *, least: float) -> Count:
    """Count boxes of at least a score against the people of every frame."""
    total = Count(frames=len(truth))
    for boxes, (people, unsure) in zip(found, truth, strict=True):
        free = np.ones(len(people), bool)
        total.people += len(people)
        for box in sorted((b for b in boxes if b.score >= least), key=lambda b: -b.score):
            total.boxes += 1
            shared = overlap(box, people) * free
            if shared.max(initial=0) >= OVERLAP:
                free[int(shared.argmax())] = False
                total.right += 1
            elif overlap(box, unsure).max(initial=0) >= OVERLAP:
                total.unsure += 1
    return total


def overlap(box: Box, others: np.ndarray) -> np.ndarray:
    """Return the intersection over union of a box with ``(N, 4)`` boxes x, y, w, h."""
    x, y, w, h = box[:4]
    across = np.minimum(x + w, others[:, 0] + others[:, 2]) - np.maximum(x, others[:, 0])
    down = np.minimum(y + h, others[:, 1] + others[:, 3]) - np.maximum(y, others[:, 1])
    shared = np.clip(across, 0, None) * np.clip(down, 0, None)
    return shared / (w * h + others[:, 2] * others[:, 3] - shared)


def row(video: str, wanted: str, detector: Detector, what: str, count: Count) -> dict[str, object]:
    return {
        "video": video, "detector": Path(wanted).stem, "file": detector.name, "boxes": what, "frames": count.frames,
        "people": count.people, "found": count.right, "recall": f"{count.recall:.3f}",
        "precision": f"{count.precision:.3f}", "boxes_per_frame": f"{count.boxes / count.frames:.2f}",
    }  # fmt: skip


if __name__ == "__main__":
    main()
