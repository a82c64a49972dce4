"""Train the project's own detector of people on rendered frames, from ImageNet weights, and write what is shipped.

    python scripts/train_detector.py --run runs/detector --out src/unveil/video/detectors/pack

Frames are rendered into the run's folder on first use. Rendering and training go on where they were stopped; the same
seed gives the same run. `benchmarks/detectors.py` measures the outcome.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from run_state import restore, save, update
from torch import Tensor

from unveil.data.augment.sensor import sensor
from unveil.errors import UnveilError
from unveil.export.detector import OVERLAP, export_detector
from unveil.losses.person_detection import Cells, detection_losses, pairwise_overlap, to_corners
from unveil.models.starts import get_start
from unveil.nn.person_detector import PersonDetector
from unveil.progress import show_progress, track
from unveil.world.capture.frames import SHOTS
from unveil.world.frame_mixing import GREY, SURE, FrameMixer, Mixed
from unveil.world.frames import FrameFile, read_frames, write_frames

EMA, CLIP, DECAY = 0.998, 5.0, 0.02
LOWEST = 0.05  # score below which a box is not looked at
BACKBONE = 0.3  # of the learning rate
SENSOR, LOW_RESOLUTION = 0.5, 0.5  # how poor the cameras are, and their lowest resolution
LOG_EVERY, SAVE_EVERY = 20, 20
SETTLE = 0.4  # share of the steps, the last ones, in which the rate falls
ABOUT = (
    "unveil's own detector of people, trained by scripts/train_detector.py on rendered frames alone from the ImageNet "
    "weights of EfficientNet-Lite0 (Apache-2.0)."
)
INTENDED_USE = "Finding people in frames of video or in images, to follow them and to cut crops that networks compare."
LIMITS = (
    "It saw rendered people only, and small and crowded ones are missed; beside other detectors on real video: "
    "docs/video.md. Whether it errs more for some groups of people than for others has not been measured."
)


@dataclass(frozen=True)
class Settings:
    """What a run is; a stopped run goes on only with the same settings, but may be given other numbers of steps."""

    scenes: int = field(repr=False)
    steps: int = field(repr=False)
    small_steps: int = field(repr=False)
    batch: int
    rate: float
    seed: int
    small: int
    large: int


def batch_at(step: int, mixer: FrameMixer, settings: Settings) -> tuple[Tensor, list[Mixed]]:
    """Return images ``(B, 3, S, S)`` in [-1, 1] and their boxes; they depend on the seed and the step alone."""
    mixed = []
    for k in range(settings.batch):
        rng = np.random.default_rng([settings.seed, 3, step, k])
        mixed.append(mixer(int(rng.integers(len(mixer.frames))), rng))
    pixels = torch.from_numpy(np.stack([m.image for m in mixed])).permute(0, 3, 1, 2).float().div_(255)
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
    return sensor(pixels, SENSOR, generator=generator, smallest=LOW_RESOLUTION).mul_(2).sub_(1), mixed


def train(mixers: tuple[FrameMixer, FrameMixer], settings: Settings, run: Path, end: int) -> PersonDetector:
    """Train, or go on, until the step ``end``; return the averaged network."""
    torch.manual_seed(settings.seed)
    network = PersonDetector(start=get_start("efficientnet_lite0"))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(False)
    groups = [
        {"params": [p for p in network.backbone.parameters() if p.requires_grad], "share": BACKBONE},
        {"params": [p for n, p in network.named_parameters() if not n.startswith("backbone.")], "share": 1.0},
    ]
    optimiser = torch.optim.AdamW(groups, settings.rate, weight_decay=DECAY)
    start = restore(run, settings, network, average, optimiser)
    cells = [Cells.of(mixer.size, mixer.size) for mixer in mixers]
    seen: dict[str, list[float]] = {}
    began = time.monotonic()
    network.train()
    for step in track(range(start, end), "training"):
        which = int(step >= settings.small_steps)
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, settings) * group["share"]
        images, mixed = batch_at(step, mixers[which], settings)
        boxes, scores = network(images.to(memory_format=torch.channels_last))
        terms = detection_losses(
            boxes, scores, people=[torch.from_numpy(m.people) for m in mixed],
            ignored=[torch.from_numpy(m.ignored) for m in mixed], cells=cells[which],
        )  # fmt: skip
        total = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(total):
            raise UnveilError(f"step {step}: the loss is not finite; begin again with a lower --rate")
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        update(average, network, min(EMA, (step + 1) / (step + 10)))
        for name, term in terms.items():
            seen.setdefault(name, []).append(float(term.detach()))
        if (step + 1) % LOG_EVERY == 0 or step + 1 == end:
            shown = "  ".join(f"{name} {np.mean(values):.3f}" for name, values in seen.items())
            print(f"step {step + 1}/{settings.steps}  {shown}  {time.monotonic() - began:.0f} s", file=sys.stderr)
            seen = {}
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == end:
            save(run, settings, step + 1, network, average, optimiser)
    return average.eval()


@torch.no_grad()
def sure_score(
    network: PersonDetector, frames: list[FrameFile], *, size: tuple[int, int]
) -> tuple[float, float, float]:
    """Return the score at which boxes are right most, on frames not trained on, with its recall and precision.

    The harmonic mean of recall and precision decides; people who show by less than `SURE` do not count.
    """
    height, width = size
    marks: list[tuple[float, float]] = []  # score, and 1: somebody's, 0: nobody's
    people = 0
    for frame in track(frames, "choosing the score"):
        image = frame.image()
        factor = min(width / image.shape[1], height / image.shape[0])
        canvas = np.full((height, width, 3), GREY, np.uint8)
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        canvas[: small.shape[0], : small.shape[1]] = small
        boxes, scores = network(torch.from_numpy(canvas).permute(2, 0, 1)[None].float() / 127.5 - 1)
        corners, score = to_corners(boxes)[0], scores[0].sigmoid()
        rows = torch.nonzero(score > LOWEST).flatten()
        flat = torch.cat([corners[rows, :2], corners[rows, 2:] - corners[rows, :2]], 1).tolist()
        kept = rows[list(cv2.dnn.NMSBoxes(flat, score[rows].tolist(), 0.0, OVERLAP))] if len(flat) else rows
        sure = frame.visible >= SURE
        people += int(sure.sum())
        free = torch.from_numpy(sure.copy())
        overlap = pairwise_overlap(corners[kept], torch.from_numpy(frame.boxes * factor))
        for row, shared in zip(kept.tolist(), overlap, strict=True):
            mine = shared * free
            if len(mine) and mine.max() >= 0.5:
                free[int(mine.argmax())] = False
                marks.append((float(score[row]), 1.0))
            elif not (len(shared) and shared.max() >= 0.5 and not sure[int(shared.argmax())]):
                marks.append((float(score[row]), 0.0))
    values = np.array(sorted(marks, reverse=True)).reshape(-1, 2)
    right = np.cumsum(values[:, 1])
    recall, precision = right / max(people, 1), right / np.arange(1, len(right) + 1)
    best = int(np.argmax(2 * recall * precision / np.maximum(recall + precision, 1e-9))) if len(right) else 0
    return (float(values[best, 0]), float(recall[best]), float(precision[best])) if len(right) else (0.5, 0.0, 0.0)


def rate_at(step: int, settings: Settings) -> float:
    """Return the learning rate: a short climb, a plain, and a fall to nearly nothing over the last steps."""
    warm = min(60, settings.steps // 10 + 1)
    left = (settings.steps - step) / max(1.0, SETTLE * settings.steps)
    return settings.rate * min((step + 1) / warm, 1.0, max(left, 0.01))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run's state")
    parser.add_argument("--frames", type=Path, help="folder of the frames; within the run's by default")
    parser.add_argument("--out", type=Path, help="folder for model and card; the run's by default")
    parser.add_argument("--scenes", type=int, default=80, help="two cameras each")
    parser.add_argument("--shots", type=int, default=SHOTS, help="frames of a camera")
    parser.add_argument(
        "--held-out", type=int, default=8, help="so many more, to choose the score from which to be sure"
    )
    parser.add_argument("--steps", type=int, default=720)
    parser.add_argument("--small-steps", type=int, default=500, help="so many first steps on small images")
    parser.add_argument("--stop-after", type=int, help="stop after this step; a later run goes on")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs=2, default=(256, 320), help="of small and large images")
    parser.add_argument("--input", type=int, nargs=2, default=(320, 512), help="height and width of the model's input")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    show_progress()
    frames = args.frames or args.run / "frames"
    write_frames(frames, range(args.scenes + args.held_out), seed=args.seed, shots=args.shots)
    read = read_frames(frames, range(args.scenes), seed=args.seed)
    settings = Settings(args.scenes, args.steps, args.small_steps, args.batch, args.rate, args.seed, *args.sizes)
    mixers = FrameMixer(read, settings.small, seed=settings.seed), FrameMixer(read, settings.large, seed=settings.seed)
    end = min(settings.steps, args.stop_after or settings.steps)
    network = train(mixers, settings, args.run, end)
    if end < settings.steps:
        print(f"stopped after {end} of {settings.steps} steps; the same command without --stop-after goes on")
        return
    held_out = read_frames(frames, range(args.scenes, args.scenes + args.held_out), seed=args.seed)
    size = tuple(args.input)
    sure, recall, precision = sure_score(network, held_out, size=size)
    words = {
        "about": f"{ABOUT} {settings.steps} steps of {settings.batch} images from {len(read)} frames, "
        f"seed {settings.seed}.",
        "figures": f"On {len(held_out)} rendered frames of other scenes: recall {recall:.3f}, "
        f"precision {precision:.3f}.",
        "intended_use": INTENDED_USE, "limits": LIMITS,
    }  # fmt: skip
    card = export_detector(network, args.out or args.run, size=size, sure=sure, words=words)
    figures = {"sure": sure, "recall": recall, "precision": precision}
    print(json.dumps({"card": str(card), "frames": len(read), **dataclasses.asdict(settings), **figures}, indent=1))


if __name__ == "__main__":
    try:
        main()
    except UnveilError as e:
        raise SystemExit(f"error: {e}") from None
