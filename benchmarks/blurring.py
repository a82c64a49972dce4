"""Sheets of exported crops, for counting by eye on how many of them a face is still seen.

    python benchmarks/blurring.py SHEETS --crops sarc3d=FOLDER:60 --video vtest=FILE:40 [--detector NAME] [--seed 1]

Crops are drawn at random from a folder, or from boxes that a detector finds on random frames of a video. Each is
blurred as an export is, enlarged to one height, and put on a numbered sheet; ``crops.csv`` says where each number comes
from. A sheet of other people's faces is no image to publish: only what was counted is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from csv_rows import measured_on, write_rows
from unveil.data.images import read_sample
from unveil.datasets.sources import crops_of
from unveil.gallery.output.blur import blur_faces, face_parser
from unveil.models.catalogue.detectors import named_detector
from unveil.video.decode import Video
from unveil.video.detectors.detect import load_detector
from unveil.video.records import Box

HEIGHT, WIDTH = 240, 120  # of a place on a sheet, pixels
COLUMNS, ROWS = 14, 4
FRAMES_PER_CROP = 2  # that are sampled; nobody is on some


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheets", type=Path, help="folder to write")
    parser.add_argument("--crops", action="append", default=[], metavar="NAME=FOLDER:COUNT")
    parser.add_argument("--video", action="append", default=[], metavar="NAME=FILE:COUNT")
    parser.add_argument("--detector", help="of people on videos; OpenCV's HOG by default")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    drawn: list[tuple[str, np.ndarray]] = []
    for kind, texts in ((from_folder, args.crops), (from_video, args.video)):
        for text in texts:
            name, _, rest = text.partition("=")
            place, _, count = rest.rpartition(":")
            drawn += [(f"{name} {where}", crop) for where, crop in kind(place, int(count), rng, args.detector)]
    blurred = blur_faces([crop for _, crop in drawn], face_parser())
    args.sheets.mkdir(parents=True, exist_ok=True)
    write_rows(
        args.sheets / "crops.csv", [{"crop": n, "from": where} | measured_on() for n, (where, _) in enumerate(drawn)]
    )
    size = COLUMNS * ROWS
    for first in range(0, len(blurred), size):
        sheet = np.full((ROWS * HEIGHT, COLUMNS * WIDTH, 3), 255, np.uint8)
        for place, crop in enumerate(blurred[first : first + size]):
            put(sheet, crop, place, first + place)
        cv2.imwrite(str(args.sheets / f"sheet{first // size}.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    print(f"{len(blurred)} crops on sheets in {args.sheets}")


def from_folder(
    place: str, count: int, rng: np.random.Generator, detector: str | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield random crops of a folder, each with its name."""
    samples = crops_of(place).samples
    for number in rng.choice(len(samples), count, replace=False):
        yield samples[number].key, read_sample(samples[number])


def from_video(
    place: str, count: int, rng: np.random.Generator, detector: str | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield crops of the people on random frames of a video, one a frame, each with its frame."""
    finder = load_detector(named_detector(detector) if detector else None, 1)
    with Video(place) as video:
        total = sum(1 for _ in video.frames())
    wanted = set(rng.choice(total, min(total, FRAMES_PER_CROP * count), replace=False).tolist())
    found = []
    with Video(place) as video:
        for frame in video.frames():
            if frame.number in wanted:
                boxes = [box for box in finder.detect(frame.image) if box.score >= finder.high]
                whole = rng.choice(boxes)[:4] if boxes else None
                if whole is not None and (area := Box(*whole).whole(frame.image.shape[1], frame.image.shape[0])):
                    x, y, w, h = area
                    found.append((f"frame {frame.number}", frame.image[y : y + h, x : x + w].copy()))
    for number in sorted(rng.permutation(len(found))[:count]):
        yield found[number]


def put(sheet: np.ndarray, crop: np.ndarray, place: int, number: int) -> None:
    """Draw a crop and its number at a place of the sheet."""
    top, left = place // COLUMNS * HEIGHT, place % COLUMNS * WIDTH
    factor = min((HEIGHT - 4) / crop.shape[0], (WIDTH - 4) / crop.shape[1])
    size = max(1, round(factor * crop.shape[1])), max(1, round(factor * crop.shape[0]))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC)
    sheet[top : top + size[1], left : left + size[0]] = small
    cv2.putText(sheet, str(number), (left + 2, top + HEIGHT - 6), 0, 0.45, (255, 0, 0), 1)


if __name__ == "__main__":
    main()
