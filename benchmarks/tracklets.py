"""Tracklets of two films beside who is seen when: purity, tracklets for each person, IDF1, HOTA, time.

    python benchmarks/tracklets.py --video vtest=vtest.avi --video intel=one-by-one-person-detection.mp4
        yolox-nano [DETECTOR ...] [--out benchmarks/results/tracklets.csv]

Each film goes through the same code as `unveil gallery add`, at six frames per second, with the default model, without
a database. A DETECTOR is ``hog``, a card or model file, or the name of an installed one. The truth is in
``benchmarks/truth/tracks_NAME.csv``: boxes of two networks at all sampled frames, given to people by eye on
enlarged frames. Rows with ``seen`` 0 are where somebody is covered by others or by a sign and lies between two boxes:
they count neither for nor against. IDF1 and HOTA are those of the library ``trackers``, which matches TrackEval.

Purity: share of all boxes of tracklets that belong to the person whom the tracklet shows most; boxes on nobody count
against it. A stay is the time of one person from entering to leaving the frame. An object: a tracklet most of whose
boxes are on nobody.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from trackers.eval import compute_hota_metrics, compute_identity_metrics

from csv_rows import measured_on, write_rows
from unveil.atomic_io import sha256
from unveil.gallery.ingest.best_crops import OpenTrack
from unveil.gallery.ingest.quality import find_parser
from unveil.gallery.ingest.video_pass import VideoPass
from unveil.gallery.ingest.video_settings import DEFAULT_FPS, VideoSettings
from unveil.inference.load import load_engine
from unveil.models.catalogue.detectors import named_detector
from unveil.pretrained import DEFAULT_MODEL
from unveil.video.decode import Video
from unveil.video.detectors.detect import load_detector

TRUTH = Path(__file__).parent / "truth"
RESULTS = Path(__file__).parent / "results" / "tracklets.csv"
OVERLAP = 0.5
AWAY = 3.0  # seconds without a sight of a person that end a stay
BY_CHANCE = 2  # boxes on a second person from which a tracklet is mixed

Boxes = dict[int, list[tuple[str, np.ndarray, bool]]]


class Job:
    """Stands in for the state in a database: nothing was there before, everything is taken."""

    video = "benchmark"
    name = "benchmark"

    def known(self, keys: list[str]) -> set[str]:
        return set()

    def state(self, *values: Any, **named: Any) -> dict[str, Any]:
        return {}

    def write(self, items: list[Any], *rest: Any, **named: Any) -> int:
        return len(items)


class Recorded(VideoPass):
    """The work of adding a video, which also remembers the boxes of its tracklets."""

    def _crops(self, name: str, ended: OpenTrack) -> Any:
        tracklets.append(ended)
        return super()._crops(name, ended)


tracklets: list[OpenTrack] = []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+")
    parser.add_argument("--video", action="append", required=True, metavar="NAME=FILE", help="name in the truth, file")
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV to write")
    args = parser.parse_args()
    engine, sees = load_engine(DEFAULT_MODEL, "onnx"), find_parser(1)
    rows = []
    for text in args.video:
        name, _, file = text.partition("=")
        wanted_hash = json.loads((TRUTH / "people.json").read_text())["videos"][name]["sha256"]
        if sha256(Path(file)) != wanted_hash:
            raise SystemExit(f"{file} is not the {name} that was counted: its SHA-256 is not {wanted_hash}")
        for wanted in args.detectors:
            detector = load_detector(named_detector(wanted), 1)
            tracklets.clear()
            settings = VideoSettings(fps=DEFAULT_FPS)
            start = time.process_time()
            with Video(file) as video:
                work = Recorded(engine, detector, settings, sees, Job(), video, name)  # type: ignore[arg-type]
                work.run(0, 0.0)
            seconds = time.process_time() - start
            found = {str(n): {s.frame: s.box for s in track.steps} for n, track in enumerate(tracklets)}
            minutes = work.added.footage / 60
            rows.append({"video": name, "detector": Path(wanted).stem, **scored(found, read_truth(name)),
                         "cpu_seconds_per_minute": f"{seconds / minutes:.1f}", **measured_on()})  # fmt: skip
            print(rows[-1], flush=True)
    write_rows(args.out, rows)


def read_truth(name: str) -> Boxes:
    """Return person, box ``(4,)`` x, y, w, h and whether it counts, by frame."""
    truth: Boxes = defaultdict(list)
    with (TRUTH / f"tracks_{name}.csv").open() as f:
        for row in csv.DictReader(f):
            box = np.array([float(row[k]) for k in ("x", "y", "width", "height")])
            truth[int(row["frame"])].append((row["person"], box, row["seen"] == "1"))
    return truth


def scored(found: dict[str, dict[int, Any]], truth: Boxes) -> dict[str, object]:
    """Compare tracklets, frame -> box of each, with the truth."""
    by_frame: dict[int, list[tuple[str, Any]]] = defaultdict(list)
    for tracklet, boxes in found.items():
        for frame, box in boxes.items():
            by_frame[frame].append((tracklet, box))
    people = {p: n for n, p in enumerate(sorted({p for there in truth.values() for p, _, seen in there if seen}))}
    number = {t: n for n, t in enumerate(found)}
    owners: dict[str, Counter[str]] = {t: Counter() for t in found}
    ours, theirs, similar = [], [], []
    for frame in sorted(truth.keys() | by_frame.keys()):
        there, boxes = truth.get(frame, []), by_frame.get(frame, [])
        shared = overlaps([b for _, b in boxes], [b for _, b, _ in there])
        near = np.where(shared >= OVERLAP, shared, 0)
        pairs = {int(i): int(j) for i, j in zip(*linear_sum_assignment(-near), strict=True) if near[i, j] > 0}
        for i, (tracklet, _) in enumerate(boxes):
            if i not in pairs:
                owners[tracklet][""] += 1
            elif there[pairs[i]][2]:
                owners[tracklet][there[pairs[i]][0]] += 1
        kept = [i for i in range(len(boxes)) if i not in pairs or there[pairs[i]][2]]
        counted = [j for j, (_, _, seen) in enumerate(there) if seen]
        ours.append(np.array([number[boxes[i][0]] for i in kept], int))
        theirs.append(np.array([people[there[j][0]] for j in counted], int))
        similar.append(shared[np.ix_(kept, counted)].T)
    identity = compute_identity_metrics(theirs, ours, similar)
    hota = compute_hota_metrics(theirs, ours, similar)
    return summary(owners, truth) | {"IDF1": f"{identity['IDF1']:.3f}", "HOTA": f"{hota['HOTA']:.3f}"}


def summary(owners: dict[str, Counter[str]], truth: Boxes) -> dict[str, object]:
    on_people = {t: Counter({p: n for p, n in c.items() if p}) for t, c in owners.items()}
    everything = sum(sum(c.values()) for c in owners.values())
    main_person = sum(max(c.values(), default=0) for c in on_people.values())
    objects = sum(1 for t, c in owners.items() if 2 * c[""] > sum(c.values()))
    mixed = sum(1 for c in on_people.values() if sum(n >= BY_CHANCE for n in c.values()) > 1)
    people = {p for there in truth.values() for p, _, seen in there if seen}
    entered, visible = stays(truth), sum(seen for there in truth.values() for _, _, seen in there)
    shown = len(owners) - objects
    return {
        "people": len(people), "stays": entered, "tracklets": len(owners), "objects": objects, "mixed": mixed,
        "purity": f"{main_person / max(everything, 1):.3f}", "tracklets_per_person": f"{shown / len(people):.2f}",
        "tracklets_per_stay": f"{shown / entered:.2f}",
        "recall": f"{sum(sum(c.values()) for c in on_people.values()) / visible:.3f}",
    }  # fmt: skip


def stays(truth: Boxes) -> int:
    """Return how often somebody entered the frame; both films have ten frames per second."""
    last: dict[str, int] = {}
    count = 0
    for frame in sorted(truth):
        for person, _, _ in truth[frame]:
            count += person not in last or frame - last[person] > 10 * AWAY
            last[person] = frame
    return count


def overlaps(boxes: list[Any], others: list[Any]) -> np.ndarray:
    """Return the intersection over union of boxes ``(N, 4)`` and ``(M, 4)`` x, y, w, h as ``(N, M)``."""
    a, b = np.array(boxes, float).reshape(-1, 1, 4), np.array(others, float).reshape(1, -1, 4)
    corner, far = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(far - corner, 0, None).prod(axis=2)
    return np.asarray(shared / np.maximum(a[..., 2:].prod(axis=2) + b[..., 2:].prod(axis=2) - shared, 1e-9))


if __name__ == "__main__":
    main()
