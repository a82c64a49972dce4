"""Crops per second from files to vectors: a model of others through this package, and as its publisher's demos run it.

    python benchmarks/foreign_speed.py CROPS MODEL [MODEL ...] [--crops 256] [--out FILE.csv]

CROPS is a folder or ``name:root``, MODEL what ``unveil embed`` takes. The demos read a file with OpenCV, resize it, lay
it out, and infer it alone, waiting for the answer: written anew here, with OpenVINO's own settings but for its threads,
of which both have one. This package reads into its image store and embeds in batches, as ``unveil embed`` does. Rounds
go in turn; the first ones, in which the package finds out how many crops to run at a time, are not counted. Seconds are
those of the processor, which other work on the machine changes little, and of the clock. The vectors are compared.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import openvino

from csv_rows import measured_on, write_rows
from unveil.datasets.sources import crops_of
from unveil.inference.load import load_engine
from unveil.inference.steps import ROUNDS as TRIALS
from unveil.inference.steps import STEPS
from unveil.models.embed import embed_samples
from unveil.models.foreign.reid_card import ReidCard, read_reid_card
from unveil.models.locate import locate
from unveil.records import Sample

RESULTS = Path(__file__).parent / "results" / "foreign_speed.csv"
ROUNDS = 7


@dataclass
class Variant:
    """One way from files to vectors, with the seconds that each round took."""

    run: Callable[[Sequence[Sample]], np.ndarray]
    processor: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)
    vectors: np.ndarray = field(default_factory=lambda: np.empty(0))

    def measure(self, samples: Sequence[Sample], *, counted: bool) -> None:
        begun, start = time.process_time(), time.perf_counter()
        self.vectors = self.run(samples)
        if counted:
            self.processor.append(time.process_time() - begun)
            self.clock.append(time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--crops", type=int, default=256, help="how many, from all over the data")
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV to write")
    args = parser.parse_args()
    found = crops_of(args.data).samples
    samples = [found[number * len(found) // args.crops] for number in range(args.crops)]
    cv2.setNumThreads(1)
    rows = []
    for model in args.models:
        ways = {"unveil": Variant(through_package(model)), "demo": Variant(as_demo(model))}
        settling = -(-max(STEPS) * len(STEPS) * TRIALS // args.crops)
        for number in range(settling + ROUNDS):
            for way in ways.values():
                way.measure(samples, counted=number >= settling)
        ours, theirs = (way.vectors for way in ways.values())
        apart = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
        for name, way in ways.items():
            rows.append(
                {
                    "model": load_engine(model, threads=1).name, "way": name, "crops": len(samples), "rounds": ROUNDS,
                    "crops_per_cpu_second": f"{len(samples) / min(way.processor):.1f}",
                    "crops_per_second": f"{len(samples) / min(way.clock):.1f}", "difference": f"{apart.max():.1e}",
                    **measured_on(),
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
    write_rows(args.out, rows)


def through_package(model: str) -> Callable[[Sequence[Sample]], np.ndarray]:
    """Return what embeds files as ``unveil embed`` does, into a new image store each time."""
    engine = load_engine(model, threads=1)

    def run(samples: Sequence[Sample]) -> np.ndarray:
        with tempfile.TemporaryDirectory() as cache:
            return embed_samples(engine, samples, cache=Path(cache))[0].vectors[:, 0]

    return run


def as_demo(model: str) -> Callable[[Sequence[Sample]], np.ndarray]:
    """Return what embeds files one by one with OpenCV and OpenVINO."""
    card, path = read_reid_card(locate(model).path)
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": 1})
    request, output = compiled.create_infer_request(), compiled.output(card.output or 0)

    def run(samples: Sequence[Sample]) -> np.ndarray:
        vectors = []
        for sample in samples:
            request.infer([planes(cv2.imread(str(sample.path)), card)])
            vectors.append(request.get_tensor(output).data.reshape(-1).copy())
        found = np.stack(vectors)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    return run


def planes(image: np.ndarray, card: ReidCard) -> np.ndarray:
    """Return ``(1, 3, H, W)`` float32 of an image as OpenCV reads it, BGR."""
    resized = cv2.resize(image, (card.width, card.height))
    if card.channels == "rgb":
        resized = cv2.cvtColor(resized, cv2.COLOR_BGR2RGB)
    scaled = resized.astype(np.float32)
    if (card.scale, card.mean, card.std) != (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)):
        scaled = (scaled * card.scale - np.float32(card.mean)) / np.float32(card.std)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32)


if __name__ == "__main__":
    main()
